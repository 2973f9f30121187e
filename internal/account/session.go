package account

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// TokenPrefix is what the token of a session begins with.
const TokenPrefix = "pss_"

// Kind is what holds the token of a session.
type Kind string

// The kinds of sessions.
const (
	Cookie Kind = "cookie" // a browser
	Bearer Kind = "token"  // a command line
)

// life is how long a session lasts at most, and how long without a request.
type life struct{ absolute, idle int64 }

var lives = map[Kind]life{Cookie: {14 * db.Day, 2 * db.Day}, Bearer: {90 * db.Day, 30 * db.Day}}

// touchEvery is how exactly the last use of a session is kept.
const touchEvery = 5 * db.Minute

// MaxSessions is how many sessions a person has at most; one more ends the oldest.
const MaxSessions = 100

// Visitor is from where somebody asks.
type Visitor struct{ Address, Agent string }

// Session is somebody signed in.
type Session struct {
	ID        string
	User      string
	Kind      Kind
	Agent     string
	Address   string
	SSO       string // by whose provider it began: an organization's id, [OperatorSSO], or "" by password
	CreatedAt int64
	UsedAt    int64
	ExpiresAt int64
}

// OperatorSSO is the provider of the installation.
const OperatorSSO = "operator"

// Need is what a person must do before anything else.
type Need string

// What a person may have to do.
const (
	NeedsNothing      Need = ""
	NeedsVerification Need = "email_unverified"
	NeedsTwoFactor    Need = "two_factor_required"
)

const sessionColumns = `SELECT s.id, s.user_id, s.kind, s.agent, s.address, s.sso, s.created_at, s.used_at, s.expires_at FROM sessions s`

func scanSession(r db.Scanner) (s Session, err error) {
	err = r.Scan(&s.ID, &s.User, &s.Kind, &s.Agent, &s.Address, &s.SSO, &s.CreatedAt, &s.UsedAt, &s.ExpiresAt)
	return s, err
}

// Enter begins a session of who said a password.
func (a *Accounts) Enter(tx *db.Tx, user string, kind Kind, v Visitor) (token string, s Session, err error) {
	return a.EnterBy(tx, user, kind, v, "")
}

