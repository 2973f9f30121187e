package wallet

import (
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// A wallet lives by the rules it was written by until it adopts later ones.
func TestAdopt(t *testing.T) {
	alerts := func(w *Wallet, at int64, c Command) (n int) {
		t.Helper()
		fx, err := w.Apply(at, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range fx.Events {
			if e.Kind == EventAlert {
				n++
			}
		}
		return n
	}
	grant := func(id string, amount credit.Amount, from int64) Grant {
		return Grant{Lot: Lot{ID: id, Kind: Purchased, Amount: amount * credit.One, EffectiveAt: from}}
	}
	use := func(amount credit.Amount) Use { return Use{[]Line{{SKU: "x", Amount: amount * credit.One}}} }
	old := DefaultPolicy()
	old.Rules = 0
	w := New("ws_old", 0, old)
	alerts(w, 1, grant("lot_1", 10, 0))
	alerts(w, 2, grant("lot_2", 1000, hour))
	alerts(w, hour, SetPolicy{DefaultPolicy()})
	if n := alerts(w, hour, use(1000)); n != 0 || w.Root().Policy.Rules != 0 {
		t.Errorf("%d alerts by the rules %d", n, w.Root().Policy.Rules)
	}
	for _, rules := range []int{0, -1, Rules + 1} {
		if _, err := w.Apply(hour, Adopt{rules}); !fault.Is(err, fault.Conflict) {
			t.Errorf("the rules %d were adopted: %v", rules, err)
		}
	}
	alerts(w, hour, Adopt{Rules})
	alerts(w, hour, grant("lot_3", 1000, 2*hour))
	if n := alerts(w, 2*hour, use(1000)); n != 3 {
		t.Errorf("%d alerts for a fall to a hundredth", n)
	}
	if _, err := w.Apply(2*hour, Adopt{Rules}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the rules were adopted twice: %v", err)
	}
}

// A transfer that names a lot twice is refused as a whole.
func TestTransferNamesEachLotOnce(t *testing.T) {
	w := New("ws", 0, DefaultPolicy())
	lot := Lot{ID: "lot_1", Kind: Purchased, Amount: credit.One}
	if _, err := w.Apply(1, TransferIn{ID: "t", Lots: []Lot{lot, lot}}); !fault.Is(err, fault.Conflict) || w.Lot("lot_1") != nil {
		t.Errorf("%v, %+v", err, w.Lot("lot_1"))
	}
}
