package mail

import (
	"context"
	"time"

	"github.com/purserhq/purser/internal/db"
)

// How long mails are kept, and how many.
const (
	keptUnsent = int64(7 * 24 * time.Hour)  // with their texts, while nobody sends them
	keptEnded  = int64(30 * 24 * time.Hour) // without
	maxEnded   = 50_000
	maxWaiting = 50_000
)

// sweeps are what a sweep does, each with the instant before which, and whatever else.
var sweeps = []db.Swept{
	{Query: `UPDATE mails SET status = 'expired', data = '', ended_at = $1 WHERE id IN
		(SELECT id FROM mails WHERE status = 'waiting' AND created_at < $2 LIMIT $3)`,
		Args: func(now int64) []any { return []any{now, now - keptUnsent, db.SweepBatch} }},
	{Query: `UPDATE mails SET status = 'expired', data = '', ended_at = $1 WHERE id IN
		(SELECT id FROM mails WHERE status = 'waiting' ORDER BY id DESC LIMIT $3 OFFSET $2)`,
		Args: func(now int64) []any { return []any{now, maxWaiting, db.SweepBatch} }},
	{Query: `DELETE FROM mails WHERE id IN (SELECT id FROM mails WHERE status <> 'waiting' AND ended_at < $1 ORDER BY ended_at LIMIT $2)`,
		Args: func(now int64) []any { return []any{now - keptEnded, db.SweepBatch} }},
	{Query: `DELETE FROM mails WHERE id IN (SELECT id FROM mails WHERE status <> 'waiting' ORDER BY id DESC LIMIT $2 OFFSET $1)`,
		Args: func(int64) []any { return []any{maxEnded, db.SweepBatch} }},
}

// Sweep ends mails that nobody sends, and forgets those that ended long ago, or before
// many others. Several servers may do it at once: it comes to the same.
func (o *Outbox) Sweep(ctx context.Context) error { return o.db.Sweep(ctx, sweeps...) }
