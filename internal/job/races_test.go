package job_test

import (
	"context"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// hand is an executor that does nothing by itself: a test says what runs say,
// in whatever order and however often.
type hand struct {
	launched map[string]int
	states   map[string]job.State
	cleared  int
	refuse   error
}

func (h *hand) Launch(_ context.Context, spec job.Spec) error {
	h.launched[spec.Job]++
	return h.refuse
}
func (h *hand) Wake(string, int64)                           {}
func (h *hand) Inspect(id string) (job.State, error)         { return h.states[id], nil }
func (h *hand) Clear(string) error                           { h.cleared++; return nil }
func (h *hand) Kept() ([]string, error)                      { return nil, nil }
func (h *hand) Remove(string) error                          { return nil }
func (h *hand) Run(ctx context.Context, _ job.Handler) error { <-ctx.Done(); return nil }

// byHand is a world whose executor is a hand.
func byHand(t *testing.T) (*world, *hand) {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), dir: t.TempDir(), id: ledger.ID{Organization: "org_1", Workspace: "ws_1"}}
	h := &hand{launched: map[string]int{}, states: map[string]job.State{}}
	w.clock = db.NewTestClock(start)
	database, err := db.Open(w.ctx, db.Config{URL: dbtest.URL(t), Clock: w.clock})
	w.check(err)
	t.Cleanup(func() { w.verify(); database.Close() })
	w.db, w.books = database, ledger.New(database, nil)
	prices := price.NewBook(w.books)
	w.update(prices.Open)
	w.jobs = job.New(job.Config{DB: database, Books: w.books, Prices: prices, Executor: h})
	w.update(func(tx *db.Tx) error { return w.books.Create(tx, w.id, wallet.DefaultPolicy()) })
	w.grant("19.12") // an hour of eight
	return w, h
}

// lived is byHand with a job of eight that has run for so long.
func lived(t *testing.T, dt int64) (w *world, h *hand, id string) {
	t.Helper()
	w, h = byHand(t)
	id = w.create(h100(8, "train"))
	w.ready(id)
	w.live(id, dt)
	return w, h, id
}

// say reports and wants an answer.
func (w *world) say(r job.Report) job.Orders {
	w.t.Helper()
	o, err := w.jobs.Report(w.ctx, r)
	w.check(err)
	return o
}

func (w *world) ready(id string) job.Orders { return w.say(job.Report{Job: id, Phase: job.Ready}) }

func (w *world) running(id string) job.Orders {
	now := w.clock.Now()
	return w.say(job.Report{Job: id, Phase: job.Running, Proof: now, StartedAt: now})
}

// ended is the report of a run that exited 0 now.
func (w *world) ended(id string, change func(*job.Report)) job.Orders {
	w.t.Helper()
	r := job.Report{Job: id, Phase: job.Ended, StartedAt: 1, EndedAt: w.clock.Now()}
	if change != nil {
		change(&r)
	}
	return w.say(r)
}

// pass lets time pass without the executor.
func (w *world) pass(by int64) {
	w.t.Helper()
	for to := w.clock.Now() + by; ; {
		w.check(w.books.RunDue(w.ctx))
		next, err := w.books.NextAt(w.ctx)
		w.check(err)
		if next == 0 || next > to {
			next = to
		}
		w.check(w.clock.Set(w.ctx, max(next, w.clock.Now())))
		if next == to {
			w.check(w.books.RunDue(w.ctx))
			return
		}
	}
}

// live lets time pass for a run that reports every minute.
func (w *world) live(id string, by int64) {
	w.t.Helper()
	for ; by > minute; by -= minute {
		w.pass(minute)
		w.running(id)
	}
	w.pass(by)
	w.running(id)
}

