package job_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/simulated"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

const (
	second = int64(time.Second)
	minute = 60 * second
	hour   = 3600 * second
)

// start is the instant at which every story begins: 2026-11-22 09:00 UTC.
var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixNano()

// world is a server without its edges, in virtual time.
type world struct {
	t       *testing.T
	ctx     context.Context
	dir     string
	url     string
	clock   *db.TestClock
	db      *db.DB
	books   *ledger.Ledger
	jobs    *job.Service
	id      ledger.ID
	stop    func()
	options job.Config
}

func newWorld(t *testing.T, capacity string) *world {
	t.Helper()
	c, err := job.ParseCapacity(capacity)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: context.Background(), dir: t.TempDir(), url: dbtest.URL(t), id: ledger.ID{Organization: "org_1", Workspace: "ws_1"}}
	w.options.Capacity = c
	w.open(start)
	w.update(func(tx *db.Tx) error {
		policy := wallet.DefaultPolicy()
		return w.books.Create(tx, w.id, policy)
	})
	t.Cleanup(func() { w.verify(); w.stop() })
	return w
}

// verify replays the books: every story ends with it.
func (w *world) verify() {
	w.t.Helper()
	report, err := w.books.Verify(w.ctx, ledger.Options{})
	w.check(err)
	if !report.IsClean() {
		w.t.Errorf("the books do not verify: %+v", report.First)
	}
}

// open starts the server, again or for the first time.
func (w *world) open(at int64) {
	w.t.Helper()
	w.clock = db.NewTestClock(at)
	database, err := db.Open(w.ctx, db.Config{URL: w.url, Clock: w.clock})
	w.check(err)
	w.db, w.books = database, ledger.New(database, nil)
	prices := price.NewBook(w.books)
	w.update(prices.Open)
	executor, err := simulated.New(filepath.Join(w.dir, "jobs"), w.clock)
	w.check(err)
	w.jobs = job.New(job.Config{DB: database, Books: w.books, Prices: prices, Executor: executor, Capacity: w.options.Capacity})
	w.check(w.jobs.Open(w.ctx))
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() { defer close(done); executor.Run(ctx, w.jobs) }()
	w.stop = func() { cancel(); <-done; w.check(database.Close()) }
	w.settle()
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) update(fn func(*db.Tx) error) {
	w.t.Helper()
	w.check(w.db.Update(w.ctx, fn))
}

// settle does everything that is due at the present instant.
func (w *world) settle() {
	w.t.Helper()
	w.check(w.books.RunDue(w.ctx))
	_, err := w.jobs.RunDue(w.ctx)
	w.check(err)
}

// advance lets time pass, stopping at every instant at which something is due.
func (w *world) advance(by int64) {
	w.t.Helper()
	w.settle()
	for to := w.clock.Now() + by; ; {
		next := to
		for _, nextAt := range []func(context.Context) (int64, error){w.books.NextAt, w.jobs.NextAt} {
			at, err := nextAt(w.ctx)
			w.check(err)
			if at > 0 && at < next {
				next = max(at, w.clock.Now())
			}
		}
		w.check(w.clock.Set(w.ctx, next))
		w.settle()
		if next == to {
			return
		}
	}
}

func (w *world) grant(amount string) {
	w.t.Helper()
	w.update(func(tx *db.Tx) error {
		a, err := credit.Parse(amount)
		w.check(err)
		_, err = w.books.Apply(tx, w.id, wallet.Grant{Lot: wallet.Lot{ID: tx.NewID("lot_"), Kind: wallet.Purchased, Amount: a, Priority: 50}})
		return err
	})
}

// h100 asks for GPUs at 2.39 an hour each.
func h100(n int64, command ...string) job.Request {
	return job.Request{Command: command, Resources: job.Resources{GPU: "h100", GPUCount: n}}
}

func (w *world) tryCreate(q job.Request) (job.Shown, error) {
	var shown job.Shown
	err := w.db.Update(w.ctx, func(tx *db.Tx) (err error) {
		shown, err = w.jobs.Create(tx, w.id, q)
		return err
	})
	return shown, err
}

func (w *world) create(q job.Request) string {
	w.t.Helper()
	shown, err := w.tryCreate(q)
	w.check(err)
	w.settle()
	return shown.ID
}

func (w *world) show(id string) job.Shown {
	w.t.Helper()
	shown, err := w.jobs.Show(w.ctx, w.id, id)
	w.check(err)
	return shown
}

func (w *world) balance() wallet.Balance {
	w.t.Helper()
	view, err := w.books.View(w.ctx, w.id)
	w.check(err)
	return view.Balance(w.clock.Now())
}

