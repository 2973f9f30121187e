package ledger

import (
	"math"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Charged is what a flow was charged by the books, net of refunds and without the
// operator's losses. f is the flow as the unit of work has left it.
//
// While a flow runs, the wallet takes refunds off its sum, and when it ends, the
// wallet forgets it. So its charges are added up only if it has ended and something
// of them was refunded.
func (l *Ledger) Charged(tx *db.Tx, id ID, f *wallet.Flow) (credit.Amount, error) {
	if !f.Status.Ended() {
		return f.Charged, nil
	}
	b := l.pending(tx, id)
	if b == nil {
		b = newBook(id)
	}
	refunded, err := b.hasRefunds(tx, f.ID)
	if err != nil || !refunded {
		return f.Charged, err
	}
	return b.paid(tx, f.ID)
}

// hasRefunds reports whether something may have been refunded of a flow's charges.
func (b *book) hasRefunds(tx *db.Tx, flow string) (bool, error) {
	if len(b.refunds) > 0 || slices.ContainsFunc(b.charges, func(c wallet.Charge) bool { return c.Flow == flow && c.Refunded > 0 }) {
		return true, nil
	}
	_, found, err := one(tx, db.Value[int64],
		`SELECT no FROM charges`+inWallet+` AND flow = $3 AND refunded <> 0 LIMIT 1`, b.Organization, b.Workspace, flow)
	return found, fault.While("look for refunds of a flow", err)
}

// paid adds up what was paid of a flow's charges.
func (b *book) paid(tx *db.Tx, flow string) (sum credit.Amount, err error) {
	charges, err := b.chargesAfter(tx, flow, math.MinInt64)
	for i := range charges {
		sum += charges[i].Paid()
	}
	return sum, err
}
