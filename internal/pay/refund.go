package pay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/tax"
	"github.com/purserhq/purser/internal/wallet"
)

// Refund is what goes back of a payment.
type Refund struct {
	ledger.ID
	No        string // its id: ref_…
	Payment   string
	Provider  string
	Status    State // pending, succeeded, failed
	Net, Tax  credit.Amount
	Loss      credit.Amount // of Net: what had been used when the provider paid it back
	Theirs    string
	Lot       string // that gave the credits back, if it failed
	Code      string
	Reason    string
	By        string
	CreatedAt int64
	EndedAt   int64
	dueAt     int64
	attempts  int64
}

// Gross is what goes back to the payer.
func (r *Refund) Gross() credit.Amount { return r.Net + r.Tax }

const refundColumns = `organization, workspace, id, payment, provider, status, net, tax, theirs, lot, code, reason, made_by, created_at, due_at, attempts, ended_at, loss`

const selectRefund = `SELECT ` + refundColumns + ` FROM payment_refunds`

func scanRefund(r db.Scanner) (f Refund, err error) {
	err = r.Scan(&f.Organization, &f.Workspace, &f.No, &f.Payment, &f.Provider, &f.Status, &f.Net, &f.Tax, &f.Theirs, &f.Lot, &f.Code, &f.Reason, &f.By,
		&f.CreatedAt, &f.dueAt, &f.attempts, &f.EndedAt, &f.Loss)
	return f, err
}

func updateRefund(tx *db.Tx, f *Refund) error {
	_, err := tx.Exec(`UPDATE payment_refunds SET status = $4, theirs = $5, lot = $6, code = $7, reason = $8, due_at = $9, attempts = $10, ended_at = $11
		WHERE organization = $1 AND workspace = $2 AND id = $3`,
		f.Organization, f.Workspace, f.No, string(f.Status), f.Theirs, f.Lot, f.Code, f.Reason, f.dueAt, f.attempts, f.EndedAt)
	if err != nil {
		return fmt.Errorf("write refund %s: %w", f.No, err)
	}
	return nil
}

// maxRefunds bounds the refunds of one payment.
const maxRefunds = 100

// Refunds are the refunds of a payment, the oldest first.
func (s *Service) Refunds(tx *db.Tx, id ledger.ID, payment string) ([]Refund, error) {
	return db.All(tx, scanRefund, selectRefund+` WHERE organization = $1 AND workspace = $2 AND payment = $3 ORDER BY id LIMIT $4`,
		id.Organization, id.Workspace, payment, maxRefunds)
}

// Refund gives back unused credits of a payment, in whole cents: so many, or with 0 all
// that can be. The credits are gone with this unit of work; the provider is asked after
// it, again and again until it has answered.
func (s *Service) Refund(tx *db.Tx, id ledger.ID, payment string, net credit.Amount, by string) (Refund, error) {
	if err := s.taking(); err != nil {
		return Refund{}, err
	}
	p, err := s.Payment(tx, id, payment)
	if err != nil {
		return Refund{}, err
	}
	if err := p.mayRefund(s.Provider()); err != nil {
		return Refund{}, err
	}
	lots, err := s.lots(tx, &p)
	if err != nil {
		return Refund{}, err
	}
	disputes, err := disputesOf(tx, &p)
	if err != nil {
		return Refund{}, err
	}
	left, leftTax := p.left(disputes)
	_, unused := partsOf(lots, left)
	unused -= unused % tax.Cent
	if net == 0 {
		net = unused
	}
	switch {
	case net%tax.Cent != 0 || net < 0:
		return Refund{}, fault.At("/amount", "must be whole cents, and more than 0")
	case net == 0 || net > unused:
		return Refund{}, fault.New(fault.Conflict, "%s credits of this payment are unused", unused).WithCode("credits_used").With("unused", unused)
	}
	f := Refund{
		ID: id, No: tx.NewID("ref_"), Payment: p.No, Provider: p.Provider, Status: Pending, Net: net,
		Tax: min(max(0, p.Line.Part(0, p.Refunded+net)-p.RefundedTax), leftTax), // so that the parts of the whole add up to its tax
		By:  by, CreatedAt: tx.Now(), dueAt: tx.Now(),
	}
	if net == left {
		f.Tax = leftTax
	}
	parts, _ := partsOf(lots, f.Net)
	tx.AfterCommit(s.ring)
	return f, s.drawn(tx, &p, &f, parts)
}

