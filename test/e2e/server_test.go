// Package e2e tests the program as it is delivered: the real binary, real
// processes, real signals, real time. Every test ends with a clean verification
// of the books.
package e2e

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// purser is the binary under test, self this test, which jobs run as well.
var purser, self string

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == withoutSync {
		fmt.Println(failSync(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) > 2 && os.Args[1] == withToll {
		fmt.Println(askAtWrites(os.Args[2:]))
		os.Exit(1)
	}
	if name := os.Getenv("E2E_PROGRAM"); name != "" {
		os.Exit(program(name))
	}
	dir, err := os.MkdirTemp("", "purser-e2e-")
	if err == nil {
		purser = filepath.Join(dir, "purser")
		self, err = os.Executable()
	}
	if err == nil {
		build := exec.Command("go", "build", "-o", purser, "github.com/purserhq/purser/cmd/purser")
		build.Stdout, build.Stderr = os.Stdout, os.Stderr
		err = build.Run()
	}
	status := 1
	if err == nil {
		isolate(dir)
		status = m.Run()
	} else {
		fmt.Println("build purser:", err)
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

// isolate keeps the configuration of whoever runs the tests from every program
// that they start.
func isolate(home string) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PURSER_") || strings.HasPrefix(name, "XDG_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("HOME", home)
}

// isSoak says that the stated lengths are run, and not the short forms.
var isSoak = os.Getenv("PURSER_SOAK") != ""

// rounds is the length of a test in its short and its stated form.
func rounds(short, stated int) int {
	if isSoak {
		return stated
	}
	return short
}

func (s *server) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// space makes an organization whose gate asks for so many seconds, and which
// warns so many seconds ahead, with a grant.
func (s *server) space(minRunway, grace int64, grant api.Amount) {
	s.t.Helper()
	_, err := s.client.CreateOrganization(s.ctx, api.NewOrganization{Slug: "acme"})
	s.check(err)
	_, err = s.client.ChangePolicy(s.ctx, "acme", api.PolicyChange{MinRunwaySeconds: &minRunway, GraceSeconds: &grace})
	s.check(err)
	s.grant(grant)
}

func (s *server) grant(amount api.Amount) {
	s.t.Helper()
	_, err := s.client.Grant(s.ctx, "acme", api.NewGrant{Amount: amount, Kind: "purchased"})
	s.check(err)
}

func (s *server) balance() api.Balance {
	s.t.Helper()
	b, err := s.client.Balance(s.ctx, "acme")
	s.check(err)
	return b
}

func (s *server) job(id string) api.Job {
	s.t.Helper()
	j, err := s.client.Job(s.ctx, "acme", id)
	s.check(err)
	return j
}

// until waits until the job is as wanted.
func (s *server) until(id string, limit time.Duration, what string, wanted func(api.Job) bool) api.Job {
	s.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		j := s.job(id)
		if wanted(j) {
			return j
		}
		if time.Now().After(end) || j.Ended() {
			s.t.Fatalf("the job did not come to %s: it is %s %q %+v", what, j.Status, j.Reason, j)
		}
	}
}

func (s *server) untilEnded(id string, limit time.Duration) api.Job {
	s.t.Helper()
	return s.until(id, limit, "its end", api.Job.Ended)
}

func (s *server) untilStatus(id, status string) api.Job {
	s.t.Helper()
	return s.until(id, 15*time.Second, status, func(j api.Job) bool { return j.Status == status })
}

// expect compares what matters of an ended job.
func (s *server) expect(j api.Job, status, reason string, charged api.Amount) {
	s.t.Helper()
	if j.Status != status || j.Reason != reason || j.Charged != charged {
		s.t.Errorf("the job is %s %q, charged %s; want %s %q, charged %s", j.Status, j.Reason, j.Charged, status, reason, charged)
	}
}

// verify replays the books.
func (s *server) verify() {
	s.t.Helper()
	r, err := s.client.Verify(s.ctx, api.VerifyRequest{})
	s.check(err)
	if !r.OK {
		events, _ := s.client.Events(s.ctx, "acme", api.EventQuery{Last: 200})
		s.t.Errorf("the books do not verify: %+v\n%+v", r.Differences, events.Items)
	}
	s.t.Logf("verified: %d commands, %d postings, %d charges, %d flows in %d ms", r.Commands, r.Postings, r.Charges, r.Flows, r.Milliseconds)
}

// start runs one of this test's programs as a job, billed as GPUs of 7.50 an
// hour.
func (s *server) start(name string, gpus int64, change func(*api.NewJob)) (api.Job, traces) {
	s.t.Helper()
	tr := traces{filepath.Join(s.t.TempDir(), "traces")}
	n := api.NewJob{
		Name: name, Command: []string{self}, Resources: api.Resources{GPU: "b300", GPUCount: gpus},
		Env: map[string]string{"E2E_PROGRAM": name, "E2E_TRACES": tr.file},
	}
	if change != nil {
		change(&n)
	}
	j, err := s.client.CreateJob(s.ctx, "acme", n)
	s.check(err)
	return j, tr
}

// beating starts a program that only a kill ends, on 8 GPUs, and waits until it has
// left a sign of life.
func (s *server) beating() (api.Job, traces) {
	s.t.Helper()
	j, tr := s.start("stubborn", 8, nil)
	s.untilStatus(j.ID, "running")
	s.within(10*time.Second, "the program", func() bool { return tr.read(beat) != 0 })
	return j, tr
}

// stopNow stops a job on 8 GPUs at once, and sees that it is charged for just the
// nanoseconds it ran.
func (s *server) stopNow(id string) (end api.Job, ran int64) {
	s.t.Helper()
	_, err := s.client.StopJob(s.ctx, "acme", id, api.JobStop{Now: true})
	s.check(err)
	end = s.untilEnded(id, 15*time.Second)
	ran = nano(s.t, end.EndedAt) - nano(s.t, end.StartedAt)
	s.expect(end, "stopped", "request", api.NanoCredits(cost(8, ran)))
	return end, ran
}

// traces is what a program leaves of itself: numbers in a file, instants in the
// time of the machine. A write that has returned stands even if the program is
// killed.
type traces struct{ file string }

const (
	beginning = iota // when it began
	beat             // when it was alive last
	told             // when it was sent SIGTERM last
	gap              // its longest time between two beats
	pid
)

// read returns an instant, or 0.
func (tr traces) read(which int) int64 {
	text, err := os.ReadFile(tr.file)
	if err != nil || len(text) < 8*(which+1) {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(text[8*which:]))
}

func nano(t *testing.T, i *api.Instant) int64 {
	t.Helper()
	if i == nil {
		t.Fatal("there is no instant")
	}
	n, err := i.UnixNano()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func credits(t *testing.T, a api.Amount) int64 {
	t.Helper()
	n, err := a.Nano()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cost is what GPUs of 7.50 an hour cost for a time, rounded down, in
// nano-credits.
func cost(gpus, ns int64) int64 {
	n := new(big.Int).Mul(big.NewInt(gpus*7_500_000_000), big.NewInt(ns))
	return n.Quo(n, big.NewInt(3_600_000_000_000)).Int64()
}
