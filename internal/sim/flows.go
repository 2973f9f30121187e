package sim

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/purserhq/purser/api"
)

// checkFlows checks that every acknowledged flow is there, runs and ends as was
// said, and is charged for all of its time, once.
func (b *books) checkFlows() error {
	charges := map[string][]*api.Charge{}
	for i := range b.charges {
		c := &b.charges[i]
		charges[c.Flow] = append(charges[c.Flow], c)
	}
	found := map[string]bool{}
	for i := range b.flows {
		f := &b.flows[i]
		found[f.ID] = true
		if err := b.checkFlow(f, charges[f.ID]); err != nil {
			return fmt.Errorf("flow %s: %w (%s)", f.ID, err, encoded(f))
		}
		if f.EndedAt != nil {
			drop(&b.running, f.ID)
			drop(&b.leased, f.ID)
		}
	}
	for _, id := range sorted(b.account.flows) {
		if !found[id] {
			return fmt.Errorf("flow %s was acknowledged and is not there", id)
		}
	}
	return nil
}

func (b *books) checkFlow(f *api.Flow, charges []*api.Charge) error {
	net := nano(f.Accrued)
	for _, c := range charges {
		net += nano(c.Amount) - nano(c.Refunded)
	}
	if net != nano(f.Charged) {
		return fmt.Errorf("its charges and what accrues are %s, it says %s", api.NanoCredits(net), f.Charged)
	}
	if f.MaxCost != "" && net > nano(f.MaxCost) {
		return fmt.Errorf("it cost %s, more than its max_cost", f.Charged)
	}
	told := b.account.flows[f.ID]
	if told == nil {
		return nil // of a job
	}
	if instant(f.StartedAt) != told.started {
		return fmt.Errorf("it was acknowledged to have started at %s", api.At(told.started))
	}
	if told.ended != 0 && (f.EndedAt == nil || instant(*f.EndedAt) != told.ended) {
		return fmt.Errorf("it was acknowledged to have ended at %s", api.At(told.ended))
	}
	return told.checkTime(charges)
}

// checkTime checks that no time of an item is charged twice or left out, that its
// quantity is what was asked for then, and that remainders are carried on.
func (f *flow) checkTime(charges []*api.Charge) error {
	slices.SortStableFunc(f.parts, func(a, b part) int { return cmp.Compare(a.from, b.from) })
	slices.SortStableFunc(charges, func(a, b *api.Charge) int {
		return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Tier, b.Tier), cmp.Compare(instant(a.From), instant(b.From)))
	})
	for i, c := range charges {
		items, from, to := f.during(instant(c.From))
		if items != nil && instant(c.To) > to {
			return fmt.Errorf("charge %s goes on beyond a change at %s", c.ID, api.At(to))
		}
		if items != nil && !slices.ContainsFunc(items, func(n api.NewItem) bool {
			return n.SKU == c.SKU && n.Quantity == c.Quantity && (n.Tier == c.Tier || n.Tier == "" && c.Tier == "on-demand")
		}) {
			return fmt.Errorf("charge %s is for %s %s, which did not run from %s on", c.ID, c.Quantity, c.SKU, api.At(from))
		}
		if i == 0 || charges[i-1].SKU != c.SKU || charges[i-1].Tier != c.Tier {
			continue
		}
		before := charges[i-1]
		if instant(before.To) > instant(c.From) {
			return fmt.Errorf("charges %s and %s are for the same time", before.ID, c.ID)
		}
		if before.To == c.From && before.Computation.RemainderAfter != c.Computation.RemainderBefore {
			return fmt.Errorf("charge %s does not go on where %s left off", c.ID, before.ID)
		}
		if instant(c.From) >= from && instant(before.From) >= from && before.To != c.From {
			return fmt.Errorf("nothing is charged between %s and %s", before.ID, c.ID)
		}
	}
	return nil
}

// during is what ran at an instant, and from when to when; nil where two changes
// were made at the same instant, so that the order is not known.
func (f *flow) during(at int64) (items []api.NewItem, from, to int64) {
	to = 1<<63 - 1
	for i, p := range f.parts {
		if p.from > at {
			return items, from, p.from
		}
		items, from = p.items, p.from
		if i > 0 && f.parts[i-1].from == p.from {
			items = nil
		}
	}
	return items, from, to
}
