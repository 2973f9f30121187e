package wallet

import (
	"cmp"
	"strings"

	"github.com/purserhq/purser/internal/credit"
)

// pins is what holds have set aside that do not pay for a flow: the sums, and
// the holds by their expiry. The list is never changed in place, so that courses
// and views can share it: a command costs no more in a wallet with thousands of
// open holds than in one without.
type pins struct {
	pinned   credit.Amount // of ordinary lots
	pinnedOD credit.Amount // of the overdraft
	list     holdList
}

// holdRun is a hold along a course.
type holdRun struct {
	id        string
	expiresAt int64
	slices    []Slice
}

func compareHoldRuns(a, b holdRun) int {
	return cmp.Or(cmp.Compare(a.expiresAt, b.expiresAt), strings.Compare(a.id, b.id))
}

// nextExpiry is when the first of the holds expires; never if there is none.
func (p *pins) nextExpiry() int64 {
	if len(p.list) == 0 {
		return never
	}
	return p.list.first().expiresAt
}

// count adds the slices to the sums, or takes them off with sign -1.
func (p *pins) count(list []Slice, sign credit.Amount) {
	for _, s := range list {
		if s.Lot == OverdraftLot {
			p.pinnedOD += sign * s.Amount
		} else {
			p.pinned += sign * s.Amount
		}
	}
}

// without returns the pins less a hold, if it is among them.
func (p pins) without(run holdRun) pins {
	list, found := p.list.without(run)
	if found != nil {
		p.count(found.slices, -1)
		p.list = list
	}
	return p
}

// with returns the pins and a hold more.
func (p pins) with(run holdRun) pins {
	p.count(run.slices, 1)
	p.list = p.list.with(run)
	return p
}

// putHold puts a hold into the wallet, or takes note of its new slices.
func (w *Wallet) putHold(h *Hold) {
	w.holds[h.ID] = h
	if h.Flow == "" {
		run := holdRun{h.ID, h.ExpiresAt, h.Slices}
		w.pins = w.pins.without(run).with(run)
	}
	w.course = nil
}

// removeHold takes a hold out of the wallet.
func (w *Wallet) removeHold(h *Hold) {
	delete(w.holds, h.ID)
	w.pins = w.pins.without(holdRun{id: h.ID, expiresAt: h.ExpiresAt})
	w.course = nil
}
