package simulated

import (
	"testing"
	"time"

	"github.com/purserhq/purser/internal/job"
)

func TestScripts(t *testing.T) {
	for _, x := range []struct {
		command []string
		d       time.Duration
		code    int
		bounded bool
		ignores bool
	}{
		{[]string{"sleep", "90"}, 90 * time.Second, 0, true, false},
		{[]string{"/bin/sleep", "1.5h"}, 90 * time.Minute, 0, true, false},
		{[]string{"sleep", "1m", "30"}, 90 * time.Second, 0, true, false},
		{[]string{"true"}, 0, 0, true, false},
		{[]string{"false"}, 0, 1, true, false},
		{[]string{"python", "train.py"}, 0, 0, false, false},
		{[]string{"sleep", "infinity"}, 0, 0, false, false},
		{[]string{"sh", "-c", "sleep 5; sleep 7 && exit 3"}, 12 * time.Second, 3, true, false},
		{[]string{"sh", "-c", "trap '' TERM; sleep 5"}, 5 * time.Second, 0, true, true},
	} {
		p := process{Spec: job.Spec{Command: x.command}}
		d, code, bounded := p.work()
		if d != int64(x.d) || code != x.code || bounded != x.bounded || p.ignores() != x.ignores {
			t.Errorf("%q: %s, status %d, bounded %t, ignores %t", x.command, time.Duration(d), code, bounded, p.ignores())
		}
	}
}

// What comes first at one instant: the end of the work, then the kill, then the
// signal.
func TestWhatComesFirst(t *testing.T) {
	begun := func(command ...string) *process {
		return &process{Spec: job.Spec{Command: command}, StartedAt: 100}
	}
	p := begun("sleep", "0.0000009")
	p.orders = job.Orders{Land: 1000, Kill: 1000, LeaseUntil: 1000, Reason: "credits"}
	do := p.next()
	do.what(p, do.at)
	if do.at != 1000 || p.End.ExitCode != 0 || p.End.Landed != "" {
		t.Errorf("%d: %+v", do.at, p.End)
	}
	p = begun("train")
	p.orders = job.Orders{Land: 1000, Kill: 1000, LeaseUntil: 1000, Reason: "credits"}
	do = p.next()
	do.what(p, do.at)
	if do.at != 1000 || p.End.Killed != "credits" || p.End.ExitCode != sigkill {
		t.Errorf("%d: %+v", do.at, p.End)
	}
	p = begun("train")
	p.orders = job.Orders{LeaseUntil: 1000, Grace: 50, Reason: "credits", Land: 2000, Kill: 2050}
	do = p.next()
	do.what(p, do.at)
	if do.at != 1000 || p.End.Landed != job.ReasonLease {
		t.Errorf("%d: %+v", do.at, p.End)
	}
}
