package invoice

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/tax"
	"github.com/purserhq/purser/internal/wallet"
)

// An invoice on account is issued before it is paid. What it is over is booked as a
// receivable in the unit of work that issues it, and everything that is taken off it, by a
// payment or a credit note, is booked in the unit of work that notes it in its row. So the
// rows of open invoices and the account receivable/invoices always come to the same.

// DefaultNetDays is within how many days an invoice on account is to be paid where nothing
// else was agreed.
const DefaultNetDays = 30

// MaxNetDays bounds what may be agreed.
const MaxNetDays = 365

// Bill is what is invoiced on account: credits that are granted, or a fee.
type Bill struct {
	Source      string      // what it is about: that has one invoice
	Contract    string      // what it is by
	Lot         *wallet.Lot // the credits, which are granted; nil for a fee
	Net         credit.Amount
	Description string
	Reference   string // the buyer's; the one of its profile if ""
	NetDays     int64
}

// Receivable is an invoice on account, and how it stands.
type Receivable struct {
	Organization, Invoice, Workspace string
	Contract, Lot                    string // Lot is "" for a fee
	Net, Tax                         credit.Amount
	PaidNet, PaidTax                 credit.Amount
	CreditedNet, CreditedTax         credit.Amount
	CreditedAt                       int64
	Withdrawn                        credit.Amount // of the lot, by a credit note
	IssuedAt, DueAt, ChangedAt       int64         // DueAt is the first instant at which it is overdue

	told, nextAt int64
}

// Gross is what it is over.
func (r *Receivable) Gross() credit.Amount { return r.Net + r.Tax }

// Paid is what was paid of it.
func (r *Receivable) Paid() credit.Amount { return r.PaidNet + r.PaidTax }

// Credited is what a credit note has taken off.
func (r *Receivable) Credited() credit.Amount { return r.CreditedNet + r.CreditedTax }

// Open is what is still to be paid.
func (r *Receivable) Open() credit.Amount { return r.Gross() - r.Paid() - r.Credited() }

// The states of an invoice.
const (
	StateOpen       = "open"
	StatePartlyPaid = "partly_paid"
	StateOverdue    = "overdue"
	StatePaid       = "paid"
	StateVoid       = "void" // a credit note has taken all of it back
)

// State is the one word for how it stands at an instant.
func (r *Receivable) State(at int64) string {
	switch {
	case r.Open() == 0 && r.Paid() == 0:
		return StateVoid
	case r.Open() == 0:
		return StatePaid
	case at >= r.DueAt:
		return StateOverdue
	case r.Paid() > 0:
		return StatePartlyPaid
	}
	return StateOpen
}

// DueOn is the last day on which it can be paid in time, in UTC.
func (r *Receivable) DueOn() string { return dayBefore(r.DueAt) }

func dayBefore(midnight int64) string { return Instant(midnight - 1).Date() }

// dueAt is the end of the day that lies so many days after that of an instant.
func dueAt(at, days int64) int64 {
	t := time.Unix(0, at).UTC()
	return time.Date(t.Year(), t.Month(), t.Day()+int(days)+1, 0, 0, 0, 0, time.UTC).UnixNano()
}

// Bill grants the credits of a bill, or books its fee, and issues the invoice of it; it
// returns the id of that. What has an invoice already gets no other, and no credits.
func (d *Desk) Bill(tx *db.Tx, id ledger.ID, b Bill) (invoice string, err error) {
	there, err := d.about(tx, id.Organization, Invoice, b.Source)
	if err != nil || there != nil {
		return idOf(there), err
	}
	line, err := d.taxed(tx, id.Organization, b.Net)
	if err != nil {
		return "", err
	}
	if err := check(b.Source, line.Net, line.Tax); err != nil {
		return "", err
	}
	due := dueAt(tx.Now(), b.NetDays)
	kind := "fee"
	if b.Lot != nil {
		kind = "commitment"
	}
	doc := &Document{Reference: b.Reference, Terms: &Terms{NetDays: b.NetDays, DueOn: dayBefore(due)}}
	doc.taxed(line)
	doc.Lines = []Line{{Kind: kind, Description: b.Description, Amount: doc.Tax.Net, Printed: doc.Tax.Net}}
	if err := d.issue(tx, id.Organization, Invoice, doc, b.Source); err != nil {
		return "", err
	}
	r := Receivable{
		Organization: id.Organization, Invoice: doc.ID, Workspace: id.Workspace, Contract: b.Contract, Net: line.Net, Tax: line.Tax,
		IssuedAt: tx.Now(), DueAt: due, nextAt: due,
	}
	var command wallet.Command = wallet.Bill{Invoice: doc.ID, Amount: line.Net, Tax: line.Tax}
	if b.Lot != nil {
		r.Lot = b.Lot.ID
		command = wallet.Grant{Lot: *b.Lot, Tax: line.Tax, OnAccount: true}
	}
	if _, err := d.Books.Apply(tx, id, command); err != nil {
		return "", err
	}
	return doc.ID, d.add(tx, &r)
}

