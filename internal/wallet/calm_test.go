package wallet

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

// What calm says without a projection, the projection must confirm.
func TestCalmIsCalm(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	calm, projected := 0, 0
	for range 3000 {
		w := someWallet(r)
		c := w.buildCourse()
		if c.calmUntil <= c.at || len(w.classes) == 0 {
			projected++
			continue
		}
		calm++
		p := c.project()
		if signal := c.nextSignal(w.root.Fired); signal < c.calmUntil {
			t.Fatalf("a signal is due %d ns from now, calm was said for %d", signal-c.at, c.calmUntil-c.at)
		}
		for _, s := range p.stops {
			if s.at-s.grace <= c.calmUntil {
				t.Fatalf("%s lands work %d ns from now", s.reason, s.at-s.grace-c.at)
			}
		}
		for _, runway := range w.root.Policy.AlertRunways {
			if p.emptyAt-runway <= c.calmUntil {
				t.Fatalf("empty %d ns from now, with an alert %d before", p.emptyAt-c.at, runway)
			}
		}
	}
	if calm < 300 || projected < 300 {
		t.Errorf("%d calm and %d other wallets: the test does not see both", calm, projected)
	}
}

// someWallet has random lots, flows, holds and budgets, rich about as often as
// not for a day's burn.
func someWallet(r *rand.Rand) *Wallet {
	at := 480_000*hour + r.Int64N(hour)
	policy := DefaultPolicy()
	policy.MinRunway = 1
	policy.Overdraft = credit.Amount(r.Int64N(3)) * credit.One
	w := New("ws_calm", at, policy)
	for i := range 1 + r.IntN(5) {
		l := Lot{ID: fmt.Sprint("lot_", i), Kind: Purchased, Priority: r.IntN(3), Amount: credit.Amount(1 + r.Int64N(300*int64(credit.One)))}
		if r.IntN(3) == 0 {
			l.ExpiresAt = at + 1 + r.Int64N(3*day)
		}
		if r.IntN(4) == 0 {
			l.EffectiveAt = at + r.Int64N(2*day)
		}
		if r.IntN(3) == 0 {
			l.Scope.SKUs = []string{fmt.Sprint("gpu.", r.IntN(3))}
		}
		w.Apply(at, Grant{Lot: l})
	}
	if r.IntN(4) == 0 {
		w.Apply(at, SetBudgets{[]Budget{{ID: "b", Key: ByProject, Value: "p", Window: Daily, Hard: true, Amount: credit.Amount(1+r.Int64N(60)) * credit.One}}})
	}
	for i := range 1 + r.IntN(5) {
		at += r.Int64N(1000)
		start := Start{ID: fmt.Sprint("flow_", i), Items: []Item{quote(fmt.Sprint("gpu.", r.IntN(3)), "1", fmt.Sprintf("%d.%03d", r.IntN(3), r.IntN(1000)))}}
		switch r.IntN(8) {
		case 0:
			start.Until = at + 1 + r.Int64N(3*day)
		case 1:
			start.MaxCost = credit.Amount(1 + r.Int64N(50*int64(credit.One)))
		case 2:
			start.Project = "p"
		case 3:
			start.Items[0].SKU = "storage.object"
		}
		w.Apply(at, start)
	}
	return w
}
