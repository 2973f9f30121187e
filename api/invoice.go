package api

import (
	"context"
	"fmt"
	"io"
)

// Invoice is a document that was issued: an invoice, a credit note or a statement.
type Invoice struct {
	ID       string   `json:"id" example:"inv_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Kind     string   `json:"kind" enum:"invoice,credit_note,statement"`
	Number   string   `json:"number" doc:"Without gaps in its series." example:"INV-2026-000001"`
	IssuedAt Instant  `json:"issued_at" format:"date-time"`
	From     *Instant `json:"from" format:"date-time" doc:"Of a statement: the beginning of its period."`
	To       *Instant `json:"to" format:"date-time" doc:"Of a statement: the end of its period, which is not in it."`
	Amount   Amount   `json:"amount" doc:"What was paid, is to be paid, or was paid back or credited, with tax; of a statement, the closing balance."`
	Currency string   `json:"currency" example:"USD"`
	State    string   `json:"state,omitempty" enum:"open,partly_paid,overdue,paid,void" doc:"Of an invoice. One of a payment is paid; one on account is until it is, or a credit note has taken all of it back: void."`
	DueOn    string   `json:"due_on,omitempty" format:"date" doc:"Of an invoice on account: the last day to pay it, in UTC."`
	Paid     Amount   `json:"paid,omitempty" doc:"Of an invoice on account, up to now."`
	Credited Amount   `json:"credited,omitempty" doc:"Of an invoice on account, by credit notes."`
	Open     Amount   `json:"open,omitempty" doc:"Of an invoice on account: what is still to be paid."`
	Digest   string   `json:"digest" doc:"SHA-256 of the document: of the bytes of the member document, as the call for one sends it."`
}

// IssuedInvoice is a document with all that stands in it.
type IssuedInvoice struct {
	Invoice
	Document InvoiceDocument `json:"document" doc:"As it was issued. Nothing of it ever changes."`
}

// InvoiceDocument is the content of a document. Its members stand in this order.
type InvoiceDocument struct {
	Format     int              `json:"format" doc:"The version of this form."`
	ID         string           `json:"id"`
	Kind       string           `json:"kind" enum:"invoice,credit_note,statement"`
	Number     string           `json:"number"`
	IssuedAt   Instant          `json:"issued_at" format:"date-time"`
	Period     *InvoicePeriod   `json:"period,omitempty"`
	Currency   string           `json:"currency"`
	Seller     InvoiceParty     `json:"seller"`
	Buyer      InvoiceParty     `json:"buyer"`
	Reference  string           `json:"reference,omitempty" doc:"The buyer's, as the number of a purchase order."`
	Corrects   *InvoiceCorrect  `json:"corrects,omitempty" doc:"Of a credit note: the invoice of which it takes something back."`
	Payment    *InvoicePayment  `json:"payment,omitempty"`
	Terms      *InvoiceTerms    `json:"terms,omitempty" doc:"Of an invoice on account: how it is to be paid."`
	Lines      []InvoiceLine    `json:"lines,omitempty"`
	Tax        *InvoiceTax      `json:"tax,omitempty"`
	Total      *InvoiceAccount  `json:"total,omitempty" doc:"Of a statement: all workspaces together."`
	Workspaces []InvoiceAccount `json:"workspaces,omitempty" doc:"Of a statement: each workspace."`
	Note       string           `json:"note,omitempty" doc:"What the law asks for where no tax is charged: reverse charge, with the tax ids of both sides."`
	Open       []InvoiceUnpaid  `json:"open,omitempty" doc:"Of a statement: the invoices on account that were not paid at its end."`
	Footer     string           `json:"footer,omitempty"`
}

// InvoicePeriod is the time that a statement is about, by when things were recorded.
type InvoicePeriod struct {
	From Instant `json:"from" format:"date-time"`
	To   Instant `json:"to" format:"date-time"`
}

// InvoiceParty is the seller or the buyer, as it was then.
type InvoiceParty struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Country string `json:"country,omitempty"`
	TaxID   string `json:"tax_id,omitempty"`
	Email   string `json:"email,omitempty"`
}

// InvoiceCorrect names an invoice.
type InvoiceCorrect struct {
	ID       string  `json:"id"`
	Number   string  `json:"number"`
	IssuedAt Instant `json:"issued_at" format:"date-time"`
}

// InvoicePayment is how it was paid, or paid back.
type InvoicePayment struct {
	ID     string  `json:"id"`
	At     Instant `json:"at" format:"date-time"`
	Method string  `json:"method,omitempty" example:"card ending 4242"`
}

// InvoiceTerms are how an invoice on account is to be paid.
type InvoiceTerms struct {
	NetDays      int64  `json:"net_days"`
	DueOn        string `json:"due_on" format:"date" doc:"The last day, in UTC."`
	Instructions string `json:"instructions,omitempty"`
}

// InvoiceUnpaid is an invoice on account that was not paid at the end of a period.
type InvoiceUnpaid struct {
	Number   string  `json:"number"`
	IssuedAt Instant `json:"issued_at" format:"date-time"`
	DueOn    string  `json:"due_on" format:"date"`
	Gross    Amount  `json:"gross"`
	Paid     Amount  `json:"paid"`
	Open     Amount  `json:"open"`
}

// InvoiceTax is what was paid, with the tax on it, in whole cents.
type InvoiceTax struct {
	Country       string `json:"country,omitempty"`
	Name          string `json:"name,omitempty"`
	Percent       string `json:"percent"`
	ReverseCharge bool   `json:"reverse_charge" doc:"The buyer owes the tax by itself."`
	Net           Amount `json:"net"`
	Tax           Amount `json:"tax"`
	Gross         Amount `json:"gross"`
	Rule          string `json:"rule,omitempty" enum:"standard,reverse_charge,not_taxed" doc:"By which it was taxed when it was paid; missing on documents from before it was kept."`
	ValidFrom     string `json:"valid_from,omitempty" doc:"The day since which the rate held; missing for always." example:"2024-09-01"`
	TaxIDState    string `json:"tax_id_state,omitempty" enum:"unchecked,form_checked,verified" doc:"What was known of the buyer's tax id."`
	VerifiedOn    string `json:"verified_on,omitempty" doc:"The day on which the seller had verified it."`
	Verification  string `json:"verification,omitempty" doc:"What the seller's evidence was."`
}

// InvoiceLine is one amount. On a statement what was taken is negative.
type InvoiceLine struct {
	Kind        string `json:"kind" example:"usage"`
	Description string `json:"description"`
	Project     string `json:"project,omitempty"`
	SKU         string `json:"sku,omitempty"`
	Tier        string `json:"tier,omitempty"`
	Quantity    string `json:"quantity,omitempty"`
	Unit        string `json:"unit,omitempty"`
	Count       int64  `json:"count,omitempty" doc:"How many postings it sums up."`
	Amount      Amount `json:"amount" doc:"To the nano-credit."`
	Printed     Amount `json:"printed" doc:"In cents, as it is printed."`
	Owed        Amount `json:"owed,omitempty" doc:"Of usage: what was not taken, but is owed."`
	NotCharged  Amount `json:"not_charged,omitempty" doc:"Of usage: what nothing covered, and nobody pays."`
}

// InvoiceAccount is what happened to the credits of a workspace, or of all: opening +
// lines = closing, exactly; as printed with rounding as one line more.
type InvoiceAccount struct {
	Workspace  string        `json:"workspace,omitempty"`
	Name       string        `json:"name"`
	Opening    InvoiceSum    `json:"opening"`
	Lines      []InvoiceLine `json:"lines"`
	Rounding   Amount        `json:"rounding"`
	Closing    InvoiceSum    `json:"closing"`
	Owed       InvoiceSum    `json:"owed" doc:"At the end, for retained storage."`
	NotCharged InvoiceSum    `json:"not_charged"`
	Tax        InvoiceSum    `json:"tax" doc:"Paid with purchases, less what was paid back."`
	Postings   *InvoiceSpan  `json:"postings,omitempty" doc:"The numbers of the postings that it covers."`
	Charges    *InvoiceSpan  `json:"charges,omitempty"`
}

// InvoiceSum is an amount, exact and as it is printed.
type InvoiceSum struct {
	Amount  Amount `json:"amount"`
	Printed Amount `json:"printed"`
}

// InvoiceSpan is a span of numbers; both ends are in it.
type InvoiceSpan struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// InvoiceQuery asks for a page of documents.
type InvoiceQuery struct {
	Kind string  `query:"kind" enum:"invoice,credit_note,statement" doc:"Only these."`
	From Instant `query:"from" doc:"Issued from then on."`
	To   Instant `query:"to" doc:"Issued before then."`
	Page
}

// Seller is who issues the documents of the installation.
type Seller struct {
	LegalName        string `json:"legal_name" maxLength:"200"`
	Address          string `json:"address,omitempty" maxLength:"1000" doc:"Lines as they are printed."`
	TaxID            string `json:"tax_id,omitempty" maxLength:"200"`
	Country          string `json:"country,omitempty" doc:"Two letters." example:"DE"`
	Email            string `json:"email,omitempty" maxLength:"254" doc:"Stands on documents, and is told if a statement could not be issued."`
	Footer           string `json:"footer,omitempty" maxLength:"1000" doc:"At the foot of every page."`
	Instructions     string `json:"payment_instructions,omitempty" maxLength:"1000" doc:"How invoices on account are paid, as bank and account: stands on them."`
	InvoicePrefix    string `json:"invoice_prefix,omitempty" maxLength:"20" doc:"INV if missing. Numbers are the prefix, the year and six digits or more." example:"INV"`
	CreditNotePrefix string `json:"credit_note_prefix,omitempty" maxLength:"20" doc:"CN if missing."`
	StatementPrefix  string `json:"statement_prefix,omitempty" maxLength:"20" doc:"ST if missing."`
}

// TaxRates are the rates of tax of all countries in which it is collected.
type TaxRates struct {
	Rates        []TaxRate `json:"rates" maxItems:"1000"`
	VerifiedOnly bool      `json:"verified_only,omitempty" doc:"Only a tax id that the operator has verified reverses the charge; if missing, its form is enough."`
}

// TaxRate is what a country asks for from a day on.
type TaxRate struct {
	Country       string `json:"country" doc:"Two letters." example:"DE"`
	ValidFrom     string `json:"valid_from,omitempty" maxLength:"10" doc:"The first day (UTC) on which it holds; missing for always. Of the entries of a country that have begun the last counts." example:"2024-09-01"`
	Name          string `json:"name" maxLength:"60" example:"VAT"`
	Percent       string `json:"percent" doc:"Up to four places." example:"24"`
	ReverseCharge bool   `json:"reverse_charge,omitempty" doc:"A business there with a good tax id owes it by itself, if the seller is elsewhere."`
	Home          bool   `json:"home,omitempty" doc:"The seller's country: the same in all its entries."`
}

// Invoices lists documents, the newest first.
func (c *Client) Invoices(ctx context.Context, organization string, q InvoiceQuery) (List[Invoice], error) {
	return ask[List[Invoice]](ctx, c, get, at("/organizations/%s/invoices", organization), q, nil)
}

// Invoice reads a document by its id or its number.
func (c *Client) Invoice(ctx context.Context, organization, invoice string) (IssuedInvoice, error) {
	return ask[IssuedInvoice](ctx, c, get, at("/organizations/%s/invoices/%s", organization, invoice), nil, nil)
}

// maxInvoice bounds a document that is downloaded, in bytes.
const maxInvoice = 64 << 20

// DownloadInvoice reads a document as a file: form is pdf or csv.
func (c *Client) DownloadInvoice(ctx context.Context, organization, invoice, form string) ([]byte, error) {
	accept := "application/pdf"
	if form == "csv" {
		accept = "text/csv"
	}
	r, err := c.send(ctx, request{method: get, path: at("/organizations/%s/invoices/%s/"+form, organization, invoice), accept: accept})
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	file, err := io.ReadAll(io.LimitReader(r.Body, maxInvoice))
	if err != nil {
		return nil, fmt.Errorf("download the invoice: %w", err)
	}
	return file, nil
}

// Seller reads who issues documents.
func (c *Client) Seller(ctx context.Context) (Seller, error) {
	return ask[Seller](ctx, c, get, at("/seller"), nil, nil)
}

// PutSeller replaces it, for the documents that are issued from now on.
func (c *Client) PutSeller(ctx context.Context, s Seller) (Seller, error) {
	return ask[Seller](ctx, c, put, at("/seller"), nil, s)
}

// TaxRates reads the rates of tax.
func (c *Client) TaxRates(ctx context.Context) (TaxRates, error) {
	return ask[TaxRates](ctx, c, get, at("/tax-rates"), nil, nil)
}

// PutTaxRates replaces all of them, for what is paid from now on.
func (c *Client) PutTaxRates(ctx context.Context, r TaxRates) (TaxRates, error) {
	return ask[TaxRates](ctx, c, put, at("/tax-rates"), nil, r)
}
