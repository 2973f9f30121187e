package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// noticed is how long a request may wait in vain: until the database is asked, and
// for the answer; and some for a machine with much else to do.
const noticed = 12 * time.Second

// distant starts a server whose database is behind a proxy.
func distant(t *testing.T, args ...string) (*server, *proxy, *dbtest.Server) {
	t.Helper()
	base, err := dbtest.New("shared_buffers = 16MB", "fsync = off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Remove() })
	p := newProxy(t, fmt.Sprintf("127.0.0.1:%d", base.Port))
	s := start(t, append(args, "--database", "postgres://purser@"+p.address+"/postgres?sslmode=disable")...)
	s.client.Patience = time.Minute
	s.space(1, 1, "1000")
	return s, p, base
}

const grantOfOne = `{"amount": "1", "kind": "purchased", "reason": %q}`

// The server is cut off from its database for longer than its leases. It refuses in
// time and says that it is not ready; a job lands at the end of its lease and is billed
// to its true end; and when the database can be reached again all goes on by itself,
// though the old connections stay half open.
func TestCutOffForLongerThanALease(t *testing.T) {
	t.Parallel()
	const lease = 8 * time.Second
	s, p, _ := distant(t, "--lease-min", "8s", "--lease-max", "8s")
	a := s.audit()
	j, tr := s.beating()
	stop := a.load("load", 4)
	s.within(time.Minute, "the load", func() bool { return a.answered() > 50 })
	held := nano(t, s.job(j.ID).LeaseUntil)
	cut := time.Now()
	p.lose(questions, answers)

	s.unavailable("a grant", s.try("POST", "/v1/workspaces/acme/grants", "the grant", fmt.Sprintf(grantOfOne, "the grant")), noticed)
	s.unavailable("a balance", s.try("GET", "/v1/workspaces/acme/balance", "", ""), noticed)
	refused := s.try("POST", "/v1/workspaces/acme/grants", "the grant", fmt.Sprintf(grantOfOne, "the grant"))
	s.unavailable("the grant again", refused, time.Second)
	if s.isReady() || s.try("GET", "/healthz", "", "").status != 200 {
		t.Error("it is ready, or not alive")
	}
	t.Logf("%s after the cut requests are refused within %s", time.Since(cut).Round(time.Millisecond), refused.took.Round(time.Millisecond))
	s.within(45*time.Second, "the signal at the end of the lease", func() bool { return tr.read(told) != 0 })
	late(t, "SIGTERM at the end of the lease", tr.read(told), max(held, min(tr.read(told), cut.Add(lease).UnixNano())), slack)
	process := int(tr.read(pid))
	s.within(10*time.Second, "the kill", func() bool { return !alive(process) })

	p.heal(true)
	healed := time.Now()
	s.within(45*time.Second, "readiness", s.isReady)
	t.Logf("cut off for %s; ready %s after it could reach its database again", healed.Sub(cut).Round(time.Millisecond), time.Since(healed).Round(time.Millisecond))
	end := s.untilEnded(j.ID, 45*time.Second)
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	s.expect(end, "stopped", "lease", api.NanoCredits(cost(8, ran)))
	late(t, "the end in the books", nano(t, end.EndedAt), tr.read(beat), slack)
	if got := s.try("POST", "/v1/workspaces/acme/grants", "the grant", fmt.Sprintf(grantOfOne, "the grant")); got.status != 201 {
		t.Errorf("the grant: %d %s", got.status, got.text)
	}
	if n := s.lots("the grant"); n != 1 {
		t.Errorf("it was done %d times", n)
	}
	next, _ := s.beating()
	stop()
	after, _ := s.stopNow(next.ID)
	a.check(credits(t, end.Charged) + credits(t, after.Charged) - 1_000_000_000)
	t.Logf("%d commands were answered, each done once; the longest waited %s", a.answered(), a.longest.Round(time.Millisecond))
	s.verify()
}

// Packets are lost for a moment: requests wait, and nobody gets an error.
func TestCutOffForAMoment(t *testing.T) {
	t.Parallel()
	s, p, _ := distant(t)
	j, tr := s.beating()
	for range rounds(1, 10) {
		p.lose(questions, answers)
		time.AfterFunc(time.Second, func() { p.heal(false) })
		got := s.try("POST", "/v1/workspaces/acme/grants", "the grant", fmt.Sprintf(grantOfOne, "the grant"))
		if got.status != 201 {
			t.Errorf("the grant: %d %s", got.status, got.text)
		}
		t.Logf("a second without packets: the grant took %s", got.took.Round(time.Millisecond))
	}
	if tr.read(told) != 0 {
		t.Error("the job was told to end")
	}
	s.stopNow(j.ID)
	s.verify()
}

// A commit happens and its answer is lost. The job that it made is started though
// nobody was told of it, and repeating the request makes no other.
func TestAnAnswerLostUnderACommit(t *testing.T) {
	t.Parallel()
	s, p, base := distant(t)
	body := fmt.Sprintf(`{"command": [%q], "resources": {"gpu": "b300"}, "env": {"E2E_PROGRAM": "stubborn", "E2E_TRACES": %q}}`, self, t.TempDir()+"/traces")
	p.slow(500 * time.Millisecond)
	answered := make(chan said, 1)
	go func() { answered <- s.try("POST", "/v1/workspaces/acme/jobs", "the job", body) }()
	s.within(noticed, "the job's row", func() bool {
		count, err := base.Ask("SELECT count(*)::text FROM jobs")
		s.check(err)
		return count == "1"
	})
	p.lose(answers) // that of the commit is on its way
	lost := <-answered
	s.unavailable("the job", lost, 2*noticed)
	t.Logf("answered after %s: %s", lost.took.Round(time.Millisecond), lost.text)
	p.slow(0)
	p.heal(true)
	s.within(45*time.Second, "readiness", s.isReady)
	s.within(15*time.Second, "the start of the job, for which nobody asks again", func() bool {
		jobs, err := s.client.Jobs(s.ctx, "acme", api.JobQuery{Status: "running"})
		s.check(err)
		return len(jobs.Items) == 1
	})
	if again := s.try("POST", "/v1/workspaces/acme/jobs", "the job", body); again.status != 201 {
		t.Errorf("the job again: %d %s", again.status, again.text)
	}
	jobs, err := s.client.Jobs(s.ctx, "acme", api.JobQuery{})
	s.check(err)
	if len(jobs.Items) != 1 {
		t.Fatalf("there are %d jobs", len(jobs.Items))
	}
	_, err = s.client.StopJob(s.ctx, "acme", jobs.Items[0].ID, api.JobStop{Now: true})
	s.check(err)
	s.untilEnded(jobs.Items[0].ID, 15*time.Second)
	s.verify()
}

// One of two servers is cut off from their database. The other, which runs no jobs, goes
// on, and closes what the first can run no longer; the first admits nothing, its job lands at the end of its
// lease, and when it is back the job is billed to its true end. Nothing is spent twice.
func TestOneOfTwoServersIsCutOff(t *testing.T) {
	t.Parallel()
	s, p, base := distant(t, "--lease-min", "6s", "--lease-max", "6s")
	other := startFor(t, s.token, "--database", base.URL("postgres"), "--roles", "api,keeper")
	a := other.audit()
	j, tr := s.beating()
	stop := a.load("load", 4)
	p.lose(questions, answers)
	cut := time.Now()
	s.unavailable("a grant", s.try("POST", "/v1/workspaces/acme/grants", "the grant", fmt.Sprintf(grantOfOne, "the grant")), noticed)
	other.within(45*time.Second, "the end of the flow, whose lease has lapsed", func() bool {
		flows, err := other.client.Flows(other.ctx, "acme", api.FlowQuery{Job: j.ID})
		other.check(err)
		return flows.Items[0].Status != "running" && flows.Items[0].Status != "landing"
	})
	closed := time.Since(cut)
	if alive(int(tr.read(pid))) {
		t.Error("the job runs on beyond its lease")
	}
	stop()
	p.heal(true)
	s.within(45*time.Second, "readiness", s.isReady)
	end := s.untilEnded(j.ID, 45*time.Second)
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	if end.Charged != api.NanoCredits(cost(8, ran)) {
		t.Errorf("it ran %s and was charged %s", time.Duration(ran), end.Charged)
	}
	late(t, "the end in the books", nano(t, end.EndedAt), tr.read(beat), slack)
	if n := other.lots("the grant"); n != 0 {
		t.Errorf("what was refused was done %d times", n)
	}
	a.check(credits(t, end.Charged))
	t.Logf("the other server closed the flow %s after the cut, and answered %d commands meanwhile, each done once; the job is %s %q", closed.Round(time.Millisecond), a.answered(), end.Status, end.Reason)
	s.verify()
	other.verify()
}
