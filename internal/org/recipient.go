package org

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
)

// maxRecipients is how many people are told of one thing at most.
const maxRecipients = 100

// Recipient is somebody who is told of something by mail.
type Recipient struct{ User, Email, Name string }

// WhoMay are the people who may do something in an organization, or in a project of it,
// those who have been there longest first. Who has not verified an address is left out.
func (o *Orgs) WhoMay(tx *db.Tx, action Action, target Target) ([]Recipient, error) {
	return o.WithRoles(tx, may[action], target)
}

// WithRoles are the people who have one of some roles in an organization, or in a project
// of it, as [Orgs.WhoMay] has them.
func (o *Orgs) WithRoles(tx *db.Tx, of []Role, target Target) ([]Recipient, error) {
	roles, args := "", []any{target.Organization, target.Workspace, target.Project}
	for _, r := range of {
		args = append(args, string(r))
		roles += fmt.Sprintf(", $%d", len(args))
	}
	return o.recipients(tx, `(m.project = '' OR m.workspace = $2 AND m.project = $3) AND m.role IN (`+strings.TrimPrefix(roles, ", ")+`)`, args)
}

// Payers are the addresses of whom the bills of an organization concern: its billing
// contact, or else its owners.
func (o *Orgs) Payers(tx *db.Tx, organization string) ([]string, error) {
	p, err := o.Profile(tx, organization)
	if err != nil {
		return nil, err
	}
	if p.BillingEmail != "" {
		return []string{p.BillingEmail}, nil
	}
	return o.Owners(tx, organization)
}

// Owners are the addresses of the owners of an organization, as [Orgs.WhoMay] has them.
func (o *Orgs) Owners(tx *db.Tx, organization string) (to []string, err error) {
	all, err := o.WhoMay(tx, Own, Target{Organization: organization})
	for _, r := range all {
		to = append(to, r.Email)
	}
	return to, err
}

// Among are those of some people who belong to an organization: their ids, or anything
// else that work was started for.
func (o *Orgs) Among(tx *db.Tx, organization string, users []string) ([]Recipient, error) {
	if len(users) == 0 {
		return nil, nil
	}
	places, args := "", []any{organization}
	for _, u := range users[:min(len(users), maxRecipients)] {
		args = append(args, u)
		places += fmt.Sprintf(", $%d", len(args))
	}
	return o.recipients(tx, `m.user_id IN (`+strings.TrimPrefix(places, ", ")+`)`, args)
}

func (o *Orgs) recipients(tx *db.Tx, where string, args []any) ([]Recipient, error) {
	return list(tx, func(r db.Scanner) (to Recipient, err error) {
		err = r.Scan(&to.User, &to.Email, &to.Name)
		return to, err
	}, fmt.Sprintf(`SELECT u.id, u.email, u.name FROM memberships m JOIN users u ON u.id = m.user_id
		WHERE m.organization = $1 AND u.verified_at > 0 AND %s GROUP BY u.id, u.email, u.name ORDER BY MIN(m.created_at), u.id LIMIT %d`,
		where, maxRecipients), args...)
}

// UserOfToken is the person whose token it is; "" if there is none of that id.
func (o *Orgs) UserOfToken(tx *db.Tx, organization, token string) (string, error) {
	users, err := list(tx, db.Value[string], `SELECT t.user_id FROM tokens t WHERE t.organization = $1 AND t.id = $2`, organization, token)
	if len(users) == 0 {
		return "", err
	}
	return users[0], nil
}
