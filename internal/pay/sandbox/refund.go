package sandbox

import (
	"context"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// RefundThere pays so much of a payment back, tax included, or with 0 all that is left of
// it, as somebody would in the dashboard of a real provider: nobody is asked, and it is told
// by webhook. The same id again pays nothing again. More than is left is a fault.
func (s *Provider) RefundThere(ctx context.Context, payment, id string, amount credit.Amount) error {
	if amount < 0 || amount%credit.Cent != 0 {
		return fault.At("/amount", "must be whole cents, and more than 0")
	}
	err := s.update(ctx, func(tx *db.Tx) error {
		p, err := s.byPayment(tx, payment)
		if err != nil {
			return err
		}
		if p == nil || p.status != succeeded || p.dispute == "lost" {
			return fault.New(fault.Conflict, "the sandbox has nothing of payment %.60q that it could pay back", payment).WithCode("not_paid")
		}
		made := 0
		if err := ignoreNone(tx.QueryRow(`SELECT 1 FROM sandbox_refunds WHERE id = $1`, id).Scan(&made)); err != nil || made == 1 {
			return err
		}
		left := p.amount - p.refunded
		if amount == 0 {
			amount = left
		}
		if amount > left || left == 0 {
			return fault.New(fault.Conflict, "the sandbox has %s of this payment left", left).WithCode("credits_used").With("unused", left)
		}
		if _, err := tx.Exec(`UPDATE sandbox_payments SET refunded = refunded + $2 WHERE id = $1`, p.id, int64(amount)); err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO sandbox_refunds (id, payment, amount, status) VALUES ($1, $2, $3, $4)`, id, p.id, int64(amount), succeeded)
		if err != nil {
			return err
		}
		return s.put(tx, message{
			Kind: pay.RefundMoved, Organization: p.organization, Payment: p.payment, Theirs: p.id, Refund: id, Status: succeeded, Amount: int64(amount),
		})
	})
	_, err = s.told(ctx, Page{}, err)
	return err
}
