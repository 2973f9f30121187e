package wallet_test

import (
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// refused is the kind and code of a refusal; the zero value is none.
type refused struct {
	kind fault.Kind
	code string
}

var (
	accepted     refused
	insufficient = refused{fault.Insufficient, "insufficient_credits"}
	overBudget   = refused{fault.Insufficient, "budget_exceeded"}
	invalid      = refused{fault.Invalid, ""}
	conflict     = refused{fault.Conflict, ""}
	notFound     = refused{fault.NotFound, ""}
)

// apply lets time pass and does the command.
func (n *naive) apply(at int64, c wallet.Command) refused {
	n.advance(at)
	r := n.do(c)
	if r == accepted {
		n.stopUncovered(n.at)
		n.retain()
	}
	return r
}

func (n *naive) do(c wallet.Command) refused {
	switch c := c.(type) {
	case wallet.Grant:
		return n.grant(c.Lot)
	case wallet.Start:
		return n.start(c)
	case wallet.Change:
		return n.change(c)
	case wallet.Limit:
		return n.limit(c)
	case wallet.Stop:
		return n.stop(c)
	case wallet.Reserve:
		return n.reserve(c)
	case wallet.Capture:
		return n.capture(c)
	case wallet.Release:
		return n.releaseHold(c)
	case wallet.Use:
		return n.use(c.Lines)
	case wallet.Refund:
		return n.refund(c)
	case wallet.Freeze:
		return n.freeze(c.Lot, true)
	case wallet.Unfreeze:
		return n.freeze(c.Lot, false)
	case wallet.SetPolicy:
		if c.Policy.Grace > day {
			return invalid
		}
		n.policy = c.Policy
	case wallet.SetBudgets:
		n.budgets = nil
		for _, b := range c.Budgets {
			n.budgets = append(n.budgets, &naiveBudget{b})
		}
	case wallet.Reprice:
		n.reprice(c)
	case wallet.TransferOut:
		return n.transferOut(c)
	case wallet.TransferIn:
		return n.transferIn(c)
	case wallet.Overrun:
		return n.overrun(c)
	}
	return accepted
}

func (n *naive) grant(l wallet.Lot) refused {
	if r := n.mayAdd(&l); r != accepted {
		return r
	}
	n.add(l)
	return accepted
}

func (n *naive) mayAdd(l *wallet.Lot) refused {
	if n.lot(l.ID) != nil {
		return conflict
	}
	if l.Amount <= 0 || l.ExpiresAt != 0 && l.ExpiresAt <= max(n.at, l.EffectiveAt) {
		return invalid
	}
	return accepted
}

func (n *naive) add(l wallet.Lot) {
	l.CreatedAt, l.Left, l.EffectiveAt, l.Frozen = n.at, l.Amount, max(l.EffectiveAt, n.at), false
	m := &naiveLot{Lot: l}
	n.lots = append(n.lots, m)
	if l.EffectiveAt == n.at {
		n.effective(m)
	}
}

// transferOut takes credits out; what is bound to a project, pinned, frozen or
// leased stays.
func (n *naive) transferOut(c wallet.TransferOut) refused {
	var from []payer
	free := -n.leased()
	for _, l := range n.order() {
		if l.Live && !l.Frozen && len(l.Scope.Projects) == 0 {
			from = append(from, payer{lot: l})
			free += l.Left
		}
	}
	if c.Amount <= 0 {
		return invalid
	}
	if free < c.Amount {
		return insufficient
	}
	n.slice(from, c.Amount)
	return accepted
}

func (n *naive) transferIn(c wallet.TransferIn) refused {
	for _, l := range c.Lots {
		if r := n.mayAdd(&l); r != accepted {
			return r
		}
	}
	for _, l := range c.Lots {
		n.add(l)
	}
	return accepted
}

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

func needs(items []wallet.Item) (all []need) {
	for _, it := range items {
		all = append(all, need{it.SKU, it.Tier, it.Region})
	}
	return all
}

// free is what may be newly promised to something that needs all of these.
func (n *naive) free(project string, all ...need) (sum credit.Amount) {
	for _, p := range n.open(project, all...) {
		if p.lot == &n.lent {
			sum += n.policy.Overdraft - n.lent.Used - n.pinnedOverdraft()
		} else {
			sum += p.lot.Left
		}
	}
	return sum - n.leased()
}

// leased is what the leases of running flows may still burn, rounded up.
func (n *naive) leased() (sum credit.Amount) {
	for _, f := range n.running() {
		if f.Lease > 0 && f.payedBy == nil {
			sum += burn(f.Lease+n.graceOf(f), f.items...)
		}
	}
	return sum
}

// burn is what the items cost over dt nanoseconds, each rounded up.
func burn(dt int64, items ...*naiveItem) (sum credit.Amount) {
	for _, it := range items {
		sum = plus(sum, credit.Ceil(it.rate, dt, it.period))
	}
	return sum
}

// burning are the items that are paid from the open lots.
func (n *naive) burning(counts func(*naiveFlow) bool) (all []*naiveItem) {
	for _, f := range n.running() {
		if f.payedBy == nil && counts(f) {
			all = append(all, f.items...)
		}
	}
	return all
}

func everyone(*naiveFlow) bool { return true }

// who is what budgets count by.
type who struct{ project, user, job, key string }

func (f *naiveFlow) who() who { return who{f.Project, f.User, f.Job, f.Key} }

// gate refuses what the lots that admit all needs do not cover, after what is
// held and leased, and what a hard budget does not allow, after what is held and
// leased under it. due says what is needed of those that counts chooses; without
// it budgets are not asked.
func (n *naive) gate(x who, all []need, amount credit.Amount, due func(counts func(*naiveFlow) bool) credit.Amount) refused {
	if free := n.free(x.project, all...); free <= 0 || free < amount {
		return insufficient
	}
	for _, b := range n.budgets {
		left := b.Amount - n.spent(b, n.at) - n.reservedIn(b)
		if b.Hard && b.counts(x.project, x.user, x.job, x.key) && due != nil && (left <= 0 || left < due(b.covers)) {
			return overBudget
		}
	}
	return accepted
}

// reservedIn is what holds and leases may still spend of a budget.
func (n *naive) reservedIn(b *naiveBudget) (sum credit.Amount) {
	for _, f := range n.running() {
		if b.covers(f) && f.payedBy != nil {
			sum += f.payedBy.Amount
		} else if b.covers(f) && f.Lease > 0 {
			sum += burn(f.Lease+n.graceOf(f), f.items...)
		}
	}
	for _, h := range n.holds {
		if h.Flow == "" && b.counts(h.Project, h.User, "", h.Key) {
			sum += h.Amount
		}
	}
	return sum
}

// gateRunway asks for block_below and min_runway of the whole burn, with the
// items that come and without those that go (SEMANTICS 10).
func (n *naive) gateRunway(f *naiveFlow, more, less []*naiveItem) refused {
	dt := n.policy.MinRunway
	due := func(counts func(*naiveFlow) bool) credit.Amount {
		return plus(burn(dt, n.burning(counts)...), burn(dt, more...)-burn(dt, less...))
	}
	return n.gate(f.who(), needs(f.Items), n.policy.BlockBelow+due(everyone), due)
}

// graceOf is the time between the flow's signal and its stop.
func (n *naive) graceOf(f *naiveFlow) int64 {
	if f.Grace > 0 {
		return f.Grace
	}
	return n.policy.Grace
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
		if r := n.gateRunway(f, f.items, nil); r != accepted || late == 0 {
			return r
		}
		return n.gate(f.who(), needs(f.Items), late+burn(n.policy.MinRunway, f.items...), nil)
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

// gateExact asks for an amount that is to be held.
func (n *naive) gateExact(x who, all []need, a credit.Amount) refused {
	return n.gate(x, all, a, func(func(*naiveFlow) bool) credit.Amount { return a })
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
	f.Items, f.items, f.Since, f.changedAt = next.Items, next.items, n.at, n.at
	return accepted
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
	var numbers []int64
	for no, c := range n.charges {
		if c.flow == f {
			numbers = append(numbers, no)
		}
	}
	for i := len(n.pieces) - 1; i >= 0; i-- {
		p := n.pieces[i]
		if p.flow == f && p.lot != "" && p.to > max(t, f.posted[p.item]) {
			from := max(t, f.posted[p.item], p.from)
			n.back(f, nil, p.lot, p.in(from, p.to), from, p.to)
		}
	}
	slices.Sort(numbers)
	slices.Reverse(numbers)
	for _, no := range numbers {
		c := n.charges[no]
		if c.to > t {
			kept := n.ran(c, max(t, c.from))
			n.giveBackCharge(c, max(0, c.left()-kept), "")
		}
	}
}

// ran is what had run up to t of what was charged.
func (n *naive) ran(c *naiveCharge, t int64) credit.Amount {
	for _, p := range n.pieces {
		if p.flow == c.flow && p.item == c.item && p.epoch != nil && p.from < c.to && p.to > c.from {
			return p.epoch.total(t) - p.epoch.total(c.from)
		}
	}
	return 0
}

// back returns credits that were taken to their lot. What was owed and has been
// paid since comes back as a claim against the overdraft; an overrun was the
// operator's loss, and no budget counted it.
func (n *naive) back(f *naiveFlow, l *wallet.Line, lot string, a credit.Amount, from, to int64) {
	if f != nil {
		f.cost -= a
	}
	switch lot {
	case wallet.OverrunLot:
		return
	case wallet.OwedLot:
		unpaid := min(a, n.owed.Used)
		f.Owed -= min(f.Owed, a)
		n.giveBack(lot, unpaid, true)
		n.giveBack(wallet.OverdraftLot, a-unpaid, true)
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
		Tier: c.Tier, Region: c.Region, Project: c.Project, User: c.User, Key: c.Key, CreatedAt: n.at, ExpiresAt: n.at + c.TTL}}
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
		n.payLine(&l, append(n.pinned(h), n.open(l.Project, need{l.SKU, l.Tier, l.Region})...))
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

// freeze takes a lot out of use, pinned slices too, or puts it back.
func (n *naive) freeze(id string, frozen bool) refused {
	l := n.lot(id)
	if l == nil || l == &n.lent || l == &n.owed {
		return notFound
	}
	l.Frozen = frozen
	for _, h := range n.holds {
		for i, s := range h.Slices {
			if frozen && s.Lot == id {
				h.Amount -= s.Amount
				h.Slices[i].Amount = 0
				n.giveBack(id, s.Amount, false)
			}
		}
	}
	return accepted
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
		if p.flow != f || p.item != c.Item || p.lost != lost {
			continue
		}
		if p.lot == "" && p.to > c.From && p.to <= c.To {
			waived += p.waived
		} else if a := p.in(c.From, c.To); a > 0 {
			slices = join(slices, p.lot, a)
		}
	}
	f.posted[c.Item] = max(f.posted[c.Item], c.To)
	n.charges[c.No] = &naiveCharge{flow: f, item: c.Item, from: c.From, to: c.To, slices: append([]wallet.Slice(nil), slices...)}
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

// balance is the balance as SEMANTICS 5 has it.
func (n *naive) balance() (b wallet.Balance) {
	b.At, b.Overdraft, b.Owed, b.Leased = n.at, n.policy.Overdraft, n.owed.Used, n.leased()
	for _, h := range n.holds {
		b.Held += h.Amount
	}
	b.Balance = b.Held - n.pinnedOverdraft() - n.lent.Used
	for _, l := range n.lots {
		if l.Live {
			b.Balance += l.Left
			if l.Frozen {
				b.Frozen += l.Left
			}
		}
	}
	b.Available = b.Balance - b.Held - b.Frozen + b.Overdraft
	return b
}

func (n *naive) pinnedOverdraft() (sum credit.Amount) {
	for _, h := range n.holds {
		for _, s := range h.Slices {
			if s.Lot == wallet.OverdraftLot {
				sum += s.Amount
			}
		}
	}
	return sum
}
