package wallet

import (
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// maxCredits bounds what a wallet may be granted in all, so that no sum of its
// lots can leave the range of an amount.
const maxCredits = credit.Max / 4

// grant adds a lot.
func (w *Wallet) grant(c Grant) error {
	l := c.Lot
	if err := w.checkLot(&l); err != nil {
		return err
	}
	if c.Tax < 0 || c.Tax > maxCredits {
		return fault.At("/tax", "must be between 0 and %s", maxCredits)
	}
	w.admitLot(&l, Posting{Kind: PostGrant, OnAccount: c.OnAccount})
	w.postSome(Posting{Kind: PostTax, Lot: l.ID, Amount: c.Tax, OnAccount: c.OnAccount})
	w.event(EventGranted, l.ID, "kind", string(l.Kind), "amount", l.Amount.String())
	return nil
}

// checkLot refuses what could not be a lot.
func (w *Wallet) checkLot(l *Lot) error {
	var granted credit.Amount
	for _, other := range w.lots {
		if !other.Kind.isOwn() {
			granted = addSat(granted, other.Remaining)
		}
	}
	switch {
	case l.ID == "" || w.lotByID[l.ID] != nil:
		return fault.New(fault.Conflict, "lot %s exists already", l.ID)
	case !l.Kind.IsGrantable():
		return fault.At("/kind", "%q is not a kind of credits", l.Kind)
	case l.Amount <= 0:
		return fault.At("/amount", "must be more than zero")
	case addSat(granted, l.Amount) > maxCredits:
		return fault.At("/amount", "a wallet holds at most %s credits", maxCredits)
	case l.ExpiresAt != 0 && l.ExpiresAt <= max(w.root.At, l.EffectiveAt):
		return fault.At("/expires_at", "must lie after now and after effective_at")
	case l.Priority < 0 || l.Priority > 1000:
		return fault.At("/priority", "must be between 0 and 1000")
	}
	return nil
}

// admitLot puts a lot into the wallet. Credits that were bought first pay what
// is owed.
func (w *Wallet) admitLot(l *Lot, p Posting) {
	l.CreatedAt = w.root.At
	l.EffectiveAt = max(l.EffectiveAt, w.root.At)
	l.Remaining, l.Left, l.Frozen, l.Expired = l.Amount, l.Amount, false, false
	w.addLot(l)
	p.Lot, p.Amount = l.ID, l.Amount
	w.post(p)
	if l.EffectiveAt == w.root.At {
		w.repay(l)
		w.added()
	}
}

// repay lets a bought lot pay what retained storage owes and then the overdraft.
// What flows took of these and were not charged for yet is charged first, so
// that it is paid too.
func (w *Wallet) repay(l *Lot) {
	if !l.Kind.repays() || l.Frozen {
		return
	}
	w.settleDebts()
	for _, own := range []struct {
		id   string
		kind PostingKind
		full credit.Amount
	}{{OwedLot, PostRepayOwed, credit.Max}, {OverdraftLot, PostRepay, w.lotByID[OverdraftLot].Amount}} {
		o := w.lotByID[own.id].Lot
		pay := min(l.Left, own.full-o.Remaining)
		if pay <= 0 {
			continue
		}
		w.post(Posting{Kind: own.kind, Lot: l.ID, Amount: pay})
		w.setLeft(l, l.Left-pay)
		w.spend(l, pay)
		o.Remaining += pay
		w.setLeft(o, o.Left+pay)
		if own.id == OwedLot {
			w.paid(pay)
		}
	}
}

// settleDebts charges what flows took on credit and were not charged for yet.
func (w *Wallet) settleDebts() {
	od, due := w.lotByID[OverdraftLot].Lot, w.lotByID[OwedLot].Lot
	open := od.Remaining != od.Left+w.pinnedOf(od.ID) || due.Remaining != due.Left
	for _, f := range w.Flows() {
		if f.Hold == "" && open || f.Hold != "" && w.holds[f.Hold].pins(OverdraftLot) {
			w.settle(f, w.root.At, nil)
		}
	}
}

// pins reports whether a slice of the lot is held.
func (h *Hold) pins(lot string) bool {
	return slices.ContainsFunc(h.Slices, func(s Slice) bool { return s.Lot == lot })
}

// paid takes what was paid off the flows that owe, the oldest first.
func (w *Wallet) paid(amount credit.Amount) {
	for _, f := range w.Flows() {
		if part := min(amount, f.Owed); part > 0 {
			f.Owed -= part
			amount -= part
			w.dirty.flows[f.ID] = f
		}
	}
}

func (w *Wallet) pinnedOf(lot string) (sum credit.Amount) {
	for _, h := range w.holds {
		for _, s := range h.Slices {
			if s.Lot == lot {
				sum += s.Amount
			}
		}
	}
	return sum
}

// freeze takes a lot out of use, with what holds have pinned of it.
func (w *Wallet) freeze(c Freeze) error {
	l, err := w.ordinaryLot(c.Lot)
	if err != nil || l.Frozen {
		return err
	}
	for _, id := range sortedKeys(w.holds) {
		h := w.holds[id]
		if h.Flow != "" {
			w.settle(w.flows[h.Flow], w.root.At, nil)
		}
		kept := slices.DeleteFunc(slices.Clone(h.Slices), func(s Slice) bool { return s.Lot == l.ID })
		if back := total(h.Slices) - total(kept); back > 0 {
			h.Slices, h.Amount = kept, h.Amount-back
			w.putHold(h)
			w.dirty.holds[h.ID] = h
			w.event(EventHoldShrunk, h.ID, "amount", h.Amount.String())
			w.giveBack(l.ID, back)
		}
	}
	l.Frozen = true
	w.touchLot(l)
	w.event(EventFrozen, l.ID, "left", l.Left.String())
	return nil
}

// unfreeze puts a lot back into use.
func (w *Wallet) unfreeze(c Unfreeze) error {
	l, err := w.ordinaryLot(c.Lot)
	if err != nil || !l.Frozen {
		return err
	}
	l.Frozen = false
	w.touchLot(l)
	w.event(EventUnfrozen, l.ID)
	return nil
}

func (w *Wallet) ordinaryLot(id string) (*Lot, error) {
	book := w.lotByID[id]
	if book == nil || book.Kind.isOwn() {
		return nil, fault.New(fault.NotFound, "there is no lot %s", id)
	}
	w.revive(book.Lot)
	return book.Lot, nil
}

// setPolicy replaces the policy. A smaller overdraft may leave less than
// nothing available: then running work ends now.
func (w *Wallet) setPolicy(c SetPolicy) error {
	p := c.Policy
	switch {
	case p.Overdraft < 0 || p.Overdraft > maxCredits:
		return fault.At("/overdraft", "must be between 0 and %s", maxCredits)
	case p.BlockBelow < 0:
		return fault.At("/block_below", "must not be negative")
	case p.MinRunway < 0 || p.MinRunway > 365*day:
		return fault.At("/min_runway_seconds", "must be between 0 and a year")
	case p.Grace < 0 || p.Grace > day:
		return fault.At("/grace_seconds", "must be between 0 and 86400")
	case p.RetentionDays < 0 || p.RetentionDays > 3650:
		return fault.At("/retention_days", "must be between 0 and 3650")
	}
	o := w.lotByID[OverdraftLot].Lot
	by := p.Overdraft - o.Amount
	o.Amount += by
	o.Remaining += by
	w.setLeft(o, o.Left+by)
	w.touchLot(o)
	p.Rules = w.root.Policy.Rules
	w.root.Policy = p
	w.classify()
	return nil
}

// use records usage that has happened.
func (w *Wallet) use(c Use) error {
	for _, l := range c.Lines {
		w.chargeLine(l, nil)
	}
	return nil
}

// refund gives back a part of a charge, or all that is left of it.
func (w *Wallet) refund(c Refund) error {
	ch, amount, to := c.Charge, c.Amount, ""
	left := ch.Amount - ch.Refunded
	if amount == 0 {
		amount = left
	}
	switch {
	case left <= 0:
		return fault.New(fault.Conflict, "the charge has been refunded already").WithCode("already_refunded")
	case amount < 0 || amount > left:
		return fault.At("/amount", "must be between 0 and the %s credits left of the charge", left)
	}
	if c.To != nil {
		l := *c.To
		l.Amount = amount
		if err := w.checkLot(&l); err != nil {
			return err
		}
		l.CreatedAt, l.EffectiveAt = w.root.At, max(l.EffectiveAt, w.root.At)
		l.Remaining, l.Left = 0, 0
		w.addLot(&l)
		to = l.ID
	}
	w.refundCharge(&ch, amount, 0, to)
	if l := w.Lot(to); l != nil && l.EffectiveAt == w.root.At {
		w.repay(l)
	}
	w.added()
	return nil
}

// transferOut takes credits out of the wallet. What is bound to a project,
// pinned, frozen or leased stays.
func (w *Wallet) transferOut(c TransferOut) error {
	if c.Amount <= 0 {
		return fault.At("/amount", "must be more than zero")
	}
	var route []int32
	for i, l := range w.lots {
		if !l.Kind.isOwn() && len(l.Scope.Projects) == 0 && w.usable(l) {
			route = append(route, int32(i))
		}
	}
	if err := w.covers(gate{route: route, need: c.Amount, rate: w.burnRate()}); err != nil {
		return err
	}
	parts, _ := w.take(route, c.Amount)
	for _, s := range parts {
		l := w.lotByID[s.Lot].Lot
		w.post(Posting{Kind: PostSend, Lot: l.ID, Amount: s.Amount, Transfer: c.ID})
		w.spend(l, s.Amount)
		moved := *l
		moved.Amount, moved.Source = s.Amount, l.ID
		moved.CostBasis = shareOf(l.CostBasis, s.Amount, l.Amount)
		w.fx.Moved = append(w.fx.Moved, moved)
	}
	w.event(EventSent, c.ID, "amount", c.Amount.String())
	return nil
}

// shareOf is basis × part / whole, rounded down.
func shareOf(basis, part, whole credit.Amount) credit.Amount {
	n := credit.MulWide(uint64(basis), uint64(part)).Big()
	return credit.Amount(n.Quo(n, credit.MulWide(uint64(whole), 1).Big()).Int64())
}

// transferIn puts the lots of a transfer in, with their terms.
func (w *Wallet) transferIn(c TransferIn) error {
	var sum credit.Amount
	for i := range c.Lots {
		l := c.Lots[i]
		if err := w.checkLot(&l); err != nil {
			return err
		}
		if slices.ContainsFunc(c.Lots[:i], func(o Lot) bool { return o.ID == l.ID }) {
			return fault.New(fault.Conflict, "lot %s comes twice", l.ID)
		}
		sum = addSat(sum, l.Amount)
	}
	for i := range c.Lots {
		l := c.Lots[i]
		w.admitLot(&l, Posting{Kind: PostReceive, Transfer: c.ID})
	}
	w.event(EventReceived, c.ID, "amount", sum.String())
	return nil
}

// reprice schedules a price for the running items of an SKU and tier.
func (w *Wallet) reprice(c Reprice) error {
	step := c.Step
	step.At = max(step.At, w.root.At)
	for _, cl := range slices.Clone(w.classes) {
		if !slices.ContainsFunc(cl.items, func(it classItem) bool { return it.SKU == c.SKU && it.Tier == c.Tier }) {
			continue
		}
		flows := w.detach(cl)
		for _, f := range flows {
			f.Items = slices.Clone(f.Items)
			for i := range f.Items {
				if it := &f.Items[i]; it.SKU == c.SKU && it.Tier == c.Tier {
					it.schedule(step)
				}
			}
			w.dirty.flows[f.ID] = f
		}
		w.attach(flows)
	}
	if step.At <= w.root.At {
		for _, cl := range slices.Clone(w.classes) {
			if slices.ContainsFunc(cl.stepInstants(), func(at int64) bool { return at <= w.root.At }) {
				w.takePrices(cl)
			}
		}
	}
	return nil
}

// schedule puts a price in the place of those from its instant on. One that is
// too much for the quantity is left out: the item keeps the price it has by then.
func (it *Item) schedule(s Step) {
	it.Next = slices.DeleteFunc(slices.Clone(it.Next), func(later Step) bool { return later.At >= s.At })
	rate, err := credit.NewRate(s.Price, it.Quantity)
	if err == nil {
		it.Next = append(it.Next, Step{s.At, s.Price, s.Card, s.Version, rate})
	}
}

// added notes that credits came in: alerts count from the balance of now.
func (w *Wallet) added() {
	w.root.AlertOf = w.buildCourse().balance()
	w.root.Fired = slices.DeleteFunc(slices.Clone(w.root.Fired), func(a string) bool { return strings.HasPrefix(a, "percent:") })
	w.course = nil
}
