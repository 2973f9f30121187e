package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// kill -9 of the server in the middle of a job and of a burst of commands: the
// job lives on, nothing acknowledged is lost or doubled, and the books verify,
// each time.
func TestServerKilledMidJobAndMidBurst(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(1, 1, "1000")
	j, tr := s.beating()
	began, process := tr.read(beginning), tr.read(pid)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	commands := 0
	for round := range rounds(3, 20) {
		burst := s.burst(fmt.Sprintf("round %d", round), 8, 25)
		time.Sleep(time.Duration(10+random.IntN(120)) * time.Millisecond)
		s.kill()
		s.run()
		commands += burst()
		s.eachOnce(commands)
		s.verify()
		if status := s.job(j.ID).Status; status != "running" || !alive(int(process)) {
			t.Fatalf("round %d: the job is %s", round, status)
		}
	}
	end, ran := s.stopNow(j.ID)
	if tr.read(beginning) != began || tr.read(told) != 0 {
		t.Errorf("the job noticed: it began %s later, and was told %s before its end", time.Duration(tr.read(beginning)-began),
			time.Duration(nano(t, end.EndedAt)-tr.read(told)))
	}
	t.Logf("%d flows and grants over %d kills, each done once; the job ran %s and its longest pause was %s",
		commands, rounds(3, 20), time.Duration(ran).Round(time.Millisecond), time.Duration(tr.read(gap)))
	s.verify()
}

// burst has many clients at once start flows, stop them and grant credits. The
// function it returns waits until all is acknowledged, and says how many things
// there must be then.
func (s *server) burst(name string, clients, each int) func() int {
	var all sync.WaitGroup
	failed := make(chan error, clients*each)
	for c := range clients {
		all.Go(func() {
			for n := range each {
				if err := s.command(fmt.Sprintf("%s, client %d, command %d", name, c, n), n%10 == 9); err != nil {
					failed <- err
				}
			}
		})
	}
	return func() int {
		s.t.Helper()
		all.Wait()
		close(failed)
		for err := range failed {
			s.t.Error("a command failed:", err)
		}
		return clients * each
	}
}

func (s *server) command(name string, grant bool) error {
	if grant {
		_, err := s.client.Grant(s.ctx, "acme", api.NewGrant{Amount: "0.000000001", Kind: "promotional", Reason: name})
		return err
	}
	f, err := s.client.StartFlow(s.ctx, "acme", api.NewFlow{Items: []api.NewItem{{SKU: "cpu.vcpu", Quantity: "1"}}, Label: name})
	if err != nil {
		return err
	}
	_, err = s.client.StopFlow(s.ctx, "acme", f.ID, api.FlowStop{})
	return err
}

// eachOnce counts what all bursts made: one lot or one stopped flow for each of
// their commands.
func (s *server) eachOnce(commands int) {
	s.t.Helper()
	seen := map[string]int{}
	all(s, func(p api.Page) (api.List[api.Lot], error) { return s.client.Lots(s.ctx, "acme", p) }, func(l api.Lot) {
		if l.Kind == "promotional" {
			seen[l.Reason]++
		}
	})
	all(s, func(p api.Page) (api.List[api.Flow], error) {
		return s.client.Flows(s.ctx, "acme", api.FlowQuery{Page: p})
	}, func(f api.Flow) {
		if f.Job == "" && f.Status == "stopped" {
			seen[f.Label]++
		}
	})
	for name, n := range seen {
		if n != 1 {
			s.t.Errorf("%q was done %d times", name, n)
		}
	}
	if len(seen) != commands {
		s.t.Errorf("%d of %d acknowledged commands are there", len(seen), commands)
	}
}

// all turns the pages of a list.
func all[T any](s *server, list func(api.Page) (api.List[T], error), take func(T)) {
	s.t.Helper()
	for cursor := ""; ; {
		page, err := list(api.Page{Limit: 200, Cursor: cursor})
		s.check(err)
		for _, item := range page.Items {
			take(item)
		}
		if page.NextCursor == nil || *page.NextCursor == "" {
			return
		}
		cursor = *page.NextCursor
	}
}

// The server is killed and never comes back: the supervisor lands the job at the
// end of its lease. Whoever looks at the books later finds it billed to its true
// end.
func TestServerKilledForGood(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(1, 2, "6") // six minutes of 8 × 7.50 an hour: leases of 30 seconds
	j, tr := s.beating()
	var lease int64
	s.within(45*time.Second, "a lease of which the supervisor has heard, long before the next one", func() bool {
		lease = nano(t, s.job(j.ID).LeaseUntil)
		left := time.Until(time.Unix(0, lease))
		return left > 22*time.Second && left < 29*time.Second
	})
	s.kill()
	s.within(45*time.Second, "the signal at the end of the lease", func() bool { return tr.read(told) != 0 })
	late(t, "SIGTERM at the end of the lease", tr.read(told), lease, slack)
	process := int(tr.read(pid))
	s.within(10*time.Second, "the kill", func() bool { return !alive(process) })
	late(t, "the last sign of life, a grace later", max(tr.read(beat), lease+2_000_000_000), lease+2_000_000_000, slack)
	s.run()
	end := s.untilEnded(j.ID, 15*time.Second)
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	s.expect(end, "stopped", "lease", api.NanoCredits(cost(8, ran)))
	late(t, "the end in the books", nano(t, end.EndedAt), tr.read(beat), slack)
	t.Logf("ran %s without a server, charged %s of 6", time.Duration(ran), end.Charged)
	s.verify()
}

