package org

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// InvitationPrefix is what the secret of every invitation begins with.
const InvitationPrefix = "pi_"

// The limits of invitations.
const (
	InvitationLife = 7 * db.Day
	MaxInvitations = 1_000 // of an organization that wait for an answer
	maxEmail       = 254
)

// Invitation asks somebody to join an organization with a role, in all of it or in
// one project.
type Invitation struct {
	Membership
	ID         string
	Email      string // in lower case
	InvitedBy  string // id of the actor
	CreatedAt  int64
	ExpiresAt  int64
	AcceptedAt int64
	AcceptedBy string
	RevokedAt  int64
	Secret     string // of the mailed link; only where it has just been made
}

// Status is what became of an invitation by an instant.
func (i *Invitation) Status(now int64) string {
	switch {
	case i.AcceptedAt > 0:
		return "accepted"
	case i.RevokedAt > 0:
		return "revoked"
	case i.ExpiresAt <= now:
		return "expired"
	}
	return "pending"
}

const invitationColumns = `SELECT organization, workspace, project, role, id, email, invited_by, created_at, expires_at, accepted_at, accepted_by, revoked_at
	FROM invitations`

func scanInvitation(r db.Scanner) (i Invitation, err error) {
	err = r.Scan(&i.Organization, &i.Workspace, &i.Project, &i.Role, &i.ID, &i.Email, &i.InvitedBy, &i.CreatedAt, &i.ExpiresAt, &i.AcceptedAt, &i.AcceptedBy, &i.RevokedAt)
	return i, err
}

// Invite asks somebody to join. An invitation to the same address and project that
// waits is replaced. Nobody gives more than he may: only owners make owners.
func (o *Orgs) Invite(tx *db.Tx, by Actor, n Invitation) (Invitation, error) {
	n.Email = strings.ToLower(strings.TrimSpace(n.Email))
	if len(n.Email) > maxEmail || !isAddress(n.Email) {
		return Invitation{}, fault.At("/email", "%.80q is no address for mail", n.Email)
	}
	if err := checkRole(n.Membership); err != nil {
		return Invitation{}, err
	}
	if err := mayGive(by, n.Organization, n.Role); err != nil {
		return Invitation{}, err
	}
	if err := o.hold(tx, n.Organization); err != nil {
		return Invitation{}, err
	}
	if err := o.hasRoom(tx, n); err != nil {
		return Invitation{}, err
	}
	_, err := tx.Exec(`UPDATE invitations SET revoked_at = $1 WHERE organization = $2 AND email = $3 AND workspace = $4 AND project = $5
		AND accepted_at = 0 AND revoked_at = 0`, tx.Now(), n.Organization, n.Email, n.Workspace, n.Project)
	if err != nil {
		return Invitation{}, fmt.Errorf("replace an invitation: %w", err)
	}
	n.ID, n.InvitedBy, n.CreatedAt, n.ExpiresAt, n.Secret = tx.NewID("inv_"), by.ID, tx.Now(), tx.Now()+InvitationLife, newInvitation()
	_, err = tx.Exec(`INSERT INTO invitations
		(organization, id, email, workspace, project, role, secret, invited_by, created_at, expires_at, accepted_at, accepted_by, revoked_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', 0)`,
		n.Organization, n.ID, n.Email, n.Workspace, n.Project, string(n.Role), digest(n.Secret), n.InvitedBy, n.CreatedAt, n.ExpiresAt)
	if err != nil {
		return Invitation{}, fmt.Errorf("invite: %w", err)
	}
	return n, nil
}

func newInvitation() string { return InvitationPrefix + strings.ToLower(rand.Text()) }

// hasRoom refuses an invitation of a member, and one too many.
func (o *Orgs) hasRoom(tx *db.Tx, n Invitation) error {
	var there, waiting int
	err := tx.QueryRow(`SELECT COUNT(*) FROM memberships m JOIN users u ON u.id = m.user_id
		WHERE m.organization = $1 AND m.workspace = $2 AND m.project = $3 AND u.email = $4`, n.Organization, n.Workspace, n.Project, n.Email).Scan(&there)
	if err != nil {
		return fmt.Errorf("look for a member: %w", err)
	}
	if there > 0 {
		return fault.At("/email", "%s is a member already: change the role instead", n.Email)
	}
	err = tx.QueryRow(`SELECT COUNT(*) FROM invitations WHERE organization = $1 AND accepted_at = 0 AND revoked_at = 0 AND expires_at > $2`,
		n.Organization, tx.Now()).Scan(&waiting)
	if err != nil {
		return fmt.Errorf("count invitations: %w", err)
	}
	if waiting >= MaxInvitations {
		return fault.New(fault.Limited, "%d invitations wait for an answer, and no more may: revoke some", waiting)
	}
	return nil
}

// Invitations returns the next invitations of an organization by id after the given one.
func (o *Orgs) Invitations(tx *db.Tx, organization, after string, limit int) ([]Invitation, error) {
	return list(tx, scanInvitation, invitationColumns+` WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3`, organization, after, limit)
}

