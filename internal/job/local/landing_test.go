package local

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// in is the instant some time from now.
func in(d time.Duration) int64 { return time.Now().Add(d).UnixNano() }

// worker says when it is signalled, writes a checkpoint, and leaves or not.
func worker(afterwards string) string {
	return `trap 'echo landing until $(cat $PURSER_LANDING_FILE); touch $PURSER_CHECKPOINT_FILE; ` + afterwards + `' TERM
echo up; while :; do sleep 0.02; done`
}

func TestLanding(t *testing.T) {
	h := newHouse(t)
	h.run(worker("exit 0"))
	h.said("up")
	kill := in(3 * time.Second)
	land := in(100 * time.Millisecond)
	h.order(func(o *job.Orders) { o.Land, o.Kill, o.Reason = land, kill, "credits" })
	r := h.end()
	if r.Landed != "credits" || r.Killed != "" || r.ExitCode != 0 || !r.Checkpoint {
		t.Errorf("%+v", r)
	}
	if r.EndedAt < land || r.EndedAt > land+int64(time.Second) {
		t.Errorf("ended %v after the landing began", time.Duration(r.EndedAt-land))
	}
	h.said("landing until " + time.Unix(0, kill).UTC().Format(time.RFC3339Nano))
	if _, err := os.Stat(h.path("landing")); err == nil {
		t.Error("the landing file is still there after the end")
	}
}

// A job that does not leave is killed at the very instant.
func TestKillAtTheInstant(t *testing.T) {
	for _, cgroup := range []bool{true, false} {
		h := newHouse(t, func(c *Config) { c.NoCgroup = !cgroup })
		h.run(worker("true"))
		h.said("up")
		kill := in(400 * time.Millisecond)
		h.order(func(o *job.Orders) { o.Land, o.Kill, o.Reason = in(50*time.Millisecond), kill, "credits" })
		r := h.end()
		t.Logf("cgroup %v: SIGKILL %v late, waited for after %v", cgroup, time.Duration(r.LateNs), time.Duration(r.EndedAt-kill))
		if r.Killed != "credits" || r.Landed != "credits" || r.Signal != "SIGKILL" || !r.Checkpoint {
			t.Errorf("%+v", r)
		}
		if late := r.EndedAt - kill; late < 0 || r.LateNs > late || late > int64(250*time.Millisecond) {
			t.Errorf("%d ns late, dead after %d ns", r.LateNs, late)
		}
		h.nobody()
	}
}

func TestCancelledLanding(t *testing.T) {
	h := newHouse(t)
	h.run(worker("true"))
	h.said("up")
	kill := in(60 * time.Second)
	h.order(func(o *job.Orders) { o.Land, o.Kill, o.Reason = 1, kill, "credits" })
	h.said("landing until")
	// The kill moves while the landing stands.
	kill += int64(time.Second)
	h.order(func(o *job.Orders) { o.Kill = kill })
	h.until("the landing file says so", func() bool {
		text, _ := os.ReadFile(h.path("landing"))
		return string(text) == time.Unix(0, kill).UTC().Format(time.RFC3339Nano)+"\n"
	})
	h.order(func(o *job.Orders) { o.Land, o.Kill = in(time.Hour), in(2*time.Hour) })
	h.until("the landing file is gone", func() bool { _, err := os.Stat(h.path("landing")); return err != nil })
	h.order(func(o *job.Orders) { o.Land, o.Kill = 1, in(300*time.Millisecond) })
	r := h.end()
	if r.Killed != "credits" || strings.Count(h.log(), "landing until") != 2 {
		t.Errorf("%+v\n%s", r, h.log())
	}
}

func TestStop(t *testing.T) {
	h := newHouse(t)
	h.desk.orders.Grace = int64(100 * time.Millisecond)
	h.run(worker("true"))
	h.said("up")
	h.order(func(o *job.Orders) { o.Stop, o.Reason = true, "max_runtime" })
	if r := h.end(); r.Killed != "max_runtime" || r.Landed != "max_runtime" {
		t.Errorf("%+v", r)
	}
}

