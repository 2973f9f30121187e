package org

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// TokenPrefix is what every secret of a token begins with.
const TokenPrefix = "pt_"

// The limits of tokens.
const (
	MaxTokens   = 50 // that are good, of one person in one organization
	maxNetworks = 50
	maxLifetime = 10 * 366 * db.Day
	maxOverlap  = 30 * db.Day
	usedEvery   = db.Minute // how often the last use is written at most
)

// Token is what a program is known by, in one organization. It may do what its
// scopes name, and at most what the person whose it is may do at that instant.
type Token struct {
	Organization string
	ID           string
	User         string // whose it is
	Name         string
	Project      string // of the workspace; "" for all
	Workspace    string // its id; "" for all
	Scopes       []Action
	Networks     []netip.Prefix // from which it is taken; none for everywhere
	CreatedAt    int64
	ExpiresAt    int64 // 0 for never
	RevokedAt    int64 // 0 if it was not
	LastUsedAt   int64 // to the minute; 0 if never

	lacksFactor bool // the organization asks for a second factor, and whose it is has none
}

const tokenColumns = `t.organization, t.id, t.user_id, t.name, t.project, t.workspace, t.scopes, t.networks,
	t.created_at, t.expires_at, t.revoked_at, t.last_used_at`

// into are the places of the columns of a token, and of the two that are lists.
func (t *Token) into(scopes, networks *string) []any {
	return []any{&t.Organization, &t.ID, &t.User, &t.Name, &t.Project, &t.Workspace, scopes, networks,
		&t.CreatedAt, &t.ExpiresAt, &t.RevokedAt, &t.LastUsedAt}
}

func (t *Token) read(scopes, networks string) error {
	for name := range strings.FieldsSeq(scopes) {
		t.Scopes = append(t.Scopes, ActionNamed(name))
	}
	for text := range strings.FieldsSeq(networks) {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("read the networks of token %s: %w", t.ID, err)
		}
		t.Networks = append(t.Networks, network)
	}
	return nil
}

func scanToken(r db.Scanner) (t Token, err error) {
	var scopes, networks string
	if err = r.Scan(t.into(&scopes, &networks)...); err == nil {
		err = t.read(scopes, networks)
	}
	return t, err
}

// ScopeNames are the short names of what the token is for.
func (t *Token) ScopeNames() []string {
	out := make([]string, len(t.Scopes))
	for i, a := range t.Scopes {
		out[i] = a.Name()
	}
	return out
}

// NetworkTexts are the networks from which the token is taken.
func (t *Token) NetworkTexts() []string {
	out := make([]string, len(t.Networks))
	for i, n := range t.Networks {
		out[i] = n.String()
	}
	return out
}

// digest is what of a secret is stored. Secrets have 128 random bits, so that a fast
// hash is enough.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// ActorOf is the actor whose token has a secret, with the roles that the person has
// at this instant; nil if there is none. It is one statement: what was revoked,
// and every role that was taken away, counts with its commit, on every server.
func (o *Orgs) ActorOf(tx *db.Tx, secret string) (*Actor, error) {
	var a *Actor
	err := tx.Each(func(r db.Scanner) error {
		var t Token
		var m Membership
		var scopes, networks string
		var until, asks, factor int64
		err := r.Scan(append(t.into(&scopes, &networks), &until, &asks, &factor, &m.Workspace, &m.Project, &m.Role)...)
		if err != nil {
			return err
		}
		if a == nil {
			if err := t.read(scopes, networks); err != nil {
				return err
			}
			if t.ExpiresAt == 0 || until > 0 && until < t.ExpiresAt {
				t.ExpiresAt = until
			}
			t.lacksFactor = asks != 0 && factor == 0
			a = &Actor{ID: t.ID, Token: &t}
		}
		if m.Organization = t.Organization; m.Role != "" {
			a.Members = append(a.Members, m.within(t.Workspace, t.Project)...)
		}
		return nil
	}, `SELECT `+tokenColumns+`, h.expires_at, COALESCE(p.require_two_factor, 0),
		COALESCE(NULLIF(f.confirmed_at, 0), (SELECT i.created_at FROM identities i WHERE i.user_id = t.user_id
			AND i.organization IN (t.organization, '') LIMIT 1), 0), -- who comes by its provider has no other factor
		COALESCE(m.workspace, ''), COALESCE(m.project, ''), COALESCE(m.role, '') FROM token_hashes h
		JOIN tokens t ON t.organization = h.organization AND t.id = h.token
		LEFT JOIN profiles p ON p.organization = t.organization
		LEFT JOIN authenticators f ON f.user_id = t.user_id
		LEFT JOIN memberships m ON m.organization = t.organization AND m.user_id = t.user_id
		WHERE h.hash = $1 AND t.revoked_at = 0`, digest(secret))
	if err != nil {
		return nil, fmt.Errorf("look up a token: %w", err)
	}
	return a, nil
}