func TestReadyToldAgainStartsOneFlow(t *testing.T) {
	w, _ := byHand(t)
	id := w.create(h100(8, "train"))
	if o := w.ready(id); !o.Go {
		t.Fatalf("%+v", o)
	}
	first := w.show(id).Flow.ID
	w.pass(second / 2)
	if o := w.ready(id); !o.Go || w.show(id).Flow.ID != first {
		t.Errorf("half a second later: %+v, flow %s", o, w.show(id).Flow.ID)
	}
	// The server was away for a minute: nothing ran, nothing is paid.
	w.pass(minute)
	if o := w.ready(id); !o.Go || w.show(id).Flow.ID == first {
		t.Errorf("a minute later: %+v", o)
	}
	w.expect(id, job.StatusRunning, "", "0")
	w.expectBalance("19.12")
	w.pass(minute)
	w.ended(id, nil)
	s := w.expect(id, job.StatusSucceeded, "", "0.318666666")
	if len(s.Runs) != 1 || s.StartedAt != start+minute+second/2 {
		t.Errorf("%d runs, started %s late", len(s.Runs), time.Duration(s.StartedAt-start))
	}
}

// A run that was told to go, and asks for orders once more before it can say that
// it runs, keeps its flow, however long that takes: the command runs on it.
func TestReadyAfterGoKeepsItsFlow(t *testing.T) {
	w, _ := byHand(t)
	id := w.create(h100(8, "train"))
	heard := w.ready(id)
	first := w.show(id).Flow.ID
	w.pass(10 * second)
	if o := w.say(job.Report{Job: id, Phase: job.Ready, Seen: heard.Version}); !o.Go || w.show(id).Flow.ID != first {
		t.Errorf("%+v, flow %s", o, w.show(id).Flow.ID)
	}
	w.pass(50 * second)
	w.ended(id, nil)
	w.expect(id, job.StatusSucceeded, "", "0.318666666")
}

func TestEndToldAgainCountsOnce(t *testing.T) {
	w, _, id := lived(t, 10*minute)
	for range 3 {
		if o := w.ended(id, func(r *job.Report) { r.EndedAt = start + 5*minute }); !o.Ack {
			t.Fatal("not acknowledged")
		}
	}
	w.expect(id, job.StatusSucceeded, "", "1.593333333")
	w.expectBalance("17.526666667")
	if _, err := w.jobs.Report(w.ctx, job.Report{Job: "job_unknown", Phase: job.Ended}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown job: %v", err)
	}
}

// The end of the first run comes again after the job was resumed: it is not the
// end of the second.
func TestEndOfAnEarlierRunIsOnlyAcknowledged(t *testing.T) {
	w, _, id := lived(t, 59*minute)
	landed := func(r *job.Report) { r.Landed, r.Checkpoint, r.EndedAt = "credits", true, start+59*minute }
	w.ended(id, landed)
	w.grant("100")
	w.pass(minute)
	w.update(func(tx *db.Tx) error { _, err := w.jobs.Resume(tx, w.id, id, 0, 0); return err })
	if o := w.ended(id, landed); !o.Ack || w.show(id).Status != job.StatusQueued {
		t.Errorf("while queued: %+v", o)
	}
	w.settle()
	w.ready(id)
	if o := w.ended(id, landed); !o.Ack || w.show(id).Status != job.StatusRunning {
		t.Errorf("while running: %+v, %s", o, w.show(id).Status)
	}
	w.live(id, hour)
	w.ended(id, nil)
	w.expect(id, job.StatusSucceeded, "", "37.921333333")
}

