package org

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// forgotten ends what would still act for an organization that is deleted: nobody enters
// it, nothing is charged for it, and nothing is told of it.
var forgotten = []string{
	`DELETE FROM memberships WHERE organization = $1`,
	`DELETE FROM invitations WHERE organization = $1 AND accepted_at = 0`,
	`DELETE FROM sso_providers WHERE organization = $1`,
	`DELETE FROM sso_domains WHERE organization = $1`,
	`DELETE FROM identities WHERE organization = $1`,
	`DELETE FROM deliveries WHERE organization = $1 AND status = 'waiting'`,
	`DELETE FROM webhooks WHERE organization = $1`,
	`DELETE FROM held_alerts WHERE organization = $1`,
	`DELETE FROM alert_settings WHERE organization = $1`,
	`DELETE FROM plan_overdrafts WHERE organization = $1`,
	`DELETE FROM lot_reminders WHERE organization = $1`,
	`UPDATE subscriptions SET next = '', next_at = 0, version = version + 1 WHERE organization = $1 AND next_at > 0`,
	`UPDATE auto_top_ups SET is_on = 0, off_reason = 'the organization was deleted' WHERE organization = $1 AND is_on = 1`,
}

// openContracts says which contracts keep an organization from being deleted.
func openContracts(tx *db.Tx, organization string) (why []string, err error) {
	return list(tx, func(r db.Scanner) (string, error) {
		var id string
		err := r.Scan(&id)
		return "the contract " + id + " has not ended: terminate it", err
	}, `SELECT id FROM contracts WHERE organization = $1 AND closed = 0 ORDER BY id`, organization)
}

// countryStays refuses to take the country out of the profile of an organization with a
// contract that has not ended: what becomes due could not be invoiced without one.
func countryStays(tx *db.Tx, organization string) error {
	why, err := openContracts(tx, organization)
	if err != nil || len(why) == 0 {
		return err
	}
	return fault.New(fault.Conflict, "the country says how the invoices of a contract are taxed, and can be changed but not taken out: %s", strings.Join(why, "; ")).
		WithCode("country_needed")
}

// MayTax refuses tax by country while an organization has a contract that has not ended,
// and no country in its profile: what becomes due of it could not be invoiced.
func (o *Orgs) MayTax(tx *db.Tx) error {
	slugs, err := list(tx, db.Value[string], `SELECT DISTINCT o.slug FROM contracts c JOIN organizations o ON o.id = c.organization LEFT JOIN profiles p ON p.organization = c.organization
		WHERE c.due_at > 0 AND COALESCE(p.country, '') = '' ORDER BY o.slug LIMIT 20`)
	if err != nil || len(slugs) == 0 {
		return err
	}
	return fault.New(fault.Conflict, `tax goes by the country of the buyer, and the billing profiles of organizations with a contract name none: %s. `+
		`Set it first, as with "purser org set --org %s --country DE"`, strings.Join(slugs, ", "), slugs[0]).WithCode("country_needed")
}

// openInvoices says which invoices keep an organization from being deleted: one that gets its
// number at the end of this batch, by its id.
func openInvoices(tx *db.Tx, organization string) (why []string, err error) {
	return list(tx, func(r db.Scanner) (string, error) {
		var number string
		var open credit.Amount
		err := r.Scan(&number, &open)
		return fmt.Sprintf("%s of the invoice %s are not paid: pay it, or have the operator void it", open, number), err
	}, `SELECT COALESCE(i.number, r.invoice), r.open_amount FROM receivables r LEFT JOIN invoices i ON i.organization = r.organization AND i.id = r.invoice
		WHERE r.organization = $1 AND r.open_amount > 0 ORDER BY r.invoice`, organization)
}

// Archive deletes an organization: nobody belongs to it any more, its tokens and
// invitations are gone, and its books stay. It is refused, with all reasons, while
// something runs, is held or is owed, credits remain, a contract has not ended, or an
// invoice is not paid.
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
	if err := o.HoldProfile(tx, found.ID); err != nil {
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
	contracts, err := openContracts(tx, found.ID)
	if err != nil {
		return Organization{}, err
	}
	invoices, err := openInvoices(tx, found.ID)
	if err != nil {
		return Organization{}, err
	}
	if reasons = append(append(reasons, contracts...), invoices...); len(reasons) > 0 {
		return Organization{}, fault.New(fault.Conflict, "%s cannot be deleted yet: %s", found.Slug, strings.Join(reasons, "; ")).
			WithCode("organization_in_use").With("reasons", reasons)
	}
	for _, w := range spaces {
		if _, err := o.SetPolicy(tx, w.Wallet(), Patch{Overdraft: new(credit.Amount)}); err != nil {
			return Organization{}, err
		}
	}
	for _, statement := range forgotten {
		if _, err := tx.Exec(statement, found.ID); err != nil {
			return Organization{}, fmt.Errorf("archive %s: %w", found.Slug, err)
		}
	}
	if _, err := tx.Exec(`UPDATE quote_requests SET status = 'declined', decided_at = $2 WHERE organization = $1 AND status IN ('open', 'quoted')`,
		found.ID, tx.Now()); err != nil {
		return Organization{}, fmt.Errorf("archive %s: %w", found.Slug, err)
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
