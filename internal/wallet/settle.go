package wallet

import (
	"math"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
)

// cum is what the item is charged in all from Flow.Since for dt nanoseconds.
func (it *Item) cum(dt int64) credit.Amount {
	a, _, err := credit.Accrue(it.Rate, dt, it.Rem, it.Period)
	if err != nil {
		return credit.Max
	}
	return a
}

// remainder is what is left over after dt nanoseconds.
func (it *Item) remainder(dt int64) credit.Wide {
	_, rem := it.Period.DivMod(credit.MulWide(uint64(it.Rate), uint64(dt)).Add(it.Rem))
	return rem
}

// amount is what item i is charged from s to t.
func (f *Flow) amount(i int, s, t int64) credit.Amount {
	if t <= s {
		return 0
	}
	return f.Items[i].cum(t-f.Since) - f.Items[i].cum(s-f.Since)
}

// accrued is what the flow has used up to t and not been charged for.
func (f *Flow) accrued(t int64) credit.Amount {
	var sum credit.Amount
	for i := range f.Items {
		sum = addSat(sum, f.amount(i, f.SettledAt, t))
	}
	return sum
}

// settle charges a flow up to t: one charge an item and UTC hour, with the
// slices of lots that the timeline tells. If the flow ends at t and the last
// nanosecond was handed out item by item, handed says what each one got.
func (w *Wallet) settle(f *Flow, t int64, handed map[handKey]handed) {
	for f.SettledAt < t {
		to := min(t, f.SettledAt-f.SettledAt%hour+hour)
		for i, p := range w.partsOf(f, f.SettledAt, to, handed, to == t) {
			w.chargeItem(f, i, f.SettledAt, to, p)
		}
		f.SettledAt = to
	}
	w.dirty.flows[f.ID] = f
}

// partsOf is what each item of the flow took from s to t, slice by slice.
func (w *Wallet) partsOf(f *Flow, s, t int64, h map[handKey]handed, last bool) []handed {
	parts := make([]handed, len(f.Items))
	until := t
	if last && h != nil {
		until = t - 1
	}
	if f.Hold != "" {
		w.drawHold(f, s, until, parts)
	} else {
		for i := range f.Items {
			parts[i].slices = w.walk(f, i, s, until)
		}
	}
	if until == t {
		return parts
	}
	for i := range f.Items {
		got := h[handKey{f.ID, i}]
		if f.Hold != "" {
			for _, s := range got.slices {
				parts[i].slices = appendSlices(parts[i].slices, w.drawPinned(w.holds[f.Hold], s.Amount)...)
			}
		} else {
			parts[i].slices = appendSlices(parts[i].slices, got.slices...)
		}
		parts[i].rest = got.rest
	}
	return parts
}

// drawHold draws what the items took from s to t from the slices of the flow's
// hold. The slices are used one after the other; at the nanosecond in which one
// is used up, the items come in their order.
func (w *Wallet) drawHold(f *Flow, s, t int64, parts []handed) {
	h := w.holds[f.Hold]
	for s < t {
		first := credit.Amount(math.MaxInt64)
		if len(h.Slices) > 1 {
			first = h.Slices[0].Amount
		}
		lo, hi := s, t // the slice covers everything up to lo
		if f.sum(s, t) < first {
			lo = t
		}
		for lo != t && hi-lo > 1 {
			if mid := lo + (hi-lo)/2; f.sum(s, mid) >= first {
				hi = mid
			} else {
				lo = mid
			}
		}
		for _, step := range [][2]int64{{s, lo}, {lo, min(lo+1, t)}} {
			for i := range f.Items {
				parts[i].slices = appendSlices(parts[i].slices, w.drawPinned(h, f.amount(i, step[0], step[1]))...)
			}
		}
		s = min(lo+1, t)
	}
}

// sum is what all items are charged from s to t.
func (f *Flow) sum(s, t int64) (sum credit.Amount) {
	for i := range f.Items {
		sum = addSat(sum, f.amount(i, s, t))
	}
	return sum
}

// drawPinned takes up to amount out of a hold.
func (w *Wallet) drawPinned(h *Hold, amount credit.Amount) []Slice {
	return w.drawAdmitted(h, amount, func(Scope) bool { return true })
}

