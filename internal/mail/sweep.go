package mail

import (
	"context"

	"github.com/purserhq/purser/internal/db"
)

// How long mails are kept, and how many.
const (
	keptUnsent = 7 * db.Day  // with their texts, while nobody sends them
	keptEnded  = 30 * db.Day // without
	maxEnded   = 50_000
	maxWaiting = 50_000
)

// What a sweep does to mails between two ids, and what finds these.
const (
	expire      = `UPDATE mails SET status = 'expired', data = '', ended_at = $1 WHERE status = 'waiting' AND id BETWEEN $2 AND $3`
	unsent      = `SELECT id FROM mails WHERE status = 'waiting' AND created_at < $1 ORDER BY id LIMIT $2`
	tooMany     = `SELECT id FROM mails WHERE status = 'waiting' AND id <= $1 ORDER BY id LIMIT $2`
	lastWaiting = `SELECT id FROM mails WHERE status = 'waiting' ORDER BY id DESC LIMIT 1 OFFSET $1`

	forget    = `DELETE FROM mails WHERE status <> 'waiting' AND id BETWEEN $1 AND $2`
	crowded   = `SELECT id FROM mails WHERE status <> 'waiting' AND id <= $1 ORDER BY id LIMIT $2`
	lastEnded = `SELECT id FROM mails WHERE status <> 'waiting' ORDER BY id DESC LIMIT 1 OFFSET $1`

	old       = `SELECT ended_at FROM mails WHERE status <> 'waiting' AND ended_at > 0 AND ended_at < $1 ORDER BY ended_at LIMIT $2`
	forgetOld = `DELETE FROM mails WHERE status <> 'waiting' AND ended_at BETWEEN $1 AND $2`
)

// Sweep ends mails that nobody sends, and forgets those that ended long ago, or before
// many others. Several servers may do it at once: it comes to the same.
func (o *Outbox) Sweep(ctx context.Context) error {
	now := o.db.Clock().Now()
	err := db.SweepFound[string](ctx, o.db, db.Found{Find: unsent, Of: []any{now - keptUnsent}, Change: expire, With: []any{now}})
	if err == nil {
		err = db.SweepBeyond[string](ctx, o.db, lastWaiting, []any{maxWaiting}, db.Found{Find: tooMany, Change: expire, With: []any{now}})
	}
	if err == nil {
		err = db.SweepFound[int64](ctx, o.db, db.Found{Find: old, Of: []any{now - keptEnded}, Change: forgetOld})
	}
	if err == nil {
		err = db.SweepBeyond[string](ctx, o.db, lastEnded, []any{maxEnded}, db.Found{Find: crowded, Change: forget})
	}
	return err
}
