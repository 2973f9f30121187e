package ledger

import (
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// A refused command leaves nothing behind, also where a running flow has spent from a
// budget until then: an answer that is kept next does not write what it saw.
func TestARefusedCommandLeavesNoBudgetBehind(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 100e9, Priority: 50, Source: "grant"}})
	h.apply(acme, wallet.SetBudgets{Budgets: []wallet.Budget{{ID: "bdg_1", Key: wallet.ByWorkspace, Amount: 50e9, Window: wallet.Daily}}})
	h.apply(acme, wallet.Start{ID: "flow_1", Items: []wallet.Item{{SKU: "gpu.h100", Tier: "on-demand", Unit: "hour", Quantity: 1e6, Price: 2e9, Rate: 2e15, Period: 3600e9, Card: "default", Version: 1}}})
	h.advance(minute)
	if _, err := h.try(acme, wallet.Reserve{ID: "hold_1", Amount: 1000e9, TTL: hour}); fault.Of(err) == nil {
		t.Fatalf("not refused: %v", err)
	}
	h.must(h.update(func(tx *db.Tx) error {
		_, err := h.Once(tx, Request{Organization: acme.Organization, Workspace: acme.Workspace, Route: "POST /x", Key: "k", Body: []byte("{}")},
			func() (int, any, error) { return 200, "nothing", nil })
		return err
	}))
	report, err := h.Verify(t.Context(), Options{})
	h.must(err)
	if !report.IsClean() {
		t.Errorf("the books differ from their replay: %s", report.First)
	}
}