// Waiting finds an invitation that was neither accepted nor revoked.
func (o *Orgs) Waiting(tx *db.Tx, organization, id string) (Invitation, error) {
	i, err := scanInvitation(tx.QueryRow(invitationColumns+` WHERE organization = $1 AND id = $2`+tx.ForUpdate(), organization, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Invitation{}, fault.New(fault.NotFound, "there is no invitation %.80q", id)
	case err != nil:
		return Invitation{}, fmt.Errorf("find the invitation %s: %w", id, err)
	case i.AcceptedAt > 0 || i.RevokedAt > 0:
		return Invitation{}, closed(i.Status(tx.Now()))
	}
	return i, nil
}

func closed(status string) error {
	return fault.New(fault.Conflict, "the invitation is %s: ask for another one", status).WithCode("invitation_closed")
}

// Resend gives an invitation a new secret and seven more days; the link that was
// mailed before is good no more.
func (o *Orgs) Resend(tx *db.Tx, by Actor, organization, id string) (Invitation, error) {
	i, err := o.Waiting(tx, organization, id)
	if err != nil {
		return Invitation{}, err
	}
	if err := mayGive(by, organization, i.Role); err != nil {
		return Invitation{}, err
	}
	i.Secret, i.ExpiresAt = newInvitation(), tx.Now()+InvitationLife
	_, err = tx.Exec(`UPDATE invitations SET secret = $1, expires_at = $2 WHERE organization = $3 AND id = $4`, digest(i.Secret), i.ExpiresAt, organization, id)
	if err != nil {
		return Invitation{}, fmt.Errorf("send the invitation %s again: %w", id, err)
	}
	return i, nil
}

// RevokeInvitation takes an invitation back.
func (o *Orgs) RevokeInvitation(tx *db.Tx, organization, id string) (Invitation, error) {
	i, err := o.Waiting(tx, organization, id)
	if err != nil {
		return Invitation{}, err
	}
	i.RevokedAt = tx.Now()
	_, err = tx.Exec(`UPDATE invitations SET revoked_at = $1 WHERE organization = $2 AND id = $3`, i.RevokedAt, organization, id)
	if err != nil {
		return Invitation{}, fmt.Errorf("revoke the invitation %s: %w", id, err)
	}
	return i, nil
}

// Invited finds the invitation that a secret is of, while it waits for an answer.
func (o *Orgs) Invited(tx *db.Tx, secret string) (Invitation, error) {
	i, err := scanInvitation(tx.QueryRow(invitationColumns+` WHERE secret = $1`, digest(secret)))
	if errors.Is(err, sql.ErrNoRows) {
		return Invitation{}, fault.New(fault.NotFound, "the invitation is not known: open the link of the newest mail, or ask for another one")
	}
	if err != nil {
		return Invitation{}, fmt.Errorf("find an invitation: %w", err)
	}
	if status := i.Status(tx.Now()); status != "pending" {
		return Invitation{}, closed(status)
	}
	return i, nil
}

// InviterOf is the id of the person who has made an invitation, or whose token has.
func (o *Orgs) InviterOf(tx *db.Tx, i Invitation) (string, error) {
	users, err := list(tx, db.Value[string], `SELECT t.user_id FROM tokens t WHERE t.organization = $1 AND t.id = $2`, i.Organization, i.InvitedBy)
	if err != nil || len(users) == 0 {
		return i.InvitedBy, err
	}
	return users[0], nil
}

// Accept makes a person a member by the secret that was mailed to his address, which
// he must have verified. An invitation is accepted once.
func (o *Orgs) Accept(tx *db.Tx, user, secret string) (Invitation, error) {
	unknown := fault.New(fault.NotFound, "the invitation is not known, or not to your address: sign in with the address that it was sent to")
	i, err := scanInvitation(tx.QueryRow(invitationColumns+` WHERE secret = $1`, digest(secret)))
	if errors.Is(err, sql.ErrNoRows) {
		return Invitation{}, unknown
	}
	if err != nil {
		return Invitation{}, fmt.Errorf("find an invitation: %w", err)
	}
	var isHis int
	err = tx.QueryRow(`SELECT COUNT(*) FROM users WHERE id = $1 AND email = $2 AND verified_at > 0`, user, i.Email).Scan(&isHis)
	if err != nil {
		return Invitation{}, fmt.Errorf("find the user %s: %w", user, err)
	}
	if isHis == 0 {
		return Invitation{}, unknown
	}
	if status := i.Status(tx.Now()); status != "pending" {
		return Invitation{}, closed(status)
	}
	return o.accept(tx, i, user)
}

// AcceptFor makes a person, whose address was just verified, a member of all
// organizations that have invited that address.
func (o *Orgs) AcceptFor(tx *db.Tx, email, user string) ([]Invitation, error) {
	pending, err := list(tx, scanInvitation, invitationColumns+` WHERE email = $1 AND accepted_at = 0 AND revoked_at = 0 AND expires_at > $2
		ORDER BY organization, id`, strings.ToLower(email), tx.Now())
	if err != nil {
		return nil, err
	}
	var accepted []Invitation
	for _, i := range pending {
		i, err := o.accept(tx, i, user)
		if f := fault.Of(err); f != nil && f.Code == "invitation_closed" {
			continue // revoked, or accepted, in this very moment
		}
		if err != nil {
			return nil, err
		}
		accepted = append(accepted, i)
	}
	return accepted, nil
}

// accept closes an invitation and gives its role, unless there is one already, which
// stays. Of two who accept at the same instant the second finds it closed.
func (o *Orgs) accept(tx *db.Tx, i Invitation, user string) (Invitation, error) {
	if err := o.hold(tx, i.Organization); err != nil {
		return Invitation{}, err
	}
	var id string
	err := tx.QueryRow(`UPDATE invitations SET accepted_at = $1, accepted_by = $2 WHERE organization = $3 AND id = $4
		AND accepted_at = 0 AND revoked_at = 0 AND expires_at > $1 RETURNING id`, tx.Now(), user, i.Organization, i.ID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return Invitation{}, closed("closed")
	}
	if err != nil {
		return Invitation{}, fmt.Errorf("accept the invitation %s: %w", i.ID, err)
	}
	i.AcceptedAt, i.AcceptedBy = tx.Now(), user
	if _, err := o.Member(tx, user, i.Membership); err == nil || !fault.Is(err, fault.NotFound) {
		return i, err
	}
	return i, o.join(tx, i.Membership, user)
}
