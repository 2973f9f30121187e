package wallet_test

import (
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

const (
	second = int64(time.Second)
	minute = 60 * second
	hour   = 3600 * second
	day    = 24 * hour
)

// advance lets time pass up to t. Between events every item is paid by the
// first of its payers that has anything left, and the first nanosecond in which
// that does not suffice is found by bisection over the exact sums.
func (n *naive) advance(t int64) {
	for n.at < t {
		to := min(t, n.nextEvent())
		if b := n.firstBreak(to); b != 0 {
			n.settle(b - 1)
			n.at = b
			n.handOut(b)
		} else {
			n.settle(to)
			n.at = to
		}
		n.stopUncovered(n.at - 1)
		n.events()
		n.stopUncovered(n.at)
		n.retain()
		if n.projecting {
			n.watch()
		}
	}
}

// watch notes which lots are in use now, and which of them were used up or have
// expired.
func (n *naive) watch() {
	for i := range n.uses {
		switch u := &n.uses[i]; {
		case u.UsedUp != 0 || u.Expires != 0:
		case n.lot(u.Lot).Expired:
			u.Expires = n.at
		case n.lot(u.Lot).Left == 0:
			u.UsedUp = n.at
		}
	}
	for _, f := range n.running() {
		for _, it := range f.items {
			if f.payedBy != nil || it.rate == 0 {
				continue
			}
			for _, p := range n.payers(f, it) {
				if n.left(p) > 0 {
					n.using(p.lot)
					break
				}
			}
		}
	}
}

func (n *naive) using(l *naiveLot) {
	for _, u := range n.uses {
		if u.Lot == l.ID && u.UsedUp == 0 && u.Expires == 0 {
			return
		}
	}
	if l != &n.lent && l != &n.owed {
		n.uses = append(n.uses, wallet.LotUse{Lot: l.ID, From: n.at})
	}
}

// firstBreak is the first nanosecond up to which a payer or a budget does not
// last beyond, or 0 if all last until after to.
func (n *naive) firstBreak(to int64) int64 {
	first := map[*naiveItem]payer{}
	owners := map[*naiveItem]*naiveFlow{}
	budgets := map[*naiveBudget]credit.Amount{}
	for _, f := range n.running() {
		for _, it := range f.items {
			if it.rate == 0 {
				continue
			}
			owners[it] = f
			for _, p := range n.payers(f, it) {
				if n.left(p) > 0 {
					first[it] = p
					break
				}
			}
		}
	}
	for _, b := range n.budgets {
		if left := b.Amount - n.spent(b, n.at); b.Hard && left > 0 {
			budgets[b] = left
		}
	}
	reached := func(t int64) bool {
		by := map[payer]credit.Amount{}
		of := map[*naiveFlow]credit.Amount{}
		for it, f := range owners {
			a := it.total(t) - it.taken
			by[first[it]] = plus(by[first[it]], a)
			of[f] = plus(of[f], a)
		}
		for p, a := range by {
			if a >= n.left(p) {
				return true
			}
		}
		for b, left := range budgets {
			var sum credit.Amount
			for f, a := range of {
				if b.covers(f) {
					sum = plus(sum, a)
				}
			}
			if sum > 0 && sum >= left {
				return true
			}
		}
		return false
	}
	if len(owners) == 0 || !reached(to) {
		return 0
	}
	lo, hi := n.at, to
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; reached(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

func plus(a, b credit.Amount) credit.Amount {
	if c, err := a.Add(b); err == nil {
		return c
	}
	return credit.Max
}

// settle pays what has run up to t, before anything runs out.
func (n *naive) settle(t int64) {
	for _, f := range n.running() {
		for _, it := range f.items {
			n.pay(f, it, n.at, t, credit.Max)
		}
	}
}

// handOut pays the last nanosecond before b item by item. Whose tick is cut has
// nothing left and is stopped after it.
func (n *naive) handOut(b int64) {
	for _, f := range n.running() {
		for _, it := range f.items {
			limit := credit.Max
			for _, x := range n.budgets {
				if x.Hard && !f.Storage && x.covers(f) {
					limit = min(limit, max(0, x.Amount-n.spent(x, b-1)))
				}
			}
			n.pay(f, it, b-1, b, limit)
		}
	}
}

// pay takes what the item has run up from a to b from its payers, at most
// limit; the rest is waived.
func (n *naive) pay(f *naiveFlow, it *naiveItem, a, b int64, limit credit.Amount) {
	due := it.total(b) - it.taken
	it.taken += due
	rest := min(due, limit)
	cut := due - rest
	for _, p := range n.payers(f, it) {
		if x := min(rest, n.left(p)); x > 0 {
			n.take(p, f, x)
			n.record(&piece{flow: f, item: it.index, epoch: it.epoch, from: a, to: b, lot: p.lot.ID, amount: x, shared: x != due})
			f.cost += x
			rest -= x
		}
	}
	if rest+cut > 0 {
		n.record(&piece{flow: f, item: it.index, from: a, to: b, waived: rest + cut})
	}
}

// record keeps the piece; one that goes on where the last one of its item
// stopped, from the same lot, lengthens it.
func (n *naive) record(p *piece) {
	if n.projecting {
		if len(n.budgets) > 0 {
			n.pieces = append(n.pieces, p)
		}
		return
	}
	for i := len(n.pieces) - 1; i >= 0 && i >= len(n.pieces)-40; i-- {
		q := n.pieces[i]
		if q.flow == p.flow && q.item == p.item {
			if q.epoch != nil && q.epoch == p.epoch && q.lot == p.lot && q.to == p.from && !q.shared && !p.shared {
				q.to = p.to
				q.amount += p.amount
				return
			}
			break
		}
	}
	n.pieces = append(n.pieces, p)
}

// nextEvent is the first instant after now at which something happens that is
// not caused by spending.
func (n *naive) nextEvent() int64 {
	next := int64(1) << 62
	due := func(t int64) {
		if t > n.at && t < next {
			next = t
		}
	}
	for _, l := range n.lots {
		due(l.EffectiveAt)
		due(l.ExpiresAt)
	}
	for _, h := range n.holds {
		if h.Status == wallet.Held {
			due(h.ExpiresAt)
		}
	}
	for _, f := range n.running() {
		due(f.Until)
		if f.RetainedAt != 0 {
			due(max(n.at+1, f.RetainedAt+int64(n.policy.RetentionDays)*day))
		}
		for _, it := range f.items {
			for _, s := range it.Next {
				due(s.At)
			}
		}
	}
	for _, b := range n.budgets {
		if b.Window != wallet.AllTime && len(n.running()) > 0 {
			due(windowEnd(b, n.at))
		}
	}
	return next
}

// events applies what is due at this very instant, after it was paid for.
func (n *naive) events() {
	for _, l := range n.lots {
		if l.ExpiresAt == n.at && l.Live {
			n.expire(l)
		}
	}
	for _, h := range n.holds {
		if h.Status == wallet.Held && h.ExpiresAt == n.at {
			n.unpin(h, wallet.Expired)
		}
	}
	for _, l := range n.order() {
		if l.EffectiveAt == n.at && !l.Live && !l.Expired {
			n.effective(l)
		}
	}
	for _, f := range n.running() {
		if f.Until == n.at {
			n.end(f, n.at, wallet.Stopped, "until")
		}
	}
	for _, f := range n.running() {
		for _, it := range f.items {
			n.step(f, it)
		}
	}
	for _, f := range n.running() {
		if f.RetainedAt != 0 && f.RetainedAt+int64(n.policy.RetentionDays)*day <= n.at {
			n.release(f)
		}
	}
}

func (n *naive) expire(l *naiveLot) {
	l.Live, l.Expired, l.Left = false, true, 0
}

// effective puts a lot into use; a purchased or adjustment lot first pays what
// is owed, then the overdraft.
func (n *naive) effective(l *naiveLot) {
	l.Live = true
	if l.Frozen || l.Kind != wallet.Purchased && l.Kind != wallet.Adjustment {
		return
	}
	for _, debt := range []*naiveLot{&n.owed, &n.lent} {
		a := max(0, min(debt.Used, l.Left))
		debt.Used -= a
		l.Left -= a
		if debt == &n.owed {
			n.payOwed(a)
		}
	}
}

// payOwed says whose part of what is owed was paid: the oldest running flow's
// first, and only then what ended flows left behind.
func (n *naive) payOwed(a credit.Amount) {
	for _, f := range n.running() {
		x := min(a, f.Owed)
		f.Owed -= x
		a -= x
	}
}

func (n *naive) step(f *naiveFlow, it *naiveItem) {
	for len(it.Next) > 0 && it.Next[0].At <= n.at {
		s := it.Next[0]
		it.Next = it.Next[1:]
		it.epoch = it.epoch.next(n.at, s.Rate)
		it.taken, f.Since = 0, n.at
		it.Price, it.Card, it.Version, it.Rate = s.Price, s.Card, s.Version, s.Rate
	}
}

// release ends a retained storage flow; what it still owes is the operator's.
func (n *naive) release(f *naiveFlow) {
	n.end(f, n.at, wallet.Exhausted, "retention")
	if n.released == 0 {
		n.released = n.at
	}
	lost := min(f.Owed, n.owed.Used)
	n.owed.Used -= lost
	n.writtenOff += lost
	f.Owed = 0
}

// stopUncovered stops every flow that can go no further: an item that nothing
// pays for, or a budget that is reached in the window of t.
func (n *naive) stopUncovered(t int64) {
	var stop []*naiveFlow
	why := map[*naiveFlow]string{}
	for _, f := range n.running() {
		covered := n.covered(f)
		switch {
		case f.Storage:
		case n.overBudget(&f.Flow, t):
			why[f] = "budget"
		case !covered && f.payedBy != nil:
			why[f] = "max_cost"
		case !covered:
			why[f] = "credits"
		}
		if why[f] != "" {
			stop = append(stop, f)
		}
	}
	for _, f := range stop {
		n.end(f, n.at, wallet.Exhausted, why[f])
	}
}

// retain notices which storage nothing covers any more, and which is covered
// again.
func (n *naive) retain() {
	for _, f := range n.running() {
		switch covered := n.covered(f); {
		case f.Storage && !covered && f.RetainedAt == 0:
			f.RetainedAt = n.at
			if n.projecting && n.emptyAt == 0 {
				n.emptyAt = n.at
			}
		case f.Storage && covered:
			f.RetainedAt = 0
		}
	}
}

// covered reports whether every item has credits left, owed not counted.
func (n *naive) covered(f *naiveFlow) bool {
	for _, it := range f.items {
		ok := it.rate == 0
		for _, p := range n.payers(f, it) {
			ok = ok || p.lot != &n.owed && n.left(p) > 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// end ends a flow here and gives back what was held for it.
func (n *naive) end(f *naiveFlow, at int64, s wallet.Status, reason string) {
	f.Status, f.EndedAt, f.Reason = s, at, reason
	if n.projecting {
		n.stops[f.ID] = naiveStop{at, reason}
		if reason == "credits" && n.emptyAt == 0 {
			n.emptyAt = at
		}
	}
	if f.payedBy != nil {
		n.unpin(f.payedBy, wallet.Released)
	}
}

// unpin gives the rest of a hold back to its lots; what belongs to one that
// has expired in the meantime expires.
func (n *naive) unpin(h *naiveHold, s wallet.HoldStatus) {
	h.Status = s
	for _, x := range h.Slices {
		n.giveBack(x.Lot, x.Amount, false)
	}
	h.Slices, h.Amount = nil, 0
}

// giveBack puts credits back into a lot; charged ones were used.
func (n *naive) giveBack(lot string, a credit.Amount, charged bool) {
	l := n.lot(lot)
	if l == nil {
		return // an overrun: the operator's
	}
	if charged {
		l.Used -= a
	}
	if !l.Expired {
		l.Left += a
	}
}
