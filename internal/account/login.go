package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Candidate is an attempt to sign in that has been counted.
type Candidate struct {
	User       User // none if nobody has the address
	hash       string
	isFamiliar bool
	isRight    bool // the password was compared, and is the account's
	counters   []counter
	pair       counter
	address    string
}

// Try counts an attempt to sign in, or refuses it. From an address from which the
// account was used before, only what failed there counts: what others try from
// elsewhere does not keep the owner out.
func (a *Accounts) Try(tx *db.Tx, email string, v Visitor) (c Candidate, err error) {
	err = tx.QueryRow(`SELECT u.id, u.email, u.name, u.verified_at, u.created_at, u.password,
		CASE WHEN EXISTS (SELECT 1 FROM familiar_addresses f WHERE f.user_id = u.id AND f.address = $2) THEN 1 ELSE 0 END
		FROM users u WHERE u.email = $1`, email, v.Address).
		Scan(&c.User.ID, &c.User.Email, &c.User.Name, &c.User.VerifiedAt, &c.User.CreatedAt, &c.hash, &c.isFamiliar)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("find who signs in: %w", err)
	}
	c.pair, c.address = pairOf(email, v.Address), v.Address
	c.counters = []counter{c.pair}
	if !c.isFamiliar {
		c.counters = append(c.counters, accountOf(email), counter{"login " + v.Address, perAddress})
	}
	return c, attempt(tx, c.counters...)
}

// TryUser is Try for a person who is signed in and has to say the password again.
func (a *Accounts) TryUser(tx *db.Tx, user string, v Visitor) (Candidate, error) {
	u, err := a.User(tx, user)
	if err != nil {
		return Candidate{}, err
	}
	return a.Try(tx, u.Email, v)
}

// Compare compares the password of an attempt, outside of any unit of work. It takes
// the same time for an address that has no account.
func (a *Accounts) Compare(ctx context.Context, c Candidate, password string) (Candidate, error) {
	if len(password) > 4*MaxPassword {
		password = ""
	}
	isRight, err := a.compare(ctx, password, c.hash, c.isFamiliar)
	c.isRight = isRight
	return c, err
}

// Accept ends an attempt: it refuses a wrong password, and where there is a second
// factor a wrong code of it. code is of the authenticator, or a recovery code.
func (a *Accounts) Accept(tx *db.Tx, c Candidate, code string) error {
	var now string // the password may have been changed since it was compared
	err := tx.QueryRow(`SELECT password FROM users WHERE id = $1`, c.User.ID).Scan(&now)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read a password: %w", err)
	}
	if !c.isRight || now != c.hash {
		return fault.New(fault.Unauthorized, "the email address or the password is wrong").WithCode("wrong_credentials")
	}
	if err := a.checkSecond(tx, c.User.ID, code); err != nil {
		return err
	}
	if err := succeeded(tx, c.counters...); err != nil {
		return err
	}
	if err := acquit(tx, c.pair); err != nil {
		return err
	}
	if c.User.VerifiedAt == 0 {
		return nil
	}
	return a.becomesFamiliar(tx, c.User.ID, c.address)
}

// maxFamiliar is how many addresses of a person are remembered.
const maxFamiliar = 50

func (a *Accounts) becomesFamiliar(tx *db.Tx, user, address string) error {
	_, err := tx.Exec(`INSERT INTO familiar_addresses (user_id, address, seen_at) VALUES ($1, $2, $3)
		ON CONFLICT (user_id, address) DO UPDATE SET seen_at = $3`, user, address, tx.Now())
	if err != nil {
		return fmt.Errorf("remember an address: %w", err)
	}
	_, err = tx.Exec(`DELETE FROM familiar_addresses WHERE user_id = $1 AND address IN
		(SELECT address FROM familiar_addresses WHERE user_id = $1 ORDER BY seen_at DESC, address LIMIT 1000 OFFSET $2)`, user, maxFamiliar)
	if err != nil {
		return fmt.Errorf("forget addresses: %w", err)
	}
	return nil
}

// AskReset mails the link with which a new password is chosen, if the address has
// an account.
func (a *Accounts) AskReset(tx *db.Tx, email string) error {
	u, found, err := a.byEmail(tx, email)
	if err != nil || !found {
		return err
	}
	return a.mailLink(tx, u, link{user: u.ID, purpose: resetting, email: u.Email})
}

// Follower is whose password a link resets, so that the new one can be judged before
// it is hashed.
func (a *Accounts) Follower(tx *db.Tx, token string) (User, error) {
	l, err := follow(tx, token, resetting)
	if err != nil {
		return User{}, err
	}
	return a.User(tx, l.user)
}

// Reset gives a password by a mailed link. Who reads the mail is the owner: all
// sessions end, and from here the account can be used whoever tries to get in.
func (a *Accounts) Reset(tx *db.Tx, token, hash string, v Visitor) (User, error) {
	l, err := follow(tx, token, resetting)
	if err != nil {
		return User{}, err
	}
	u, err := a.User(tx, l.user)
	if err != nil {
		return User{}, err
	}
	if err := a.setPassword(tx, u, hash, ""); err != nil {
		return User{}, err
	}
	if u.VerifiedAt == 0 {
		if _, err := tx.Exec(`UPDATE users SET verified_at = $2 WHERE id = $1`, u.ID, tx.Now()); err != nil {
			return User{}, fmt.Errorf("verify an address: %w", err)
		}
	}
	if err := acquit(tx, pairOf(u.Email, v.Address)); err != nil {
		return User{}, err
	}
	if err := a.becomesFamiliar(tx, u.ID, v.Address); err != nil {
		return User{}, err
	}
	return a.proved(tx, u.ID, u.VerifiedAt == 0)
}

// ChangePassword gives another password to a person who said the present one. All
// other sessions end.
func (a *Accounts) ChangePassword(tx *db.Tx, user, hash, session string) error {
	u, err := a.User(tx, user)
	if err != nil {
		return err
	}
	return a.setPassword(tx, u, hash, session)
}

func (a *Accounts) setPassword(tx *db.Tx, u User, hash, session string) error {
	if _, err := tx.Exec(`UPDATE users SET password = $2 WHERE id = $1`, u.ID, hash); err != nil {
		return fmt.Errorf("change a password: %w", err)
	}
	for _, p := range []purpose{verifying, resetting, changing} { // none may bring back what was before, or another's address
		if err := useUp(tx, link{user: u.ID, purpose: p}); err != nil {
			return err
		}
	}
	if err := a.RevokeAll(tx, u.ID, session); err != nil {
		return err
	}
	return a.notice(tx, u, "Your password was changed", "The password of your account was changed. If it was not you, choose a new one now.", a.config.URL+"/reset")
}
