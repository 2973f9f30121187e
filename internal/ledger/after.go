package ledger

import (
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// ChargesAfter are the charges of a flow for time after an instant, newest
// first, as the unit of work has left them: what is too much if its work turns
// out to have ended before.
func (l *Ledger) ChargesAfter(tx *db.Tx, id ID, flow string, at int64) ([]wallet.Charge, error) {
	s := l.set(tx)
	b, err := s.open(tx, id)
	if err != nil {
		return nil, err
	}
	return s.chargesAfter(tx, b, flow, at)
}
