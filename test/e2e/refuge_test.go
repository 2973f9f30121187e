package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// The leases of these tests, and how long a job of a dead server is watched: well beyond
// what its supervisor could do alone.
var refugeLeases = []string{"--lease-min", "3s", "--lease-max", "3s"}

// In its stated form that is longer than a server is away before others look after its jobs.
var beyondLease = time.Duration(rounds(9, 75)) * time.Second

// tellsOthers waits until the supervisor of a job has heard of the other servers: with
// each answer, and so with one that renews its lease.
func (s *server) tellsOthers(id string) {
	s.t.Helper()
	held := *s.job(id).LeaseUntil
	s.until(id, 15*time.Second, "a renewed lease", func(j api.Job) bool { return j.LeaseUntil != nil && *j.LeaseUntil != held })
}

// goesOn sees that a job lives on for longer than any lease that it can have had.
func (s *server) goesOn(id string, tr traces) {
	s.t.Helper()
	from := time.Now()
	s.within(beyondLease+10*time.Second, "life beyond the lease", func() bool {
		return tr.read(beat) > from.Add(beyondLease).UnixNano() || !alive(int(tr.read(pid)))
	})
	if j := s.job(id); j.Status != "running" || !alive(int(tr.read(pid))) || tr.read(told) != 0 {
		s.t.Fatalf("the job is %s %q, its process lives: %t, told to end: %d", j.Status, j.Reason, alive(int(tr.read(pid))), tr.read(told))
	}
}

// endsTrue sees that a job's end is that of its process, and that it is billed for just
// the nanoseconds until then.
func (s *server) endsTrue(j api.Job, tr traces, status, reason string, gpus int64) {
	s.t.Helper()
	ran := nano(s.t, j.EndedAt) - nano(s.t, j.StartedAt)
	s.expect(j, status, reason, api.NanoCredits(cost(gpus, ran)))
	late(s.t, "the end in the books", nano(s.t, j.EndedAt), tr.read(beat), slack)
}

// The server of a job dies for good. The job goes on beyond its lease with any other
// server that lives, also when these die one after the other; it is stopped through one
// of them and billed to its true end, once; and its own server, when it is back in the
// end, has nothing to add.
func TestAJobOutlivesItsServer(t *testing.T) {
	t.Parallel()
	all := several(t, 3, refugeLeases...)
	first, second, third := all[0], all[1], all[2]
	first.space(1, 1, "1000")
	j, tr := first.beating()
	first.tellsOthers(j.ID)
	first.kill()
	second.goesOn(j.ID, tr)
	second.kill()
	third.goesOn(j.ID, tr)
	second.run()
	third.kill()
	second.goesOn(j.ID, tr)
	third.run()

	asked := time.Now()
	_, err := second.client.StopJob(second.ctx, "acme", j.ID, api.JobStop{Now: true})
	second.check(err)
	end := third.untilEnded(j.ID, 15*time.Second)
	t.Logf("stopped through another server after %s, having run for %s",
		time.Since(asked).Round(time.Millisecond), time.Duration(nano(t, end.EndedAt)-nano(t, end.StartedAt)).Round(time.Millisecond))
	second.endsTrue(end, tr, "stopped", "request", 8)
	second.verify()
	first.run()
	if again := first.job(j.ID); again.Charged != end.Charged || *again.EndedAt != *end.EndedAt || again.Status != end.Status {
		t.Errorf("its own server is back, and the job is %s, charged %s, ended %s; before %s, %s, %s",
			again.Status, again.Charged, *again.EndedAt, end.Status, end.Charged, *end.EndedAt)
	}
	for _, s := range all {
		s.verify()
	}
}

