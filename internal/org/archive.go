package org

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Archive deletes an organization: nobody belongs to it any more, its tokens and
// invitations are gone, and its books stay. It is refused, with all reasons, while
// something runs, is held or is owed, or credits remain.
//
// Nothing can start afterwards: the wallets have no credits and no overdraft, and
// each is written here, so that a start at the same instant on another server comes
// before, and is seen, or after, and is refused.
func (o *Orgs) Archive(tx *db.Tx, organization string) (Organization, error) {
	found, err := o.Organization(tx, organization)
	if err != nil {
		return Organization{}, err
	}
	if err := o.hold(tx, found.ID); err != nil {
		return Organization{}, err
	}
	spaces, err := o.Workspaces(tx, found.ID, "", MaxWorkspaces)
	if err != nil {
		return Organization{}, err
	}
	var reasons []string
	for _, w := range spaces {
		why, err := o.inUse(tx, w)
		if err != nil {
			return Organization{}, err
		}
		reasons = append(reasons, why...)
	}
	if len(reasons) > 0 {
		return Organization{}, fault.New(fault.Conflict, "%s cannot be deleted yet: %s", found.Slug, strings.Join(reasons, "; ")).
			WithCode("organization_in_use").With("reasons", reasons)
	}
	for _, w := range spaces {
		if _, err := o.SetPolicy(tx, w.Wallet(), Patch{Overdraft: new(credit.Amount)}); err != nil {
			return Organization{}, err
		}
	}
	for _, statement := range []string{
		`DELETE FROM memberships WHERE organization = $1`,
		`DELETE FROM invitations WHERE organization = $1 AND accepted_at = 0`,
		`DELETE FROM sso_providers WHERE organization = $1`,
		`DELETE FROM sso_domains WHERE organization = $1`,
		`DELETE FROM identities WHERE organization = $1`,
		`DELETE FROM webhooks WHERE organization = $1`,
		`DELETE FROM held_alerts WHERE organization = $1`,
	} {
		if _, err := tx.Exec(statement, found.ID); err != nil {
			return Organization{}, fmt.Errorf("archive %s: %w", found.Slug, err)
		}
	}
	if err := o.revoke(tx, `organization = $2`, found.ID); err != nil {
		return Organization{}, err
	}
	p, err := o.Profile(tx, found.ID)
	if err != nil {
		return Organization{}, err
	}
	p.ArchivedAt = tx.Now()
	return found, o.writeProfile(tx, found.ID, p)
}

// inUse says why a workspace cannot be given up.
func (o *Orgs) inUse(tx *db.Tx, w Workspace) (why []string, err error) {
	now, err := o.books.Apply(tx, w.Wallet())
	if err != nil {
		return nil, err
	}
	say := func(format string, args ...any) {
		why = append(why, w.Address+" "+fmt.Sprintf(format, args...))
	}
	view := now.Wallet.View()
	b := view.Balance(now.At)
	if n := len(now.Wallet.Flows()); n > 0 {
		say("has %d flows that run: stop them", n)
	}
	if b.Held > 0 {
		say("has %s held: let the holds and queued jobs end", b.Held)
	}
	if b.Owed > 0 || b.Balance < 0 {
		say("owes %s", b.Owed-min(b.Balance, 0))
	}
	if left := remaining(view, now.At); left > 0 {
		say("has %s credits left: use them, or have the operator take them back", left)
	}
	return why, nil
}

// remaining is what is left in lots that have not expired, also of those that are
// not effective yet or frozen.
func remaining(v *wallet.View, at int64) (sum credit.Amount) {
	for _, l := range v.Lots(at) {
		if !l.Expired {
			sum += l.Left
		}
	}
	return sum
}
