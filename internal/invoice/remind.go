package invoice

import (
	"cmp"
	"context"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/mail"
)

// reminders are when both sides are told of an invoice that is not paid: so many days
// after its day has passed.
var reminders = []int64{0, 7, 14, 30}

// remindBatch bounds how many invoices are looked up at a time.
const remindBatch = 64

// nextReminder is when the next is due; 0 if all were sent.
func (r *Receivable) nextReminder() int64 {
	if r.told >= int64(len(reminders)) {
		return 0
	}
	return r.DueAt + reminders[r.told]*db.Day
}

// remindDue tells of all invoices whose reminder is due, each in a unit of work of its own
// that notes it: of servers that try at the same time one tells. Reminders for which nobody
// was there are one.
func (d *Desk) remindDue(ctx context.Context) error {
	after := ""
	for {
		var due []Receivable
		err := d.DB.View(ctx, func(tx *db.Tx) (err error) {
			due, err = db.All(tx, scanReceivable, receivableColumns+` WHERE r.next_at > 0 AND r.next_at <= $1 AND r.invoice > $2 ORDER BY r.invoice LIMIT $3`,
				tx.Now(), after, remindBatch)
			return fault.While("look for invoices that are overdue", err)
		})
		if err != nil {
			return err
		}
		for _, r := range due {
			after = r.Invoice
			err := d.DB.Update(ctx, func(tx *db.Tx) error { return d.remind(tx, r) })
			if ctx.Err() != nil || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Limited) {
				return err
			}
			if err != nil { // the others must not suffer
				d.Log.Error("an overdue invoice was not told of; it is tried again", "organization", r.Organization, "invoice", r.Invoice, "error", err)
			}
		}
		if len(due) < remindBatch {
			return nil
		}
	}
}

// remind tells of an invoice, unless somebody else has by now, or it was paid.
func (d *Desk) remind(tx *db.Tx, seen Receivable) error {
	r, found, err := d.held(tx, seen.Organization, seen.Invoice)
	if err != nil || r.nextAt != seen.nextAt {
		return err
	}
	for r.nextAt = seen.nextAt; r.nextAt > 0 && r.nextAt <= tx.Now(); r.nextAt = r.nextReminder() {
		r.told++
	}
	_, err = tx.Exec(`UPDATE receivables SET told = $3, next_at = $4 WHERE organization = $1 AND invoice = $2`, r.Organization, r.Invoice, r.told, r.nextAt)
	if err != nil {
		return fault.While("note a reminder", err)
	}
	return d.tellOverdue(tx, r, found)
}

// tellOverdue mails both sides, and tells programs.
func (d *Desk) tellOverdue(tx *db.Tx, r *Receivable, found Issued) error {
	if d.Raise != nil {
		err := d.Raise(tx, r.Organization, "", "invoice.overdue", map[string]string{
			"invoice": r.Invoice, "number": found.Number, "open": r.Open().String(), "due_on": r.DueOn(),
		})
		if err != nil {
			return fault.While("tell of an overdue invoice", err)
		}
	}
	if d.Put == nil {
		return nil
	}
	o, err := d.Orgs.Organization(tx, r.Organization)
	if err != nil {
		return err
	}
	profile, err := d.Orgs.Profile(tx, r.Organization)
	if err != nil {
		return err
	}
	seller, err := ReadSeller(tx)
	if err != nil {
		return err
	}
	to, err := d.recipients(tx, r.Organization, profile.BillingEmail)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("Invoice %s was to be paid by %s. Of %s %s, %s are open.", found.Number, r.DueOn(), Money(r.Gross()), currency, Money(r.Open()))
	subject := fmt.Sprintf("%s: invoice %s is overdue", o.Name, found.Number)
	for _, address := range to {
		if err := d.notice(tx, r.Organization, address, subject, joined(text, seller.Instructions)); err != nil {
			return err
		}
	}
	operator := cmp.Or(seller.Email, d.Operator)
	if operator == "" {
		return nil
	}
	return d.notice(tx, "", operator, subject, text)
}

func joined(text, instructions string) string {
	if instructions == "" {
		return text
	}
	return text + "\n\n" + instructions
}

// notice writes a mail. One that cannot go there is logged, and the others go.
func (d *Desk) notice(tx *db.Tx, organization, to, subject, text string) error {
	err := d.Put(tx, mail.Message{Organization: organization, To: to, Template: "notice", Data: map[string]string{"subject": subject, "text": text, "link": d.URL}})
	if fault.Of(err) != nil {
		d.Log.Warn("a reminder cannot be mailed", "organization", organization, "error", err)
		return nil
	}
	return err
}
