package wallet

import (
	"hash/fnv"
	"math"
	"slices"
	"strings"
)

// closeHour charges flows up to a UTC hour that has passed.
func (w *Wallet) closeHour(c Close) error {
	upTo := min(c.Hour, w.root.At) - min(c.Hour, w.root.At)%hour
	var due []*Flow
	for _, f := range w.flows {
		if f.SettledAt < upTo {
			due = append(due, f)
		}
	}
	slices.SortFunc(due, compareFlows)
	limit := c.Limit
	if limit <= 0 {
		limit = math.MaxInt
	}
	if len(due) > limit {
		due = due[:limit]
	} else {
		if upTo/day > w.root.Closed/day {
			w.listUnleased()
		}
		w.root.Closed = max(w.root.Closed, upTo)
	}
	for _, f := range due {
		w.settle(f, upTo, nil)
	}
	return nil
}

// maxListed is how many flows an event names; it counts them all.
const maxListed = 20

// listUnleased tells, once a day, which flows nobody has a lease on: they run,
// and cost, until somebody stops them (docs/concepts.md, leases).
func (w *Wallet) listUnleased() {
	var ids []string
	count := 0
	for _, f := range w.Flows() {
		if f.Lease != 0 {
			continue
		}
		if count++; count <= maxListed {
			ids = append(ids, f.ID)
		}
	}
	if count > 0 {
		w.event(EventUnleased, w.root.ID, "count", itoa(int64(count)), "flows", strings.Join(ids, " "))
	}
}

// CloseDue says up to which hour running flows should be charged now; 0 if they
// are. The instants are spread over the hour by the wallet's id.
func (w *Wallet) CloseDue(at int64) int64 {
	if due := w.nextClose(); due != 0 && due <= at {
		return (at - w.spread()) - (at-w.spread())%hour
	}
	return 0
}

// nextClose is when the next hourly close is due; 0 if nothing runs.
func (w *Wallet) nextClose() int64 {
	if len(w.flows) == 0 {
		return 0
	}
	return w.root.Closed + hour + w.spread()
}

// spread is the wallet's own offset within the hour.
func (w *Wallet) spread() int64 {
	h := fnv.New32a()
	h.Write([]byte(w.root.ID))
	return int64(h.Sum32()%3_600_000) * 1_000_000
}

// WakeAt is when something is due next: 0 if nothing is. Leases are watched by
// whoever renews them.
func (w *Wallet) WakeAt() int64 {
	due, closing := w.DueAt(), w.nextClose()
	if due == 0 || closing != 0 && closing < due {
		return closing
	}
	return due
}

// DueAt is when time by itself brings something next, the hourly close aside; 0
// if it brings nothing.
func (w *Wallet) DueAt() int64 {
	c := w.buildCourse()
	next := c.nextScheduled()
	if len(w.classes) > 0 {
		next = min(next, c.clone().next(never-1))
		if c.calmUntil > c.at {
			next = min(next, c.calmUntil)
		} else {
			next = min(next, c.nextSignal(w.root.Fired))
		}
	}
	if next == never {
		return 0
	}
	return next
}
