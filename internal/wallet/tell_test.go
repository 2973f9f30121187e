package wallet_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// purse is a wallet with 20 credits for anything and 5 for GPUs only.
func purse(t *testing.T, policy wallet.Policy) *wallet.Wallet {
	w := wallet.New("ws_1", second, policy)
	for _, l := range []wallet.Lot{
		{ID: "lot_any", Kind: wallet.Purchased, Amount: 20 * credit.One, Priority: 50},
		{ID: "lot_gpu", Kind: wallet.Promotional, Amount: 5 * credit.One, Priority: 10, Scope: wallet.Scope{SKUs: []string{"gpu.*"}}},
	} {
		apply(t, w, second, wallet.Grant{Lot: l})
	}
	return w
}

func apply(t *testing.T, w *wallet.Wallet, at int64, c wallet.Command) wallet.Effects {
	fx, err := w.Apply(at, c)
	if err != nil {
		t.Fatal(err)
	}
	return fx
}

func hourly(price credit.Amount) []wallet.Item {
	rate, err := credit.NewRate(price, 1_000_000)
	if err != nil {
		panic(err)
	}
	return []wallet.Item{{SKU: "gpu.x", Tier: "on-demand", Unit: "hour", Quantity: 1_000_000, Price: price, Rate: rate, Period: credit.Hour}}
}

// A refusal says which credits may not pay, and a runway only where something
// burns.
func TestRefusalsSayWhatTheyCount(t *testing.T) {
	w := purse(t, wallet.DefaultPolicy())
	_, err := w.Apply(second, wallet.Reserve{ID: "hold_1", Amount: 22 * credit.One, TTL: second})
	f := fault.Of(err)
	if f == nil || f.Message != "this needs 22 credits, and only 20 of the 25 available may pay for it" {
		t.Error(err)
	}
	if runway, said := f.Values["runway_seconds"]; said {
		t.Errorf("nothing runs, and the credits last %v seconds", runway)
	}
	apply(t, w, second, wallet.Start{ID: "flow_1", Items: hourly(2 * credit.One)})
	_, err = w.Apply(second, wallet.Reserve{ID: "hold_1", Amount: 30 * credit.One, TTL: second, SKUs: []string{"gpu.x"}})
	if f := fault.Of(err); f == nil || !strings.HasPrefix(f.Message, "this needs 30 credits, 25 are available") || f.Values["runway_seconds"] != int64(45_000) {
		t.Error(err, f)
	}
	empty := wallet.New("ws_2", second, wallet.DefaultPolicy())
	_, err = empty.Apply(second, wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: second})
	if f := fault.Of(err); f == nil || f.Values["runway_seconds"] != int64(0) {
		t.Error(err, f)
	}
}

// An alert names what it is about and its threshold.
func TestAlertsSayTheirThreshold(t *testing.T) {
	policy := wallet.DefaultPolicy()
	policy.AlertPercents, policy.AlertAmounts, policy.AlertRunways = []int{40}, []credit.Amount{3 * credit.One}, []int64{3600 * second}
	w := purse(t, policy)
	apply(t, w, second, wallet.Start{ID: "flow_1", Items: hourly(2 * credit.One)})
	var told []map[string]string
	for _, e := range apply(t, w, second+12*3600*second, wallet.Tick{}).Events {
		if e.Kind == wallet.EventAlert {
			told = append(told, e.Data)
		}
	}
	want := []map[string]string{
		{"alert": "percent", "percent": "40", "balance": "10", "threshold": "10"},
		{"alert": "amount", "balance": "3", "threshold": "3"},
		{"alert": "runway", "threshold_seconds": "3600", "balance": "2", "empty_at": "45001000000000"},
	}
	if len(told) != len(want) {
		t.Fatalf("%d alerts: %v", len(told), told)
	}
	for i := range want {
		if !maps.Equal(told[i], want[i]) {
			t.Errorf("got %v, want %v", told[i], want[i])
		}
	}
}
