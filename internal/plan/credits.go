package plan

import (
	"context"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// grantMonth grants the credits of this month of the plan that an organization is on,
// unless it has had some for this month: whatever it has had before, and whatever else is
// in the wallet, stays as it is.
func (b *Book) grantMonth(tx *db.Tx, organization string) error {
	s, err := b.Of(tx, organization)
	if err != nil || s.Plan.Credits == 0 {
		return err
	}
	id, err := b.wallet(tx, organization)
	if err != nil {
		return err
	}
	month, next := db.MonthOf(tx.Now())
	lot := wallet.Lot{
		ID: tx.NewID("lot_"), Kind: s.Plan.CreditsKind, Amount: s.Plan.Credits, Priority: s.Plan.CreditsKind.DefaultPriority(), ExpiresAt: next,
		Source: wallet.SourcePlan + " " + s.Plan.Name, Reason: "credits of the plan " + s.Plan.Title,
	}
	if s.Plan.CreditsDays > 0 {
		lot.ExpiresAt = tx.Now() + s.Plan.CreditsDays*db.Day
	}
	made, err := tx.Exec(`INSERT INTO plan_credits (organization, month, workspace, plan, lot, amount, granted_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (organization, month) DO NOTHING`, organization, month, id.Workspace, s.Plan.Name, lot.ID, int64(lot.Amount), tx.Now())
	if err != nil {
		return fmt.Errorf("write the credits of a month: %w", err)
	}
	if made == 0 {
		return nil
	}
	_, err = b.Books.Apply(tx, id, wallet.Grant{Lot: lot})
	return err
}

// monthDue are the next organizations, and whether each is still to have the credits of
// this month, by what the rows say; who has a contract is judged by that. Each is looked up
// by itself: a join would be made with whole tables where a plan is made without knowing
// how few organizations are asked for.
const monthDue = `SELECT o.id, CASE WHEN COALESCE((SELECT f.archived_at FROM profiles f WHERE f.organization = o.id), 0) = 0
		AND (SELECT COUNT(*) FROM plan_credits g WHERE g.organization = o.id AND g.month = $1) = 0
		AND COALESCE((SELECT p.credits FROM plans p WHERE p.name = COALESCE(
			(SELECT c.plan FROM contracts c WHERE c.organization = o.id AND c.from_at <= $2
				AND $2 < CASE WHEN c.ended_at > 0 THEN c.ended_at ELSE c.until_at END ORDER BY c.id LIMIT 1),
			(SELECT CASE WHEN s.next_at > 0 AND s.next_at <= $2 THEN s.next ELSE s.plan END FROM subscriptions s WHERE s.organization = o.id),
			'core')), 0) > 0 THEN 1 ELSE 0 END
	FROM organizations o WHERE o.id > $3 ORDER BY o.id LIMIT $4`

// lookAtOnce is how many organizations are looked at in one statement.
const lookAtOnce = 1_000

// grantMonths grants the credits of this month to everybody who has not had them. Months
// that nobody was there for are not made up for.
func (b *Book) grantMonths(ctx context.Context) error {
	gives := false
	err := b.DB.Glance(ctx, func(tx *db.Tx) (err error) {
		gives, err = b.gives(tx)
		return err
	})
	if err != nil || !gives {
		return err
	}
	for last, isMore := "", true; isMore && ctx.Err() == nil; {
		var due []string
		seen, from := 0, last
		err := b.DB.View(ctx, func(tx *db.Tx) error {
			month, _ := db.MonthOf(tx.Now())
			due, seen = nil, 0
			return tx.Each(func(r db.Scanner) error {
				isDue := 0
				err := r.Scan(&last, &isDue)
				if seen++; isDue != 0 {
					due = append(due, last)
				}
				return err
			}, monthDue, month, tx.Now(), from, lookAtOnce)
		})
		if err != nil {
			return fmt.Errorf("look for whose credits of the month are due: %w", err)
		}
		for _, organization := range due {
			b.carryOut(ctx, organization, b.grantMonth)
		}
		isMore = seen >= lookAtOnce
	}
	return ctx.Err()
}

// gives reports whether any plan has credits.
func (b *Book) gives(tx *db.Tx) (bool, error) {
	var some int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM plans WHERE credits > 0`).Scan(&some); err != nil {
		return false, fmt.Errorf("look for plans with credits: %w", err)
	}
	return some > 0, nil
}
