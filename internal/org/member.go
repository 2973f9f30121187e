package org

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// The limits of memberships.
const (
	MaxOwned    = 20     // organizations that one person owns
	MaxMembers  = 10_000 // memberships of one organization
	maxProject  = 200
	personalTry = 5
)

// Member is a person with one of his roles in an organization.
type Member struct {
	Membership
	User      string // id
	Email     string
	Name      string
	CreatedAt int64
}

// Key is what members are listed by.
func (m Member) Key() string { return m.User + " " + m.Workspace + " " + m.Project }

// Roles are all roles, the most powerful first.
var Roles = []Role{Owner, Admin, Platform, Developer, Finance, Viewer}

// MembershipsOf returns all roles of a person, in every organization.
func (o *Orgs) MembershipsOf(tx *db.Tx, user string) ([]Membership, error) {
	return list(tx, scanMembership, `SELECT organization, workspace, project, role FROM memberships WHERE user_id = $1 ORDER BY organization, workspace, project`, user)
}

// MembershipsSince returns the roles that a person got at an instant or later.
func (o *Orgs) MembershipsSince(tx *db.Tx, user string, at int64) ([]Membership, error) {
	return list(tx, scanMembership, `SELECT organization, workspace, project, role FROM memberships
		WHERE user_id = $1 AND created_at >= $2 ORDER BY organization, workspace, project`, user, at)
}

func scanMembership(r db.Scanner) (m Membership, err error) {
	err = r.Scan(&m.Organization, &m.Workspace, &m.Project, &m.Role)
	return m, err
}

const memberColumns = `SELECT m.organization, m.workspace, m.project, m.role, m.user_id, COALESCE(u.email, ''), COALESCE(u.name, ''), m.created_at
	FROM memberships m LEFT JOIN users u ON u.id = m.user_id WHERE m.organization = $1`

func scanMember(r db.Scanner) (m Member, err error) {
	err = r.Scan(&m.Organization, &m.Workspace, &m.Project, &m.Role, &m.User, &m.Email, &m.Name, &m.CreatedAt)
	return m, err
}

// Members returns the next roles in an organization after the member of that [Member.Key].
func (o *Orgs) Members(tx *db.Tx, organization, after string, limit int) ([]Member, error) {
	user, place, _ := strings.Cut(after, " ")
	workspace, project, _ := strings.Cut(place, " ")
	return list(tx, scanMember, memberColumns+` AND (m.user_id > $2 OR m.user_id = $2 AND (m.workspace > $3 OR m.workspace = $3 AND m.project > $4))
		ORDER BY m.user_id, m.workspace, m.project LIMIT $5`, organization, user, workspace, project, limit)
}

// Member finds the role that a person has in an organization, or in one project of it:
// where the role in of the membership is does not matter.
func (o *Orgs) Member(tx *db.Tx, user string, in Membership) (Member, error) {
	m, err := scanMember(tx.QueryRow(memberColumns+` AND m.user_id = $2 AND m.workspace = $3 AND m.project = $4`, in.Organization, user, in.Workspace, in.Project))
	if errors.Is(err, sql.ErrNoRows) {
		return Member{}, fault.New(fault.NotFound, "%.80q is no member here; see the list of members", user)
	}
	if err != nil {
		return Member{}, fmt.Errorf("find a member of %s: %w", in.Organization, err)
	}
	return m, nil
}

// hold keeps other servers from changing the members of an organization until the
// batch ends, so that what is counted stays true.
func (o *Orgs) hold(tx *db.Tx, organization string) error {
	if err := tx.Exclude("members " + organization); err != nil {
		return fmt.Errorf("hold the members of %s: %w", organization, err)
	}
	return nil
}

