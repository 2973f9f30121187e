package job

import (
	"slices"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// begun is a job of a that has begun to run, and its supervisor's report.
func begun(t *testing.T, a *srv) Report {
	t.Helper()
	s := a.admitted(t)
	ok(t, a.dispatch(t.Context()))
	o, err := a.Report(t.Context(), Report{Job: s.ID, Phase: Ready})
	ok(t, err)
	return Report{Job: s.ID, Phase: Running, Seen: o.Version, Lease: o.LeaseUntil, StartedAt: t0, Proof: t0}
}

func (s *srv) ended(t *testing.T, r Report, at int64) Report {
	t.Helper()
	r.Phase, r.EndedAt, r.ExitCode = Ended, at, 3
	return r
}

// settled sees that a job is charged for just so long, and that the books agree.
func (s *srv) settled(t *testing.T, id string, status Status, reason string, ran int64) {
	t.Helper()
	j := s.row(t, id)
	shown, err := s.Show(t.Context(), ws, id)
	ok(t, err)
	want := credit.Amount(ran / 1e9 * 8 * 2_390_000_000 / 3600)
	if j.Status != status || j.Reason != reason || j.EndedAt != t0+ran || shown.Charged != want {
		t.Errorf("%s %q until %d, charged %s; want %s %q until %d, %s", j.Status, j.Reason, j.EndedAt-t0, shown.Charged, status, reason, ran, want)
	}
	report, err := s.Books.Verify(t.Context(), ledger.Options{})
	if err != nil || !report.IsClean() {
		t.Error(err, report.First)
	}
}

// A run of a is told the same at b as at a, its lease is renewed there, and a stop that b
// is asked for reaches it at once.
func TestAVisitIsAnsweredAsAtHome(t *testing.T) {
	url := two(t)
	a, b := serverOf(t, url, "a", "api,keeper,jobs", t0, nil), serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	r := begun(t, a)
	later := t0 + 40*db.Second*60
	ok(t, b.clock.Set(t.Context(), later))
	away, err := b.Visit(t.Context(), "a", r)
	ok(t, err)
	if !away.Go || away.LeaseUntil <= r.Lease || away.LeaseUntil > later+b.Leases.Longest || away.Kill == 0 || away.LeaseUntil+away.Grace > away.Kill {
		t.Errorf("b says %+v, and the lease was until %d", away, r.Lease)
	}
	ok(t, a.clock.Set(t.Context(), later))
	r.Lease = away.LeaseUntil
	home, err := a.Report(t.Context(), r)
	ok(t, err)
	if home.Version != away.Version || home.LeaseUntil != away.LeaseUntil {
		t.Errorf("a says %+v, b %+v", home, away)
	}
	r.Seen, r.Wait = away.Version, true
	asked := make(chan Orders, 1)
	go func() {
		o, err := b.Visit(t.Context(), "a", r)
		if err != nil {
			t.Error(err)
		}
		asked <- o
	}()
	waitFor(t, "the visitor waits", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.visitors[r.Job]) == 1 })
	began := time.Now()
	b.update(t, func(tx *db.Tx) error { _, err := b.Stop(tx, ws, r.Job, nil, ""); return err })
	if o := <-asked; !o.Stop || time.Since(began) > visitHold/2 {
		t.Errorf("%s after the stop it is told %+v", time.Since(began), o)
	}
	if len(b.visitors) != 0 {
		t.Errorf("%d visitors are remembered", len(b.visitors))
	}
}

// What a remembers of a run is not believed after b has answered it: b, whose leases are
// shorter, had less reserved for it, and a grants no more than it has reserved anew.
func TestALeaseIsReservedAnewAfterAVisit(t *testing.T) {
	url := two(t)
	a, b := serverOf(t, url, "a", "api,keeper,jobs", t0, nil), serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	b.Leases = Leases{30 * db.Second, 60 * db.Second}
	r := begun(t, a)
	reserved := func() (lease int64) {
		ok(t, a.DB.View(t.Context(), func(tx *db.Tx) error {
			flow, err := a.Books.Flow(tx, ws, a.row(t, r.Job).run().Flow)
			lease = flow.Lease
			return err
		}))
		return lease
	}
	for _, s := range []*srv{a, b} {
		ok(t, s.clock.Set(t.Context(), t0+3590*db.Second))
	}
	away, err := b.Visit(t.Context(), "a", r)
	ok(t, err)
	if got := away.LeaseUntil - t0; got != 3650*db.Second || reserved() != 60*db.Second {
		t.Fatalf("b lets it run until %d s and has reserved %d s", got/db.Second, reserved()/db.Second)
	}
	r.Seen, r.Lease = away.Version, away.LeaseUntil
	home, err := a.Report(t.Context(), r)
	ok(t, err)
	if got := home.LeaseUntil - t0; got != 7190*db.Second || reserved() != 3600*db.Second {
		t.Errorf("a lets it run until %d s and has reserved %d s", got/db.Second, reserved()/db.Second)
	}
}

