package account

import (
	"context"
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// keptUnverified is how long an account waits for its address to be verified. Who comes
// later signs up again.
const keptUnverified = 7 * db.Day

// forgetBatch is how many accounts are forgotten in one unit of work.
const forgetBatch = 100

// sweeps are what a sweep forgets of itself: what has expired is good for nothing.
var sweeps = []db.Swept{
	{Table: "sessions", By: "expires_at"}, {Table: "mailed_links", By: "expires_at"}, {Table: "device_codes", By: "expires_at"},
	{Table: "attempts", By: "tried_at", Kept: forgetting},
}

// Sweep forgets what has expired, and accounts whose address nobody has verified.
func (a *Accounts) Sweep(ctx context.Context, d *db.DB) error {
	if err := d.Sweep(ctx, sweeps...); err != nil {
		return err
	}
	for forgotten := forgetBatch; forgotten == forgetBatch; {
		err := d.Update(ctx, func(tx *db.Tx) (err error) {
			forgotten, err = forgetUnverified(tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("forget accounts: %w", err)
		}
	}
	return nil
}

// forgetUnverified deletes accounts that were never verified, and for which no link waits,
// with all that they have. Nothing else knows of them: they have done nothing.
func forgetUnverified(tx *db.Tx) (int, error) {
	users, err := db.All(tx, db.Value[string], `SELECT u.id FROM users u WHERE u.verified_at = 0 AND u.created_at < $1
		AND NOT EXISTS (SELECT 1 FROM mailed_links l WHERE l.user_id = u.id AND l.expires_at > $2) ORDER BY u.created_at LIMIT $3`+tx.ForUpdate(),
		tx.Now()-keptUnverified, tx.Now(), forgetBatch)
	if err != nil {
		return 0, err
	}
	for _, user := range users {
		for _, query := range []string{
			`DELETE FROM sessions WHERE user_id = $1`, `DELETE FROM device_codes WHERE user_id = $1`, `DELETE FROM authenticators WHERE user_id = $1`,
			`DELETE FROM recovery_codes WHERE user_id = $1`, `DELETE FROM familiar_addresses WHERE user_id = $1`,
			`DELETE FROM users WHERE id = $1`,
		} {
			if _, err := tx.Exec(query, user); err != nil {
				return 0, err
			}
		}
	}
	return len(users), nil
}
