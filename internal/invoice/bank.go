package invoice

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// BankPayment is what the operator found on a bank account for an invoice.
type BankPayment struct {
	Organization, ID, Invoice string
	Net, Tax                  credit.Amount // its parts
	PaidOn                    string        // the day of the bank's books, as 2026-11-30
	Reference                 string        // the bank's, of the transfer
	RecordedAt                int64
	RecordedBy                string
	ReversedAt                int64 // 0: it stands
	ReversedBy                string
	Reason                    string // of the reversal
}

// Amount is what was paid.
func (p *BankPayment) Amount() credit.Amount { return p.Net + p.Tax }

// The limits of what is said of a payment, in characters.
const (
	maxReference = 140
	maxReason    = 500
	maxPayments  = 1_000 // of an invoice
)

// furthestEast is by how much the day of a bank may be ahead of UTC.
const furthestEast = 14 * db.Hour

// RecordPayment books a payment of an invoice, or of a part of it. What is more than is
// open is refused, and so is a transfer that was recorded for the invoice already.
func (d *Desk) RecordPayment(tx *db.Tx, organization, by, name string, amount credit.Amount, paidOn, reference string) (BankPayment, error) {
	r, found, err := d.held(tx, organization, name)
	if err != nil {
		return BankPayment{}, err
	}
	reference = strings.TrimSpace(reference)
	if err := checkPayment(tx.Now(), amount, paidOn, reference); err != nil {
		return BankPayment{}, err
	}
	if amount > r.Open() {
		return BankPayment{}, fault.New(fault.Conflict, "%s of %s are open, and %s is more: record no more than that, and return the rest or record it for another invoice",
			r.Open(), found.Number, amount).WithCode("overpaid").With("open", r.Open())
	}
	if err := d.isNew(tx, r, reference); err != nil {
		return BankPayment{}, err
	}
	p := BankPayment{Organization: organization, ID: tx.NewID("bp_"), Invoice: r.Invoice, PaidOn: paidOn, Reference: reference, RecordedAt: tx.Now(), RecordedBy: by}
	p.Net, p.Tax = r.split(amount)
	if _, err := d.Books.Apply(tx, r.wallet(), wallet.Settle{Invoice: r.Invoice, Net: p.Net, Tax: p.Tax}); err != nil {
		return p, err
	}
	_, err = tx.Exec(`INSERT INTO bank_payments (organization, id, invoice, net, tax, paid_on, reference, recorded_at, recorded_by, reversed_at, reversed_by, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '', '')`,
		p.Organization, p.ID, p.Invoice, int64(p.Net), int64(p.Tax), p.PaidOn, p.Reference, p.RecordedAt, p.RecordedBy)
	if err != nil {
		return p, fmt.Errorf("write a payment of %s: %w", found.Number, err)
	}
	r.PaidNet, r.PaidTax = r.PaidNet+p.Net, r.PaidTax+p.Tax
	if err := d.put(tx, r); err != nil || r.Open() > 0 || d.Raise == nil {
		return p, err
	}
	return p, fault.While("tell of a payment", d.Raise(tx, organization, "", "invoice.paid", map[string]string{
		"invoice": r.Invoice, "number": found.Number, "total": r.Gross().String(),
	}))
}

// split cuts a payment into its parts for what was invoiced and for the tax, in proportion
// to what is open of each: the first rounded down to the cent, the tax the rest. The last
// payment leaves nothing open of either.
func (r *Receivable) split(amount credit.Amount) (net, added credit.Amount) {
	openNet, openTax := r.Net-r.PaidNet-r.CreditedNet, r.Tax-r.PaidTax-r.CreditedTax
	net = max(credit.Share(openNet, amount, openNet+openTax).WholeCents(), amount-openTax)
	return net, amount - net
}

