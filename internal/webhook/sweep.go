package webhook

import (
	"context"
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

// general are what a sweep does to all deliveries, each with the instant it is about.
var general = []struct {
	query  string
	before int64
}{
	{`DELETE FROM deliveries WHERE (organization, webhook, id) IN (SELECT organization, webhook, id FROM deliveries
		WHERE status <> 'waiting' AND ended_at < $1 LIMIT $2)`, keptEnded},
	{`DELETE FROM deliveries WHERE (organization, webhook, id) IN (SELECT d.organization, d.webhook, d.id FROM deliveries d
		WHERE NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.organization = d.organization AND w.id = d.webhook) AND d.created_at < $1 LIMIT $2)`, 0},
	{`UPDATE deliveries SET status = 'failed', ended_at = due_at, result = 'the webhook was disabled'
		WHERE (organization, webhook, id) IN (SELECT d.organization, d.webhook, d.id FROM deliveries d
		JOIN webhooks w ON w.organization = d.organization AND w.id = d.webhook
		WHERE w.disabled <> '' AND d.status = 'waiting' AND d.due_at < $1 LIMIT $2)`, keptIdle},
}

// crowded are what a sweep does to the deliveries of an endpoint that are more than are kept.
var crowded = []string{
	`DELETE FROM deliveries WHERE organization = $1 AND webhook = $2 AND id IN (SELECT id FROM deliveries
		WHERE organization = $1 AND webhook = $2 AND status <> 'waiting' ORDER BY id DESC LIMIT $4 OFFSET $3)`,
	`UPDATE deliveries SET status = 'failed', ended_at = due_at, result = 'too many others waited' WHERE organization = $1 AND webhook = $2
		AND id IN (SELECT id FROM deliveries WHERE organization = $1 AND webhook = $2 AND status = 'waiting' ORDER BY id DESC LIMIT $4 OFFSET $3)`,
}

// Sweep forgets deliveries that ended long ago, or before many others, or whose endpoint
// was removed, and ends those that wait for nothing. Several servers may do it at once.
func (h *Hooks) Sweep(ctx context.Context) error {
	for _, g := range general {
		err := h.repeat(ctx, func(tx *db.Tx) (int64, error) { return tx.Exec(g.query, tx.Now()-g.before, sweepBatch) })
		if err != nil {
			return err
		}
	}
	var full []address
	err := h.DB.View(ctx, func(tx *db.Tx) (err error) {
		full, err = db.All(tx, func(r db.Scanner) (a address, err error) {
			err = r.Scan(&a.organization, &a.id)
			return a, err
		}, `SELECT organization, webhook FROM deliveries GROUP BY organization, webhook HAVING COUNT(*) > $1`, maxKept)
		return err
	})
	for _, a := range full {
		for _, query := range crowded {
			if err == nil {
				err = h.repeat(ctx, func(tx *db.Tx) (int64, error) { return tx.Exec(query, a.organization, a.id, maxKept, sweepBatch) })
			}
		}
	}
	return wrapped("sweep the deliveries", err)
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
