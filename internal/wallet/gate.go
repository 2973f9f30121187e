package wallet

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// gate decides whether something may start (docs/concepts.md, the gate): need is
// what must be covered by the lots of the route, after what is leased.
type gate struct {
	route    []int32
	need     credit.Amount
	rate     credit.Amount // the cost per hour of what asks, for the runway
	budgets  []int
	inBudget func(budget int) credit.Amount
}

// eligible lists the lots that may pay for every one of the items, the
// overdraft included.
func (w *Wallet) eligible(items []Item, project string) []int32 {
	var route []int32
	for i, it := range items {
		next := w.route(it.SKU, it.Tier, it.Region, project, false)
		if i == 0 {
			route = slices.Clone(next)
			continue
		}
		route = slices.DeleteFunc(route, func(l int32) bool { return !slices.Contains(next, l) })
	}
	return route
}

// Shut has the gate refuse whatever asks it, and say why; nil opens it again. Stops,
// facts and all else that does not ask go on. It is not part of the state: what is
// refused stands nowhere.
func (w *Wallet) Shut(why error) { w.shut = why }

// pass refuses what may not begin.
func (w *Wallet) pass(g gate) error {
	if w.shut != nil {
		return w.shut
	}
	return w.covers(g)
}

// covers refuses what is not covered.
func (w *Wallet) covers(g gate) error {
	have := w.usableLeft(g.route)
	leased := w.leased()
	free := addSat(have, -leased)
	if free <= 0 || free < g.need {
		return w.insufficient(g, have, leased)
	}
	for _, i := range g.budgets {
		b := w.budgets[i]
		if !b.Hard {
			continue
		}
		left := addSat(b.Amount-b.Spent, -w.reservedIn(i))
		if need := g.inBudget(i); left <= 0 || left < need {
			refused := w.refusal("budget_exceeded", have, leased, need, addSat(need, -left), g.rate,
				fmt.Sprintf("the budget %s (%s) leaves %s credits and this needs %s%s", b.ID, b.InWords(), left, need, b.resets(w.root.At)))
			return b.explain(refused, w.root.At).With("budget_left", left)
		}
	}
	return nil
}

// insufficient is the refusal for want of credits.
func (w *Wallet) insufficient(g gate, have, leased credit.Amount) error {
	need := max(g.need, 1)
	short := addSat(need, leased-have)
	message := fmt.Sprintf("this needs %s credits, %s are available", need, have)
	if all := w.usableLeft(w.everyLot()); all > have {
		message = fmt.Sprintf("this needs %s credits, and only %s of the %s available may pay for it", need, have, all)
	}
	if leased > 0 {
		message += fmt.Sprintf(" and %s of them are kept for running work", leased)
	}
	code := "insufficient_credits"
	if w.frozenLeft(g.route) >= short {
		code, message = "credits_frozen", message+"; frozen credits would cover it"
	}
	return w.refusal(code, have, leased, need, short, g.rate, message)
}

// everyLot is the route of what any lot may pay for, but for what is owed.
func (w *Wallet) everyLot() (route []int32) {
	for i, l := range w.lots {
		if l.Kind != owed {
			route = append(route, int32(i))
		}
	}
	return route
}

// refusal carries the numbers. How long the available credits last is known only
// if something has a rate, or if there are none.
func (w *Wallet) refusal(code string, have, leased, need, short, rate credit.Amount, message string) *fault.Fault {
	c := w.buildCourse()
	refused := fault.New(fault.Insufficient, "%s", message).WithCode(code).
		With("balance", c.balance()).With("available", have).With("leased", leased).
		With("required", need).With("shortfall", short)
	switch free := addSat(have, -leased); {
	case free <= 0:
		refused.With("runway_seconds", int64(0))
	case rate > 0:
		refused.With("runway_seconds", runwaySeconds(free, rate))
	}
	return refused
}

