package usage

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// posting is a posting with what it must be known of its charge.
type posting struct {
	no, at                        int64
	kind                          wallet.PostingKind
	debit, credit                 string
	amount                        credit.Amount
	transfer                      string
	charge                        int64 // that it belongs to, or corrects
	job, project, user, flow, sku string
}

// change is what a posting does to the balance.
func (p *posting) change() credit.Amount {
	return credit.Amount(ledger.InBalance(p.credit)-ledger.InBalance(p.debit)) * p.amount
}

func (p *posting) group() group {
	return groupOf(p.job, p.project, p.user, p.sku, p.flow != "", p.at)
}

// stepPosting makes a line of a posting and of those that go with it.
func (w *walk) stepPosting(p posting) error {
	switch kinds[p.kind] {
	case Deduction:
		if p.kind == wallet.PostRepayOwed {
			return w.run(p, Activity{Kind: Deduction, Description: "Retained storage paid", From: fromStorage, Source: lotOf(p.debit)},
				func(q posting) bool { return q.kind == p.kind && q.at == p.at })
		}
		w.pass()
		return w.stepCharge(p)
	case Addition:
		w.pass()
		if l := w.lots[lotOf(p.credit)]; l == nil || !deferred(l) {
			w.add(w.addition(l, p.at, p.amount), fmt.Sprint(p.no))
		}
	case Expiry:
		w.pass()
		line := w.ofLot(Activity{At: p.at, Kind: Expiry, Amount: -p.amount}, lotOf(p.debit), "Expired")
		w.add(line, fmt.Sprint(p.no))
	case Withdrawal:
		return w.stepWithdrawal(p)
	case Transfer:
		text := "Transfer to another workspace"
		if p.kind == wallet.PostReceive {
			text = "Transfer from another workspace"
		}
		return w.run(p, Activity{Kind: Transfer, Description: text, From: wallet.SourceTransfer, Source: p.transfer},
			func(q posting) bool { return q.transfer == p.transfer && kinds[q.kind] == Transfer })
	case Refund:
		return w.run(p, Activity{Kind: Refund, Description: "Refund of " + skuText(p.sku), From: wallet.SourceRefund, Source: w.chargeID(p.charge),
			Project: p.project, User: p.user, Job: p.job}, func(q posting) bool { return kinds[q.kind] == Refund && q.at == p.at && q.charge == p.charge })
	default:
		w.pass()
	}
	return nil
}

// run makes one line of a posting and the ones right below it that belong to it;
// none if they leave the balance as it is.
func (w *walk) run(p posting, line Activity, belongs func(posting) bool) error {
	line.At = p.at
	for next := &p; next != nil && belongs(*next); {
		line.Amount += next.change()
		w.pass()
		var err error
		if next, err = w.peek(); err != nil {
			return err
		}
	}
	if line.Amount != 0 {
		w.add(line, fmt.Sprint(p.no))
	}
	return nil
}

// stepWithdrawal makes one line of what was taken back of a lot and of what went back
// though it was used, or came back, which leaves the balance as it is.
func (w *walk) stepWithdrawal(p posting) error {
	w.pass()
	line, name, taken := Activity{At: p.at, Kind: Withdrawal, From: wallet.SourceManual, Description: "Payment that went back"}, fmt.Sprint(p.no), &p
	if p.kind == wallet.PostRecover {
		line.Description = fmt.Sprintf("Payment that came back; %s of it had been used, and is the operator's loss no more", p.amount)
		w.add(line, name)
		return nil
	}
	lost := credit.Amount(0)
	if p.kind == wallet.PostLoss {
		lost = p.amount
		var err error
		if taken, err = w.peek(); err != nil {
			return err
		}
		if taken != nil && (taken.kind != wallet.PostWithdraw || taken.at != p.at) {
			taken = nil
		} else if taken != nil {
			w.pass()
		}
	}
	if taken != nil {
		line.Amount = taken.change()
		line = w.ofLot(line, lotOf(taken.debit), "Taken back")
	}
	if lost > 0 {
		line.Description += fmt.Sprintf("; %s more went back though it was used, and is the operator's loss", lost)
	}
	w.add(line, name)
	return nil
}

// stepCharge writes the line of a group of charges, if this is its last charge.
func (w *walk) stepCharge(p posting) error {
	g := p.group()
	if p.charge == w.Charge {
		return nil
	}
	sum, err := w.sums.of(g)
	if err != nil || sum.last != p.charge {
		return err
	}
	w.Charge = p.charge
	line := Activity{At: p.at, Kind: Deduction, Description: g.describe(sum), From: g.from, Source: g.source(),
		Project: p.project, User: p.user, Job: p.job, Amount: -sum.taken(), Open: w.running[g]}
	if line.Amount == 0 {
		line.Kind = Overrun
	}
	w.add(line, fmt.Sprint(p.no))
	return nil
}

func (w *walk) addition(l *wallet.Lot, at int64, amount credit.Amount) Activity {
	line := Activity{At: at, Kind: Addition, Amount: amount}
	if l == nil {
		line.Description, line.From = additions[wallet.SourceOperator], wallet.SourceOperator
		return line
	}
	text := additions[l.From()]
	if l.Kind == wallet.Adjustment && l.From() == wallet.SourceOperator {
		line.Kind, text = Correction, "Correction by the operator"
	}
	return w.ofLot(line, l.ID, text)
}

// ofLot fills in what a line tells of its lot.
func (w *walk) ofLot(line Activity, id, text string) Activity {
	line.Source, line.Description = id, text+": credits"
	if l := w.lots[id]; l != nil {
		line.From = l.From()
		line.Description = cmp.Or(text, additions[line.From]) + ": " + string(l.Kind) + " credits"
		if l.Reason != "" {
			line.Description += " (" + l.Reason + ")"
		}
	}
	return line
}

// lotOf is the lot of an account such as credits/lot_1.
func lotOf(account string) string {
	_, lot, _ := strings.Cut(account, "/")
	return lot
}
