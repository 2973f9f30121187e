package server

import (
	"fmt"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/tax"
)

func (s *Server) sellerCalls() {
	query(s, call{
		id: "get-seller", method: "GET", path: "/v1/seller", tag: tagInvoices, action: org.Operate,
		summary: "See who issues invoices",
	}, func(r *reading, _ *none) (out api.Seller, err error) {
		err = r.view(func(tx *db.Tx) error {
			seller, err := invoice.ReadSeller(tx)
			out = sellerOnWire(seller)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "put-seller", method: "PUT", path: "/v1/seller", tag: tagInvoices, action: org.Operate,
		summary:     "Set who issues invoices",
		description: "For the documents that are issued from now on: those that were stay as they are.",
	}, func(u *unit, _ *none, b *api.Seller) (api.Seller, error) {
		before, err := invoice.ReadSeller(u.tx)
		if err != nil {
			return api.Seller{}, err
		}
		u.before = sellerOnWire(before)
		put, err := invoice.PutSeller(u.tx, invoice.Seller{
			LegalName: b.LegalName, Address: b.Address, TaxID: b.TaxID, Country: b.Country, Email: b.Email, Footer: b.Footer, Instructions: b.Instructions,
			Prefixes: invoice.Prefixes{Invoice: b.InvoicePrefix, CreditNote: b.CreditNotePrefix, Statement: b.StatementPrefix},
		})
		return sellerOnWire(put), err
	})
	query(s, call{
		id: "get-tax-rates", method: "GET", path: "/v1/tax-rates", tag: tagInvoices, action: org.Operate,
		summary: "See the rates of tax",
	}, func(r *reading, _ *none) (out api.TaxRates, err error) {
		err = r.view(func(tx *db.Tx) error {
			table, err := tax.Read(tx)
			out = ratesOnWire(table)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "put-tax-rates", method: "PUT", path: "/v1/tax-rates", tag: tagInvoices, action: org.Operate,
		summary:     "Replace the rates of tax",
		description: "For payments that are made from now on. Where a country is not named no tax is collected; where any is, who buys has to name its country.",
	}, putRates)
}

func sellerOnWire(s invoice.Seller) api.Seller {
	return api.Seller{
		LegalName: s.LegalName, Address: s.Address, TaxID: s.TaxID, Country: s.Country, Email: s.Email, Footer: s.Footer, Instructions: s.Instructions,
		InvoicePrefix: s.Prefixes.Invoice, CreditNotePrefix: s.Prefixes.CreditNote, StatementPrefix: s.Prefixes.Statement,
	}
}

func putRates(u *unit, _ *none, b *api.TaxRates) (api.TaxRates, error) {
	var f fields
	rates := make(tax.Rates, len(b.Rates))
	for i, r := range b.Rates {
		rates[i] = tax.Rate{Country: r.Country, From: r.ValidFrom, Name: r.Name, IsReverseCharge: r.ReverseCharge, IsHome: r.Home}
		percent, err := credit.Parse(r.Percent)
		if err != nil || percent%percentPlace != 0 {
			f.Add(fmt.Sprintf("/rates/%d/percent", i), "must be a number with at most four decimal places, as 24 or 7.7")
		}
		rates[i].Rate = tax.Millionths(percent / percentPlace)
	}
	if err := f.Err(); err != nil {
		return api.TaxRates{}, err
	}
	before, err := tax.Read(u.tx)
	if err != nil {
		return api.TaxRates{}, err
	}
	u.before = ratesOnWire(before)
	if len(rates) > 0 {
		if err := u.orgs.MayTax(u.tx); err != nil {
			return api.TaxRates{}, err
		}
	}
	table := tax.Table{Rates: rates, IsVerifiedOnly: b.VerifiedOnly}
	if err := tax.Replace(u.tx, table); err != nil {
		return api.TaxRates{}, err
	}
	return ratesOnWire(table), nil
}

// percentPlace is a millionth as a part of a percent: the fourth decimal place.
const percentPlace = credit.One / 10_000

func ratesOnWire(t tax.Table) api.TaxRates {
	out := api.TaxRates{Rates: make([]api.TaxRate, len(t.Rates)), VerifiedOnly: t.IsVerifiedOnly}
	for i, r := range t.Rates {
		out.Rates[i] = api.TaxRate{
			Country: r.Country, ValidFrom: r.From, Name: r.Name, Percent: r.Rate.Percent(), ReverseCharge: r.IsReverseCharge, Home: r.IsHome,
		}
	}
	return out
}
