package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// late says how long after an instant something was.
func late(t *testing.T, what string, at, planned int64, limit time.Duration) {
	t.Helper()
	d := time.Duration(at - planned)
	t.Logf("%s: %s after its instant", what, d)
	if d < -time.Millisecond || d > limit {
		t.Errorf("%s was %s after its instant", what, d)
	}
}

// Machines that run tests are busy: what is measured is printed, and more than
// this fails.
const slack = 500 * time.Millisecond

// A job under exhaustion: SIGTERM a grace before the computed instant, the stop
// at the instant, everything granted is charged, and the balance is never
// negative.
func TestExhaustion(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(2, 2, "0.05") // three seconds of 8 × 7.50 an hour
	j, tr := s.start("stubborn", 8, nil)
	running := s.until(j.ID, 15*time.Second, "running", func(j api.Job) bool { return j.StopAt != nil })
	stop := nano(t, running.StopAt)
	if got := stop - nano(t, running.StartedAt); got != 3_000_000_000 {
		t.Errorf("it will be stopped after %s", time.Duration(got))
	}
	lowest, reads := credits(t, s.balance().Balance), 0
	for ended := false; !ended; reads++ {
		lowest = min(lowest, credits(t, s.balance().Balance))
		ended = s.job(j.ID).Ended()
	}
	end := s.job(j.ID)
	s.expect(end, "exhausted", "credits", "0.05")
	if b := s.balance(); b.Balance != "0" || b.Held != "0" || lowest < 0 {
		t.Errorf("balance %s, held %s, lowest %d", b.Balance, b.Held, lowest)
	}
	if end.Signal != "SIGKILL" || end.ExitCode == nil || *end.ExitCode != 137 || end.LateNanoseconds == nil {
		t.Fatalf("%+v", end)
	}
	late(t, "SIGTERM", tr.read(told), stop-2_000_000_000, slack)
	late(t, "the last sign of life", max(tr.read(beat), stop), stop, slack)
	late(t, "SIGKILL", stop+*end.LateNanoseconds, stop, slack)
	t.Logf("charged %s of 0.05 granted; lowest of %d balances read: %d nano-credits", end.Charged, reads, lowest)
	s.verify()
}

// A grant that arrives during the landing cancels it: the landing file vanishes,
// and a later landing signals again.
func TestGrantDuringLandingCancelsIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(2, 2, "0.05")
	j, tr := s.start("stubborn", 8, nil)
	s.untilStatus(j.ID, "landing")
	landing := s.dir + "/jobs/" + j.ID + "/landing"
	s.within(5*time.Second, "the landing file", func() bool { _, err := os.Stat(landing); return err == nil })
	first := tr.read(told)
	s.grant("0.05")
	at := time.Now()
	s.within(2*time.Second, "the end of the landing file", func() bool { _, err := os.Stat(landing); return os.IsNotExist(err) })
	t.Logf("the landing was cancelled %s after the grant", time.Since(at).Round(time.Millisecond))
	again := s.untilStatus(j.ID, "running")
	end := s.untilEnded(j.ID, 15*time.Second)
	s.expect(end, "exhausted", "credits", "0.1")
	if got := nano(t, end.EndedAt) - nano(t, end.StartedAt); got < 6_000_000_000 || got > 6_000_000_000+int64(slack) {
		t.Errorf("it ran %s", time.Duration(got))
	}
	late(t, "the second SIGTERM", tr.read(told), nano(t, again.StopAt)-2_000_000_000, slack)
	if first == tr.read(told) || s.balance().Balance != "0" {
		t.Errorf("told at %d and %d, balance %s", first, tr.read(told), s.balance().Balance)
	}
	s.verify()
}

// max_cost and max_runtime stop a job exactly, too.
func TestMaxCostAndMaxRuntime(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(1, 1, "10")
	byCost, _ := s.start("stubborn", 8, func(n *api.NewJob) { n.MaxCost = "0.033333333" })
	byTime, _ := s.start("stubborn", 8, func(n *api.NewJob) { n.MaxRuntimeSeconds = 2 })
	end := s.untilEnded(byCost.ID, 15*time.Second)
	s.expect(end, "exhausted", "max_cost", "0.033333333")
	end = s.untilEnded(byTime.ID, 15*time.Second)
	s.expect(end, "stopped", "max_runtime", "0.033333333")
	flow, err := s.client.Flow(s.ctx, "acme", end.Flow)
	s.check(err)
	if got := nano(t, flow.EndedAt) - nano(t, &flow.StartedAt); got != 2_000_000_000 {
		t.Errorf("the flow of max_runtime 2 s ran %s", time.Duration(got))
	}
	if b := s.balance(); b.Balance != "9.933333334" || b.Held != "0" {
		t.Errorf("balance %s, held %s", b.Balance, b.Held)
	}
	s.verify()
}

// Waiting in the queue is not charged.
func TestQueueIsNotCharged(t *testing.T) {
	t.Parallel()
	s := start(t, "--capacity", "gpu.b300=8")
	s.space(1, 1, "10")
	short := func(n *api.NewJob) { n.Env["E2E_LIFETIME"] = "1s" }
	first, _ := s.start("sleeper", 8, short)
	second, tr := s.start("sleeper", 8, short)
	s.within(5*time.Second, "a place in the queue", func() bool { return s.job(second.ID).QueuePosition == 1 })
	if j := s.job(second.ID); j.Status != "queued" || j.Charged != "0" {
		t.Errorf("%s, charged %s", j.Status, j.Charged)
	}
	a, b := s.untilEnded(first.ID, 15*time.Second), s.untilEnded(second.ID, 15*time.Second)
	for _, j := range []api.Job{a, b} {
		ran := nano(t, j.EndedAt) - nano(t, j.StartedAt)
		s.expect(j, "succeeded", "", api.NanoCredits(cost(8, ran)))
		t.Logf("waited %s, ran %s, charged %s", time.Duration(nano(t, j.StartedAt)-nano(t, &j.CreatedAt)), time.Duration(ran), j.Charged)
	}
	if nano(t, b.StartedAt) < nano(t, a.EndedAt) {
		t.Error("they ran at the same time")
	}
	late(t, "the command, from the start of its charge", tr.read(beginning), nano(t, b.StartedAt), slack)
	s.verify()
}

// A landed job with a checkpoint is resumed from it.
func TestResume(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(2, 2, "0.05")
	j, _ := s.start("checkpoint", 8, nil)
	end := s.untilEnded(j.ID, 15*time.Second)
	if end.Status != "exhausted" || !end.Resumable || *end.ExitCode != 0 || !end.Checkpoint {
		t.Fatalf("%+v", end)
	}
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	s.expect(end, "exhausted", "credits", api.NanoCredits(cost(8, ran)))
	s.grant("0.05")
	_, err := s.client.ResumeJob(s.ctx, "acme", j.ID, api.JobResume{})
	s.check(err)
	end = s.untilEnded(j.ID, 15*time.Second)
	if end.Status != "succeeded" || end.Run != 2 {
		t.Errorf("%+v", end)
	}
	t.Logf("first run %s, charged %s in both", time.Duration(ran), end.Charged)
	if got := credits(t, s.balance().Balance) + credits(t, end.Charged); got != 100_000_000 {
		t.Errorf("balance and charges are %d", got)
	}
	s.verify()
}

// within waits for something outside the API.
func (s *server) within(limit time.Duration, what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s did not come", what)
		}
	}
}
