package tax_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/tax"
)

var table = tax.Table{Rates: tax.Rates{
	{Country: "AT", Name: "USt", Rate: 200_000, IsReverseCharge: true},
	{Country: "DE", Name: "USt", Rate: 190_000, IsReverseCharge: true},
	{Country: "FI", Name: "ALV", Rate: 240_000, IsReverseCharge: true, IsHome: true},
	{Country: "FI", From: "2024-09-01", Name: "ALV", Rate: 255_000, IsReverseCharge: true, IsHome: true},
	{Country: "GR", From: "2025-01-01", Name: "FPA", Rate: 240_000},
	{Country: "US", Name: "sales tax", Rate: 82_500},
}, Seller: "AT"}

func buyer(country, id string, state tax.State) tax.Buyer {
	return tax.Buyer{Country: country, Evidence: tax.Evidence{TaxID: id, State: state}}
}

// # Tax goes by the buyer's country and the day, and half a cent is a cent.
func TestOn(t *testing.T) {
	const day = "2024-08-31"
	for name, c := range map[string]struct {
		buyer          tax.Buyer
		day, net, want string
		rule           tax.Rule
	}{
		"at home":                           {buyer("FI", "", ""), day, "100", "24", tax.Standard},
		"at home, the day after":            {buyer("FI", "", ""), "2024-09-01", "100", "25.5", tax.Standard},
		"at home, a business":               {buyer("FI", "FI1", tax.Verified), day, "100", "24", tax.Standard},
		"where the seller is":               {buyer("AT", "ATU1", tax.Verified), day, "100", "20", tax.Standard},
		"abroad":                            {buyer("DE", "", ""), day, "20.01", "3.8", tax.Standard},
		"abroad, a business":                {buyer("DE", "DE1", tax.FormChecked), day, "100", "0", tax.ReverseCharge},
		"abroad, a business that is known":  {buyer("DE", "DE1", tax.Verified), day, "100", "0", tax.ReverseCharge},
		"abroad, any text":                  {buyer("DE", "yes", tax.Unchecked), day, "100", "19", tax.Standard},
		"where a business pays":             {buyer("US", "1", tax.FormChecked), day, "100", "8.25", tax.Standard},
		"half a cent":                       {buyer("US", "", ""), day, "0.2", "0.02", tax.Standard},
		"less than half":                    {buyer("US", "", ""), day, "0.06", "0", tax.Standard},
		"elsewhere":                         {buyer("JP", "", ""), day, "100", "0", tax.NotTaxed},
		"before there was a rate":           {buyer("GR", "", ""), day, "100", "0", tax.NotTaxed},
		"the most that a wallet could hold": {buyer("FI", "", ""), day, "2000000000", "480000000", tax.Standard},
	} {
		t.Run(name, func(t *testing.T) {
			net, _ := credit.Parse(c.net)
			want, _ := credit.Parse(c.want)
			line, err := table.On(c.buyer, net, c.day)
			if err != nil || line.Tax != want || line.Rule != c.rule || line.IsReverseCharge != (c.rule == tax.ReverseCharge) || line.Gross() != net+want {
				t.Errorf("%+v, %v", line, err)
			}
			if line.Evidence != c.buyer.Evidence || line.Country != c.buyer.Country {
				t.Errorf("what it went by is not kept: %+v", line)
			}
		})
	}
	if _, err := table.On(buyer("FI", "", ""), 1, day); !fault.Is(err, fault.Invalid) {
		t.Error("a part of a cent is sold", err)
	}
}

// # Where only a verified tax id counts, one that merely looks right does not.
func TestVerifiedOnly(t *testing.T) {
	strict := table
	strict.IsVerifiedOnly = true
	for state, want := range map[tax.State]tax.Rule{tax.Verified: tax.ReverseCharge, tax.FormChecked: tax.Standard, tax.Unchecked: tax.Standard, tax.NoID: tax.Standard} {
		if line, err := strict.On(buyer("DE", "DE811569869", state), credit.One, "2026-01-01"); err != nil || line.Rule != want {
			t.Errorf("%q: %+v %v", state, line, err)
		}
	}
}

// # Where there is a table, a buyer has a country; where there is none, nothing is asked.
func TestCountry(t *testing.T) {
	_, err := table.On(tax.Buyer{}, credit.One, "2026-01-01")
	if f := fault.Of(err); f == nil || f.Kind != fault.Conflict || f.Code != "no_tax_country" || f.Values["field"] != "country" {
		t.Errorf("%v", err)
	}
	if line, err := (tax.Table{}).On(tax.Buyer{}, credit.One, "2026-01-01"); err != nil || line.Rule != tax.NotTaxed || line.Tax != 0 {
		t.Errorf("%+v %v", line, err)
	}
}

// # The parts of a purchase that are refunded give back all of its tax, and no more.
func TestParts(t *testing.T) {
	line, err := table.On(tax.Buyer{Country: "DE"}, 20_01*credit.Cent, "2026-01-01")
	if err != nil {
		t.Fatal(err)
	}
	var sum, before credit.Amount
	for _, part := range []credit.Amount{7, 1_234_567_890, 10 * credit.One, line.Net - 10*credit.One - 1_234_567_897} {
		sum += line.Part(before, part)
		before += part
		if sum%credit.Cent != 0 || sum > line.Tax {
			t.Errorf("after %s: %s of %s", before, sum, line.Tax)
		}
	}
	if before != line.Net || sum != line.Tax {
		t.Errorf("%s of %s come back, of %s", sum, line.Tax, before)
	}
}

// # The table is replaced whole, or not at all.
func TestReplace(t *testing.T) {
	d, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: db.SystemClock{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	replace := func(t tax.Table) error {
		return d.Update(context.Background(), func(tx *db.Tx) error { return tax.Replace(tx, t) })
	}
	strict := table
	strict.IsVerifiedOnly = true
	for _, next := range []tax.Table{table, strict} {
		if err := replace(next); err != nil {
			t.Fatal(err)
		}
		wrongTables(t, replace)
		err = d.View(context.Background(), func(tx *db.Tx) error {
			have, err := tax.Read(tx)
			if err == nil && (!slices.Equal(have.Rates, next.Rates) || have.IsVerifiedOnly != next.IsVerifiedOnly) {
				t.Error(have)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wrongTables(t *testing.T, replace func(tax.Table) error) {
	t.Helper()
	fi := tax.Rate{Country: "FI", Name: "ALV"}
	for name, wrong := range map[string]tax.Rates{
		"no country": {{Country: "EU", Name: "VAT"}}, "small letters": {{Country: "fi", Name: "VAT"}},
		"twice": {fi, fi}, "more than all": {{Country: "FI", Name: "ALV", Rate: 1_000_001}},
		"no name": {{Country: "FI"}}, "two homes": {{Country: "FI", Name: "ALV", IsHome: true}, {Country: "DE", Name: "USt", IsHome: true}},
		"no day": {{Country: "FI", Name: "ALV", From: "2026-02-30"}}, "half a home": {fi, {Country: "FI", Name: "ALV", From: "2026-01-01", IsHome: true}},
	} {
		if err := replace(tax.Table{Rates: wrong}); !fault.Is(err, fault.Invalid) {
			t.Error(name, err)
		}
	}
}
