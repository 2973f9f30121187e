package account

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// Arrive is the account of an address of which somebody else has made sure whose it is,
// or a new one without a password. Who signed up with the address before and never
// confirmed it may be somebody else: neither the password nor a session of theirs stays.
func (a *Accounts) Arrive(tx *db.Tx, email, name string) (User, error) {
	if name, _ = checkName(name); name == "" {
		name = email
	}
	u, err := scanUser(tx.QueryRow(`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ($1, $2, $3, '', $4, $4)
		ON CONFLICT (email) DO NOTHING RETURNING id, email, name, verified_at, created_at`, tx.NewID("usr_"), email, name, tx.Now()))
	if err == nil {
		return a.proved(tx, u.ID, true)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return User{}, fmt.Errorf("make an account: %w", err)
	}
	u, found, err := a.byEmail(tx, email)
	if err != nil || !found {
		return User{}, errors.Join(err, fmt.Errorf("find the account of who arrives"))
	}
	if u.VerifiedAt != 0 {
		return u, nil
	}
	if _, err := tx.Exec(`UPDATE users SET verified_at = $2, password = '' WHERE id = $1`, u.ID, tx.Now()); err != nil {
		return User{}, fmt.Errorf("verify an address: %w", err)
	}
	for _, p := range []purpose{verifying, resetting, changing} {
		if err := useUp(tx, link{user: u.ID, purpose: p}); err != nil {
			return User{}, err
		}
	}
	if err := a.RevokeAll(tx, u.ID, ""); err != nil {
		return User{}, err
	}
	return a.proved(tx, u.ID, true)
}

// Second takes a code of the second factor of a person who has shown who it is otherwise.
func (a *Accounts) Second(tx *db.Tx, user, code string) error { return a.checkSecond(tx, user, code) }
