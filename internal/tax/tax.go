// Package tax says what is added to a purchase by law.
//
// What it keeps true: tax is computed once for each payment, on its whole net amount,
// rounded half up to the cent; what was computed is kept with the payment and its
// invoice, so that another rate changes nothing that has been paid.
package tax

import (
	"fmt"
	"slices"
	"strings"

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

// Cent is a cent of the currency of credits.
const Cent = credit.One / 100

// Rate is what a country asks for.
type Rate struct {
	Country         string // ISO 3166-1, two letters
	Name            string // as it stands on invoices: VAT
	Rate            Millionths
	IsReverseCharge bool // a business of this country with a tax id owes it by itself if the seller is elsewhere
	IsHome          bool // the seller's country
}

// Buyer is who is taxed.
type Buyer struct{ Country, TaxID string }

// Line is the tax of one purchase.
type Line struct {
	Country, Name   string
	Rate            Millionths
	IsReverseCharge bool // nothing is collected, for the buyer owes it
	Net, Tax        credit.Amount
}

// Gross is what is paid.
func (l Line) Gross() credit.Amount { return l.Net + l.Tax }

// Rates are all rates, by country. Where there is none no tax is collected.
type Rates []Rate

// maxRates bounds the table.
const maxRates = 300

// Read reads the rates of the installation.
func Read(tx *db.Tx) (Rates, error) {
	rates, err := db.All(tx, func(r db.Scanner) (rate Rate, err error) {
		var reverse, home int64
		err = r.Scan(&rate.Country, &rate.Name, &rate.Rate, &reverse, &home)
		rate.IsReverseCharge, rate.IsHome = reverse != 0, home != 0
		return rate, err
	}, `SELECT country, name, rate, reverse_charge, is_home FROM tax_rates ORDER BY country`)
	if err != nil {
		return nil, fmt.Errorf("read the tax rates: %w", err)
	}
	return rates, nil
}

// Replace puts other rates in the place of all that there are.
func Replace(tx *db.Tx, rates Rates) error {
	if err := rates.check(); err != nil {
		return err
	}
	if err := tx.Exclude("tax rates"); err != nil {
		return fmt.Errorf("hold the tax rates: %w", err)
	}
	if _, err := tx.Exec(`DELETE FROM tax_rates`); err != nil {
		return fmt.Errorf("replace the tax rates: %w", err)
	}
	for _, r := range rates {
		_, err := tx.Exec(`INSERT INTO tax_rates (country, name, rate, reverse_charge, is_home) VALUES ($1, $2, $3, $4, $5)`,
			r.Country, r.Name, int64(r.Rate), db.Flag(r.IsReverseCharge), db.Flag(r.IsHome))
		if err != nil {
			return fmt.Errorf("write the tax rate of %s: %w", r.Country, err)
		}
	}
	return nil
}

func (rates Rates) check() error {
	var wrong fault.Fields
	if len(rates) > maxRates {
		return fault.At("/rates", "may be at most %d", maxRates)
	}
	homes, seen := 0, map[string]bool{}
	for i, r := range rates {
		at := fmt.Sprintf("/rates/%d", i)
		switch {
		case !IsCountry(r.Country):
			wrong.Add(at+"/country", "must be the two letters of a country, as DE")
		case seen[r.Country]:
			wrong.Add(at+"/country", "stands here twice")
		case r.Rate < 0 || r.Rate > whole:
			wrong.Add(at+"/rate", "must be between 0 and 100 %")
		case r.Name == "" || len(r.Name) > 60:
			wrong.Add(at+"/name", "must have 1 to 60 characters")
		}
		seen[r.Country] = true
		if r.IsHome {
			homes++
		}
	}
	if homes > 1 {
		wrong.Add("/rates", "name one country as the seller's at most")
	}
	return wrong.Err()
}

// IsCountry reports whether a text is the code of a country, in capitals.
func IsCountry(code string) bool {
	if len(code) != 2 || code != strings.ToUpper(code) {
		return false
	}
	region, err := language.ParseRegion(code)
	return err == nil && region.IsCountry() && region.String() == code
}

// On is the tax on a net amount of whole cents that somebody pays.
func (rates Rates) On(b Buyer, net credit.Amount) (Line, error) {
	if net < 0 || net%Cent != 0 {
		return Line{}, fault.At("/amount", "must be whole cents")
	}
	line := Line{Country: b.Country, Net: net}
	i := slices.IndexFunc(rates, func(r Rate) bool { return r.Country == b.Country })
	if i < 0 {
		return line, nil
	}
	rate := rates[i]
	line.Name, line.Rate = rate.Name, rate.Rate
	if rate.IsReverseCharge && !rate.IsHome && b.TaxID != "" {
		line.IsReverseCharge = true
		return line, nil
	}
	line.Tax = share(net, rate.Rate)
	return line, nil
}

// share is rate × net, rounded half up to the cent. 128 bits: no product is too large.
func share(net credit.Amount, rate Millionths) credit.Amount {
	n := credit.MulWide(uint64(net/Cent), uint64(rate)).Big()
	n.Add(n, credit.MulWide(uint64(whole/2), 1).Big())
	return Cent * credit.Amount(n.Quo(n, credit.MulWide(uint64(whole), 1).Big()).Int64())
}

// Part is the tax that belongs to a part of a purchase, for a refund: what the parts up
// to and with this one have in all, less what those before it had. So the parts of the
// whole add up to its tax.
func (l Line) Part(before, part credit.Amount) credit.Amount {
	if l.Net == 0 {
		return 0
	}
	of := func(sum credit.Amount) credit.Amount {
		n := credit.MulWide(uint64(l.Tax/Cent), uint64(sum)).Big()
		return Cent * credit.Amount(n.Quo(n, credit.MulWide(uint64(l.Net), 1).Big()).Int64())
	}
	return of(before+part) - of(before)
}
