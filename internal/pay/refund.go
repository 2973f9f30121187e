package pay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
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
	Unbooked  credit.Amount // what the provider paid back beyond what was left of the payment, tax included
	Theirs    string
	Lot       string // that gave the credits back, if it failed
	Code      string
	Reason    string
	By        string
	CreatedAt int64
	EndedAt   int64
	dueAt     int64
	attempts  int64
	part      int64 // of what one refund at the provider paid back: 0, and more when that is booked later
}

// Gross is what goes back to the payer.
func (r *Refund) Gross() credit.Amount { return r.Net + r.Tax }

const refundColumns = `organization, workspace, id, payment, provider, status, net, tax, theirs, lot, code, reason, made_by, created_at, due_at, attempts, ended_at, loss, unbooked, part`

const selectRefund = `SELECT ` + refundColumns + ` FROM payment_refunds`

func scanRefund(r db.Scanner) (f Refund, err error) {
	err = r.Scan(&f.Organization, &f.Workspace, &f.No, &f.Payment, &f.Provider, &f.Status, &f.Net, &f.Tax, &f.Theirs, &f.Lot, &f.Code, &f.Reason, &f.By,
		&f.CreatedAt, &f.dueAt, &f.attempts, &f.EndedAt, &f.Loss, &f.Unbooked, &f.part)
	return f, err
}

func updateRefund(tx *db.Tx, f *Refund) error {
	_, err := tx.Exec(`UPDATE payment_refunds SET status = $4, theirs = $5, lot = $6, code = $7, reason = $8, due_at = $9, attempts = $10, ended_at = $11, unbooked = $12
		WHERE organization = $1 AND workspace = $2 AND id = $3`,
		f.Organization, f.Workspace, f.No, string(f.Status), f.Theirs, f.Lot, f.Code, f.Reason, f.dueAt, f.attempts, f.EndedAt, int64(f.Unbooked))
	if err != nil {
		return fmt.Errorf("write refund %s: %w", f.No, err)
	}
	return nil
}

// maxRefunds bounds the refunds of one payment that are shown.
const maxRefunds = 1000

// Refunds are the refunds of a payment, the oldest first, and of more than 1,000 the first.
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
	unused = unused.WholeCents()
	if net == 0 {
		net = unused
	}
	switch {
	case net%credit.Cent != 0 || net < 0:
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

// drawn withdraws the credits of a refund and writes it.
func (s *Service) drawn(tx *db.Tx, p *Payment, f *Refund, parts []part) error {
	if f.Net > 0 {
		if err := s.withdraw(tx, p, parts, wallet.Withdraw{Tax: f.Tax, Loss: f.Loss, Reason: f.No, Forced: f.Status == Succeeded}); err != nil {
			return err
		}
		p.Refunded, p.RefundedTax = p.Refunded+f.Net, p.RefundedTax+f.Tax
		if err := updatePayment(tx, p); err != nil {
			return err
		}
	}
	return insertRefund(tx, f)
}

// insertRefund writes a new refund.
func insertRefund(tx *db.Tx, f *Refund) error {
	_, err := tx.Exec(`INSERT INTO payment_refunds (`+refundColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, $11, $12, $13, $14, 0, $15, $16, $17, $18)`,
		f.Organization, f.Workspace, f.No, f.Payment, f.Provider, string(f.Status), int64(f.Net), int64(f.Tax), f.Theirs, f.Code, f.Reason, f.By, f.CreatedAt,
		f.dueAt, f.EndedAt, int64(f.Loss), int64(f.Unbooked), f.part)
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

// refunded applies the provider's word on a refund. One that it refuses in the end, or whose
// money comes back, is undone, with its credit note if it has one.
func (s *Service) refunded(tx *db.Tx, f *Refund, o Outcome) error {
	was := f.Status
	if was != Pending && (was != Succeeded || o.State != Failed) { // banks send back what was paid out, weeks later
		return nil
	}
	if was == Succeeded {
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
		return s.undo(tx, f, o, was == Succeeded)
	}
	if err := updateRefund(tx, f); err != nil || f.Status == Pending {
		return err
	}
	return s.tellRefund(tx, f)
}

// undo undoes a refund that has failed, and books what waited for its part of the payment.
func (s *Service) undo(tx *db.Tx, f *Refund, o Outcome, wasPaid bool) error {
	p, err := s.Payment(tx, f.ID, f.Payment)
	if err != nil {
		return err
	}
	f.Status, f.EndedAt, f.dueAt, f.Code, f.Reason, f.Unbooked = Failed, tx.Now(), 0, o.Code, o.Reason, 0
	if err := s.giveBack(tx, &p, f); err != nil {
		return err
	}
	if wasPaid && f.Net > 0 && s.restore != nil {
		if err := s.restore(tx, f); err != nil {
			return fmt.Errorf("cancel the credit note of refund %s: %w", f.No, err)
		}
	}
	if err := updateRefund(tx, f); err != nil {
		return err
	}
	if err := s.tellRefund(tx, f); err != nil {
		return err
	}
	return s.bookRest(tx, &p, f.No)
}

// leastLife is how long credits that come back can be used at least.
const leastLife = 30 * db.Day

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
