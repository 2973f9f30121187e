package webhook

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// How long deliveries are kept, and how many.
const (
	keptEnded = 30 * db.Day
	keptIdle  = 7 * db.Day // that wait for an endpoint to be enabled again
	maxKept   = 100_000    // of an endpoint, of each kind
)

// swept is something that a sweep does to rows that are found ([db.Found]).
type swept struct{ find, change string }

// of is it for an endpoint, or all of them, with what bounds the rows that are found.
func (s swept) of(endpoint []any, bounds ...any) db.Found {
	return db.Found{Find: s.find, Of: slices.Concat(endpoint, bounds), Change: s.change, With: endpoint}
}

// What a sweep does: to what ended long ago; and to the deliveries of an endpoint that was
// removed, that was disabled long ago, and to those that are more than are kept.
var (
	ended = swept{
		`SELECT ended_at FROM deliveries WHERE status <> 'waiting' AND ended_at > 0 AND ended_at < $1 ORDER BY ended_at LIMIT $2`,
		`DELETE FROM deliveries WHERE status <> 'waiting' AND ended_at BETWEEN $1 AND $2`,
	}
	orphaned = swept{
		`SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 ORDER BY id LIMIT $3`,
		`DELETE FROM deliveries WHERE organization = $1 AND webhook = $2 AND id BETWEEN $3 AND $4`,
	}
	idle = swept{
		`SELECT due_at FROM deliveries WHERE organization = $1 AND webhook = $2 AND status = 'waiting' AND due_at < $3 ORDER BY due_at LIMIT $4`,
		`UPDATE deliveries SET status = 'failed', ended_at = due_at, result = 'the webhook was disabled'
			WHERE organization = $1 AND webhook = $2 AND status = 'waiting' AND due_at BETWEEN $3 AND $4`,
	}
	crowdedEnded = swept{
		`SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 AND id <= $3 AND status <> 'waiting' ORDER BY id LIMIT $4`,
		`DELETE FROM deliveries WHERE organization = $1 AND webhook = $2 AND id BETWEEN $3 AND $4 AND status <> 'waiting'`,
	}
	crowdedWaiting = swept{
		`SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 AND id <= $3 AND status = 'waiting' ORDER BY id LIMIT $4`,
		`UPDATE deliveries SET status = 'failed', ended_at = due_at, result = 'too many others waited'
			WHERE organization = $1 AND webhook = $2 AND id BETWEEN $3 AND $4 AND status = 'waiting'`,
	}
)

// The newest of an endpoint that is not kept, of what has ended and of what waits.
const (
	beyondEnded   = `SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 AND status <> 'waiting' ORDER BY id DESC LIMIT 1 OFFSET $3`
	beyondWaiting = `SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 AND status = 'waiting' ORDER BY id DESC LIMIT 1 OFFSET $3`
)

// Sweep forgets deliveries that ended long ago, or before many others, or whose endpoint
// was removed, and ends those that wait for nothing. What there is to do is looked up beside
// the writer, endpoint by endpoint. Several servers may do it at once.
func (h *Hooks) Sweep(ctx context.Context) error {
	err := db.SweepFound[int64](ctx, h.DB, ended.of(nil, h.DB.Clock().Now()-keptEnded))
	for at := (address{}); err == nil; {
		var e endpoint
		if e, err = h.behind(ctx, at); err != nil || e.id == "" {
			break
		}
		at = e.address
		err = h.sweepOne(ctx, e)
	}
	return fault.While("sweep the deliveries", err)
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
	of := []any{e.organization, e.id}
	if e.isGone {
		return db.SweepFound[string](ctx, h.DB, orphaned.of(of))
	}
	if e.isDisabled {
		if err := db.SweepFound[int64](ctx, h.DB, idle.of(of, h.DB.Clock().Now()-keptIdle)); err != nil {
			return err
		}
	}
	if !e.isCrowded {
		return nil
	}
	return errors.Join(h.thin(ctx, crowdedEnded, beyondEnded, of), h.thin(ctx, crowdedWaiting, beyondWaiting, of))
}

// thin does something to those of an endpoint that are more than are kept.
func (h *Hooks) thin(ctx context.Context, s swept, beyond string, of []any) error {
	return db.SweepBeyond[string](ctx, h.DB, beyond, append(of[:2:2], maxKept), s.of(of))
}

// sweeping sweeps hourly, and the deliveries of an endpoint as soon as it was removed,
// until ctx ends.
func (h *Hooks) sweeping(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err = h.Sweep(ctx)
		case at := <-h.removed:
			err = h.sweepOne(ctx, endpoint{address: at, isGone: true})
		}
		if err != nil && ctx.Err() == nil {
			h.Log.Warn("old deliveries are not swept; it is tried again", "error", err)
		}
	}
}
