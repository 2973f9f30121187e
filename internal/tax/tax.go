// Package tax says what is added to a purchase by law.
//
// What it keeps true: tax is computed once for each payment, on its whole net amount,
// rounded half up to the cent; what was computed is kept with the payment and its
// invoice, with all that it went by (country, tax id and what was known of it, rule and
// rate), so that nothing that changes later changes what has been paid.
package tax

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Millionths is a rate in millionths: 240,000 are 24 %.
type Millionths int64

const whole Millionths = 1_000_000

// Percent is the rate as people read it: 24, or 7.7.
func (m Millionths) Percent() string {
	text := fmt.Sprintf("%d.%04d", m/10_000, m%10_000)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// Rate is what a country asks for from a day on.
type Rate struct {
	Country         string // ISO 3166-1, two letters
	From            string // the first day, in UTC, on which it holds: 2024-09-01; "" for always
	Name            string // as it stands on invoices: VAT
	Rate            Millionths
	IsReverseCharge bool // a business of this country with a good tax id owes it by itself if the seller is elsewhere
	IsHome          bool // the seller's country
}

// Rule is the rule by which a purchase was taxed.
type Rule string

// The rules. What was paid before rules were kept has none.
const (
	Standard      Rule = "standard"       // the rate of the buyer's country
	ReverseCharge Rule = "reverse_charge" // nothing is collected, for the buyer owes it
	NotTaxed      Rule = "not_taxed"      // the table has no rate for the buyer's country on that day
)

// Buyer is who is taxed.
type Buyer struct {
	Country string
	Evidence
}

// Line is the tax of one purchase, with what it went by.
type Line struct {
	Country, Name   string
	Rate            Millionths
	IsReverseCharge bool // nothing is collected, for the buyer owes it
	Net, Tax        credit.Amount
	Rule            Rule
	From            string // since when the rate holds: that of its entry in the table
	Evidence
}

// Gross is what is paid.
func (l Line) Gross() credit.Amount { return l.Net + l.Tax }

// Rates are all rates, by country and day. Where there is none no tax is collected.
type Rates []Rate

// Table is how the operator has tax collected.
type Table struct {
	Rates          Rates
	IsVerifiedOnly bool   // only a tax id that the operator has verified reverses the charge
	Seller         string // the seller's country where it is known; not kept with the table
}

// maxRates bounds the table.
const maxRates = 1000

// Read reads the table of the installation.
func Read(tx *db.Tx) (t Table, err error) {
	t.Rates, err = db.All(tx, func(r db.Scanner) (rate Rate, err error) {
		var reverse, home int64
		err = r.Scan(&rate.Country, &rate.From, &rate.Name, &rate.Rate, &reverse, &home)
		rate.IsReverseCharge, rate.IsHome = reverse != 0, home != 0
		return rate, err
	}, `SELECT country, valid_from, name, rate, reverse_charge, is_home FROM tax_rates ORDER BY country, valid_from`)
	if err != nil {
		return t, fmt.Errorf("read the tax rates: %w", err)
	}
	var verified int64
	err = tx.QueryRow(`SELECT verified_only FROM tax_settings WHERE id = 1`).Scan(&verified)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("read the settings of tax: %w", err)
	}
	t.IsVerifiedOnly = verified != 0
	return t, nil
}

// Replace puts another table in the place of the one that there is.
func Replace(tx *db.Tx, t Table) error {
	if err := t.Rates.check(); err != nil {
		return err
	}
	if err := tx.Exclude("tax rates"); err != nil {
		return fmt.Errorf("hold the tax rates: %w", err)
	}
	if _, err := tx.Exec(`DELETE FROM tax_rates`); err != nil {
		return fmt.Errorf("replace the tax rates: %w", err)
	}
	for _, r := range t.Rates {
		_, err := tx.Exec(`INSERT INTO tax_rates (country, valid_from, name, rate, reverse_charge, is_home) VALUES ($1, $2, $3, $4, $5, $6)`,
			r.Country, r.From, r.Name, int64(r.Rate), db.Flag(r.IsReverseCharge), db.Flag(r.IsHome))
		if err != nil {
			return fmt.Errorf("write the tax rate of %s: %w", r.Country, err)
		}
	}
	_, err := tx.Exec(`INSERT INTO tax_settings (id, verified_only) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET verified_only = excluded.verified_only`, db.Flag(t.IsVerifiedOnly))
	if err != nil {
		return fmt.Errorf("write the settings of tax: %w", err)
	}
	return nil
}

