package wallet

import (
	"slices"

	"github.com/purserhq/purser/internal/credit"
)

// View answers questions about a wallet as it was at an instant and will be if
// no command comes. It never changes, so any number of readers may share it.
type View struct {
	At    int64
	root  Root
	c     *course
	lots  []Lot
	spent []Lot
}

// Balance is what a wallet holds at an instant (docs/concepts.md, balance).
// LandingAt and EmptyAt are 0 when nothing runs or nothing will run out.
type Balance struct {
	At        int64
	Balance   credit.Amount
	Held      credit.Amount
	Frozen    credit.Amount
	Overdraft credit.Amount
	Available credit.Amount
	Leased    credit.Amount
	Owed      credit.Amount
	BurnRate  credit.Amount // per hour, rounded up
	LandingAt int64
	EmptyAt   int64
}

// View makes a view of the wallet's present state.
func (w *Wallet) View() *View {
	c := w.buildCourse()
	v := &View{At: w.root.At, root: w.root, c: c, spent: w.spent}
	for _, l := range w.lots {
		v.lots = append(v.lots, *l)
	}
	return v
}

// Policy returns the wallet's policy.
func (v *View) Policy() Policy { return v.root.Policy }

// at is the course at an instant not before the view.
func (v *View) at(t int64) *course {
	if len(v.c.classes) == 0 && v.c.nextScheduled() > t { // nothing moves but time
		still := *v.c
		still.at = t
		return &still
	}
	run := v.c.clone()
	for {
		next := run.next(t)
		if next == never {
			run.settle(t)
			return run
		}
		out := run.spend(next)
		run.pass(&out)
	}
}

// Balance is exact at every instant from the view's on.
func (v *View) Balance(t int64) Balance {
	c := v.at(max(t, v.At))
	b := Balance{
		At: c.at, Balance: c.balance(), Overdraft: v.root.Policy.Overdraft, Leased: c.leased(nil),
		BurnRate: c.sumRates(hour, func(*class) bool { return true }),
	}
	b.Held = addSat(c.pinned, c.pinnedOD)
	for i := range c.classes {
		if cr := &c.classes[i]; cr.hold != "" && cr.ended == never {
			b.Held = addSat(b.Held, cr.holdLeft)
		}
	}
	for i := range c.lots {
		switch l := &c.lots[i]; {
		case l.kind == owed:
			b.Owed = credit.Max - l.left
		case l.frozen && !l.gone && l.effectiveAt <= c.at:
			b.Frozen = addSat(b.Frozen, l.left)
		}
	}
	b.Available = b.Balance - b.Held - b.Frozen + b.Overdraft
	if v.c.planned().emptyAt != never && v.c.planned().emptyAt > c.at {
		b.EmptyAt = v.c.planned().emptyAt
		if v.c.planned().landsAt != never {
			b.LandingAt = v.c.planned().landsAt
		}
	}
	return b
}

// Lots are the ordinary lots in burn-down order as they will be at t.
func (v *View) Lots(t int64) []Lot {
	c := v.at(max(t, v.At))
	out := slices.Clone(v.spent)
	for i, l := range v.lots {
		if !l.Kind.isOwn() {
			l.Left, l.Expired = c.lots[i].left, c.lots[i].gone
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Lot) int { return compareLots(&a, &b) })
	return out
}

// Budgets are the budgets as they will be at t.
func (v *View) Budgets(t int64) []Budget {
	c := v.at(max(t, v.At))
	out := make([]Budget, 0, len(c.budgets))
	for i := range c.budgets {
		b := c.budgets[i].Budget
		b.Spent = b.Amount - c.budgets[i].left
		out = append(out, b)
	}
	return out
}

// HeldByLot is what holds will have set aside of each lot at t. A hold that pays
// for a flow shrinks by what the flow takes, the first slices first.
func (v *View) HeldByLot(t int64) map[string]credit.Amount {
	c, held := v.at(max(t, v.At)), map[string]credit.Amount{}
	for h := range c.pins.list.all() {
		for _, s := range h.slices {
			held[s.Lot] += s.Amount
		}
	}
	for i := range c.classes {
		if cr := &c.classes[i]; cr.ended == never {
			cr.eachHeld(func(lot int32, amount credit.Amount) { held[c.lots[lot].id] += amount })
		}
	}
	return held
}

// StopAt says when a running flow will be stopped and why; 0 if it will not. The view
// must know the flow as it is.
func (v *View) StopAt(f *Flow) (int64, string) {
	s := v.c.planned().stops[v.classKey(f)]
	return s.at, s.reason
}

