package pay

import (
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// apply does what the provider's word on a payment means, in one unit of work: the status,
// the lot, the receipt and the record. Words come in any order and more than once: that
// the money has moved counts whatever was said before or is said later, and once; any
// other end stands until then.
func (s *Service) apply(tx *db.Tx, p *Payment, o Outcome) error {
	if o.Theirs != "" {
		p.Theirs = o.Theirs
	}
	if o.Method.ID != "" && (p.Save || p.Method != "") {
		no, err := s.keepOf(tx, p, o.Method)
		if err != nil {
			return err
		}
		p.Method = no
	}
	switch {
	case p.Status == Succeeded:
	case o.State == Succeeded:
		return s.paid(tx, p, o)
	case p.IsEnded():
	case o.State == Failed:
		return s.unpaid(tx, p, Failed, o.Code, o.Reason)
	case o.State == Confirm:
		return s.waits(tx, p, Confirm, o.URL)
	case o.State == Pending:
		return s.waits(tx, p, Pending, p.URL)
	}
	return updatePayment(tx, p)
}

// keepOf is our id of the method that pays: one that is known, or one that is to be kept.
func (s *Service) keepOf(tx *db.Tx, p *Payment, m Method) (string, error) {
	all, err := s.Methods(tx, p.Organization)
	if err != nil {
		return p.Method, err
	}
	for _, known := range all {
		if known.ID == m.ID {
			return known.No, nil
		}
	}
	if !p.Save {
		return p.Method, nil
	}
	return s.keep(tx, p.Organization, m)
}

// paid grants what was paid for.
func (s *Service) paid(tx *db.Tx, p *Payment, o Outcome) error {
	if o.Amount != 0 && o.Amount != p.Line.Gross() {
		return fmt.Errorf("payment %s is over %s, and %s says that %s was paid", p.No, p.Line.Gross(), p.Provider, o.Amount)
	}
	lot := wallet.Lot{
		ID: tx.NewID("lot_"), Kind: wallet.Purchased, Amount: p.Line.Net, Priority: wallet.Purchased.DefaultPriority(),
		ExpiresAt: wallet.Purchased.DefaultExpiry(tx.Now()), Source: string(p.Kind), Reason: p.No, CostBasis: p.Line.Net,
	}
	if _, err := s.books.Apply(tx, p.ID, wallet.Grant{Lot: lot, Tax: p.Line.Tax}); err != nil {
		return fmt.Errorf("grant the credits of payment %s: %w", p.No, err)
	}
	p.Status, p.Lot, p.Code, p.Reason, p.URL, p.EndedAt, p.dueAt = Succeeded, lot.ID, "", "", "", tx.Now(), 0
	if err := updatePayment(tx, p); err != nil {
		return err
	}
	if err := s.autoPaid(tx, p); err != nil {
		return err
	}
	if err := s.record(tx, p, "payment-succeeded", ""); err != nil {
		return err
	}
	if s.invoice != nil {
		if err := s.invoice(tx, p, o.Method.words()); err != nil {
			return fmt.Errorf("write the invoice of payment %s: %w", p.No, err)
		}
	}
	err := s.raise(tx, p.Organization, p.Workspace, "payment.succeeded", map[string]string{"payment": p.No, "amount": p.Line.Net.String(), "lot": p.Lot})
	if err != nil {
		return err
	}
	if err := s.receipt(tx, p); err != nil {
		return err
	}
	return s.hearEarly(tx, p)
}

// unpaid ends a payment for which no money moved.
func (s *Service) unpaid(tx *db.Tx, p *Payment, as State, code, reason string) error {
	p.Status, p.Code, p.Reason, p.URL, p.EndedAt, p.dueAt = as, code, reason, "", tx.Now(), 0
	if err := updatePayment(tx, p); err != nil {
		return err
	}
	if err := s.record(tx, p, "payment-"+string(as), code); err != nil {
		return err
	}
	err := s.raise(tx, p.Organization, p.Workspace, "payment.failed", map[string]string{"payment": p.No, "amount": p.Line.Net.String(), "reason": code})
	if err != nil {
		return err
	}
	return s.autoUnpaid(tx, p)
}

// waits notes that a payment is under way, or waits for the customer.
func (s *Service) waits(tx *db.Tx, p *Payment, as State, url string) error {
	isNew := p.Status != as
	p.Status, p.URL = as, url
	if as == Confirm && p.ExpiresAt == 0 {
		p.ExpiresAt = tx.Now() + confirmTime
	}
	if isNew {
		p.attempts = 1
		p.askNext(tx.Now())
	}
	if err := updatePayment(tx, p); err != nil {
		return err
	}
	if as == Confirm && isNew && p.Kind == Auto {
		return s.askToConfirm(tx, p)
	}
	return nil
}