func (rates Rates) check() error {
	var wrong fault.Fields
	if len(rates) > maxRates {
		return fault.At("/rates", "may be at most %d", maxRates)
	}
	type key struct{ country, from string }
	homes, seen, home := 0, map[key]bool{}, map[string]bool{}
	for i, r := range rates {
		at := fmt.Sprintf("/rates/%d", i)
		is, isKnown := home[r.Country]
		switch {
		case !IsCountry(r.Country):
			wrong.Add(at+"/country", "must be the two letters of a country, as DE")
		case r.From != "" && !IsDay(r.From):
			wrong.Add(at+"/valid_from", "must be a day, as 2024-09-01, or missing for always")
		case seen[key{r.Country, r.From}]:
			wrong.Add(at+"/country", "stands here twice from the same day")
		case r.Rate < 0 || r.Rate > whole:
			wrong.Add(at+"/rate", "must be between 0 and 100 %")
		case r.Name == "" || len(r.Name) > 60:
			wrong.Add(at+"/name", "must have 1 to 60 characters")
		case isKnown && is != r.IsHome:
			wrong.Add(at+"/home", "must be the same in all entries of a country")
		}
		if seen[key{r.Country, r.From}] = true; r.IsHome && !isKnown {
			homes++
		}
		home[r.Country] = r.IsHome
	}
	if homes > 1 {
		wrong.Add("/rates", "name one country as the seller's at most")
	}
	return wrong.Err()
}

// IsDay reports whether a text is a day of the calendar: 2024-09-01.
func IsDay(text string) bool {
	t, err := time.Parse(time.DateOnly, text)
	return err == nil && t.Format(time.DateOnly) == text
}

// Day is the day, in UTC, of an instant in Unix nanoseconds.
func Day(at int64) string { return time.Unix(0, at).UTC().Format(time.DateOnly) }

// IsCountry reports whether a text is the code of a country, in capitals.
func IsCountry(code string) bool {
	if len(code) != 2 || code != strings.ToUpper(code) {
		return false
	}
	region, err := language.ParseRegion(code)
	return err == nil && region.IsCountry() && region.String() == code
}

// On is the tax on a net amount of whole cents that somebody pays on a day, rounded half up
// to the cent. A part of a cent is refused, and so is a buyer without a country where there
// is a table ([Table.Misses]).
func (t Table) On(b Buyer, net credit.Amount, day string) (Line, error) {
	if net < 0 || net%credit.Cent != 0 {
		return Line{}, fault.At("/amount", "must be whole cents")
	}
	if err := t.Misses(b); err != nil {
		return Line{}, err
	}
	line := Line{Country: b.Country, Net: net, Rule: NotTaxed, Evidence: b.Evidence}
	rate, isTaxed := t.Rates.of(b.Country, day)
	if !isTaxed {
		return line, nil
	}
	line.Name, line.Rate, line.From, line.Rule = rate.Name, rate.Rate, rate.From, Standard
	if rate.IsReverseCharge && !rate.IsHome && b.Country != t.Seller && t.isGood(b.State) {
		line.IsReverseCharge, line.Rule = true, ReverseCharge
		return line, nil
	}
	line.Tax = share(net, rate.Rate)
	return line, nil
}

// Misses is the fault that a buyer's country is not known and has to be, before any money is
// asked for; nil if nothing is missing.
func (t Table) Misses(b Buyer) error {
	if len(t.Rates) == 0 || b.Country != "" {
		return nil
	}
	return fault.New(fault.Conflict, "tax is collected here by the country of the buyer, and the billing profile names none: set country there first, "+
		`as with "purser org set --country DE"`).WithCode("no_tax_country").With("field", "country")
}

// isGood reports whether a tax id in a state is enough to reverse the charge.
func (t Table) isGood(s State) bool {
	return s == Verified || s == FormChecked && !t.IsVerifiedOnly
}

// of is the entry of a country that holds on a day: of those that have begun, the last.
func (rates Rates) of(country, day string) (found Rate, ok bool) {
	for _, r := range rates {
		if r.Country == country && r.From <= day && (!ok || r.From >= found.From) {
			found, ok = r, true
		}
	}
	return found, ok
}

// share is rate × net, rounded half up to the cent. 128 bits: no product is too large.
func share(net credit.Amount, rate Millionths) credit.Amount {
	n := credit.MulWide(uint64(net/credit.Cent), uint64(rate)).Big()
	n.Add(n, credit.MulWide(uint64(whole/2), 1).Big())
	return credit.Cent * credit.Amount(n.Quo(n, credit.MulWide(uint64(whole), 1).Big()).Int64())
}

// Part is the tax that belongs to a part of a purchase, for a refund: what the parts up
// to and with this one have in all, less what those before it had. So the parts of the
// whole add up to its tax.
func (l Line) Part(before, part credit.Amount) credit.Amount {
	if l.Net == 0 {
		return 0
	}
	of := func(sum credit.Amount) credit.Amount {
		return credit.Cent * credit.Share(l.Tax/credit.Cent, sum, l.Net)
	}
	return of(before+part) - of(before)
}
