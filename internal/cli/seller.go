package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) sellerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "seller",
		Short: "Show and set who issues invoices (operator)",
		Long:  `What is set here stands on the documents that are issued from then on; those that were stay as they are.`,
	}
	show := &cobra.Command{
		Use: "show", Short: "Show who issues invoices", Args: cobra.NoArgs,
		Long:    `Show prints who issues invoices; with -o json in the form that set reads.`,
		Example: `  purser seller show -o json`,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := p.client().Seller(c.Context())
			if err != nil {
				return err
			}
			return p.showSeller(s)
		},
	}
	var file string
	set := &cobra.Command{
		Use: "set -f FILE", Short: "Set who issues invoices", Args: cobra.NoArgs,
		Long: `Set reads the seller as JSON from FILE, or from standard input if FILE is -.

  {"legal_name": "Hyper GPU Cloud GmbH", "address": "Street 1\n10115 Berlin",
   "tax_id": "DE136695976", "country": "DE", "invoice_prefix": "INV",
   "payment_instructions": "IBAN DE02 1203 0000 0000 2020 51"}`,
		Example: `  purser seller set -f seller.json`,
		RunE: func(c *cobra.Command, _ []string) error {
			var s api.Seller
			if err := p.readJSON(file, "seller", &s); err != nil {
				return err
			}
			s, err := p.client().PutSeller(c.Context(), s)
			if err != nil {
				return err
			}
			return p.showSeller(s)
		},
	}
	fileFlag(set, &file, "the seller")
	c.AddCommand(show, set)
	return c
}

func (p *program) showSeller(s api.Seller) error {
	return p.showFacts(s, fact{"legal_name", text(s.LegalName)}, fact{"address", text(s.Address)}, fact{"tax_id", text(s.TaxID)},
		fact{"country", text(s.Country)}, fact{"email", text(s.Email)}, fact{"footer", text(s.Footer)}, fact{"payment_instructions", text(s.Instructions)}, fact{"invoice_prefix", text(s.InvoicePrefix)},
		fact{"credit_note_prefix", text(s.CreditNotePrefix)}, fact{"statement_prefix", text(s.StatementPrefix)})
}

func (p *program) taxRatesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tax-rates",
		Short: "Show and set the rates of tax (operator)",
		Long: `Tax is added to what is bought by the country of the buyer. Where a country is not
named, none is; where any is, nothing is sold to who names no country.`,
	}
	ls := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the rates of tax", Args: cobra.NoArgs,
		Long:    `Ls lists the rates of tax by country; with -o json in the form that set reads.`,
		Example: `  purser tax-rates ls`,
		RunE: func(c *cobra.Command, _ []string) error {
			rates, err := p.client().TaxRates(c.Context())
			if err != nil {
				return err
			}
			return p.show(rates, ratesTable(rates))
		},
	}
	var file string
	set := &cobra.Command{
		Use: "set -f FILE", Short: "Replace the rates of tax", Args: cobra.NoArgs,
		Long: `Set reads all rates as JSON from FILE, or from standard input if FILE is -. What was
paid keeps its tax. A rate holds from its valid_from on (UTC), or always without one.
With "verified_only" only a tax id that you have verified reverses the charge.

  {"rates": [{"country": "DE", "name": "VAT", "percent": "19", "home": true},
             {"country": "FI", "name": "VAT", "percent": "24", "reverse_charge": true},
             {"country": "FI", "name": "VAT", "percent": "25.5", "reverse_charge": true,
              "valid_from": "2024-09-01"}]}`,
		Example: `  purser tax-rates set -f rates.json`,
		RunE: func(c *cobra.Command, _ []string) error {
			var rates api.TaxRates
			if err := p.readJSON(file, "table of rates", &rates); err != nil {
				return err
			}
			rates, err := p.client().PutTaxRates(c.Context(), rates)
			if err != nil {
				return err
			}
			return p.show(rates, ratesTable(rates))
		},
	}
	fileFlag(set, &file, "the rates")
	c.AddCommand(ls, set)
	return c
}

func ratesTable(rates api.TaxRates) *table {
	t := &table{names: []string{"country", "valid_from", "name", "percent", "reverse_charge", "home"}, empty: "No tax is collected."}
	for _, r := range rates.Rates {
		t.row(text(r.Country), text(r.ValidFrom), text(r.Name), text(r.Percent), yes(r.ReverseCharge), yes(r.Home))
	}
	return t
}
