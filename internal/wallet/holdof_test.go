package wallet_test

import (
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// A flow whose own hold would have the id of one that is open is refused, and that hold stays
// as it is.
func TestAFlowDoesNotTakeTheNameOfAHold(t *testing.T) {
	w := wallet.New("ws_1", 0, wallet.DefaultPolicy())
	apply(t, w, 0, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 100 * credit.One}})
	apply(t, w, 0, wallet.Reserve{ID: wallet.HoldOf("flow_1"), Amount: 7 * credit.One, TTL: hour})
	start := wallet.Start{ID: "flow_1", Items: hourly(credit.One), MaxCost: 3 * credit.One}
	if _, err := w.Apply(0, start); fault.Of(err) == nil || fault.Of(err).Kind != fault.Conflict {
		t.Errorf("a flow with the hold of another: %v", err)
	}
	if held := w.View().Balance(0).Held; held != 7*credit.One {
		t.Errorf("%s is held", held)
	}
	start.From = wallet.HoldOf("flow_1") // which this start would end, and open again
	if _, err := w.Apply(0, start); fault.Of(err) == nil || fault.Of(err).Kind != fault.Conflict {
		t.Errorf("a flow from a hold that has the name of its own: %v", err)
	}
	if held := w.View().Balance(0).Held; held != 7*credit.One {
		t.Errorf("%s is held", held)
	}
	start.From = ""
	apply(t, w, 0, wallet.Release{Hold: wallet.HoldOf("flow_1")})
	apply(t, w, 0, start)
	if held := w.View().Balance(0).Held; held != 3*credit.One {
		t.Errorf("%s is held when the name is free", held)
	}
}
