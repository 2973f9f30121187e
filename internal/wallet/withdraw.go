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
	if err := w.mayWithdraw(book.Lot, c.Amount); err != nil {
		return err
	}
	l, err := w.ordinaryLot(c.Lot)
	if err != nil {
		return err
	}
	if c.Amount > 0 {
		w.setLeft(l, l.Left-c.Amount)
		w.post(Posting{Kind: PostWithdraw, Lot: l.ID, Amount: c.Amount, OnAccount: c.OnAccount})
		w.spend(l, c.Amount)
	}
	w.postSome(Posting{Kind: PostLoss, Lot: l.ID, Amount: c.Loss, OnAccount: c.OnAccount})
	w.postSome(Posting{Kind: PostUntax, Lot: l.ID, Amount: c.Tax, OnAccount: c.OnAccount})
	w.event(EventWithdrawn, l.ID, "amount", c.Amount.String(), "loss", c.Loss.String(), "reason", c.Reason)
	return nil
}

// mayWithdraw refuses what the lot does not have, and what running work counts on.
func (w *Wallet) mayWithdraw(l *Lot, amount credit.Amount) error {
	if amount > l.Left {
		return fault.New(fault.Conflict, "%s credits of lot %s are unused, and not %s", l.Left, l.ID, amount).
			WithCode("credits_used").With("unused", l.Left)
	}
	if amount == 0 || l.Frozen {
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
