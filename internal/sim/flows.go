package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
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
			return fmt.Errorf("flow %s: %w (%s, told %+v, charges %s)", f.ID, err, encoded(f), b.account.flows[f.ID], encoded(charges[f.ID]))
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
		net += nano(c.Amount) - nano(c.Refunded) - b.lost[c.ID]
	}
	if net != nano(f.Charged) {
		return fmt.Errorf("its charges and what accrues are %s, it says %s: %s", api.NanoCredits(net), f.Charged, encoded(charges))
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
	if f.Status != "lost" {
		return errors.Join(b.checkTime(told, charges), b.checkCost(f, told, charges))
	}
	// Closed at its last proof of life and charged for the rest as a late fact: its
	// time is charged anew from there, without the remainder, and after a change at the
	// quantities of the change.
	if len(told.parts) > 1 {
		return nil
	}
	return b.checkCost(f, told, charges)
}

// returnedByItself is what was given back of a charge without being asked for: for
// time after the end of its flow.
func (b *books) returnedByItself(c *api.Charge) int64 { return nano(c.Refunded) - b.refunds[c.ID] }

// checkTime checks that no time of an item is charged twice or left out, that its
// quantity is what was asked for then, and that remainders are carried on.
func (b *books) checkTime(f *flow, charges []*api.Charge) error {
	slices.SortStableFunc(f.parts, func(a, b part) int { return cmp.Compare(a.from, b.from) })
	slices.SortStableFunc(charges, func(a, b *api.Charge) int {
		return cmp.Or(cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.Tier, b.Tier), cmp.Compare(instant(a.From), instant(b.From)))
	})
	var before *api.Charge
	for _, c := range charges {
		items, from, to := f.during(instant(c.From))
		if items != nil && instant(c.To) > to {
			return fmt.Errorf("charge %s goes on beyond a change at %s", c.ID, api.At(to))
		}
		if items != nil && !slices.ContainsFunc(items, func(n api.NewItem) bool { return isFor(c, n) && n.Quantity == c.Quantity }) {
			return fmt.Errorf("charge %s is for %s %s, which did not run from %s on", c.ID, c.Quantity, c.SKU, api.At(from))
		}
		if b.returnedByItself(c) > 0 {
			continue
		}
		if before != nil && before.SKU == c.SKU && before.Tier == c.Tier {
			if err := followsOn(before, c, from); err != nil {
				return err
			}
		}
		before = c
	}
	return nil
}

func isFor(c *api.Charge, n api.NewItem) bool {
	return n.SKU == c.SKU && cmp.Or(n.Tier, "on-demand") == c.Tier
}

// followsOn checks a charge against the one before it of the same item, where both
// are for what ran from the same instant on.
func followsOn(before, c *api.Charge, from int64) error {
	switch {
	case instant(before.To) > instant(c.From):
		return fmt.Errorf("charges %s and %s are for the same time", before.ID, c.ID)
	case before.To == c.From && instant(before.From) >= from && before.Computation.RemainderAfter != c.Computation.RemainderBefore:
		return fmt.Errorf("charge %s does not go on where %s left off", c.ID, before.ID)
	}
	return nil
}

// checkCost checks that a flow cost what its resources cost by the prices in force,
// from its start to its end or this instant. A nano-credit may be lost at every cut.
func (b *books) checkCost(f *api.Flow, told *flow, charges []*api.Charge) error {
	got, cuts := nano(f.Accrued), int64(len(charges)+len(f.Items))
	for _, c := range charges {
		got += nano(c.Amount) + nano(c.Waived) - b.returnedByItself(c)
	}
	end := b.now
	if f.EndedAt != nil {
		end = instant(*f.EndedAt)
	}
	want := new(big.Int)
	for i, p := range told.parts {
		to := end
		if i+1 < len(told.parts) {
			to = min(to, told.parts[i+1].from)
		}
		if i > 0 && told.parts[i-1].from == p.from {
			return nil // the order of two changes at one instant is not known
		}
		for _, item := range p.items {
			cost, pieces := b.cost(item, p.from, to)
			want.Add(want, cost)
			cuts += pieces
		}
	}
	if d := want.Sub(want, big.NewInt(got)); d.CmpAbs(big.NewInt(cuts)) > 0 {
		return fmt.Errorf("it cost %s, which is %s nano-credits less than its resources cost", api.NanoCredits(got), d)
	}
	return nil
}

// cost is what an item costs between two instants, in nano-credits, and in how many
// pieces.
func (a *auditor) cost(n api.NewItem, from, to int64) (sum *big.Int, cuts int64) {
	quantity, err := n.Quantity.Micro()
	if err != nil {
		panic(err) // we have made it
	}
	instants := []int64{from, to}
	for _, card := range a.cards {
		if at := instant(card.EffectiveAt); at > from && at < to {
			instants = append(instants, at)
		}
	}
	slices.Sort(instants)
	sum = new(big.Int)
	fits := func(card *api.RateCard) bool {
		price, _ := priceOf(card, n.SKU, n.Tier)
		return !isTooMuch(price, n.Quantity)
	}
	// A price that is too much for the quantity leaves the item the one that it has; at the
	// instant of its start it has that of before.
	price, unit := priceOf(a.latest(from, fits), n.SKU, n.Tier)
	for i := range instants[1:] {
		if card := a.inForce(instants[i]); i > 0 && fits(card) {
			price, unit = priceOf(card, n.SKU, n.Tier)
		}
		part := big.NewInt(max(0, instants[i+1]-instants[i]))
		part.Mul(part, big.NewInt(nano(price))).Mul(part, big.NewInt(quantity))
		sum.Add(sum, part.Quo(part, new(big.Int).Mul(big.NewInt(periods[unit]), big.NewInt(1e6))))
	}
	return sum, int64(len(instants))
}

// inForce is the version of the prices that is in force at an instant: the latest
// of those that have taken force by then.
func (a *auditor) inForce(at int64) *api.RateCard {
	return a.latest(at, func(*api.RateCard) bool { return true })
}

// latest is the latest version that has taken force by an instant, of those that fit.
func (a *auditor) latest(at int64, fits func(*api.RateCard) bool) *api.RateCard {
	var last *api.RateCard
	for i := range a.cards {
		card := &a.cards[i]
		if (card.Version == 1 || instant(card.EffectiveAt) <= at) && (last == nil || card.Version > last.Version) && fits(card) {
			last = card
		}
	}
	return last
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