func checkPayment(now int64, amount credit.Amount, paidOn, reference string) error {
	var wrong fault.Fields
	if amount <= 0 || amount%credit.Cent != 0 {
		wrong.Add("/amount", "must be whole cents, and more than zero")
	}
	if day, err := time.Parse(time.DateOnly, paidOn); err != nil || day.Year() < 2000 || day.UnixNano() > now+furthestEast {
		wrong.Add("/paid_on", "must be a day that has begun, as 2026-11-30")
	}
	checkText(&wrong, "/reference", reference, maxReference)
	return wrong.Err()
}

// checkText refuses what is no line of text.
func checkText(wrong *fault.Fields, at, text string, most int) {
	if strings.TrimSpace(text) == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > most || strings.ContainsFunc(text, unicode.IsControl) {
		wrong.Add(at, fmt.Sprintf("must be a line of text of at most %d characters", most))
	}
}

// isNew refuses a transfer that is recorded for the invoice already: by its reference.
func (d *Desk) isNew(tx *db.Tx, r *Receivable, reference string) error {
	all, err := d.BankPayments(tx, r.Organization, r.Invoice)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.ReversedAt == 0 && p.Reference == reference {
			return fault.New(fault.Conflict, "the transfer %q is recorded for this invoice already, as %s", reference, p.ID).WithCode("payment_recorded").With("payment", p.ID)
		}
	}
	if len(all) >= maxPayments {
		return fault.New(fault.Limited, "an invoice has at most %d payments", maxPayments)
	}
	return nil
}

const paymentColumns = `SELECT organization, id, invoice, net, tax, paid_on, reference, recorded_at, recorded_by, reversed_at, reversed_by, reason
	FROM bank_payments`

func scanPayment(r db.Scanner) (p BankPayment, err error) {
	err = r.Scan(&p.Organization, &p.ID, &p.Invoice, &p.Net, &p.Tax, &p.PaidOn, &p.Reference, &p.RecordedAt, &p.RecordedBy, &p.ReversedAt, &p.ReversedBy, &p.Reason)
	return p, err
}

// BankPayments are all payments of the invoice of an id, the oldest first, with those that
// were reversed.
func (d *Desk) BankPayments(tx *db.Tx, organization, invoice string) ([]BankPayment, error) {
	all, err := db.All(tx, scanPayment, paymentColumns+` WHERE organization = $1 AND invoice = $2 ORDER BY id LIMIT $3`, organization, invoice, maxPayments)
	return all, fault.While("list the payments of an invoice", err)
}

// ReversePayment takes back what was recorded by mistake: the invoice is open by as much
// again, and the payment stands as reversed.
func (d *Desk) ReversePayment(tx *db.Tx, organization, by, name, id, reason string) (BankPayment, error) {
	r, _, err := d.held(tx, organization, name)
	if err != nil {
		return BankPayment{}, err
	}
	var wrong fault.Fields
	checkText(&wrong, "/reason", reason, maxReason)
	if err := wrong.Err(); err != nil {
		return BankPayment{}, err
	}
	p, err := scanPayment(tx.QueryRow(paymentColumns+` WHERE organization = $1 AND id = $2 AND invoice = $3`, organization, id, r.Invoice))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.New(fault.NotFound, "there is no payment %.80q of this invoice", id)
	}
	if err != nil {
		return p, fmt.Errorf("read a payment: %w", err)
	}
	if p.ReversedAt != 0 {
		return p, fault.New(fault.Conflict, "the payment was reversed already").WithCode("payment_reversed")
	}
	p.ReversedAt, p.ReversedBy, p.Reason = tx.Now(), by, reason
	if _, err := d.Books.Apply(tx, r.wallet(), wallet.Settle{Invoice: r.Invoice, Net: p.Net, Tax: p.Tax, Reversed: true}); err != nil {
		return p, err
	}
	_, err = tx.Exec(`UPDATE bank_payments SET reversed_at = $3, reversed_by = $4, reason = $5 WHERE organization = $1 AND id = $2`,
		organization, id, p.ReversedAt, p.ReversedBy, p.Reason)
	if err != nil {
		return p, fmt.Errorf("reverse a payment: %w", err)
	}
	r.PaidNet, r.PaidTax = r.PaidNet-p.Net, r.PaidTax-p.Tax
	return p, d.put(tx, r)
}
