package job

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

type launches struct {
	launched map[string]int
	states   map[string]State
}

func (h *launches) Launch(_ context.Context, spec Spec) error { h.launched[spec.Job]++; return nil }
func (h *launches) Wake(string, int64)                        {}
func (h *launches) Inspect(id string) (State, error)          { return h.states[id], nil }
func (h *launches) Clear(string) error                        { return nil }
func (h *launches) Kept() ([]string, error)                   { return slices.Sorted(maps.Keys(h.states)), nil }
func (h *launches) Remove(string) error                       { return nil }
func (h *launches) Run(ctx context.Context, _ Handler) error  { <-ctx.Done(); return nil }

type srv struct {
	*Service
	ex    *launches
	clock *db.TestClock
}

const t0 = int64(1_795_338_000_000_000_000)

var ws = ledger.ID{Organization: "org_1", Workspace: "ws_1"}

func serverOf(t *testing.T, url, id, roles string, at int64, capacity Capacity) *srv {
	t.Helper()
	clock := db.NewTestClock(at)
	d, err := db.Open(t.Context(), db.Config{URL: url, Clock: clock, Server: db.Server{ID: id, Roles: roles}})
	ok(t, err)
	t.Cleanup(func() { d.Close() })
	books := ledger.New(d, nil)
	prices := price.NewBook(books)
	ok(t, d.Update(t.Context(), prices.Open))
	ex := &launches{map[string]int{}, map[string]State{}}
	s := New(Config{DB: d, Books: books, Prices: prices, Executor: ex, Capacity: capacity})
	ok(t, s.Open(t.Context()))
	ok(t, d.Enroll(t.Context(), "http://"+id))
	return &srv{s, ex, clock}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *srv) update(t *testing.T, fn func(*db.Tx) error) {
	t.Helper()
	ok(t, s.DB.Update(t.Context(), fn))
}

func (s *srv) wallet(t *testing.T) {
	s.update(t, func(tx *db.Tx) error { return s.Books.Create(tx, ws, wallet.DefaultPolicy()) })
}

func (s *srv) grant(t *testing.T, n int64) {
	s.update(t, func(tx *db.Tx) error {
		_, err := s.Books.Apply(tx, ws, wallet.Grant{Lot: wallet.Lot{ID: tx.NewID("lot_"), Kind: wallet.Purchased, Amount: credit.Amount(n) * credit.One, Priority: 50}})
		return err
	})
}

func (s *srv) create(t *testing.T, gpus int64) (shown Shown, err error) {
	err = s.DB.Update(t.Context(), func(tx *db.Tx) (err error) {
		q := Request{Command: []string{"x"}}
		if gpus > 0 {
			q.Resources = Resources{GPU: "h100", GPUCount: gpus}
		} else {
			q.Resources = Resources{CPU: credit.Units}
		}
		shown, err = s.Create(tx, ws, q)
		return err
	})
	return shown, err
}

// admitted is a job for 8 GPUs, in a new wallet with a thousand credits.
func (s *srv) admitted(t *testing.T) Shown {
	t.Helper()
	s.wallet(t)
	s.grant(t, 1000)
	shown, err := s.create(t, 8)
	ok(t, err)
	return shown
}

