package wallet

import (
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// MaxHold is the longest a hold may last.
const MaxHold = day

// reserve sets credits aside: slices of the lots that are eligible for all that
// it names. A hold that names no SKU takes only from lots that admit any.
func (w *Wallet) reserve(c Reserve) error {
	switch {
	case w.holds[c.ID] != nil:
		return fault.New(fault.Conflict, "hold %s exists already", c.ID)
	case c.Amount <= 0:
		return fault.At("/amount", "must be more than zero")
	case c.TTL <= 0 || c.TTL > MaxHold:
		return fault.At("/ttl_seconds", "must be between 1 and 86400")
	case c.GPUs < 0:
		return fault.At("/gpus", "must not be less than zero")
	}
	skus := c.SKUs
	if len(skus) == 0 {
		skus = []string{""}
	}
	var items []Item
	for _, sku := range skus {
		items = append(items, Item{SKU: sku, Tier: c.Tier, Region: c.Region})
	}
	if w.root.Policy.follows(holdsAreCommitted) {
		if err := w.committed(items, c.Project, nil, soleTier); err != nil {
			return err
		}
	}
	route := w.eligible(items, c.Project)
	err := w.pass(gate{
		route: route, need: c.Amount, rate: w.burnRate(), budgets: w.budgetsFor(c.Project, c.User, "", c.Key),
		inBudget: func(int) credit.Amount { return c.Amount },
	})
	if err != nil {
		return err
	}
	pinned, _ := w.take(route, c.Amount)
	h := &Hold{
		ID: c.ID, Status: Held, Amount: c.Amount, Original: c.Amount, Slices: pinned, SKUs: c.SKUs, Tier: c.Tier,
		Region: c.Region, Project: c.Project, User: c.User, Key: c.Key, CreatedAt: w.root.At, ExpiresAt: w.root.At + c.TTL,
		GPUs: c.GPUs,
	}
	w.putHold(h)
	w.dirty.holds[c.ID] = h
	w.holdEvent(EventHeld, h, "amount", c.Amount.String())
	return nil
}

// holdEvent is an event of a wallet that lives by rules under which holds are not quiet.
func (w *Wallet) holdEvent(kind string, h *Hold, data ...string) {
	if !w.root.Policy.follows(holdsAreQuiet) {
		w.event(kind, h.ID, data...)
	}
}

// burnRate is what the running flows cost an hour, rounded up.
func (w *Wallet) burnRate() credit.Amount {
	return w.buildCourse().sumRates(hour, func(*class) bool { return true })
}

// held returns a hold that can be captured or released.
func (w *Wallet) held(id string) (*Hold, error) {
	h := w.holds[id]
	if h == nil {
		return nil, fault.New(fault.Conflict, "hold %s has ended", id).WithCode("hold_ended")
	}
	if h.Flow != "" {
		return nil, fault.New(fault.Conflict, "hold %s pays for flow %s and ends with it", id, h.Flow)
	}
	return h, nil
}

// capture takes from a hold and gives the rest back. Usage is a fact: what the
// hold does not cover is taken from what is available, and the rest is overrun.
func (w *Wallet) capture(c Capture) error {
	h := c.Ended
	if h == nil || w.holds[c.Hold] != nil {
		found, err := w.held(c.Hold)
		if err != nil {
			return err
		}
		h = found
	} else if len(c.Lines) == 0 {
		return fault.New(fault.Conflict, "hold %s has ended", c.Hold).WithCode("hold_ended")
	} else {
		ended := *h
		h = &ended
	}
	if len(c.Lines) == 0 {
		switch {
		case c.Amount <= 0:
			return fault.At("/amount", "must be more than zero")
		case c.Amount > h.Amount:
			return fault.At("/amount", "is more than the %s credits held", h.Amount).WithCode("exceeds_hold")
		}
		line := Line{Project: h.Project, User: h.User, Key: h.Key, Tier: h.Tier, Region: h.Region, Amount: c.Amount, At: w.root.At}
		if len(h.SKUs) == 1 {
			line.SKU = h.SKUs[0]
		}
		c.Lines = []Line{line}
	}
	for _, line := range c.Lines {
		w.chargeLine(line, h)
	}
	w.holdEvent(EventCaptured, h, "amount", h.Captured.String())
	if w.holds[h.ID] != nil {
		w.endHold(h, Captured)
	} else {
		w.dirty.holds[h.ID] = h
	}
	return nil
}

// chargeLine records one fact: from the hold if there is one, then from the
// lots as they stand, and what they do not cover as overrun.
func (w *Wallet) chargeLine(l Line, h *Hold) {
	ch := Charge{
		Event: l.Event, SKU: l.SKU, Tier: l.Tier, Region: l.Region, Project: l.Project, User: l.User, Job: l.Job,
		Key: l.Key, Unit: l.Unit, Quantity: l.Quantity, From: l.At, To: l.At, Price: l.Price, Card: l.Card, Version: l.Version,
	}
	rest := l.Amount
	if h != nil {
		ch.Hold = h.ID
		if w.holds[h.ID] != nil {
			ch.Slices = w.drawAdmitted(h, rest, func(s Scope) bool {
				return l.SKU == "" || s.Admits(l.SKU, l.Tier, l.Region, l.Project)
			})
			rest -= total(ch.Slices)
		}
	}
	more, rest := w.take(w.route(l.SKU, l.Tier, l.Region, l.Project, false), rest)
	ch.Slices = appendSlices(ch.Slices, more...)
	if h != nil && w.holds[h.ID] == nil {
		h.Captured += total(more)
	}
	if rest > 0 {
		ch.Slices = append(ch.Slices, Slice{OverrunLot, rest})
		w.event(EventOverrun, w.root.ID, "amount", rest.String())
	}
	w.recordSpending(w.budgetsFor(l.Project, l.User, l.Job, l.Key), l.Amount-rest, l.At)
	w.charge(ch)
}

func total(list []Slice) (sum credit.Amount) {
	for _, s := range list {
		sum += s.Amount
	}
	return sum
}

// release gives a hold back.
func (w *Wallet) release(c Release) error {
	h, err := w.held(c.Hold)
	if err != nil {
		return err
	}
	w.endHold(h, Released)
	return nil
}

// endHold gives what is left of a hold back to its lots.
func (w *Wallet) endHold(h *Hold, status HoldStatus) {
	w.removeHold(h)
	for _, s := range h.Slices {
		w.giveBack(s.Lot, s.Amount)
	}
	w.closeHold(h, status)
}

func (w *Wallet) closeHold(h *Hold, status HoldStatus) {
	h.Status, h.Amount, h.Slices = status, 0, nil
	w.dirty.holds[h.ID] = h
	w.course = nil
	switch {
	case status == Expired:
		w.event(EventHoldExpired, h.ID)
	case status == Released && h.Flow == "":
		w.holdEvent(EventReleased, h)
	}
}

// unpin takes a hold out of the wallet for a moment, so that a start that
// replaces it can be judged; repin puts it back.
func (w *Wallet) unpin(id string) *Hold {
	h := w.holds[id]
	if h == nil {
		return nil
	}
	w.removeHold(h)
	w.shiftPinned(h, 1)
	return h
}

func (w *Wallet) repin(h *Hold) {
	if h != nil {
		w.putHold(h)
		w.shiftPinned(h, -1)
	}
}

func (w *Wallet) shiftPinned(h *Hold, sign credit.Amount) {
	for _, s := range h.Slices {
		if l := w.lotByID[s.Lot].Lot; !l.Expired {
			w.setLeft(l, l.Left+sign*s.Amount)
		}
	}
	w.course = nil
}

// dropHold ends a hold that was unpinned. What it had of expired lots expires.
func (w *Wallet) dropHold(h *Hold, status HoldStatus) {
	for _, s := range h.Slices {
		if w.lotByID[s.Lot].Expired {
			w.giveBack(s.Lot, s.Amount)
		}
	}
	w.closeHold(h, status)
}

// mayPay reports whether the scopes of all that is left of a flow's hold admit the
// items.
func (w *Wallet) mayPay(h *Hold, f *Flow, items []Item) bool {
	left := h.Amount - f.accrued(w.root.At)
	for _, s := range slices.Backward(h.Slices) { // the first are used first
		if left <= 0 {
			break
		}
		left -= s.Amount
		scope := w.lotByID[s.Lot].Scope
		for _, it := range items {
			if !scope.Admits(it.SKU, it.Tier, it.Region, f.Project) {
				return false
			}
		}
	}
	return true
}

// shrinkHold gives a part of a hold back, the last slices first.
func (w *Wallet) shrinkHold(h *Hold, by credit.Amount) {
	pinned := slices.Clone(h.Slices)
	h.Amount -= by
	for by > 0 {
		last := &pinned[len(pinned)-1]
		part := min(by, last.Amount)
		by -= part
		last.Amount -= part
		w.giveBack(last.Lot, part)
		if last.Amount == 0 {
			pinned = pinned[:len(pinned)-1]
		}
	}
	h.Slices = pinned
	w.dirty.holds[h.ID] = h
	w.course = nil
}
