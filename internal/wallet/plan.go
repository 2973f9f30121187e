package wallet

import (
	"slices"
	"sync"

	"github.com/purserhq/purser/internal/credit"
)

// plan is what a projection found: the future if no command comes.
type plan struct {
	stops   map[string]stop           // by class key
	waived  map[handKey]credit.Amount // what of its last nanosecond nothing will cover
	emptyAt int64                     // when running work is first uncovered; never
	landsAt int64                     // grace before
	horizon int64                     // nothing was looked at after this
	lots    []LotUse
	useOf   []int // by lot: the number in lots of its present use, from 1; 0 if it has none
	using   []int // the lots that have one
}

type stop struct {
	at     int64
	reason string
	grace  int64
}

// LotUse is a time along the projection in which a lot is used.
type LotUse struct {
	Lot     string
	From    int64
	UsedUp  int64 // 0: not along the projection
	Expires int64 // it expires with something left; 0: it does not
}

// maxProjected bounds the breakpoints a projection looks at, besides the lots
// and classes of the wallet. Nor does it look beyond the release of retained storage,
// whose debt is written off then, but for what has to be told before. The wallet wakes
// at the end to look further.
const maxProjected = 2000

// future is a plan that is made when it is first needed, by whichever reader
// needs it.
type future struct {
	once sync.Once
	plan *plan
}

// planned is the projection of the course, which is run once.
func (c *course) planned() *plan {
	c.future.once.Do(func() { c.future.plan = c.project() })
	return c.future.plan
}

// holdsAt reports whether the plan, made earlier and only overtaken by time, is
// still the future at an instant.
func (p *plan) holdsAt(at int64) bool { return at < p.emptyAt && at < p.horizon }

func (c *course) project() *plan {
	p := &plan{stops: map[string]stop{}, waived: map[handKey]credit.Amount{}, emptyAt: never, landsAt: never, horizon: never, useOf: make([]int, len(c.lots))}
	run := c.clone()
	run.hasAlert, run.planning = false, true
	run.assign()
	p.watchLots(run)
	for steps := maxProjected + len(c.lots) + 3*len(c.classes); run.anyRuns(); steps-- {
		t := run.next(never - 1)
		if t == never {
			break
		}
		if steps == 0 {
			p.horizon = t
			break
		}
		if release := run.nextRelease(); release < t {
			p.horizon = min(p.horizon, release)
			if addInstant(release, run.longestGrace()) < t {
				break
			}
		}
		out := run.spend(t)
		run.pass(&out)
		p.note(out, t)
		p.watchLots(run)
	}
	return p
}

// anyRuns reports whether a class still runs.
func (c *course) anyRuns() bool {
	for i := range c.classes {
		if c.classes[i].ended == never {
			return true
		}
	}
	return false
}

// longestGrace is the longest that a class is told before it ends.
func (c *course) longestGrace() (longest int64) {
	for i := range c.classes {
		longest = max(longest, c.classes[i].grace)
	}
	return longest
}

// note records who ends at t.
func (p *plan) note(out outcome, t int64) {
	for place, h := range out.handed {
		if h.rest > 0 {
			p.waived[place] = h.rest
		}
	}
	for _, e := range out.ended {
		p.stops[e.class.key] = stop{t, e.reason, e.class.grace}
		if e.reason == ReasonCredits {
			p.emptyAt = min(p.emptyAt, t)
			p.landsAt = min(p.landsAt, t-e.class.grace)
		}
	}
	if len(out.owing) > 0 {
		p.emptyAt = min(p.emptyAt, t)
	}
}

// drawn reports whether anything that still runs draws on the meter.
func (m *meter) drawn() bool {
	return slices.ContainsFunc(m.draws, func(d draw) bool { return d.class.ended == never })
}

// watchLots records which lots were used up and which came into use.
func (p *plan) watchLots(run *course) {
	p.using = slices.DeleteFunc(p.using, func(i int) bool {
		use, l := &p.lots[p.useOf[i]-1], &run.lots[i]
		switch {
		case l.gone:
			use.Expires = run.at
		case l.left == 0:
			use.UsedUp = run.at
		default:
			return false
		}
		p.useOf[i] = 0
		return true
	})
	for _, m := range run.meters {
		if m.kind == lotMeter && p.useOf[m.index] == 0 && !run.lots[m.index].kind.isOwn() && m.drawn() {
			p.lots = append(p.lots, LotUse{Lot: run.lots[m.index].id, From: run.at})
			p.useOf[m.index] = len(p.lots)
			p.using = append(p.using, m.index)
		}
	}
}

// usesFrom are the uses of lots that last beyond t, as if looked at then.
func (p *plan) usesFrom(t int64) (uses []LotUse) {
	for _, use := range p.lots {
		if over := max(use.UsedUp, use.Expires); over == 0 || over > t {
			use.From = max(use.From, t)
			uses = append(uses, use)
		}
	}
	return uses
}

