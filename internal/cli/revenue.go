package cli

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) revenueCommand() *cobra.Command {
	c := p.revenueView("revenue", "See what was taken in, is owed and was earned (operator)", `Revenue shows, by UTC day or month, what the installation took in, granted, earned and
still owes: cash and tax, revenue by what covered it (credits that were paid for,
promotional credits, overdraft, nothing), credits that expired, and what customers can
still use. Every figure is a sum of postings.`, revenueTable)
	c.AddCommand(
		p.revenueView("skus", "Revenue by SKU", `Skus shows the revenue of every period by SKU, and what covered it.`, skuTable),
		p.revenueView("accounts", "Opening and closing balance of every account", `Accounts shows what every account stood at before the first day and after the last, and
what was debited and credited between, as accountants say it: cash stands above zero,
what is owed to customers below, and all of them come to zero.`, accountTable),
		p.revenueJournal(),
	)
	return c
}

func (p *program) revenueView(use, short, long string, of func(api.Revenue) *table) *cobra.Command {
	var q api.RevenueQuery
	var since, until string
	c := &cobra.Command{
		Use: use, Short: short, Long: long,
		Example: `  purser revenue
  purser revenue skus --since 2026-11-01 --until 2026-12-01 --bucket month
  purser revenue journal --since 2026-11-01 --until 2026-12-01 --accounts accounts.txt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.days(c, &q, since, until); err != nil {
				return err
			}
			report, err := p.client().Revenue(c.Context(), q)
			if err != nil {
				return err
			}
			return p.show(report, of(report))
		},
	}
	dayFlags(c, &q, &since, &until)
	return c
}

func dayFlags(c *cobra.Command, q *api.RevenueQuery, since, until *string) {
	c.Flags().StringVar(since, "since", "", "from that UTC day on: a day, an instant, or a length of time (default: the first of this month)")
	c.Flags().StringVar(until, "until", "", "before then (default: the end of today)")
	c.Flags().StringVar(&q.Bucket, "bucket", "", "day or month (default: day)")
}

func (p *program) days(c *cobra.Command, q *api.RevenueQuery, since, until string) (err error) {
	if q.From, err = p.instant(c.Context(), since, -1); err != nil {
		return err
	}
	q.To, err = p.instant(c.Context(), until, -1)
	return err
}

func revenueTable(r api.Revenue) *table {
	t := &table{names: []string{"from", "cash_received", "cash_returned", "charged_back", "tax", "revenue", "paid", "promotional", "financed", "overdraft", "overrun",
		"breakage", "outstanding", "outstanding_paid", "receivable", "invoiced", "fees", "uncollected", "invoices_open"}}
	for _, v := range r.Periods {
		t.row(when(v.From), amount(v.CashReceived), amount(v.CashReturned), amount(v.ChargedBack), amount(v.TaxCollected), amount(v.Revenue.Total),
			amount(v.Revenue.Paid), amount(v.Revenue.Promotional), amount(v.Revenue.Financed), amount(v.Revenue.Overdraft), amount(v.Revenue.Overrun),
			amount(v.Breakage.Total), amount(v.Outstanding.Total), amount(v.Outstanding.Paid), amount(v.Receivable),
			amount(v.Invoiced), amount(v.Fees), amount(v.Uncollected), amount(v.InvoicesOpen))
	}
	return t
}

func skuTable(r api.Revenue) *table {
	t := &table{names: []string{"from", "family", "sku", "revenue", "paid", "promotional", "financed", "overdraft", "overrun"}, empty: "Nothing was earned."}
	for _, v := range r.Periods {
		for _, s := range v.SKUs {
			t.row(when(v.From), text(s.Family), text(s.SKU), amount(s.Total), amount(s.Paid), amount(s.Promotional), amount(s.Financed),
				amount(s.Overdraft), amount(s.Overrun))
		}
	}
	return t
}

func accountTable(r api.Revenue) *table {
	t := &table{names: []string{"account", "opening", "debit", "credit", "closing"}, empty: "Nothing was posted."}
	for _, a := range r.Accounts {
		t.row(text(a.Account), amount(a.Opening), amount(a.Debit), amount(a.Credit), amount(a.Closing))
	}
	return t
}

func (p *program) revenueJournal() *cobra.Command {
	var q api.RevenueExport
	var since, until, file string
	c := &cobra.Command{
		Use:   "journal",
		Short: "Write journal lines that can be booked",
		Long: `Journal writes a line for every debit and credit of a day, or of a month under its last
day: date, account, debit, credit and memo, as CSV, or with -o jsonl as lines of JSON.
The lines of a date balance.

--accounts names a file that says what accounts are called in your chart, a line each:

  house/cash = 1000 Bank
  credits/purchased = 2400 Deferred revenue
  house/revenue/ = 4000 Sales

An account that ends in / stands for all that begin so.`,
		Example: `  purser revenue journal --since 2026-11-01 --until 2026-12-01 > november.csv
  purser revenue journal --bucket month --accounts accounts.txt`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.days(c, &q.RevenueQuery, since, until); err != nil {
				return err
			}
			if file != "" {
				names, err := os.ReadFile(file)
				if err != nil {
					return wrong("the names of the accounts cannot be read: %s", err)
				}
				q.Accounts = strings.Join(strings.FieldsFunc(string(names), func(r rune) bool { return r == '\n' || r == '\r' }), ";")
			}
			q.Format = "csv"
			if form := p.settings.output(); form == "jsonl" || form == "json" {
				q.Format = "jsonl"
			}
			return p.client().RevenueJournal(c.Context(), q, p.out)
		},
	}
	dayFlags(c, &q.RevenueQuery, &since, &until)
	c.Flags().StringVar(&file, "accounts", "", "a file with what accounts are called in your chart")
	return c
}
