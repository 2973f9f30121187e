package wallet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// Limits of a flow.
const (
	MaxItems    = 100
	MaxLateFlow = 35 * day // how far back a start may be reported
)

// start begins a flow.
func (w *Wallet) start(c Start) error {
	f := &Flow{
		ID: c.ID, Project: c.Project, User: c.User, Job: c.Job, Key: c.Key, Label: c.Label,
		Status: Running, Items: slices.Clone(c.Items), StartedAt: w.root.At,
		Grace: c.Grace, Lease: c.Lease, Holder: c.Holder, Until: c.Until,
	}
	if c.At != 0 {
		f.StartedAt = c.At
	}
	if err := w.checkStart(f, c); err != nil {
		return err
	}
	f.Since, f.ChangedAt, f.SettledAt = f.StartedAt, f.StartedAt, f.StartedAt
	f.Storage = isStorage(f.Items)
	returned := w.unpin(c.From)
	if err := w.admit(f, c); err != nil {
		w.repin(returned)
		return err
	}
	if returned != nil {
		w.dropHold(returned, Released)
	}
	if len(w.flows) == 0 {
		w.root.Closed = max(w.root.Closed, w.root.At-w.root.At%hour)
	}
	w.flows[f.ID] = f
	w.dirty.flows[f.ID] = f
	w.event(EventStarted, f.ID)
	w.chargeLate(f)
	w.join(f)
	return nil
}

// checkStart refuses what could not be a flow.
func (w *Wallet) checkStart(f *Flow, c Start) error {
	if err := checkItems(f.Items); err != nil {
		return err
	}
	switch {
	case w.flows[f.ID] != nil:
		return fault.New(fault.Conflict, "flow %s exists already", f.ID)
	case f.StartedAt > w.root.At:
		return fault.At("/at", "lies in the future")
	case f.StartedAt < w.root.At-MaxLateFlow:
		return fault.At("/at", "lies more than 35 days back")
	case c.Until != 0 && c.Until <= w.root.At:
		return fault.At("/until", "has passed")
	case c.MaxCost < 0:
		return fault.At("/max_cost", "must be more than zero")
	case c.MaxCost > 0 && isStorage(f.Items):
		return fault.At("/max_cost", "storage is not stopped by cost")
	case c.MaxCost > 0 && w.holds[HoldOf(c.ID)] != nil:
		return fault.New(fault.Conflict, "hold %s exists already", HoldOf(c.ID))
	case c.From != "" && w.holds[c.From] == nil:
		return fault.New(fault.Conflict, "hold %s has ended", c.From)
	}
	return nil
}

// checkItems refuses items that do not belong into one flow.
func checkItems(items []Item) error {
	if len(items) == 0 || len(items) > MaxItems {
		return fault.At("/items", "must be 1 to %d items", MaxItems)
	}
	for i, it := range items {
		if isStorage(items[i:i+1]) != isStorage(items[:1]) {
			return fault.At(pointer("/items", i, "sku"), "storage and other resources are flows of their own")
		}
		same := func(o Item) bool { return o.SKU == it.SKU && o.Tier == it.Tier && o.Region == it.Region }
		if slices.ContainsFunc(items[:i], same) {
			return fault.At(pointer("/items", i, "sku"), "is named twice")
		}
	}
	return nil
}

// isStorage reports whether the items are storage, which is retained when the
// credits are used up.
func isStorage(items []Item) bool {
	return len(items) > 0 && strings.HasPrefix(items[0].SKU, "storage.")
}

func pointer(list string, i int, field string) string { return fmt.Sprintf("%s/%d/%s", list, i, field) }

// admit passes the gate, and pins the largest cost if there is one. Time before
// now is part of what must be covered.
func (w *Wallet) admit(f *Flow, c Start) error {
	if err := w.committed(f.Items, f.Project, nil, tierOfItem); err != nil {
		return err
	}
	late := f.used(w.root.At)
	if c.MaxCost == 0 {
		if err := w.passStart(f, f.Items, nil); err != nil || w.root.Policy.follows(lateCounts) {
			return err
		}
		return w.coversLate(f, late)
	}
	if late >= c.MaxCost {
		return fault.At("/max_cost", "is already used up by the %s credits since the start", late)
	}
	route := w.eligible(f.Items, f.Project)
	err := w.pass(gate{
		route: route, need: c.MaxCost, rate: costOf(f.Items, hour), budgets: w.budgetsOf(f),
		inBudget: func(int) credit.Amount { return c.MaxCost },
	})
	if err != nil {
		return err
	}
	pinned, _ := w.take(route, c.MaxCost)
	f.Hold = HoldOf(f.ID)
	w.holds[f.Hold] = &Hold{
		ID: f.Hold, Status: Held, Amount: c.MaxCost, Original: c.MaxCost, Slices: pinned, Flow: f.ID,
		Project: f.Project, User: f.User, Key: f.Key, CreatedAt: w.root.At,
	}
	w.dirty.holds[f.Hold] = w.holds[f.Hold]
	return nil
}

// HoldOf is the hold that pins the largest cost of a flow, if it has one.
func HoldOf(flow string) string { return "hold_" + strings.TrimPrefix(flow, "flow_") }

// coversLate is what wallets asked that do not follow lateCounts yet.
func (w *Wallet) coversLate(f *Flow, late credit.Amount) error {
	if late == 0 {
		return nil
	}
	own := costOf(f.Items, w.root.Policy.MinRunway)
	return w.pass(gate{route: w.eligible(f.Items, f.Project), need: addSat(late, own), rate: costOf(f.Items, hour)})
}

