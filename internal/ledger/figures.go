package ledger

import (
	"context"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Figures are what whoever watches the books wants to see grow, or not.
type Figures struct {
	Wallets  int64
	Running  int64         // flows that have not ended
	Unleased int64         // of them, those that nobody's silence would end
	Overrun  credit.Amount // what was booked as the operator's loss since the program started
	Behind   int64         // nanoseconds for which the first due thing has been waiting for the keeper
}

// Figures counts; the flows are counted row by row.
func (l *Ledger) Figures(ctx context.Context) (f Figures, err error) {
	err = l.db.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(`SELECT COUNT(*) FROM wallets`).Scan(&f.Wallets)
		if err != nil {
			return fault.While("count wallets", err)
		}
		err = tx.QueryRow(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN lease = 0 THEN 1 ELSE 0 END), 0) FROM flows WHERE ended = 0`).
			Scan(&f.Running, &f.Unleased)
		return fault.While("count flows", err)
	})
	if err != nil {
		return f, err
	}
	next, err := l.NextAt(ctx)
	if next != 0 {
		f.Behind = max(0, l.db.Clock().Now()-next)
	}
	f.Overrun = credit.Amount(l.overrun.Load())
	return f, err
}

// overrun is what a batch books as the operator's loss.
func (b *book) overrun() (sum int64) {
	for i := range b.postings {
		if b.postings[i].Kind == wallet.PostOverrun {
			sum += int64(b.postings[i].Amount)
		}
	}
	return sum
}