// While the server of jobs is dead, one ends by itself, and another uses up its
// max_cost: both are closed at once, at their true ends, and with their own reasons.
func TestJobsEndWhileTheirServerIsDead(t *testing.T) {
	t.Parallel()
	all := several(t, 2, refugeLeases...)
	first, second := all[0], all[1]
	first.space(1, 1, "1000")
	short, shortTraces := first.start("worker", 1, func(n *api.NewJob) { n.Env["E2E_LIFETIME"] = "9s" })
	capped, cappedTraces := first.start("stubborn", 8, func(n *api.NewJob) { n.MaxCost = "0.2" }) // 12 s
	for _, id := range []string{short.ID, capped.ID} {
		first.untilStatus(id, "running")
	}
	first.tellsOthers(short.ID)
	first.tellsOthers(capped.ID)
	first.kill()
	end := second.untilEnded(short.ID, 30*time.Second)
	heard := time.Since(time.Unix(0, nano(t, end.EndedAt)))
	second.endsTrue(end, shortTraces, "succeeded", "", 1)
	exhausted := second.untilEnded(capped.ID, 30*time.Second)
	second.expect(exhausted, "exhausted", "max_cost", "0.2")
	late(t, "the end in the books", nano(t, exhausted.EndedAt), cappedTraces.read(beat), slack)
	t.Logf("the end of a job was known %s after it", heard.Round(time.Millisecond))
	if heard > 2*time.Second {
		t.Error("that is late")
	}
	first.run()
	for _, s := range all {
		s.verify()
	}
}

// The server of a job comes back while another one serves its supervisor: the job goes
// back to it, is renewed there when the other is gone, and a stop that is asked of it
// before its supervisor has noticed is done all the same.
func TestAServerComesBackToItsJobs(t *testing.T) {
	t.Parallel()
	all := several(t, 2, refugeLeases...)
	first, second := all[0], all[1]
	first.space(1, 1, "1000")
	j, tr := first.beating()
	at, atTraces := first.beating()
	first.tellsOthers(j.ID)
	first.tellsOthers(at.ID)
	first.kill()
	second.goesOn(j.ID, tr)
	first.run()
	_, ran := first.stopNow(at.ID)
	if ran == 0 || alive(int(atTraces.read(pid))) {
		t.Errorf("it ran %d ns, and its process lives: %t", ran, alive(int(atTraces.read(pid))))
	}
	second.kill()
	first.goesOn(j.ID, tr)
	end, _ := first.stopNow(j.ID)
	first.endsTrue(end, tr, "stopped", "request", 8)
	second.run()
	for _, s := range all {
		s.verify()
	}
}

// The server of a job lives and is cut off from the database, for longer than its leases
// and than it takes a supervisor for stuck. The job goes on with the other one, and stops
// when that one is asked; the two agree when the first is back.
func TestAJobOfAServerThatIsCutOffGoesOn(t *testing.T) {
	t.Parallel()
	s, p, base := distant(t, "--lease-min", "12s", "--lease-max", "12s")
	other := startFor(t, s.token, "--database", base.URL("postgres"), "--lease-min", "12s", "--lease-max", "12s")
	j, tr := s.beating()
	s.tellsOthers(j.ID)
	p.lose(questions, answers)
	other.goesOn(j.ID, tr)
	cut := time.Now()
	other.within(time.Minute, "a time in which its own server would take it for stuck", func() bool {
		return time.Since(cut) > 20*time.Second || !alive(int(tr.read(pid)))
	})
	end, _ := other.stopNow(j.ID)
	other.endsTrue(end, tr, "stopped", "request", 8)
	p.heal(true)
	s.within(45*time.Second, "readiness", s.isReady)
	if again := s.job(j.ID); again.Charged != end.Charged || *again.EndedAt != *end.EndedAt {
		t.Errorf("charged %s until %s, and before %s until %s", again.Charged, *again.EndedAt, end.Charged, *end.EndedAt)
	}
	s.verify()
	other.verify()
}

// The server of a job hangs: it takes connections and answers none. Another one is asked
// before the lease ends; when the first goes on, both say the same.
func TestAJobOfAServerThatHangsGoesOn(t *testing.T) {
	t.Parallel()
	all := several(t, 2, "--lease-min", "6s", "--lease-max", "6s")
	first, second := all[0], all[1]
	first.space(1, 1, "1000")
	j, tr := first.beating()
	first.tellsOthers(j.ID)
	first.check(first.process.Process.Signal(syscall.SIGSTOP))
	second.goesOn(j.ID, tr)
	end, _ := second.stopNow(j.ID)
	first.check(first.process.Process.Signal(syscall.SIGCONT))
	second.endsTrue(end, tr, "stopped", "request", 8)
	if again := first.job(j.ID); again.Charged != end.Charged || *again.EndedAt != *end.EndedAt {
		t.Errorf("charged %s until %s, and before %s until %s", again.Charged, *again.EndedAt, end.Charged, *end.EndedAt)
	}
	for _, s := range all {
		s.verify()
	}
}