func (w *Wallet) running(id string) (*Flow, error) {
	if f := w.flows[id]; f != nil {
		return f, nil
	}
	return nil, fault.New(fault.Conflict, "flow %s is not running", id).WithCode("flow_ended")
}

// change gives a flow other items.
func (w *Wallet) change(c Change) error {
	f, err := w.running(c.Flow)
	if err != nil {
		return err
	}
	if err := checkItems(c.Items); err != nil {
		return err
	}
	if isStorage(c.Items) != f.Storage {
		return fault.At("/items", "storage and other resources are flows of their own")
	}
	if err := w.committed(grown(c.Items, f.Items), f.Project, w.holds[f.Hold], tierOfItem); err != nil {
		return err
	}
	if f.Hold == "" {
		if err := w.passStart(f, c.Items, f.Items); err != nil {
			return err
		}
	} else if !w.mayPay(w.holds[f.Hold], f, c.Items) {
		return fault.New(fault.Conflict, "credits that are held for flow %s may not pay for these items: stop it and start another", f.ID)
	}
	w.leave(f)
	w.rebase(f)
	items := slices.Clone(c.Items)
	for i := range items {
		for _, old := range f.Items {
			if old.SKU == items[i].SKU && old.Tier == items[i].Tier && old.Region == items[i].Region && old.Period == items[i].Period {
				items[i].Rem = old.Rem
			}
		}
	}
	f.Items, f.ChangedAt = items, w.root.At
	w.join(f)
	w.event(EventChanged, f.ID)
	return nil
}

// limit changes what bounds a flow.
func (w *Wallet) limit(c Limit) error {
	f, err := w.running(c.Flow)
	if err != nil {
		return err
	}
	if c.Until != nil && *c.Until != 0 && *c.Until <= w.root.At {
		return fault.At("/until", "has passed")
	}
	if c.Lease != nil && *c.Lease > f.Lease && f.Hold == "" {
		more := costOf(f.Items, *c.Lease+f.graceOf(w.root.Policy)) - costOf(f.Items, f.Lease+f.graceOf(w.root.Policy))
		if f.Lease == 0 {
			more = costOf(f.Items, *c.Lease+f.graceOf(w.root.Policy))
		}
		if err := w.pass(gate{route: w.eligible(f.Items, f.Project), need: more, rate: costOf(f.Items, hour)}); err != nil {
			return err
		}
	}
	if c.MaxCost != nil {
		if err := w.limitCost(f, *c.MaxCost); err != nil {
			return err
		}
	}
	w.leave(f)
	if c.Until != nil {
		f.Until = *c.Until
	}
	if c.Lease != nil {
		f.Lease = *c.Lease
	}
	w.join(f)
	w.dirty.flows[f.ID] = f
	return nil
}

// limitCost moves the largest cost of a flow that has one.
func (w *Wallet) limitCost(f *Flow, most credit.Amount) error {
	if f.Hold == "" {
		return fault.New(fault.Conflict, "flow %s was started without a largest cost", f.ID)
	}
	h := w.holds[f.Hold]
	used := h.Captured + f.accrued(w.root.At)
	if most <= used {
		return fault.At("/max_cost", "must be more than the %s credits used so far", used)
	}
	total := h.Captured + h.Amount
	if most > total {
		route := w.eligible(f.Items, f.Project)
		err := w.pass(gate{
			route: route, need: most - total, rate: costOf(f.Items, hour), budgets: w.budgetsOf(f),
			inBudget: func(int) credit.Amount { return most - total },
		})
		if err != nil {
			return err
		}
		w.settle(f, w.root.At, nil) // what it has used, it used from the slices it had
		more, _ := w.take(route, most-total)
		h.Slices = appendSlices(slices.Clone(h.Slices), more...)
		h.Amount += most - total
	} else {
		w.shrinkHold(h, total-most)
	}
	h.Original = most
	w.dirty.holds[h.ID] = h
	return nil
}

// stop ends a flow at an instant that may have passed: what it used after it
// goes back.
func (w *Wallet) stop(c Stop) error {
	f, err := w.running(c.Flow)
	if err != nil {
		return err
	}
	status, at := c.Status, c.At
	if status == "" {
		status = Stopped
	}
	if at == 0 {
		at = w.root.At
	}
	switch {
	case at > w.root.At:
		return fault.At("/at", "lies in the future")
	case at < f.StartedAt:
		return fault.At("/at", "lies before the flow's start")
	case at < f.ChangedAt && status != Lost:
		return fault.At("/at", "lies before the flow's last change")
	case at < c.Proof:
		return fault.At("/at", "lies before the flow's last heartbeat")
	}
	w.leave(f)
	w.returnAfter(f, at)
	if at > f.SettledAt {
		w.settle(f, at, nil)
	}
	f.SettledAt = w.root.At // nothing more is to be charged for it
	for i := range c.Charges {
		w.returnCharged(&c.Charges[i], at, c.Charges[i].To)
	}
	f.SettledAt = at
	reason := c.Reason
	if reason == "" {
		reason = ReasonRequest
	}
	w.finish(f, status, reason, at, c.Note)
	return nil
}

// returnAfter gives back what the flow took after at and was not charged for.
func (w *Wallet) returnAfter(f *Flow, at int64) {
	matching := w.budgetsOf(f)
	for s := max(at, f.SettledAt); s < w.root.At; {
		t := min(w.root.At, s-s%hour+hour)
		w.recordSpending(matching, -f.sum(s, t), s)
		if f.Hold == "" {
			for i := range f.Items {
				for _, sl := range w.walk(f, i, s, t) {
					w.giveBack(sl.Lot, sl.Amount)
				}
			}
		}
		s = t
	}
}
