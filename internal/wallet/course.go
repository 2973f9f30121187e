package wallet

import (
	"math"
	"math/bits"
	"slices"

	"github.com/purserhq/purser/internal/credit"
)

// never is later than every instant.
const never = math.MaxInt64

// course is what the classes do to the lots, holds and budgets from an instant
// on, if no command comes. The wallet advances along a copy of it, a projection
// runs a copy to the end, and a view answers from it; the original is never
// changed once it is built, so that readers share it.
type course struct {
	at      int64
	lots    []lotRun
	classes []classRun
	budgets []budgetRun

	meters   []*meter
	meterOf  []*meter      // by lot: its meter, if it has one
	agenda   []appointment // scheduled instants after at, in order
	alertAt  credit.Amount // the balance at which the next alert is due
	hasAlert bool
	planning bool // a projection: nothing is reported, and budgets that cannot be reached do not matter

	policy Policy
	pins

	ticks     []tick  // room for those of one nanosecond
	calmUntil int64   // no landing and no alert about the runway is due before this
	future    *future // what the projection finds, once somebody asks
}

// lotRun is a lot along the course.
type lotRun struct {
	lotTerms
	left credit.Amount
	open bool // effective, not expired, not frozen
	gone bool // expired
}

// lotTerms is what of a lot does not change along a course.
type lotTerms struct {
	id          string
	kind        LotKind
	effectiveAt int64
	expiresAt   int64
	frozen      bool
}

func (l *lotRun) usable() bool { return l.open && l.left > 0 }

// classRun is a class along the course.
type classRun struct {
	*class
	routes   [][]int32
	current  []int32 // per item: the lot in use, or noLot
	passed   []int32 // per item: how many lots of its route, from the first, cannot be used
	holdLeft credit.Amount
	held     []holdPart // the slices of the hold when the course was built
	ended    int64      // when it ended along the course; never
	owing    bool       // storage that nothing covers
	release  int64      // when the first of it is released then
	contends bool       // in the nanosecond at hand, it matters when it comes
	recent   []recent   // per item: how far it had come when it was asked last
}

// recent keeps the last two levels of an item that were asked for: a course asks
// for the ends of one interval again and again.
type recent struct {
	levels [2]level
	older  int // which of the two goes next
}

// taken is the exact total of an item over all flows of the class from s to t.
func (cr *classRun) taken(item int, s, t int64) credit.Amount {
	if cr.items[item].Rate == 0 || t <= s {
		return 0
	}
	return cr.items[item].between(cr.level(item, s), cr.level(item, t))
}

func (cr *classRun) level(item int, t int64) level {
	r := &cr.recent[item]
	newer := 1 - r.older
	switch t {
	case r.levels[newer].at:
	case r.levels[r.older].at:
		r.older = newer
	default:
		r.levels[r.older] = cr.items[item].level(t)
		r.older = newer
	}
	return r.levels[1-r.older]
}

// holdPart is a slice of a hold along a course.
type holdPart struct {
	lot    int32
	amount credit.Amount
}

const noLot int32 = -1

// eachHeld visits what is left of the slices of the class's hold, which are used
// one after the other.
func (cr *classRun) eachHeld(visit func(lot int32, amount credit.Amount)) {
	left := cr.holdLeft
	for i := len(cr.held) - 1; i >= 0 && left > 0; i-- {
		part := min(left, cr.held[i].amount)
		left -= part
		visit(cr.held[i].lot, part)
	}
}

// meterKind says what runs out.
type meterKind int

const (
	lotMeter meterKind = iota
	holdMeter
	budgetMeter // a hard budget
	noticeMeter // a percentage of a budget that is to be reported
	alertMeter  // a balance that is to be reported
)

// meter is something that a set of class items draws on, and when it will have
// been drawn down to nothing. Until it is synced, left is as of at.
type meter struct {
	kind  meterKind
	index int
	left  *credit.Amount
	own   credit.Amount // where left points if nothing else holds it
	draws []draw

	bound int64 // it does not run out before this
	exact bool  // it runs out exactly then
}

// draw is one item of a class that still runs or has ended.
type draw struct {
	class *classRun
	index int
}

func (d draw) item() *classItem { return &d.class.items[d.index] }

// taken counts only the part of the interval in which the class still runs.
func (d draw) taken(s, t int64) credit.Amount {
	return d.class.taken(d.index, s, min(t, d.class.ended))
}