// The server is away for a while and the wallet is rich: no job notices.
func TestServerAwayWithARichWallet(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(3600, 120, "1000")
	j, tr := s.beating()
	s.kill()
	away := time.Duration(rounds(3, 60)) * time.Second
	time.Sleep(away)
	s.run()
	s.untilStatus(j.ID, "running")
	end, ran := s.stopNow(j.ID)
	if tr.read(told) != 0 {
		t.Error("the job was signalled")
	}
	t.Logf("%s without a server; the job's longest pause was %s; charged %s for %s",
		away, time.Duration(tr.read(gap)), end.Charged, time.Duration(ran))
	s.verify()
}

// The server is away until just before the end of the lease: it renews it in time,
// and no job notices.
func TestServerBackBeforeTheLeaseEnds(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(1, 2, "6")
	j, tr := s.beating()
	lease := nano(t, s.job(j.ID).LeaseUntil)
	s.kill()
	time.Sleep(time.Until(time.Unix(0, lease)) - 3*time.Second)
	s.run()
	time.Sleep(time.Until(time.Unix(0, lease)) + time.Second)
	if told := tr.read(told); told != 0 {
		t.Errorf("the job was signalled %s after the end of the lease it had, which is renewed until %s after that",
			time.Duration(told-lease), time.Duration(nano(t, s.job(j.ID).LeaseUntil)-lease))
	}
	s.stopNow(j.ID)
	s.verify()
}

// A job lands, saves its checkpoint and ends while there is no server, and the
// server comes back after the wallet would have been empty: it is billed to its
// true end and not to the computed one.
func TestServerAwayDuringTheLanding(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(2, 2, "0.05")
	j, tr := s.start("checkpoint", 8, nil)
	running := s.until(j.ID, 15*time.Second, "running", func(j api.Job) bool { return j.StopAt != nil })
	stop := nano(t, running.StopAt)
	s.kill()
	s.within(10*time.Second, "the signal", func() bool { return tr.read(told) != 0 })
	late(t, "SIGTERM without a server", tr.read(told), stop-2_000_000_000, slack)
	time.Sleep(time.Until(time.Unix(0, stop)) + 100*time.Millisecond)
	s.run()
	end := s.untilEnded(j.ID, 15*time.Second)
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	s.expect(end, "exhausted", "credits", api.NanoCredits(cost(8, ran)))
	if !end.Resumable {
		t.Error("it cannot be resumed")
	}
	late(t, "the end in the books", nano(t, end.EndedAt), tr.read(beat), slack)
	if got := credits(t, s.balance().Balance) + credits(t, end.Charged); got != 50_000_000 {
		t.Errorf("balance and charges are %d", got)
	}
	s.verify()
}

// The supervisor is killed: its job dies with it, and is billed to the last
// proof of life.
func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(1, 1, "1000")
	j, tr := s.beating()
	time.Sleep(1500 * time.Millisecond)
	s.check(syscall.Kill(supervisorOf(t, filepath.Join(s.dir, "jobs", j.ID)), syscall.SIGKILL))
	killed := time.Now().UnixNano()
	end := s.untilEnded(j.ID, 15*time.Second)
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	s.expect(end, "failed", "lost", api.NanoCredits(cost(8, ran)))
	if alive(int(tr.read(pid))) {
		t.Error("the command lives on")
	}
	late(t, "the death of the command", max(tr.read(beat), killed), killed, slack)
	t.Logf("billed to %s before it was killed", time.Duration(killed-nano(t, end.EndedAt)).Round(time.Millisecond))
	if nano(t, end.EndedAt) > killed+int64(slack) {
		t.Error("billed beyond its last sign of life")
	}
	s.verify()
}

// A job that keeps its supervisor stopped, so that nobody reports, renews or kills,
// is killed with it within seconds, and pays for all the time it ran.
func TestAJobThatFreezesItsSupervisor(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(3600, 120, "1000")
	j, tr := s.start("freezer", 8, nil)
	s.within(15*time.Second, "the program", func() bool { return tr.read(beat) != 0 })
	end := s.untilEnded(j.ID, 20*time.Second)
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	s.expect(end, "failed", "lost", api.NanoCredits(cost(8, ran)))
	if alive(int(tr.read(pid))) {
		t.Error("the command lives on")
	}
	unpaid := time.Duration(tr.read(beat) - nano(t, end.EndedAt))
	t.Logf("it ran %s and was charged for %s", time.Duration(tr.read(beat)-tr.read(beginning)), time.Duration(ran))
	if unpaid.Abs() > slack {
		t.Errorf("it ran %s beyond its end in the books", unpaid)
	}
	s.verify()
}

// alive reports whether a process runs; one that is dead and was not waited for
// does not.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, found := strings.Cut(string(text), ") ")
	return err == nil && found && !strings.HasPrefix(state, "Z")
}

// supervisorOf finds the supervisor of a job by its command line.
func supervisorOf(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file)
		words := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		if n := len(words); n >= 2 && words[n-2] == "supervise" && words[n-1] == dir {
			var pid int
			fmt.Sscanf(file, "/proc/%d/", &pid)
			return pid
		}
	}
	t.Fatalf("there is no supervisor of %s", dir)
	return 0
}
