package webhook

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/outward"
)

// delays are the pauses after the first attempts. After one that follows the last of them
// a delivery is given up, and with it an endpoint that has taken nothing meanwhile.
var delays = []int64{
	int64(5 * time.Second), int64(5 * time.Minute), int64(30 * time.Minute), int64(2 * time.Hour), int64(5 * time.Hour),
	int64(10 * time.Hour), int64(14 * time.Hour), int64(16 * time.Hour), db.Day,
}

// jitter is the part of a delay by which it is shortened at most, so that what failed at
// the same time is not all tried at the same time again.
const jitter = 10

// delay is the pause after an attempt of a delivery: the same whoever computes it.
func delay(id string, attempt int64) int64 {
	d := delays[attempt-1]
	sum := fnv.New32a()
	fmt.Fprint(sum, id, attempt)
	return d - d/jitter*int64(sum.Sum32()%1_000)/1_000
}

// Why endpoints are given up.
const (
	gone    = "it answered 410 Gone"
	givenUp = "nothing that was sent to it in three days was taken"
)

// note writes down what became of an attempt. It does so even while the program ends: a
// delivery that was sent and not noted is sent again.
func (h *Hooks) note(ctx context.Context, c claim, o outcome) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), outward.Timeout)
	defer cancel()
	return h.DB.Update(ctx, func(tx *db.Tx) error {
		status, result, due, ended, why := Delivered, "", c.DueAt, tx.Now(), ""
		if o.err != nil {
			status, result = Failed, cut(o.err.Error(), maxResult)
			switch isLast := c.Attempts > int64(len(delays)); {
			case o.code == http.StatusGone:
				why = gone
			case isLast:
				taken, err := h.tookSince(tx, c)
				if err != nil {
					return err
				}
				if !taken {
					why = givenUp
				}
			default:
				status, due, ended = Waiting, tx.Now()+delay(c.ID, c.Attempts), 0
			}
		}
		_, err := tx.Exec(`UPDATE deliveries SET status = $5, code = $6, answer = $7, result = $8, duration = $9, due_at = $10, ended_at = $11
			WHERE organization = $1 AND webhook = $2 AND id = $3 AND attempts = $4 AND status = 'waiting'`,
			c.Organization, c.Webhook, c.ID, c.Attempts, status, o.code, o.answer, result, o.duration, due, ended)
		if err == nil && why != "" {
			err = h.disable(tx, c.to, why)
		}
		return fault.While("note what became of a delivery", err)
	})
}

// maxResult bounds why an attempt came to nothing, in bytes.
const maxResult = 300

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return keepable([]byte(text[:most]))
}

// tookSince reports whether an endpoint has taken anything since a delivery was made.
func (h *Hooks) tookSince(tx *db.Tx, c claim) (taken bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM deliveries WHERE organization = $1 AND webhook = $2 AND status = 'delivered' AND ended_at >= $3)`,
		c.Organization, c.Webhook, c.CreatedAt).Scan(&taken)
	return taken, err
}

// disable gives an endpoint up, unless somebody has changed where it leads meanwhile.
func (h *Hooks) disable(tx *db.Tx, w Webhook, why string) error {
	n, err := tx.Exec(`UPDATE webhooks SET disabled = $4 WHERE organization = $1 AND id = $2 AND disabled = '' AND url = $3`,
		w.Organization, w.ID, w.URL, why)
	if err != nil || n == 0 || h.Disabled == nil {
		return err
	}
	return h.Config.Disabled(tx, w, why)
}