// clone makes a copy that can be advanced.
func (c *course) clone() *course {
	n := *c
	n.future, n.ticks, n.meters, n.meterOf = &future{}, nil, nil, make([]*meter, len(c.lots))
	n.lots = slices.Clone(c.lots)
	n.classes = slices.Clone(c.classes)
	for i := range n.classes {
		n.classes[i].current = slices.Clone(n.classes[i].current)
		n.classes[i].passed = slices.Clone(n.classes[i].passed)
		n.classes[i].recent = make([]recent, len(n.classes[i].items))
	}
	n.budgets = slices.Clone(c.budgets)
	n.assign()
	return &n
}

// assign finds the lot in use by each item, and builds the meters anew.
func (c *course) assign() {
	for _, m := range c.meters {
		if m.kind == lotMeter {
			c.meterOf[m.index] = nil
		}
	}
	c.meters = c.meters[:0:0]
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.ended != never {
			continue
		}
		hold := c.holdMeterOf(i)
		for j := range cr.items {
			d := draw{cr, j}
			if cr.items[j].Rate == 0 {
				continue
			}
			if hold != nil {
				hold.draws = append(hold.draws, d)
			} else if cr.current[j] = c.lotInUse(cr, j); cr.current[j] != noLot {
				m := c.lotMeterOf(cr.current[j])
				m.draws = append(m.draws, d)
			}
		}
	}
	c.assignBudgets()
	c.assignAlert()
	for _, m := range c.meters {
		m.estimate(c.at)
	}
}

func (c *course) holdMeterOf(i int) *meter {
	if c.classes[i].hold == "" {
		return nil
	}
	return c.addMeter(holdMeter, i, &c.classes[i].holdLeft)
}

func (c *course) lotMeterOf(lot int32) *meter {
	if c.meterOf[lot] == nil {
		c.meterOf[lot] = c.addMeter(lotMeter, int(lot), &c.lots[lot].left)
	}
	return c.meterOf[lot]
}

func (c *course) addMeter(kind meterKind, index int, left *credit.Amount) *meter {
	m := &meter{kind: kind, index: index, left: left}
	c.meters = append(c.meters, m)
	return m
}

// assignAlert adds the meter of the next balance to report.
func (c *course) assignAlert() {
	if !c.hasAlert {
		return
	}
	m := c.addMeter(alertMeter, 0, nil)
	m.own = addSat(c.balance(), -c.alertAt)
	m.left = &m.own
	for i := range c.classes {
		cr := &c.classes[i]
		for j := range cr.items {
			if cr.ended == never && (cr.hold != "" || cr.current[j] != noLot && c.lots[cr.current[j]].kind != owed) {
				m.draws = append(m.draws, draw{cr, j})
			}
		}
	}
}

// lotInUse is the first lot of the item's route that can be used.
func (c *course) lotInUse(cr *classRun, item int) int32 {
	lot, before := c.firstUsable(cr.routes[item][cr.passed[item]:])
	cr.passed[item] += before
	return lot
}

// firstUsable is the first lot of the rest of a route that can be used, and how
// many stand before it.
func (c *course) firstUsable(rest []int32) (lot, before int32) {
	for n, i := range rest {
		if c.lots[i].usable() {
			return i, int32(n)
		}
	}
	return noLot, int32(len(rest))
}

// rewind lets every item look at all its lots again, for one that could not be
// used may have credits now.
func (c *course) rewind() {
	for i := range c.classes {
		clear(c.classes[i].passed)
	}
}

// sum is what the meter loses from s to t.
func (m *meter) sum(s, t int64) credit.Amount {
	var sum credit.Amount
	for _, d := range m.draws {
		sum = addSat(sum, d.taken(s, t))
	}
	return sum
}

// estimate sets a bound before which the meter surely does not run out. Every
// flow's item is less than one nano-credit ahead of its exact accrual.
func (m *meter) estimate(at int64) {
	m.exact = false
	n, rate := m.burn()
	switch left := *m.left; {
	case left <= 0 || rate.IsZero():
		m.bound = never
	case left <= credit.Amount(n):
		m.bound = at
	default:
		m.bound = addInstant(at, addInstant(timeFor(left-credit.Amount(n), rate), 1))
	}
}

// burn is how many flow items draw on the meter, and their rate over
// credit.Month.
func (m *meter) burn() (n int64, rate credit.Wide) {
	for _, d := range m.draws {
		if d.class.ended == never {
			n += int64(len(d.item().phases))
			rate = rate.Add(d.item().perMonth())
		}
	}
	return n, rate
}

