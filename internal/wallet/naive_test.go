package wallet_test

import (
	"sort"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// The naive model is the simplest code that could be right, written from
// docs/concepts.md: it settles every item of every flow at every event, one after
// the other, and keeps no classes, no timeline and no projection. The property
// test holds the engine against it. It is slow and must stay obvious.
//
// Where that leaves room, the model reads it like this:
//
//   - What the nanosecond up to t costs comes first, with all that follows from
//     it; then what is scheduled for t happens; then a command at t. So a lot
//     that becomes effective, or a grant that arrives, at the very instant at
//     which the wallet is empty comes too late, and so does a new window for a
//     budget that is reached exactly at its end.
//   - Everything that stops in one nanosecond is found before anything of it is
//     given back: a hold that returns then does not save other work.
//   - In that nanosecond all items of a flow are still paid as far as there is
//     something; only the uncovered parts are waived (6).
//   - An item without a price is always covered.
//   - If several reasons stop a flow at once, a budget is named before its
//     largest cost, and that before credits.
//   - Hard budgets count storage but do not stop it, and cut the last tick as
//     lots do. They count what was paid, not overruns, and refunds are taken off
//     the window of the charge. The gate asks of a budget what it asks of the
//     wallet, after the holds and leases under it.
//   - The burn of the gate (10) is that of flows without a hold of their own, and
//     each item is rounded up. Leases (12) likewise: what has a hold is in it.
//   - A start in the past must be covered with its past; it is no fact yet.
//   - Holds may pin the overdraft, which is the last lot of everyone. An overdraft
//     that was lowered below its use counts against the gate.
//   - Pinned slices pay for whatever the hold is captured for, and are used in
//     their order; after a freeze took slices, a largest cost is what is left.
//   - A bought lot pays debts when it becomes effective, unless it is frozen: owed
//     before the overdraft, running flows before what ended ones left behind.
//   - Refunds of what was owed lower the debt of their own flow; what was written
//     off comes back to the operator; what has been paid pays what others owe, and
//     beyond that comes back as a claim against the overdraft, which may then stand
//     above its limit.
//   - A partial refund has given back the end of a charge; a later stop in the
//     past gives back only what is left of what lies after it (15).
//   - What a flow did not run leaves the totals with what it was charged for it,
//     also where that is nothing; but an overrun of which nothing is left to give
//     back stays in them.
//   - Storage counts as uncovered, and is retained, when one of its items is (20).

// naive is a wallet of the naive model.
type naive struct {
	at         int64
	policy     wallet.Policy
	lots       []*naiveLot
	lent       naiveLot      // the overdraft: Used of what the policy allows
	owed       naiveLot      // what retained storage ran up: Used, without end
	writtenOff credit.Amount // of it
	flows      []*naiveFlow
	holds      []*naiveHold
	budgets    []*naiveBudget
	pieces     []*piece
	given      []*piece // what was given back, as negative amounts
	charges    map[int64]*naiveCharge
	facts      []*naiveCharge // of the last command

	projecting bool // this is a copy that runs into the future
	stops      map[string]naiveStop
	emptyAt    int64
	uses       []wallet.LotUse
	released   int64 // when storage was released last
}

type naiveLot struct {
	wallet.Lot
	Used credit.Amount // of the overdraft and of owed
	Live bool          // effective, unexpired
}

type naiveFlow struct {
	wallet.Flow
	items   []*naiveItem
	payedBy *naiveHold
	cost    credit.Amount // all it took, given back taken off

	lateFrom  int64 // where it was lost, once its true end is known
	changedAt int64
	posted    map[int]int64 // by item: charges reach up to here
}

type naiveItem struct {
	wallet.Item
	*epoch
	index int
	taken credit.Amount // of this epoch, waived included
}

// epoch is a time in which one item has one price and quantity.
type epoch struct {
	rate   credit.Rate
	period credit.Period
	since  int64
	rem    credit.Wide
}

// total is the whole nano-credits that the item has run up since the epoch
// began.
func (e *epoch) total(t int64) credit.Amount {
	if t <= e.since {
		return 0
	}
	a, _, err := credit.Accrue(e.rate, t-e.since, e.rem, e.period)
	if err != nil {
		return credit.Max
	}
	return a
}

// next is the epoch that follows from t on, with the remainder carried.
func (e *epoch) next(t int64, rate credit.Rate) *epoch {
	_, rem := e.period.DivMod(credit.MulWide(uint64(e.rate), uint64(t-e.since)).Add(e.rem))
	return &epoch{rate, e.period, t, rem}
}

// piece is what one item took from one lot in one stretch of time. It can be
// cut at any instant between From and To, for inside it one lot pays all;
// the nanoseconds in which a lot runs out are pieces of their own.
type piece struct {
	flow     *naiveFlow
	line     *wallet.Line
	item     int
	epoch    *epoch
	from, to int64
	lot      string
	amount   credit.Amount
	waived   credit.Amount
	shared   bool // its time was paid by other lots, too, or not in full
	lost     bool // an overrun, which no budget counts
	late     bool // between where its flow was lost and its true end
}

// in is the part of the piece that lies in (a, b].
func (p *piece) in(a, b int64) credit.Amount {
	a, b = max(a, p.from), min(b, p.to)
	if a >= b {
		return 0
	}
	if a == p.from && b == p.to {
		return p.amount
	}
	return p.epoch.total(b) - p.epoch.total(a)
}

type (
	naiveHold   struct{ wallet.Hold }
	naiveBudget struct{ wallet.Budget }
)

// naiveCharge is a charge with what is left of its slices.
type naiveCharge struct {
	flow     *naiveFlow
	line     *wallet.Line
	item     int
	from, to int64
	slices   []wallet.Slice
	late     bool
	reach    int64 // of a flow: it counts up to here
}

func (c *naiveCharge) left() (sum credit.Amount) {
	for _, s := range c.slices {
		sum += s.Amount
	}
	return sum
}

// naiveStop is when and why a flow will be stopped if nothing is done.
type naiveStop struct {
	at     int64
	reason string
}

func newNaive(at int64, p wallet.Policy) *naive {
	n := &naive{at: at, policy: p, charges: map[int64]*naiveCharge{}}
	n.lent.ID, n.owed.ID = wallet.OverdraftLot, wallet.OwedLot
	return n
}

// payer is one source from which an item may be paid.
type payer struct {
	lot   *naiveLot
	hold  *naiveHold // with slice: the pinned part of the lot
	slice int
}

func (n *naive) left(p payer) credit.Amount {
	switch {
	case p.hold != nil:
		return p.hold.Slices[p.slice].Amount
	case p.lot == &n.lent:
		return n.lendable()
	case p.lot == &n.owed:
		return credit.Max
	}
	return p.lot.Left
}

func (n *naive) take(p payer, f *naiveFlow, a credit.Amount) {
	if p.hold != nil {
		p.hold.Slices[p.slice].Amount -= a
		p.hold.Amount -= a
		p.hold.Captured += a
	} else {
		p.lot.Left -= a
	}
	p.lot.Used += a
	if p.lot == &n.owed {
		f.Owed += a
	}
}

// lendable is what is left of the overdraft.
func (n *naive) lendable() credit.Amount {
	return max(0, n.policy.Overdraft-n.lent.Used-n.pinnedOverdraft())
}

// payers are the sources of one item, in the order in which they are used.
func (n *naive) payers(f *naiveFlow, it *naiveItem) (all []payer) {
	if f.payedBy != nil {
		return n.pinned(f.payedBy)
	}
	all = n.open(f.Project, need{it.SKU, it.Tier, it.Region})
	if f.Storage {
		all = append(all, payer{lot: &n.owed})
	}
	return all
}

func (n *naive) pinned(h *naiveHold) (all []payer) {
	for i, s := range h.Slices {
		all = append(all, payer{n.lot(s.Lot), h, i})
	}
	return all
}

// need is something that is to be paid.
type need struct{ sku, tier, region string }

// open are the lots that admit everything needed, in burn-down order, with the
// overdraft last.
func (n *naive) open(project string, needs ...need) (all []payer) {
	for _, l := range n.order() {
		if !l.Live || l.Frozen {
			continue
		}
		ok := true
		for _, x := range needs {
			ok = ok && admits(l.Scope, project, x)
		}
		if ok {
			all = append(all, payer{lot: l})
		}
	}
	return append(all, payer{lot: &n.lent})
}

// order is the burn-down order: lower priority, sooner expiry (none last),
// narrower scope, older, id.
func (n *naive) order() []*naiveLot {
	all := append([]*naiveLot(nil), n.lots...)
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		switch {
		case a.Priority != b.Priority:
			return a.Priority < b.Priority
		case a.ExpiresAt != b.ExpiresAt:
			return b.ExpiresAt == 0 || a.ExpiresAt != 0 && a.ExpiresAt < b.ExpiresAt
		case narrowness(a.Scope) != narrowness(b.Scope):
			return narrowness(a.Scope) > narrowness(b.Scope)
		case a.CreatedAt != b.CreatedAt:
			return a.CreatedAt < b.CreatedAt
		}
		return a.ID < b.ID
	})
	return all
}

