package wallet

import (
	"fmt"
	"slices"
)

// Changes are the rows that changed since the last call of [Wallet.Changes].
// They point into the wallet: they hold only until the next Apply.
type Changes struct {
	Lots           []*Lot
	Flows          []*Flow
	Holds          []*Hold
	Budgets        []*Budget
	Marks          []Mark
	DroppedMarks   []int64
	DroppedBudgets []string
}

type dirt struct {
	lots           map[string]*Lot
	flows          map[string]*Flow
	holds          map[string]*Hold
	budgets        map[string]*Budget
	marks          []Mark
	droppedMarks   []int64
	droppedBudgets []string
}

func newDirt() dirt {
	return dirt{lots: map[string]*Lot{}, flows: map[string]*Flow{}, holds: map[string]*Hold{}, budgets: map[string]*Budget{}}
}

// Changes returns what has changed since it was last called, ordered by id.
func (w *Wallet) Changes() Changes {
	d := w.dirty
	w.dirty = newDirt()
	return Changes{
		Lots: values(d.lots), Flows: values(d.flows), Holds: values(d.holds), Budgets: values(d.budgets),
		Marks: d.marks, DroppedMarks: d.droppedMarks, DroppedBudgets: d.droppedBudgets,
	}
}

func values[V any](m map[string]V) []V {
	if len(m) == 0 {
		return nil
	}
	all := make([]V, 0, len(m))
	for _, k := range sortedKeys(m) {
		all = append(all, m[k])
	}
	return all
}

// check reports rows that cannot belong together.
func (w *Wallet) check() error {
	for _, h := range w.holds {
		for _, s := range h.Slices {
			if w.lotByID[s.Lot] == nil {
				return fmt.Errorf("hold %s has a slice of lot %s, which does not exist", h.ID, s.Lot)
			}
		}
	}
	for _, f := range w.flows {
		if f.Hold != "" && w.holds[f.Hold] == nil {
			return fmt.Errorf("flow %s is paid by hold %s, which does not exist", f.ID, f.Hold)
		}
		if f.Since > w.root.At || f.SettledAt > w.root.At {
			return fmt.Errorf("flow %s lies after the wallet's instant", f.ID)
		}
	}
	return nil
}

// mark writes a line of the timeline for every lot that can now be used and
// could not before, or the other way round. cuts says how far the lots reached
// that ran out within the last nanosecond.
func (w *Wallet) mark(cuts map[string]Cut) {
	for _, l := range w.lots {
		book, usable := w.lotByID[l.ID], w.usable(l)
		if len(book.marks) > 0 && book.marks[len(book.marks)-1].Usable == usable || len(book.marks) == 0 && !usable {
			continue
		}
		m := Mark{No: w.root.NextNo.Mark, At: w.root.At, Lot: l.ID, Usable: usable}
		if cut, ok := cuts[l.ID]; ok && !usable {
			m.Cut = &cut
		}
		w.root.NextNo.Mark++
		book.marks = append(book.marks, m)
		w.pruneDue = w.pruneDue || m.No%pruneEvery == 0
		w.dirty.marks = append(w.dirty.marks, m)
	}
}

// usable reports whether the lot can pay for usage after the wallet's instant.
func (w *Wallet) usable(l *Lot) bool {
	return l.Left > 0 && !l.Frozen && !l.Expired && l.EffectiveAt <= w.root.At
}

// pruneEvery is after how many lines of the timeline those are dropped that no
// flow needs any more. It goes by their numbers, so that a replay does the same.
const pruneEvery = 64

// pruneMarks drops the lines from before the last charge of every flow; of each
// lot the newest of them stays if it says that the lot can be used. Lots of which
// nothing is left are put aside.
func (w *Wallet) pruneMarks() {
	if !w.pruneDue {
		return
	}
	w.pruneDue = false
	oldest := w.root.At
	for _, f := range w.flows {
		oldest = min(oldest, f.SettledAt)
	}
	for _, l := range w.lots {
		book, drop := w.lotByID[l.ID], 0
		for drop+1 < len(book.marks) && book.marks[drop+1].At <= oldest {
			w.dirty.droppedMarks = append(w.dirty.droppedMarks, book.marks[drop].No)
			drop++
		}
		if m := book.marks; drop == len(m)-1 && !m[drop].Usable && m[drop].At <= oldest {
			w.dirty.droppedMarks = append(w.dirty.droppedMarks, m[drop].No)
			drop++
		}
		book.marks = slices.Delete(book.marks, 0, drop)
	}
	w.retire()
	w.lotsMoved()
}
