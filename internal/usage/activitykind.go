package usage

import (
	"strings"

	"github.com/purserhq/purser/internal/wallet"
)

// ActivityKind is what a line of the statement is.
type ActivityKind string

// The kinds of activities.
const (
	Addition   ActivityKind = "addition"
	Deduction  ActivityKind = "deduction"
	Expiry     ActivityKind = "expiry"
	Transfer   ActivityKind = "transfer"
	Refund     ActivityKind = "refund"     // of a charge
	Withdrawal ActivityKind = "withdrawal" // of a purchase: a refund to the payer, or a charge-back
	Correction ActivityKind = "correction" // an adjustment by the operator
	Overrun    ActivityKind = "overrun"    // usage that nothing covered, and nobody pays for

	notShown ActivityKind = ""
)

// ActivityKinds are all kinds that a line can be of.
var ActivityKinds = []ActivityKind{Addition, Deduction, Expiry, Transfer, Refund, Withdrawal, Correction, Overrun}

func kindList() string {
	names := make([]string, len(ActivityKinds))
	for i, k := range ActivityKinds {
		names[i] = string(k)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// kinds says what each kind of posting is in the statement; those that are not shown
// leave the balance as it is. An addition of adjustment credits is a correction, and a
// deduction that took nothing from the balance an overrun.
var kinds = map[wallet.PostingKind]ActivityKind{
	wallet.PostGrant:       Addition,
	wallet.PostCharge:      Deduction,
	wallet.PostOverdraft:   Deduction,
	wallet.PostOwe:         Deduction,
	wallet.PostOverrun:     Deduction,
	wallet.PostRepay:       notShown, // what a purchase pays off the overdraft was in the balance all the time
	wallet.PostRepayOwed:   Deduction,
	wallet.PostWriteOff:    notShown, // what was owed stood beside the balance
	wallet.PostRefund:      Refund,
	wallet.PostUnOverdraw:  Refund,
	wallet.PostUnOwe:       Refund,
	wallet.PostUnOverrun:   Refund,
	wallet.PostExpire:      Expiry,
	wallet.PostSend:        Transfer,
	wallet.PostReceive:     Transfer,
	wallet.PostWithdraw:    Withdrawal,
	wallet.PostLoss:        Withdrawal,
	wallet.PostRecover:     Withdrawal,
	wallet.PostTax:         notShown, // credits are without tax
	wallet.PostUntax:       notShown,
	wallet.PostFee:         notShown, // what is invoiced and paid besides credits
	wallet.PostUnfee:       notShown,
	wallet.PostFeeTax:      notShown,
	wallet.PostUnfeeTax:    notShown,
	wallet.PostSettle:      notShown,
	wallet.PostUnsettle:    notShown,
	wallet.PostSettleTax:   notShown,
	wallet.PostUnsettleTax: notShown,
}

// additions say in the words of somebody who keeps accounts where credits came from.
var additions = map[string]string{
	wallet.SourceManual:   "Top-up",
	wallet.SourceAuto:     "Automatic top-up",
	wallet.SourceCode:     "Redeemed code",
	wallet.SourcePlan:     "Credits of the plan",
	wallet.SourceContract: "Credits of the contract",
	wallet.SourceTransfer: "Transfer from another workspace",
	wallet.SourceOperator: "Granted by the operator",
	wallet.SourceRefund:   "Refund as new credits",
}