// The engine has closed the flow at the computed instant. The process ended a
// little after it (overrun, the operator's), or well before (given back).
func TestTrueEndCorrectsTheComputedOne(t *testing.T) {
	for _, x := range []struct {
		after         int64
		landed        string
		status        job.Status
		charged, left string
		loss          string
	}{
		{3 * int64(time.Millisecond), "credits", job.StatusExhausted, "19.12", "0", "0.000015933"},
		{-90 * second, "credits", job.StatusExhausted, "18.642", "0.478", "0"},
		{-30 * minute, "", job.StatusSucceeded, "9.56", "9.56", "0"},
		{0, "credits", job.StatusExhausted, "19.12", "0", "0"},
	} {
		w, _, id := lived(t, 2*hour)
		w.ended(id, func(r *job.Report) { r.EndedAt, r.Landed = start+hour+x.after, x.landed })
		s := w.expect(id, x.status, x.landed, x.charged)
		w.expectBalance(x.left)
		if s.Flow.EndedAt != start+hour+min(0, x.after) || s.EndedAt != start+hour+x.after {
			t.Errorf("flow ended at %d, job at %d", s.Flow.EndedAt-start, s.EndedAt-start)
		}
		w.expectUsed(id, 8*(hour+x.after))
		var loss credit.Amount
		w.check(w.db.View(w.ctx, func(tx *db.Tx) error {
			return tx.QueryRow(`SELECT CAST(SUM(CASE 'house/overrun' WHEN debit THEN amount WHEN credit THEN -amount ELSE 0 END) AS BIGINT)
				FROM postings`).Scan(&loss)
		}))
		if loss.String() != x.loss {
			t.Errorf("a loss of %s, want %s", loss, x.loss)
		}
	}
}