func narrowness(s wallet.Scope) (named int) {
	for _, dimension := range [][]string{s.SKUs, s.Tiers, s.Regions, s.Projects} {
		if len(dimension) > 0 {
			named++
		}
	}
	return named
}

func admits(s wallet.Scope, project string, x need) bool {
	return matches(s.SKUs, x.sku) && matches(s.Tiers, x.tier) &&
		matches(s.Regions, x.region) && matches(s.Projects, project)
}

func matches(patterns []string, s string) bool {
	for _, p := range patterns {
		if glob(p, s) {
			return true
		}
	}
	return len(patterns) == 0
}

func glob(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return glob(pattern[1:], s) || s != "" && glob(pattern, s[1:])
	}
	return s != "" && pattern[0] == s[0] && glob(pattern[1:], s[1:])
}

func (n *naive) lot(id string) *naiveLot {
	switch id {
	case wallet.OverdraftLot:
		return &n.lent
	case wallet.OwedLot:
		return &n.owed
	}
	for _, l := range n.lots {
		if l.ID == id {
			return l
		}
	}
	return nil
}

func (n *naive) flow(id string) *naiveFlow {
	for _, f := range n.flows {
		if f.ID == id {
			return f
		}
	}
	return nil
}

func (n *naive) hold(id string) *naiveHold {
	for _, h := range n.holds {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// running are the flows that have not ended, in the order in which they pay in
// a nanosecond that does not suffice: start, id.
func (n *naive) running() (all []*naiveFlow) {
	for _, f := range n.flows {
		if !f.Status.Ended() {
			all = append(all, f)
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].StartedAt != all[j].StartedAt {
			return all[i].StartedAt < all[j].StartedAt
		}
		return all[i].ID < all[j].ID
	})
	return all
}

// copy is a wallet that can run into the future on its own.
func (n *naive) copy() *naive {
	c := &naive{at: n.at, policy: n.policy, lent: n.lent, owed: n.owed, projecting: true,
		stops: map[string]naiveStop{}, charges: map[int64]*naiveCharge{}}
	for _, l := range n.lots {
		m := *l
		c.lots = append(c.lots, &m)
	}
	for _, h := range n.holds {
		m := *h
		m.Slices = append([]wallet.Slice(nil), h.Slices...)
		c.holds = append(c.holds, &m)
	}
	for _, b := range n.budgets {
		m := *b
		c.budgets = append(c.budgets, &m)
	}
	for _, f := range n.running() {
		m := *f
		m.items = nil
		for _, it := range f.items {
			x := *it
			m.items = append(m.items, &x)
		}
		if f.payedBy != nil {
			m.payedBy = c.hold(f.payedBy.ID)
		}
		c.flows = append(c.flows, &m)
	}
	if len(n.budgets) > 0 {
		c.pieces = n.pieces[:len(n.pieces):len(n.pieces)]
		c.given = n.given[:len(n.given):len(n.given)]
	}
	return c
}
