package wallet_test

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

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
// leased under it. due says what a budget must leave; without
// it budgets are not asked.
func (n *naive) gate(x who, all []need, amount credit.Amount, due func(b *naiveBudget) credit.Amount) refused {
	if free := n.free(x.project, all...); free <= 0 || free < amount {
		return insufficient
	}
	for _, b := range n.budgets {
		left := b.Amount - n.spent(b, n.at) - n.reservedIn(b)
		if b.Hard && b.counts(x.project, x.user, x.job, x.key) && due != nil && (left <= 0 || left < due(b)) {
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
// items that come and without those that go, and for what the flow's own lease
// sets aside (docs/concepts.md, the gate).
func (n *naive) gateRunway(f *naiveFlow, more, less []*naiveItem) refused {
	dt := n.policy.MinRunway
	due := func(counts func(*naiveFlow) bool) credit.Amount {
		return plus(burn(dt, n.burning(counts)...), burn(dt, more...)-burn(dt, less...))
	}
	lease := credit.Amount(0)
	if f.Lease > 0 {
		span := f.Lease + n.graceOf(f)
		lease = burn(span, more...) - burn(span, less...)
	}
	past := func(from int64) (sum credit.Amount) { // what a start in the past has cost since
		for _, it := range more {
			if len(less) == 0 {
				sum += it.total(n.at) - it.total(from)
			}
		}
		return sum
	}
	inBudget := func(b *naiveBudget) credit.Amount {
		return past(windowStart(b, n.at)) + max(lease, due(b.covers))
	}
	return n.gate(f.who(), needs(f.Items), past(0)+max(lease, n.policy.BlockBelow+due(everyone)), inBudget)
}

// graceOf is the time between the flow's signal and its stop.
func (n *naive) graceOf(f *naiveFlow) int64 {
	if f.Grace > 0 {
		return f.Grace
	}
	return n.policy.Grace
}

// gateExact asks for an amount that is to be held.
func (n *naive) gateExact(x who, all []need, a credit.Amount) refused {
	return n.gate(x, all, a, func(*naiveBudget) credit.Amount { return a })
}
