package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/org"
)

type bankPaymentPath struct {
	InvoicePath
	Payment string `path:"payment" maxLength:"100"`
}

func (s *Server) receivableCalls() {
	query(s, call{
		id: "list-receivables", method: "GET", path: "/v1/receivables", tag: tagInvoices, action: org.Operate,
		summary: "List the invoices of all organizations that are not paid, the newest first",
	}, listReceivables)
	query(s, call{
		id: "list-bank-payments", method: "GET", path: invoicePath + "/{invoice}/bank-payments", tag: tagInvoices, action: org.Account,
		summary: "List what was paid of an invoice on account, the oldest first", description: "With what was recorded by mistake and reversed.",
	}, func(r *reading, p *InvoicePath) (list api.List[api.BankPayment], err error) {
		list.Items = []api.BankPayment{}
		err = r.view(func(tx *db.Tx) error {
			found, err := r.invoices.Find(tx, r.id.Organization, p.Invoice)
			if err != nil {
				return err
			}
			all, err := r.invoices.BankPayments(tx, r.id.Organization, found.ID)
			for i := range all {
				list.Items = append(list.Items, bankPaymentOnWire(&all[i]))
			}
			return err
		})
		return list, err
	})
	command(s, call{
		id: "record-bank-payment", method: "POST", path: invoicePath + "/{invoice}/bank-payments", tag: tagInvoices, action: org.Operate, status: 201,
		summary:     "Record a payment by bank of an invoice on account",
		description: "Of all of it or of a part. More than is open is refused, and so is a transfer that is recorded for the invoice already.",
	}, recordBankPayment)
	command(s, call{
		id: "reverse-bank-payment", method: "POST", path: invoicePath + "/{invoice}/bank-payments/{payment}/reverse", tag: tagInvoices, action: org.Operate,
		summary: "Take a payment back that was recorded by mistake", description: "The invoice is open by as much again. The payment stands as reversed.",
	}, func(u *unit, p *bankPaymentPath, b *api.Reversal) (api.BankPayment, error) {
		reversed, err := u.invoices.ReversePayment(u.tx, u.id.Organization, u.actor.ID, p.Invoice, p.Payment, b.Reason)
		return bankPaymentOnWire(&reversed), err
	})
	command(s, call{
		id: "void-invoice", method: "POST", path: invoicePath + "/{invoice}/void", tag: tagInvoices, action: org.Operate,
		summary: "Take what is open of an invoice on account back, with a credit note",
		description: "Unused credits that came with it are taken out of their lot; what of them was used, has expired or is in another workspace is the operator's loss. " +
			"Refused while running work counts on the unused ones, and while it would need credits that are held.",
	}, voidInvoice)
}

func listReceivables(r *reading, p *api.ReceivableQuery) (list api.List[api.Receivable], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Receivable], err error) {
		found, err := r.invoices.Open(tx, p.State == invoice.StateOverdue, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(v invoice.Receivable) string { return v.Invoice },
			func(v invoice.Receivable) (api.Receivable, error) { return r.receivable(tx, &v) })
	})
}

// receivable is how an invoice stands, with its number.
func (s *Server) receivable(tx *db.Tx, v *invoice.Receivable) (api.Receivable, error) {
	found, err := s.invoices.Find(tx, v.Organization, v.Invoice)
	return receivableOnWire(v, found.Number, tx.Now()), err
}

func receivableOnWire(v *invoice.Receivable, number string, now int64) api.Receivable {
	return api.Receivable{
		Organization: v.Organization, Invoice: v.Invoice, Number: number, Contract: v.Contract, State: v.State(now), IssuedAt: api.At(v.IssuedAt),
		DueOn: v.DueOn(), Total: amount(v.Gross()), Paid: amount(v.Paid()), Credited: amount(v.Credited()), Open: amount(v.Open()),
	}
}

func recordBankPayment(u *unit, p *InvoicePath, b *api.NewBankPayment) (api.BankPayment, error) {
	var f fields
	paid := f.amount("/amount", b.Amount)
	if err := f.Err(); err != nil {
		return api.BankPayment{}, err
	}
	made, err := u.invoices.RecordPayment(u.tx, u.id.Organization, u.actor.ID, p.Invoice, paid, b.PaidOn, b.Reference)
	return bankPaymentOnWire(&made), err
}

func voidInvoice(u *unit, p *InvoicePath, b *api.Voiding) (api.Receivable, error) {
	if _, err := u.invoices.Void(u.tx, u.id.Organization, p.Invoice, b.Reason); err != nil {
		return api.Receivable{}, err
	}
	found, err := u.invoices.Find(u.tx, u.id.Organization, p.Invoice)
	if err != nil {
		return api.Receivable{}, err
	}
	v, err := u.invoices.Receivable(u.tx, u.id.Organization, found.ID)
	if err != nil {
		return api.Receivable{}, err
	}
	return receivableOnWire(v, found.Number, u.tx.Now()), nil
}

func bankPaymentOnWire(p *invoice.BankPayment) api.BankPayment {
	return api.BankPayment{
		ID: p.ID, Invoice: p.Invoice, Amount: amount(p.Amount()), Net: amount(p.Net), Tax: amount(p.Tax), PaidOn: p.PaidOn, Reference: p.Reference,
		RecordedAt: api.At(p.RecordedAt), RecordedBy: p.RecordedBy, ReversedAt: api.AtOrNull(p.ReversedAt), ReversedBy: p.ReversedBy, Reason: p.Reason,
	}
}

// standing puts how an invoice stands beside it. One that is not on account was paid when
// it was issued.
func (r *reading) standing(tx *db.Tx, out *api.Invoice) error {
	if out.Kind != string(invoice.Invoice) {
		return nil
	}
	v, err := r.invoices.Receivable(tx, r.id.Organization, out.ID)
	if err != nil {
		return err
	}
	if v == nil {
		out.State = invoice.StatePaid
		return nil
	}
	out.State, out.DueOn = v.State(tx.Now()), v.DueOn()
	out.Paid, out.Credited, out.Open = amount(v.Paid()), amount(v.Credited()), amount(v.Open())
	return nil
}
