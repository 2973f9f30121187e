package wallet_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

var skus = []string{"gpu.h100", "gpu.a100", "cpu.vcpu", "storage.cluster"}

func (w *writer) scope() (s wallet.Scope) {
	if w.chance(55) {
		return s
	}
	if w.chance(60) {
		s.SKUs = pickOf(w, [][]string{{"gpu.*"}, {"gpu.h100"}, {"cpu.vcpu", "gpu.a100"}, {"storage.*"}, {"*"}})
	}
	if w.chance(20) {
		s.Tiers = []string{"spot"}
	}
	if w.chance(20) {
		s.Projects = pickOf(w, [][]string{{"p"}, {"p", "q"}, {"q*"}})
	}
	if w.chance(10) {
		s.Regions = []string{"eu"}
	}
	return s
}

func (w *writer) lot() wallet.Lot {
	kinds := []wallet.LotKind{wallet.Commitment, wallet.Promotional, wallet.Plan, wallet.Financed, wallet.Purchased, wallet.Adjustment}
	l := wallet.Lot{ID: "lot-" + w.name(), Kind: pickOf(w, kinds), Amount: w.amount(), Scope: w.scope()}
	l.Priority = l.Kind.DefaultPriority()
	if w.chance(30) {
		l.Priority = 10
	}
	if w.chance(25) {
		l.EffectiveAt = w.instant()
	}
	if w.chance(45) {
		l.ExpiresAt = max(l.EffectiveAt, w.n.at) + w.span()
		if w.chance(30) {
			l.ExpiresAt = w.instant()
		}
	}
	return l
}

func (w *writer) item(sku string) wallet.Item {
	it := wallet.Item{SKU: sku, Tier: pickOf(w, []string{"on-demand", "on-demand", "spot"}),
		Region: pickOf(w, []string{"", "", "eu"}), Unit: "hour", Card: "default", Version: 1, Period: credit.Hour}
	if strings.HasPrefix(sku, "storage.") {
		it.Unit, it.Period = "gib_month", credit.Month
	}
	it.Quantity = pickOf(w, []credit.Quantity{credit.Units, credit.Units, 2 * credit.Units, 500_000, 333_333, 1})
	it.Price = w.price(it.Period)
	for {
		r, err := credit.NewRate(it.Price, it.Quantity)
		if err == nil {
			it.Rate = r
			return it
		}
		it.Quantity = credit.Units
		it.Price /= 2
	}
}

// price is a price such that an amount of the history's scale lasts a time of
// its scale; many are whole or simple fractions of a nano-credit a nanosecond.
func (w *writer) price(p credit.Period) credit.Amount {
	switch w.IntN(8) {
	case 0:
		return pickOf(w, []credit.Amount{2_390_000_000, 760_000_000, 1, 0})
	case 1, 2:
		return credit.Amount(1 + w.Int64N(int64(p)*2))
	}
	return credit.Amount(int64(p) / (1 + w.Int64N(6)) * (1 + w.Int64N(2)))
}

func (w *writer) items() (all []wallet.Item) {
	if w.chance(15) {
		return []wallet.Item{w.item("storage.cluster")}
	}
	names := skus[:3]
	first := w.IntN(3)
	for i := range 1 + w.IntN(3)*w.IntN(2) {
		all = append(all, w.item(names[(first+i)%3]))
	}
	if all[0].Price > 0 && w.chance(40) && len(w.n.running()) > 0 {
		f := pickOf(w, w.n.running())
		if !f.Storage {
			all = slices.Clone(f.Items)
			for i := range all {
				all[i].Next = nil
			}
		}
	}
	return all
}

