// Package account keeps who a person is: sign-up, passwords, mailed links, sessions,
// the second factor, and how command lines are signed in.
//
// What it keeps true: whether an address has an account is told to nobody but who
// reads its mail, neither by an answer nor by how long it takes; a password, a
// token and a code are never kept, only what they are recognized by; every link and
// every code works once and for a limited time; guessing gets slower without
// shutting out the owner (docs/decisions/023).
//
// Passwords are hashed outside of units of work: it takes long, and units are done
// one after the other. So a login is two units with the comparing in between; the
// attempt is counted in the first one, as failed, so that any number at once are
// no more than one after the other.
package account

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	outbox "github.com/purserhq/purser/internal/mail"
)

// The limits of what a person enters.
const (
	MaxEmail = 254 // characters
	maxName  = 200
	maxAgent = 200
)

// User is a person.
type User struct {
	ID         string
	Email      string // in lower case
	Name       string
	VerifiedAt int64 // 0 for not yet
	CreatedAt  int64
}

// Config says what accounts need of others.
type Config struct {
	Put func(*db.Tx, outbox.Message) error // sends a mail
	URL string                             // of the server, as people reach it: in mailed links

	// Required reports whether an organization of the user's asks for a second factor, other
	// than the one by whose provider the session began ("" for none): that one has asked for it there;
	// nil if none does.
	Required func(tx *db.Tx, user, other string) (bool, error)

	// Verified is called, in the same unit of work, whenever a person has proved to own
	// an address, for the first time or another one; nil for nobody.
	Verified func(tx *db.Tx, u User, isFirst bool) error
}

// Accounts is all people.
type Accounts struct {
	config  Config
	hashing lanes
}

// New returns the accounts of an installation.
func New(c Config) *Accounts {
	c.URL = strings.TrimRight(c.URL, "/")
	return &Accounts{config: c, hashing: newLanes()}
}

// URL is where people reach the server.
func (a *Accounts) URL() string { return a.config.URL }

// digest is what a secret is recognized by. It is not salted: what is hashed here
// is random and long enough that nobody guesses it.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// newSecret is a secret of 130 bits that begins with what it is for.
func newSecret(prefix string) string { return prefix + strings.ToLower(rand.Text()) }

// Address is a mail address in the one form in which it is kept.
func Address(pointer, text string) (string, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	parsed, err := mail.ParseAddress(text)
	local, domain, _ := strings.Cut(text, "@")
	if err != nil || parsed.Address != text || parsed.Name != "" || len(text) > MaxEmail || local == "" || !strings.Contains(domain, ".") ||
		strings.ContainsFunc(text, unicode.IsControl) {
		return "", fault.At(pointer, "is no email address such as ada@example.org")
	}
	return text, nil
}

// checkName takes any one line of text.
func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.At("/name", "a name is one line of text, at most %d characters", maxName)
	}
	return name, nil
}

const userColumns = `SELECT u.id, u.email, u.name, u.verified_at, u.created_at FROM users u`

func scanUser(r db.Scanner) (u User, err error) {
	err = r.Scan(&u.ID, &u.Email, &u.Name, &u.VerifiedAt, &u.CreatedAt)
	return u, err
}

// User finds a person by id.
func (a *Accounts) User(tx *db.Tx, id string) (User, error) {
	u, err := scanUser(tx.QueryRow(userColumns+` WHERE u.id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, fault.New(fault.NotFound, "there is no such user")
	}
	if err != nil {
		return User{}, fmt.Errorf("find a user: %w", err)
	}
	return u, nil
}

// byEmail finds a person by address.
func (a *Accounts) byEmail(tx *db.Tx, email string) (u User, found bool, err error) {
	u, err = scanUser(tx.QueryRow(userColumns+` WHERE u.email = $1`, email))
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, false, nil
	}
	if err != nil {
		return User{}, false, fmt.Errorf("find a user by email: %w", err)
	}
	return u, true, nil
}

// Rename gives a person another name.
func (a *Accounts) Rename(tx *db.Tx, user, name string) (User, error) {
	name, err := checkName(name)
	if err != nil {
		return User{}, err
	}
	if _, err := tx.Exec(`UPDATE users SET name = $2 WHERE id = $1`, user, name); err != nil {
		return User{}, fmt.Errorf("rename a user: %w", err)
	}
	return a.User(tx, user)
}

// notice mails a person what happened to the account.
func (a *Accounts) notice(tx *db.Tx, u User, subject, text, link string) error {
	return a.send(tx, u, u.Email, "notice", map[string]string{"subject": subject, "text": text, "link": link})
}

func (a *Accounts) send(tx *db.Tx, u User, to, template string, data map[string]string) error {
	data["name"], data["email"] = u.Name, to
	return a.config.Put(tx, outbox.Message{To: to, Template: template, Data: data})
}