// expectUsed wants so many unit-nanoseconds in the hourly totals of a job.
func (w *world) expectUsed(id string, want int64) {
	w.t.Helper()
	var used int64
	w.check(w.db.View(w.ctx, func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT CAST(SUM(quantity) AS BIGINT) FROM totals WHERE job = $1`, id).Scan(&used)
	}))
	if used*1000 != want {
		w.t.Errorf("the totals have %d micro-unit-seconds, want %d", used, want/1000)
	}
}

// Whatever ended the flow in the books, a run that had ended before is charged, and
// counted as used, to its true end.
func TestTrueEndBeforeTheComputedOne(t *testing.T) {
	most := credit.Amount(4_780_000_000) // a quarter of an hour
	told := func(w *world, id string) {
		w.update(func(tx *db.Tx) error {
			_, err := w.books.Apply(tx, w.id, wallet.Late{Flow: *w.show(id).Flow, Until: start + 50*minute})
			return err
		})
	}
	for name, x := range map[string]struct {
		request job.Request
		live    int64
		also    func(w *world, id string)
	}{
		"max_cost":       {request: job.Request{MaxCost: most}, live: hour},
		"max_runtime":    {request: job.Request{MaxRuntime: 15 * minute}, live: hour},
		"lease":          {live: 12 * minute},
		"told otherwise": {live: 12 * minute, also: told},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := byHand(t)
			q := h100(8, "train")
			q.MaxCost, q.MaxRuntime = x.request.MaxCost, x.request.MaxRuntime
			id := w.create(q)
			w.ready(id)
			w.live(id, x.live)
			w.pass(3 * hour)
			if x.also != nil {
				x.also(w, id)
			}
			before := w.show(id)
			if !before.Flow.Status.Ended() || before.Flow.EndedAt <= start+10*minute {
				t.Fatalf("the flow is %s since %d", before.Flow.Status, before.Flow.EndedAt-start)
			}
			for range 2 {
				w.ended(id, func(r *job.Report) { r.EndedAt = start + 10*minute })
			}
			s := w.show(id)
			if s.Flow.EndedAt != start+10*minute || s.Charged.String() != "3.186666666" {
				t.Errorf("charged %s (%s before) to %d", s.Charged, before.Charged, s.Flow.EndedAt-start)
			}
			w.expectBalance("15.933333334")
			w.expectUsed(id, 80*minute)
		})
	}
}

// The holder of a lost flow told an end before its supervisor came back with a
// later one: it is not asked for that time again.
func TestTrueEndAfterTheOneThatWasTold(t *testing.T) {
	w, _, id := lived(t, 12*minute)
	w.pass(3 * hour)
	w.update(func(tx *db.Tx) error {
		_, err := w.books.Apply(tx, w.id, wallet.Late{Flow: *w.show(id).Flow, Until: start + 15*minute})
		return err
	})
	w.ended(id, func(r *job.Report) { r.EndedAt = start + 20*minute })
	if s := w.show(id); s.EndedAt != start+20*minute || s.Charged.String() != "4.78" {
		t.Errorf("%s to %d, charged %s", s.Status, s.EndedAt-start, s.Charged)
	}
	w.expectUsed(id, 160*minute)
}

// What is refunded of a job is no part of what it was charged.
func TestChargedIsNetOfRefunds(t *testing.T) {
	w, _, id := lived(t, 10*minute)
	w.ended(id, nil)
	w.expect(id, job.StatusSucceeded, "", "3.186666666")
	w.update(func(tx *db.Tx) error {
		_, err := w.books.Apply(tx, w.id, wallet.Refund{Charge: wallet.Charge{No: 1}, Amount: 2 * credit.One})
		return err
	})
	w.expect(id, job.StatusSucceeded, "", "1.186666666")
	w.expectBalance("17.933333334")
}

// A grant that arrives after the process ended in its landing does not make it a
// success.
func TestGrantAfterTheExitChangesNothing(t *testing.T) {
	w, _, id := lived(t, 58*minute+second)
	at := w.clock.Now()
	w.pass(second)
	w.grant("100")
	w.ended(id, func(r *job.Report) { r.EndedAt, r.Landed, r.Checkpoint = at, "credits", true })
	if s := w.show(id); s.Status != job.StatusExhausted || s.ResumableUntil == 0 {
		t.Errorf("%s %s", s.Status, s.Reason)
	}
}

// A job ends by itself just before a stop reaches it: it has succeeded. If the
// stop was first, it was stopped, whatever its exit code.
func TestStopAgainstTheEnd(t *testing.T) {
	for landed, want := range map[string]job.Status{"": job.StatusSucceeded, job.ReasonStop: job.StatusStopped} {
		w, _, id := lived(t, 10*minute)
		w.stopJob(id, nil)
		if o := w.running(id); !o.Stop || o.Reason != job.ReasonStop {
			t.Errorf("%+v", o)
		}
		w.pass(second)
		w.ended(id, func(r *job.Report) { r.Landed = landed })
		if s := w.show(id); s.Status != want {
			t.Errorf("landed %q: %s", landed, s.Status)
		}
	}
}

// What will stop a job that was told to stop is its grace, unless the credits end
// before that.
func TestAStoppedJobSaysItsDeadline(t *testing.T) {
	w, _, id := lived(t, 10*minute)
	before := w.show(id)
	long, short := int64(24*hour), int64(30*second)
	w.stopJob(id, &long)
	if s := w.show(id); s.StopAt != before.StopAt || s.StopReason != before.StopReason || s.LandAt != start+10*minute {
		t.Errorf("stop %d (%s), signalled %d", s.StopAt-start, s.StopReason, s.LandAt-start)
	}
	w.stopJob(id, &short)
	if s := w.show(id); s.StopAt != start+10*minute+short || s.StopReason != job.ReasonRequest {
		t.Errorf("stop %d (%s)", s.StopAt-start, s.StopReason)
	}
}

// The reason that was given for a stop stands with the end of the flow, for whoever
// reads the events later.
func TestTheReasonOfAStopIsInTheEvents(t *testing.T) {
	w, _ := byHand(t)
	id := w.create(h100(8, "train"))
	w.ready(id)
	w.update(func(tx *db.Tx) error { _, err := w.jobs.Stop(tx, w.id, id, nil, "the loss does not fall"); return err })
	w.pass(second)
	w.ended(id, func(r *job.Report) { r.Landed = job.ReasonStop })
	w.expect(id, job.StatusStopped, job.ReasonRequest, "0.005311111")
	flow := w.show(id).Flow.ID
	w.update(func(tx *db.Tx) error {
		ends, _, err := w.books.Events(tx, w.id, ledger.EventFilter{Kind: wallet.EventEnded, Subject: flow}, ledger.Page{Limit: 10})
		if len(ends) != 1 || ends[0].Data["note"] != "the loss does not fall" || ends[0].Data["reason"] != job.ReasonRequest {
			t.Errorf("%+v", ends)
		}
		return err
	})
}

func TestStopWhileStartingNeverRuns(t *testing.T) {
	w, _ := byHand(t)
	id := w.create(h100(8, "train"))
	w.stopJob(id, nil)
	if _, err := w.jobs.Report(w.ctx, job.Report{Job: id, Phase: job.Ready}); !fault.Is(err, fault.NotFound) {
		t.Errorf("ready was answered %v", err)
	}
	w.expect(id, job.StatusStopped, "request", "0")
	if b := w.balance(); b.Held != 0 {
		t.Errorf("held %s", b.Held)
	}
}

// A supervisor that never comes up is tried again, and then the job fails.
func TestSupervisorThatDiesBeforeTheStart(t *testing.T) {
	w, h := byHand(t)
	id := w.create(h100(8, "train"))
	for n := range 3 {
		if h.launched[id] != n+1 {
			t.Fatalf("launched %d times, not %d", h.launched[id], n+1)
		}
		w.check(w.jobs.Gone(w.ctx, id))
		w.settle()
	}
	s := w.expect(id, job.StatusFailed, "executor", "0")
	if s.Detail == "" || w.balance().Held != 0 {
		t.Errorf("%q, held %s", s.Detail, w.balance().Held)
	}
}

func TestCommandThatCannotBeExecuted(t *testing.T) {
	w, _ := byHand(t)
	id := w.create(h100(8, "no-such-program"))
	w.ready(id)
	w.pass(second)
	w.ended(id, func(r *job.Report) { r.StartedAt, r.Error, r.ExitCode = 0, "the command was not found", 127 })
	s := w.expect(id, job.StatusFailed, "executor", "0")
	if s.Detail != "the command was not found" || s.ExitCode() != 127 {
		t.Errorf("%q, %d", s.Detail, s.ExitCode())
	}
	w.expectBalance("19.12")
	// The same before it was ready.
	id = w.create(h100(8, "no-such-program"))
	w.ended(id, func(r *job.Report) { r.StartedAt, r.Error, r.ExitCode = 0, "the command was not found", 127 })
	if s := w.expect(id, job.StatusFailed, "executor", "0"); s.ExitCode() != 127 {
		t.Errorf("before it was ready: %d", s.ExitCode())
	}
}

// A run that died is charged to its last proof of life.
func TestRunThatDiedIsChargedToItsProof(t *testing.T) {
	w, h, id := lived(t, 8*minute)
	w.pass(2 * minute) // what its executor keeps is newer than what was heard
	h.states[id] = job.State{Launched: true, Proof: start + 9*minute, Checkpoint: true}
	w.check(w.jobs.Gone(w.ctx, id))
	w.check(w.jobs.Gone(w.ctx, id))
	s := w.expect(id, job.StatusFailed, "lost", "2.868")
	if s.Flow.Status != wallet.Lost || s.ResumableUntil == 0 {
		t.Errorf("%s, resumable until %d", s.Flow.Status, s.ResumableUntil)
	}
	w.expectBalance("16.252")
}

// Nobody renews the lease: the flow is closed as lost at its start, which is the
// last proof there is. Then the executor comes back and says when the job truly
// ended: that is a late fact.
func TestHolderThatComesBack(t *testing.T) {
	w, _ := byHand(t)
	id := w.create(h100(8, "train"))
	w.ready(id)
	w.pass(30 * minute)
	if s := w.show(id); s.Flow.Status != wallet.Lost || s.Flow.Charged != 0 {
		t.Fatalf("%s, charged %s", s.Flow.Status, s.Flow.Charged)
	}
	if o := w.running(id); o.Kill == 0 || o.Kill > w.clock.Now() {
		t.Errorf("it is not told to end: %+v", o)
	}
	w.ended(id, func(r *job.Report) { r.EndedAt, r.Landed = start+10*minute, job.ReasonLease })
	w.expect(id, job.StatusStopped, "lease", "3.186666666") // 19.12 × 600 / 3600
	w.expectBalance("15.933333334")
}

// The orders follow from the wallet, and the lease never passes the landing.
func TestOrdersFollowTheWallet(t *testing.T) {
	w, _ := byHand(t)
	id := w.create(h100(8, "train"))
	o := w.ready(id)
	stop := start + hour
	if o.Land != stop-2*minute || o.Kill != stop || o.Reason != "credits" || o.Grace != 2*minute || o.LeaseUntil != start+4*minute {
		t.Errorf("%+v, lease %s", o, time.Duration(o.LeaseUntil-start))
	}
	for w.clock.Now() < stop-3*minute {
		w.pass(minute)
		if o = w.running(id); o.LeaseUntil > o.Land || o.LeaseUntil <= w.clock.Now() {
			t.Fatalf("at %s: lease until %s", time.Duration(w.clock.Now()-start), time.Duration(o.LeaseUntil-start))
		}
	}
	w.pass(2 * minute)
	if o = w.running(id); o.LeaseUntil != stop || o.Land >= w.clock.Now() {
		t.Errorf("landing: %+v", o)
	}
	version := o.Version
	w.grant("19.12")
	if o = w.running(id); o.Version == version || o.Kill != stop+hour || o.Land != stop+hour-2*minute || o.LeaseUntil <= stop-minute {
		t.Errorf("after the grant: %+v", o)
	}
	w.pass(2 * hour)
	if o = w.running(id); o.Kill != o.Land || o.Kill > w.clock.Now() {
		t.Errorf("over the line: %+v", o)
	}
}

// The server dies after the row and before, or after, the launch.
func TestReconcileAtTheStart(t *testing.T) {
	w, h := byHand(t)
	id := w.create(h100(8, "train"))
	again := func() {
		jobs := w.jobs.Config
		w.jobs = job.New(jobs)
		w.check(w.jobs.Open(w.ctx))
		w.settle()
	}
	again()
	if h.launched[id] != 2 || h.cleared == 0 {
		t.Errorf("launched %d times", h.launched[id])
	}
	h.states[id] = job.State{Launched: true, Alive: true}
	again()
	if h.launched[id] != 2 {
		t.Errorf("launched %d times though it lives", h.launched[id])
	}
	w.ready(id)
	w.pass(minute)
	end := job.Report{Job: id, Phase: job.Ended, StartedAt: start, EndedAt: start + minute/2}
	h.states[id] = job.State{Launched: true, End: &end}
	again()
	w.expect(id, job.StatusSucceeded, "", "0.159333333")
}

// The server dies between the row "starting" of a resumed job and its launch: what
// the executor knows is the end of the run before, which says nothing of this one.
func TestRestartBeforeAResumedRunIsLaunched(t *testing.T) {
	w, h, id := lived(t, 59*minute)
	before := job.Report{Job: id, Phase: job.Ended, StartedAt: 1, Landed: "credits", Checkpoint: true, EndedAt: start + 59*minute}
	w.say(before)
	h.states[id] = job.State{Launched: true, End: &before, Checkpoint: true}
	w.grant("100")
	w.pass(minute)
	w.update(func(tx *db.Tx) error { _, err := w.jobs.Resume(tx, w.id, id, 0, 0); return err })
	w.settle()
	if s := w.show(id); s.Status != job.StatusStarting {
		t.Fatalf("it is %s", s.Status)
	}
	launched := h.launched[id]
	w.check(w.jobs.Open(w.ctx))
	w.settle()
	if h.launched[id] != launched+1 {
		t.Errorf("launched %d times after the restart; it is %s", h.launched[id]-launched, w.show(id).Status)
	}
	w.ready(id)
	w.expect(id, job.StatusRunning, "", w.show(id).Charged.String())
}

// A job that deletes what its executor keeps of it is billed to the last proof of
// life that the server has heard.
func TestGoneWithoutATrace(t *testing.T) {
	w, h, id := lived(t, 10*minute)
	w.pass(30 * second)
	delete(h.states, id)
	w.check(w.jobs.Gone(w.ctx, id))
	w.expect(id, job.StatusFailed, job.ReasonLost, "3.186666666") // ten minutes, not nothing
}
