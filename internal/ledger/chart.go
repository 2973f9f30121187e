package ledger

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/wallet"
)

// The accounts. A wallet has credits/<lot> for every lot, and the three
// receivables; the house has the others. The balance of an account is what was
// moved to it less what was moved from it, so that house/cash, out of which
// purchased credits come, stands at minus what customers paid in, and the sum
// over all accounts is zero.
const (
	credits    = "credits/" // and the id of the lot
	overdraft  = "receivable/" + wallet.OverdraftLot
	owed       = "receivable/" + wallet.OwedLot
	invoices   = "receivable/invoices"
	cash       = "house/cash"
	promotions = "house/promotions"
	lender     = "house/lender"
	revenue    = "house/revenue/" // and the family of the SKU
	breakage   = "house/breakage"
	overrun    = "house/overrun"
	transit    = "house/transit"
	tax        = "house/tax"
	losses     = "house/losses" // of payments that went back though their credits were used
	fees       = "house/fees"   // that were invoiced
)

// account is one side of a row of the chart: it names the account of a posting,
// or "" if the posting does not fit it.
type account func(wallet.Posting) string

// entry is a row of the chart: where the amount comes from (debit), and where
// it goes to (credit).
type entry struct{ debit, credit account }

// chart is the business on one screen: every kind of posting, and the accounts
// it may go from and to. A kind that is not here is refused.
var chart = map[wallet.PostingKind]entry{
	//                           from            to
	wallet.PostGrant:       {source, lot},
	wallet.PostCharge:      {lot, sales},
	wallet.PostOverdraft:   {the(overdraft), sales},
	wallet.PostOwe:         {the(owed), sales},
	wallet.PostOverrun:     {the(overrun), sales},
	wallet.PostRepay:       {lot, the(overdraft)},
	wallet.PostRepayOwed:   {lot, the(owed)},
	wallet.PostWriteOff:    {the(overrun), the(owed)},
	wallet.PostRefund:      {sales, lot},
	wallet.PostUnOverdraw:  {sales, the(overdraft)},
	wallet.PostUnOwe:       {sales, the(owed)},
	wallet.PostUnOverrun:   {sales, the(overrun)},
	wallet.PostExpire:      {lot, the(breakage)},
	wallet.PostSend:        {lot, the(transit)},
	wallet.PostReceive:     {the(transit), lot},
	wallet.PostWithdraw:    {lot, source},
	wallet.PostLoss:        {the(losses), source},
	wallet.PostRecover:     {source, the(losses)},
	wallet.PostTax:         {source, the(tax)},
	wallet.PostUntax:       {the(tax), source},
	wallet.PostFee:         {the(invoices), the(fees)},
	wallet.PostUnfee:       {the(fees), the(invoices)},
	wallet.PostFeeTax:      {the(invoices), the(tax)},
	wallet.PostUnfeeTax:    {the(tax), the(invoices)},
	wallet.PostSettle:      {the(cash), the(invoices)},
	wallet.PostUnsettle:    {the(invoices), the(cash)},
	wallet.PostSettleTax:   {the(cash), the(invoices)},
	wallet.PostUnsettleTax: {the(invoices), the(cash)},
}

// sources says, by the kind of a lot, which account its credits come from.
var sources = map[wallet.LotKind]string{
	wallet.Purchased:   cash,
	wallet.Commitment:  cash,
	wallet.Promotional: promotions,
	wallet.Plan:        promotions,
	wallet.Adjustment:  promotions,
	wallet.Financed:    lender,
}

// families are the SKU families that have a revenue account of their own.
var families = map[string]string{
	"gpu":     revenue + "gpu",
	"cpu":     revenue + "cpu",
	"memory":  revenue + "memory",
	"storage": revenue + "storage",
	"network": revenue + "network",
	"llm":     revenue + "llm",
}

func the(name string) account { return func(wallet.Posting) string { return name } }

func source(p wallet.Posting) string {
	if p.OnAccount {
		return invoices
	}
	return sources[p.LotKind]
}

func lot(p wallet.Posting) string {
	if p.Lot == "" || p.Lot == wallet.OverdraftLot || p.Lot == wallet.OwedLot || p.Lot == wallet.OverrunLot {
		return ""
	}
	return credits + p.Lot
}

func sales(p wallet.Posting) string {
	family, _, _ := strings.Cut(p.SKU, ".")
	if name, ok := families[family]; ok {
		return name
	}
	return revenue + "other"
}

// accounts finds the accounts of a posting in the chart. An error means that
// the engine and the chart do not agree: nothing of the command may be kept.
func accounts(p wallet.Posting) (debit, credit string, err error) {
	row, ok := chart[p.Kind]
	if !ok {
		return "", "", fmt.Errorf("posting %d: the chart has no kind %q", p.No, p.Kind)
	}
	if p.Amount <= 0 {
		return "", "", fmt.Errorf("posting %d: %s of %s: an amount must be positive", p.No, p.Kind, p.Amount)
	}
	debit, credit = row.debit(p), row.credit(p)
	if debit == "" || credit == "" {
		return "", "", fmt.Errorf("posting %d: %s of lot %q (%s) has no account in the chart", p.No, p.Kind, p.Lot, p.LotKind)
	}
	return debit, credit, nil
}
