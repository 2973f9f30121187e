package wallet

import (
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

// Time passes in one step over a landing and an alert that lies a moment after
// it: the landing has its own instant all the same, whatever was asked of the
// wallet in between.
func TestLandingKeepsItsInstantWhenTimeJumps(t *testing.T) {
	const second = int64(1_000_000_000)
	rate, err := credit.NewRate(7_500_000_000, 8*credit.Units)
	if err != nil {
		t.Fatal(err)
	}
	for _, looks := range []bool{false, true} {
		p := DefaultPolicy()
		p.MinRunway, p.Grace, p.AlertRunways = second, 2*second, nil
		w := New("ws", 0, p)
		var events []Event
		do := func(at int64, c Command) {
			t.Helper()
			fx, err := w.Apply(at, c)
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, fx.Events...)
			if looks {
				w.View().Projection()
				w.WakeAt()
			}
		}
		grant := func(id string) Grant {
			return Grant{Lot: Lot{ID: id, Kind: Purchased, Amount: 50_000_000, Priority: 50}}
		}
		const begun, granted = 787_952_385, 1_792_100_094
		do(0, grant("lot_a"))
		do(begun, Start{ID: "flow_1", Items: []Item{{SKU: "gpu.b300", Quantity: 8 * credit.Units, Price: 7_500_000_000, Rate: rate, Period: credit.Hour}}})
		do(granted, grant("lot_b"))
		events = nil
		do(begun+4*second+5_000_000, Tick{}) // 40 % are reached 1.66 ms after the landing
		for _, e := range events {
			if e.Kind == EventLanding && e.At != begun+4*second {
				t.Errorf("looked at %t: the landing is %d ns late", looks, e.At-begun-4*second)
			}
		}
		if len(events) < 2 || w.Flow("flow_1").Signaled != begun+4*second {
			t.Errorf("looked at %t: %+v", looks, events)
		}
	}
}
