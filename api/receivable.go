package api

import "context"

// Receivable is how an invoice on account stands: one that is issued before it is paid.
type Receivable struct {
	Organization string  `json:"organization"`
	Invoice      string  `json:"invoice" example:"inv_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Number       string  `json:"number" example:"INV-2026-000001"`
	Contract     string  `json:"contract,omitempty"`
	State        string  `json:"state" enum:"open,partly_paid,overdue,paid,void" doc:"void: a credit note has taken all of it back."`
	IssuedAt     Instant `json:"issued_at" format:"date-time"`
	DueOn        string  `json:"due_on" format:"date" doc:"The last day to pay it, in UTC; it is overdue from the next one on."`
	Total        Amount  `json:"total" doc:"With tax."`
	Paid         Amount  `json:"paid"`
	Credited     Amount  `json:"credited" doc:"By credit notes."`
	Open         Amount  `json:"open" doc:"total less paid and credited."`
}

// ReceivableQuery asks for a page of the invoices that are not paid.
type ReceivableQuery struct {
	Page
	State string `query:"state" enum:"open,overdue" doc:"All that are not paid (open, and if missing), or those whose day has passed."`
}

// NewBankPayment is what was found on a bank account for an invoice.
type NewBankPayment struct {
	Amount    Amount `json:"amount" doc:"In whole cents, no more than is open."`
	PaidOn    string `json:"paid_on" format:"date" doc:"The day of the bank's books." example:"2026-11-30"`
	Reference string `json:"reference" maxLength:"140" doc:"The bank's, of the transfer: one is recorded once for an invoice."`
}

// BankPayment is a payment of an invoice as it was recorded.
type BankPayment struct {
	ID         string   `json:"id" example:"bp_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Invoice    string   `json:"invoice"`
	Amount     Amount   `json:"amount"`
	Net        Amount   `json:"net" doc:"The part for what was invoiced."`
	Tax        Amount   `json:"tax" doc:"The part for the tax on it."`
	PaidOn     string   `json:"paid_on" format:"date"`
	Reference  string   `json:"reference"`
	RecordedAt Instant  `json:"recorded_at" format:"date-time"`
	RecordedBy string   `json:"recorded_by"`
	ReversedAt *Instant `json:"reversed_at" format:"date-time" doc:"null: it stands."`
	ReversedBy string   `json:"reversed_by,omitempty"`
	Reason     string   `json:"reason,omitempty" doc:"Of the reversal."`
}

// Reversal says why a payment that was recorded is taken back.
type Reversal struct {
	Reason string `json:"reason" maxLength:"500"`
}

// Voiding says why what is open of an invoice is taken back; it stands on the credit note.
type Voiding struct {
	Reason string `json:"reason" maxLength:"500"`
}

// Receivables lists the invoices of all organizations that are not paid, the newest first.
func (c *Client) Receivables(ctx context.Context, q ReceivableQuery) (List[Receivable], error) {
	return ask[List[Receivable]](ctx, c, get, at("/receivables"), q, nil)
}

// BankPayments lists the payments of an invoice, the oldest first.
func (c *Client) BankPayments(ctx context.Context, organization, invoice string) (List[BankPayment], error) {
	return ask[List[BankPayment]](ctx, c, get, at("/organizations/%s/invoices/%s/bank-payments", organization, invoice), nil, nil)
}

// RecordBankPayment books a payment of an invoice, or of a part of it.
func (c *Client) RecordBankPayment(ctx context.Context, organization, invoice string, n NewBankPayment) (BankPayment, error) {
	return ask[BankPayment](ctx, c, post, at("/organizations/%s/invoices/%s/bank-payments", organization, invoice), nil, n)
}

// ReverseBankPayment takes back what was recorded by mistake.
func (c *Client) ReverseBankPayment(ctx context.Context, organization, invoice, payment string, r Reversal) (BankPayment, error) {
	return ask[BankPayment](ctx, c, post, at("/organizations/%s/invoices/%s/bank-payments/%s/reverse", organization, invoice, payment), nil, r)
}

// VoidInvoice takes what is open of an invoice back, with a credit note.
func (c *Client) VoidInvoice(ctx context.Context, organization, invoice string, v Voiding) (Receivable, error) {
	return ask[Receivable](ctx, c, post, at("/organizations/%s/invoices/%s/void", organization, invoice), nil, v)
}