func (w *writer) start() wallet.Start {
	c := wallet.Start{ID: "flow-" + w.name(), Project: pickOf(w, []string{"", "p", "q"}), User: pickOf(w, []string{"ann", "bob"}),
		Job: pickOf(w, []string{"", "j"}), Items: w.items()}
	if w.chance(20) && c.Items[0].Period == credit.Hour {
		c.MaxCost = w.amount()
	}
	if w.chance(15) {
		c.At = w.n.at - w.span()
	}
	if w.chance(15) {
		c.From = pickOf(w, w.held)
	}
	if w.chance(10) {
		c.Until = w.instant()
	}
	if w.chance(10) {
		c.Grace = w.span()
	}
	if w.chance(15) && c.Items[0].Period == credit.Hour {
		c.Lease = w.span()
	}
	if w.chance(10) {
		it := &c.Items[0]
		s := wallet.Step{At: w.instant(), Price: it.Price / 2, Card: "default", Version: 2}
		s.Rate, _ = credit.NewRate(s.Price, it.Quantity)
		it.Next = []wallet.Step{s}
	}
	w.flows = append(w.flows, c.ID)
	return c
}

func (w *writer) line() wallet.Line {
	l := wallet.Line{SKU: pickOf(w, skus), Tier: "on-demand", Project: pickOf(w, []string{"", "p", "q"}), User: pickOf(w, []string{"ann", "bob"}),
		Event: "e", Unit: "each", Quantity: credit.Units, Card: "default", Version: 1, Amount: w.amount() / 2, At: w.n.at}
	l.Price = l.Amount
	switch x := w.IntN(100); {
	case x < 30:
		l.At -= w.span()
	case x < 45:
		l.At += min(w.span(), 5*minute)
	case x < 50: // about the beginning of the next hour, if that is near
		if next := w.n.at - w.n.at%hour + hour; next < w.n.at+5*minute {
			l.At = next - w.Int64N(2)
		}
	}
	return l
}

func (w *writer) lines() (all []wallet.Line) {
	for range 1 + w.IntN(2) {
		all = append(all, w.line())
	}
	return all
}

func (w *writer) stop() wallet.Stop {
	c := wallet.Stop{Flow: w.someFlow(), Reason: "user"}
	if w.chance(50) {
		c.At = w.n.at - w.span()
		if f := w.n.flow(c.Flow); f != nil && w.chance(60) {
			c.At = max(f.StartedAt, f.changedAt, c.At)
		}
		if w.chance(20) {
			c.Status = wallet.Lost
		}
	}
	return c
}

// late tells the true end of a flow, often of a lost one, with prices that came
// after its end.
func (w *writer) late() wallet.Late {
	id := pickOf(w, w.flows)
	for _, f := range w.n.flows {
		if f.Status == wallet.Lost && w.chance(70) {
			id = f.ID
		}
	}
	c := wallet.Late{Flow: wallet.Flow{ID: id}, Until: w.n.at - w.Int64N(3)*w.Int64N(2)}
	f := w.n.flow(id)
	if f == nil {
		return c
	}
	if f.EndedAt != 0 && f.EndedAt < w.n.at && w.chance(70) {
		c.Until = f.EndedAt + 1 + w.Int64N(w.n.at-f.EndedAt)
	}
	if w.chance(15) {
		c.Until = pickOf(w, []int64{f.EndedAt, f.EndedAt - 1, w.n.at + 1})
	}
	if w.chance(30) {
		c.Most = w.amount()
	}
	if w.chance(30) {
		it := f.Items[w.IntN(len(f.Items))]
		s := wallet.Step{At: f.EndedAt + w.span() - 1, Price: it.Price / 2, Card: "default", Version: 3}
		s.Rate, _ = credit.NewRate(s.Price, it.Quantity)
		it.Next = []wallet.Step{s}
		c.Flow.Items = []wallet.Item{it} // as the ledger finds it in the rate cards
	}
	return c
}

// early tells of an end before the one in the books, often of a flow that has
// ended, and more often of one of which a later end was told before.
func (w *writer) early() wallet.Early {
	id := pickOf(w, w.flows)
	for _, f := range w.n.flows {
		if f.Status.Ended() && w.chance(40) || f.lateFrom != 0 && w.chance(60) {
			id = f.ID
		}
	}
	c := wallet.Early{Flow: wallet.Flow{ID: id}, Until: w.n.at - w.span()}
	f := w.n.flow(id)
	if f == nil {
		return c
	}
	switch x := w.IntN(100); {
	case x < 70 && f.EndedAt > f.StartedAt:
		c.Until = f.StartedAt + w.Int64N(f.EndedAt-f.StartedAt)
	case x < 85:
		c.Until = pickOf(w, []int64{f.EndedAt, f.EndedAt - 1, f.EndedAt + 1, f.StartedAt, f.StartedAt - 1, f.lateFrom, f.Since})
	}
	return c
}