// runwaySeconds is how many whole seconds free credits last at a rate per hour.
func runwaySeconds(free, perHour credit.Amount) int64 {
	n := credit.MulWide(uint64(free), 3600).Big()
	n.Quo(n, credit.MulWide(uint64(perHour), 1).Big())
	if !n.IsInt64() {
		return never
	}
	return n.Int64()
}

// frozenLeft is what the frozen lots of the route hold.
func (w *Wallet) frozenLeft(route []int32) (sum credit.Amount) {
	for _, i := range route {
		if l := w.lots[i]; l.Frozen && !l.Expired && l.EffectiveAt <= w.root.At {
			sum = addSat(sum, l.Left)
		}
	}
	return sum
}

// leased is what running leases may still burn (docs/concepts.md, leases). What
// is paid from a hold of its own is in that hold.
func (w *Wallet) leased() credit.Amount { return w.buildCourse().leased(nil) }

func (c *course) leased(counts func(*class) bool) (sum credit.Amount) {
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.lease == 0 || cr.hold != "" || cr.ended != never || counts != nil && !counts(cr.class) {
			continue
		}
		for j := range cr.items {
			it := &cr.items[j]
			sum = addSat(sum, mulAmount(credit.Ceil(it.Rate, cr.lease+cr.grace, it.Period), int64(len(it.phases))))
		}
	}
	return sum
}

// reservedIn is what holds and leases may still spend of a budget.
func (w *Wallet) reservedIn(budget int) credit.Amount {
	b := w.budgets[budget]
	counts := func(cl *class) bool { return cl.counts(budget) }
	c := w.buildCourse()
	sum := c.leased(counts)
	for i := range c.classes {
		if cr := &c.classes[i]; cr.hold != "" && counts(cr.class) {
			sum = addSat(sum, cr.holdLeft)
		}
	}
	for _, h := range w.holds {
		if h.Flow == "" && b.counts(h.Project, h.User, "", h.Key) {
			sum = addSat(sum, h.Amount)
		}
	}
	return sum
}

// passStart is the gate for a new flow without a hold of its own, or for the
// increase of one. more is what it adds. A start in the past must be covered with
// its past, in each budget with what of that lies in its window.
func (w *Wallet) passStart(f *Flow, more []Item, less []Item) error {
	dt := w.root.Policy.MinRunway
	cost := func(span int64) credit.Amount { return addSat(costOf(more, span), -costOf(less, span)) }
	if len(less) > 0 && cost(hour) <= 0 && cost(int64(credit.Month)) <= 0 {
		return nil
	}
	own, c := cost(dt), w.buildCourse()
	past := func(from int64) credit.Amount { return 0 }
	if len(less) == 0 && w.root.Policy.follows(lateCounts) {
		past = func(from int64) credit.Amount { return addSat(f.used(w.root.At), -f.used(max(from, f.StartedAt))) }
	}
	var reserve credit.Amount // what its lease may burn while nobody can reach its holder
	if f.Lease > 0 {
		reserve = cost(f.Lease + f.graceOf(w.root.Policy))
	}
	burns := func(cl *class) bool { return cl.hold == "" }
	return w.pass(gate{
		route:   w.eligible(more, f.Project),
		need:    addSat(past(0), max(reserve, addSat(w.root.Policy.BlockBelow, addSat(c.sumRates(dt, burns), own)))),
		rate:    addSat(c.sumRates(hour, burns), cost(hour)),
		budgets: w.budgetsOf(f),
		inBudget: func(i int) credit.Amount {
			burn := addSat(own, c.sumRates(dt, func(cl *class) bool { return burns(cl) && cl.counts(i) }))
			return addSat(past(w.budgets[i].since()), max(reserve, burn))
		},
	})
}

// costOf is what items cost in dt nanoseconds, rounded up per item.
func costOf(items []Item, dt int64) (sum credit.Amount) {
	for _, it := range items {
		sum = addSat(sum, credit.Ceil(it.Rate, dt, it.Period))
	}
	return sum
}
