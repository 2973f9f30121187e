package revenue

import (
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Line is a line of a journal to be booked: one of Debit and Credit is zero. The lines
// of a date come to as much debit as credit.
type Line struct {
	Date    string // the day, or the last of a month
	Account string // as the chart of the accountant calls it
	Debit   credit.Amount
	Credit  credit.Amount
	Memo    string
}

// Names are what accounts are called in the accountant's chart, by account, or by what
// its name begins with if that ends in /.
type Names map[string]string

// The limits of names.
const (
	MaxNames  = 100
	maxLength = 100 // of a name
)

// ParseNames reads names as in "house/cash=1000 Bank; house/revenue/=4000".
func ParseNames(text string) (Names, error) {
	names := Names{}
	for _, pair := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		account, name, isPair := strings.Cut(pair, "=")
		account, name = strings.TrimSpace(account), strings.TrimSpace(name)
		switch {
		case !isPair || account == "" || name == "":
			return nil, fault.At("/accounts", "%.80q is not an account and its name, as in house/cash=1000", strings.TrimSpace(pair))
		case !strings.HasPrefix(account, "house/") && !strings.HasPrefix(account, ledger.AccountCredits) && !strings.HasPrefix(account, "receivable/"):
			return nil, fault.At("/accounts", "%.80q is not an account: those are house/…, credits/… and receivable/…", account)
		case len(name) > maxLength:
			return nil, fault.At("/accounts", "a name has at most %d characters", maxLength)
		case names[account] != "":
			return nil, fault.At("/accounts", "%s has two names", account)
		}
		if names[account] = name; len(names) > MaxNames {
			return nil, fault.At("/accounts", "at most %d accounts can be named", MaxNames)
		}
	}
	return names, nil
}

// of is the name of an account: its own if nothing else is said.
func (n Names) of(account string) string {
	if name := n[account]; name != "" {
		return name
	}
	for prefix := account; prefix != ""; {
		prefix = prefix[:strings.LastIndexByte(prefix[:len(prefix)-1], '/')+1]
		if name := n[prefix]; name != "" {
			return name
		}
	}
	return account
}

// memos say what postings of a kind are to somebody who reads the journal.
var memos = map[wallet.PostingKind]string{
	wallet.PostGrant: "Credits granted", wallet.PostCharge: "Usage", wallet.PostOverdraft: "Usage on overdraft",
	wallet.PostOwe: "Retained storage", wallet.PostOverrun: "Usage that nothing covered", wallet.PostRepay: "Overdraft repaid",
	wallet.PostRepayOwed: "Retained storage repaid", wallet.PostWriteOff: "Retained storage written off", wallet.PostRefund: "Usage refunded",
	wallet.PostUnOverdraw: "Usage on overdraft refunded", wallet.PostUnOwe: "Retained storage refunded",
	wallet.PostUnOverrun: "Usage that nothing covered, refunded", wallet.PostExpire: "Credits expired",
	wallet.PostSend: "Transfers sent", wallet.PostReceive: "Transfers received",
	wallet.PostWithdraw: "Credits taken back", wallet.PostLoss: "Payments that went back though their credits were used",
	wallet.PostRecover: "Payments that came back though their credits were used",
	wallet.PostTax:     "Tax collected", wallet.PostUntax: "Tax given back",
	wallet.PostFee: "Fees invoiced", wallet.PostUnfee: "Fees credited", wallet.PostFeeTax: "Tax on fees", wallet.PostUnfeeTax: "Tax on fees given back",
	wallet.PostSettle: "Invoices paid", wallet.PostUnsettle: "Payments of invoices reversed",
	wallet.PostSettleTax: "Tax on invoices paid", wallet.PostUnsettleTax: "Tax on payments of invoices reversed",
}

// Journal calls fn for every line, day by day, or month by month. It stops at an error
// of fn, and returns it.
func (r *Report) Journal(names Names, fn func(Line) error) error {
	for _, p := range r.Periods {
		sums := ledger.DaySums{}
		for day := p.Begin; day < p.End; day += ledger.DayLength {
			for _, k := range r.byDay()[day] {
				sums[ledger.DayKey{Kind: k.Kind, Debit: k.Debit, Credit: k.Credit}] += r.days[k]
			}
		}
		date := time.Unix(0, p.End-1).UTC().Format(time.DateOnly)
		for _, k := range sums.Keys() {
			for _, line := range pair(date, k, names, sums[k]) {
				if err := fn(line); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// byDay are the keys of the sums by their days.
func (r *Report) byDay() map[int64][]ledger.DayKey {
	if r.keys == nil {
		r.keys = map[int64][]ledger.DayKey{}
		for _, k := range r.days.Keys() {
			r.keys[k.Day] = append(r.keys[k.Day], k)
		}
	}
	return r.keys
}

// pair is a posting as two lines.
func pair(date string, k ledger.DayKey, names Names, amount credit.Amount) []Line {
	memo := memos[k.Kind]
	if memo == "" {
		memo = string(k.Kind)
	}
	for _, account := range []string{k.Debit, k.Credit} {
		if detail, ok := strings.CutPrefix(account, ledger.AccountCredits); ok {
			memo += ", " + detail + " credits"
		}
		if detail, ok := strings.CutPrefix(account, ledger.AccountRevenue); ok {
			memo += ", " + detail
		}
	}
	return []Line{
		{Date: date, Account: names.of(k.Debit), Debit: amount, Memo: memo},
		{Date: date, Account: names.of(k.Credit), Credit: amount, Memo: memo},
	}
}
