package invoice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
)

// Kind is what a document is.
type Kind string

// The kinds of documents.
const (
	Invoice    Kind = "invoice"     // of a payment
	CreditNote Kind = "credit_note" // of what was paid back of one
	Statement  Kind = "statement"   // of what happened to the credits in a period
)

// Format is the version of the form in which documents are written today. One that was
// issued keeps its own, and what draws it goes by that.
const Format = 1

// Document is the whole of what was issued. Nothing that is shown of it later comes from
// anywhere else. Its JSON, with the members in this order, is the canonical one.
type Document struct {
	Format     int        `json:"format"`
	ID         string     `json:"id"`
	Kind       Kind       `json:"kind"`
	Number     string     `json:"number"`
	IssuedAt   Instant    `json:"issued_at"`
	Period     *Period    `json:"period,omitempty"` // of a statement
	Currency   string     `json:"currency"`
	Seller     Party      `json:"seller"`
	Buyer      Party      `json:"buyer"`
	Reference  string     `json:"reference,omitempty"` // the buyer's, as of a purchase order
	Corrects   *Corrected `json:"corrects,omitempty"`  // of a credit note, and of an invoice that cancels one
	Payment    *Payment   `json:"payment,omitempty"`
	Terms      *Terms     `json:"terms,omitempty"` // of an invoice on account
	Lines      []Line     `json:"lines,omitempty"`
	Tax        *TaxBox    `json:"tax,omitempty"`
	Total      *Account   `json:"total,omitempty"`      // of all workspaces: of a statement
	Workspaces []Account  `json:"workspaces,omitempty"` // each of them
	Note       string     `json:"note,omitempty"`       // of the law: reverse charge
	Open       []Unpaid   `json:"open,omitempty"`       // of a statement: the invoices on account that were not paid at its end
	Footer     string     `json:"footer,omitempty"`
}

// Party is one of the two sides, as it was when the document was issued.
type Party struct {
	ID      string `json:"id,omitempty"`
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
	Country string `json:"country,omitempty"`
	TaxID   string `json:"tax_id,omitempty"`
	Email   string `json:"email,omitempty"`
}

// Period is the time that a statement is about, by when things were recorded: from an
// instant to before another.
type Period struct {
	From Instant `json:"from"`
	To   Instant `json:"to"`
}

// Corrected is the invoice of which a credit note takes something back, or the credit note
// that an invoice cancels.
type Corrected struct {
	ID       string  `json:"id"`
	Number   string  `json:"number"`
	IssuedAt Instant `json:"issued_at"`
}

// Payment is how it was paid, or paid back.
type Payment struct {
	ID     string  `json:"id"`
	At     Instant `json:"at"`
	Method string  `json:"method,omitempty"`
}

// Terms are how an invoice on account is to be paid.
type Terms struct {
	NetDays      int64  `json:"net_days"`
	DueOn        string `json:"due_on"` // the last day, in UTC
	Instructions string `json:"instructions,omitempty"`
}

// Unpaid is an invoice on account that was not paid at the end of a period.
type Unpaid struct {
	Number   string  `json:"number"`
	IssuedAt Instant `json:"issued_at"`
	DueOn    string  `json:"due_on"`
	Gross    Money   `json:"gross"`
	Paid     Money   `json:"paid"`
	Open     Money   `json:"open"`
}

// TaxBox is what was paid, with the tax on it. All of it is whole cents.
type TaxBox struct {
	Country       string `json:"country,omitempty"`
	Name          string `json:"name,omitempty"`
	Percent       string `json:"percent"`
	ReverseCharge bool   `json:"reverse_charge"`
	Net           Money  `json:"net"`
	Tax           Money  `json:"tax"`
	Gross         Money  `json:"gross"`
	Rule          string `json:"rule,omitempty"`         // by which it was taxed; none on documents from before it was kept
	ValidFrom     string `json:"valid_from,omitempty"`   // the day since which the rate held
	TaxIDState    string `json:"tax_id_state,omitempty"` // what was known of the buyer's tax id
	VerifiedOn    string `json:"verified_on,omitempty"`  // by the seller
	Verification  string `json:"verification,omitempty"` // the seller's evidence
}

