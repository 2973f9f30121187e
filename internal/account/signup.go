package account

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Application is a sign-up whose fields are right.
type Application struct{ Email, Name string }

// Apply checks a sign-up before anything is done for it.
func Apply(email, name, password string) (Application, error) {
	email, err := Address("/email", email)
	if err != nil {
		return Application{}, err
	}
	if name, err = checkName(name); err != nil {
		return Application{}, err
	}
	return Application{email, name}, CheckPassword("/password", password, email, name)
}

// SignUp makes an account, which is good for nothing until its address is verified,
// and mails the link for that. For an address that has an account its owner is told;
// whoever asked is answered the same.
//
// The link brings the password into force that came with it, if nobody else has signed up
// with the address: who signs up somebody else's has no account of the owner's with a
// password of theirs.
func (a *Accounts) SignUp(tx *db.Tx, n Application, hash string) error {
	u, err := scanUser(tx.QueryRow(`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ($1, $2, $3, $4, 0, $5)
		ON CONFLICT (email) DO NOTHING RETURNING id, email, name, verified_at, created_at`, tx.NewID("usr_"), n.Email, n.Name, hash, tx.Now()))
	if errors.Is(err, sql.ErrNoRows) {
		var found bool
		if u, found, err = a.byEmail(tx, n.Email); err == nil && !found {
			err = errors.New("an account that was there is gone")
		}
	}
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	if u.VerifiedAt != 0 {
		return a.notice(tx, u, "You have an account already",
			"Somebody signed up with this address, which has an account. If it was you, log in, or choose a new password.", a.config.URL+"/login")
	}
	return a.mailLink(tx, u, link{user: u.ID, purpose: verifying, email: u.Email, password: hash})
}

// Resend mails the link of an account that is not verified again. It says nothing
// about other addresses.
func (a *Accounts) Resend(tx *db.Tx, email string) error {
	u, found, err := a.byEmail(tx, email)
	if err != nil || !found || u.VerifiedAt != 0 {
		return err
	}
	return a.mailLink(tx, u, link{user: u.ID, purpose: verifying, email: u.Email})
}

// Confirm does what a mailed link is for: it verifies an address, or brings a change
// of address into force.
func (a *Accounts) Confirm(tx *db.Tx, token string) (User, error) {
	l, err := follow(tx, token, verifying, changing)
	if err != nil {
		return User{}, err
	}
	if l.purpose == changing {
		return a.changeEmail(tx, l)
	}
	var before string
	var verified int64
	if err := tx.QueryRow(`SELECT password, verified_at FROM users WHERE id = $1`, l.user).Scan(&before, &verified); err != nil {
		return User{}, fmt.Errorf("read a password: %w", err)
	}
	password := before
	if l.password != "" {
		password = l.password
	}
	isOpen, err := a.isContested(tx, l, before)
	if err != nil {
		return User{}, err
	}
	if isOpen {
		password = ""
	}
	if _, err := tx.Exec(`UPDATE users SET verified_at = $2, password = $3 WHERE id = $1`, l.user, tx.Now(), password); err != nil {
		return User{}, fmt.Errorf("verify an address: %w", err)
	}
	if password != before { // who signed in with the other one may be somebody else
		if err := a.RevokeAll(tx, l.user, ""); err != nil {
			return User{}, err
		}
	}
	if err := useUp(tx, l); err != nil {
		return User{}, err
	}
	u, err := a.proved(tx, l.user, verified == 0)
	if err == nil && isOpen {
		err = a.mailLink(tx, u, link{user: u.ID, purpose: resetting, email: u.Email})
	}
	return u, err
}

// isContested reports whether more than one has signed up with the address: whoever reads
// its mail may have followed the link of the other one, so nobody's password is taken, and
// the owner is mailed a link to choose one.
func (a *Accounts) isContested(tx *db.Tx, l link, first string) (bool, error) {
	var others int
	err := tx.QueryRow(`SELECT COUNT(*) FROM mailed_links WHERE user_id = $1 AND purpose = $2 AND password <> '' AND password <> $3`,
		l.user, string(verifying), first).Scan(&others)
	if err != nil {
		return false, fmt.Errorf("look for other sign-ups: %w", err)
	}
	return others > 0 || l.password != "" && l.password != first, nil
}

// proved is a person who has proved to own the address of the account.
func (a *Accounts) proved(tx *db.Tx, user string, isFirst bool) (User, error) {
	u, err := a.User(tx, user)
	if err == nil && a.config.Verified != nil {
		err = a.config.Verified(tx, u, isFirst)
	}
	return u, err
}

// AskEmail mails a link to the address that a person wants to have, and tells the
// one that the person has.
func (a *Accounts) AskEmail(tx *db.Tx, user, email string) error {
	u, err := a.User(tx, user)
	if err != nil {
		return err
	}
	if u.Email == email {
		return fault.At("/email", "is the address of the account already")
	}
	if err := a.notice(tx, u, "Your address is to be changed",
		"Somebody signed in as you asked to change the address of your account to "+email+". If it was not you, choose a new password now.",
		a.config.URL+"/reset"); err != nil {
		return err
	}
	if _, taken, err := a.byEmail(tx, email); err != nil || taken {
		return err // its owner has an account; nobody else is told
	}
	if err := useUp(tx, link{user: u.ID, purpose: changing}); err != nil {
		return err
	}
	return a.mailLink(tx, u, link{user: u.ID, purpose: changing, email: email})
}

func (a *Accounts) changeEmail(tx *db.Tx, l link) (User, error) {
	u, err := a.User(tx, l.user)
	if err != nil {
		return User{}, err
	}
	if _, taken, err := a.byEmail(tx, l.email); err != nil {
		return User{}, err
	} else if taken {
		return User{}, fault.New(fault.Conflict, "the address has an account by now: use another").WithCode("email_taken")
	}
	if _, err := tx.Exec(`UPDATE users SET email = $2, verified_at = $3 WHERE id = $1`, u.ID, l.email, tx.Now()); err != nil {
		return User{}, fmt.Errorf("change an address: %w", err)
	}
	// What was mailed to the old address is good for nothing any more.
	if _, err := tx.Exec(`DELETE FROM mailed_links WHERE user_id = $1`, u.ID); err != nil {
		return User{}, fmt.Errorf("use up links: %w", err)
	}
	if err := a.notice(tx, u, "Your address was changed", "The address of your account is now "+l.email+".", a.config.URL+"/login"); err != nil {
		return User{}, err
	}
	return a.proved(tx, u.ID, u.VerifiedAt == 0)
}
