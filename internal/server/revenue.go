package server

import (
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/revenue"
)

func (s *Server) revenueCalls() {
	query(s, call{
		id: "get-revenue", method: "GET", path: "/v1/revenue", tag: tagServer, action: org.Operate,
		summary: "See what was taken in, is owed and was earned",
		description: "By UTC day or month: cash, tax, credits granted, revenue by SKU and by what covered it, breakage, and what is outstanding; " +
			"with the opening and closing balance of every account. Every figure is a sum of postings.",
	}, func(r *reading, p *api.RevenueQuery) (out api.Revenue, err error) {
		report, err := r.revenue(*p)
		if err != nil {
			return out, err
		}
		return revenueOnWire(report), nil
	})
	exported(s, call{
		id: "export-revenue-journal", method: "GET", path: "/v1/revenue/journal", tag: tagServer, action: org.Operate,
		summary: "Export journal lines that can be booked",
		description: "Date, account, debit, credit and memo; the lines of a date balance. By month the date is the last day of it. " +
			aboutExport,
	}, func(r *reading, p *api.RevenueExport) (*export[api.JournalLine], error) {
		names, err := revenue.ParseNames(p.Accounts)
		if err != nil {
			return nil, err
		}
		return &export[api.JournalLine]{format: p.Format, columns: journalColumns, cells: journalCells, next: func() (lines []api.JournalLine, isMore bool, err error) {
			report, err := r.revenue(p.RevenueQuery)
			if err != nil {
				return nil, false, err
			}
			return lines, false, report.Journal(names, func(l revenue.Line) error {
				lines = append(lines, api.JournalLine{Date: l.Date, Account: l.Account, Debit: amount(l.Debit), Credit: amount(l.Credit), Memo: l.Memo})
				return nil
			})
		}}, nil
	})
}

func (r *reading) revenue(p api.RevenueQuery) (report *revenue.Report, err error) {
	var f fields
	q := revenue.Query{From: f.instant("from", p.From), To: f.instant("to", p.To), Bucket: revenue.Bucket(p.Bucket)}
	if err := f.Err(); err != nil {
		return nil, err
	}
	err = r.view(func(tx *db.Tx) error {
		report, err = revenue.Read(r.ledger, tx, q)
		return err
	})
	return report, err
}

var journalColumns = strings.Fields(`date account debit credit memo`)

func journalCells(l api.JournalLine) []string {
	return []string{l.Date, l.Account, string(l.Debit), string(l.Credit), l.Memo}
}

func revenueOnWire(r *revenue.Report) api.Revenue {
	out := api.Revenue{From: api.At(r.From), To: api.At(r.To), AsOf: api.At(r.AsOf), Bucket: string(r.Bucket),
		Periods: []api.RevenuePeriod{}, Accounts: []api.AccountBalance{}}
	for i := range r.Periods {
		out.Periods = append(out.Periods, periodOnWire(&r.Periods[i]))
	}
	for _, b := range r.Accounts {
		out.Accounts = append(out.Accounts, api.AccountBalance{Account: b.Account, Opening: amount(b.Opening), Debit: amount(b.Debit),
			Credit: amount(b.Credit), Closing: amount(b.Closing)})
	}
	return out
}

func periodOnWire(p *revenue.Period) api.RevenuePeriod {
	out := api.RevenuePeriod{
		From: api.At(p.Begin), To: api.At(p.End), CashReceived: amount(p.CashReceived), CashReturned: amount(p.CashReturned),
		ChargedBack: amount(p.ChargedBack), TaxCollected: amount(p.TaxCollected), Granted: map[string]api.Amount{},
		Revenue: partsOnWire(p.Revenue), SKUs: []api.RevenueSKU{}, Breakage: partsOnWire(p.Breakage), WrittenOff: amount(p.WrittenOff),
		Outstanding: partsOnWire(p.Outstanding), Receivable: amount(p.Receivable), Transit: amount(p.Transit),
		Invoiced: amount(p.Invoiced), Fees: amount(p.Fees), Uncollected: amount(p.Uncollected), InvoicesOpen: amount(p.InvoicesOpen),
	}
	for kind, granted := range p.Granted {
		out.Granted[string(kind)] = amount(granted)
	}
	for _, sku := range p.SKUs {
		out.SKUs = append(out.SKUs, api.RevenueSKU{Family: sku.Family, SKU: sku.SKU, RevenueParts: partsOnWire(sku.Parts)})
	}
	return out
}

func partsOnWire(p revenue.Parts) api.RevenueParts {
	return api.RevenueParts{Total: amount(p.Total()), Paid: amount(p.Paid), Promotional: amount(p.Promotional), Financed: amount(p.Financed),
		Overdraft: amount(p.Receivable), Overrun: amount(p.Overrun)}
}
