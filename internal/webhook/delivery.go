package webhook

import (
	"database/sql"
	"errors"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// What became of a delivery.
const (
	Waiting   = "waiting"
	Delivered = "delivered" // answered with a status of success
	Failed    = "failed"    // given up
)

// MaxReplay is how many deliveries are sent again at once.
const MaxReplay = 10_000

// Delivery is what an endpoint was, or is to be, told.
type Delivery struct {
	Organization string
	Webhook      string
	ID           string // the webhook-id
	Type         string
	Body         string
	Status       string
	Attempts     int64
	Code         int64  // the status of the last answer; 0 if there was none
	Answer       string // how it began
	Result       string // why the last attempt came to nothing
	Duration     int64  // of the last attempt, in nanoseconds
	CreatedAt    int64
	DueAt        int64 // when it is tried next, while it waits
	EndedAt      int64 // 0 while it waits
}

const deliveryColumns = `SELECT organization, webhook, id, type, body, status, attempts, code, answer, result, duration, created_at, due_at, ended_at FROM deliveries`

func scanDelivery(r db.Scanner) (d Delivery, err error) {
	err = r.Scan(&d.Organization, &d.Webhook, &d.ID, &d.Type, &d.Body, &d.Status, &d.Attempts, &d.Code, &d.Answer, &d.Result, &d.Duration,
		&d.CreatedAt, &d.DueAt, &d.EndedAt)
	return d, err
}

// Deliveries returns what an endpoint was told before the given id, the newest first; of
// one status unless it is "".
func (h *Hooks) Deliveries(tx *db.Tx, w Webhook, status, before string, limit int) ([]Delivery, error) {
	if before == "" {
		before = "msg_~" // behind all ids
	}
	query, args := ` WHERE organization = $1 AND webhook = $2 AND id < $3 ORDER BY id DESC LIMIT $4`, []any{w.Organization, w.ID, before, limit}
	if status != "" {
		query, args = ` WHERE organization = $1 AND webhook = $2 AND id < $3 AND status = $5 ORDER BY id DESC LIMIT $4`, append(args, status)
	}
	all, err := db.All(tx, scanDelivery, deliveryColumns+query, args...)
	return all, fault.While("list deliveries", err)
}

// Delivery finds a delivery.
func (h *Hooks) Delivery(tx *db.Tx, w Webhook, id string) (Delivery, error) {
	d, err := scanDelivery(tx.QueryRow(deliveryColumns+` WHERE organization = $1 AND webhook = $2 AND id = $3`, w.Organization, w.ID, id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, fault.New(fault.NotFound, "there is no delivery %.80q of this webhook; they are kept for 30 days", id)
	}
	return d, fault.While("find a delivery", err)
}

// Replay sends a delivery again, under its webhook-id.
func (h *Hooks) Replay(tx *db.Tx, w Webhook, id string) (Delivery, error) {
	if err := isTold(w); err != nil {
		return Delivery{}, err
	}
	_, err := tx.Exec(`UPDATE deliveries SET status = 'waiting', attempts = 0, due_at = $4, ended_at = 0
		WHERE organization = $1 AND webhook = $2 AND id = $3 AND status <> 'waiting'`, w.Organization, w.ID, id, tx.Now())
	if err != nil {
		return Delivery{}, fault.While("send a delivery again", err)
	}
	tx.AfterCommit(h.ring)
	return h.Delivery(tx, w, id)
}

// ReplaySince sends again what ended of what an endpoint was told since an instant, or
// only what failed, the oldest first, and at most [MaxReplay]. It returns how many.
func (h *Hooks) ReplaySince(tx *db.Tx, w Webhook, since int64, onlyFailed bool) (int64, error) {
	if err := isTold(w); err != nil {
		return 0, err
	}
	but := Waiting
	if onlyFailed {
		but = Delivered
	}
	n, err := tx.Exec(`UPDATE deliveries SET status = 'waiting', attempts = 0, due_at = $4, ended_at = 0
		WHERE organization = $1 AND webhook = $2 AND id IN (SELECT id FROM deliveries
		WHERE organization = $1 AND webhook = $2 AND created_at >= $3 AND status <> 'waiting' AND status <> $5 ORDER BY id LIMIT $6)`,
		w.Organization, w.ID, since, tx.Now(), but, MaxReplay)
	tx.AfterCommit(h.ring)
	return n, fault.While("send deliveries again", err)
}

func isTold(w Webhook) error {
	if w.Disabled == "" {
		return nil
	}
	return fault.New(fault.Conflict, "the webhook is disabled (%s): enable it first", w.Disabled)
}
