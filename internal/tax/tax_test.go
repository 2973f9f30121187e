package tax_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/tax"
)

var rates = tax.Rates{
	{Country: "DE", Name: "USt", Rate: 190_000, IsReverseCharge: true},
	{Country: "FI", Name: "ALV", Rate: 240_000, IsReverseCharge: true, IsHome: true},
	{Country: "US", Name: "sales tax", Rate: 82_500},
}

// # Tax goes by the buyer's country, and half a cent is a cent.
func TestOn(t *testing.T) {
	for name, c := range map[string]struct {
		buyer     tax.Buyer
		net, want string
		isReverse bool
	}{
		"at home":                           {tax.Buyer{Country: "FI"}, "100", "24", false},
		"at home, a business":               {tax.Buyer{Country: "FI", TaxID: "FI1"}, "100", "24", false},
		"abroad":                            {tax.Buyer{Country: "DE"}, "20.01", "3.8", false},
		"abroad, a business":                {tax.Buyer{Country: "DE", TaxID: "DE1"}, "100", "0", true},
		"where a business pays":             {tax.Buyer{Country: "US", TaxID: "1"}, "100", "8.25", false},
		"half a cent":                       {tax.Buyer{Country: "US"}, "0.2", "0.02", false},
		"less than half":                    {tax.Buyer{Country: "US"}, "0.06", "0", false},
		"nowhere":                           {tax.Buyer{}, "100", "0", false},
		"elsewhere":                         {tax.Buyer{Country: "JP"}, "100", "0", false},
		"the most that a wallet could hold": {tax.Buyer{Country: "FI"}, "2000000000", "480000000", false},
	} {
		t.Run(name, func(t *testing.T) {
			net, _ := credit.Parse(c.net)
			want, _ := credit.Parse(c.want)
			line, err := rates.On(c.buyer, net)
			if err != nil || line.Tax != want || line.IsReverseCharge != c.isReverse || line.Gross() != net+want {
				t.Errorf("%+v, %v", line, err)
			}
		})
	}
	if _, err := rates.On(tax.Buyer{}, 1); !fault.Is(err, fault.Invalid) {
		t.Error("a part of a cent is sold", err)
	}
}

// # The parts of a purchase that are refunded give back all of its tax, and no more.
func TestParts(t *testing.T) {
	line, err := rates.On(tax.Buyer{Country: "DE"}, 20_01*tax.Cent)
	if err != nil {
		t.Fatal(err)
	}
	var sum, before credit.Amount
	for _, part := range []credit.Amount{7, 1_234_567_890, 10 * credit.One, line.Net - 10*credit.One - 1_234_567_897} {
		sum += line.Part(before, part)
		before += part
		if sum%tax.Cent != 0 || sum > line.Tax {
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
	replace := func(r tax.Rates) error {
		return d.Update(context.Background(), func(tx *db.Tx) error { return tax.Replace(tx, r) })
	}
	if err := replace(rates); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]tax.Rates{
		"no country": {{Country: "EU", Name: "VAT"}}, "small letters": {{Country: "fi", Name: "VAT"}},
		"twice": {rates[0], rates[0]}, "more than all": {{Country: "FI", Name: "ALV", Rate: 1_000_001}},
		"no name": {{Country: "FI"}}, "two homes": {{Country: "FI", Name: "ALV", IsHome: true}, {Country: "DE", Name: "USt", IsHome: true}},
	} {
		if err := replace(wrong); !fault.Is(err, fault.Invalid) {
			t.Error(name, err)
		}
	}
	err = d.View(context.Background(), func(tx *db.Tx) error {
		have, err := tax.Read(tx)
		if err == nil && (len(have) != 3 || have[1] != rates[1] || have[0] != rates[0]) {
			t.Error(have)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
