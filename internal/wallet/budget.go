package wallet

import (
	"maps"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

const hour = int64(credit.Hour)

// noticePercents are the shares of a budget that are reported.
var noticePercents = [...]int{80, 100}

// budgetRun is a budget along a course.
type budgetRun struct {
	Budget
	left credit.Amount // Amount - Spent
	idle bool          // of a projection: no window will ever reach it
}

// stops reports whether the budget may stop work.
func (b *budgetRun) stops() bool { return b.Hard && !b.idle }

// counts reports whether the budget counts what is spent under these names.
func (b *Budget) counts(project, user, job, key string) bool {
	switch b.Key {
	case ByProject:
		return b.Value == project
	case ByUser:
		return b.Value == user
	case ByJob:
		return b.Value == job
	case ByKey:
		return b.Value == key
	}
	return true
}

func (w *Wallet) budgetsOf(f *Flow) []int { return w.budgetsFor(f.Project, f.User, f.Job, f.Key) }

func (w *Wallet) budgetsFor(project, user, job, key string) (matching []int) {
	for i, b := range w.budgets {
		if b.counts(project, user, job, key) {
			matching = append(matching, i)
		}
	}
	return matching
}

// Bounds are the start of the budget's window in which t lies, and of the next. A
// rolling window begins anew with each hour.
func (b *Budget) Bounds(t int64) (from, next int64) {
	u := time.Unix(0, t).UTC()
	day := time.Date(u.Year(), u.Month(), u.Day(), 0, 0, 0, 0, time.UTC)
	switch b.Window {
	case Hourly, Rolling:
		from = t - t%hour
		return from, from + hour
	case Daily:
		return day.UnixNano(), day.AddDate(0, 0, 1).UnixNano()
	case Weekly:
		monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		return monday.UnixNano(), monday.AddDate(0, 0, 7).UnixNano()
	case Monthly:
		first := time.Date(u.Year(), u.Month(), 1, 0, 0, 0, 0, time.UTC)
		return first.UnixNano(), first.AddDate(0, 1, 0).UnixNano()
	}
	return 0, never
}

// roll begins the window in which t lies, if it is another one.
func (b *Budget) roll(t int64) bool {
	from, _ := b.Bounds(t)
	if from == b.From {
		return false
	}
	if b.Window == Rolling {
		b.rollHours(from)
	} else {
		b.Spent, b.Fired = 0, 0
		b.beginWith(from)
	}
	b.From = from
	return true
}

// since is the start of all that the budget counts at present.
func (b *Budget) since() int64 {
	if b.Window == Rolling {
		return b.From - int64(b.Hours-1)*hour
	}
	return b.From
}

// beginWith counts what was reported ahead of the window that begins at from.
func (b *Budget) beginWith(from int64) {
	if len(b.Past) == 0 {
		return
	}
	b.Spent = b.Past[from]
	b.Past = maps.Clone(b.Past)
	maps.DeleteFunc(b.Past, func(begins int64, _ credit.Amount) bool { return begins <= from })
}

// rollHours keeps what the hours before the one that begins at from have spent,
// as far as the window still covers them, and what was reported ahead.
func (b *Budget) rollHours(from int64) {
	past := maps.Clone(b.Past)
	if past == nil {
		past = map[int64]credit.Amount{}
	}
	running := b.Spent
	for h, spent := range b.Past {
		if h <= b.From {
			running -= spent
		}
	}
	past[b.From] += running
	b.Spent = 0
	maps.DeleteFunc(past, func(h int64, spent credit.Amount) bool {
		if spent == 0 || h <= from-int64(b.Hours)*hour {
			return true
		}
		if h <= from {
			b.Spent += spent
		}
		return h == from // from here on it is a part of what this hour spends
	})
	b.Past = past
	for b.Fired > 0 && b.Spent < share(b.Amount, b.Fired) {
		b.Fired = lowerNotice(b.Fired)
	}
}

func lowerNotice(percent int) int {
	lower := 0
	for _, p := range noticePercents {
		if p < percent {
			lower = p
		}
	}
	return lower
}

// share is percent of an amount, rounded up, so that it is reached no sooner
// than it is full.
func share(a credit.Amount, percent int) credit.Amount {
	whole, part := a/100, a%100
	return whole*credit.Amount(percent) + (part*credit.Amount(percent)+99)/100
}

// record counts an amount that was spent (or, if negative, given back) at an
// instant, if that lies in the present window. Usage may be reported a little
// ahead: what belongs to a window to come is kept for it, if early counts there.
func (b *Budget) record(amount credit.Amount, at int64, early bool) {
	h := at - at%hour
	begins, _ := b.Bounds(at)
	switch {
	case early && begins > b.From:
		b.Past = maps.Clone(b.Past)
		if b.Past == nil {
			b.Past = map[int64]credit.Amount{}
		}
		if b.Past[begins] += amount; b.Past[begins] == 0 {
			delete(b.Past, begins)
		}
	case b.Window == Rolling && h < b.From:
		if h > b.From-int64(b.Hours)*hour {
			b.Past = maps.Clone(b.Past)
			if b.Past == nil {
				b.Past = map[int64]credit.Amount{}
			}
			b.Past[h] += amount
			b.Spent += amount
		}
	case at >= b.From:
		b.Spent += amount
	}
}

// ahead is what was reported of windows to come.
func (b *Budget) ahead() (sum credit.Amount) {
	for begins, spent := range b.Past {
		if begins > b.From {
			sum += spent
		}
	}
	return sum
}

// recordSpending counts a fact in all budgets that count it.
func (w *Wallet) recordSpending(matching []int, amount credit.Amount, at int64) {
	for _, i := range matching {
		w.budgets[i].record(amount, at, w.root.Policy.follows(earlyCounts))
		w.touchBudget(w.budgets[i])
	}
}

func (w *Wallet) touchBudget(b *Budget) {
	w.dirty.budgets[b.ID] = b
	w.course = nil
}

// notice reports the percentages that a budget has reached.
func (w *Wallet) notice() {
	for _, b := range w.budgets {
		reached := b.Fired
		for _, p := range noticePercents {
			if p > reached && b.Spent >= share(b.Amount, p) {
				reached = p
				w.event(EventBudget, b.ID, "percent", itoa(int64(p)), "spent", b.Spent.String(), "amount", b.Amount.String())
			}
		}
		if reached != b.Fired {
			b.Fired = reached
			w.touchBudget(b)
		}
	}
}

// setBudgets replaces the budgets. Every running flow may change its class.
func (w *Wallet) setBudgets(c SetBudgets) error {
	seen := map[string]bool{}
	for i, b := range c.Budgets {
		switch {
		case b.ID == "" || seen[b.ID]:
			return fault.At(pointer("/budgets", i, "id"), "is missing or used twice")
		case b.Amount <= 0:
			return fault.At(pointer("/budgets", i, "amount"), "must be more than zero")
		case b.Window == Rolling && (b.Hours < 1 || b.Hours > 744):
			return fault.At(pointer("/budgets", i, "hours"), "must be between 1 and 744")
		}
		seen[b.ID] = true
	}
	old := map[string]*Budget{}
	for _, b := range w.budgets {
		old[b.ID] = b
		if !seen[b.ID] {
			w.dirty.droppedBudgets = append(w.dirty.droppedBudgets, b.ID)
			delete(w.dirty.budgets, b.ID)
		}
	}
	w.budgets = nil
	for i := range c.Budgets {
		b := c.Budgets[i]
		b.From, _ = b.Bounds(w.root.At)
		if was := old[b.ID]; was != nil && was.Key == b.Key && was.Value == b.Value && was.Window == b.Window && was.Hours == b.Hours {
			b.Spent, b.Past, b.From = was.Spent, was.Past, was.From
			if was.Amount == b.Amount {
				b.Fired = was.Fired
			}
		}
		w.budgets = append(w.budgets, &b)
		w.touchBudget(&b)
	}
	w.classify()
	return nil
}

// assignBudgets adds the meters of the budgets: what is left of each, and the
// next percentage to report.
func (c *course) assignBudgets() {
	for i := range c.budgets {
		b := &c.budgets[i]
		if c.planning && (b.idle || !b.Hard) {
			continue
		}
		draws := c.drawsOf(i)
		c.addMeter(budgetMeter, i, &b.left).draws = draws
		if c.planning {
			continue
		}
		for _, p := range noticePercents {
			if due := share(b.Amount, p) - (b.Amount - b.left); p > b.Fired && p < 100 && due > 0 {
				m := c.addMeter(noticeMeter, i, nil)
				m.own, m.draws = due, draws
				m.left = &m.own
				break
			}
		}
	}
}

// neverReached reports whether the budget will stop nothing: at the highest of the
// present and the scheduled rates no window of it from here on can be used up. It may say no too often.
func (c *course) neverReached(index int) bool {
	b := &c.budgets[index]
	stoppable := slices.ContainsFunc(c.classes, func(cr classRun) bool {
		return cr.ended == never && !cr.storage && slices.Contains(cr.budgets, index)
	})
	if !stoppable {
		return true
	}
	if b.ahead() > 0 {
		return false
	}
	m := meter{draws: c.drawsOf(index)}
	n, rate := m.mostBurn()
	most := b.Amount - max(0, b.Spent) - credit.Amount(n)
	return most > 0 && (rate.IsZero() || timeFor(most, rate) >= b.longest())
}

// longest is an upper bound of the length of the budget's window.
func (b *Budget) longest() int64 {
	switch b.Window {
	case Hourly:
		return hour
	case Daily:
		return day
	case Weekly:
		return 7 * day
	case Monthly:
		return 31 * day
	case Rolling:
		return int64(b.Hours) * hour
	}
	return never
}

// drawsOf lists what a budget counts.
func (c *course) drawsOf(budget int) (draws []draw) {
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.ended != never || !slices.Contains(cr.budgets, budget) {
			continue
		}
		for j := range cr.items {
			draws = append(draws, draw{cr, j})
		}
	}
	return draws
}