// drawAdmitted takes up to amount out of the slices of a hold whose lots have a
// scope that admits it.
func (w *Wallet) drawAdmitted(h *Hold, amount credit.Amount, admits func(Scope) bool) (out []Slice) {
	var kept []Slice
	for _, s := range h.Slices {
		part := min(amount, s.Amount)
		if !admits(w.lotByID[s.Lot].Scope) {
			part = 0
		}
		if part > 0 {
			out = append(out, Slice{s.Lot, part})
			amount -= part
			h.Amount -= part
			h.Captured += part
		}
		if s.Amount > part {
			kept = append(kept, Slice{s.Lot, s.Amount - part})
		}
	}
	h.Slices = kept
	w.dirty.holds[h.ID] = h
	return out
}

// walk tells from the timeline what one item took from which lot from s to t.
func (w *Wallet) walk(f *Flow, item int, s, t int64) (out []Slice) {
	it := &f.Items[item]
	if it.Rate == 0 || t <= s {
		return nil
	}
	books := w.booksOf(w.route(it.SKU, it.Tier, it.Region, f.Project, f.Storage))
	place := Cut{Start: f.StartedAt, Flow: f.ID, Item: item}
	for s < t {
		x, cut := nextMark(books, s, t)
		upTo := x
		if cut {
			upTo = x - 1
		}
		if a := f.amount(item, s, upTo); a > 0 {
			if l := firstUsable(books, s); l != nil {
				out = appendSlices(out, Slice{l.ID, a})
			}
		}
		if cut {
			out = appendSlices(out, cutTick(books, s, x, place, f.amount(item, upTo, x))...)
		}
		s = x
	}
	return out
}

func (w *Wallet) booksOf(route []int32) []*lotBook {
	books := make([]*lotBook, len(route))
	for i, k := range route {
		books[i] = w.lotByID[w.lots[k].ID]
	}
	return books
}

// nextMark finds the first instant after s, up to t, at which the timeline of
// one of the lots has a line, and whether a lot was cut there.
func nextMark(books []*lotBook, s, t int64) (x int64, cut bool) {
	x = t
	for _, b := range books {
		for i := b.markAfter(s); i < len(b.marks) && b.marks[i].At <= x; i++ {
			if b.marks[i].At < x {
				cut = false
			}
			x = b.marks[i].At
			cut = cut || b.marks[i].Cut != nil
		}
	}
	return x, cut
}

// markAfter is the index of the first line after s.
func (b *lotBook) markAfter(s int64) int {
	i, _ := slices.BinarySearchFunc(b.marks, s, func(m Mark, s int64) int {
		if m.At <= s {
			return -1
		}
		return 1
	})
	return i
}

// usableAfter reports whether the lot could be used right after s.
func (b *lotBook) usableAfter(s int64) bool {
	i := b.markAfter(s)
	return i > 0 && b.marks[i-1].Usable
}

func firstUsable(books []*lotBook, s int64) *lotBook {
	for _, b := range books {
		if b.usableAfter(s) {
			return b
		}
	}
	return nil
}

// cutTick shares out what one item was charged in the nanosecond that ended at x
// and in which lots ran out. s is an instant before x with nothing in between.
func cutTick(books []*lotBook, s, x int64, place Cut, amount credit.Amount) (out []Slice) {
	for _, b := range books {
		if amount == 0 {
			break
		}
		if !b.usableAfter(s) {
			continue
		}
		part := amount
		if c := b.cutAt(x); c != nil {
			switch order := comparePlaces(place, *c); {
			case order > 0:
				part = 0
			case order == 0:
				part = min(amount, c.Amount)
			}
		}
		if part > 0 {
			out = append(out, Slice{b.ID, part})
			amount -= part
		}
	}
	return out
}

// cutAt is the cut of the lot at x, or nil.
func (b *lotBook) cutAt(x int64) *Cut {
	for i := b.markAfter(x - 1); i < len(b.marks) && b.marks[i].At == x; i++ {
		if b.marks[i].Cut != nil {
			return b.marks[i].Cut
		}
	}
	return nil
}

func comparePlaces(a, b Cut) int {
	switch {
	case a.Start != b.Start:
		return int(max(-1, min(1, a.Start-b.Start)))
	case a.Flow != b.Flow:
		return strings.Compare(a.Flow, b.Flow)
	}
	return a.Item - b.Item
}

// appendSlices joins slices, each lot once, in the order of first use.
func appendSlices(to []Slice, more ...Slice) []Slice {
	for _, s := range more {
		if s.Amount == 0 {
			continue
		}
		if i := slices.IndexFunc(to, func(t Slice) bool { return t.Lot == s.Lot }); i >= 0 {
			to[i].Amount += s.Amount
		} else {
			to = append(to, s)
		}
	}
	return to
}
