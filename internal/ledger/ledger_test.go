package ledger

import (
	"context"
	"os"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// noon is the instant at which the test clock starts.
const (
	second = int64(1_000_000_000)
	minute = 60 * second
	hour   = 60 * minute
	noon   = int64(1_780_000_000_000_000_000) - 1_780_000_000_000_000_000%(24*hour) + 12*hour
)

// isSoak asks for the long forms of tests (make soak).
var isSoak = os.Getenv("PURSER_SOAK") != ""

// form chooses between the short form of a test and the long one.
func form(short, long int) int {
	if isSoak {
		return long
	}
	return short
}

// house is a ledger on a real database with a test clock.
type house struct {
	*Ledger
	t     testing.TB
	db    *db.DB
	clock *db.TestClock
	url   string
	hand  *hand
}

var acme = ID{"org_acme", "ws_acme"}

func open(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, url: dbtest.URL(t)}
	h.reopen()
	t.Cleanup(func() { h.db.Close() })
	return h
}

// reopen is a restart of the server.
func (h *house) reopen() {
	h.t.Helper()
	if h.db != nil {
		h.must(h.db.Close())
	}
	h.clock = db.NewTestClock(noon)
	var err error
	h.db, err = db.Open(context.Background(), db.Config{URL: h.url, Clock: h.clock})
	h.must(err)
	h.Ledger = New(h.db, nil)
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) update(fn func(tx *db.Tx) error) error {
	return h.db.Update(context.Background(), fn)
}

func (h *house) create(id ID) {
	h.t.Helper()
	policy := wallet.DefaultPolicy()
	policy.MinRunway = 0
	h.must(h.update(func(tx *db.Tx) error { return h.Create(tx, id, policy) }))
}

// try applies commands in a unit of their own.
func (h *house) try(id ID, commands ...wallet.Command) (r Result, err error) {
	err = h.update(func(tx *db.Tx) (err error) {
		r, err = h.Apply(tx, id, commands...)
		return err
	})
	return r, err
}

func (h *house) apply(id ID, commands ...wallet.Command) Result {
	h.t.Helper()
	r, err := h.try(id, commands...)
	h.must(err)
	return r
}

// advance moves the clock through everything that is due on the way.
func (h *house) advance(by int64) {
	h.t.Helper()
	ctx, to := context.Background(), h.clock.Now()+by
	for {
		next, err := h.NextAt(ctx)
		h.must(err)
		if next == 0 || next > to {
			break
		}
		h.must(h.clock.Set(ctx, max(next, h.clock.Now())))
		h.must(h.RunDue(ctx))
	}
	h.must(h.clock.Set(ctx, to))
}

func (h *house) balance(id ID) wallet.Balance {
	h.t.Helper()
	v, err := h.View(context.Background(), id)
	h.must(err)
	return v.Balance(h.clock.Now())
}

func (h *house) hasBalance(id ID, want string) {
	h.t.Helper()
	if got := h.balance(id).Balance.String(); got != want {
		h.t.Fatalf("balance of %s: %s, want %s", id, got, want)
	}
}

func (h *house) count(query string) (n int64) {
	h.t.Helper()
	h.must(h.db.View(context.Background(), func(tx *db.Tx) error { return tx.QueryRow(query).Scan(&n) }))
	return n
}

func amount(t testing.TB, s string) credit.Amount {
	t.Helper()
	a, err := credit.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (h *house) grant(id ID, lot, credits string) wallet.Grant {
	return wallet.Grant{Lot: wallet.Lot{ID: lot, Kind: wallet.Purchased, Amount: amount(h.t, credits), Priority: 50}}
}

// gpus are n H100 at 2.39 an hour.
func gpus(n int) []wallet.Item {
	price, quantity := 2_390_000_000*credit.Amount(1), credit.Quantity(n)*credit.Units
	rate, err := credit.NewRate(price, quantity)
	if err != nil {
		panic(err)
	}
	return []wallet.Item{{SKU: "gpu.h100", Tier: "on-demand", Unit: "hour", Quantity: quantity, Price: price, Card: "default", Version: 1,
		Rate: rate, Period: credit.Hour}}
}

// # What was acknowledged is there after a restart.
func TestDurable(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(8)})
	h.advance(hour)
	h.hasBalance(acme, "80.88")
	h.reopen()
	h.hasBalance(acme, "80.88")
	h.advance(hour)
	h.hasBalance(acme, "61.76")
	h.apply(acme, wallet.Stop{Flow: "flow_1"})
	h.reopen()
	h.advance(hour)
	h.hasBalance(acme, "61.76")
	if _, err := h.try(acme, wallet.Stop{Flow: "flow_1"}); err == nil {
		t.Fatal("a stopped flow was stopped again")
	}
}

// # A wallet spends what it has and not a nano-credit more.
func TestExhausted(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(8)})
	h.advance(24 * hour)
	h.hasBalance(acme, "0")
	h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
		f, err := h.Flow(tx, acme, "flow_1")
		if f.Status != wallet.Exhausted || f.Charged != 100*credit.One {
			t.Errorf("the flow is %s and was charged %s", f.Status, f.Charged)
		}
		return err
	}))
	h.verified()
}

// # A refusal leaves no trace.
func TestRefusal(t *testing.T) {
	h := open(t)
	h.create(acme)
	entries := h.count(`SELECT COUNT(*) FROM journal`)
	_, err := h.try(acme, wallet.Reserve{ID: "hold_1", Amount: 1, TTL: hour})
	if !fault.Is(err, fault.Insufficient) {
		t.Fatalf("an empty wallet held something: %v", err)
	}
	if n := h.count(`SELECT COUNT(*) FROM journal`); n != entries {
		t.Fatalf("the journal grew from %d to %d", entries, n)
	}
	h.verified()
}

// verified fails unless the books verify.
func (h *house) verified() Report {
	h.t.Helper()
	report, err := h.Verify(context.Background(), Options{})
	h.must(err)
	if !report.IsClean() {
		h.t.Fatalf("verify: %s", report.First)
	}
	return report
}