func (p *Payment) mayRefund(provider string) error {
	switch {
	case p.Status != Succeeded:
		return fault.New(fault.Conflict, "payment %s is %s: there is nothing to give back", p.No, p.Status).WithCode("not_paid")
	case p.Dispute == Open || p.Dispute == Lost:
		return fault.New(fault.Conflict, "payment %s is disputed: what goes back is decided between the banks", p.No).WithCode("disputed")
	case p.Provider != provider:
		return fault.New(fault.Conflict, "payment %s was taken by %s, which is not the provider here now", p.No, p.Provider)
	}
	return nil
}

func (s *Service) refundDue(ctx context.Context) (moved bool, err error) {
	var all []Refund
	err = s.db.Glance(ctx, func(tx *db.Tx) error {
		all, err = db.All(tx, scanRefund, selectRefund+` WHERE due_at <> 0 AND due_at <= $1 AND provider = $2 ORDER BY due_at, id LIMIT $3`,
			tx.Now(), s.Provider(), dueBatch)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look up refunds that are due: %w", err)
	}
	for _, f := range all {
		if _, err := s.SendRefund(ctx, f.ID, f.No); err != nil {
			return moved, err
		}
		moved = true
	}
	return moved, nil
}

func (s *Service) heldRefund(tx *db.Tx, id ledger.ID, no string) (Refund, error) {
	f, err := scanRefund(tx.QueryRow(selectRefund+` WHERE organization = $1 AND workspace = $2 AND id = $3`+tx.ForUpdate(), id.Organization, id.Workspace, no))
	if errors.Is(err, sql.ErrNoRows) {
		return f, fault.New(fault.NotFound, "there is no refund %.60q", no)
	}
	if err != nil {
		return f, fmt.Errorf("read refund %s: %w", no, err)
	}
	return f, nil
}

// SendRefund asks the provider to give back a refund that is due, and returns it as it is
// afterwards. The same id again gives nothing again.
func (s *Service) SendRefund(ctx context.Context, id ledger.ID, no string) (f Refund, err error) {
	var theirs string
	isMine := false
	err = s.db.Update(db.InLane(ctx, id.Organization), func(tx *db.Tx) error {
		isMine = false
		if f, err = s.heldRefund(tx, id, no); err != nil || f.dueAt == 0 || f.dueAt > tx.Now() {
			return err
		}
		p, err := s.Payment(tx, id, f.Payment)
		if err != nil {
			return err
		}
		isMine, theirs = true, p.Theirs
		f.attempts, f.dueAt = f.attempts+1, tx.Now()+claimed
		return updateRefund(tx, &f)
	})
	if err != nil || !isMine {
		return f, err
	}
	if err := s.step("refund claimed"); err != nil {
		return f, err
	}
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o, failed := s.provider.Refund(asked, Return{Refund: no, Payment: theirs, Amount: f.Gross()})
	if failed != nil {
		s.log.Warn("what has become of a refund is not known; it is asked again", "refund", no, "error", failed)
		o = Outcome{State: Pending}
	}
	if err := s.step("refund asked"); err != nil {
		return f, err
	}
	err = s.db.Update(db.InLane(context.WithoutCancel(ctx), id.Organization), func(tx *db.Tx) error {
		if f, err = s.heldRefund(tx, id, no); err != nil {
			return err
		}
		return s.refunded(tx, &f, o)
	})
	return f, err
}

// refundMoved takes the provider's word on a refund that was asked for here.
func (s *Service) refundMoved(tx *db.Tx, n Notice) error {
	f, err := scanRefund(tx.QueryRow(selectRefund+` WHERE id = $1 AND provider = $2`+tx.ForUpdate(), n.Refund, s.Provider()))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the refund of a notice: %w", err)
	}
	return s.refunded(tx, &f, n.Outcome)
}

