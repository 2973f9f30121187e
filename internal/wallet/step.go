package wallet

import (
	"cmp"
	"slices"

	"github.com/purserhq/purser/internal/credit"
)

// appointment is a scheduled instant of a course.
type appointment struct {
	at    int64
	kind  appointmentKind
	index int
}

type appointmentKind int

const (
	lotExpires appointmentKind = iota
	lotBecomesEffective
	classEnds
	priceChanges
	budgetWindow
	retentionStep
)

// outcome is what an instant did to a course.
type outcome struct {
	cuts   map[string]Cut     // how far the lots reached that ran out
	handed map[handKey]handed // what each item got of the last nanosecond, if it was handed out
	ended  []ending
	owing  []string // keys of storage classes that nothing covers from now on
}

type handKey struct {
	flow string
	item int
}

// handed is what one item got of one nanosecond. rest is what nothing covered.
type handed struct {
	slices []Slice
	rest   credit.Amount
}

type ending struct {
	class  *class
	reason string
}

// Why flows land and end.
const (
	ReasonCredits   = "credits"
	ReasonBudget    = "budget"
	ReasonMaxCost   = "max_cost"
	ReasonUntil     = "until"
	ReasonRetention = "retention"
	ReasonRequest   = "request"
	ReasonLease     = "lease"
	ReasonLate      = "late" // it was lost, and its true end was told later
)

// spend brings the course to t, the first instant at which something may run
// out, and ends the classes that nothing covers any more.
func (c *course) spend(t int64) outcome {
	var out outcome
	if c.runsOut(t) {
		out = c.handOut(t)
	} else {
		c.settle(t)
	}
	c.assign()
	c.endUncovered(&out)
	return out
}

// endUncovered ends the classes that nothing covers any more, except storage.
func (c *course) endUncovered(out *outcome) {
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.ended != never {
			continue
		}
		switch reason := c.uncovered(cr); {
		case reason == "":
		case reason == ReasonRetention:
			// the owed lot covers it
		default:
			cr.ended = c.at
			out.ended = append(out.ended, ending{cr.class, reason})
		}
	}
}

// returnHeld gives back what is left of the hold of a class that has ended.
func (c *course) returnHeld(cr *classRun) {
	cr.eachHeld(func(lot int32, amount credit.Amount) {
		if l := &c.lots[lot]; !l.gone {
			l.left += amount
		}
	})
	cr.holdLeft = 0
	c.rewind()
}

// uncovered says why a class cannot go on, or "".
func (c *course) uncovered(cr *classRun) string {
	if !cr.storage {
		for _, b := range cr.budgets {
			if c.budgets[b].stops() && c.budgets[b].left <= 0 {
				return ReasonBudget
			}
		}
	}
	for j := range cr.items {
		switch {
		case cr.items[j].Rate == 0:
		case cr.hold != "" && cr.holdLeft <= 0:
			return ReasonMaxCost
		case cr.hold == "" && cr.current[j] == noLot:
			return ReasonCredits
		case cr.hold == "" && c.lots[cr.current[j]].kind == owed:
			return ReasonRetention
		}
	}
	return ""
}

// pass does what follows spend at the course's instant: holds of ended work go
// back, and what is scheduled happens.
func (c *course) pass(out *outcome) {
	defer c.noticeOwing(out)
	returned := false
	for i := range c.classes {
		if cr := &c.classes[i]; cr.ended == c.at && cr.hold != "" {
			c.returnHeld(cr)
			returned = true
		}
	}
	kept := c.agenda
	for len(kept) > 0 && kept[0].at <= c.at {
		kept = kept[1:]
	}
	due := c.agenda[:len(c.agenda)-len(kept)]
	c.agenda = kept
	if len(due) == 0 && !returned && c.nextExpiry() > c.at {
		return
	}
	for _, a := range due {
		switch a.kind {
		case lotExpires:
			l := &c.lots[a.index]
			l.left, l.open, l.gone = 0, false, true
		case lotBecomesEffective:
			l := &c.lots[a.index]
			l.open = !l.frozen && !l.gone
			c.repay(l)
			c.rewind()
		case classEnds:
			if cr := &c.classes[a.index]; cr.ended == never {
				cr.ended = c.at
				c.returnHeld(cr)
				out.ended = append(out.ended, ending{cr.class, ReasonUntil})
			}
		case priceChanges:
			c.reprice(a.index)
		case budgetWindow:
			c.rollBudget(a.index)
		}
	}
	c.returnExpired()
	c.assign()
	c.endUncovered(out)
}

// noticeOwing names the storage classes that nothing covers from now on.
func (c *course) noticeOwing(out *outcome) {
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.ended != never || !cr.storage {
			continue
		}
		owing := c.uncovered(cr) == ReasonRetention
		if owing && !cr.owing {
			out.owing = append(out.owing, cr.key)
			cr.release = addInstant(c.at, int64(c.policy.RetentionDays)*day)
		}
		cr.owing = owing
	}
}