// within is a membership as far as it reaches into a project of a workspace (project ""
// for all of the organization).
func (m Membership) within(workspace, project string) []Membership {
	switch {
	case project == "" || m.Project == project && m.Workspace == workspace:
		return []Membership{m}
	case m.Project == "":
		m.Workspace, m.Project = workspace, project
		return []Membership{m}
	}
	return nil
}

// Check refuses a token that is not good now, or not from there. In an organization that
// asks for a second factor, one of a person without is not: it would be a way in that a
// password alone has made.
func (t *Token) Check(now int64, from netip.Addr) error {
	if t.ExpiresAt != 0 && t.ExpiresAt <= now {
		return fault.New(fault.Unauthorized, "the token has expired: make another one")
	}
	inside := func(n netip.Prefix) bool { return from.IsValid() && n.Contains(from.Unmap()) }
	if len(t.Networks) > 0 && !slices.ContainsFunc(t.Networks, inside) {
		return fault.New(fault.Unauthorized, "the token is not taken from this network")
	}
	if t.lacksFactor {
		return fault.New(fault.Forbidden, "the organization asks its members for a second factor, and whose token this is has none: it works again when one is set up").
			WithCode("two_factor_required")
	}
	return nil
}

// Used notes that a token was used, unless that was noted within the last minute.
func (o *Orgs) Used(tx *db.Tx, t *Token) error {
	_, err := tx.Exec(`UPDATE tokens SET last_used_at = $1 WHERE organization = $2 AND id = $3 AND last_used_at <= $4`,
		tx.Now(), t.Organization, t.ID, tx.Now()-usedEvery)
	if err != nil {
		return fmt.Errorf("note the use of token %s: %w", t.ID, err)
	}
	return nil
}

// IsStale reports whether the last use that is known of a token is to be written anew.
func (t *Token) IsStale(now int64) bool { return t.LastUsedAt <= now-usedEvery }

// CreateToken makes a token of a person and returns its secret, which is nowhere
// else. Its scopes are at most what he may do.
func (o *Orgs) CreateToken(tx *db.Tx, by Actor, n Token) (Token, string, error) {
	user, err := by.Person("make tokens") // a token that made another would outlive its own limits
	if err != nil {
		return Token{}, "", err
	}
	if err := n.check(tx, by); err != nil {
		return Token{}, "", err
	}
	n.User = user
	if err := tx.Exclude("tokens " + n.Organization + " " + n.User); err != nil {
		return Token{}, "", fmt.Errorf("hold the tokens of %s: %w", n.User, err)
	}
	var count int
	err = tx.QueryRow(`SELECT COUNT(*) FROM tokens WHERE organization = $1 AND user_id = $2 AND revoked_at = 0 AND (expires_at = 0 OR expires_at > $3)`,
		n.Organization, n.User, tx.Now()).Scan(&count)
	if err != nil {
		return Token{}, "", fmt.Errorf("count tokens: %w", err)
	}
	if count >= MaxTokens {
		return Token{}, "", fault.New(fault.Limited, "you have %d tokens here, and no more fit: revoke some", count)
	}
	n.ID, n.CreatedAt = tx.NewID("key_"), tx.Now()
	_, err = tx.Exec(`INSERT INTO tokens (organization, id, user_id, name, project, workspace, scopes, networks, created_at, expires_at, revoked_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0)`, n.Organization, n.ID, n.User, n.Name, n.Project, n.Workspace,
		strings.Join(n.ScopeNames(), " "), strings.Join(n.NetworkTexts(), " "), n.CreatedAt, n.ExpiresAt)
	if err != nil {
		return Token{}, "", fmt.Errorf("make a token: %w", err)
	}
	secret, err := o.newSecret(tx, n)
	return n, secret, err
}

func (t *Token) check(tx *db.Tx, by Actor) error {
	var wrong fault.Fields
	if strings.TrimSpace(t.Name) == "" || len(t.Name) > maxName || !isText(t.Name, "") {
		wrong.Add("/name", "must say in one line what the token is for")
	}
	if len(t.Scopes) == 0 {
		wrong.Add("/scopes", "must name what the token may do")
	}
	if t.ExpiresAt != 0 && (t.ExpiresAt <= tx.Now() || t.ExpiresAt > tx.Now()+maxLifetime) {
		wrong.Add("/expires_at", "must lie in the future, and within ten years")
	}
	if len(t.Networks) > maxNetworks {
		wrong.Add("/networks", "are too many")
	}
	target := Target{Organization: t.Organization, Workspace: t.Workspace, Project: t.Project}
	for i, scope := range t.Scopes {
		at := fmt.Sprintf("/scopes/%d", i)
		switch err := Can(by, scope, target); {
		case slices.Contains(t.Scopes[:i], scope):
			wrong.Add(at, "stands there twice")
		case err != nil:
			wrong.Add(at, "is more than you may do yourself there")
		}
	}
	return wrong.Err()
}