func (w *writer) someFlow() string {
	if all := w.n.running(); len(all) > 0 && w.chance(90) {
		return pickOf(w, all).ID
	}
	return pickOf(w, w.flows)
}

func (w *writer) limit() wallet.Limit {
	c := wallet.Limit{Flow: w.someFlow()}
	f := w.n.flow(c.Flow)
	switch {
	case f != nil && f.payedBy != nil && w.chance(70):
		a := max(1, f.cost+f.payedBy.Amount+credit.Amount(w.IntN(3)-1)*w.amount())
		c.MaxCost = &a
	case w.chance(50):
		t := w.instant()
		if w.chance(20) {
			t = 0
		}
		c.Until = &t
	default:
		t := w.span() * w.Int64N(2)
		c.Lease = &t
	}
	return c
}

func (w *writer) reserve() wallet.Reserve {
	c := wallet.Reserve{ID: "hold-" + w.name(), Amount: w.amount()/2 + 1, TTL: min(w.span(), day), Project: pickOf(w, []string{"", "p"})}
	if w.chance(50) {
		c.SKUs = pickOf(w, [][]string{{"gpu.h100"}, {"gpu.h100", "gpu.a100"}, {"cpu.vcpu"}})
		c.Tier = "on-demand"
	}
	w.held = append(w.held, c.ID)
	return c
}

func (w *writer) capture() wallet.Capture {
	c := wallet.Capture{Hold: pickOf(w, w.held)}
	if w.chance(50) {
		c.Lines = w.lines()
	} else if h := w.n.hold(c.Hold); h != nil {
		c.Amount = credit.Amount(w.Int64N(int64(h.Amount) + 2))
	}
	return c
}

func (w *writer) budgets() (c wallet.SetBudgets) {
	windows := []wallet.Window{wallet.Hourly, wallet.Daily, wallet.Weekly, wallet.Monthly, wallet.AllTime, wallet.Rolling}
	if w.scale >= day && w.chance(90) {
		windows = windows[1:5] // few windows a history
	}
	for i := range w.IntN(4) {
		b := wallet.Budget{ID: fmt.Sprintf("b%d", i), Key: pickOf(w, []wallet.BudgetKey{wallet.ByWorkspace, wallet.ByProject, wallet.ByUser, wallet.ByJob}),
			Amount: 3 * w.amount(), Window: pickOf(w, windows), Hard: w.chance(80)}
		b.Value = map[wallet.BudgetKey]string{wallet.ByProject: "p", wallet.ByUser: "ann", wallet.ByJob: "j"}[b.Key]
		if b.Window == wallet.Rolling {
			b.Hours = 1 + w.IntN(4)
		}
		c.Budgets = append(c.Budgets, b)
	}
	return c
}

func (w *writer) refund() wallet.Refund {
	c := wallet.Refund{Amount: w.amount() * credit.Amount(w.IntN(2)), Reason: "oops"}
	if w.chance(20) {
		l := w.lot()
		c.To = &l
	}
	return c
}

func (w *writer) reprice() wallet.Reprice {
	c := wallet.Reprice{SKU: pickOf(w, skus), Tier: "on-demand", Step: wallet.Step{At: w.n.at, Card: "default", Version: 2 + w.IntN(9)}}
	if w.chance(60) {
		c.Step.At = w.instant()
	}
	c.Step.Price = w.price(credit.Hour) / 2
	return c
}

func (w *writer) policy() wallet.SetPolicy {
	p := w.n.policy
	switch w.IntN(4) {
	case 0:
		p.Overdraft = w.amount() * credit.Amount(w.IntN(2))
	case 1:
		p.Grace = w.span()
	case 2:
		p.RetentionDays = 1 + w.IntN(3)
	default:
		p.MinRunway = w.span() * w.Int64N(2)
	}
	return wallet.SetPolicy{Policy: p}
}

func (w *writer) someLot() string {
	if len(w.n.lots) == 0 {
		return "none"
	}
	return pickOf(w, w.n.lots).ID
}