// MayBill refuses to bill an organization of which it is not known how it is taxed. That
// does not change before the unit of work is done.
func (d *Desk) MayBill(tx *db.Tx, organization string) error {
	if err := d.Orgs.HoldProfile(tx, organization); err != nil {
		return err
	}
	table, buyer, err := d.taxing(tx, organization)
	if err != nil {
		return err
	}
	return table.Misses(buyer)
}

// taxed is the tax on what an organization is invoiced for now.
func (d *Desk) taxed(tx *db.Tx, organization string, net credit.Amount) (tax.Line, error) {
	table, buyer, err := d.taxing(tx, organization)
	if err != nil {
		return tax.Line{}, err
	}
	return table.On(buyer, net, tax.Day(tx.Now()))
}

// taxing is how an organization is taxed.
func (d *Desk) taxing(tx *db.Tx, organization string) (table tax.Table, buyer tax.Buyer, err error) {
	table, buyer, err = d.Orgs.Taxing(tx, organization)
	if err != nil {
		return table, buyer, err
	}
	seller, err := ReadSeller(tx)
	table.Seller = seller.Country
	return table, buyer, err
}

func (d *Desk) add(tx *db.Tx, r *Receivable) error {
	_, err := tx.Exec(`INSERT INTO receivables (organization, invoice, workspace, contract, lot, net, tax, paid_net, paid_tax, credited_net, credited_tax,
		credited_at, withdrawn, open_amount, issued_at, due_at, changed_at, told, next_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, 0, 0, $8, $9, $10, $9, 0, $11)`,
		r.Organization, r.Invoice, r.Workspace, r.Contract, r.Lot, int64(r.Net), int64(r.Tax), int64(r.Open()), r.IssuedAt, r.DueAt, r.nextAt)
	return fault.While("note an invoice that is to be paid", err)
}

// put writes how a receivable stands now. An open one is reminded of when the next
// reminder is due; one that is not open, never.
func (d *Desk) put(tx *db.Tx, r *Receivable) error {
	r.ChangedAt, r.nextAt = tx.Now(), 0
	if r.Open() > 0 {
		r.nextAt = r.nextReminder()
	}
	_, err := tx.Exec(`UPDATE receivables SET paid_net = $3, paid_tax = $4, credited_net = $5, credited_tax = $6, credited_at = $7, withdrawn = $8,
		open_amount = $9, changed_at = $10, told = $11, next_at = $12 WHERE organization = $1 AND invoice = $2`,
		r.Organization, r.Invoice, int64(r.PaidNet), int64(r.PaidTax), int64(r.CreditedNet), int64(r.CreditedTax), r.CreditedAt, int64(r.Withdrawn),
		int64(r.Open()), r.ChangedAt, r.told, r.nextAt)
	return fault.While("write how an invoice stands", err)
}

const receivableColumns = `SELECT r.organization, r.invoice, r.workspace, r.contract, r.lot, r.net, r.tax, r.paid_net, r.paid_tax, r.credited_net,
	r.credited_tax, r.credited_at, r.withdrawn, r.issued_at, r.due_at, r.changed_at, r.told, r.next_at FROM receivables r`

func scanReceivable(r db.Scanner) (v Receivable, err error) {
	err = r.Scan(&v.Organization, &v.Invoice, &v.Workspace, &v.Contract, &v.Lot, &v.Net, &v.Tax, &v.PaidNet, &v.PaidTax, &v.CreditedNet,
		&v.CreditedTax, &v.CreditedAt, &v.Withdrawn, &v.IssuedAt, &v.DueAt, &v.ChangedAt, &v.told, &v.nextAt)
	return v, err
}

// Receivable is how the invoice of an id stands that is on account; nil if it is not.
func (d *Desk) Receivable(tx *db.Tx, organization, invoice string) (*Receivable, error) {
	r, err := scanReceivable(tx.QueryRow(receivableColumns+` WHERE r.organization = $1 AND r.invoice = $2`, organization, invoice))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &r, fault.While("read how an invoice stands", err)
}