// Knows reports whether flows like this one run in the view: whether the flow and the
// view may be of the same time.
func (v *View) Knows(f *Flow) bool {
	key := v.classKey(f)
	return slices.ContainsFunc(v.c.classes, func(cr classRun) bool { return cr.key == key })
}

func (v *View) classKey(f *Flow) string {
	var matching []int
	for i := range v.c.budgets {
		if v.c.budgets[i].counts(f.Project, f.User, f.Job, f.Key) {
			matching = append(matching, i)
		}
	}
	return f.classKey(v.root.Policy, matching)
}

// Accrued is what a running flow has used up to t and not been charged for.
func (v *View) Accrued(f *Flow, t int64) credit.Amount {
	var sum credit.Amount
	for i := range f.Items {
		sum = addSat(sum, v.AccruedItem(f, i, f.SettledAt, t))
	}
	return sum
}

// AccruedItem is what one item of a running flow used from s to t, as far as it
// has not been charged for.
func (v *View) AccruedItem(f *Flow, item int, s, t int64) credit.Amount {
	if f.Status.Ended() {
		return 0
	}
	s = max(s, f.SettledAt)
	if stop, _ := v.StopAt(f); stop != 0 && stop <= t {
		return max(0, f.foreseen(item, s, stop)-v.c.planned().waived[handKey{f.ID, item}])
	}
	return f.foreseen(item, s, t)
}

// foreseen is what item i will be charged from s to t, with its scheduled prices.
func (f *Flow) foreseen(i int, s, t int64) credit.Amount {
	if t <= s {
		return 0
	}
	it := f.Items[i]
	since, before := f.Since, credit.Amount(0)
	for _, step := range f.Items[i].Next {
		if step.At >= t {
			break
		}
		if step.At > s {
			before = addSat(before, it.cum(step.At-since)-it.cum(max(s, since)-since))
		}
		it.Rem = it.remainder(step.At - since)
		it.Rate, since = step.Rate, step.At
	}
	return addSat(before, it.cum(t-since)-it.cum(max(s, since)-since))
}

// Class is running items that burn alike: from Since on, Count items at Rate
// each have Remainder in all. What they took after dt nanoseconds is the whole
// part of (Rate*Count*dt + Remainder) / Divisor, exact for Count 1.
type Class struct {
	Rate      credit.Rate
	Divisor   credit.Wide
	Since     int64
	Remainder credit.Wide
	Count     int
}

// maxTicking is how many items a view lists one by one.
const maxTicking = 100

// Classes are the running items at t, so that a reader can let the balance tick
// by itself: one by one up to a hundred items, summed by class beyond.
func (v *View) Classes(t int64) (out []Class) {
	c := v.at(max(t, v.At))
	items := 0
	for i := range c.classes {
		items += len(c.classes[i].items) * len(c.classes[i].flows)
	}
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.ended != never {
			continue
		}
		for j := range cr.items {
			out = append(out, cr.items[j].ticking(c.at, items <= maxTicking)...)
		}
	}
	return out
}

func (ci *classItem) ticking(at int64, single bool) (out []Class) {
	if ci.Rate == 0 {
		return nil
	}
	now := *ci
	now.advanceTo(at)
	sum := Class{Rate: ci.Rate, Divisor: ci.Period.Divisor(), Since: at}
	for _, p := range now.phases {
		if single {
			one := sum
			one.Remainder, one.Count = p.p, 1
			out = append(out, one)
		}
		sum.Remainder, sum.Count = sum.Remainder.Add(p.p), sum.Count+1
	}
	if single {
		return out
	}
	return []Class{sum}
}

// Projection is the future if no command comes.
type Projection struct {
	EmptyAt   int64 // 0: never
	LandingAt int64
	Lots      []LotUse
}

// Projection says when the wallet is empty and in which order lots are used.
func (v *View) Projection() Projection {
	p := Projection{Lots: v.c.planned().usesFrom(v.At)}
	if v.c.planned().emptyAt != never {
		p.EmptyAt = v.c.planned().emptyAt
	}
	if v.c.planned().landsAt != never {
		p.LandingAt = v.c.planned().landsAt
	}
	return p
}

// NextUses are, by lot, the first of the times after t in which it is used, as
// the projection has them.
func (v *View) NextUses(t int64) map[string]LotUse {
	next := map[string]LotUse{}
	for _, use := range v.c.planned().usesFrom(max(t, v.At)) {
		if _, known := next[use.Lot]; !known {
			next[use.Lot] = use
		}
	}
	return next
}