// join gives a person a role, in place of the one he had there.
func (o *Orgs) join(tx *db.Tx, m Membership, user string) error {
	var count int
	err := tx.QueryRow(`SELECT COUNT(*) FROM memberships WHERE organization = $1`, m.Organization).Scan(&count)
	if err != nil {
		return fmt.Errorf("count members: %w", err)
	}
	if count >= MaxMembers {
		return fault.New(fault.Limited, "the organization has %d members, and no more fit", count)
	}
	_, err = tx.Exec(`INSERT INTO memberships (organization, user_id, workspace, project, role, created_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (organization, user_id, workspace, project) DO UPDATE SET role = excluded.role`,
		m.Organization, user, m.Workspace, m.Project, string(m.Role), tx.Now())
	if err != nil {
		return fmt.Errorf("give a role in %s: %w", m.Organization, err)
	}
	return nil
}

// Admit makes a person a member with a role; who has a role in the organization keeps it.
func (o *Orgs) Admit(tx *db.Tx, organization, user string, role Role) error {
	if err := o.hold(tx, organization); err != nil {
		return err
	}
	p, err := o.Profile(tx, organization)
	if err != nil || p.ArchivedAt != 0 {
		return err
	}
	_, err = o.Member(tx, user, Membership{Organization: organization})
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	return o.join(tx, Membership{Organization: organization, Role: role}, user)
}

// CreateOwned makes an organization as [Orgs.Create] does, whose owner is the person.
func (o *Orgs) CreateOwned(tx *db.Tx, user string, n Organization) (Organization, Workspace, error) {
	if err := tx.Exclude("owned by " + user); err != nil {
		return Organization{}, Workspace{}, fmt.Errorf("hold what %s owns: %w", user, err)
	}
	var owned int
	err := tx.QueryRow(`SELECT COUNT(*) FROM memberships WHERE user_id = $1 AND role = 'owner' AND project = ''`, user).Scan(&owned)
	if err != nil {
		return Organization{}, Workspace{}, fmt.Errorf("count organizations: %w", err)
	}
	if owned >= MaxOwned {
		return Organization{}, Workspace{}, fault.New(fault.Limited, "you own %d organizations, and may own %d: delete one, or ask the operator",
			owned, MaxOwned)
	}
	made, w, err := o.Create(tx, n)
	if err != nil {
		return made, w, err
	}
	return made, w, o.join(tx, Membership{Organization: made.ID, Role: Owner}, user)
}

// CreatePersonal makes the organization of one person, named after his address.
func (o *Orgs) CreatePersonal(tx *db.Tx, user string) (Organization, error) {
	var email, name string
	if err := tx.QueryRow(`SELECT email, name FROM users WHERE id = $1`, user).Scan(&email, &name); err != nil {
		return Organization{}, fmt.Errorf("find the user %s: %w", user, err)
	}
	base, _, _ := strings.Cut(email, "@")
	base = slugOf(base)
	slug := base
	for range personalTry {
		made, _, err := o.CreateOwned(tx, user, Organization{Slug: slug, Name: strings.TrimSpace(name), Type: Personal})
		if f := fault.Of(err); f == nil || f.Code != "slug_taken" {
			return made, err
		}
		id := tx.NewID("")
		slug = base + "-" + id[len(id)-6:]
	}
	return Organization{}, fault.New(fault.Conflict, "no slug is free that begins with %s", base)
}

// Welcome is for a person who has proved to own an address: those who have invited it get
// a member, and who is new gets an organization of his own.
func (o *Orgs) Welcome(tx *db.Tx, user, email string, isNew bool) error {
	if isNew {
		if _, err := o.CreatePersonal(tx, user); err != nil {
			return err
		}
	}
	_, err := o.AcceptFor(tx, email, user)
	return err
}

// AsksForTwoFactor reports whether an organization of a person's, other than one, asks for a
// second factor.
func (o *Orgs) AsksForTwoFactor(tx *db.Tx, user, other string) (bool, error) {
	asking, err := list(tx, db.Value[int64], `SELECT p.require_two_factor FROM memberships m JOIN profiles p ON p.organization = m.organization
			WHERE m.user_id = $1 AND m.organization <> $2 AND p.require_two_factor <> 0 LIMIT 1`, user, other)
	return len(asking) > 0, err
}

