package wallet

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// early moves the end of a flow to an earlier one: what it was charged for the
// time after it returns to its slices and leaves the totals, as when it is
// stopped in the past. Why it ended in the books stays, but for a lost flow,
// whose true end is known now.
func (w *Wallet) early(c Early) error {
	f := c.Flow
	switch {
	case w.flows[f.ID] != nil || f.EndedAt == 0:
		return fault.New(fault.Conflict, "flow %s has not ended", f.ID)
	case c.Until < f.StartedAt:
		return fault.At("/at", "lies before the flow's start")
	case c.Until >= f.EndedAt:
		return fault.At("/at", "does not lie before the flow's end")
	}
	before := f.Charged
	counted := passes{end: f.EndedAt, reach: never, from: never}
	for i := range c.Charges {
		ch := &c.Charges[i]
		f.Charged -= ch.Paid()
		w.returnCharged(ch, c.Until, counted.until(ch))
		f.Charged += ch.Paid()
	}
	f.EndedAt, f.SettledAt = c.Until, c.Until
	if f.Status == Lost {
		f.Reason = ReasonLate
	}
	w.dirty.flows[f.ID] = &f
	w.event(EventEarly, f.ID, "amount", (before - f.Charged).String(), "ended_at", itoa(f.EndedAt))
	return nil
}

// passes tells, charge by charge from the newest one, up to where the time of an
// ended flow's charge still stands in the totals. What a stop had given back may
// have been charged once more, by a late fact or as overrun: a later pass over
// time takes the place of an earlier one from where it begins.
type passes struct {
	end   int64 // of the flow
	reach int64 // where the passes after the present one begin
	from  int64 // the charge before
	item  int
}

func (p *passes) until(ch *Charge) int64 {
	isSameStretch := ch.From == p.from && ch.Item < p.item
	if ch.To > p.from && !isSameStretch {
		p.reach = min(p.reach, p.from)
	}
	p.from, p.item = ch.From, ch.Item
	switch {
	case ch.From < p.end:
		return min(ch.To, p.reach, p.end)
	case ch.Refunded == ch.Amount: // given back, or an overrun that cost nothing
		return ch.From
	}
	return min(ch.To, p.reach)
}

// returnCharged refunds the part of a charge that lies after at, and takes its
// time up to until off the totals.
func (w *Wallet) returnCharged(ch *Charge, at, until int64) {
	if ch.To <= at || ch.Flow == "" {
		return
	}
	var quantity int64
	cut := max(ch.From, at)
	if cut < until {
		quantity = ch.counted(cut, until)
	}
	kept, _, _ := credit.Accrue(ch.Rate, cut-ch.From, ch.Rem, ch.Period)
	if back := ch.Amount - ch.Refunded - min(kept, ch.Amount); back > 0 {
		w.refundCharge(ch, back, quantity, "")
	} else if w.root.Policy.follows(returnsQuantities) {
		w.total(ch, -quantity, 0, 0)
	}
}
