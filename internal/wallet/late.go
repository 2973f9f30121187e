package wallet

import (
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// chargeLate charges what a flow used before it was reported: a late fact, from
// the lots as they stand now.
func (w *Wallet) chargeLate(f *Flow) {
	w.chargeUpTo(f, w.root.At, func(it *Item, amount credit.Amount) (part handed) {
		if f.Hold != "" {
			part.slices = w.drawPinned(w.holds[f.Hold], amount)
		} else {
			part.slices, part.rest = w.take(w.route(it.SKU, it.Tier, it.Region, f.Project, f.Storage), amount)
		}
		return part
	})
}

// late charges what a flow that was closed as lost used up to its true end. What
// the lots do not cover, and what goes beyond the largest cost, is overrun.
func (w *Wallet) late(c Late) error {
	f := c.Flow
	switch {
	case w.flows[f.ID] != nil || f.Status != Lost || f.Reason == ReasonLate:
		return fault.New(fault.Conflict, "flow %s is not lost, or its true end is known", f.ID)
	case c.Until <= f.EndedAt:
		return fault.At("/at", "does not lie after the flow's last proof of life")
	case c.Until > w.root.At:
		return fault.At("/at", "lies in the future")
	}
	f.goOnFromEnd()
	before := f.Charged
	w.chargeUpTo(&f, c.Until, func(it *Item, amount credit.Amount) (part handed) {
		allowed := amount
		if c.Most > 0 {
			allowed = min(amount, max(0, c.Most-(f.Charged-before)))
		}
		var rest credit.Amount
		part.slices, rest = w.take(w.route(it.SKU, it.Tier, it.Region, f.Project, false), allowed)
		part.slices = append(part.slices, overrunSlice(rest+amount-allowed)...)
		return part
	})
	f.EndedAt, f.Reason = c.Until, ReasonLate
	w.dirty.flows[f.ID] = &f
	w.event(EventLate, f.ID, "amount", (f.Charged - before).String(), "ended_at", itoa(f.EndedAt))
	return nil
}

// goOnFromEnd prepares an ended flow to be charged for what came after its end.
func (f *Flow) goOnFromEnd() {
	f.Items, f.SettledAt = slices.Clone(f.Items), f.EndedAt
	if f.EndedAt < f.Since { // it was closed at an instant before its present price
		f.Since = f.EndedAt
		for i := range f.Items {
			f.Items[i].Rem = credit.Wide{}
		}
	}
}

// chargeUpTo charges a flow that is in no class up to an instant, hour by hour
// and price by price, as pay takes it from somewhere.
func (w *Wallet) chargeUpTo(f *Flow, until int64, pay func(it *Item, amount credit.Amount) handed) {
	matching := w.budgetsOf(f)
	f.takeSteps(f.SettledAt)
	for f.SettledAt < until {
		to := min(until, f.SettledAt-f.SettledAt%hour+hour, f.nextStep())
		for i := range f.Items {
			part := pay(&f.Items[i], f.amount(i, f.SettledAt, to))
			if paid := spent(part.slices); paid != 0 {
				w.recordSpending(matching, paid, f.SettledAt)
			}
			w.chargeItem(f, i, f.SettledAt, to, part)
		}
		f.SettledAt = to
		f.takeSteps(to)
	}
}

// used is what chargeUpTo would charge a flow up to an instant.
func (f Flow) used(until int64) (sum credit.Amount) {
	f.takeSteps(f.SettledAt)
	for f.SettledAt < until {
		to := min(until, f.nextStep())
		sum = addSat(sum, f.sum(f.SettledAt, to))
		f.SettledAt = to
		f.takeSteps(to)
	}
	return sum
}

// spent is what slices took from the customer.
func spent(list []Slice) (sum credit.Amount) {
	for _, s := range list {
		if s.Lot != OverrunLot {
			sum += s.Amount
		}
	}
	return sum
}

// nextStep is when the flow's next scheduled price comes; never without one.
func (f *Flow) nextStep() int64 {
	next := int64(never)
	for i := range f.Items {
		if steps := f.Items[i].Next; len(steps) > 0 {
			next = min(next, steps[0].At)
		}
	}
	return next
}

// takeSteps gives the items the prices that were scheduled up to t, where the
// flow is settled, and carries their remainders.
func (f *Flow) takeSteps(t int64) {
	if f.nextStep() > t {
		return
	}
	f.Items = slices.Clone(f.Items)
	for i := range f.Items {
		it := &f.Items[i]
		it.Rem = it.remainder(t - f.Since)
		for len(it.Next) > 0 && it.Next[0].At <= t {
			s := it.Next[0]
			it.Price, it.Card, it.Version, it.Rate = s.Price, s.Card, s.Version, s.Rate
			it.Next = it.Next[1:]
		}
	}
	f.Since = t
}

// overrun books what a flow used after it had ended as the operator's loss.
func (w *Wallet) overrun(c Overrun) error {
	f := c.Flow
	if w.flows[f.ID] != nil || f.EndedAt == 0 {
		return fault.New(fault.Conflict, "flow %s has not ended", f.ID)
	}
	f.goOnFromEnd()
	f.Hold = "" // it has ended: nothing is taken from it
	for i := range f.Items {
		f.Items[i].Next = nil // all of it at the price the flow has
	}
	var lost credit.Amount
	w.chargeUpTo(&f, min(c.Until, w.root.At), func(_ *Item, amount credit.Amount) handed {
		lost = addSat(lost, amount)
		return handed{slices: overrunSlice(amount)}
	})
	w.event(EventOverrun, f.ID, "amount", lost.String(), "ended_at", itoa(c.Until))
	return nil
}

func overrunSlice(amount credit.Amount) []Slice {
	if amount == 0 {
		return nil
	}
	return []Slice{{OverrunLot, amount}}
}
