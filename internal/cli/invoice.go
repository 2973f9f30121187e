package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) invoiceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "invoice",
		Short: "Show and download invoices and statements; record what was paid (operator)",
		Long: `There is an invoice for every payment and for what a contract commits, a credit note for
all that was paid back or credited of one, and a statement at the end of every month. What
was issued never changes: it can be downloaded again at any time, byte for byte. What
a contract commits is paid by bank, and the operator records that.`,
	}
	c.AddCommand(p.invoiceList(), p.invoiceShow(), p.invoiceDownload(), p.invoiceUnpaid(), p.invoicePayments(), p.invoicePaid(), p.invoiceReverse(), p.invoiceVoid())
	return c
}

func (p *program) invoiceList() *cobra.Command {
	var q api.InvoiceQuery
	var since, until string
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List invoices, credit notes and statements, the newest first",
		Long:    `Ls lists what was issued to the organization, the newest first.`,
		Example: `  purser invoice ls --kind statement
  purser invoice ls --since 2026-01-01 --until 2027-01-01 --limit 0 -o csv`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if q.From, err = p.instant(c.Context(), since, -1); err != nil {
				return err
			}
			if q.To, err = p.instant(c.Context(), until, -1); err != nil {
				return err
			}
			found, err := list(limit, func(page api.Page) (api.List[api.Invoice], error) {
				q.Page = page
				return p.client().Invoices(c.Context(), p.settings.get("org"), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"number", "kind", "issued_at", "from", "to", "amount", "currency", "state", "due_on", "open", "id"}, empty: "Nothing was issued."}
			for _, i := range found.Items {
				t.row(text(i.Number), text(i.Kind), when(i.IssuedAt), whenOr(i.From), whenOr(i.To), amount(i.Amount), text(i.Currency), text(i.State), text(i.DueOn),
					amount(i.Open), text(i.ID))
			}
			return p.show(found, t)
		},
	}
	c.Flags().StringVar(&q.Kind, "kind", "", "only these: invoice, credit_note or statement")
	c.Flags().StringVar(&since, "since", "", "issued from then on: an instant, a day, or a length of time ago")
	c.Flags().StringVar(&until, "until", "", "issued before then")
	limitFlag(c, &limit)
	return c
}

func (p *program) invoiceShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show INVOICE",
		Short:   "Show a document",
		Long:    `Show prints a document, named by its number or id. With -o json it is all that stands in it.`,
		Example: `  purser invoice show INV-2026-000001`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeInvoices(),
		RunE: func(c *cobra.Command, args []string) error {
			i, err := p.client().Invoice(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			facts := []fact{{"number", text(i.Number)}, {"kind", text(i.Kind)}, {"issued_at", when(i.IssuedAt)}, {"from", whenOr(i.From)},
				{"to", whenOr(i.To)}, {"seller", text(i.Document.Seller.Name)}, {"buyer", text(i.Document.Buyer.Name)},
				{"reference", text(i.Document.Reference)}, {"amount", amount(i.Amount)}, {"state", text(i.State)}, {"due_on", text(i.DueOn)},
				{"paid", amount(i.Paid)}, {"credited", amount(i.Credited)}, {"open", amount(i.Open)}, {"digest", text(i.Digest)}}
			if err := p.showFacts(i, facts...); err != nil {
				return err
			}
			if p.settings.output() != "table" {
				return nil
			}
			fmt.Fprintln(p.out)
			return p.show(i, invoiceLines(i.Document))
		},
	}
}

// invoiceLines are the lines of a document as they are printed.
func invoiceLines(d api.InvoiceDocument) *table {
	t := &table{names: []string{"description", "project", "quantity", "unit", "amount"}}
	lines := d.Lines
	if d.Total != nil {
		lines = d.Total.Lines
		t.row(text("Opening balance"), text(""), text(""), text(""), amount(d.Total.Opening.Printed))
	}
	for _, l := range lines {
		t.row(text(l.Description), text(l.Project), text(l.Quantity), text(l.Unit), amount(l.Printed))
	}
	if d.Total != nil {
		t.row(text("Rounding"), text(""), text(""), text(""), amount(d.Total.Rounding))
		t.row(text("Closing balance"), text(""), text(""), text(""), amount(d.Total.Closing.Printed))
	}
	if d.Tax != nil {
		t.row(text(taxLabel(d.Tax)), text(""), text(""), text(""), amount(d.Tax.Tax))
		t.row(text("Total"), text(""), text(""), text(""), amount(d.Tax.Gross))
	}
	return t
}

// taxLabel is what the tax of a document is called on the document.
func taxLabel(t *api.InvoiceTax) string {
	label := cmp.Or(t.Name, "Tax") + " " + t.Percent + " %"
	if t.ReverseCharge {
		label += ", reverse charge"
	}
	return label
}

func (p *program) invoiceDownload() *cobra.Command {
	var form, file string
	c := &cobra.Command{
		Use:   "download INVOICE",
		Short: "Download a document as PDF, CSV or JSON",
		Long: `Download writes a document into a file in the working directory that is named after
its number, or into FILE; - is standard output.`,
		Example: `  purser invoice download INV-2026-000001
  purser invoice download ST-2026-000001 -o csv --file -`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeInvoices(),
		RunE: func(c *cobra.Command, args []string) error {
			i, err := p.client().Invoice(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			var content []byte
			switch form {
			case "pdf", "csv":
				content, err = p.client().DownloadInvoice(c.Context(), p.settings.get("org"), i.ID, form)
			case "json":
				content, err = plainJSON(i.Document)
			default:
				return wrong("--output %q is none of pdf, csv and json", form)
			}
			if err != nil {
				return err
			}
			if file == "-" {
				_, err = p.out.Write(content)
				return err
			}
			if file == "" {
				file = i.Number + "." + form
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				return fmt.Errorf("write the document: %w", err)
			}
			fmt.Fprintln(p.out, file)
			return nil
		},
	}
	c.Flags().StringVarP(&form, "output", "o", "pdf", "pdf, csv or json")
	c.Flags().StringVarP(&file, "file", "f", "", "where to; - for standard output")
	return c
}

// plainJSON is a document with the bytes of which the digest is: without escapes that JSON
// does not need.
func plainJSON(d api.InvoiceDocument) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(d)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// completeInvoices offers the newest documents to the shell.
func (p *program) completeInvoices() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		found, err := p.client().Invoices(c.Context(), p.settings.get("org"), api.InvoiceQuery{})
		var numbers []string
		for _, i := range found.Items {
			numbers = append(numbers, cobra.CompletionWithDesc(i.Number, i.Kind+" of "+string(i.IssuedAt)))
		}
		return numbers, err
	})
}