// OfContract are the invoices on account of a contract, the oldest first.
func (d *Desk) OfContract(tx *db.Tx, organization, contract string) ([]Receivable, error) {
	all, err := db.All(tx, scanReceivable, receivableColumns+` WHERE r.organization = $1 AND r.contract = $2 ORDER BY r.invoice`, organization, contract)
	return all, fault.While("read the invoices of a contract", err)
}

// Open lists the invoices of all organizations that are not paid, the newest first, from
// behind the one of that id; with isOverdue those alone whose day has passed.
func (d *Desk) Open(tx *db.Tx, isOverdue bool, before string, limit int) ([]Receivable, error) {
	if before == "" {
		before = "inv_~" // behind all ids
	}
	due := int64(1<<63 - 1)
	if isOverdue {
		due = tx.Now()
	}
	all, err := db.All(tx, scanReceivable, receivableColumns+` WHERE r.open_amount > 0 AND r.invoice < $1 AND r.due_at <= $2
		ORDER BY r.invoice DESC LIMIT $3`, before, due, limit)
	return all, fault.While("list the invoices that are not paid", err)
}

// held is the receivable of an invoice that is named by its id or number, which nobody
// else changes until the batch ends.
func (d *Desk) held(tx *db.Tx, organization, name string) (*Receivable, Issued, error) {
	found, err := d.Find(tx, organization, name)
	if err != nil {
		return nil, found, err
	}
	if err := tx.Exclude("invoice " + found.ID); err != nil {
		return nil, found, fmt.Errorf("hold invoice %s: %w", found.Number, err)
	}
	r, err := d.Receivable(tx, organization, found.ID)
	if err == nil && r == nil {
		err = fault.New(fault.Conflict, "%s is not an invoice on account: it was paid when it was issued, or is none", found.Number).WithCode("not_on_account")
	}
	return r, found, err
}

func (r *Receivable) wallet() ledger.ID {
	return ledger.ID{Organization: r.Organization, Workspace: r.Workspace}
}

// unpaid are the invoices of an organization that were open at an instant.
func (d *Desk) unpaid(tx *db.Tx, organization string, at int64) (open []Unpaid, err error) {
	all, err := db.All(tx, scanReceivable, receivableColumns+` WHERE r.organization = $1 AND r.issued_at < $2 AND (r.open_amount > 0 OR r.changed_at >= $2)
		ORDER BY r.invoice`, organization, at)
	if err != nil {
		return nil, fault.While("look for invoices that were not paid", err)
	}
	for i := range all {
		r := &all[i]
		var paid credit.Amount
		err := tx.QueryRow(`SELECT CAST(COALESCE(SUM(net + tax), 0) AS BIGINT) FROM bank_payments
			WHERE organization = $1 AND invoice = $2 AND recorded_at < $3 AND (reversed_at = 0 OR reversed_at >= $3)`, organization, r.Invoice, at).Scan(&paid)
		if err != nil {
			return nil, fault.While("add up the payments of an invoice", err)
		}
		credited, err := d.creditedBefore(tx, r, at)
		if err != nil {
			return nil, err
		}
		left := r.Gross() - paid - credited
		if left <= 0 {
			continue
		}
		found, err := d.Find(tx, organization, r.Invoice)
		if err != nil {
			return nil, err
		}
		open = append(open, Unpaid{found.Number, Instant(r.IssuedAt), r.DueOn(), Money(r.Gross()), Money(paid), Money(left)})
	}
	return open, nil
}

// creditedBefore is what credit notes had taken off before an instant. There is more than one
// where a payment was reversed after a void, and the invoice voided again.
func (d *Desk) creditedBefore(tx *db.Tx, r *Receivable, at int64) (sum credit.Amount, err error) {
	if r.CreditedAt < at {
		return r.Credited(), nil
	}
	notes, err := db.All(tx, scan, columns+` WHERE organization = $1 AND kind = $2 AND id > $3 AND at < $4`, r.Organization, string(CreditNote), r.Invoice, at)
	if err != nil {
		return 0, fault.While("read the credit notes of an invoice", err)
	}
	for i := range notes {
		note, err := notes[i].Document()
		if err != nil {
			return 0, err
		}
		if note.Corrects.ID == r.Invoice {
			sum += credit.Amount(note.Tax.Gross)
		}
	}
	return sum, nil
}
