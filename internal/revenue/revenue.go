// Package revenue tells the operator what the installation has taken in, owes and earned.
//
// What it keeps true: every figure is a sum of postings and of nothing else, so that what
// is opened, moved and closed agrees for every account, and the lines to be booked come
// to zero for every day.
package revenue

import (
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Bucket is the span of time that a figure is for.
type Bucket string

// The buckets: UTC days and months.
const (
	Daily   Bucket = "day"
	Monthly Bucket = "month"
)

// The limits of a report.
const (
	MaxDays   = 400     // with a period for each day
	MaxMonths = 240     // with one for each month
	MaxSKUs   = 100_000 // rows of SKUs, over all periods
)

// Query asks for the days from one instant to another: whole UTC days, the first with
// From in it and the last with the instant before To.
type Query struct {
	From, To int64 // 0: the first of this month; the end of today
	Bucket   Bucket
}

// Parts is an amount by what covered it.
type Parts struct {
	Paid        credit.Amount // credits that customers paid for: purchased and commitment
	Promotional credit.Amount // promotional, plan and adjustment: a discount of revenue
	Financed    credit.Amount // credits that a lender paid for
	Receivable  credit.Amount // overdrafts, and storage that was retained: owed by customers
	Overrun     credit.Amount // nothing: the operator's loss
}

// Total is the sum of the parts.
func (p Parts) Total() credit.Amount {
	return p.Paid + p.Promotional + p.Financed + p.Receivable + p.Overrun
}

// SKU is the revenue of one SKU.
type SKU struct {
	Family, SKU string // the SKU is "" for amounts held that were captured as such
	Parts
}

// Period is what happened from Begin to before End, and how it stood at the end.
type Period struct {
	Begin, End   int64
	CashReceived credit.Amount // for credits and fees, without tax; credits on account count when their invoice is paid
	Invoiced     credit.Amount // on account: credits and fees, without tax, less what was credited
	Fees         credit.Amount // that were invoiced, less what was credited: earned with the invoice
	Uncollected  credit.Amount // of invoices that were credited though their credits had been used: the operator's loss
	CashReturned credit.Amount // of credits that were taken back: refunds of purchases, and disputes
	ChargedBack  credit.Amount // of credits that had been used: the operator's loss, less what came back
	TaxCollected credit.Amount // less what was given back
	Granted      map[wallet.LotKind]credit.Amount
	Revenue      Parts
	SKUs         []SKU
	Breakage     Parts
	WrittenOff   credit.Amount // of what was owed
	Outstanding  Parts         // at the end: what customers can still use
	Receivable   credit.Amount // at the end: what they owe
	InvoicesOpen credit.Amount // of that: invoices on account that are not paid, with tax
	Transit      credit.Amount // at the end: transfers under way, zero at rest
}

// Balance is what an account came to, as accountants say it: what was debited less what
// was credited. Cash stands above zero then, and what is owed to customers below.
type Balance struct {
	Account                         string
	Opening, Debit, Credit, Closing credit.Amount
}

// Report is the view of the house over a span of days.
type Report struct {
	From, To, AsOf int64
	Bucket         Bucket
	Periods        []Period
	Accounts       []Balance // of all accounts that were ever used, by name; their openings come to zero, and their closings

	days ledger.DaySums
	keys map[int64][]ledger.DayKey // of the days
}

// Read makes the report.
func Read(books *ledger.Ledger, tx *db.Tx, q Query) (*Report, error) {
	if err := q.fill(tx.Now()); err != nil {
		return nil, err
	}
	days, err := books.HouseDays(tx, q.From, q.To)
	if err != nil {
		return nil, err
	}
	before, err := books.HouseBefore(tx, q.From)
	if err != nil {
		return nil, err
	}
	r := &Report{From: q.From, To: q.To, AsOf: tx.Now(), Bucket: q.Bucket, days: days}
	standing := map[string]credit.Amount{}
	for account, amount := range before {
		standing[account] = -amount
	}
	r.balance(standing)
	return r, r.periods(standing)
}

func (q *Query) fill(now int64) error {
	if q.Bucket == "" {
		q.Bucket = Daily
	}
	if q.Bucket != Daily && q.Bucket != Monthly {
		return fault.At("/bucket", "%q is not a bucket: day or month", q.Bucket)
	}
	if q.From == 0 {
		q.From = Monthly.begin(now)
	}
	if q.To == 0 {
		q.To = now + 1
	}
	if q.From < 0 || q.From >= q.To {
		return fault.At("/from", "must lie before to")
	}
	q.From, q.To = Daily.begin(q.From), Daily.end(q.To-1)
	n, most := int64(0), int64(MaxDays)
	if q.Bucket == Monthly {
		most = MaxMonths
	}
	for at := q.From; at < q.To && n <= most; at = q.Bucket.end(at) {
		n++
	}
	if n > most {
		return fault.At("/from", "a report has at most %d days, or %d months: ask for a shorter time, or by month", MaxDays, MaxMonths)
	}
	return nil
}

// begin is when the bucket of an instant begins.
func (b Bucket) begin(at int64) int64 {
	t := time.Unix(0, at).UTC()
	day := t.Day()
	if b == Monthly {
		day = 1
	}
	return time.Date(t.Year(), t.Month(), day, 0, 0, 0, 0, time.UTC).UnixNano()
}

// end is when it ends, and the next begins.
func (b Bucket) end(at int64) int64 {
	t := time.Unix(0, b.begin(at)).UTC()
	if b == Monthly {
		return t.AddDate(0, 1, 0).UnixNano()
	}
	return t.AddDate(0, 0, 1).UnixNano()
}

// balance sums up what was debited and credited to every account.
func (r *Report) balance(opening map[string]credit.Amount) {
	all := map[string]*Balance{}
	of := func(account string) *Balance {
		if all[account] == nil {
			all[account] = &Balance{Account: account, Opening: opening[account]}
		}
		return all[account]
	}
	for account := range opening {
		of(account)
	}
	for k, amount := range r.days {
		of(k.Debit).Debit += amount
		of(k.Credit).Credit += amount
	}
	for _, b := range all {
		b.Closing = b.Opening + b.Debit - b.Credit
		r.Accounts = append(r.Accounts, *b)
	}
	slices.SortFunc(r.Accounts, func(a, b Balance) int { return strings.Compare(a.Account, b.Account) })
}

// periods cuts the days into periods. standing is what the accounts stand at before the
// first, and after the last when it is done.
func (r *Report) periods(standing map[string]credit.Amount) error {
	keys, rows := r.days.Keys(), 0
	for begin := r.From; begin < r.To; {
		p := newPeriod(begin, min(r.Bucket.end(begin), r.To))
		n := 0
		for ; n < len(keys) && keys[n].Day < p.End; n++ {
			amount := r.days[keys[n]]
			p.add(keys[n], amount)
			standing[keys[n].Debit] += amount
			standing[keys[n].Credit] -= amount
		}
		p.close(standing)
		if rows += len(p.SKUs); rows > MaxSKUs {
			return fault.At("/from", "the report would have more than %d rows of SKUs: ask for a shorter time, or by month", MaxSKUs)
		}
		r.Periods = append(r.Periods, p.Period)
		keys, begin = keys[n:], p.End
	}
	return nil
}
