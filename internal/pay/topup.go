package pay

import (
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/tax"
)

// maxUnfinished bounds the payments of an organization that wait for somebody.
const maxUnfinished = 100

// TopUp is what a customer asks for.
type TopUp struct {
	Amount credit.Amount // of credits: net
	Method string        // our id of a saved method that is charged at once; "" for a page
	Save   bool          // the method of the page is kept
	By     string
}

// Begin writes a payment of which the provider has not heard yet: [Service.Send] tells it,
// or the loop does if the program dies in between.
func (s *Service) Begin(tx *db.Tx, id ledger.ID, t TopUp) (Payment, error) {
	if err := s.taking(); err != nil {
		return Payment{}, err
	}
	if err := s.settings.check(t.Amount); err != nil {
		return Payment{}, err
	}
	if t.Method != "" {
		if t.Save {
			return Payment{}, fault.At("/save", "is for a method that is not saved yet: leave it out, or leave out method")
		}
		if _, err := s.method(tx, id.Organization, t.Method); err != nil {
			return Payment{}, err
		}
	}
	var open int
	err := tx.QueryRow(`SELECT COUNT(*) FROM payments WHERE organization = $1 AND due_at <> 0`, id.Organization).Scan(&open)
	if err != nil {
		return Payment{}, fmt.Errorf("count the payments that wait: %w", err)
	}
	if open >= maxUnfinished {
		return Payment{}, fault.New(fault.Limited, "%d payments of this organization have been begun and not finished: finish them, or wait until they expire", open)
	}
	return s.write(tx, id, Manual, t)
}

// check refuses amounts that cannot be bought.
func (s Settings) check(amount credit.Amount) error {
	switch {
	case amount%credit.Cent != 0:
		return fault.At("/amount", "must be whole cents")
	case amount < s.Least || amount > s.Most:
		return fault.At("/amount", "must be between %s and %s", s.Least, s.Most)
	}
	return nil
}

// write writes a payment, with the tax that its organization owes today.
func (s *Service) write(tx *db.Tx, id ledger.ID, kind Kind, t TopUp) (Payment, error) {
	line, err := s.taxed(tx, id.Organization, t.Amount)
	if err != nil {
		return Payment{}, err
	}
	p := Payment{
		ID: id, No: tx.NewID("pay_"), Provider: s.Provider(), Kind: kind, Status: Created, Line: line, Method: t.Method, Save: t.Save,
		By: t.By, CreatedAt: tx.Now(), dueAt: tx.Now(),
	}
	tx.AfterCommit(s.ring)
	return p, insertPayment(tx, &p)
}

// taxed is the tax on a purchase of an organization, with what it goes by today.
func (s *Service) taxed(tx *db.Tx, organization string, net credit.Amount) (tax.Line, error) {
	table, buyer, err := s.taxing(tx, organization)
	if err != nil {
		return tax.Line{}, err
	}
	return table.On(buyer, net, tax.Day(tx.Now()))
}

// taxing is how an organization is taxed.
func (s *Service) taxing(tx *db.Tx, organization string) (table tax.Table, buyer tax.Buyer, err error) {
	table, buyer, err = s.orgs.Taxing(tx, organization)
	if err == nil && s.seller != nil {
		table.Seller, err = s.seller(tx)
	}
	return table, buyer, err
}

// Review says how a purchase of an organization would be taxed today: the line of one
// credit, and the fault with which it would be refused, if something is missing.
func (s *Service) Review(tx *db.Tx, organization string) (line tax.Line, missing *fault.Fault, err error) {
	table, buyer, err := s.taxing(tx, organization)
	if err != nil {
		return line, nil, err
	}
	if f := fault.Of(table.Misses(buyer)); f != nil {
		return line, f, nil
	}
	line, err = table.On(buyer, credit.One, tax.Day(tx.Now()))
	return line, nil, err
}

// order is what the provider is told of a payment.
func (p *Payment) order() Order {
	return Order{
		Payment: p.No, Organization: p.Organization, Amount: p.Line.Gross(), Description: fmt.Sprintf("%s credits", p.Line.Net), Save: p.Save, Page: p.Page,
	}
}