// Only a run that has begun, and of the server that the job belongs to, is heard.
func TestWhoMayVisit(t *testing.T) {
	url := two(t)
	a, b := serverOf(t, url, "a", "api,keeper,jobs", t0, nil), serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	r := begun(t, a)
	if _, err := b.Visit(t.Context(), "a", Report{Job: r.Job, Phase: Ready}); !fault.Is(err, fault.Invalid) {
		t.Errorf("one that has not begun: %v", err)
	}
	o, err := b.Visit(t.Context(), "z", r)
	ok(t, err)
	if o.Kill != 1 {
		t.Errorf("one that a server has left to another: %+v", o)
	}
	_, err = b.Visit(t.Context(), "z", b.ended(t, r, t0+db.Second))
	ok(t, err)
	if j := b.row(t, r.Job); j.Status != StatusRunning {
		t.Errorf("the end of its earlier supervisor ended the job: %s", j.Status)
	}
	if _, err := b.Visit(t.Context(), "a", Report{Job: "job_other", Phase: Running}); !fault.Is(err, fault.NotFound) {
		t.Errorf("one that nobody knows: %v", err)
	}
}

// An end that is told at b, told again, and then told at a, counts once.
func TestAnEndThatIsToldElsewhere(t *testing.T) {
	url := two(t)
	a, b := serverOf(t, url, "a", "api,keeper,jobs", t0, nil), serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	r := begun(t, a)
	for _, s := range []*srv{a, b} {
		ok(t, s.clock.Set(t.Context(), t0+100*db.Second))
	}
	for range 2 {
		o, err := b.Visit(t.Context(), "a", b.ended(t, r, t0+90*db.Second))
		ok(t, err)
		if !o.Ack {
			t.Errorf("it is not acknowledged: %+v", o)
		}
	}
	_, err := a.Report(t.Context(), b.ended(t, r, t0+95*db.Second))
	ok(t, err)
	b.settled(t, r.Job, StatusFailed, reasonExit, 90*db.Second)
}

// Nobody heard the supervisor for longer than its lease, and b has closed its job as
// lost. The true end is recorded when it is told at last, to b, to a, or by a's files.
func TestTheEndOfAJobThatWasLost(t *testing.T) {
	for name, tell := range map[string]func(*testing.T, *srv, *srv, Report){
		"to b": func(t *testing.T, a, b *srv, r Report) { _, err := b.Visit(t.Context(), "a", r); ok(t, err) },
		"to a": func(t *testing.T, a, b *srv, r Report) { _, err := a.Report(t.Context(), r); ok(t, err) },
		"by the files of a": func(t *testing.T, a, b *srv, r Report) {
			a.ex.states[r.Job] = State{Launched: true, End: &r}
			ok(t, a.Clean(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := two(t)
			a, b := serverOf(t, url, "a", "api,keeper,jobs", t0, nil), serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
			r := begun(t, a)
			for _, s := range []*srv{a, b} {
				ok(t, s.clock.Set(t.Context(), t0+3*3600*db.Second))
			}
			ok(t, b.Books.RunDue(t.Context()))
			b.update(t, func(tx *db.Tx) error { // as when a has been silent for long
				j, err := find(tx, r.Job)
				if err != nil {
					return err
				}
				return b.adoptEnd(tx, j, j.run())
			})
			b.settled(t, r.Job, StatusFailed, ReasonLost, 0)
			end := b.ended(t, r, t0+1800*db.Second)
			end.Landed = ReasonLease
			for range 2 {
				tell(t, a, b, end)
				b.settled(t, r.Job, StatusStopped, ReasonLease, 1800*db.Second)
			}
		})
	}
}

// A flow that has just ended leaves the supervisor time to tell how.
func TestTheEndIsTheSupervisorsToTell(t *testing.T) {
	url := two(t)
	a, b := serverOf(t, url, "a", "api,keeper,jobs", t0, nil), serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	r := begun(t, a)
	empty := t0 + 188285*db.Second // 1000 credits at 19.12 an hour, and a little
	ok(t, b.clock.Set(t.Context(), empty-60*db.Second))
	_, err := b.Visit(t.Context(), "a", r)
	ok(t, err)
	for _, after := range []int64{0, deserted / 2, 2 * deserted} {
		ok(t, b.clock.Set(t.Context(), empty+after))
		ok(t, b.Books.RunDue(t.Context()))
		b.update(t, func(tx *db.Tx) error {
			j, err := find(tx, r.Job)
			if err != nil {
				return err
			}
			return b.adoptEnd(tx, j, j.run())
		})
		if j := b.row(t, r.Job); j.Status.Ended() != (after > deserted) {
			t.Errorf("%d s after the end of its flow the job is %s", after/db.Second, j.Status)
		}
	}
}

func TestRefuges(t *testing.T) {
	got := Refuges([]db.Server{
		{ID: "a", URL: "http://a", Roles: "api,jobs", IsAlive: true},
		{ID: "b", URL: "http://b", Roles: "api,jobs"},
		{ID: "c", URL: "http://c", Roles: "api,keeper", IsAlive: true},
		{ID: "d", URL: "", Roles: "jobs", IsAlive: true},
		{ID: "e", URL: "http://e", Roles: "jobs", IsAlive: true},
	}, "a")
	if !slices.Equal(got, []string{"http://e", "http://b"}) {
		t.Error(got)
	}
}
