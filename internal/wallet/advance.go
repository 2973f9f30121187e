package wallet

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/purserhq/purser/internal/credit"
)

// advance lets everything happen that is due up to an instant: what runs out or
// is scheduled (along the course), and what is to be signalled (by the plan).
func (w *Wallet) advance(to int64) {
	for w.root.At < to {
		c := w.buildCourse()
		signal := int64(never)
		w.foreseen = nil
		if len(w.classes) > 0 && c.calmUntil < to {
			signal, w.foreseen = c.nextSignal(w.root.Fired), c.future
		}
		run := c.clone()
		// Looking for what comes next moves the run on, so it must not look
		// beyond the signal.
		switch t := run.next(min(to, signal)); {
		case t != never:
			out := run.spend(t)
			if c.nextScheduled() <= t || len(out.ended) > 0 {
				w.foreseen = nil
			}
			w.absorb(run)
			w.settleOutcome(out)
			w.keepAppointments()
			w.afterChange()
		case signal <= to:
			run.settle(signal)
			w.absorb(run)
			w.signal()
		default:
			run.settle(to)
			w.absorb(run)
		}
	}
	w.rollBudgets()
}

// rollBudgets begins the windows in which the wallet's instant lies. While
// nothing runs and nothing was spent, none is on the agenda.
func (w *Wallet) rollBudgets() {
	for _, b := range w.budgets {
		if b.roll(w.root.At) {
			w.touchBudget(b)
		}
	}
}

// absorb takes over what the course did to the lots and budgets.
func (w *Wallet) absorb(run *course) {
	w.root.At = run.at
	for i, l := range w.lots {
		w.setLeft(l, run.lots[i].left)
	}
	for i, b := range w.budgets {
		if spent := b.Amount - run.budgets[i].left; spent != b.Spent {
			b.Spent = spent
			w.touchBudget(b)
		}
	}
	w.course = nil
}

// settleOutcome writes down what happened at the wallet's instant: the timeline,
// and the end of the flows that nothing covers.
func (w *Wallet) settleOutcome(out outcome) {
	w.mark(out.cuts)
	for _, e := range out.ended {
		w.endClass(e.class, Exhausted, e.reason, out.handed)
	}
}

// endUncovered ends the flows that nothing covers at this instant.
func (w *Wallet) endUncovered() {
	if len(w.classes) == 0 {
		return
	}
	c := w.buildCourse()
	for i := range c.classes {
		if reason := c.uncovered(&c.classes[i]); reason != "" && reason != ReasonRetention {
			w.endClass(c.classes[i].class, Exhausted, reason, nil)
		}
	}
}

// endClass ends all flows of a class at the wallet's instant.
func (w *Wallet) endClass(cl *class, status Status, reason string, handed map[handKey]handed) {
	if i, found := w.findClass(cl.key); found {
		w.classes = slices.Delete(w.classes, i, i+1)
	}
	members := slices.Clone(cl.flows)
	slices.SortFunc(members, func(a, b *member) int { return compareFlows(w.flows[a.id], w.flows[b.id]) })
	for _, m := range members {
		f := w.flows[m.id]
		w.settle(f, w.root.At, handed)
		w.finish(f, status, reason, w.root.At, "")
	}
	if reason == ReasonCredits {
		w.event(EventEmpty, w.root.ID)
	}
}

// finish writes down the end of a flow that is settled and in no class.
func (w *Wallet) finish(f *Flow, status Status, reason string, at int64, note string) {
	if f.Status == Landing {
		w.landing--
	}
	f.Status, f.Reason, f.EndedAt = status, reason, at
	if f.Hold != "" {
		w.endHold(w.holds[f.Hold], Released)
	}
	delete(w.flows, f.ID)
	delete(w.retained, f.ID)
	w.dirty.flows[f.ID] = f
	w.course, w.foreseen = nil, nil
	data := []string{"status", string(status), "reason", reason, "charged", f.Charged.String()}
	if note != "" {
		data = append(data, "note", note)
	}
	w.event(EventEnded, f.ID, data...)
}

// keepAppointments does what is scheduled at the wallet's instant: what expires,
// what becomes effective, new prices, last instants, windows, retention.
func (w *Wallet) keepAppointments() {
	now, begun := w.root.At, false
	for _, l := range slices.Clone(w.lots) {
		if w.outlived(l) && !l.Expired && l.Remaining > 0 {
			w.expire(l)
		} else if l.EffectiveAt == now && l.CreatedAt < now && !l.Kind.isOwn() {
			w.event(EventLotEffective, l.ID)
			w.repay(l)
			w.touchLot(l)
			begun = true
		}
	}
	for w.pins.nextExpiry() <= now {
		w.endHold(w.holds[w.pins.list.first().id], Expired)
	}
	if begun && w.root.Policy.follows(countsAdditions) {
		w.added()
	}
	for _, cl := range slices.Clone(w.classes) {
		switch {
		case cl.until != 0 && cl.until <= now:
			w.endClass(cl, Stopped, ReasonUntil, nil)
		case slices.ContainsFunc(cl.stepInstants(), func(at int64) bool { return at <= now }):
			w.takePrices(cl)
		}
	}
	w.rollBudgets()
	w.releaseRetained()
}

// takePrices moves the flows of a class on to their scheduled prices.
func (w *Wallet) takePrices(cl *class) {
	flows := w.detach(cl)
	for _, f := range flows {
		w.rebase(f)
		f.takeSteps(w.root.At)
		w.event(EventRepriced, f.ID)
	}
	w.attach(flows)
}