func (o *Orgs) newSecret(tx *db.Tx, t Token) (string, error) {
	secret := TokenPrefix + strings.ToLower(rand.Text())
	_, err := tx.Exec(`INSERT INTO token_hashes (hash, organization, token, expires_at) VALUES ($1, $2, $3, 0)`, digest(secret), t.Organization, t.ID)
	if err != nil {
		return "", fmt.Errorf("keep the digest of a token: %w", err)
	}
	return secret, nil
}

// Tokens returns the next tokens of a person ("" for everybody's) in an organization
// by id after the given one, without those that were revoked.
func (o *Orgs) Tokens(tx *db.Tx, organization, user, after string, limit int) ([]Token, error) {
	return list(tx, scanToken, `SELECT `+tokenColumns+` FROM tokens t WHERE t.organization = $1 AND (t.user_id = $2 OR $2 = '')
		AND t.revoked_at = 0 AND t.id > $3 ORDER BY t.id LIMIT $4`, organization, user, after, limit)
}

// ownToken finds a token that is good and the actor's own, or, for who manages the
// organization, anybody's.
func (o *Orgs) ownToken(tx *db.Tx, by Actor, organization, id string, isManaged bool) (Token, error) {
	t, err := scanToken(tx.QueryRow(`SELECT `+tokenColumns+` FROM tokens t WHERE t.organization = $1 AND t.id = $2 AND t.revoked_at = 0`+tx.ForUpdate(),
		organization, id))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Token{}, fmt.Errorf("find the token %s: %w", id, err)
	}
	isOther := err == nil && t.User != by.User() && !(isManaged && Can(by, Manage, Target{Organization: organization}) == nil)
	if err != nil || isOther {
		return Token{}, fault.New(fault.NotFound, "there is no token %.80q, or it is not yours", id)
	}
	return t, nil
}

// RotateToken gives a token a new secret, and the old ones an end: at once, or after
// an overlap in which both are good.
func (o *Orgs) RotateToken(tx *db.Tx, by Actor, organization, id string, overlap int64) (Token, string, error) {
	if overlap < 0 || overlap > maxOverlap {
		return Token{}, "", fault.At("/overlap_seconds", "must be between 0 and %d", maxOverlap/db.Second)
	}
	t, err := o.ownToken(tx, by, organization, id, false)
	if err != nil {
		return Token{}, "", err
	}
	if by.Token != nil && by.ID != id {
		return Token{}, "", fault.New(fault.Forbidden, "a token can be rotated by whose it is, and by itself, but not by another token")
	}
	until := tx.Now() + overlap
	_, err = tx.Exec(`DELETE FROM token_hashes WHERE organization = $1 AND token = $2 AND expires_at > 0 AND expires_at <= $3`, organization, id, tx.Now())
	if err != nil {
		return Token{}, "", fmt.Errorf("forget old digests of the token %s: %w", id, err)
	}
	if overlap == 0 {
		_, err = tx.Exec(`DELETE FROM token_hashes WHERE organization = $1 AND token = $2`, organization, id)
	} else {
		_, err = tx.Exec(`UPDATE token_hashes SET expires_at = $3 WHERE organization = $1 AND token = $2 AND (expires_at = 0 OR expires_at > $3)`,
			organization, id, until)
	}
	if err != nil {
		return Token{}, "", fmt.Errorf("rotate the token %s: %w", id, err)
	}
	secret, err := o.newSecret(tx, t)
	return t, secret, err
}

// RevokeToken ends a token: with the commit no server takes it any more.
func (o *Orgs) RevokeToken(tx *db.Tx, by Actor, organization, id string) (Token, error) {
	t, err := o.ownToken(tx, by, organization, id, true)
	if err != nil {
		return Token{}, err
	}
	t.RevokedAt = tx.Now()
	return t, o.revoke(tx, `organization = $2 AND id = $3`, organization, id)
}

// revokeTokens ends all tokens of a person in an organization.
func (o *Orgs) revokeTokens(tx *db.Tx, organization, user string) error {
	return o.revoke(tx, `organization = $2 AND user_id = $3`, organization, user)
}

func (o *Orgs) revoke(tx *db.Tx, where, organization string, which ...any) error {
	ids, err := list(tx, db.Value[string], `UPDATE tokens SET revoked_at = $1 WHERE revoked_at = 0 AND `+where+` RETURNING id`, append([]any{tx.Now(), organization}, which...)...)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := tx.Exec(`DELETE FROM token_hashes WHERE organization = $1 AND token = $2`, organization, id); err != nil {
			return fmt.Errorf("forget the digests of token %s: %w", id, err)
		}
	}
	return nil
}
