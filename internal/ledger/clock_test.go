package ledger

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// shifted is the machine's clock, ahead by what a test says.
type shifted struct{ by atomic.Int64 }

func (s *shifted) Now() int64 { return time.Now().UnixNano() + s.by.Load() }

// realTime is a server on the machine's clock, which a test shifts.
type realTime struct {
	*Ledger
	*testing.T
	clock *shifted
}

func inRealTime(t *testing.T, url string, by time.Duration) *realTime {
	t.Helper()
	r := &realTime{nil, t, &shifted{}}
	r.clock.by.Store(int64(by))
	d, err := db.Open(t.Context(), db.Config{URL: url, Clock: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	r.Ledger = New(d, nil)
	return r
}

func (r *realTime) apply(commands ...wallet.Command) error {
	return r.db.Update(r.Context(), func(tx *db.Tx) error { _, err := r.Apply(tx, acme, commands...); return err })
}

func (r *realTime) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// shift moves the clock and waits until the server knows.
func (r *realTime) shift(by time.Duration) {
	r.Helper()
	r.clock.by.Store(int64(by))
	for end := time.Now().Add(10 * time.Second); (r.db.Admits() != nil) != (by != 0); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatal("it does not notice")
		}
	}
}

func (r *realTime) flow(id string) (f wallet.Flow) {
	r.Helper()
	r.must(r.db.View(r.Context(), func(tx *db.Tx) (err error) { f, err = r.Flow(tx, acme, id); return err }))
	return f
}

// beats is a proof of life of a flow's holder.
func (r *realTime) beats(id string, lease int64) (until int64) {
	r.Helper()
	r.must(r.db.Update(r.Context(), func(tx *db.Tx) (err error) { until, err = r.Renew(tx, acme, id, lease); return err }))
	return until
}

// Each server judges its own clock: one that is off admits nothing, and another beside it
// does. What the one that is off writes of leases is right for the keeper of the other.
func TestEachServerJudgesItself(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("on SQLite there is no other clock; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.URL(t)
	right := inRealTime(t, url, 0)
	wrong := inRealTime(t, url, -10*time.Minute) // by its clock, leases end before others see them begin
	right.must(right.db.Update(t.Context(), func(tx *db.Tx) error { return right.Create(tx, acme, wallet.DefaultPolicy()) }))
	right.must(right.apply(wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 1000 * credit.One, Priority: 50}}))
	right.must(right.apply(wallet.Start{ID: "flow_1", Holder: "flow_1", Items: gpus(1), Lease: 30 * second, Grace: second}))
	hold := wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: hour}
	if f := fault.Of(wrong.apply(hold)); f == nil || f.Code != "clock_off" {
		t.Errorf("the server that is off: %v", f)
	}
	right.must(right.apply(hold))
	wrong.must(wrong.apply(wallet.Capture{Hold: "hold_1", Amount: 1}))
	began := time.Now().UnixNano()
	if until := wrong.beats("flow_1", 60*second); until-wrong.clock.Now() < 59*second || until-wrong.clock.Now() > 60*second {
		t.Errorf("by its own clock, which the holder goes by too, the lease ends in %s", time.Duration(until-wrong.clock.Now()))
	}
	right.must(right.db.View(t.Context(), func(tx *db.Tx) error {
		held, err := right.leaseOf(tx, acme, "flow_1")
		if held.proof < began-second/10 || held.proof > time.Now().UnixNano() || held.until-held.proof != 60*second {
			t.Errorf("the other server sees a proof of life %s after it, and a lease of %s", time.Duration(held.proof-began), time.Duration(held.until-held.proof))
		}
		return err
	}))
	right.must(right.RunDue(t.Context()))
	if f := right.flow("flow_1"); f.Status != wallet.Running {
		t.Errorf("the flow, which lives, is %s", f.Status)
	}
	right.must(right.apply(wallet.Stop{Flow: "flow_1"}))
	report, err := right.Verify(t.Context(), Options{})
	if err != nil || !report.IsClean() {
		t.Errorf("%+v %v", report.First, err)
	}
}

// By a clock that runs ahead every lease has lapsed; a keeper that knows that its own does
// takes no flow for lost.
func TestNoLeaseLapsesByAClockThatIsOff(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("on SQLite there is no other clock; this runs with " + dbtest.Variable)
		return
	}
	r := inRealTime(t, dbtest.URL(t), 0)
	r.must(r.db.Update(t.Context(), func(tx *db.Tx) error { return r.Create(tx, acme, wallet.DefaultPolicy()) }))
	r.must(r.apply(wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 1000 * credit.One, Priority: 50}}))
	r.must(r.apply(wallet.Start{ID: "flow_1", Holder: "flow_1", Items: gpus(1), Lease: 30 * second, Grace: second}))
	r.shift(10 * time.Minute)
	r.beats("flow_1", 30*second)
	for range 3 {
		r.must(r.RunDue(t.Context()))
		if next, err := r.NextAt(t.Context()); err != nil || next <= r.clock.Now() {
			t.Errorf("the keeper would look again %s ago, %v", time.Duration(r.clock.Now()-next), err)
		}
	}
	if f := r.flow("flow_1"); f.Status != wallet.Running {
		t.Fatalf("the flow is %s", f.Status)
	}
	at := time.Now().UnixNano()
	r.must(r.apply(wallet.Stop{Flow: "flow_1", At: at})) // its true end, which comes after its last proof of life
	if f := r.flow("flow_1"); f.EndedAt != at {
		t.Errorf("it ended %s later", time.Duration(f.EndedAt-at))
	}
}
