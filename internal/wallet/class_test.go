package wallet_test

import (
	"fmt"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// Regions and projects are names that callers choose. Whatever they hold, flows
// with other items do not share a class: its total would be wrong for one of them.
func TestNoNameMakesFlowsBurnAlike(t *testing.T) {
	gpu, vcpu := priced(t, "gpu.h100", "eu", 2), priced(t, "cpu.vcpu", "", 3)
	disguised := vcpu
	disguised.SKU, disguised.Region = gpu.SKU, fmt.Sprintf("eu|%d|%d|cpu.vcpu|on-demand|", gpu.Rate, gpu.Period)
	both := wallet.Start{ID: "flow_both", Items: []wallet.Item{gpu, vcpu}}
	one := wallet.Start{ID: "flow_one", Items: []wallet.Item{disguised}}
	for _, starts := range [][]wallet.Start{{both, one}, {one, both}} {
		w := wallet.New("ws_1", 0, wallet.DefaultPolicy())
		apply(t, w, 0, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 100 * credit.One}})
		apply(t, w, 0, starts[0])
		apply(t, w, 0, starts[1])
		for _, start := range starts {
			apply(t, w, int64(credit.Hour), wallet.Stop{Flow: start.ID})
		}
		if l := w.Lot("lot_1"); l.Left != 92*credit.One || l.Remaining != l.Left {
			t.Errorf("%s first: %s left, %s by the books, want 92", starts[0].ID, l.Left, l.Remaining)
		}
	}
}

func priced(t *testing.T, sku, region string, price credit.Amount) wallet.Item {
	t.Helper()
	rate, err := credit.NewRate(price*credit.One, credit.Units)
	if err != nil {
		t.Fatal(err)
	}
	return wallet.Item{
		SKU: sku, Tier: "on-demand", Region: region, Unit: "hour", Quantity: credit.Units, Price: price * credit.One,
		Rate: rate, Period: credit.Hour,
	}
}
