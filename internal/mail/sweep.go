package mail

import (
	"context"
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/db"
)

// How long mails are kept, and how many.
const (
	keptUnsent = int64(7 * 24 * time.Hour)  // with their texts, while nobody sends them
	keptEnded  = int64(30 * 24 * time.Hour) // without
	maxEnded   = 50_000
	maxWaiting = 50_000
	sweepBatch = 1_000 // rows in a unit of work
)

// sweeps are what a sweep does, each with the instant before which, and whatever else.
var sweeps = []struct {
	query string
	args  func(now int64) []any
}{
	{`UPDATE mails SET status = 'expired', data = '', ended_at = $1 WHERE id IN
		(SELECT id FROM mails WHERE status = 'waiting' AND created_at < $2 LIMIT $3)`,
		func(now int64) []any { return []any{now, now - keptUnsent, sweepBatch} }},
	{`UPDATE mails SET status = 'expired', data = '', ended_at = $1 WHERE id IN
		(SELECT id FROM mails WHERE status = 'waiting' ORDER BY id DESC LIMIT $3 OFFSET $2)`,
		func(now int64) []any { return []any{now, maxWaiting, sweepBatch} }},
	{`DELETE FROM mails WHERE id IN (SELECT id FROM mails WHERE status <> 'waiting' AND ended_at < $1 LIMIT $2)`,
		func(now int64) []any { return []any{now - keptEnded, sweepBatch} }},
	{`DELETE FROM mails WHERE id IN (SELECT id FROM mails WHERE status <> 'waiting' ORDER BY id DESC LIMIT $2 OFFSET $1)`,
		func(int64) []any { return []any{maxEnded, sweepBatch} }},
}

// Sweep ends mails that nobody sends, and forgets those that ended long ago, or before
// many others. Several servers may do it at once: it comes to the same.
func (o *Outbox) Sweep(ctx context.Context) error {
	for _, s := range sweeps {
		for changed := int64(sweepBatch); changed == sweepBatch; {
			err := o.db.Update(ctx, func(tx *db.Tx) (err error) {
				changed, err = tx.Exec(s.query, s.args(tx.Now())...)
				return err
			})
			if err != nil {
				return fmt.Errorf("sweep the mails: %w", err)
			}
		}
	}
	return nil
}
