package wallet

import (
	"slices"

	"github.com/purserhq/purser/internal/credit"
)

// ahead is how far a calm course need not be looked at again: longer than the
// time between two hourly closes, which look anyway.
const ahead = 2*hour + 1

// calm is an instant before which surely no landing is due and no alert about
// the runway, found without a projection; the course's own instant if it cannot
// be told so cheaply. In a wallet that is rich for what it burns, commands need
// no projection at all; it is run when a reader asks for it.
func (c *course) calm() int64 {
	watch := c.policy.Grace
	for i := range c.classes {
		watch = max(watch, c.classes[i].grace)
	}
	for _, runway := range c.policy.AlertRunways {
		watch = max(watch, runway)
	}
	span := watch + ahead
	if c.nothingEnds(span) && c.allCovered(span) {
		return c.at + ahead
	}
	return c.at
}

// nothingEnds reports that within the span no class reaches its last instant,
// takes another price, or uses up its hold or a hard budget.
func (c *course) nothingEnds(span int64) bool {
	for _, a := range c.agenda {
		if a.at > c.at+span {
			break
		}
		if a.kind == classEnds || a.kind == priceChanges {
			return false
		}
	}
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.hold != "" && cr.holdLeft <= cr.cost(span) {
			return false
		}
	}
	for i := range c.budgets {
		counted := func(cl *class) bool { return cl.counts(i) }
		if b := &c.budgets[i]; b.Hard && b.left-b.ahead() <= c.sumRates(span, counted) {
			return false
		}
	}
	return true
}

// counts reports whether the budget counts the class.
func (cl *class) counts(budget int) bool { return slices.Contains(cl.budgets, budget) }

// allCovered reports that the lots each item may use would last for the span
// even if everything that runs used them.
func (c *course) allCovered(span int64) bool {
	burn := c.sumRates(span, func(cl *class) bool { return cl.hold == "" })
	known := map[*int32]bool{}
	for i := range c.classes {
		cr := &c.classes[i]
		for j := range cr.items {
			if cr.items[j].Rate == 0 || cr.hold != "" {
				continue
			}
			route := cr.routes[j]
			if len(route) == 0 {
				return false
			}
			if !known[&route[0]] && c.lasting(route, span) <= burn {
				return false
			}
			known[&route[0]] = true
		}
	}
	return true
}

// lasting is what the route's lots hold that cannot expire within the span, the
// overdraft included and what retained storage may owe left out.
func (c *course) lasting(route []int32, span int64) (sum credit.Amount) {
	for _, i := range route {
		switch l := &c.lots[i]; {
		case l.kind == owed || l.expiresAt != 0 && l.expiresAt <= c.at+span:
		case l.open:
			sum = addSat(sum, l.left)
		}
	}
	return sum
}