// expect compares what matters of a job.
func (w *world) expect(id string, status job.Status, reason, charged string) job.Shown {
	w.t.Helper()
	s := w.show(id)
	if s.Status != status || s.Reason != reason || s.Charged.String() != charged {
		w.t.Errorf("%s %q, charged %s; want %s %q, charged %s", s.Status, s.Reason, s.Charged, status, reason, charged)
	}
	return s
}

func (w *world) expectBalance(want string) {
	w.t.Helper()
	if got := w.balance().Balance.String(); got != want {
		w.t.Errorf("balance %s, want %s", got, want)
	}
}

func ptr[T any](v T) *T { return &v }

func TestJobIsChargedFromItsStartToItsEnd(t *testing.T) {
	w := newWorld(t, "")
	w.grant("100")
	q := h100(8, "sleep", "5400")
	q.Env = map[string]string{simulated.EnvStartup: "600"}
	id := w.create(q)
	w.advance(10*minute - 1)
	w.expect(id, job.StatusStarting, "", "0")
	w.advance(1)
	s := w.expect(id, job.StatusRunning, "", "0")
	if s.Rate.String() != "19.12" {
		t.Errorf("rate %s", s.Rate)
	}
	w.advance(hour)
	w.expect(id, job.StatusRunning, "", "19.12")
	w.advance(hour)
	s = w.expect(id, job.StatusSucceeded, "", "28.68")
	if s.EndedAt != start+10*minute+5400*second || s.ExitCode() != 0 {
		t.Errorf("ended at %d with %v", s.EndedAt-start, s.ExitCode())
	}
	w.expectBalance("71.32")
}

func TestExhaustionStopsAtTheInstant(t *testing.T) {
	w := newWorld(t, "")
	w.grant("19.12") // an hour of eight
	id := w.create(h100(8, "train"))
	s := w.show(id)
	if s.StopAt != start+hour || s.LandAt != start+hour-2*minute || s.StopReason != "credits" {
		t.Fatalf("stop %d, land %d, %s", s.StopAt-start, s.LandAt-start, s.StopReason)
	}
	w.advance(hour)
	// It died of the signal, two minutes before: it is not charged for these.
	s = w.expect(id, job.StatusExhausted, "credits", "18.482666666")
	if s.EndedAt != start+58*minute || s.ExitCode() != 143 || s.ResumableUntil != 0 {
		t.Errorf("%+v", s.Runs)
	}
}

func TestKilledAtZeroAndResumed(t *testing.T) {
	w := newWorld(t, "")
	w.grant("19.12")
	q := h100(8, "train")
	q.Env = map[string]string{simulated.EnvRuntime: "7200", simulated.EnvCheckpoint: "30", simulated.EnvIgnore: "1"}
	id := w.create(q)
	w.advance(hour - 1)
	w.expect(id, job.StatusLanding, "credits", "19.119999999")
	w.advance(1)
	s := w.expect(id, job.StatusExhausted, "credits", "19.12")
	w.expectBalance("0")
	if s.ExitCode() != 137 || s.Runs[0].LateNs != 0 || s.ResumableUntil != start+25*hour {
		t.Errorf("%+v", s.Runs)
	}
	resume := func() (err error) {
		return w.db.Update(w.ctx, func(tx *db.Tx) error { _, err = w.jobs.Resume(tx, w.id, id, 0, 0); return err })
	}
	if err := resume(); !fault.Is(err, fault.Insufficient) {
		t.Fatalf("without credits: %v", err)
	}
	w.grant("100")
	w.check(resume())
	w.advance(2 * hour)
	// The checkpoint was made 30 s into the landing: 58.5 minutes of 120 are done.
	s = w.expect(id, job.StatusSucceeded, "", "38.718")
	if len(s.Runs) != 2 || s.EndedAt-s.Runs[1].StartedAt != 61*minute+30*second {
		t.Errorf("%+v", s.Runs)
	}
}

func TestGrantDuringLandingCancelsIt(t *testing.T) {
	w := newWorld(t, "")
	w.grant("19.12")
	q := h100(8, "train")
	q.Env = map[string]string{simulated.EnvCheckpoint: "90"}
	id := w.create(q)
	w.advance(59 * minute)
	w.expect(id, job.StatusLanding, "credits", "18.801333333")
	w.grant("0.3") // less than a minute: it goes on landing
	w.settle()
	if s := w.show(id); s.Status != job.StatusLanding {
		t.Fatalf("%s", s.Status)
	}
	w.grant("19.12")
	w.settle()
	if s := w.show(id); s.Status != job.StatusRunning || s.LandAt <= w.clock.Now() {
		t.Fatalf("%s, lands at %d", s.Status, s.LandAt-start)
	}
	w.advance(59 * minute)
	w.expect(id, job.StatusRunning, "", "37.602666666")
	w.advance(hour)
	// 38.54 credits last 2:00:56.485…; it saved for 90 of the last 120 seconds.
	s := w.expect(id, job.StatusExhausted, "credits", "38.380666666")
	if s.EndedAt-start != 7_226_485_355_649 || s.ResumableUntil == 0 {
		t.Errorf("%+v", s.Runs)
	}
}