// Line is one amount, exact, and as it is printed: in cents. On a statement what was
// added is positive and what was taken negative.
type Line struct {
	Kind        string `json:"kind"`
	Description string `json:"description"`
	Project     string `json:"project,omitempty"`
	SKU         string `json:"sku,omitempty"`
	Tier        string `json:"tier,omitempty"`
	Quantity    string `json:"quantity,omitempty"`
	Unit        string `json:"unit,omitempty"`
	Count       int64  `json:"count,omitempty"` // of the postings that it sums up
	Amount      Money  `json:"amount"`
	Printed     Money  `json:"printed"`
	Owed        Money  `json:"owed,omitzero"`        // of usage: what was not taken but is owed
	NotCharged  Money  `json:"not_charged,omitzero"` // of usage: what nothing covered, and nobody pays
}

// Account is what happened to the credits of one workspace, or of all:
//
//	opening + lines = closing                      exactly
//	opening + lines + rounding = closing           as printed
type Account struct {
	Workspace  string `json:"workspace,omitempty"`
	Name       string `json:"name"`
	Opening    Sum    `json:"opening"`
	Lines      []Line `json:"lines"`
	Rounding   Money  `json:"rounding"`
	Closing    Sum    `json:"closing"`
	Owed       Sum    `json:"owed"`        // at the end, for retained storage
	NotCharged Sum    `json:"not_charged"` // in the period
	Tax        Sum    `json:"tax"`         // that was paid with purchases, less what was paid back
	Postings   Span   `json:"postings,omitzero"`
	Charges    Span   `json:"charges,omitzero"`
}

// Sum is an amount, exact and as it is printed.
type Sum struct {
	Amount  Money `json:"amount"`
	Printed Money `json:"printed"`
}

// Span is the numbers that a statement covers of a wallet's postings or charges, the
// last included. The next statement begins behind it.
type Span struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// canonical is the document as it is kept, and the digest of that.
func (d *Document) canonical() (content, digest string, err error) {
	var text bytes.Buffer
	out := json.NewEncoder(&text)
	out.SetEscapeHTML(false)
	if err := out.Encode(d); err != nil {
		return "", "", fmt.Errorf("write document %s: %w", d.ID, err)
	}
	content = strings.TrimSuffix(text.String(), "\n")
	sum := sha256.Sum256([]byte(content))
	return content, hex.EncodeToString(sum[:]), nil
}

// parse reads a document as it was kept; one that is not as it was issued is an error.
func parse(id, content, digest string) (*Document, error) {
	if sum := sha256.Sum256([]byte(content)); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("document %s is not as it was issued: its digest is another", id)
	}
	var d Document
	if err := json.Unmarshal([]byte(content), &d); err != nil {
		return nil, fmt.Errorf("read document %s: %w", id, err)
	}
	return &d, nil
}

// Money is an amount in a document: a decimal text of up to nine places.
type Money credit.Amount

// MarshalText writes the amount exactly.
func (m Money) MarshalText() ([]byte, error) { return []byte(credit.Amount(m).String()), nil }

// UnmarshalText reads it.
func (m *Money) UnmarshalText(text []byte) error {
	a, err := credit.Parse(string(text))
	*m = Money(a)
	return err
}

// Cents is the nearest number of whole cents, halves away from zero: the one place where
// a document rounds.
func (m Money) Cents() Money {
	half := Money(credit.Cent / 2)
	if m < 0 {
		return -(-m).Cents()
	}
	return (m + half) / Money(credit.Cent) * Money(credit.Cent)
}

// String writes an amount as it is printed, with two places; one that is not whole cents
// with all that it has.
func (m Money) String() string {
	text := credit.Amount(m).String()
	cent := Money(credit.Cent)
	switch {
	case m%cent != 0:
		return text
	case m%(100*cent) == 0:
		return text + ".00"
	case m%(10*cent) == 0:
		return text + "0"
	}
	return text
}

func sum(a credit.Amount) Sum { return Sum{Money(a), Money(a).Cents()} }

// Instant is an instant in a document, in Unix nanoseconds.
type Instant int64

// MarshalText writes it by RFC 3339, in UTC.
func (i Instant) MarshalText() ([]byte, error) {
	return []byte(i.time().Format(time.RFC3339Nano)), nil
}

// UnmarshalText reads it.
func (i *Instant) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	*i = Instant(t.UnixNano())
	return err
}

func (i Instant) time() time.Time { return time.Unix(0, int64(i)).UTC() }

// Date is the day, in UTC.
func (i Instant) Date() string { return i.time().Format(time.DateOnly) }
