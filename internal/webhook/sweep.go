package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/db"
)

// How long deliveries are kept, and how many.
const (
	keptEnded  = int64(30 * 24 * time.Hour)
	keptIdle   = int64(7 * 24 * time.Hour) // that wait for an endpoint to be enabled again
	maxKept    = 100_000                   // of an endpoint, of each kind
	sweepBatch = 1_000                     // rows in a unit of work
)

// ended are those that ended long ago.
const ended = `DELETE FROM deliveries WHERE (organization, webhook, id) IN (SELECT organization, webhook, id FROM deliveries
	WHERE status <> 'waiting' AND ended_at < $1 ORDER BY ended_at LIMIT $2)`

// What a sweep does to the deliveries of an endpoint: that was removed, that was disabled
// long ago, and to those that are more than are kept.
const (
	orphaned = `DELETE FROM deliveries WHERE organization = $1 AND webhook = $2 AND id IN (SELECT id FROM deliveries
		WHERE organization = $1 AND webhook = $2 LIMIT $3)`
	idle = `UPDATE deliveries SET status = 'failed', ended_at = due_at, result = 'the webhook was disabled'
		WHERE organization = $1 AND webhook = $2 AND id IN (SELECT id FROM deliveries
			WHERE organization = $1 AND webhook = $2 AND status = 'waiting' AND due_at < $4 LIMIT $3)`
	crowdedEnded = `DELETE FROM deliveries WHERE organization = $1 AND webhook = $2 AND id IN (SELECT id FROM deliveries
		WHERE organization = $1 AND webhook = $2 AND status <> 'waiting' ORDER BY id DESC LIMIT $3 OFFSET $4)`
	crowdedWaiting = `UPDATE deliveries SET status = 'failed', ended_at = due_at, result = 'too many others waited' WHERE organization = $1 AND webhook = $2
		AND id IN (SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 AND status = 'waiting' ORDER BY id DESC LIMIT $3 OFFSET $4)`
)

// Sweep forgets deliveries that ended long ago, or before many others, or whose endpoint
// was removed, and ends those that wait for nothing. What there is to do is looked up beside
// the writer, endpoint by endpoint. Several servers may do it at once.
func (h *Hooks) Sweep(ctx context.Context) error {
	err := h.repeat(ctx, func(tx *db.Tx) (int64, error) { return tx.Exec(ended, tx.Now()-keptEnded, sweepBatch) })
	for at := (address{}); err == nil; {
		var e endpoint
		if e, err = h.behind(ctx, at); err != nil || e.id == "" {
			break
		}
		at = e.address
		err = h.sweepOne(ctx, e)
	}
	return wrapped("sweep the deliveries", err)
}

// endpoint is one that has deliveries, and how it stands.
type endpoint struct {
	address
	isGone, isDisabled, isCrowded bool
}

// behind is the next endpoint that has deliveries; without an id if there is none.
func (h *Hooks) behind(ctx context.Context, at address) (e endpoint, err error) {
	err = h.DB.View(ctx, func(tx *db.Tx) error {
		e = endpoint{}
		err := tx.QueryRow(`SELECT organization, webhook FROM deliveries WHERE (organization, webhook) > ($1, $2) ORDER BY organization, webhook LIMIT 1`,
			at.organization, at.id).Scan(&e.organization, &e.id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		var disabled, beyond string
		err = tx.QueryRow(`SELECT disabled FROM webhooks WHERE organization = $1 AND id = $2`, e.organization, e.id).Scan(&disabled)
		if e.isGone = errors.Is(err, sql.ErrNoRows); err != nil && !e.isGone {
			return err
		}
		e.isDisabled = disabled != ""
		err = tx.QueryRow(`SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 ORDER BY id LIMIT 1 OFFSET $3`,
			e.organization, e.id, maxKept).Scan(&beyond)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		e.isCrowded = err == nil
		return err
	})
	return e, err
}

func (h *Hooks) sweepOne(ctx context.Context, e endpoint) error {
	run := func(query string, more ...any) error {
		return h.repeat(ctx, func(tx *db.Tx) (int64, error) {
			return tx.Exec(query, append([]any{e.organization, e.id, sweepBatch}, more...)...)
		})
	}
	if e.isGone {
		return run(orphaned)
	}
	if e.isDisabled {
		if err := run(idle, h.DB.Clock().Now()-keptIdle); err != nil {
			return err
		}
	}
	if !e.isCrowded {
		return nil
	}
	return errors.Join(run(crowdedEnded, maxKept), run(crowdedWaiting, maxKept))
}

// repeat runs a statement, in units of work of their own, until it changes less than it may.
func (h *Hooks) repeat(ctx context.Context, run func(*db.Tx) (int64, error)) error {
	for changed := int64(sweepBatch); changed == sweepBatch; {
		err := h.DB.Update(ctx, func(tx *db.Tx) (err error) {
			changed, err = run(tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep the deliveries: %w", err)
		}
	}
	return nil
}
