package invoice

import (
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/tax"
)

// Paid is a payment that has been made: what an invoice is about.
type Paid struct {
	ID          string // of the payment
	At          int64
	Line        tax.Line // what was bought, and the tax on it
	Method      string   // how, for people: card ending 4242
	Reference   string   // the buyer's; the one of its profile if ""
	Description string   // what was bought; prepaid credits if ""
}

// Refunded is what was paid back of a payment: what a credit note is about.
type Refunded struct {
	ID      string // of the refund
	At      int64
	Payment string // of which
	Net     credit.Amount
	Tax     credit.Amount
	Method  string
	Reason  string
}

const (
	currency = "USD"
	bought   = "Prepaid credits (1 credit = 1 USD)"
)

// Issue writes the invoice of a payment, in the unit of work in which that becomes paid,
// and returns its id. A payment that has one already gets no other.
func (d *Desk) Issue(tx *db.Tx, organization string, p Paid) (id string, err error) {
	if err := check(p.ID, p.Line.Net, p.Line.Tax); err != nil {
		return "", err
	}
	there, err := d.about(tx, organization, Invoice, p.ID)
	if err != nil || there != nil {
		return idOf(there), err
	}
	doc := &Document{Payment: &Payment{p.ID, Instant(p.At), p.Method}, Reference: p.Reference}
	doc.taxed(p.Line)
	if p.Description == "" {
		p.Description = bought
	}
	doc.Lines = []Line{{Kind: "purchase", Description: p.Description, Amount: doc.Tax.Net, Printed: doc.Tax.Net}}
	err = d.issue(tx, organization, Invoice, doc, p.ID)
	return doc.ID, err
}

// taxed puts in how a document is taxed, and by what of the buyer.
func (d *Document) taxed(l tax.Line) {
	d.Tax = &TaxBox{
		Country: l.Country, Name: l.Name, Percent: l.Rate.Percent(), ReverseCharge: l.IsReverseCharge,
		Net: Money(l.Net), Tax: Money(l.Tax), Gross: Money(l.Gross()),
		Rule: string(l.Rule), ValidFrom: l.From, TaxIDState: string(l.State), VerifiedOn: l.VerifiedOn, Verification: l.Reference,
	}
	d.Buyer.Country, d.Buyer.TaxID = l.Country, l.TaxID
}

// Credit writes the credit note of what is paid back of a payment, in that unit of work,
// and returns its id. A refund that has one already gets no other. All notes of an invoice
// take back no more than it is over.
func (d *Desk) Credit(tx *db.Tx, organization string, r Refunded) (id string, err error) {
	if err := check(r.ID, r.Net, r.Tax); err != nil {
		return "", err
	}
	there, err := d.about(tx, organization, CreditNote, r.ID)
	if err != nil || there != nil {
		return idOf(there), err
	}
	of, err := d.about(tx, organization, Invoice, r.Payment)
	if err != nil {
		return "", err
	}
	if of == nil {
		return "", fault.New(fault.Conflict, "payment %.80q has no invoice: there is nothing that a credit note could correct", r.Payment)
	}
	if err := d.fits(tx, organization, of, r); err != nil {
		return "", err
	}
	box := *of.Tax
	box.Net, box.Tax, box.Gross = Money(r.Net), Money(r.Tax), Money(r.Net+r.Tax)
	doc := &Document{
		Reference: of.Reference, Payment: &Payment{r.ID, Instant(r.At), r.Method}, Tax: &box, Buyer: of.Buyer, Note: of.Note,
		Corrects: &Corrected{of.ID, of.Number, of.IssuedAt},
	}
	if r.Reason == "" {
		r.Reason = "Credits given back"
	}
	doc.Lines = []Line{{Kind: "refund", Description: r.Reason, Amount: box.Net, Printed: box.Net}}
	err = d.issue(tx, organization, CreditNote, doc, r.ID)
	return doc.ID, err
}

// Reinstate writes the invoice that cancels the credit note of a refund that came back, in the
// unit of work in which its credits are given again, and returns its id; "" if there is no
// such note. A note that is cancelled already gets no other.
func (d *Desk) Reinstate(tx *db.Tx, organization string, r Refunded) (id string, err error) {
	note, err := d.about(tx, organization, CreditNote, r.ID)
	if err != nil || note == nil {
		return "", err
	}
	there, err := d.about(tx, organization, Invoice, r.ID)
	if err != nil || there != nil {
		return idOf(there), err
	}
	box := *note.Tax
	doc := &Document{
		Reference: note.Reference, Payment: &Payment{r.ID, Instant(r.At), r.Method}, Tax: &box, Buyer: note.Buyer, Note: note.Note,
		Corrects: &Corrected{note.ID, note.Number, note.IssuedAt},
	}
	doc.Lines = []Line{{Kind: "purchase", Description: "What was paid back has come back: the credits are there again", Amount: box.Net, Printed: box.Net}}
	err = d.issue(tx, organization, Invoice, doc, r.ID)
	return doc.ID, err
}