// mostBurn is burn at the highest of the present and the scheduled rates of each item.
func (m *meter) mostBurn() (n int64, rate credit.Wide) {
	for _, d := range m.draws {
		if d.class.ended == never {
			dearest := *d.item()
			for _, step := range dearest.Next {
				dearest.Rate = max(dearest.Rate, step.Rate)
			}
			n += int64(len(dearest.phases))
			rate = rate.Add(dearest.perMonth())
		}
	}
	return n, rate
}

// perMonth is the rate of all flows of the item over credit.Month.
func (ci *classItem) perMonth() credit.Wide {
	scaled := credit.MulWide(uint64(ci.Rate), uint64(credit.Month/ci.Period))
	return mulSat(scaled, uint64(len(ci.phases)))
}

// mulSat multiplies a number below 2^96 by one below 2^31.
func mulSat(w credit.Wide, n uint64) credit.Wide {
	lo := credit.MulWide(w.Lo, n)
	return lo.Add(credit.Wide{Hi: w.Hi * n})
}

// timeFor is a lower bound of the nanoseconds in which a rate over credit.Month
// takes amount, at most timeForSlack short of it.
func timeFor(amount credit.Amount, rate credit.Wide) int64 {
	d := credit.Month.Divisor()
	// n = amount × d in three words; the rate is brought down to one word by a
	// shift, rounded up.
	low, high := credit.MulWide(uint64(amount), d.Lo), credit.MulWide(uint64(amount), d.Hi)
	n0, n1, n2 := low.Lo, low.Hi, uint64(0)
	n1, carry := bits.Add64(n1, high.Lo, 0)
	n2 = high.Hi + carry
	divisor := rate.Lo
	if rate.Hi != 0 {
		shift := uint(64 - bits.LeadingZeros64(rate.Hi) + 1)
		divisor = rate.Hi<<(64-shift) | rate.Lo>>shift + 1
		n0, n1, n2 = n0>>shift|n1<<(64-shift), n1>>shift|n2<<(64-shift), n2>>shift
	}
	if n2 != 0 || n1 >= divisor {
		return never
	}
	if q, _ := bits.Div64(n1, n0, divisor); q < never {
		return int64(q)
	}
	return never
}

// timeForSlack bounds how far timeFor stays below the exact time: its divisor is
// at most one part in 2^62 too large, and its result below 2^63.
const timeForSlack = 4

func addInstant(at, dt int64) int64 {
	if dt >= never-at {
		return never
	}
	return at + dt
}

// refine brings a meter to just before its bound and makes the bound exact, or
// moves it on.
func (m *meter) refine(c *course) {
	c.settle(m.bound - 1)
	n, rate := m.burn()
	if rate.IsZero() || *m.left > credit.Amount(4*n+4) {
		if m.estimate(c.at); m.bound > c.at {
			return
		}
	}
	hi := addInstant(c.at, addInstant(timeFor(addSat(*m.left, credit.Amount(n)), rate), timeForSlack))
	if hi == never {
		m.bound = never
		return
	}
	lo := c.at // sum(lo) < left ≤ sum(hi)
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; m.sum(c.at, mid) >= *m.left {
			hi = mid
		} else {
			lo = mid
		}
	}
	m.bound, m.exact = hi, true
}

// settle brings everything to t; nothing may run out before or at t, except a
// meter of which only a report is due.
func (c *course) settle(t int64) {
	if t <= c.at {
		return
	}
	for _, m := range c.meters {
		*m.left -= m.sum(c.at, t)
	}
	c.at = t
}

// next finds the next instant up to limit at which something runs out or is
// scheduled; never if there is none.
func (c *course) next(limit int64) int64 {
	for {
		scheduled := c.nextScheduled()
		first := c.firstMeter()
		if first == nil || first.bound > min(limit, scheduled) {
			if scheduled <= limit {
				return scheduled
			}
			return never
		}
		if first.exact {
			return first.bound
		}
		first.refine(c)
	}
}

// nextScheduled is the next instant at which something is scheduled; never if
// nothing is.
func (c *course) nextScheduled() int64 {
	next := c.pins.nextExpiry()
	if len(c.agenda) > 0 {
		next = min(next, c.agenda[0].at)
	}
	return next
}

// firstMeter is the meter with the smallest bound; of equal ones, one that is
// not yet exact.
func (c *course) firstMeter() *meter {
	var first *meter
	for _, m := range c.meters {
		if first == nil || m.bound < first.bound || m.bound == first.bound && !m.exact {
			first = m
		}
	}
	return first
}