// nextSignal is when a landing or an alert about the runway is due next, after
// the course's instant.
func (c *course) nextSignal(fired []string) int64 {
	p, next := c.planned(), int64(never)
	for i := range c.classes {
		if s, ok := p.stops[c.classes[i].key]; ok && s.at-s.grace > c.at {
			next = min(next, s.at-s.grace)
		}
	}
	if p.emptyAt != never {
		for _, runway := range c.policy.AlertRunways {
			if at := p.emptyAt - runway; at > c.at && !slices.Contains(fired, runwayAlert(runway)) {
				next = min(next, at)
			}
		}
	}
	if p.horizon > c.at { // a release that is due now is no signal: it comes by itself
		next = min(next, p.horizon)
	}
	return next
}

// buildCourse makes the course from the wallet's rows.
func (w *Wallet) buildCourse() *course {
	if w.course != nil {
		return w.course
	}
	c := &course{at: w.root.At, policy: w.root.Policy, future: &future{}}
	c.lots = make([]lotRun, 0, len(w.lots))
	for _, l := range w.lots {
		c.lots = append(c.lots, lotRun{
			lotTerms: lotTerms{l.ID, l.Kind, l.EffectiveAt, l.ExpiresAt, l.Frozen},
			left:     l.Left, gone: l.Expired,
			open: !l.Frozen && !l.Expired && l.EffectiveAt <= c.at,
		})
	}
	for _, cl := range w.classes {
		c.classes = append(c.classes, w.classRunOf(cl))
	}
	for _, b := range w.budgets {
		c.budgets = append(c.budgets, budgetRun{Budget: *b, left: b.Amount - b.Spent})
	}
	c.pins, c.meterOf = w.pins, make([]*meter, len(c.lots))
	w.layAgenda(c)
	c.alertAt, c.hasAlert = w.nextAlert(c.balance())
	c.assign()
	for i := range c.classes {
		cr := &c.classes[i]
		if cr.owing = c.uncovered(cr) == ReasonRetention; cr.owing {
			cr.release = w.firstRelease(cr.class)
		}
	}
	c.calmUntil = c.calm()
	if w.foreseen != nil && w.foreseen.plan.holdsAt(c.at) {
		c.future = w.foreseen
	}
	w.course = c
	return c
}

func (w *Wallet) classRunOf(cl *class) classRun {
	cr := classRun{class: cl, ended: never, current: make([]int32, len(cl.items)), passed: make([]int32, len(cl.items)), recent: make([]recent, len(cl.items))}
	for i := range cl.items {
		it := &cl.items[i]
		cr.routes = append(cr.routes, w.route(it.SKU, it.Tier, it.Region, cl.project, cl.storage))
		cr.current[i] = noLot
	}
	if cl.hold != "" {
		h := w.holds[cl.hold]
		cr.holdLeft = h.Amount - w.flows[h.Flow].accrued(w.root.At)
		for _, s := range h.Slices {
			cr.held = append(cr.held, holdPart{int32(w.lotByID[s.Lot].index), s.Amount})
		}
	}
	return cr
}

// layAgenda schedules everything whose instant is known.
func (w *Wallet) layAgenda(c *course) {
	add := func(at int64, kind appointmentKind, index int) {
		if at > c.at && at != never {
			c.agenda = append(c.agenda, appointment{at, kind, index})
		}
	}
	for i, l := range w.lots {
		if !l.Expired && l.Remaining > 0 {
			add(l.EffectiveAt, lotBecomesEffective, i)
			add(l.ExpiresAt, lotExpires, i)
		}
	}
	for i := range c.classes {
		cr := &c.classes[i]
		add(cr.until, classEnds, i)
		for _, at := range cr.stepInstants() {
			add(at, priceChanges, i)
		}
	}
	for i, b := range w.budgets {
		if _, next := b.Bounds(c.at); len(w.classes) > 0 || b.Spent != 0 || b.ahead() != 0 {
			add(next, budgetWindow, i)
		}
	}
	for _, at := range w.retentionInstants() {
		add(at, retentionStep, 0)
	}
	sortAgenda(c.agenda)
}

// stepInstants are the instants of the class's scheduled prices.
func (cl *class) stepInstants() (at []int64) {
	for i := range cl.items {
		for _, s := range cl.items[i].Next {
			at = append(at, s.At)
		}
	}
	return at
}

// sumRates is the cost of the classes that pay from the lots, for the given
// nanoseconds, rounded up per item and flow.
func (c *course) sumRates(dt int64, counts func(*class) bool) credit.Amount {
	var sum credit.Amount
	for i := range c.classes {
		if cr := &c.classes[i]; cr.ended == never && counts(cr.class) {
			sum = addSat(sum, cr.cost(dt))
		}
	}
	return sum
}

// cost is what all flows of the class cost in dt nanoseconds, rounded up per
// item and flow.
func (cl *class) cost(dt int64) (sum credit.Amount) {
	for j := range cl.items {
		it := &cl.items[j]
		sum = addSat(sum, mulAmount(credit.Ceil(it.Rate, dt, it.Period), int64(len(it.phases))))
	}
	return sum
}
