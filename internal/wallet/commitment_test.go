package wallet_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// reserved is n of gpu.x at the reserved tier.
func reserved(n int64) []wallet.Item {
	items := hourly(credit.One)
	items[0].Tier, items[0].Quantity = wallet.TierReserved, credit.Quantity(n*1_000_000)
	items[0].Rate, _ = credit.NewRate(items[0].Price, items[0].Quantity)
	return items
}

// without applies a command that must be refused for want of a commitment, at
// the place of the tier.
func without(t *testing.T, w *wallet.Wallet, at int64, c wallet.Command, place string) {
	t.Helper()
	_, err := w.Apply(at, c)
	f := fault.Of(err)
	if f == nil || f.Code != "commitment_required" || len(f.Fields) != 1 || f.Fields[0].Pointer != place || !strings.Contains(f.Message, "needs a commitment") {
		t.Errorf("%+v: %v", c, err)
	}
}

// Reserved work starts only with a commitment that can be used now and whose scope
// admits it, whatever else the wallet has.
func TestReservedNeedsACommitmentThatCanBeUsed(t *testing.T) {
	grant := func(l wallet.Lot) wallet.Command {
		l.ID, l.Amount = "lot_c", credit.One
		if l.Kind == "" {
			l.Kind = wallet.Commitment
		}
		return wallet.Grant{Lot: l}
	}
	for name, test := range map[string]struct {
		lot   []wallet.Command
		admit bool
	}{
		"none":                {nil, false},
		"of another kind":     {[]wallet.Command{grant(wallet.Lot{Kind: wallet.Plan})}, false},
		"not yet effective":   {[]wallet.Command{grant(wallet.Lot{EffectiveAt: 10 * second})}, false},
		"expired":             {[]wallet.Command{grant(wallet.Lot{ExpiresAt: 3 * second})}, false},
		"frozen":              {[]wallet.Command{grant(wallet.Lot{}), wallet.Freeze{Lot: "lot_c"}}, false},
		"for another tier":    {[]wallet.Command{grant(wallet.Lot{Scope: wallet.Scope{Tiers: []string{"spot"}}})}, false},
		"for another SKU":     {[]wallet.Command{grant(wallet.Lot{Scope: wallet.Scope{SKUs: []string{"cpu.*"}}})}, false},
		"for another project": {[]wallet.Command{grant(wallet.Lot{Scope: wallet.Scope{Projects: []string{"q"}}})}, false},
		"used up":             {[]wallet.Command{grant(wallet.Lot{}), wallet.Use{Lines: []wallet.Line{{SKU: "x", Amount: credit.One}}}}, false},
		"pinned":              {[]wallet.Command{grant(wallet.Lot{}), wallet.Reserve{ID: "hold_o", Amount: credit.One, TTL: 9 * second}}, false},
		"for all":             {[]wallet.Command{grant(wallet.Lot{})}, true},
		"for it": {[]wallet.Command{grant(wallet.Lot{ExpiresAt: 9 * second, Scope: wallet.Scope{
			SKUs: []string{"gpu.*"}, Tiers: []string{"reserved"}, Projects: []string{"p"}}})}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := wallet.New("ws_1", second, wallet.DefaultPolicy())
			apply(t, w, second, wallet.Grant{Lot: wallet.Lot{ID: "lot_p", Kind: wallet.Purchased, Amount: 99 * credit.One, Priority: 50}})
			for _, c := range test.lot {
				apply(t, w, 2*second, c)
			}
			start := wallet.Start{ID: "flow_1", Items: reserved(1), Project: "p"}
			hold := wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: second, SKUs: []string{"gpu.x"}, Tier: "reserved", Project: "p"}
			most := wallet.Start{ID: "flow_2", Items: reserved(1), Project: "p", MaxCost: 5 * credit.One}
			if !test.admit {
				without(t, w, 4*second, start, "/items/0/tier")
				without(t, w, 4*second, most, "/items/0/tier")
				without(t, w, 4*second, hold, "/tier")
				if f := fault.Of(w.Admits(start)); f == nil || f.Fields[0].Pointer != "/tier" {
					t.Errorf("it would be admitted: %v", f)
				}
				start.Items = hourly(credit.One)
			} else if err := w.Admits(start); err != nil {
				t.Error(err)
			}
			apply(t, w, 4*second, start)
		})
	}
}

// A job's hold takes the commitment and gives it back to the start; what runs may
// shrink without a commitment and grow with one, its own hold's included.
func TestReservedWorkGoesOnWithoutItsCommitment(t *testing.T) {
	w := wallet.New("ws_1", second, wallet.DefaultPolicy())
	apply(t, w, second, wallet.Grant{Lot: wallet.Lot{ID: "lot_p", Kind: wallet.Purchased, Amount: 99 * credit.One, Priority: 50}})
	apply(t, w, second, wallet.Grant{Lot: wallet.Lot{ID: "lot_c", Kind: wallet.Commitment, Amount: 5 * credit.One}})
	apply(t, w, second, wallet.Reserve{ID: "hold_0", Amount: 8 * credit.One, TTL: 9 * second, SKUs: []string{"gpu.x"}, Tier: "reserved"})
	without(t, w, 2*second, wallet.Start{ID: "flow_1", Items: reserved(2)}, "/items/0/tier")
	apply(t, w, 2*second, wallet.Start{ID: "flow_1", Items: reserved(2), From: "hold_0", MaxCost: 8 * credit.One})
	without(t, w, 3*second, wallet.Start{ID: "flow_2", Items: reserved(1)}, "/items/0/tier")
	apply(t, w, 3*second, wallet.Change{Flow: "flow_1", Items: reserved(3)})
	apply(t, w, 3*second, wallet.Stop{Flow: "flow_1"})
	apply(t, w, 4*second, wallet.Start{ID: "flow_3", Items: reserved(3)})
	apply(t, w, 4*second, wallet.Freeze{Lot: "lot_c"})
	apply(t, w, 5*second, wallet.Change{Flow: "flow_3", Items: reserved(2)})
	without(t, w, 5*second, wallet.Change{Flow: "flow_3", Items: reserved(4)}, "/items/0/tier")
	apply(t, w, 5*second, wallet.Change{Flow: "flow_3", Items: append(reserved(1), hourly(credit.One)...)})
}

// Holds that an earlier release took replay as they were taken.
func TestAHoldOfEarlierRulesNeedsNoCommitment(t *testing.T) {
	policy := wallet.DefaultPolicy()
	policy.Rules = 1
	w := wallet.New("ws_1", second, policy)
	apply(t, w, second, wallet.Grant{Lot: wallet.Lot{ID: "lot_p", Kind: wallet.Purchased, Amount: credit.One}})
	apply(t, w, second, wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: second, Tier: "reserved"})
}
