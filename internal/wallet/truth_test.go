package wallet

import (
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// The true end of a lost flow is charged as if it had run on: by the hour, at
// the price of the time, to the last nano-credit; what nothing covers, and what
// goes beyond the largest cost, is the operator's.
func TestTrueEndOfLostFlow(t *testing.T) {
	begin := 480_000*hour + 1_234_567_891
	end := begin + 5*hour + 987_654_321
	it := quote("gpu.h100", "3", "2.39")
	step := Step{At: begin + 2*hour + 7, Price: 10 * credit.One, Card: "default", Version: 2, Rate: 10_000_000_000 * 3_000_000}
	it.Next = []Step{step}
	life := func(lot credit.Amount, lost bool, most credit.Amount) (charged, left, overrun credit.Amount, charges int) {
		w := New("ws_truth", begin, DefaultPolicy())
		w.root.Policy.MinRunway = 1
		apply := func(at int64, c Command) Effects {
			t.Helper()
			fx, err := w.Apply(at, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range fx.Charges {
				charges++
				for _, s := range c.Slices {
					if s.Lot == OverrunLot {
						overrun += s.Amount
					}
				}
			}
			return fx
		}
		apply(begin, Grant{Lot: Lot{ID: "lot_1", Kind: Purchased, Amount: lot}})
		apply(begin, Start{ID: "flow_1", Items: []Item{it}, Lease: 60_000_000_000, Holder: "h"})
		f := w.Flow("flow_1")
		if !lost {
			apply(end, Stop{Flow: "flow_1"})
			return f.Charged, w.Lot("lot_1").Left, overrun, charges
		}
		proof := begin + 59_123_456_789
		apply(proof+180_000_000_000, Stop{Flow: "flow_1", At: proof, Status: Lost, Reason: ReasonLease})
		apply(end+hour, Late{Flow: *f, Until: end, Most: most})
		now := w.Changes().Flows[0]
		if now.EndedAt != end || now.Status != Lost || now.Reason != ReasonLate {
			t.Errorf("the flow is now %+v", now)
		}
		if _, err := w.Apply(end+hour, Late{Flow: *now, Until: end + 1}); err == nil {
			t.Error("a second true end was taken")
		}
		return now.Charged, w.Lot("lot_1").Left, overrun, charges
	}
	whole, left, _, _ := life(1000*credit.One, false, 0)
	if c, l, over, n := life(1000*credit.One, true, 0); c != whole || l != left || over != 0 || n < 7 {
		t.Errorf("charged %s, left %s, overrun %s in %d charges; one that ran on: %s, %s", c, l, over, n, whole, left)
	}
	if c, l, over, _ := life(50*credit.One, true, 0); c != 50*credit.One || l != 0 || c+over != whole {
		t.Errorf("with 50 credits: charged %s, left %s, overrun %s", c, l, over)
	}
	if c, _, over, _ := life(1000*credit.One, true, 20*credit.One); c+over != whole || c > 21*credit.One {
		t.Errorf("with a largest cost: charged %s, overrun %s", c, over)
	}
}

// A start in the past is judged by the prices of that past.
func TestPastStartAcrossAPriceChange(t *testing.T) {
	begin := 480_000 * hour
	it := quote("gpu.h100", "1", "2.39")
	it.Next = []Step{{At: begin + 3000_000_000_000, Price: 7 * credit.One, Card: "default", Version: 2, Rate: 7_000_000_000 * 1_000_000}}
	exact := func(dt int64) credit.Amount {
		return credit.Ceil(it.Rate, 2800_000_000_000, credit.Hour) + credit.Ceil(it.Next[0].Rate, dt, credit.Hour)
	}
	start := func(most credit.Amount) (*Wallet, error) {
		w := New("ws_past", begin, DefaultPolicy())
		w.root.Policy.MinRunway = 0
		now := begin + 2*hour
		if _, err := w.Apply(now, Grant{Lot: Lot{ID: "lot_1", Kind: Purchased, Amount: 100 * credit.One}}); err != nil {
			t.Fatal(err)
		}
		_, err := w.Apply(now, Start{ID: "flow_1", Items: []Item{it}, At: begin + 200_000_000_000, MaxCost: most})
		return w, err
	}
	whole := exact(4200_000_000_000)
	if _, err := start(6 * credit.One); !fault.Is(err, fault.Invalid) {
		t.Errorf("6 credits for a past that cost %s: %v", whole, err)
	}
	w, err := start(20 * credit.One)
	if err != nil {
		t.Fatal(err)
	}
	if f := w.Flow("flow_1"); whole-f.Charged > 1 || f.Charged > whole || len(f.Items[0].Next) != 0 {
		t.Errorf("charged %s, the past cost %s", f.Charged, whole)
	}
}
