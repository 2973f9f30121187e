package wallet

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// What is invoiced on account, and what is paid of it, changes no lot: the wallet books it,
// so that its postings say all that its organization owes and has paid.

// bill books a fee, or takes one back.
func (w *Wallet) bill(c Bill) error {
	if err := checkParts(c.Amount, c.Tax); err != nil {
		return err
	}
	fee, tax := PostFee, PostFeeTax
	if c.Void {
		fee, tax = PostUnfee, PostUnfeeTax
	}
	w.postSome(Posting{Kind: fee, Amount: c.Amount})
	w.postSome(Posting{Kind: tax, Amount: c.Tax})
	return nil
}

// settleInvoice books what was paid of an invoice, or takes it back.
func (w *Wallet) settleInvoice(c Settle) error {
	if err := checkParts(c.Net, c.Tax); err != nil {
		return err
	}
	net, tax := PostSettle, PostSettleTax
	if c.Reversed {
		net, tax = PostUnsettle, PostUnsettleTax
	}
	w.postSome(Posting{Kind: net, Amount: c.Net})
	w.postSome(Posting{Kind: tax, Amount: c.Tax})
	return nil
}

// checkParts refuses amounts that cannot be of an invoice.
func checkParts(net, tax credit.Amount) error {
	if net < 0 || net > maxCredits || tax < 0 || tax > maxCredits || net+tax == 0 {
		return fault.At("/amount", "must be more than zero, and at most %s", maxCredits)
	}
	return nil
}
