package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"database/sql"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

const (
	lookEvery  = time.Second
	sweepEvery = time.Hour
	pauseAway  = 5 * time.Second // while the database is away
	// claimed is for how long a delivery is a server's own. It is more than an attempt can
	// take, so that when a server dies another one takes over after so long.
	claimed = int64(30 * time.Second)
	maxDue  = 10_000 // endpoints that are looked at
)

// Run sends, and sweeps beside, until ctx ends.
func (h *Hooks) Run(ctx context.Context) error {
	ctx = db.InLane(ctx, "webhooks")
	defer h.sends.Wait()
	h.sends.Go(func() { h.sweeping(ctx) })
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		_, freed := h.places.look()
		_, err := h.start(ctx)
		if err != nil && ctx.Err() == nil {
			h.Log.Warn("webhooks wait; it is tried again", "error", err)
			freed = nil
			select {
			case <-ctx.Done():
			case <-time.After(pauseAway):
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-freed:
		case <-h.news:
		case <-look.C:
		}
	}
}

// DeliverDue sends what is due, and returns when nothing is any more.
func (h *Hooks) DeliverDue(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // whoever asked may be gone before the answers come
	for {
		_, freed := h.places.look()
		begun, err := h.start(ctx)
		if err != nil {
			return err
		}
		if running, _ := h.places.look(); begun == 0 && running == 0 {
			return nil
		}
		<-freed
	}
}

// Agenda is when webhooks have something to do. What is being sent is waited for.
func (h *Hooks) Agenda() db.Agenda {
	return db.Agenda{
		Queries: []string{`SELECT MIN(due_at) FROM (SELECT (SELECT MIN(d.due_at) FROM deliveries d
			WHERE d.organization = w.organization AND d.webhook = w.id AND d.status = 'waiting') AS due_at FROM webhooks w WHERE w.disabled = '') AS due`},
		When: func(now int64, found []int64) (isDue bool, next int64) {
			running, _ := h.places.look()
			return running > 0 || found[0] != 0 && found[0] <= now, found[0]
		},
	}
}

// start begins to send what is due, as far as there are places, and returns how many.
func (h *Hooks) start(ctx context.Context) (begun int, err error) {
	var due []address
	err = h.DB.Glance(ctx, func(tx *db.Tx) error {
		due, err = db.All(tx, func(r db.Scanner) (a address, err error) {
			err = r.Scan(&a.organization, &a.id)
			return a, err
		}, `SELECT w.organization, w.id FROM webhooks w WHERE w.disabled = '' AND EXISTS (SELECT 1 FROM deliveries d
			WHERE d.organization = w.organization AND d.webhook = w.id AND d.status = 'waiting' AND d.due_at <= $1) LIMIT $2`, tx.Now(), maxDue)
		return err
	})
	if err != nil || len(due) == 0 {
		return 0, fault.While("look for what webhooks are due", err)
	}
	given := h.places.take(due)
	if len(given) == 0 {
		return 0, nil
	}
	claims, err := h.claim(ctx, given)
	for _, at := range given {
		if len(claims[at.address]) == 0 {
			h.places.free(at)
			continue
		}
		c := claims[at.address][0]
		claims[at.address] = claims[at.address][1:]
		begun++
		h.sends.Go(func() {
			defer h.places.free(at)
			h.deliver(ctx, c)
		})
	}
	return begun, err
}

// claim is a delivery that this server tries, to an endpoint as it was then.
type claim struct {
	Delivery
	to Webhook
	at int64
}

// claim takes as many deliveries as there are places. It is a guarded update of each: of
// servers that want the same one, one finds it as it was.
func (h *Hooks) claim(ctx context.Context, given []place) (claims map[address][]claim, err error) {
	wanted := map[address]int{}
	for _, at := range given {
		wanted[at.address]++
	}
	err = h.DB.Update(ctx, func(tx *db.Tx) error {
		claims = map[address][]claim{}
		for _, at := range given {
			if _, isDone := claims[at.address]; isDone {
				continue
			}
			taken, err := h.claimOf(tx, at.address, wanted[at.address])
			if err != nil {
				return err
			}
			claims[at.address] = taken
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("take deliveries of webhooks: %w", err)
	}
	return claims, nil
}

func (h *Hooks) claimOf(tx *db.Tx, of address, most int) (taken []claim, err error) {
	to, err := scan(tx.QueryRow(columns+` WHERE organization = $1 AND id = $2 AND disabled = ''`, of.organization, of.id))
	if errors.Is(err, sql.ErrNoRows) {
		return []claim{}, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := db.All(tx, scanDelivery, deliveryColumns+` WHERE organization = $1 AND webhook = $2 AND status = 'waiting' AND due_at <= $3
		ORDER BY due_at, id LIMIT $4`, of.organization, of.id, tx.Now(), most)
	if err != nil {
		return nil, err
	}
	taken = []claim{}
	for _, d := range found {
		n, err := tx.Exec(`UPDATE deliveries SET attempts = attempts + 1, due_at = $6
			WHERE organization = $1 AND webhook = $2 AND id = $3 AND status = 'waiting' AND attempts = $4 AND due_at = $5`,
			d.Organization, d.Webhook, d.ID, d.Attempts, d.DueAt, tx.Now()+claimed)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			d.Attempts++
			taken = append(taken, claim{d, to, tx.Now()})
		}
	}
	return taken, nil
}
