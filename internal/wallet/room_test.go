package wallet_test

import (
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// TestRoom holds what there is for a start against the gate, in random wallets:
// all of it can be set aside, what runs goes on (where lots have no scope, so that
// nothing starves), the hold takes no room from its own start, and a lease that fits
// is not refused.
func TestRoom(t *testing.T) {
	const count = 1500
	asked := 0
	for seed := range uint64(count) {
		w := newWriter(*seedFlag + seed)
		p := newPlay(w.n.policy, w.n.at)
		w.n = p.naive
		for k := range 6 + w.IntN(12) {
			if err := p.step(w.next(k, len(p.charges))); err != nil {
				t.Fatalf("seed %d: %v", *seedFlag+seed, err)
			}
		}
		start := w.start()
		start.ID, start.MaxCost, start.At, start.From, start.Until, start.Grace = "flow-last", 0, 0, "", 0, 0
		for i := range start.Items {
			start.Items[i].Tier, start.Items[i].Region, start.Items[i].Next = "on-demand", "", nil
		}
		copied, err := wallet.Load(p.w.State())
		if err != nil {
			t.Fatal(err)
		}
		if copied.Admits(start) == nil {
			asked++
			if !reserveAll(t, seed, copied, start, copied.Root().At) {
				return
			}
		}
	}
	if asked < count/10 {
		t.Errorf("only %d of %d starts were admitted", asked, count)
	}
}

func reserveAll(t *testing.T, seed uint64, w *wallet.Wallet, start wallet.Start, at int64) bool {
	t.Helper()
	room, running := w.Room(start), len(w.Flows())
	reserve := wallet.Reserve{ID: "hold-last", Amount: room.Free, TTL: hour, Tier: "on-demand", Project: start.Project, User: start.User, Key: start.Key}
	for _, it := range start.Items {
		reserve.SKUs = append(reserve.SKUs, it.SKU)
	}
	own := func(span int64) (sum credit.Amount) {
		for _, it := range start.Items {
			sum = plus(sum, credit.Ceil(it.Rate, span, it.Period))
		}
		return sum
	}
	if cost := own(w.Root().Policy.MinRunway); room.Free < cost {
		t.Errorf("seed %d: room for %s, and %s were admitted", seed, room.Free, cost)
		return false
	}
	if room.Free > 0 {
		if _, err := w.Apply(at, reserve); err != nil {
			t.Errorf("seed %d: %s may be set aside and were not: %v", seed, room.Free, err)
			return false
		}
		start.From = reserve.ID
	}
	scoped := slices.ContainsFunc(w.State().Lots, func(l *wallet.Lot) bool {
		return len(l.Scope.SKUs)+len(l.Scope.Tiers)+len(l.Scope.Projects)+len(l.Scope.Regions) > 0
	})
	if !scoped && w.Root().Policy.MinRunway > 0 && len(w.Flows()) != running {
		t.Errorf("seed %d: of %d flows %d go on", seed, running, len(w.Flows()))
		return false
	}
	if again := w.Room(start); len(w.Flows()) == running && again != room {
		t.Errorf("seed %d: room %+v with the hold, %+v before it", seed, again, room)
		return false
	}
	if start.Lease = room.Runway - w.Root().Policy.Grace; start.Lease <= 0 || room.Runway > 400*day {
		start.Lease = 0
	}
	if _, err := w.Apply(at, start); err != nil {
		t.Errorf("seed %d: the start was refused: %v", seed, err)
		return false
	}
	return true
}
