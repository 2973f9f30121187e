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
	month, next := monthOf(tx.Now())
	lot := wallet.Lot{
		ID: tx.NewID("lot_"), Kind: s.Plan.CreditsKind, Amount: s.Plan.Credits, Priority: s.Plan.CreditsKind.DefaultPriority(), ExpiresAt: next,
		Source: wallet.SourcePlan + " " + s.Plan.Name, Reason: "credits of the plan " + s.Plan.Title,
	}
	if s.Plan.CreditsDays > 0 {
		lot.ExpiresAt = tx.Now() + s.Plan.CreditsDays*day
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

// monthDue are some organizations that have not had the credits of this month, by what
// the rows say; who has a contract is judged by that.
const monthDue = `SELECT o.id FROM organizations o
	LEFT JOIN plan_credits g ON g.organization = o.id AND g.month = $1
	LEFT JOIN profiles f ON f.organization = o.id
	LEFT JOIN subscriptions s ON s.organization = o.id
	LEFT JOIN contracts c ON c.organization = o.id AND c.from_at <= $2 AND $2 < CASE WHEN c.ended_at > 0 THEN c.ended_at ELSE c.until_at END
	JOIN plans p ON p.name = COALESCE(c.plan, CASE WHEN s.next_at > 0 AND s.next_at <= $2 THEN s.next ELSE s.plan END, 'core')
	WHERE p.credits > 0 AND g.organization IS NULL AND COALESCE(f.archived_at, 0) = 0 AND o.id > $3 ORDER BY o.id LIMIT $4`

// grantMonths grants the credits of this month to everybody who has not had them. Months
// that nobody was there for are not made up for.
func (b *Book) grantMonths(ctx context.Context) error {
	gives := false
	err := b.DB.View(ctx, func(tx *db.Tx) (err error) {
		gives, err = b.gives(tx)
		return err
	})
	if err != nil || !gives {
		return err
	}
	return b.forEach(ctx, monthDue, func(tx *db.Tx) []any {
		month, _ := monthOf(tx.Now())
		return []any{month, tx.Now()}
	}, b.grantMonth)
}

// gives reports whether any plan has credits.
func (b *Book) gives(tx *db.Tx) (bool, error) {
	var some int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM plans WHERE credits > 0`).Scan(&some); err != nil {
		return false, fmt.Errorf("look for plans with credits: %w", err)
	}
	return some > 0, nil
}