// rebase charges a flow up to now and lets its items count from here, with their
// remainders.
func (w *Wallet) rebase(f *Flow) {
	w.settle(f, w.root.At, nil)
	f.Items = slices.Clone(f.Items)
	for i := range f.Items {
		f.Items[i].Rem = f.Items[i].remainder(w.root.At - f.Since)
	}
	f.Since = w.root.At
	w.dirty.flows[f.ID] = f
}

// signal tells of landings that begin or are called off, and of alerts.
func (w *Wallet) signal() {
	if c := w.buildCourse(); w.landing > 0 || len(w.classes) > 0 && c.calmUntil <= w.root.At {
		p := c.planned()
		for _, cl := range w.classes {
			s, stops := p.stops[cl.key]
			if landing := stops && s.at-s.grace <= w.root.At; landing || w.landing > 0 {
				w.land(cl, s, landing)
			}
		}
	}
	w.notice()
	w.alert()
}

// land brings the status of a class's flows in line with whether they are to
// land.
func (w *Wallet) land(cl *class, s stop, landing bool) {
	for _, m := range cl.flows {
		f := w.flows[m.id]
		switch {
		case landing && f.Status == Running:
			f.Status, f.Reason, f.Signaled = Landing, s.reason, w.root.At
			w.landing++
			w.event(EventLanding, f.ID, "reason", s.reason, "stop_at", itoa(s.at))
		case !landing && f.Status == Landing:
			f.Status, f.Reason, f.Signaled = Running, "", 0
			w.landing--
			w.event(EventLandingCancelled, f.ID)
		default:
			continue
		}
		w.dirty.flows[f.ID] = f
	}
}

// retain notices which storage flows are no longer covered, and which are again.
func (w *Wallet) retain() {
	var c *course
	for _, cl := range w.classes {
		if !cl.storage {
			continue
		}
		if c == nil {
			c = w.buildCourse()
		}
		i := slices.IndexFunc(c.classes, func(cr classRun) bool { return cr.class == cl })
		if owing := c.uncovered(&c.classes[i]) == ReasonRetention; owing || len(w.retained) > 0 {
			for _, m := range cl.flows {
				w.retainFlow(w.flows[m.id], owing)
			}
		}
	}
}

func (w *Wallet) retainFlow(f *Flow, owing bool) {
	switch {
	case owing && f.RetainedAt == 0:
		f.RetainedAt = w.root.At
		w.retained[f.ID] = f
		w.event(EventRetained, f.ID, "release_at", itoa(w.releaseAt(f)))
	case !owing && f.RetainedAt != 0:
		f.RetainedAt, f.Reminded = 0, 0
		delete(w.retained, f.ID)
		w.event(EventRestored, f.ID)
	default:
		return
	}
	w.dirty.flows[f.ID] = f
	w.course, w.foreseen = nil, nil
}

const day = 24 * hour

// reminders are the days before the release of retained storage on which the
// owner is told.
var reminders = [...]int64{7, 3, 1}

func (w *Wallet) releaseAt(f *Flow) int64 {
	return f.RetainedAt + int64(w.root.Policy.RetentionDays)*day
}

// firstRelease is when the first flow of a class that is owing is released.
func (w *Wallet) firstRelease(cl *class) int64 {
	first := addInstant(w.root.At, int64(w.root.Policy.RetentionDays)*day)
	for _, f := range w.retained {
		if w.classKey(f) == cl.key {
			first = min(first, w.releaseAt(f))
		}
	}
	return first
}

// retentionInstants are when retained flows are next reminded of or released.
func (w *Wallet) retentionInstants() (at []int64) {
	for _, f := range w.retained {
		if f.Reminded < len(reminders) {
			at = append(at, max(w.root.At+1, w.releaseAt(f)-reminders[f.Reminded]*day))
		}
		at = append(at, max(w.root.At+1, w.releaseAt(f)))
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// releaseRetained reminds of, and in the end releases, storage that nothing has
// covered for the days the policy allows. What it ran up becomes the operator's
// loss.
func (w *Wallet) releaseRetained() {
	for _, f := range slices.SortedFunc(maps.Values(w.retained), compareFlows) {
		for f.Reminded < len(reminders) && w.releaseAt(f)-reminders[f.Reminded]*day <= w.root.At {
			w.event(EventReleaseSoon, f.ID, "days", itoa(reminders[f.Reminded]), "release_at", itoa(w.releaseAt(f)))
			f.Reminded++
			w.dirty.flows[f.ID] = f
			w.course = nil
		}
		if w.releaseAt(f) <= w.root.At {
			w.leave(f)
			w.settle(f, w.root.At, nil)
			w.writeOff(f)
			w.finish(f, Exhausted, ReasonRetention, w.root.At, "")
		}
	}
}

func (w *Wallet) writeOff(f *Flow) {
	o := w.lotByID[OwedLot].Lot
	amount := min(f.Owed, credit.Max-o.Remaining)
	if amount > 0 {
		w.post(Posting{Kind: PostWriteOff, Lot: o.ID, Amount: amount})
		o.Amount -= amount // what was written off is what Amount lacks
		o.Remaining += amount
		w.setLeft(o, o.Left+amount)
	}
	f.Owed = 0
}

func sortAgenda(agenda []appointment) {
	slices.SortFunc(agenda, func(x, y appointment) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.kind, y.kind), cmp.Compare(x.index, y.index))
	})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// mulAmount multiplies without wrapping.
func mulAmount(a credit.Amount, n int64) credit.Amount {
	p := credit.MulWide(uint64(a), uint64(n))
	if p.Hi != 0 || p.Lo > uint64(credit.Max) {
		return credit.Max
	}
	return credit.Amount(p.Lo)
}