func TestMaxCostAndMaxRuntimeAreExact(t *testing.T) {
	w := newWorld(t, "")
	w.grant("100")
	q := h100(8, "train")
	q.Env, q.MaxCost = map[string]string{simulated.EnvIgnore: "1"}, 5*credit.One
	cost := w.create(q)
	q.MaxCost, q.MaxRuntime = 0, 1000*second
	runtime := w.create(q)
	w.advance(hour)
	s := w.expect(cost, job.StatusExhausted, "max_cost", "5")
	if want := int64(941_422_594_143); s.EndedAt-s.StartedAt != want {
		t.Errorf("ran %d ns, want %d", s.EndedAt-s.StartedAt, want)
	}
	s = w.expect(runtime, job.StatusStopped, "max_runtime", "5.311111111")
	if s.EndedAt-s.StartedAt != 1000*second {
		t.Errorf("ran %d", s.EndedAt-s.StartedAt)
	}
	w.expectBalance("89.688888889")
}

func TestWaitingIsNotChargedAndFirstComeFirstServed(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.grant("1000")
	q := h100(8, "sleep", "3600")
	first, second, third := w.create(q), w.create(h100(6, "sleep", "1800")), w.create(h100(2, "sleep", "1800"))
	if s := w.show(second); s.Status != job.StatusQueued || s.Position != 1 || s.Behind != "gpu.h100" {
		t.Errorf("second: %s at %d behind %q", s.Status, s.Position, s.Behind)
	}
	if s := w.show(third); s.Position != 2 {
		t.Errorf("third at %d", s.Position)
	}
	if b := w.balance(); b.Held == 0 {
		t.Error("nothing is held for those that wait")
	}
	if _, err := w.tryCreate(h100(9, "true")); fault.Of(err) == nil || fault.Of(err).Code != "over_capacity" {
		t.Errorf("nine of eight: %v", err)
	}
	w.advance(2 * hour)
	w.expect(first, job.StatusSucceeded, "", "19.12")
	s := w.expect(second, job.StatusSucceeded, "", "7.17")
	if s.StartedAt != start+hour {
		t.Errorf("second started %s late", time.Duration(s.StartedAt-start))
	}
	w.expect(third, job.StatusSucceeded, "", "2.39")
	if b := w.balance(); b.Held != 0 || b.Balance.String() != "971.32" {
		t.Errorf("held %s, balance %s", b.Held, b.Balance)
	}
}

// A hold lasts a day; a job that waits longer keeps its place, and is refused
// clearly when the credits are gone.
func TestHoldOfAWaitingJobIsRenewed(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.grant("1000")
	w.create(h100(8, "sleep", "108000")) // 30 hours
	waits := w.create(h100(4, "sleep", "3600"))
	w.advance(26 * hour)
	if s := w.show(waits); s.Status != job.StatusQueued || s.HeldUntil != start+47*hour {
		t.Fatalf("%s, held for %s", s.Status, time.Duration(s.HeldUntil-start))
	}
	w.advance(6 * hour)
	w.expect(waits, job.StatusSucceeded, "", "9.56")
}

func TestGateRefusesWithItsNumbers(t *testing.T) {
	w := newWorld(t, "")
	w.grant("19")
	_, err := w.tryCreate(h100(8, "true"))
	f := fault.Of(err)
	if f == nil || f.Code != "insufficient_credits" || f.Values["required"] != credit.Amount(19_120_000_000) || f.Values["shortfall"] != credit.Amount(120_000_000) {
		t.Fatalf("%v %+v", err, f)
	}
	w.grant("0.12")
	w.create(h100(8, "true"))
}

// Whoever is admitted can start, even if all start at once in a wallet that
// carries no more.
func TestWhoeverIsAdmittedStarts(t *testing.T) {
	for _, held := range []bool{false, true} {
		w := newWorld(t, "")
		w.grant("191.20") // ten hours of eight
		q, admitted := h100(8, "sleep", "600"), []string{}
		if held {
			q.MaxCost = 1912 * credit.One / 100
		}
		for range 20 {
			shown, err := w.tryCreate(q)
			if err == nil {
				admitted = append(admitted, shown.ID)
			} else if !fault.Is(err, fault.Insufficient) {
				t.Fatal(err)
			}
		}
		w.settle()
		for _, id := range admitted {
			if s := w.show(id); s.Status != job.StatusRunning {
				t.Errorf("%s %s %s", s.Status, s.Reason, s.Detail)
			}
		}
		want := 10 // by their max_cost
		if !held {
			want = fitting(191_200_000_000)
		}
		if len(admitted) != want {
			t.Errorf("max_cost %t: %d admitted, %d fit", held, len(admitted), want)
		}
		t.Logf("max_cost %t: %d of 20 admitted and started", held, len(admitted))
	}
}

