package wallet

import (
	"math"
	"slices"

	"github.com/purserhq/purser/internal/credit"
)

// post writes a posting; its number, instant and the lot's kind are filled in.
func (w *Wallet) post(p Posting) {
	p.No, p.At = w.root.NextNo.Posting, w.root.At
	w.root.NextNo.Posting++
	if book := w.lotByID[p.Lot]; book != nil {
		p.LotKind = book.Kind
	}
	w.fx.Postings = append(w.fx.Postings, p)
}

// postSome writes a posting unless there is nothing to post.
func (w *Wallet) postSome(p Posting) {
	if p.Amount > 0 {
		w.post(p)
	}
}

// event writes an event about a subject, with pairs of names and values.
func (w *Wallet) event(kind, subject string, pairs ...string) {
	e := Event{No: w.root.NextNo.Event, At: w.root.At, Kind: kind, Subject: subject}
	if len(pairs) > 0 {
		e.Data = make(map[string]string, len(pairs)/2)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Data[pairs[i]] = pairs[i+1]
	}
	w.root.NextNo.Event++
	w.fx.Events = append(w.fx.Events, e)
}

// charge writes a charge, the postings of its slices and its line of the totals.
// The slices have left Lot.Left (or a hold) already.
func (w *Wallet) charge(ch Charge) {
	ch.No, ch.At = w.root.NextNo.Charge, w.root.At
	w.root.NextNo.Charge++
	for _, s := range ch.Slices {
		ch.Amount += s.Amount
		kind := PostCharge
		switch s.Lot {
		case OverdraftLot:
			kind = PostOverdraft
		case OwedLot:
			kind = PostOwe
		case OverrunLot:
			kind = PostOverrun
		}
		w.post(Posting{Kind: kind, Lot: s.Lot, SKU: ch.SKU, Amount: s.Amount, Charge: ch.No})
		if book := w.lotByID[s.Lot]; book != nil {
			w.spend(book.Lot, s.Amount)
		}
	}
	w.fx.Charges = append(w.fx.Charges, ch)
	w.total(&ch, ch.counted(ch.From, ch.To), ch.Amount, ch.Amount-spent(ch.Slices))
}

// spend takes from what the postings left of a lot, and says so when that was
// the last of it: what is free, held or used but not charged yet is not gone.
func (w *Wallet) spend(l *Lot, amount credit.Amount) {
	l.Remaining -= amount
	w.touchLot(l)
	if l.Remaining == 0 && amount > 0 && !l.Kind.isOwn() {
		w.event(EventLotUsed, l.ID)
	}
}

// total adds to the hourly totals in the hour of a charge; overrun is a part of the amount.
func (w *Wallet) total(ch *Charge, quantity int64, amount, overrun credit.Amount) {
	if quantity == 0 && amount == 0 {
		return
	}
	w.fx.Totals = append(w.fx.Totals, Total{
		Hour: ch.From - ch.From%hour, Project: ch.Project, User: ch.User, Job: ch.Job,
		SKU: ch.SKU, Tier: ch.Tier, Region: ch.Region, Unit: ch.Unit, Quantity: quantity, Amount: amount, Overrun: overrun,
	})
}

// counted is the quantity for the totals: the quantity of an event, or the
// micro-unit-seconds of a flow from s to t within an hour, cut so that the parts
// of an hour add up to the whole.
func (ch *Charge) counted(s, t int64) int64 {
	if ch.Flow == "" {
		return ch.eventCount()
	}
	h := s - s%hour
	return unitSeconds(ch.Quantity, t-h) - unitSeconds(ch.Quantity, s-h)
}

// eventCount is the quantity of an event for the totals: micro-units, and for
// what is sold by time its unit-hours or GiB-months in micro-unit-seconds, as
// flows count. It saturates.
func (ch *Charge) eventCount() int64 {
	seconds := map[string]int64{"hour": 3600, "gib_hour": 3600, "gib_month": 720 * 3600}[ch.Unit]
	if seconds == 0 {
		return int64(ch.Quantity)
	}
	if int64(ch.Quantity) > math.MaxInt64/seconds {
		return math.MaxInt64
	}
	return int64(ch.Quantity) * seconds
}

// unitSeconds is quantity × dt in micro-unit-seconds, rounded down.
func unitSeconds(q credit.Quantity, dt int64) int64 {
	const perSecond = credit.Period(1000) // its divisor is 10^9
	n, _ := perSecond.DivMod(credit.MulWide(uint64(q), uint64(dt)))
	return int64(n.Lo)
}

// chargeItem charges one item of a flow for a window within an hour.
func (w *Wallet) chargeItem(f *Flow, i int, s, t int64, part handed) {
	it := &f.Items[i]
	ch := Charge{
		Flow: f.ID, Item: i, Hold: f.Hold, SKU: it.SKU, Tier: it.Tier, Region: it.Region,
		Project: f.Project, User: f.User, Job: f.Job, Key: f.Key, Unit: it.Unit, Quantity: it.Quantity,
		From: s, To: t, Price: it.Price, Card: it.Card, Version: it.Version, Rate: it.Rate, Period: it.Period,
		Rem: it.remainder(s - f.Since), Waived: part.rest, Slices: part.slices,
	}
	f.Charged += spent(part.slices)
	for _, sl := range part.slices {
		if sl.Lot == OwedLot {
			f.Owed += sl.Amount
		}
	}
	w.charge(ch)
}