func idOf(d *Document) string {
	if d == nil {
		return ""
	}
	return d.ID
}

// check refuses what could not be printed: a document of money is in whole cents.
func check(id string, net, added credit.Amount) error {
	if id == "" || net < 0 || added < 0 || net%credit.Cent != 0 || added%credit.Cent != 0 {
		return fmt.Errorf("a document about %q over %s and %s of tax: these must be whole cents", id, net, added)
	}
	return nil
}

// fits refuses to take back more than an invoice is over. What other servers take back
// meanwhile waits.
func (d *Desk) fits(tx *db.Tx, organization string, of *Document, r Refunded) error {
	if err := tx.Exclude("credit notes " + of.ID); err != nil {
		return fmt.Errorf("hold invoice %s: %w", of.Number, err)
	}
	net, added := Money(r.Net), Money(r.Tax)
	count := func(note *Document) error {
		if note.Kind != CreditNote || note.Corrects.ID != of.ID || note.Payment == nil {
			return nil
		}
		cancelled, err := d.about(tx, organization, Invoice, note.Payment.ID)
		if err == nil && cancelled == nil {
			net, added = net+note.Tax.Net, added+note.Tax.Tax
		}
		return err
	}
	for _, draft := range d.drafts(tx).all {
		if err := count(draft.doc); err != nil {
			return err
		}
	}
	notes, err := db.All(tx, scan, columns+` WHERE organization = $1 AND kind = $2 AND id > $3`, organization, string(CreditNote), of.ID)
	if err != nil {
		return fmt.Errorf("read the credit notes of %s: %w", of.Number, err)
	}
	for i := range notes {
		note, err := notes[i].Document()
		if err == nil {
			err = count(note)
		}
		if err != nil {
			return err
		}
	}
	if net > of.Tax.Net || added > of.Tax.Tax {
		return fault.New(fault.Conflict, "invoice %s is over %s and %s of tax; with this, %s and %s would be given back",
			of.Number, of.Tax.Net, of.Tax.Tax, net, added).WithCode("over_credited")
	}
	return nil
}

// about is the document of a kind about a source, also one that waits for its number; nil
// if there is none.
func (d *Desk) about(tx *db.Tx, organization string, kind Kind, source string) (*Document, error) {
	if doc := d.drafts(tx).find(organization, kind, source); doc != nil {
		return doc, nil
	}
	found, err := db.All(tx, scan, columns+` WHERE organization = $1 AND kind = $2 AND source = $3`, organization, string(kind), source)
	if err != nil || len(found) == 0 {
		return nil, fault.While("look for a document", err)
	}
	return found[0].Document()
}

// issue completes a document with the two sides, and has it numbered at the end of the
// batch. The sides are as they are now, but for what was so when the buyer paid: country and
// tax id are those of the payment, and who corrects a document names the buyer that it names.
func (d *Desk) issue(tx *db.Tx, organization string, kind Kind, doc *Document, source string) error {
	seller, err := ReadSeller(tx)
	if err != nil {
		return err
	}
	buyer, err := d.Orgs.Organization(tx, organization)
	if err != nil {
		return err
	}
	profile, err := d.Orgs.Profile(tx, organization)
	if err != nil {
		return err
	}
	doc.Format, doc.ID, doc.Kind, doc.IssuedAt, doc.Currency = Format, tx.NewID("inv_"), kind, Instant(tx.Now()), currency
	doc.Seller = Party{"", seller.LegalName, seller.Address, seller.Country, seller.TaxID, seller.Email}
	of := doc.Buyer
	doc.Buyer = Party{buyer.ID, profile.LegalName, profile.Address, profile.Country, profile.TaxID, profile.BillingEmail}
	switch {
	case doc.Corrects != nil:
		doc.Buyer = of
	case doc.Tax != nil && doc.Tax.Rule != "":
		doc.Buyer.Country, doc.Buyer.TaxID = of.Country, of.TaxID
	}
	if doc.Note == "" && doc.Tax != nil && doc.Tax.ReverseCharge {
		doc.Note = noteOfInvoice(doc.Seller, doc.Buyer)
	}
	doc.Footer = seller.Footer
	if doc.Terms != nil {
		doc.Terms.Instructions = seller.Instructions
	}
	if doc.Seller.Name == "" {
		doc.Seller.Name = unnamed
	}
	if doc.Buyer.Name == "" {
		doc.Buyer.Name = buyer.Name
	}
	if doc.Reference == "" {
		doc.Reference = profile.Reference
	}
	mailed, err := d.recipients(tx, organization, profile.BillingEmail)
	if err != nil {
		return err
	}
	tx.Touch() // an error of the unit from here on undoes the batch, and with it the draft
	all := d.drafts(tx)
	all.all = append(all.all, &draft{doc, source, seller.Prefixes.of(kind), mailed})
	return nil
}

var errNotEqual = errors.New("the statement does not equal the ledger")