// EnterBy begins a session. Its token is new: nobody can have planted it.
func (a *Accounts) EnterBy(tx *db.Tx, user string, kind Kind, v Visitor, sso string) (token string, s Session, err error) {
	token = newSecret(TokenPrefix)
	s = Session{
		ID: tx.NewID("ses_"), User: user, Kind: kind, Agent: v.agent(), Address: v.Address, SSO: sso,
		CreatedAt: tx.Now(), UsedAt: tx.Now(), ExpiresAt: tx.Now() + lives[kind].absolute,
	}
	if _, err := tx.Exec(`DELETE FROM sessions WHERE expires_at < $1`, tx.Now()); err != nil {
		return "", s, fmt.Errorf("forget sessions: %w", err)
	}
	_, err = tx.Exec(`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT 1000 OFFSET $2)`, user, MaxSessions-1)
	if err != nil {
		return "", s, fmt.Errorf("end the oldest session: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO sessions (id, digest, user_id, kind, agent, address, sso, created_at, used_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		s.ID, digest(token), s.User, string(s.Kind), s.Agent, s.Address, s.SSO, s.CreatedAt, s.UsedAt, s.ExpiresAt)
	if err != nil {
		return "", s, fmt.Errorf("begin a session: %w", err)
	}
	return token, s, nil
}

func (v Visitor) agent() string {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(v.Agent, ""))
	runes := []rune(line)
	return string(runes[:min(len(runes), maxAgent)])
}

// Find finds the session of a token, and what its user must do first. A session that
// was revoked, or was not used for long, is not found.
func (a *Accounts) Find(tx *db.Tx, token string) (s Session, need Need, err error) {
	var verifiedAt, secondAt int64
	err = tx.QueryRow(`SELECT s.id, s.user_id, s.kind, s.agent, s.address, s.sso, s.created_at, s.used_at, s.expires_at, u.verified_at,
		COALESCE((SELECT f.confirmed_at FROM authenticators f WHERE f.user_id = u.id), 0)
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.digest = $1`, digest(token)).
		Scan(&s.ID, &s.User, &s.Kind, &s.Agent, &s.Address, &s.SSO, &s.CreatedAt, &s.UsedAt, &s.ExpiresAt, &verifiedAt, &secondAt)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !s.isAlive(tx.Now()) {
		return Session{}, "", fault.New(fault.Unauthorized, "you are not signed in any more: log in again").WithCode("session_ended")
	}
	if err != nil {
		return Session{}, "", fmt.Errorf("find a session: %w", err)
	}
	if verifiedAt == 0 {
		return s, NeedsVerification, nil
	}
	if secondAt == 0 && s.SSO != OperatorSSO && a.config.Required != nil { // a provider asks for what whoever set it up wants
		isRequired, err := a.config.Required(tx, s.User, s.SSO)
		if err != nil {
			return Session{}, "", err
		}
		if isRequired {
			return s, NeedsTwoFactor, nil
		}
	}
	return s, NeedsNothing, nil
}

func (s Session) isAlive(now int64) bool {
	return now < s.ExpiresAt && now < s.UsedAt+lives[s.Kind].idle
}

// IsStale reports whether the use of a session is to be noted.
func (s Session) IsStale(now int64) bool { return now >= s.UsedAt+touchEvery }

// Touch notes that a session is used.
func (a *Accounts) Touch(tx *db.Tx, id string) error {
	if _, err := tx.Exec(`UPDATE sessions SET used_at = $2 WHERE id = $1 AND used_at < $2`, id, tx.Now()); err != nil {
		return fmt.Errorf("note the use of a session: %w", err)
	}
	return nil
}

// Sessions lists the sessions of a person that are alive, the newest first, after an
// id ("" for the first page).
func (a *Accounts) Sessions(tx *db.Tx, user, before string, limit int) ([]Session, error) {
	if before == "" {
		before = "~" // after every id
	}
	all, err := db.All(tx, scanSession, sessionColumns+` WHERE s.user_id = $1 AND s.id < $2 AND s.expires_at > $3
		AND (s.kind = $4 AND s.used_at > $5 OR s.kind = $6 AND s.used_at > $7) ORDER BY s.id DESC LIMIT $8`,
		user, before, tx.Now(), string(Cookie), tx.Now()-lives[Cookie].idle, string(Bearer), tx.Now()-lives[Bearer].idle, limit)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return all, nil
}

// Revoke ends a session of a person.
func (a *Accounts) Revoke(tx *db.Tx, user, id string) (Session, error) {
	s, err := scanSession(tx.QueryRow(`DELETE FROM sessions WHERE user_id = $1 AND id = $2
		RETURNING id, user_id, kind, agent, address, sso, created_at, used_at, expires_at`, user, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Session{}, fault.New(fault.NotFound, "there is no such session of yours, or it has ended")
	}
	if err != nil {
		return Session{}, fmt.Errorf("end a session: %w", err)
	}
	return s, nil
}

// RevokeToken ends the session of a token, and says whose it was: "" if there is none.
func (a *Accounts) RevokeToken(tx *db.Tx, token string) (user string, err error) {
	err = tx.QueryRow(`DELETE FROM sessions WHERE digest = $1 RETURNING user_id`, digest(token)).Scan(&user)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("end a session: %w", err)
	}
	return user, nil
}

// RevokeAll ends all sessions of a person, but for one ("" for all).
func (a *Accounts) RevokeAll(tx *db.Tx, user, but string) error {
	if _, err := tx.Exec(`DELETE FROM sessions WHERE user_id = $1 AND id <> $2`, user, but); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	// Nor may a code that was confirmed become one.
	if _, err := tx.Exec(`DELETE FROM device_codes WHERE user_id = $1`, user); err != nil {
		return fmt.Errorf("end device codes: %w", err)
	}
	return nil
}
