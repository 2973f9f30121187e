package wallet

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/purserhq/purser/internal/credit"
)

// class is all running flows that burn alike: the same items at the same rates
// and scheduled prices, paid by the same lots, counted by the same budgets,
// ended by the same rules. A class is never changed once it is made, so that
// views can share it.
//
// Its exact total is cheap: with a common epoch, the amount of flow j's item is
// floor((rate*(t-epoch) + c_j) / D) for a constant c_j, of which only the phase
// p_j = c_j mod D matters for differences. With X = rate*(t-epoch), every flow
// contributes floor(X/D), and one more if p_j ≥ D - X mod D: with the phases
// sorted, a binary search counts those.
type class struct {
	key     string
	project string
	storage bool
	hold    string
	until   int64
	grace   int64
	lease   int64
	budgets []int // indexes of the budgets that count it
	items   []classItem
	flows   []*member
}

// member is a flow's place in the order in which a nanosecond is handed out.
type member struct {
	start int64
	id    string
}

// classItem is one item of all flows of a class.
type classItem struct {
	Item   // of any of them; Rem means nothing here
	epoch  int64
	phases []phase // sorted
}

type phase struct {
	p     credit.Wide
	owner *member
}

// unbarred keeps the separator of class keys out of names, which callers choose:
// flows with other items must never get an equal key.
var unbarred = strings.NewReplacer(`\`, `\\`, `|`, `\p`)

// classKey is equal for flows that belong into one class.
func (w *Wallet) classKey(f *Flow) string { return f.classKey(w.root.Policy, w.budgetsOf(f)) }

func (f *Flow) classKey(policy Policy, budgets []int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%t|%d|%d|%d|%s", unbarred.Replace(f.Project), f.Storage, f.Until, f.graceOf(policy), f.Lease, f.Hold)
	for _, i := range budgets {
		fmt.Fprintf(&b, "|b%d", i)
	}
	for _, it := range f.Items {
		fmt.Fprintf(&b, "|%s|%s|%s|%d|%d", it.SKU, it.Tier, unbarred.Replace(it.Region), it.Rate, it.Period)
		for _, s := range it.Next {
			fmt.Fprintf(&b, ">%d:%d", s.At, s.Rate)
		}
	}
	return b.String()
}

func (f *Flow) graceOf(p Policy) int64 {
	if f.Grace > 0 {
		return f.Grace
	}
	return p.Grace
}

// newClass makes a class of flows that share a key.
func (w *Wallet) newClass(key string, flows []*Flow) *class {
	f := flows[0]
	c := &class{
		key: key, project: f.Project, storage: f.Storage, hold: f.Hold, until: f.Until,
		grace: f.graceOf(w.root.Policy), lease: f.Lease, budgets: w.budgetsOf(f),
	}
	for _, f := range flows {
		c.flows = append(c.flows, &member{f.StartedAt, f.ID})
	}
	for i, it := range f.Items {
		ci := classItem{Item: it, epoch: f.Since}
		for j, f := range flows {
			ci.phases = append(ci.phases, phase{ci.phaseOf(f.Since, f.Items[i].Rem), c.flows[j]})
		}
		slices.SortFunc(ci.phases, comparePhases)
		c.items = append(c.items, ci)
	}
	return c
}

func comparePhases(a, b phase) int {
	switch {
	case a.p.Less(b.p):
		return -1
	case b.p.Less(a.p):
		return 1
	}
	return 0
}

// phaseOf is (rem - rate*(since-epoch)) mod D.
func (ci *classItem) phaseOf(since int64, rem credit.Wide) credit.Wide {
	d := ci.Period.Divisor()
	if since < ci.epoch {
		_, p := ci.Period.DivMod(credit.MulWide(uint64(ci.Rate), uint64(ci.epoch-since)).Add(rem))
		return p
	}
	_, back := ci.Period.DivMod(credit.MulWide(uint64(ci.Rate), uint64(since-ci.epoch)))
	if rem.Less(back) {
		rem = rem.Add(d)
	}
	return rem.Sub(back)
}

// with returns the class with one more flow.
func (c *class) with(f *Flow) *class {
	n := *c
	m := &member{f.StartedAt, f.ID}
	n.flows = append(slices.Clip(c.flows), m)
	n.items = slices.Clone(c.items)
	for i := range n.items {
		ci := &n.items[i]
		ph := phase{ci.phaseOf(f.Since, f.Items[i].Rem), m}
		at, _ := slices.BinarySearchFunc(ci.phases, ph, comparePhases)
		grown := make([]phase, 0, len(ci.phases)+1)
		ci.phases = append(append(append(grown, ci.phases[:at]...), ph), ci.phases[at:]...)
	}
	return &n
}

// without returns the class with one flow less, or nil if none is left.
func (c *class) without(id string) *class {
	if len(c.flows) <= 1 {
		return nil
	}
	n := *c
	n.flows = slices.DeleteFunc(slices.Clone(c.flows), func(m *member) bool { return m.id == id })
	n.items = slices.Clone(c.items)
	for i := range n.items {
		ci := &n.items[i]
		ci.phases = slices.DeleteFunc(slices.Clone(ci.phases), func(p phase) bool { return p.owner.id == id })
	}
	return &n
}

// level is how far an item has come since its epoch: X/D, and how many phases
// have passed one nano-credit more.
type level struct {
	at     int64
	whole  credit.Wide
	passed int
}

func (ci *classItem) level(t int64) level {
	q, x := ci.Period.DivMod(credit.MulWide(uint64(ci.Rate), uint64(t-ci.epoch)))
	edge := ci.Period.Divisor().Sub(x)
	n := len(ci.phases)
	return level{t, q, n - sort.Search(n, func(i int) bool { return !ci.phases[i].p.Less(edge) })}
}

// between is the exact total of the item over all flows from one level to a
// later one. It saturates at credit.Max.
func (ci *classItem) between(from, to level) credit.Amount {
	q := to.whole.Sub(from.whole)
	if q.Hi != 0 || q.Lo > uint64(credit.Max) {
		return credit.Max
	}
	all := credit.MulWide(q.Lo, uint64(len(ci.phases)))
	if all.Hi != 0 || all.Lo > uint64(credit.Max)/2 {
		return credit.Max
	}
	return credit.Amount(int64(all.Lo) + int64(to.passed) - int64(from.passed))
}

// tick is what one flow's item is charged in one nanosecond.
type tick struct {
	class  *classRun
	owner  *member
	item   int
	amount credit.Amount
}

// ticks appends what every flow's item is charged from t-1 to t.
func (ci *classItem) ticks(c *classRun, item int, t int64, out []tick) []tick {
	if ci.Rate == 0 {
		return out
	}
	from, to := ci.level(t-1), ci.level(t)
	base := int64(to.whole.Sub(from.whole).Lo)
	n, n0, n1 := len(ci.phases), from.passed, to.passed
	if base == 0 {
		for _, p := range ci.phases[n-n1 : n-n0] {
			out = append(out, tick{c, p.owner, item, 1})
		}
		return out
	}
	for i, p := range ci.phases {
		amount := base
		if i >= n-n1 {
			amount++
		}
		if i >= n-n0 {
			amount--
		}
		if amount > 0 {
			out = append(out, tick{c, p.owner, item, credit.Amount(amount)})
		}
	}
	return out
}

// classify builds all classes anew.
func (w *Wallet) classify() {
	groups := map[string][]*Flow{}
	for _, f := range w.Flows() {
		key := w.classKey(f)
		groups[key] = append(groups[key], f)
	}
	w.classes = nil
	for _, key := range sortedKeys(groups) {
		w.classes = append(w.classes, w.newClass(key, groups[key]))
	}
	w.course = nil
}

func (w *Wallet) findClass(key string) (int, bool) {
	return slices.BinarySearchFunc(w.classes, key, func(c *class, key string) int { return strings.Compare(c.key, key) })
}

// join puts a flow into its class.
func (w *Wallet) join(f *Flow) {
	key := w.classKey(f)
	i, found := w.findClass(key)
	if found {
		w.classes[i] = w.classes[i].with(f)
	} else {
		w.classes = slices.Insert(w.classes, i, w.newClass(key, []*Flow{f}))
	}
	w.course = nil
}

// leave takes a flow out of its class. It must be called before anything that
// the class key depends on is changed.
func (w *Wallet) leave(f *Flow) {
	i, found := w.findClass(w.classKey(f))
	if !found {
		panic("flow " + f.ID + " is in no class")
	}
	if rest := w.classes[i].without(f.ID); rest != nil {
		w.classes[i] = rest
	} else {
		w.classes = slices.Delete(w.classes, i, i+1)
	}
	w.course = nil
}

// detach takes a class out as a whole, and returns its flows by start and id. It
// is for what befalls many flows at once: one by one they would cost the class's
// size each.
func (w *Wallet) detach(cl *class) []*Flow {
	i, found := w.findClass(cl.key)
	if !found {
		panic("there is no class " + cl.key)
	}
	w.classes = slices.Delete(w.classes, i, i+1)
	w.course = nil
	return w.flowsOf(cl)
}

func (w *Wallet) flowsOf(cl *class) []*Flow {
	flows := make([]*Flow, 0, len(cl.flows))
	for _, m := range cl.flows {
		flows = append(flows, w.flows[m.id])
	}
	slices.SortFunc(flows, compareFlows)
	return flows
}

// attach puts flows that were detached into their classes.
func (w *Wallet) attach(flows []*Flow) {
	groups := map[string][]*Flow{}
	for _, f := range flows {
		key := w.classKey(f)
		groups[key] = append(groups[key], f)
	}
	for _, key := range sortedKeys(groups) {
		i, found := w.findClass(key)
		if found {
			w.classes[i] = w.newClass(key, append(w.flowsOf(w.classes[i]), groups[key]...))
		} else {
			w.classes = slices.Insert(w.classes, i, w.newClass(key, groups[key]))
		}
	}
	w.course = nil
}