// nextRelease is when storage that nothing covers is released next; never if none is.
func (c *course) nextRelease() int64 {
	next := int64(never)
	for i := range c.classes {
		if cr := &c.classes[i]; cr.ended == never && cr.owing {
			next = min(next, cr.release)
		}
	}
	return next
}

// returnExpired gives the holds that expire now back to their lots.
func (c *course) returnExpired() {
	for c.pins.nextExpiry() <= c.at {
		first := c.pins.list.first()
		c.pins.list = c.pins.list.behindFirst()
		c.pins.count(first.slices, -1)
		c.rewind()
		for i := range c.lots {
			for _, s := range first.slices {
				if l := &c.lots[i]; l.id == s.Lot && !l.gone {
					l.left += s.Amount
				}
			}
		}
	}
}

// reprice moves a class on to its scheduled prices: every phase becomes the
// remainder at this instant.
func (c *course) reprice(index int) {
	cr := &c.classes[index]
	if cr.ended != never {
		return
	}
	next := *cr.class
	next.items = slices.Clone(next.items)
	for j := range next.items {
		ci := &next.items[j]
		ci.advanceTo(c.at)
		for len(ci.Next) > 0 && ci.Next[0].At <= c.at {
			ci.Rate, ci.Next = ci.Next[0].Rate, ci.Next[1:]
		}
	}
	cr.class = &next
	clear(cr.recent)
}

// advanceTo makes t the epoch of the item.
func (ci *classItem) advanceTo(t int64) {
	_, x := ci.Period.DivMod(credit.MulWide(uint64(ci.Rate), uint64(t-ci.epoch)))
	d := ci.Period.Divisor()
	ci.epoch, ci.phases = t, slices.Clone(ci.phases)
	for i := range ci.phases {
		p := ci.phases[i].p.Add(x)
		if !p.Less(d) {
			p = p.Sub(d)
		}
		ci.phases[i].p = p
	}
	slices.SortFunc(ci.phases, comparePhases)
}

func (c *course) rollBudget(index int) {
	b := &c.budgets[index]
	b.Spent = b.Amount - b.left
	b.roll(c.at)
	b.left = b.Amount - b.Spent
	if c.planning {
		if b.idle = !b.Hard || c.neverReached(index); b.idle {
			return
		}
	}
	_, next := b.Bounds(c.at)
	c.schedule(appointment{next, budgetWindow, index})
}

// schedule puts an appointment into the agenda.
func (c *course) schedule(a appointment) {
	if a.at == never || a.at == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(c.agenda, a, func(x, y appointment) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.kind, y.kind), cmp.Compare(x.index, y.index))
	})
	c.agenda = slices.Insert(slices.Clip(c.agenda), i, a)
}

// repay lets a bought lot that becomes effective pay what is owed and then the
// overdraft.
func (c *course) repay(l *lotRun) {
	if !l.kind.repays() || !l.open {
		return
	}
	for i := len(c.lots) - 1; i >= 0; i-- { // owed stands last
		own := &c.lots[i]
		used := credit.Amount(0)
		switch own.kind {
		case owed:
			used = credit.Max - own.left
		case overdraft:
			used = c.overdraftUsed()
		}
		if pay := min(l.left, used); pay > 0 {
			l.left -= pay
			own.left += pay
		}
	}
}

// overdraftUsed is what of the overdraft has been spent.
func (c *course) overdraftUsed() credit.Amount {
	used := c.policy.Overdraft - c.pinnedOD
	for i := range c.classes {
		if cr := &c.classes[i]; cr.hold != "" && cr.ended == never {
			cr.eachHeld(func(lot int32, amount credit.Amount) {
				if c.lots[lot].kind == overdraft {
					used -= amount
				}
			})
		}
	}
	for i := range c.lots {
		if c.lots[i].kind == overdraft {
			used -= c.lots[i].left
		}
	}
	return used
}

// balance is what the wallet holds at the course's instant (docs/concepts.md).
func (c *course) balance() credit.Amount {
	sum := c.pinned
	for i := range c.classes {
		if cr := &c.classes[i]; cr.hold != "" && cr.ended == never {
			cr.eachHeld(func(lot int32, amount credit.Amount) {
				if c.lots[lot].kind != overdraft {
					sum = addSat(sum, amount)
				}
			})
		}
	}
	for i := range c.lots {
		if l := &c.lots[i]; !l.kind.isOwn() && !l.gone && l.effectiveAt <= c.at {
			sum = addSat(sum, l.left)
		}
	}
	return sum - c.overdraftUsed()
}
