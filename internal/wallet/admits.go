package wallet

import (
	"slices"

	"github.com/purserhq/purser/internal/credit"
)

// Admits asks the gate beforehand: it returns the refusal that the start of such
// a flow, without a largest cost, would get at the wallet's instant, or nil.
// Whoever is admitted sets credits aside until the start ([Reserve]). All items have
// one tier.
func (w *Wallet) Admits(c Start) error {
	f := c.flow(w.root.At)
	if err := checkItems(f.Items); err != nil {
		return err
	}
	if err := w.committed(f.Items, f.Project, nil, soleTier); err != nil {
		return err
	}
	return w.passStart(f, f.Items, nil)
}

// flow is as much of the flow as the gate asks about, if it started at an instant.
func (c Start) flow(at int64) *Flow {
	return &Flow{StartedAt: at, SettledAt: at, Project: c.Project, User: c.User, Job: c.Job, Key: c.Key, Items: slices.Clone(c.Items)}
}

// Room is what there is for a start (docs/concepts.md, the gate): of the lots that may
// pay for every one of its items, after what is held and leased, and within what
// every hard budget leaves that counts it.
type Room struct {
	Free   credit.Amount // what may be set aside for it, so that the gate would still admit what runs
	Runway int64         // how long the whole lasts with all that burns, at least a nanosecond
}

// Room tells what there is for such a start at the wallet's instant, with what the
// hold gives back that was made for it.
func (w *Wallet) Room(c Start) Room {
	f, course := c.flow(w.root.At), w.buildCourse()
	own, hold, policy := costOf(f.Items, hour), w.holds[c.From], w.root.Policy
	room := Room{credit.Max, never}
	limit := func(left, kept credit.Amount, counts func(*class) bool) {
		burns := func(cl *class) bool { return cl.hold == "" && counts(cl) }
		kept = addSat(kept, course.sumRates(policy.MinRunway, burns))
		room.Free = min(room.Free, max(0, addSat(left, -kept)))
		// Each item of a lease is rounded up.
		room.Runway = min(room.Runway, lasts(addSat(left, -credit.Amount(len(f.Items))), addSat(course.sumRates(hour, burns), own)))
	}
	left := addSat(w.usableLeft(w.eligible(f.Items, f.Project)), -w.leased())
	limit(addSat(left, w.returnedBy(hold)), policy.BlockBelow, func(*class) bool { return true })
	for _, i := range w.budgetsOf(f) {
		b := w.budgets[i]
		if !b.Hard {
			continue
		}
		left := addSat(b.Amount-b.Spent, -w.reservedIn(i))
		if hold != nil && b.counts(hold.Project, hold.User, "", hold.Key) {
			left = addSat(left, hold.Amount)
		}
		limit(left, 0, func(cl *class) bool { return cl.counts(i) })
	}
	return room
}

// returnedBy is what the end of a hold gives back that can be used again.
func (w *Wallet) returnedBy(h *Hold) (sum credit.Amount) {
	if h == nil {
		return 0
	}
	for _, s := range h.Slices {
		if !w.outlived(w.lotByID[s.Lot].Lot) {
			sum += s.Amount
		}
	}
	return sum
}

// lasts is how long an amount lasts at a rate per hour, at least a nanosecond;
// never if nothing burns.
func lasts(amount, perHour credit.Amount) int64 {
	if perHour == 0 {
		return never
	}
	n := credit.MulWide(uint64(max(0, amount)), uint64(hour)).Big()
	if n.Quo(n, credit.MulWide(uint64(perHour), 1).Big()); !n.IsInt64() {
		return never
	}
	return max(1, n.Int64())
}
