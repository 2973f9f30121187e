package account

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// purpose is what a mailed link is for.
type purpose string

const (
	verifying purpose = "verify"
	resetting purpose = "reset"
	changing  purpose = "change_email"
)

// For how long a link is good.
var lifetimes = map[purpose]int64{verifying: db.Day, resetting: db.Hour, changing: db.Day}

// pages are where the links lead. A page asks before it does anything: what scans
// mails opens links, and must use none up.
var pages = map[purpose]string{verifying: "/verify", resetting: "/reset", changing: "/verify"}

// link is what a mailed link does.
type link struct {
	user     string
	purpose  purpose
	email    string
	password string // a hash; "" for none
}

// mailLink keeps a link and mails it.
func (a *Accounts) mailLink(tx *db.Tx, u User, l link) error {
	token := newSecret("pml_")
	if _, err := tx.Exec(`DELETE FROM mailed_links WHERE expires_at < $1`, tx.Now()); err != nil {
		return fmt.Errorf("forget links: %w", err)
	}
	_, err := tx.Exec(`INSERT INTO mailed_links (digest, user_id, purpose, email, password, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		digest(token), u.ID, string(l.purpose), l.email, l.password, tx.Now()+lifetimes[l.purpose])
	if err != nil {
		return fmt.Errorf("keep a link: %w", err)
	}
	address := a.config.URL + pages[l.purpose] + "?token=" + url.QueryEscape(token)
	return a.send(tx, u, l.email, string(l.purpose), map[string]string{
		"link": address, "token": token, "hours": fmt.Sprint(lifetimes[l.purpose] / db.Hour),
	})
}

// follow finds what a link does. It stays usable until it is used up.
func follow(tx *db.Tx, token string, purposes ...purpose) (link, error) {
	var l link
	var expires int64
	err := tx.QueryRow(`SELECT user_id, purpose, email, password, expires_at FROM mailed_links WHERE digest = $1`+tx.ForUpdate(), digest(token)).
		Scan(&l.user, &l.purpose, &l.email, &l.password, &expires)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return link{}, fmt.Errorf("follow a link: %w", err)
	}
	for _, p := range purposes {
		if err == nil && l.purpose == p && tx.Now() < expires {
			return l, nil
		}
	}
	return link{}, fault.At("/token", "is of no link that is good now: a link works once, and not for long; ask for another").WithCode("invalid_link")
}

// useUp deletes all links of a person that are for the same as one that was followed.
func useUp(tx *db.Tx, l link) error {
	if _, err := tx.Exec(`DELETE FROM mailed_links WHERE user_id = $1 AND purpose = $2`, l.user, string(l.purpose)); err != nil {
		return fmt.Errorf("use up a link: %w", err)
	}
	return nil
}
