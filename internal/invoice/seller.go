package invoice

import (
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/tax"
)

// Seller is who issues the documents of an installation, and how they are numbered.
type Seller struct {
	LegalName, Address, TaxID, Country, Email string
	Footer                                    string // at the foot of every page
	Instructions                              string // how invoices on account are paid: bank, account
	Prefixes                                  Prefixes
}

// Prefixes begin the numbers of each kind. Before the digits the year follows.
type Prefixes struct{ Invoice, CreditNote, Statement string }

// defaults are the prefixes where the operator has said none.
var defaults = Prefixes{"INV", "CN", "ST"}

// of is the prefix of a kind.
func (p Prefixes) of(k Kind) string {
	switch k {
	case Invoice:
		return p.Invoice
	case CreditNote:
		return p.CreditNote
	}
	return p.Statement
}

// unnamed is who sells while the operator has not said it.
const unnamed = "The operator of this installation"

// ReadSeller is the seller of the installation; one that nobody has named has the
// default prefixes and nothing else.
func ReadSeller(tx *db.Tx) (s Seller, err error) {
	err = tx.QueryRow(`SELECT legal_name, address, tax_id, country, email, footer, instructions, invoice_prefix, credit_note_prefix, statement_prefix
		FROM seller WHERE id = 1`).Scan(&s.LegalName, &s.Address, &s.TaxID, &s.Country, &s.Email, &s.Footer, &s.Instructions,
		&s.Prefixes.Invoice, &s.Prefixes.CreditNote, &s.Prefixes.Statement)
	if errors.Is(err, sql.ErrNoRows) {
		return Seller{Prefixes: defaults}, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the seller: %w", err)
	}
	return s, nil
}

// PutSeller replaces the seller. What was issued stays as it is.
func PutSeller(tx *db.Tx, s Seller) (Seller, error) {
	for _, p := range []struct {
		of     *string
		preset string
	}{{&s.Prefixes.Invoice, defaults.Invoice}, {&s.Prefixes.CreditNote, defaults.CreditNote}, {&s.Prefixes.Statement, defaults.Statement}} {
		if *p.of == "" {
			*p.of = p.preset
		}
	}
	if err := s.check(); err != nil {
		return Seller{}, err
	}
	_, err := tx.Exec(`INSERT INTO seller
		(id, legal_name, address, tax_id, country, email, footer, invoice_prefix, credit_note_prefix, statement_prefix, instructions)
		VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET legal_name = excluded.legal_name, address = excluded.address, tax_id = excluded.tax_id,
			country = excluded.country, email = excluded.email, footer = excluded.footer, invoice_prefix = excluded.invoice_prefix,
			credit_note_prefix = excluded.credit_note_prefix, statement_prefix = excluded.statement_prefix, instructions = excluded.instructions`,
		s.LegalName, s.Address, s.TaxID, s.Country, s.Email, s.Footer, s.Prefixes.Invoice, s.Prefixes.CreditNote, s.Prefixes.Statement, s.Instructions)
	if err != nil {
		return Seller{}, fmt.Errorf("write the seller: %w", err)
	}
	return s, nil
}

// The limits of what a seller says, in characters.
const (
	maxName   = 200
	maxBlock  = 1000 // an address or a footer, of several lines
	maxPrefix = 20
)

var prefixes = regexp.MustCompile(`^[A-Z0-9]+(-[A-Z0-9]+)*$`)

func (s Seller) check() error {
	var wrong fault.Fields
	for _, text := range []struct {
		at, value, but string
		most           int
	}{
		{"/legal_name", s.LegalName, "", maxName}, {"/address", s.Address, "\n", maxBlock}, {"/tax_id", s.TaxID, "", maxName},
		{"/footer", s.Footer, "\n", maxBlock}, {"/payment_instructions", s.Instructions, "\n", maxBlock},
	} {
		if !utf8.ValidString(text.value) || utf8.RuneCountInString(text.value) > text.most ||
			strings.ContainsFunc(text.value, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(text.but, r) }) {
			wrong.Add(text.at, fmt.Sprintf("must be text of at most %d characters", text.most))
		}
	}
	if s.Country != "" && !tax.IsCountry(s.Country) {
		wrong.Add("/country", "must be the two letters of a country, as DE")
	}
	if s.Email != "" {
		if parsed, err := mail.ParseAddress(s.Email); err != nil || parsed.Address != s.Email {
			wrong.Add("/email", "is no address for mail")
		}
	}
	seen := map[string]bool{}
	for _, p := range []struct{ at, value string }{
		{"/invoice_prefix", s.Prefixes.Invoice}, {"/credit_note_prefix", s.Prefixes.CreditNote}, {"/statement_prefix", s.Prefixes.Statement},
	} {
		switch {
		case len(p.value) > maxPrefix || !prefixes.MatchString(p.value):
			wrong.Add(p.at, fmt.Sprintf("must be at most %d capitals and digits, with single hyphens between", maxPrefix))
		case seen[p.value]:
			wrong.Add(p.at, "must differ from the others: each kind of document has numbers of its own")
		}
		seen[p.value] = true
	}
	return wrong.Err()
}