// fitting is how many jobs of eight, created at one instant, fit into so many
// nano-credits. The gate wants an hour of each. Set aside are that hour and, as
// far as there is so much, the lease and the grace of two minutes. The lease is
// the longest of 30 s doubled and doubled again, but for an hour at most, that is
// no longer than a tenth of what the credits carry.
func fitting(left int64) (n int) {
	const anHour = 19_120_000_000
	for ; left >= anHour; n++ {
		carries, lease := left*3600/anHour, int64(30) // in seconds
		for lease*2 <= carries/10 {
			lease *= 2
		}
		if carries/10 >= 3600 {
			lease = 3600
		}
		left -= min(left, anHour+(anHour*(lease+120)+3599)/3600)
	}
	return n
}

func (w *world) stopJob(id string, grace *int64) {
	w.t.Helper()
	w.update(func(tx *db.Tx) error { _, err := w.jobs.Stop(tx, w.id, id, grace, ""); return err })
	w.settle()
}

func TestStopInEveryState(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.grant("1000")
	slow := h100(8, "train")
	slow.Env = map[string]string{simulated.EnvStartup: "60", simulated.EnvIgnore: "1"}
	running, queued := w.create(slow), w.create(h100(8, "train"))
	w.stopJob(queued, nil)
	w.expect(queued, job.StatusStopped, "request", "0")
	w.advance(90 * second)
	w.expect(running, job.StatusRunning, "", "0.159333333")
	w.stopJob(running, ptr(30*second))
	w.expect(running, job.StatusLanding, "request", "0.159333333")
	w.advance(minute)
	s := w.expect(running, job.StatusStopped, "request", "0.318666666")
	if s.EndedAt-s.StartedAt != minute || s.ExitCode() != 137 {
		t.Errorf("%+v", s.Runs)
	}
	starting := w.create(slow)
	w.stopJob(starting, nil)
	w.advance(2 * minute)
	w.expect(starting, job.StatusStopped, "request", "0")
	if b := w.balance(); b.Held != 0 || b.BurnRate != 0 {
		t.Errorf("%+v", b)
	}
}

func TestChangeMovesTheStop(t *testing.T) {
	w := newWorld(t, "")
	w.grant("100")
	q := h100(8, "train")
	q.Env, q.MaxCost = map[string]string{simulated.EnvIgnore: "1"}, 5*credit.One
	id := w.create(q)
	change := func(c job.Change) error {
		return w.db.Update(w.ctx, func(tx *db.Tx) error { _, err := w.jobs.Change(tx, w.id, id, c); return err })
	}
	w.advance(10 * minute)
	w.check(change(job.Change{MaxCost: ptr(10 * credit.One), Name: ptr("longer")}))
	if err := change(job.Change{MaxCost: ptr(credit.One)}); !fault.Is(err, fault.Invalid) {
		t.Errorf("less than was used: %v", err)
	}
	w.advance(20 * minute)
	w.check(change(job.Change{MaxRuntime: ptr(31 * minute)}))
	w.advance(hour)
	w.expect(id, job.StatusStopped, "max_runtime", "9.878666666")
	if err := change(job.Change{Name: ptr("late")}); !fault.Is(err, fault.Conflict) {
		t.Errorf("after the end: %v", err)
	}
}

// The server is restarted in every phase of a job; virtual processes outlive it
// like real ones, and time does not stand still meanwhile.
func TestRestartAtAnyInstant(t *testing.T) {
	for _, at := range []int64{0, 30 * second, minute, 30 * minute, 58 * minute, 59*minute + 30*second, hour, hour + minute, 2 * hour} {
		w := newWorld(t, "")
		w.grant("19.12")
		q := h100(8, "train")
		q.Env = map[string]string{simulated.EnvStartup: "60", simulated.EnvCheckpoint: "60"}
		id := w.create(q)
		w.advance(at)
		w.stop()
		w.open(w.clock.Now() + 10*second)
		w.advance(3 * hour)
		s := w.show(id)
		// It ends a minute into its landing, wherever the server died.
		if s.Status != job.StatusExhausted || s.Charged.String() != "18.801333333" || s.EndedAt-s.StartedAt != 59*minute {
			t.Errorf("restart after %s: %s %q, charged %s, ran %s", time.Duration(at), s.Status, s.Reason, s.Charged, time.Duration(s.EndedAt-s.StartedAt))
		}
		if got := w.balance().Balance + s.Charged; got != 1912*credit.One/100 {
			t.Errorf("restart after %s: balance and charges are %s", time.Duration(at), got)
		}
	}
}
