package wallet_test

import (
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// A price that comes long after the credits are gone does not keep a wallet with an
// hourly budget from knowing when they are.
func TestADistantPriceDoesNotHideTheEnd(t *testing.T) {
	w := wallet.New("ws_1", hour, wallet.DefaultPolicy())
	apply(t, w, hour, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 5000 * credit.One}})
	apply(t, w, hour, wallet.Start{ID: "flow_1", Items: hourly(credit.One)})
	apply(t, w, hour, wallet.SetBudgets{Budgets: []wallet.Budget{{ID: "b", Key: wallet.ByWorkspace, Window: wallet.Hourly, Hard: true, Amount: 50 * credit.One}}})
	empties := func() int64 { return w.View().Balance(hour).EmptyAt }
	if at := empties(); at != 5001*hour {
		t.Errorf("empty at hour %d", at/hour)
	}
	step := wallet.Step{At: 9000 * hour, Price: 2 * credit.One}
	apply(t, w, hour, wallet.Reprice{SKU: "gpu.x", Tier: "on-demand", Step: step})
	if at := empties(); at != 5001*hour {
		t.Errorf("with a price scheduled after that, empty at hour %d", at/hour)
	}
	step.At, step.Price = 5000*hour, 60*credit.One // over the budget: an hour of it is too much
	apply(t, w, hour, wallet.Reprice{SKU: "gpu.x", Tier: "on-demand", Step: step})
	if at := empties(); at != 0 && at < 5000*hour {
		t.Errorf("with a price that the budget stops, empty at hour %d", at/hour)
	}
}

// Nothing is foretold beyond the release of retained storage, which writes its debt
// off: what comes then for the credits that are left would be wrong.
func TestNothingIsForetoldBeyondARelease(t *testing.T) {
	policy := wallet.DefaultPolicy()
	policy.RetentionDays, policy.MinRunway = 1, 0
	w := wallet.New("ws_1", hour, policy)
	apply(t, w, hour, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Promotional, Amount: 1}})
	storage := hourly(credit.One)
	storage[0].SKU = "storage.cluster"
	apply(t, w, hour, wallet.Start{ID: "flow_s", Items: storage})
	apply(t, w, hour+second, wallet.Tick{}) // it is retained since a moment
	apply(t, w, hour+second, wallet.Grant{Lot: wallet.Lot{ID: "lot_g", Kind: wallet.Plan, Amount: 72 * credit.One, Scope: wallet.Scope{SKUs: []string{"gpu.*"}}}})
	apply(t, w, hour+second, wallet.Grant{Lot: wallet.Lot{ID: "lot_p", Kind: wallet.Promotional, Amount: 24 * credit.One, EffectiveAt: 49 * hour}})
	apply(t, w, hour+second, wallet.Start{ID: "flow_g", Items: hourly(credit.One)})
	gpu := w.Flow("flow_g")
	if at, _ := w.View().StopAt(gpu); at != 0 {
		t.Errorf("while storage is retained, it will be stopped at hour %d", at/hour)
	}
	apply(t, w, 26*hour, wallet.Tick{}) // released
	at, _ := w.View().StopAt(w.Flow("flow_g"))
	if want := hour + second + 96*hour; at != want {
		t.Errorf("after the release it will be stopped at %d, not %d", at, want)
	}
}

// Storage that is kept for no day is released in the nanosecond in which nothing covers
// it any more, and time goes on.
func TestStorageThatIsKeptForNoDay(t *testing.T) {
	policy := wallet.DefaultPolicy()
	policy.RetentionDays, policy.MinRunway, policy.Grace = 0, 0, second
	w := wallet.New("ws_1", hour, policy)
	apply(t, w, hour, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Promotional, Amount: credit.One, ExpiresAt: 2*hour + 1}})
	apply(t, w, hour, wallet.Grant{Lot: wallet.Lot{ID: "lot_g", Kind: wallet.Plan, Amount: 72 * credit.One, Scope: wallet.Scope{SKUs: []string{"gpu.*"}}}})
	storage := hourly(credit.One / 2)
	storage[0].SKU = "storage.cluster"
	apply(t, w, hour, wallet.Start{ID: "flow_s", Items: storage})
	apply(t, w, hour, wallet.Start{ID: "flow_g", Items: hourly(credit.One), MaxCost: credit.One})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for at := hour; at < 4*hour; at += hour / 7 {
			w.Apply(at, wallet.Tick{})
			w.View().Balance(at)
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("time does not go on")
	}
	if f := w.Flow("flow_s"); f != nil {
		t.Errorf("the storage is %s", f.Status)
	}
}