// slugOf makes a text into the beginning of a slug.
func slugOf(text string) string {
	plain := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text)), "-")
	if plain = strings.Trim(plain[:min(len(plain), maxSlug-7)], "-"); plain == "" {
		return "personal"
	}
	return plain
}

// checkRole refuses what cannot be a role somewhere: an owner owns all of it.
func checkRole(m Membership) error {
	switch {
	case !slices.Contains(Roles, m.Role):
		return fault.At("/role", "%.80q is no role: owner, admin, platform, developer, finance or viewer", m.Role)
	case m.Role == Owner && m.Project != "":
		return fault.At("/role", "an owner owns the whole organization: give another role in the project")
	case len(m.Project) > maxProject || strings.Contains(m.Project, " "):
		return fault.At("/project", "is no name of a project")
	}
	return nil
}

// mayGive refuses to have owners made, or unmade, by whoever is none.
func mayGive(by Actor, organization string, roles ...Role) error {
	if slices.Contains(roles, Owner) {
		return Can(by, Own, Target{Organization: organization})
	}
	return nil
}

// target is what a membership is about.
func (m Membership) target() Target { return Target{m.Organization, m.Workspace, m.Project} }

// SetRole gives a member another role, or one in a project.
func (o *Orgs) SetRole(tx *db.Tx, by Actor, user string, m Membership) (Member, error) {
	if err := checkRole(m); err != nil {
		return Member{}, err
	}
	if err := Can(by, Manage, m.target()); err != nil { // also if the call was let in for a project
		return Member{}, err
	}
	if err := o.hold(tx, m.Organization); err != nil {
		return Member{}, err
	}
	was, err := o.Member(tx, user, m)
	if fault.Is(err, fault.NotFound) && m.Project != "" {
		err = o.belongs(tx, m.Organization, user)
	}
	if err != nil {
		return Member{}, err
	}
	if err := mayGive(by, m.Organization, m.Role, was.Role); err != nil {
		return Member{}, err
	}
	if was.Role == Owner && m.Role != Owner {
		if err := o.otherOwner(tx, m.Organization, user); err != nil {
			return Member{}, err
		}
	}
	if err := o.join(tx, m, user); err != nil {
		return Member{}, err
	}
	return o.Member(tx, user, m)
}

// belongs refuses whoever has no role in an organization.
func (o *Orgs) belongs(tx *db.Tx, organization, user string) error {
	var roles int
	err := tx.QueryRow(`SELECT COUNT(*) FROM memberships WHERE organization = $1 AND user_id = $2`, organization, user).Scan(&roles)
	if err != nil {
		return fmt.Errorf("look for a member: %w", err)
	}
	if roles == 0 {
		return fault.New(fault.NotFound, "%.80q is no member here; see the list of members", user)
	}
	return nil
}

// otherOwner refuses if nobody but the person owns the organization.
func (o *Orgs) otherOwner(tx *db.Tx, organization, user string) error {
	var others int
	err := tx.QueryRow(`SELECT COUNT(*) FROM memberships WHERE organization = $1 AND project = '' AND role = 'owner' AND user_id <> $2`,
		organization, user).Scan(&others)
	if err != nil {
		return fmt.Errorf("count owners: %w", err)
	}
	if others == 0 {
		return fault.New(fault.Conflict, "an organization needs an owner, and this is the last: make another member owner first, or delete the organization").
			WithCode("last_owner")
	}
	return nil
}