func (s *srv) row(t *testing.T, id string) (j *Job) {
	t.Helper()
	ok(t, s.DB.View(t.Context(), func(tx *db.Tx) (err error) { j, err = find(tx, id); return err }))
	return j
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(8 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func two(t *testing.T) string {
	if !dbtest.IsPostgres() {
		t.Skip("SQLite has one server; this runs with " + dbtest.Variable)
	}
	return dbtest.URL(t)
}

// b grants; a, which knows the wallet as empty, admits a job.
func TestTheGateAsksTheWalletAsItIs(t *testing.T) {
	url := two(t)
	a := serverOf(t, url, "a", "api,keeper,jobs", t0, nil)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	a.wallet(t)
	if _, err := a.create(t, 8); err == nil {
		t.Fatal("admitted without credits")
	}
	b.grant(t, 100)
	if _, err := a.create(t, 8); err != nil {
		t.Error("100 credits are there, and: ", err)
	}
}

// a restarts in good order while a job of its waits; b sweeps meanwhile.
func TestARestartKeepsItsJobs(t *testing.T) {
	url := two(t)
	a := serverOf(t, url, "a", "api,keeper,jobs", t0, nil)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, Capacity{"gpu.h100": 0})
	a.wallet(t)
	a.grant(t, 1000)
	waiting, err := a.create(t, 8)
	ok(t, err)
	resumed, err := a.create(t, 8)
	ok(t, err)
	a.update(t, func(tx *db.Tx) error { // as Resume leaves it
		j, err := find(tx, resumed.ID)
		if err == nil {
			j.Resumed = true
			err = a.keep(tx, j)
		}
		return err
	})
	ok(t, a.DB.Close()) // a good end
	b.inherit(t.Context())
	for _, id := range []string{waiting.ID, resumed.ID} {
		if j := b.row(t, id); j.Server != "a" || j.Status != StatusQueued {
			t.Errorf("at once after a good end: server %s, %s %s %s", j.Server, j.Status, j.Reason, j.Detail)
		}
	}
	waitFor(t, "row of a", func() bool { return true })
	time.Sleep(700 * time.Millisecond)
	b.update(t, func(tx *db.Tx) error {
		n, err := tx.Exec(`UPDATE servers SET news = news + 1 WHERE id = $1`, "a")
		if n == 0 {
			t.Error("the row of a is gone: what is told to it while it starts is lost")
		}
		return err
	})
}

// Admitted by a server without jobs while none with jobs lives.
func TestAJobFindsAServerThatRunsJobs(t *testing.T) {
	url := two(t)
	a := serverOf(t, url, "a", "api", t0, nil)
	s := a.admitted(t)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil) // is back
	for range 5 {
		b.inherit(t.Context())
		ok(t, b.dispatch(t.Context()))
	}
	if b.ex.launched[s.ID] != 1 {
		t.Errorf("launched %d times; it belongs to %s, which runs no jobs and lives", b.ex.launched[s.ID], b.row(t, s.ID).Server)
	}
}

// b has taken over a queued job; a, that was only silent for long, goes on.
func TestAJobThatWasTakenOverIsLaunchedOnce(t *testing.T) {
	url := two(t)
	a := serverOf(t, url, "a", "api,keeper,jobs", t0, nil)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	s := a.admitted(t)
	b.update(t, func(tx *db.Tx) error { // as adopt does
		j, err := find(tx, s.ID)
		if err == nil {
			j.Server = "b"
			err = b.keep(tx, j)
		}
		return err
	})
	time.Sleep(1200 * time.Millisecond)
	ok(t, a.dispatch(t.Context()))
	ok(t, b.reread(t.Context()))
	ok(t, b.dispatch(t.Context()))
	o, err := a.Report(t.Context(), Report{Job: s.ID, Phase: Ready})
	t.Log("a's supervisor asks:", o, err)
	j := b.row(t, s.ID)
	if a.ex.launched[s.ID] != 0 || b.ex.launched[s.ID] != 1 {
		t.Errorf("launched at a %d times, at b %d times; server %s, %s", a.ex.launched[s.ID], b.ex.launched[s.ID], j.Server, j.Status)
	}
}