// The server goes away and never comes back: the lease ends, the job is
// signalled, and killed a grace later. The end waits on disk.
func TestLeaseEndsWithoutServer(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Linger = 300 * time.Millisecond })
	h.desk.lease = 500 * time.Millisecond
	h.run(worker("true"))
	h.said("up")
	h.close()
	h.said("landing until ")
	var kill time.Time
	h.until("the instant is whole", func() (ok bool) {
		_, after, _ := strings.Cut(h.log(), "landing until ")
		line, _, _ := strings.Cut(after, "\n")
		var err error
		kill, err = time.Parse(time.RFC3339Nano, line)
		return err == nil
	})
	h.desk.mu.Lock()
	if latest := h.desk.orders.LeaseUntil + h.desk.orders.Grace; kill.UnixNano() > latest {
		t.Errorf("killed at %v, beyond the lease and the grace", kill)
	}
	h.desk.mu.Unlock()
	var state job.State
	h.until("the supervisor has left", func() bool {
		var err error
		state, err = h.Inspect(h.id)
		return err == nil && !state.Alive
	})
	if state.End == nil || state.End.Killed != job.ReasonLease || !state.Checkpoint || state.Proof == 0 {
		t.Fatalf("%+v", state)
	}
	late := time.Duration(state.End.EndedAt - kill.UnixNano())
	t.Logf("dead %v after lease and grace", late)
	if late < 0 || late > 250*time.Millisecond {
		t.Errorf("dead %v after lease and grace", late)
	}
	h.nobody()
}

// A lease much shorter than the long poll is renewed in time.
func TestShortLeaseIsRenewed(t *testing.T) {
	h := newHouse(t)
	h.desk.lease = 1500 * time.Millisecond // a machine that stalls for a second is no failure
	h.run("sleep 4")
	if r := h.end(); r.ExitCode != 0 || r.Landed != "" {
		t.Errorf("%+v", r)
	}
}

// No job notices that the server was away and is another one now.
func TestServerRestart(t *testing.T) {
	h := newHouse(t)
	h.desk.lease = 5 * time.Second
	h.run(worker("exit 5"))
	h.said("up")
	h.close()
	f, _ := h.folder(h.id)
	proof, _, _ := f.lastProof()
	h.until("life is proved meanwhile", func() bool { now, _, _ := f.lastProof(); return now > proof })
	h.Executor = New(h.config)
	state, err := h.Inspect(h.id)
	if err != nil || !state.Alive || state.End != nil || state.Proof < proof {
		t.Fatalf("%+v, %v", state, err)
	}
	for len(h.desk.hear) > 0 {
		<-h.desk.hear
	}
	h.open()
	if r := <-h.desk.hear; r.Phase != job.Running || r.Proof < proof {
		t.Errorf("%+v", r)
	}
	h.order(func(o *job.Orders) { o.Stop = true })
	if r := h.end(); r.ExitCode != 5 || r.Landed != job.ReasonStop || r.Killed != "" {
		t.Errorf("%+v", r)
	}
}

// The job ends while there is no server; the next one hears the true end.
func TestEndWithoutServer(t *testing.T) {
	h := newHouse(t)
	h.run("echo up; sleep 0.2; exit 3")
	h.said("up")
	h.close()
	h.until("the end is on disk", func() bool { s, _ := h.Inspect(h.id); return s.End != nil })
	ended := time.Now().UnixNano()
	h.open()
	if r := h.end(); r.ExitCode != 3 || r.EndedAt > ended || r.EndedAt < r.StartedAt+int64(150*time.Millisecond) {
		t.Errorf("%+v", r)
	}
}

// The process that launched is gone, with everything of its group; the job
// goes on.
func TestLauncherDies(t *testing.T) {
	h := newHouse(t)
	h.close() // the launcher is a process of its own, and so would be its server
	cmd := exec.Command("/proc/self/exe", "launch-and-die", h.config.Dir, h.id)
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	err := cmd.Run()
	if err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the launcher: %v", err)
	}
	state, err := h.Inspect(h.id)
	if err != nil || !state.Alive {
		t.Fatalf("%+v, %v", state, err)
	}
	h.open()
	if r := h.end(); r.ExitCode != 0 || h.log() != "alive\n" {
		t.Errorf("%+v %q", r, h.log())
	}
}

func launchAndDie(dir string) int {
	e := New(Config{Dir: dir, Command: []string{"/proc/self/exe", "supervise"}})
	if err := e.Launch(context.Background(), job.Spec{Job: os.Args[3], Command: []string{"echo", "alive"}}); err != nil {
		return 1
	}
	unix.Kill(-os.Getpid(), unix.SIGKILL) // its own group, in which it is alone
	return 2
}
