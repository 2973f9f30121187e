package wallet

import (
	"cmp"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
)

// runsOut reports whether a lot, a hold or a hard budget runs out at t.
func (c *course) runsOut(t int64) bool {
	return slices.ContainsFunc(c.meters, func(m *meter) bool { return c.empties(m, t) })
}

// empties reports whether the meter is one that work is paid or bounded by, and
// runs out at t.
func (c *course) empties(m *meter, t int64) bool { return m.exact && m.bound == t && c.bounds(m) }

func (c *course) bounds(m *meter) bool {
	return m.kind == lotMeter || m.kind == holdMeter || m.kind == budgetMeter && c.budgets[m.index].Hard
}

// handOut charges the nanosecond that ends at t, in which something runs out.
// Where it matters who comes first, it goes item by item: by flow start, flow id
// and item, each taking from its lots in order until they are used up.
func (c *course) handOut(t int64) outcome {
	c.settle(t - 1)
	c.contend(t)
	c.takeUncontended(t)
	c.at = t
	if c.planning && c.moveOn(t) {
		return outcome{}
	}
	ticks := c.ticks[:0]
	for i := range c.classes {
		cr := &c.classes[i]
		for j := range cr.items {
			if cr.ended == never && cr.contends {
				ticks = cr.items[j].ticks(cr, j, t, ticks)
			}
		}
	}
	c.ticks = ticks
	slices.SortFunc(ticks, func(a, b tick) int {
		return cmp.Or(cmp.Compare(a.owner.start, b.owner.start), strings.Compare(a.owner.id, b.owner.id), cmp.Compare(a.item, b.item))
	})
	out := outcome{cuts: map[string]Cut{}, handed: map[handKey]handed{}}
	for _, tk := range ticks {
		if h := c.hand(tk, out.cuts); !c.planning || h.rest > 0 {
			out.handed[handKey{tk.owner.id, tk.item}] = h
		}
	}
	return out
}

// contend finds the classes of which it matters in which order they are charged
// the nanosecond that ends at t: those that draw on what runs out in it. If these
// might use up something that others draw on too, all do.
func (c *course) contend(t int64) {
	for i := range c.classes {
		c.classes[i].contends = false
	}
	for _, m := range c.meters {
		if c.empties(m, t) {
			for _, d := range m.draws {
				d.class.contends = true
			}
		}
	}
	most := c.contended(t)
	for _, m := range c.meters {
		shared := slices.ContainsFunc(m.draws, func(d draw) bool { return !d.class.contends && d.class.ended == never })
		if shared && c.bounds(m) && *m.left <= addSat(m.sum(t-1, t), most) {
			for i := range c.classes {
				c.classes[i].contends = true
			}
			return
		}
	}
}

// contended is what the classes that contend are charged from t-1 to t.
func (c *course) contended(t int64) (sum credit.Amount) {
	for i := range c.classes {
		cr := &c.classes[i]
		for j := range cr.items {
			if cr.contends && cr.ended == never {
				sum = addSat(sum, cr.taken(j, t-1, t))
			}
		}
	}
	return sum
}

// takeUncontended charges the other classes the nanosecond that ends at t.
func (c *course) takeUncontended(t int64) {
	for _, m := range c.meters {
		for _, d := range m.draws {
			if !d.class.contends {
				*m.left -= d.taken(t-1, t)
			}
		}
	}
}

// moveOn charges the classes that contend the nanosecond that ends at t by their
// sums, if nothing but lots runs out in it, and every one of these is followed by
// one lot for all that draw on it, which does not. Who comes first is not known
// then, and a projection does not ask.
func (c *course) moveOn(t int64) bool {
	m := move{t, map[int32]credit.Amount{}, map[int32]int32{}, map[int]credit.Amount{}}
	for i := range c.classes {
		if cr := &c.classes[i]; cr.contends && cr.ended == never && !c.addTo(&m, cr) {
			return false
		}
	}
	for lot, follower := range m.followers {
		m.taken[follower] += m.taken[lot] - c.lots[lot].left
		m.taken[lot] = c.lots[lot].left
	}
	if !c.bears(&m) {
		return false
	}
	for lot, amount := range m.taken {
		c.lots[lot].left -= amount
	}
	for b, amount := range m.spent {
		c.budgets[b].left -= amount
	}
	return true
}

// move is what is taken in one nanosecond, by sums.
type move struct {
	at        int64 // its end
	taken     map[int32]credit.Amount
	followers map[int32]int32 // by the lot that runs out
	spent     map[int]credit.Amount
}

// addTo adds what a class takes to a move; false if its order matters.
func (c *course) addTo(m *move, cr *classRun) bool {
	if cr.hold != "" {
		return false
	}
	for j := range cr.items {
		amount, lot := cr.taken(j, m.at-1, m.at), cr.current[j]
		switch {
		case cr.items[j].Rate == 0:
			continue
		case lot == noLot:
			return false
		case c.empties(c.meterOf[lot], m.at):
			follower, _ := c.firstUsable(cr.routes[j][cr.passed[j]+1:])
			if known, ok := m.followers[lot]; follower == noLot || ok && known != follower {
				return false
			}
			m.followers[lot] = follower
		}
		m.taken[lot] += amount
		for _, b := range cr.class.budgets {
			m.spent[b] += amount
		}
	}
	return true
}

// bears reports whether a move uses up nothing but the lots that run out.
func (c *course) bears(m *move) bool {
	for lot, amount := range m.taken {
		follower, empties := m.followers[lot]
		if _, both := m.followers[follower]; empties && both || !empties && c.lots[lot].left <= amount {
			return false
		}
	}
	for b, amount := range m.spent {
		if c.budgets[b].stops() && c.budgets[b].left <= amount {
			return false
		}
	}
	return true
}

// hand charges one tick.
func (c *course) hand(tk tick, cuts map[string]Cut) handed {
	allowed := tk.amount
	for _, b := range tk.class.budgets {
		if c.budgets[b].stops() && !tk.class.storage {
			allowed = min(allowed, max(0, c.budgets[b].left))
		}
	}
	var h handed
	need := allowed
	if tk.class.hold != "" {
		part := min(need, tk.class.holdLeft)
		tk.class.holdLeft -= part
		h.slices = []Slice{{"", part}}
		need -= part
	} else {
		for _, i := range tk.class.routes[tk.item][tk.class.passed[tk.item]:] {
			l := &c.lots[i]
			if need == 0 {
				break
			}
			if !l.usable() {
				continue
			}
			part := min(l.left, need)
			l.left -= part
			need -= part
			if !c.planning { // a projection asks only what nothing covers
				h.slices = append(h.slices, Slice{l.id, part})
			}
			if l.left == 0 {
				cuts[l.id] = Cut{tk.owner.start, tk.owner.id, tk.item, part}
			}
		}
	}
	for _, b := range tk.class.budgets {
		c.budgets[b].left -= allowed - need
	}
	h.rest = need + tk.amount - allowed
	return h
}
