package revenue

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// period is a Period in the making.
type period struct {
	Period
	skus map[SKU]*Parts // by family and name alone
}

func newPeriod(begin, end int64) *period {
	return &period{Period: Period{Begin: begin, End: end, Granted: map[wallet.LotKind]credit.Amount{}}, skus: map[SKU]*Parts{}}
}

// add takes in what the postings of a kind come to. What that is, the accounts tell:
// a kind of posting that is new is in its place by those it goes from and to.
func (p *period) add(k ledger.DayKey, amount credit.Amount) {
	switch {
	case strings.HasPrefix(k.Credit, ledger.AccountRevenue):
		p.earn(k, k.Credit, k.Debit, amount)
	case strings.HasPrefix(k.Debit, ledger.AccountRevenue):
		p.earn(k, k.Debit, k.Credit, -amount)
	case k.Credit == ledger.AccountBreakage:
		*p.Breakage.of(k.Debit) += amount
	case k.Credit == ledger.AccountTax:
		p.TaxCollected += amount
	case k.Debit == ledger.AccountTax:
		p.TaxCollected -= amount
	case k.Credit == ledger.AccountInvoices:
		p.credited(k, amount)
	case k.Debit == ledger.AccountInvoices:
		p.invoiced(k, amount)
	case k.Debit == ledger.AccountLosses && k.Credit == ledger.AccountCash:
		p.ChargedBack += amount
	case k.Debit == ledger.AccountCash && k.Credit == ledger.AccountLosses:
		p.ChargedBack -= amount
	case k.Credit == ledger.AccountCash:
		p.CashReturned += amount
	case k.Debit == ledger.AccountOverrun:
		p.WrittenOff += amount
	}
	if k.Debit == ledger.AccountCash && kindOf(k.Credit) != "" {
		p.CashReceived += amount
	}
	if k.Debit == ledger.AccountFees {
		p.Fees -= amount
	}
	if k.Credit == ledger.AccountFees {
		p.Fees += amount
	}
	if kind := kindOf(k.Credit); k.Kind == wallet.PostGrant && kind != "" {
		p.Granted[kind] += amount
	}
}

// invoiced takes in what was put on invoices, without tax: credits that come with one, and
// fees; and payments of invoices that were reversed.
func (p *period) invoiced(k ledger.DayKey, amount credit.Amount) {
	if k.Credit != ledger.AccountCash {
		p.Invoiced += amount
		return
	}
	if k.Kind == wallet.PostUnsettle {
		p.CashReceived -= amount
	}
}

// credited takes in what was taken off invoices: by a payment, or by a credit note. What of
// a credit note had been used is the operator's loss.
func (p *period) credited(k ledger.DayKey, amount credit.Amount) {
	switch {
	case k.Kind == wallet.PostSettle:
		p.CashReceived += amount
	case k.Debit == ledger.AccountCash: // the tax, which was collected with the invoice
	case k.Debit == ledger.AccountLosses:
		p.Invoiced -= amount
		p.Uncollected += amount
	default:
		p.Invoiced -= amount
	}
}

// earn books revenue that an account covers.
func (p *period) earn(k ledger.DayKey, account, cover string, amount credit.Amount) {
	*p.Revenue.of(cover) += amount
	name := SKU{Family: strings.TrimPrefix(account, ledger.AccountRevenue), SKU: k.SKU}
	if p.skus[name] == nil {
		p.skus[name] = &Parts{}
	}
	*p.skus[name].of(cover) += amount
}

// close notes how it stands at the end of the period.
func (p *period) close(standing map[string]credit.Amount) {
	for account, amount := range standing {
		switch {
		case kindOf(account) != "":
			*p.Outstanding.of(account) -= amount
		case account == ledger.AccountOverdraft || account == ledger.AccountOwed:
			p.Receivable += amount
		case account == ledger.AccountInvoices:
			p.Receivable += amount
			p.InvoicesOpen += amount
		case account == ledger.AccountTransit:
			p.Transit -= amount
		}
	}
	for name, parts := range maps.All(p.skus) {
		name.Parts = *parts
		p.SKUs = append(p.SKUs, name)
	}
	slices.SortFunc(p.SKUs, func(a, b SKU) int { return cmp.Or(strings.Compare(a.Family, b.Family), strings.Compare(a.SKU, b.SKU)) })
}

// of is the part that an account covers.
func (p *Parts) of(account string) *credit.Amount {
	switch kindOf(account) {
	case wallet.Purchased, wallet.Commitment:
		return &p.Paid
	case wallet.Financed:
		return &p.Financed
	case "":
		if account == ledger.AccountOverrun {
			return &p.Overrun
		}
		return &p.Receivable
	}
	return &p.Promotional
}

// kindOf is the kind of lots that an account is of, or "".
func kindOf(account string) wallet.LotKind {
	kind, isLot := strings.CutPrefix(account, ledger.AccountCredits)
	if !isLot {
		return ""
	}
	return wallet.LotKind(kind)
}
