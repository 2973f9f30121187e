package api

import (
	"context"
	"io"
)

// RevenueQuery asks for whole UTC days.
type RevenueQuery struct {
	From   Instant `query:"from" doc:"The first day is the one that this is in; the first of this month if missing."`
	To     Instant `query:"to" doc:"Before this instant; the end of today if missing."`
	Bucket string  `query:"bucket" enum:"day,month" doc:"A period for each day, or for each month; day if missing."`
}

// Revenue is what the installation took in, owes and earned.
type Revenue struct {
	From     Instant          `json:"from" format:"date-time"`
	To       Instant          `json:"to" format:"date-time"`
	AsOf     Instant          `json:"as_of" format:"date-time"`
	Bucket   string           `json:"bucket" enum:"day,month"`
	Periods  []RevenuePeriod  `json:"periods"`
	Accounts []AccountBalance `json:"accounts" doc:"All accounts; the openings come to zero, and the closings."`
}

// RevenuePeriod is a day or a month.
type RevenuePeriod struct {
	From         Instant           `json:"from" format:"date-time"`
	To           Instant           `json:"to" format:"date-time"`
	CashReceived Amount            `json:"cash_received" doc:"For credits and fees, without tax. Credits that were invoiced count when their invoice is paid."`
	Invoiced     Amount            `json:"invoiced" doc:"On account: credits and fees, without tax, less what was credited."`
	Fees         Amount            `json:"fees" doc:"Invoiced, less what was credited: earned with the invoice."`
	Uncollected  Amount            `json:"uncollected" doc:"Of invoices that were credited though their credits had been used: the operator's loss."`
	CashReturned Amount            `json:"cash_returned" doc:"Of unused credits that were taken back: refunds of purchases, and disputes."`
	ChargedBack  Amount            `json:"charged_back" doc:"Of payments that went back though their credits were used: the operator's loss, less what came back."`
	TaxCollected Amount            `json:"tax_collected" doc:"Less what was given back."`
	Granted      map[string]Amount `json:"granted" doc:"By the kind of credits."`
	Revenue      RevenueParts      `json:"revenue" doc:"Recognized as credits were used, less refunds."`
	SKUs         []RevenueSKU      `json:"skus"`
	Breakage     RevenueParts      `json:"breakage" doc:"Credits that expired unused."`
	WrittenOff   Amount            `json:"written_off" doc:"What was owed for retained storage and never paid."`
	Outstanding  RevenueParts      `json:"outstanding" doc:"At the end: what customers can still use, the liability."`
	Receivable   Amount            `json:"receivable" doc:"At the end: what customers owe."`
	InvoicesOpen Amount            `json:"invoices_open" doc:"At the end, of that: invoices on account that are not paid, with tax."`
	Transit      Amount            `json:"transit" doc:"At the end: transfers under way; zero at rest."`
}

// RevenueParts is an amount by what covers it.
type RevenueParts struct {
	Total       Amount `json:"total"`
	Paid        Amount `json:"paid" doc:"Purchased credits and commitments."`
	Promotional Amount `json:"promotional" doc:"Promotional, plan and adjustment credits: a discount of revenue."`
	Financed    Amount `json:"financed" doc:"Credits that a lender paid for."`
	Overdraft   Amount `json:"overdraft" doc:"Owed by customers: overdrafts and retained storage."`
	Overrun     Amount `json:"overrun" doc:"Covered by nothing: the operator's loss."`
}

// RevenueSKU is the revenue of one SKU.
type RevenueSKU struct {
	Family string `json:"family"`
	SKU    string `json:"sku" doc:"Empty for amounts held that were captured as such."`
	RevenueParts
}

// AccountBalance is what an account came to, as accountants say it: debits less credits.
type AccountBalance struct {
	Account string `json:"account" example:"house/cash"`
	Opening Amount `json:"opening"`
	Debit   Amount `json:"debit"`
	Credit  Amount `json:"credit"`
	Closing Amount `json:"closing"`
}

// RevenueExport asks for a journal that can be booked.
type RevenueExport struct {
	RevenueQuery
	Accounts string `query:"accounts" maxLength:"4000" doc:"What accounts are called in the accountant's chart: account=name, with semicolons between. An account that ends in / stands for all that begin so." example:"house/cash=1000 Bank;house/revenue/=4000"`
	Format   string `query:"format" doc:"JSON lines, or CSV." enum:"jsonl,csv" default:"jsonl"`
}

// JournalLine is a line to be booked. The lines of a date balance.
type JournalLine struct {
	Date    string `json:"date" example:"2026-11-30"`
	Account string `json:"account"`
	Debit   Amount `json:"debit"`
	Credit  Amount `json:"credit"`
	Memo    string `json:"memo"`
}

// Revenue tells what the installation took in, owes and earned.
func (c *Client) Revenue(ctx context.Context, q RevenueQuery) (Revenue, error) {
	return ask[Revenue](ctx, c, get, at("/revenue"), q, nil)
}

// RevenueJournal writes the lines to be booked.
func (c *Client) RevenueJournal(ctx context.Context, q RevenueExport, w io.Writer) error {
	return c.export(ctx, at("/revenue/journal"), q, w)
}
