package job_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/simulated"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

func (w *world) apply(c wallet.Command) {
	w.t.Helper()
	w.update(func(tx *db.Tx) error { _, err := w.books.Apply(tx, w.id, c); return err })
}

// scoped grants credits that may pay for some SKUs only.
func (w *world) scoped(amount credit.Amount, sku string) {
	w.t.Helper()
	w.apply(wallet.Grant{Lot: wallet.Lot{ID: "lot_" + sku, Kind: wallet.Purchased, Amount: amount, Priority: 50, Scope: wallet.Scope{SKUs: []string{sku}}}})
}

// What a start sets aside, and its lease, are sized by the credits that may pay for
// it: others do not make it dearer.
func TestCreditsOfOtherScopeDoNotSizeAStart(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.scoped(10_000*credit.One, "cpu.*")
	w.grant("25")
	q := h100(8, "train")
	q.Env = map[string]string{simulated.EnvStartup: "60"}
	id := w.create(q)
	if held := w.balance().Held; held < 1912*credit.One/100 || held > 25*credit.One {
		t.Errorf("held %s", held)
	}
	w.advance(minute)
	s := w.expect(id, job.StatusRunning, "", "0")
	if want := start + minute + lastsFor(25*credit.One); s.StopAt != want || s.StopReason != "credits" {
		t.Errorf("stops at %d for %s, want %d", s.StopAt-start, s.StopReason, want-start)
	}
	if leased := w.balance().Leased; leased <= 0 || leased > 25*credit.One {
		t.Errorf("leased %s", leased)
	}
	w.advance(2 * hour)
	w.expect(id, job.StatusExhausted, "credits", "24.362666666") // it died of the signal
	w.expectBalance("10000.637333334")
}

// A hard budget bounds what a start sets aside, and its lease by what it leaves.
func TestHardBudgetSizesAStart(t *testing.T) {
	for _, key := range []wallet.Budget{{Key: wallet.ByWorkspace}, {Key: wallet.ByProject, Value: "p"}, {Key: wallet.ByUser, Value: "ann"}} {
		w := newWorld(t, "gpu.h100=8")
		w.grant("10000")
		key.ID, key.Amount, key.Window, key.Hard = "b", 25*credit.One, wallet.AllTime, true
		w.apply(wallet.SetBudgets{Budgets: []wallet.Budget{key}})
		q := h100(8, "train")
		q.Project, q.User, q.Env = "p", "ann", map[string]string{simulated.EnvStartup: "60"}
		id := w.create(q)
		if held := w.balance().Held; held < 1912*credit.One/100 || held > 25*credit.One {
			t.Errorf("%s: held %s", key.Key, held)
		}
		if _, err := w.tryCreate(q); !fault.Is(err, fault.Insufficient) || fault.Of(err).Code != "budget_exceeded" {
			t.Errorf("%s: a second of it: %v", key.Key, err)
		}
		w.advance(minute)
		if s := w.expect(id, job.StatusRunning, "", "0"); s.StopReason != "budget" {
			t.Errorf("%s: stops for %s", key.Key, s.StopReason)
		}
		if leased := w.balance().Leased; leased <= 0 || leased > 25*credit.One {
			t.Errorf("%s: leased %s", key.Key, leased)
		}
		w.advance(2 * hour)
		w.expect(id, job.StatusExhausted, "budget", "24.362666666")
	}
}

// What a start sets aside beyond its part of the gate leaves what others run on.
func TestStartLeavesWhatRunsItsCredits(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.grant("20.5")
	rate, err := credit.NewRate(credit.One, credit.Units)
	w.check(err)
	w.apply(wallet.Start{ID: "flow_1", Items: []wallet.Item{{SKU: "gpu.a10", Tier: "on-demand", Unit: "hour", Quantity: credit.Units,
		Price: credit.One, Card: "default", Version: 1, Rate: rate, Period: credit.Hour}}})
	q := h100(8, "train")
	q.Env = map[string]string{simulated.EnvStartup: "60"}
	id := w.create(q)
	if held := w.balance().Held; held != 195*credit.One/10 {
		t.Errorf("held %s", held)
	}
	w.advance(minute)
	w.expect(id, job.StatusRunning, "", "0")
	w.update(func(tx *db.Tx) error {
		f, err := w.books.Flow(tx, w.id, "flow_1")
		if f.Status != wallet.Running {
			t.Errorf("the flow is %s: %s", f.Status, f.Reason)
		}
		return err
	})
}

// lastsFor is how long credits last at 19.12 an hour: the first nanosecond at
// which they are used up.
func lastsFor(a credit.Amount) int64 {
	n := credit.MulWide(uint64(a), uint64(hour)).Big()
	d := credit.MulWide(uint64(1912*credit.One/100), 1).Big()
	q, rest := n.QuoRem(n, d, d)
	if rest.Sign() > 0 {
		return q.Int64() + 1
	}
	return q.Int64()
}

// A reserved job that loses its commitment while it waits says why in words, not by
// the place of a field in a request that nobody sent.
func TestAReservedJobWithoutItsCommitment(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.update(func(tx *db.Tx) error {
		sold := price.SKU{Name: "gpu.h100", Unit: "hour", Prices: map[string]credit.Amount{price.OnDemand: 2 * credit.One, price.Reserved: credit.One}}
		_, err := w.jobs.Prices.Put(tx, price.Default, []price.SKU{sold}, tx.Now())
		return err
	})
	w.grant("1000")
	w.apply(wallet.Grant{Lot: wallet.Lot{ID: "lot_commitment", Kind: wallet.Commitment, Amount: 1000 * credit.One, Priority: 5, ExpiresAt: start + 24*hour}})
	first, q := w.create(h100(8, "sleep", "600")), h100(8, "train")
	q.Tier = wallet.TierReserved
	waiting := w.create(q)
	w.expect(waiting, job.StatusQueued, "", "0")
	w.apply(wallet.Freeze{Lot: "lot_commitment"})
	w.advance(20 * minute)
	w.expect(first, job.StatusSucceeded, "", "2.666666666")
	s := w.expect(waiting, job.StatusFailed, "commitment_required", "0")
	if !strings.HasPrefix(s.Detail, "reserved needs a commitment, ") {
		t.Errorf("it says %q", s.Detail)
	}
}
