package wallet

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// withdraw takes credits out of a lot, back to where they came from. Of a frozen lot
// all that is left can go, for nothing counts on it; of another no more than running
// work leaves.
func (w *Wallet) withdraw(c Withdraw) error {
	for _, part := range []struct {
		at     string
		amount credit.Amount
	}{{"/amount", c.Amount}, {"/tax", c.Tax}, {"/loss", c.Loss}} {
		if part.amount < 0 || part.amount > maxCredits {
			return fault.At(part.at, "must be between 0 and %s", maxCredits)
		}
	}
	if c.Amount == 0 && c.Loss == 0 {
		return fault.At("/amount", "must be more than zero")
	}
	book := w.lotByID[c.Lot]
	if book == nil || book.Kind.isOwn() {
		return fault.New(fault.NotFound, "there is no lot %s", c.Lot)
	}
	if err := w.mayWithdraw(book.Lot, c); err != nil {
		return err
	}
	l, err := w.ordinaryLot(c.Lot)
	if err != nil {
		return err
	}
	if c.Amount > 0 {
		free := min(l.Left, c.Amount)
		w.setLeft(l, l.Left-free)
		if free < c.Amount {
			w.settleHolds()
			w.takeHeld(l, c.Amount-free)
		}
		w.post(Posting{Kind: PostWithdraw, Lot: l.ID, Amount: c.Amount, OnAccount: c.OnAccount})
		w.spend(l, c.Amount)
	}
	w.postSome(Posting{Kind: PostLoss, Lot: l.ID, Amount: c.Loss, OnAccount: c.OnAccount})
	w.postSome(Posting{Kind: PostUntax, Lot: l.ID, Amount: c.Tax, OnAccount: c.OnAccount})
	w.event(EventWithdrawn, l.ID, "amount", c.Amount.String(), "loss", c.Loss.String(), "reason", c.Reason)
	return nil
}

// heldOf is what holds have set aside of a lot, less what the flows that they pay for have
// used by now: the first slices first.
func (w *Wallet) heldOf(lot string) (sum credit.Amount) {
	for _, h := range w.holds {
		used := credit.Amount(0)
		if h.Flow != "" {
			used = w.flows[h.Flow].accrued(w.root.At)
		}
		for _, s := range h.Slices {
			part := min(used, s.Amount)
			if used -= part; s.Lot == lot {
				sum += s.Amount - part
			}
		}
	}
	return sum
}

// settleHolds charges the flows that holds pay for, so that these have what is left of them.
func (w *Wallet) settleHolds() {
	for _, id := range sortedKeys(w.holds) {
		if h := w.holds[id]; h.Flow != "" {
			w.settle(w.flows[h.Flow], w.root.At, nil)
		}
	}
}

// takeHeld takes credits of a lot out of the holds that have set them aside, and of no lot else.
func (w *Wallet) takeHeld(l *Lot, amount credit.Amount) {
	for _, id := range sortedKeys(w.holds) {
		h := w.holds[id]
		kept, taken := []Slice(nil), credit.Amount(0)
		for _, s := range h.Slices {
			if s.Lot == l.ID {
				part := min(s.Amount, amount-taken)
				s.Amount, taken = s.Amount-part, taken+part
			}
			if s.Amount > 0 {
				kept = append(kept, s)
			}
		}
		if taken == 0 {
			continue
		}
		amount -= taken
		h.Slices, h.Amount = kept, h.Amount-taken
		w.putHold(h)
		w.dirty.holds[h.ID] = h
		w.event(EventHoldShrunk, h.ID, "amount", h.Amount.String())
	}
}

// recover books what had been lost as received again. No lot changes.
func (w *Wallet) recover(c Recover) error {
	for _, part := range []struct {
		at     string
		amount credit.Amount
	}{{"/loss", c.Loss}, {"/tax", c.Tax}} {
		if part.amount < 0 || part.amount > maxCredits {
			return fault.At(part.at, "must be between 0 and %s", maxCredits)
		}
	}
	if c.Loss == 0 {
		return fault.At("/loss", "must be more than zero")
	}
	book := w.lotByID[c.Lot]
	if book == nil || book.Kind.isOwn() {
		return fault.New(fault.NotFound, "there is no lot %s", c.Lot)
	}
	w.post(Posting{Kind: PostRecover, Lot: c.Lot, Amount: c.Loss})
	w.postSome(Posting{Kind: PostTax, Lot: c.Lot, Amount: c.Tax})
	w.event(EventRecovered, c.Lot, "loss", c.Loss.String(), "reason", c.Reason)
	return nil
}

// mayWithdraw refuses what the lot does not have, and what running work counts on, unless
// the money has gone already.
func (w *Wallet) mayWithdraw(l *Lot, c Withdraw) error {
	unused, amount := l.Left, c.Amount
	if c.Forced {
		unused += w.heldOf(l.ID)
	}
	if amount > unused {
		return fault.New(fault.Conflict, "%s credits of lot %s are unused, and not %s", unused, l.ID, amount).
			WithCode("credits_used").With("unused", unused)
	}
	if amount == 0 || l.Frozen || c.Forced {
		return nil
	}
	var route []int32
	for i, other := range w.lots {
		if !other.Kind.isOwn() && w.usable(other) {
			route = append(route, int32(i))
		}
	}
	if !w.usable(l) { // it begins later: nothing counts on it yet
		return nil
	}
	return w.covers(gate{route: route, need: amount, rate: w.burnRate()})
}
