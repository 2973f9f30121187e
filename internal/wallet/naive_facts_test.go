package wallet_test

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// leftBehind is what ended flows owe.
func (n *naive) leftBehind() credit.Amount {
	left := n.owed.Used
	for _, f := range n.running() {
		left -= f.Owed
	}
	return left
}

// back returns credits that were taken to their lot. What was owed is first taken
// off what its flow owes (off what ended flows left behind, if it has ended), and
// what was written off is the operator's; what has been paid since pays others,
// and beyond that comes back as a claim against the overdraft. An overrun was the
// operator's loss, and no budget counted it.
func (n *naive) back(f *naiveFlow, l *wallet.Line, lot string, a credit.Amount, from, to int64) {
	if f != nil {
		f.cost -= a
	}
	switch lot {
	case wallet.OverrunLot:
		return
	case wallet.OwedLot:
		unpaid, lost := min(a, f.Owed), credit.Amount(0)
		if f.Status.Ended() {
			unpaid = min(a, n.leftBehind())
			lost = min(a-unpaid, n.writtenOff)
			n.writtenOff -= lost
		} else {
			f.Owed -= unpaid
		}
		others := min(a-unpaid-lost, n.owed.Used-unpaid)
		n.payOwed(others)
		n.giveBack(lot, unpaid+others, true)
		n.giveBack(wallet.OverdraftLot, a-unpaid-lost-others, true)
	default:
		n.giveBack(lot, a, true)
	}
	n.given = append(n.given, &piece{flow: f, line: l, from: max(from, to-1), to: to, amount: -a})
}

// giveBackCharge returns a part of a charge to its slices in reverse order, or
// what came from ordinary lots to the lot to.
func (n *naive) giveBackCharge(c *naiveCharge, a credit.Amount, to string) {
	for i := len(c.slices) - 1; i >= 0; i-- {
		x := min(a, c.slices[i].Amount)
		c.slices[i].Amount -= x
		a -= x
		lot := c.slices[i].Lot
		if l := n.lot(lot); to != "" && l != nil && l != &n.lent && l != &n.owed {
			lot = to
		}
		n.back(c.flow, c.line, lot, x, c.from, c.to)
	}
}

// slice takes a from the payers, without saying that it was used.
func (n *naive) slice(from []payer, a credit.Amount) (slices []wallet.Slice) {
	for _, p := range from {
		if x := min(a, n.left(p)); x > 0 {
			p.lot.Left -= x
			slices = append(slices, wallet.Slice{Lot: p.lot.ID, Amount: x})
			a -= x
		}
	}
	return slices
}

// holdNeeds is what a hold must be able to pay: every SKU it names, or
// something that no lot with an SKU scope admits.
func holdNeeds(h *wallet.Hold) (all []need) {
	for _, sku := range h.SKUs {
		all = append(all, need{sku, h.Tier, h.Region})
	}
	if len(all) == 0 {
		all = append(all, need{"", h.Tier, h.Region})
	}
	return all
}

func (n *naive) reserve(c wallet.Reserve) refused {
	h := &naiveHold{wallet.Hold{ID: c.ID, Status: wallet.Held, Amount: c.Amount, Original: c.Amount, SKUs: c.SKUs,
		Tier: c.Tier, Region: c.Region, Project: c.Project, User: c.User, Key: c.Key, CreatedAt: n.at, ExpiresAt: n.at + c.TTL, GPUs: c.GPUs}}
	if n.held(c.ID) != nil {
		return conflict
	}
	if c.Amount <= 0 || c.TTL <= 0 || c.TTL > day {
		return invalid
	}
	if r := n.gateExact(who{c.Project, c.User, "", c.Key}, holdNeeds(&h.Hold), c.Amount); r != accepted {
		return r
	}
	h.Slices = n.slice(n.open(c.Project, holdNeeds(&h.Hold)...), c.Amount)
	n.holds = append(n.holds, h)
	return accepted
}

// held is a hold that has not ended.
func (n *naive) held(id string) *naiveHold {
	if h := n.hold(id); h != nil && h.Status == wallet.Held {
		return h
	}
	return nil
}

func (n *naive) capture(c wallet.Capture) refused {
	h := n.hold(c.Hold)
	if h == nil || h.Flow != "" || h.Status != wallet.Held && len(c.Lines) == 0 {
		return conflict
	}
	if len(c.Lines) == 0 {
		if c.Amount <= 0 || c.Amount > h.Amount {
			return invalid
		}
		n.payLine(&wallet.Line{Project: h.Project, User: h.User, Key: h.Key, Amount: c.Amount, At: n.at}, n.pinned(h))
	}
	for _, l := range c.Lines {
		asks := need{l.SKU, l.Tier, l.Region}
		var from []payer
		for _, p := range n.pinned(h) { // a hold pays only what its lots admit
			if admits(p.lot.Scope, l.Project, asks) {
				from = append(from, p)
			}
		}
		n.payLine(&l, append(from, n.open(l.Project, asks)...))
	}
	if h.Status == wallet.Held {
		n.unpin(h, wallet.Captured)
	}
	return accepted
}

// payLine charges a fact; what the payers do not cover is overrun.
func (n *naive) payLine(l *wallet.Line, from []payer) {
	c, a := &naiveCharge{line: l, from: l.At, to: l.At}, l.Amount
	for _, p := range from {
		if x := min(a, n.left(p)); x > 0 {
			n.take(p, nil, x)
			c.slices = join(c.slices, p.lot.ID, x)
			a -= x
		}
	}
	n.pieces = append(n.pieces, &piece{line: l, from: l.At - 1, to: l.At, amount: l.Amount - a})
	if a > 0 {
		c.slices = append(c.slices, wallet.Slice{Lot: wallet.OverrunLot, Amount: a})
	}
	n.facts = append(n.facts, c)
}

func (n *naive) releaseHold(c wallet.Release) refused {
	h := n.hold(c.Hold)
	if h == nil || h.Status != wallet.Held || h.Flow != "" {
		return conflict
	}
	n.unpin(h, wallet.Released)
	return accepted
}

func (n *naive) use(lines []wallet.Line) refused {
	for _, l := range lines {
		n.payLine(&l, n.open(l.Project, need{l.SKU, l.Tier, l.Region}))
	}
	return accepted
}

func (n *naive) refund(c wallet.Refund) refused {
	charge := n.charges[c.Charge.No]
	a := c.Amount
	if a == 0 {
		a = charge.left()
	}
	if charge.left() == 0 {
		return conflict
	}
	if a < 0 || a > charge.left() {
		return invalid
	}
	if c.To != nil {
		l := *c.To
		l.Amount = a
		if r := n.mayAdd(&l); r != accepted {
			return r
		}
		l.Amount = 0
		n.add(l)
		n.giveBackCharge(charge, a, l.ID)
		if m := n.lot(l.ID); m.Live {
			n.effective(m)
		}
		return accepted
	}
	n.giveBackCharge(charge, a, "")
	return accepted
}