// The wallet is ahead of the server that starts a job, by a's faster clock.
func TestARestartBehindTheWalletRunsOneFlow(t *testing.T) {
	url := two(t)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	s := b.admitted(t)
	ok(t, b.dispatch(t.Context()))
	a := serverOf(t, url, "a", "api,keeper,jobs", t0+3e9, nil) // 3 s ahead
	a.grant(t, 1)
	_, err := b.Report(t.Context(), Report{Job: s.ID, Phase: Ready})
	if err != nil {
		j := b.row(t, s.ID)
		t.Fatalf("%v: %s %s %s", err, j.Status, j.Reason, j.Detail)
	}
	ok(t, b.clock.Set(t.Context(), t0+2e9))
	_, err = b.Report(t.Context(), Report{Job: s.ID, Phase: Ready}) // "go" was not heard
	if err != nil {
		j := b.row(t, s.ID)
		t.Errorf("%v: %s %s %s", err, j.Status, j.Reason, j.Detail)
	}
	var running int
	ok(t, b.DB.View(t.Context(), func(tx *db.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM flows WHERE ended = 0`).Scan(&running) }))
	if running != 1 {
		t.Errorf("%d flows run for one job with %d runs", running, len(b.row(t, s.ID).Runs))
	}
}

// admitted by a, which runs no jobs, for b; the log is followed at once at b.
func TestALogIsFollowedBeforeItsServerKnows(t *testing.T) {
	url := two(t)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	a := serverOf(t, url, "a", "api", t0, nil)
	waitFor(t, "a sees b", func() bool { return a.DB.HasOther(Role) })
	s := a.admitted(t)
	l, err := b.OpenLog(t.Context(), ws, s.ID, 0, 0)
	ok(t, err)
	if j := b.row(t, s.ID); l.ended() {
		t.Errorf("its log has ended for a reader, and the job is %s at %s", j.Status, j.Server)
	}
}

// A price that is put by a server whose clock is behind.
func TestAPriceBehindTheWallet(t *testing.T) {
	url := two(t)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	s := b.admitted(t)
	ok(t, b.dispatch(t.Context()))
	_, err := b.Report(t.Context(), Report{Job: s.ID, Phase: Ready})
	ok(t, err)
	a := serverOf(t, url, "a", "api,keeper,jobs", t0+3e9, nil) // 3 s ahead
	a.grant(t, 1)
	skus := price.Catalogue()
	for i := range skus {
		if skus[i].Name == "gpu.h100" {
			skus[i].Prices = map[string]credit.Amount{"on-demand": 5 * credit.One}
		}
	}
	err = b.DB.Update(t.Context(), func(tx *db.Tx) error { _, err := b.Prices.Put(tx, price.Default, skus, 0); return err })
	if err != nil {
		t.Error("the new price is refused: ", err)
	}
	report, err := b.Books.Verify(t.Context(), ledger.Options{})
	if err != nil || !report.IsClean() {
		t.Error(err, report.First)
	}
}

// The end of a run whose flow began, by the wallet's time, after it.
func TestAnEndBehindTheWallet(t *testing.T) {
	url := two(t)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	s := b.admitted(t)
	ok(t, b.dispatch(t.Context()))
	a := serverOf(t, url, "a", "api,keeper,jobs", t0+3e9, nil) // 3 s ahead
	a.grant(t, 1)
	_, err := b.Report(t.Context(), Report{Job: s.ID, Phase: Ready})
	ok(t, err)
	ok(t, a.clock.Set(t.Context(), t0+2*3600e9))
	ok(t, a.Books.RunDue(t.Context())) // its lease lapses
	ok(t, b.clock.Set(t.Context(), t0+2*3600e9))
	_, err = b.Report(t.Context(), Report{Job: s.ID, Phase: Ended, EndedAt: t0 + 1e9, Error: "not executable"})
	if err != nil {
		t.Error("its end is refused for ever: ", err)
	}
}

// A stop that comes while the home of a job restarts: after it has read its jobs, and
// before it has enrolled.
func TestAStopWhileItsServerStarts(t *testing.T) {
	url := two(t)
	a := serverOf(t, url, "a", "api,keeper,jobs", t0, nil)
	b := serverOf(t, url, "b", "api,keeper,jobs", t0, nil)
	s := a.admitted(t)
	ok(t, a.dispatch(t.Context()))
	_, err := a.Report(t.Context(), Report{Job: s.ID, Phase: Ready})
	ok(t, err)
	ok(t, a.DB.Close())
	time.Sleep(1200 * time.Millisecond) // b has beaten
	clock := db.NewTestClock(t0)
	d, err := db.Open(t.Context(), db.Config{URL: url, Clock: clock, Server: db.Server{ID: "a", Roles: "api,keeper,jobs"}})
	ok(t, err)
	defer d.Close()
	books := ledger.New(d, nil)
	a2 := New(Config{DB: d, Books: books, Prices: price.NewBook(books), Executor: &launches{map[string]int{}, map[string]State{s.ID: {Launched: true, Alive: true}}}})
	ok(t, a2.Open(t.Context()))
	b.update(t, func(tx *db.Tx) error { _, err := b.Stop(tx, ws, s.ID, nil, ""); return err })
	ok(t, d.Enroll(t.Context(), "http://a"))
	time.Sleep(1500 * time.Millisecond)
	select {
	case <-d.News():
	default:
		o, err := a2.Report(t.Context(), Report{Job: s.ID, Phase: Running, Seen: 1, StartedAt: t0, Proof: t0})
		t.Errorf("a was not told; its run is told %+v %v, its row has %+v", o, err, b.row(t, s.ID).Stopped)
	}
}
