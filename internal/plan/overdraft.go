package plan

import (
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

// allow sets the overdraft of an organization's default workspace when it comes from one
// plan to another: the plan's or the workspace's own, whichever is more. Its own is what
// stood before a plan gave one, or what the operator has set since.
func (b *Book) allow(tx *db.Tx, organization, from, to string) error {
	before, err := b.Plan(tx, from)
	if err != nil {
		return err
	}
	after, err := b.Plan(tx, to)
	if err != nil {
		return err
	}
	id, err := b.wallet(tx, organization)
	if err != nil {
		return err
	}
	present, err := b.Books.Apply(tx, id)
	if err != nil {
		return err
	}
	current := present.Wallet.Root().Policy.Overdraft
	own, err := b.ownOverdraft(tx, takenOverdraft, organization, current, before.Overdraft)
	if err != nil {
		return err
	}
	if after.Overdraft > 0 {
		_, err = tx.Exec(`INSERT INTO plan_overdrafts (organization, given, own) VALUES ($1, $2, $3)`,
			organization, int64(max(own, after.Overdraft)), int64(own))
		if err != nil {
			return fmt.Errorf("note the overdraft of %s: %w", organization, err)
		}
	}
	overdraft := max(own, after.Overdraft)
	if overdraft == current {
		return nil
	}
	_, err = b.Orgs.SetPolicy(tx, id, org.Patch{Overdraft: &overdraft})
	return err
}

// What a plan has given, as it was noted; taken is noted no more.
const (
	notedOverdraft = `SELECT given, own FROM plan_overdrafts WHERE organization = $1`
	takenOverdraft = `DELETE FROM plan_overdrafts WHERE organization = $1 RETURNING given, own`
)

// ownOverdraft is what an organization has without its plan, by what a query says that the
// plan has given. What earlier releases gave was not noted: it is the plan's if it is as much.
func (b *Book) ownOverdraft(tx *db.Tx, query, organization string, current, ofPlan credit.Amount) (own credit.Amount, err error) {
	given, isNoted := ofPlan, false
	err = tx.Each(func(r db.Scanner) error {
		isNoted = true
		return r.Scan(&given, &own)
	}, query, organization)
	if err != nil {
		return 0, fmt.Errorf("read the overdraft of %s: %w", organization, err)
	}
	if current == given && (isNoted || ofPlan > 0) {
		return own, nil
	}
	return current, nil
}