// refundedThere takes the provider's word on a refund that was made there, in its own
// dashboard: the money has gone back, so the unused credits that it paid for are withdrawn,
// and what of them was used is the operator's loss.
func (s *Service) refundedThere(tx *db.Tx, p *Payment, n Notice) error {
	known, err := s.Refunds(tx, p.ID, p.No)
	if err != nil {
		return err
	}
	for i := range known {
		if known[i].Theirs == n.Outcome.Theirs {
			return s.refunded(tx, &known[i], n.Outcome)
		}
	}
	if n.Outcome.State != Succeeded { // no money has moved
		return nil
	}
	disputes, err := disputesOf(tx, p)
	if err != nil {
		return err
	}
	net, added := p.left(disputes)
	if n.Outcome.Amount > net+added {
		s.log.Error("the provider has paid back more than is left of a payment", "payment", p.No, "amount", n.Outcome.Amount, "left", net+added)
	}
	if net, added = shareOf(n.Outcome.Amount, net, added); net == 0 {
		return nil
	}
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	parts, taken := partsOf(lots, net)
	f := Refund{
		ID: p.ID, No: tx.NewID("ref_"), Payment: p.No, Provider: p.Provider, Status: Succeeded, Net: net, Tax: added, Loss: net - taken,
		Theirs: n.Outcome.Theirs, By: p.Provider, CreatedAt: tx.Now(), EndedAt: tx.Now(),
	}
	if err := s.drawn(tx, p, &f, parts); err != nil {
		return err
	}
	if err := s.noteOf(tx, &f); err != nil {
		return err
	}
	return s.tellRefund(tx, &f)
}

// drawn withdraws the credits of a refund and writes it.
func (s *Service) drawn(tx *db.Tx, p *Payment, f *Refund, parts []part) error {
	if err := s.withdraw(tx, p, parts, f.Tax, f.Loss, f.No); err != nil {
		return err
	}
	p.Refunded, p.RefundedTax = p.Refunded+f.Net, p.RefundedTax+f.Tax
	if err := updatePayment(tx, p); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO payment_refunds (`+refundColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', '', $10, $11, $12, 0, $13, $14)`,
		f.Organization, f.Workspace, f.No, f.Payment, f.Provider, string(f.Status), int64(f.Net), int64(f.Tax), f.Theirs, f.By, f.CreatedAt, f.dueAt,
		f.EndedAt, int64(f.Loss))
	if err != nil {
		return fmt.Errorf("write refund %s: %w", f.No, err)
	}
	return nil
}

// noteOf writes the credit note of a refund that was paid out.
func (s *Service) noteOf(tx *db.Tx, f *Refund) error {
	if s.credit == nil {
		return nil
	}
	if err := s.credit(tx, f); err != nil {
		return fmt.Errorf("write the credit note of refund %s: %w", f.No, err)
	}
	return nil
}

// refunded applies the provider's word on a refund. One that it refuses in the end gives
// the credits back.
func (s *Service) refunded(tx *db.Tx, f *Refund, o Outcome) error {
	if f.Status != Pending && (f.Status != Succeeded || o.State != Failed) { // banks send back what was paid out, weeks later
		return nil
	}
	if f.Status == Succeeded {
		s.log.Warn("a refund that was paid out has come back", "refund", f.No, "payment", f.Payment, "organization", f.Organization)
	}
	if o.Theirs != "" {
		f.Theirs = o.Theirs
	}
	f.dueAt = tx.Now() + delay(f.attempts)
	switch o.State {
	case Succeeded:
		f.Status, f.EndedAt, f.dueAt = Succeeded, tx.Now(), 0
		if err := s.noteOf(tx, f); err != nil {
			return err
		}
	case Failed:
		f.Status, f.EndedAt, f.dueAt, f.Code, f.Reason = Failed, tx.Now(), 0, o.Code, o.Reason
		if err := s.giveBack(tx, f); err != nil {
			return err
		}
		if f.Lot != "" && s.restore != nil {
			if err := s.restore(tx, f); err != nil {
				return fmt.Errorf("cancel the credit note of refund %s: %w", f.No, err)
			}
		}
	}
	if err := updateRefund(tx, f); err != nil || f.Status == Pending {
		return err
	}
	return s.tellRefund(tx, f)
}

