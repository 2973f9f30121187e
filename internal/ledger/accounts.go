package ledger

import (
	"maps"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/wallet"
)

// The accounts that reports know by name; those that end in / are followed by the family
// of the SKU, or by the kind of a lot.
const (
	AccountCredits   = credits
	AccountOverdraft = overdraft
	AccountOwed      = owed
	AccountInvoices  = invoices
	AccountCash      = cash
	AccountRevenue   = revenue
	AccountBreakage  = breakage
	AccountOverrun   = overrun
	AccountTransit   = transit
	AccountTax       = tax
	AccountLosses    = losses
	AccountFees      = fees
)

// PostingKinds are all kinds of the chart, in order.
func PostingKinds() []wallet.PostingKind { return slices.Sorted(maps.Keys(chart)) }

// InBalance is 1 for the accounts that are the balance of a wallet: its lots, and what
// it has used of its overdraft. It is 0 for all others.
func InBalance(account string) int64 {
	if strings.HasPrefix(account, credits) || account == overdraft {
		return 1
	}
	return 0
}
