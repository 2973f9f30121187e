package wallet_test

import (
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// overrun books what a flow used after its end as the operator's loss.
func (n *naive) overrun(c wallet.Overrun) refused {
	f := n.flow(c.Flow.ID)
	if f == nil || !f.Status.Ended() {
		return conflict
	}
	for from := f.EndedAt; from < min(c.Until, n.at); {
		to := min(c.Until, n.at, from-from%hour+hour)
		for _, it := range f.items {
			e := it.epoch
			if f.EndedAt < f.Since { // an older price, which the flow no longer has
				e = &epoch{e.rate, e.period, f.EndedAt, credit.Wide{}}
			}
			if a := e.total(to) - e.total(from); a > 0 {
				n.pieces = append(n.pieces, &piece{flow: f, item: it.index, from: from, to: to, lot: wallet.OverrunLot, amount: a, shared: true, lost: true})
				f.cost += a
			}
		}
		from = to
	}
	return accepted
}

// late charges what a lost flow used up to its true end, by the hour and at the
// prices of then, from the lots as they stand. What they do not cover, and what is
// beyond its largest cost, is the operator's.
func (n *naive) late(c wallet.Late) refused {
	f := n.flow(c.Flow.ID)
	switch {
	case f.Status != wallet.Lost || f.Reason == wallet.ReasonLate:
		return conflict
	case c.Until <= f.EndedAt || c.Until > n.at:
		return invalid
	}
	if f.EndedAt < f.Since { // an older price, which the flow no longer has
		f.Since = f.EndedAt
		for _, it := range f.items {
			it.epoch = &epoch{it.rate, it.period, f.EndedAt, credit.Wide{}}
		}
	}
	for i, it := range f.items {
		it.Next = slices.Clone(c.Flow.Items[i].Next)
	}
	var paid credit.Amount
	takeSteps := func(at int64) {
		for _, it := range f.items {
			for len(it.Next) > 0 && it.Next[0].At <= at {
				it.epoch, it.Next, f.Since = it.epoch.next(at, it.Next[0].Rate), it.Next[1:], at
			}
		}
	}
	for from := f.EndedAt; from < c.Until; {
		to := min(c.Until, from-from%hour+hour)
		takeSteps(from)
		for _, it := range f.items {
			if len(it.Next) > 0 {
				to = min(to, it.Next[0].At)
			}
		}
		for _, it := range f.items {
			a := it.total(to) - it.epoch.total(from)
			most := a
			if c.Most > 0 {
				most = min(a, max(0, c.Most-paid))
			}
			paid += n.payLate(piece{flow: f, item: it.index, epoch: it.epoch, from: from, to: to, shared: true, late: true}, it, a, most)
		}
		from = to
	}
	takeSteps(c.Until) // what runs on after this does so at the price of then
	f.lateFrom, f.EndedAt, f.Reason = f.EndedAt, c.Until, wallet.ReasonLate
	return accepted
}

// payLate pays at most so much of a late amount from the lots, the rest being the
// operator's, and says how much that was.
func (n *naive) payLate(p piece, it *naiveItem, amount, most credit.Amount) (paid credit.Amount) {
	part := func(lot string, a credit.Amount) {
		if x := p; a > 0 {
			x.lot, x.amount = lot, a
			n.pieces = append(n.pieces, &x)
		}
	}
	for _, from := range n.open(p.flow.Project, need{it.SKU, it.Tier, it.Region}) {
		if x := min(most-paid, n.left(from)); x > 0 {
			n.take(from, p.flow, x)
			part(from.lot.ID, x)
			paid += x
		}
	}
	part(wallet.OverrunLot, amount-paid)
	p.flow.cost += amount
	return paid
}

func isStorage(items []wallet.Item) bool { return strings.HasPrefix(items[0].SKU, "storage.") }

// belong reports whether the items may be one flow: all storage or none, and no
// two the same.
func belong(items []wallet.Item) bool {
	for i, it := range items {
		if isStorage(items[i:]) != isStorage(items) {
			return false
		}
		for _, o := range items[:i] {
			if o.SKU == it.SKU && o.Tier == it.Tier && o.Region == it.Region {
				return false
			}
		}
	}
	return len(items) > 0
}

func (n *naive) start(c wallet.Start) refused {
	f := &naiveFlow{Flow: wallet.Flow{ID: c.ID, Project: c.Project, User: c.User, Job: c.Job, Key: c.Key,
		Status: wallet.Running, Items: c.Items, StartedAt: n.at, Since: n.at, Until: c.Until,
		Grace: c.Grace, Lease: c.Lease, Holder: c.Holder}, posted: map[int]int64{}}
	if c.At != 0 {
		f.StartedAt, f.Since = c.At, c.At
	}
	switch before := n.hold(c.From); {
	case !belong(c.Items):
		return invalid
	case n.flow(c.ID) != nil && !n.flow(c.ID).Status.Ended():
		return conflict
	case f.StartedAt > n.at || f.StartedAt < n.at-35*day || c.Until != 0 && c.Until <= n.at,
		c.MaxCost < 0 || c.MaxCost > 0 && isStorage(c.Items):
		return invalid
	case c.From != "" && (before == nil || before.Status != wallet.Held):
		return conflict
	}
	f.Storage = isStorage(c.Items)
	n.setItems(f, c.Items, f.StartedAt, nil)
	undo := n.lift(c.From)
	if r := n.admit(f, c); r != accepted {
		undo()
		return r
	}
	n.flows = append(n.flows, f)
	n.chargePast(f)
	return accepted
}

// lift releases the hold a start was made for, and can put it back.
func (n *naive) lift(id string) (undo func()) {
	h := n.hold(id)
	if h == nil {
		return func() {}
	}
	held := h.Hold
	left := map[*naiveLot]credit.Amount{}
	for _, l := range n.lots {
		left[l] = l.Left
	}
	n.unpin(h, wallet.Released)
	return func() {
		h.Hold = held
		for l, a := range left {
			l.Left = a
		}
	}
}

// admit is the gate of a start; the time before now must be covered too.
func (n *naive) admit(f *naiveFlow, c wallet.Start) refused {
	var late credit.Amount
	for _, it := range f.items {
		late += it.total(n.at)
	}
	if c.MaxCost == 0 {
		return n.gateRunway(f, f.items, nil)
	}
	if late >= c.MaxCost {
		return invalid
	}
	if r := n.gateExact(f.who(), needs(f.Items), c.MaxCost); r != accepted {
		return r
	}
	f.payedBy = &naiveHold{wallet.Hold{ID: "hold_" + strings.TrimPrefix(c.ID, "flow_"), Status: wallet.Held, Amount: c.MaxCost,
		Slices: n.slice(n.open(c.Project, needs(c.Items)...), c.MaxCost), Flow: c.ID}}
	n.holds = append(n.holds, f.payedBy)
	return accepted
}

// setItems begins new epochs for the items at t, carrying remainders.
func (n *naive) setItems(f *naiveFlow, items []wallet.Item, t int64, old []*naiveItem) {
	f.Items, f.items = items, nil
	for i, it := range items {
		it.Next = slices.Clone(it.Next)
		e := &epoch{it.Rate, it.Period, t, credit.Wide{}}
		for _, o := range old {
			if o.SKU == it.SKU && o.Tier == it.Tier && o.Region == it.Region {
				e.rem = o.epoch.next(t, 0).rem
			}
		}
		f.items = append(f.items, &naiveItem{Item: it, epoch: e, index: i})
	}
}

// chargePast charges the time before a flow was reported, hour by hour, from the
// lots as they stand.
func (n *naive) chargePast(f *naiveFlow) {
	for from := f.StartedAt; from < n.at; {
		to := min(n.at, from-from%hour+hour)
		for _, it := range f.items {
			a := it.total(to) - it.taken
			it.taken += a
			for _, p := range n.payers(f, it) {
				if x := min(a, n.left(p)); x > 0 {
					n.take(p, f, x)
					n.pieces = append(n.pieces, &piece{flow: f, item: it.index, epoch: it.epoch, from: from, to: to, lot: p.lot.ID, amount: x, shared: true})
					f.cost += x
					a -= x
				}
			}
			if a > 0 {
				n.pieces = append(n.pieces, &piece{flow: f, item: it.index, from: from, to: to, lot: wallet.OverrunLot, amount: a})
				f.cost += a
			}
		}
		from = to
	}
}

// going is a flow that has not ended.
func (n *naive) going(id string) *naiveFlow {
	if f := n.flow(id); f != nil && !f.Status.Ended() {
		return f
	}
	return nil
}

func (n *naive) change(c wallet.Change) refused {
	f := n.going(c.Flow)
	if f == nil {
		return conflict
	}
	if !belong(c.Items) || isStorage(c.Items) != f.Storage {
		return invalid
	}
	next := *f
	n.setItems(&next, c.Items, n.at, f.items)
	if month := int64(credit.Month); f.payedBy == nil && burn(month, next.items...) > burn(month, f.items...) {
		if r := n.gateRunway(&next, next.items, f.items); r != accepted {
			return r
		}
	}
	if f.payedBy != nil && !n.mayPay(f.payedBy, f.Project, needs(c.Items)) {
		return conflict
	}
	f.Items, f.items, f.Since, f.changedAt = next.Items, next.items, n.at, n.at
	return accepted
}

// mayPay says whether every lot that a hold has something of admits all needs.
func (n *naive) mayPay(h *naiveHold, project string, all []need) bool {
	for _, s := range h.Slices {
		for _, x := range all {
			if s.Amount > 0 && !admits(n.lot(s.Lot).Scope, project, x) {
				return false
			}
		}
	}
	return true
}

func (n *naive) limit(c wallet.Limit) refused {
	f := n.going(c.Flow)
	if f == nil {
		return conflict
	}
	if c.Until != nil && *c.Until != 0 && *c.Until <= n.at {
		return invalid
	}
	if c.Lease != nil && *c.Lease > f.Lease && f.payedBy == nil {
		more := burn(*c.Lease+n.graceOf(f), f.items...)
		if f.Lease > 0 {
			more -= burn(f.Lease+n.graceOf(f), f.items...)
		}
		if r := n.gate(f.who(), needs(f.Items), more, nil); r != accepted {
			return r
		}
	}
	if c.MaxCost != nil {
		if r := n.limitCost(f, *c.MaxCost); r != accepted {
			return r
		}
	}
	if c.Until != nil {
		f.Until = *c.Until
	}
	if c.Lease != nil {
		f.Lease = *c.Lease
	}
	return accepted
}

func (n *naive) limitCost(f *naiveFlow, most credit.Amount) refused {
	h := f.payedBy
	if h == nil {
		return conflict
	}
	if most <= h.Captured {
		return invalid
	}
	more := most - h.Captured - h.Amount
	if more <= 0 {
		n.shrink(h, -more)
		return accepted
	}
	if r := n.gateExact(f.who(), needs(f.Items), more); r != accepted {
		return r
	}
	h.Slices = slices.DeleteFunc(h.Slices, func(s wallet.Slice) bool { return s.Amount == 0 })
	for _, s := range n.slice(n.open(f.Project, needs(f.Items)...), more) {
		h.Slices = join(h.Slices, s.Lot, s.Amount)
	}
	h.Amount += more
	return accepted
}

// shrink gives a part of a hold back, from the end.
func (n *naive) shrink(h *naiveHold, a credit.Amount) {
	for i := len(h.Slices) - 1; i >= 0 && a > 0; i-- {
		x := min(a, h.Slices[i].Amount)
		h.Slices[i].Amount -= x
		h.Amount -= x
		a -= x
		n.giveBack(h.Slices[i].Lot, x, false)
	}
}

func (n *naive) stop(c wallet.Stop) refused {
	f := n.going(c.Flow)
	if f == nil {
		return conflict
	}
	at, status := c.At, c.Status
	if at == 0 {
		at = n.at
	}
	if status == "" {
		status = wallet.Stopped
	}
	if at > n.at || at < f.StartedAt || at < f.changedAt && status != wallet.Lost || at < c.Proof {
		return invalid
	}
	n.giveBackAfter(f, at)
	n.end(f, at, status, c.Reason)
	return accepted
}

// giveBackAfter returns what the flow took after t to the lots it came from:
// charges give back the last of their slices, what was not charged yet simply
// goes back.
func (n *naive) giveBackAfter(f *naiveFlow, t int64) {
	for i := len(n.pieces) - 1; i >= 0; i-- {
		p := n.pieces[i]
		if p.flow == f && p.lot != "" && p.to > max(t, f.posted[p.item]) {
			for from := max(t, f.posted[p.item], p.from); from < p.to; {
				to := min(p.to, from-from%hour+hour) // in the budget window of its time
				n.back(f, nil, p.lot, p.in(from, to), from, to)
				from = to
			}
		}
	}
	n.giveBackCharged(f, t)
}

// giveBackCharged returns what the flow was charged for time after t.
func (n *naive) giveBackCharged(f *naiveFlow, t int64) {
	var numbers []int64
	for no, c := range n.charges {
		if c.flow == f {
			numbers = append(numbers, no)
		}
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	for _, no := range numbers {
		c := n.charges[no]
		if c.to > t {
			kept := n.ran(c, max(t, c.from))
			c.cutBack(t)
			n.giveBackCharge(c, max(0, c.left()-kept), "")
		}
	}
}

// ran is what had run up to t of what was charged.
func (n *naive) ran(c *naiveCharge, t int64) credit.Amount {
	for _, p := range n.pieces {
		if p.flow == c.flow && p.item == c.item && p.late == c.late && p.epoch != nil && p.from < c.to && p.to > c.from {
			return p.epoch.total(t) - p.epoch.total(c.from)
		}
	}
	return 0
}

func (n *naive) reprice(c wallet.Reprice) {
	for _, f := range n.running() {
		for _, it := range f.items {
			if it.SKU != c.SKU || it.Tier != c.Tier {
				continue
			}
			s := c.Step
			s.Rate, _ = credit.NewRate(s.Price, it.Quantity)
			it.Next = slices.DeleteFunc(it.Next, func(o wallet.Step) bool { return o.At >= s.At })
			it.Next = append(it.Next, s)
			n.step(f, it)
		}
	}
}

// posted says that the engine made a charge of a flow. The model finds its own
// slices for the item and the stretch of time.
func (n *naive) posted(c *wallet.Charge) (slices []wallet.Slice, waived credit.Amount) {
	f := n.flow(c.Flow)
	for _, p := range n.pieces {
		lost := f.Status.Ended() && c.From >= f.EndedAt
		late := !lost && f.lateFrom != 0 && c.From >= f.lateFrom
		if p.flow != f || p.item != c.Item || p.lost != lost || p.late != late {
			continue
		}
		if p.lot == "" && p.to > c.From && p.to <= c.To {
			waived += p.waived
		} else if a := p.in(c.From, c.To); a > 0 {
			slices = join(slices, p.lot, a)
		}
	}
	f.posted[c.Item] = max(f.posted[c.Item], c.To)
	n.charges[c.No] = &naiveCharge{flow: f, item: c.Item, from: c.From, to: c.To, slices: append([]wallet.Slice(nil), slices...),
		late: f.lateFrom != 0 && c.From >= f.lateFrom && c.From < f.EndedAt, reach: c.To}
	return slices, waived
}

// join adds to the slice of the lot, or makes one: slices stand in the order in
// which the lots were first used.
func join(slices []wallet.Slice, lot string, a credit.Amount) []wallet.Slice {
	for i := range slices {
		if slices[i].Lot == lot {
			slices[i].Amount += a
			return slices
		}
	}
	return append(slices, wallet.Slice{Lot: lot, Amount: a})
}