// leastLife is how long credits that come back can be used at least.
const leastLife = int64(30 * 24 * time.Hour)

// giveBack grants what a refund had withdrawn (what was a loss by then stays one), on the terms that it was bought on. They
// are a lot of their own: the one that they were of may have expired.
func (s *Service) giveBack(tx *db.Tx, f *Refund) error {
	p, err := s.Payment(tx, f.ID, f.Payment)
	if err != nil {
		return err
	}
	if p.Dispute == Lost || f.Loss == f.Net { // the bank has taken all of it, or all had been used
		return nil
	}
	lots, err := s.lots(tx, &p)
	if err != nil {
		return err
	}
	lot := lots[slices.IndexFunc(lots, func(l owned) bool { return l.ID == p.Lot })]
	back := wallet.Lot{
		ID: tx.NewID("lot_"), Kind: lot.Kind, Amount: f.Net - f.Loss, Priority: lot.Priority, Scope: lot.Scope, ExpiresAt: lot.ExpiresAt,
		Source: lot.Source, Reason: f.No, CostBasis: f.Net - f.Loss,
	}
	if back.ExpiresAt != 0 {
		back.ExpiresAt = max(back.ExpiresAt, tx.Now()+leastLife)
	}
	if _, err := s.books.Apply(tx, f.ID, wallet.Grant{Lot: back, Tax: f.Tax}); err != nil {
		return fmt.Errorf("give the credits of refund %s back: %w", f.No, err)
	}
	f.Lot = back.ID
	p.Refunded, p.RefundedTax = p.Refunded-f.Net+f.Loss, p.RefundedTax-f.Tax
	if p.Dispute == Open {
		if _, err := s.books.Apply(tx, f.ID, wallet.Freeze{Lot: back.ID}); err != nil {
			return fmt.Errorf("freeze the credits of refund %s: %w", f.No, err)
		}
	}
	return updatePayment(tx, &p)
}

// forgetDue tells the provider of methods that were removed.
func (s *Service) forgetDue(ctx context.Context) (moved bool, err error) {
	var all []Saved
	err = s.db.Glance(ctx, func(tx *db.Tx) error {
		all, err = db.All(tx, scanMethod, `SELECT `+methodColumns+` FROM payment_methods
			WHERE due_at <> 0 AND due_at <= $1 AND provider = $2 ORDER BY due_at, id LIMIT $3`, tx.Now(), s.Provider(), dueBatch)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look up methods that the provider is to forget: %w", err)
	}
	for _, m := range all {
		asked, cancel := context.WithTimeout(ctx, patience)
		failed := s.provider.Forget(asked, m.Customer, m.ID)
		cancel()
		err := s.db.Update(db.InLane(ctx, m.Organization), func(tx *db.Tx) error {
			next := int64(0)
			if failed != nil {
				s.log.Warn("the provider has not forgotten a payment method; it is told again", "method", m.No, "error", failed)
				next = tx.Now() + delay(m.attempts+1)
			}
			_, err := tx.Exec(`UPDATE payment_methods SET due_at = $3, attempts = attempts + 1 WHERE organization = $1 AND id = $2 AND removed_at <> 0`,
				m.Organization, m.No, next)
			return err
		})
		if err != nil {
			return moved, err
		}
		moved = true
	}
	return moved, nil
}