// Remove takes a role from a member: the one in a project, or with project "" all
// he has in the organization, and with them his tokens.
func (o *Orgs) Remove(tx *db.Tx, by Actor, user string, in Membership) (Member, error) {
	organization := in.Organization
	if err := o.hold(tx, organization); err != nil {
		return Member{}, err
	}
	if user != by.User() || by.Token != nil {
		if err := Can(by, Manage, in.target()); err != nil {
			return Member{}, err
		}
	}
	was, err := o.Member(tx, user, in)
	if fault.Is(err, fault.NotFound) && in.Project == "" { // perhaps in projects only
		was = Member{Membership: Membership{Organization: organization}, User: user}
		err = o.belongs(tx, organization, user)
	}
	if err != nil {
		return Member{}, err
	}
	if was.User != by.User() || by.Token != nil {
		if err := mayGive(by, organization, was.Role); err != nil {
			return Member{}, err
		}
	}
	if was.Role == Owner {
		if err := o.otherOwner(tx, organization, user); err != nil {
			return Member{}, err
		}
	}
	if in.Project != "" {
		_, err = tx.Exec(`DELETE FROM memberships WHERE organization = $1 AND user_id = $2 AND workspace = $3 AND project = $4`,
			organization, user, in.Workspace, in.Project)
	} else if _, err = tx.Exec(`DELETE FROM memberships WHERE organization = $1 AND user_id = $2`, organization, user); err == nil {
		err = errors.Join(o.revokeTokens(tx, organization, user), revokeInvitationsBy(tx, organization, user))
	}
	if err != nil {
		return Member{}, fmt.Errorf("remove a member of %s: %w", organization, err)
	}
	return was, nil
}

// revokeInvitationsBy takes back what a person has invited who is none of the members any
// more: it could be an address of his own.
func revokeInvitationsBy(tx *db.Tx, organization, user string) error {
	_, err := tx.Exec(`UPDATE invitations SET revoked_at = $3 WHERE organization = $1 AND accepted_at = 0 AND revoked_at = 0
		AND (invited_by = $2 OR invited_by IN (SELECT id FROM tokens WHERE organization = $1 AND user_id = $2))`, organization, user, tx.Now())
	return err
}

// Leave takes a person out of an organization at his own wish.
func (o *Orgs) Leave(tx *db.Tx, by Actor, organization string) (Member, error) {
	if by.Token != nil || by.Operator {
		return Member{}, personal("leave an organization")
	}
	if !slices.ContainsFunc(by.Members, func(m Membership) bool { return m.Organization == organization }) {
		return Member{}, Stranger()
	}
	return o.Remove(tx, by, by.User(), Membership{Organization: organization})
}

// personal refuses what only a person who is signed in may do, for himself.
func personal(what string) error {
	return fault.New(fault.Forbidden, "only a person who is signed in can %s: a token is for one organization, and the operator is no member", what)
}

// Person is the id of a person who is signed in and asks for himself.
func (a Actor) Person(what string) (string, error) {
	if a.Operator || a.Token != nil || a.ID == "" {
		return "", personal(what)
	}
	return a.ID, nil
}

// HandOver makes another member owner in place of the one who asks, who stays as
// admin. The operator, who is no member, only adds an owner.
func (o *Orgs) HandOver(tx *db.Tx, by Actor, organization, to string) (Member, error) {
	if err := o.hold(tx, organization); err != nil {
		return Member{}, err
	}
	whole := Membership{Organization: organization}
	if _, err := o.Member(tx, to, whole); err != nil {
		return Member{}, err
	}
	if to == by.User() {
		return Member{}, fault.At("/user", "owns the organization already")
	}
	if !by.Operator {
		// The role that let him in may be gone since: he gives away what he has.
		was, err := o.Member(tx, by.User(), whole)
		if err != nil {
			return Member{}, err
		}
		if err := Can(Actor{ID: by.ID, Members: []Membership{was.Membership}}, Own, Target{Organization: organization}); err != nil {
			return Member{}, err
		}
		if err := o.join(tx, Membership{Organization: organization, Role: Admin}, by.User()); err != nil {
			return Member{}, err
		}
	}
	if err := o.join(tx, Membership{Organization: organization, Role: Owner}, to); err != nil {
		return Member{}, err
	}
	return o.Member(tx, to, whole)
}