// refundCharge gives amount of a charge back to its slices, the last one first,
// or to the lot to. quantity is what is taken off the totals.
func (w *Wallet) refundCharge(ch *Charge, amount credit.Amount, quantity int64, to string) {
	if slices.ContainsFunc(ch.Slices, func(s Slice) bool { return s.Lot == OwedLot }) {
		w.settleDebts() // so that it shows what is still owed
	}
	rest, lost := amount, credit.Amount(0)
	skip := ch.Refunded // the last slices have been given back already
	for i := len(ch.Slices) - 1; i >= 0 && rest > 0; i-- {
		s := ch.Slices[i]
		gone := min(skip, s.Amount)
		skip -= gone
		part := min(rest, s.Amount-gone)
		rest -= part
		if part > 0 {
			w.refundSlice(ch, s.Lot, part, to)
		}
		if s.Lot == OverrunLot {
			lost += part // which no budget counted
		}
	}
	ch.Refunded += amount
	w.fx.Refunds = append(w.fx.Refunds, RefundOf{ch.No, ch.Refunded})
	w.total(ch, -quantity, -amount, -lost)
	w.recordSpending(w.budgetsFor(ch.Project, ch.User, ch.Job, ch.Key), lost-amount, ch.From)
	if f := w.flows[ch.Flow]; f != nil {
		f.Charged -= amount
		w.dirty.flows[f.ID] = f
	}
	w.event(EventRefunded, itoa(ch.No), "amount", amount.String())
}

// refundSlice books one slice of a refund. What was owed and written off was the
// operator's loss and comes back to the operator; what was owed and has been paid
// since pays what others owe, and comes back as a claim against the overdraft
// beyond that, which may then stand above its limit.
func (w *Wallet) refundSlice(ch *Charge, lot string, amount credit.Amount, to string) {
	kind := PostRefund
	switch lot {
	case OverrunLot:
		w.post(Posting{Kind: PostUnOverrun, Lot: lot, SKU: ch.SKU, Amount: amount, Corrects: ch.No})
		return
	case OwedLot:
		unpaid, lost := w.unowe(ch, amount)
		w.refill(ch, PostUnOwe, OwedLot, unpaid)
		if lost > 0 {
			o := w.lotByID[OwedLot].Lot
			w.post(Posting{Kind: PostUnOverrun, Lot: OverrunLot, SKU: ch.SKU, Amount: lost, Corrects: ch.No})
			o.Amount += lost
			w.touchLot(o)
		}
		w.refill(ch, PostUnOverdraw, OverdraftLot, amount-unpaid-lost)
		return
	case OverdraftLot:
		kind = PostUnOverdraw
	default:
		if to != "" {
			lot = to
		}
	}
	w.refill(ch, kind, lot, amount)
}

// unowe says how much of a refund of what was owed lowers what is owed, and how
// much of it was written off; the rest was paid and nothing is owed.
//
// What a running flow still owes is its Owed, and what ended ones left behind is
// what no running flow owes: so the running flows never owe more in all than the
// wallet does, and a release writes off its own flow's debt and nobody else's.
func (w *Wallet) unowe(ch *Charge, amount credit.Amount) (unpaid, lost credit.Amount) {
	o, f := w.lotByID[OwedLot].Lot, w.flows[ch.Flow]
	due, writtenOff := credit.Max-o.Remaining, credit.Max-o.Amount
	if !w.root.Policy.follows(refundsByDebtor) {
		if f != nil {
			f.Owed -= min(f.Owed, amount)
		}
		unpaid = min(amount, due)
		return unpaid, min(amount-unpaid, writtenOff)
	}
	if f != nil {
		unpaid = min(amount, f.Owed)
		f.Owed -= unpaid
	} else {
		unpaid = min(amount, max(0, due-w.owedByRunning()))
		lost = min(amount-unpaid, writtenOff)
	}
	others := min(amount-unpaid-lost, due-unpaid)
	w.paid(others)
	return unpaid + others, lost
}

// owedByRunning is the part of what is owed that running flows have run up.
func (w *Wallet) owedByRunning() (sum credit.Amount) {
	for _, f := range w.flows {
		sum += f.Owed
	}
	return sum
}

// refill returns credits that postings had counted as spent.
func (w *Wallet) refill(ch *Charge, kind PostingKind, lot string, amount credit.Amount) {
	if amount == 0 {
		return
	}
	w.post(Posting{Kind: kind, Lot: lot, SKU: ch.SKU, Amount: amount, Corrects: ch.No})
	l := w.lotByID[lot].Lot
	w.revive(l)
	l.Remaining += amount
	w.touchLot(l)
	w.giveBack(lot, amount)
}
