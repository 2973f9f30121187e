package wallet_test

import (
	"errors"
	"flag"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "of the first history; 0 takes the clock")
	historiesFlag = flag.Int("histories", 0, "how many histories to run")
)

// TestEngineIsTheNaiveModel holds the engine against the naive model over
// random histories. A failure prints its seed and the shortest history that
// still fails; `go test -run TestEngineIsTheNaiveModel -seed N -histories 1`
// runs it again.
func TestEngineIsTheNaiveModel(t *testing.T) {
	seed, count := *seedFlag, *historiesFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1_000_000_000_000
	}
	if count == 0 {
		count = 10_000
		if testing.Short() {
			count = 1000
		}
	}
	t.Logf("seed %d, %d histories", seed, count)
	commands := 0
	for i := range uint64(count) {
		steps, err := tryHistory(seed + i)
		commands += len(steps)
		if err != nil {
			p, at := origin(seed + i)
			steps, err = shrink(p, at, steps, err)
			t.Fatalf("history with seed %d:\n%s", seed+i, tell(p, at, steps, err))
		}
	}
	t.Logf("%d commands", commands)
}

// origin is the policy and the instant with which a history begins.
func origin(seed uint64) (wallet.Policy, int64) {
	w := newWriter(seed)
	return w.n.policy, w.n.at
}

// tryHistory writes a history and plays it at once.
func tryHistory(seed uint64) ([]step, error) { return playOn(newWriter(seed)) }

func playOn(w *writer) (steps []step, err error) {
	p := newPlay(w.n.policy, w.n.at)
	w.n = p.naive
	for k := range 8 + w.IntN(32) {
		s := w.next(k, len(p.charges))
		steps = append(steps, s)
		if err := p.safely(func() error { return p.step(s) }); err != nil {
			return steps, err
		}
	}
	return steps, p.safely(p.finish)
}

func replay(policy wallet.Policy, at int64, steps []step) error {
	p := newPlay(policy, at)
	for _, s := range steps {
		if err := p.safely(func() error { return p.step(s) }); err != nil {
			return err
		}
	}
	return p.safely(p.finish)
}

// shrink cuts steps out as long as the history still fails.
func shrink(policy wallet.Policy, at int64, steps []step, err error) ([]step, error) {
	for size := len(steps); size > 0; {
		cut := false
		for i := 0; i+size <= len(steps); {
			less := slices.Delete(slices.Clone(steps), i, i+size)
			if e := replay(policy, at, less); e != nil {
				steps, err, cut = less, e, true
			} else {
				i++
			}
		}
		if !cut || size > len(steps) {
			size /= 2
		}
	}
	return steps, err
}

func tell(policy wallet.Policy, at int64, steps []step, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d wallet %+v\n", at, policy)
	for _, s := range steps {
		fmt.Fprintln(&b, s)
	}
	fmt.Fprintf(&b, "=> %v", err)
	return b.String()
}

// play is a history being played to both, with all that the engine wrote.
type play struct {
	*naive
	w        *wallet.Wallet
	charges  []wallet.Charge
	postings []wallet.Posting
	totals   credit.Amount // of the hourly totals
	ended    map[string]*wallet.Flow
	lost     map[string]bool // overruns that were reported
	last     refused
	moved    []wallet.Lot             // by the last command
	book     map[string]credit.Amount // what the postings left in each lot
}

func newPlay(policy wallet.Policy, at int64) *play {
	return &play{naive: newNaive(at, policy), w: wallet.New("ws_test", at, policy),
		ended: map[string]*wallet.Flow{}, lost: map[string]bool{}, book: map[string]credit.Amount{}}
}

func (p *play) safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, stack())
		}
	}()
	return f()
}

func (p *play) step(s step) error {
	switch {
	case s.look != 0:
		return p.lookAt(s.at, s.look)
	case s.do == nil:
		return p.reload()
	}
	at := max(s.at, p.naive.at)
	if due := p.w.DueAt(); due != 0 && due <= at || at%3 == 0 { // as the ledger does it
		if err := p.both(at, wallet.Tick{}); err != nil {
			return err
		}
	}
	p.advance(at)
	c, ok := p.complete(s)
	if !ok {
		return nil
	}
	if err := p.both(at, c); err != nil {
		return err
	}
	return p.compare()
}

// both gives the command to both and compares what they say to it.
func (p *play) both(at int64, c wallet.Command) error {
	p.facts = nil
	want := p.apply(at, c)
	before, due := p.w.State(), p.w.DueAt()
	fx, err := p.w.Apply(at, c)
	if got := refusal(err); got != want {
		return fmt.Errorf("engine says %v (%v), model says %v", got, err, want)
	}
	if err != nil && before.At == at && (due == 0 || due > at) && (!reflect.DeepEqual(before, p.w.State()) || !reflect.DeepEqual(fx, wallet.Effects{})) {
		return fmt.Errorf("a refused command has changed %+v to %+v with %+v", before, p.w.State(), fx)
	}
	p.last, p.moved = want, fx.Moved
	return p.read(fx)
}

// refusal is the kind of an error, and its code where that says more.
func refusal(err error) refused {
	if err == nil {
		return accepted
	}
	f := fault.Of(err)
	switch {
	case f == nil:
		return refused{fault.Internal, err.Error()}
	case f.Kind == fault.Insufficient && f.Code != "credits_frozen":
		return refused{f.Kind, f.Code}
	case f.Kind == fault.Insufficient:
		return insufficient
	}
	return refused{f.Kind, ""}
}

// complete adds to a command what the ledger would look up for it.
func (p *play) complete(s step) (wallet.Command, bool) {
	switch c := s.do.(type) {
	case wallet.Stop:
		for i := len(p.charges) - 1; i >= 0; i-- {
			if x := p.charges[i]; x.Flow == c.Flow && x.To > c.At && c.At != 0 {
				c.Charges = append(c.Charges, x)
			}
		}
		return c, true
	case wallet.Refund:
		if len(p.charges) == 0 {
			return nil, false
		}
		c.Charge = p.charges[s.pick%len(p.charges)]
		return c, true
	case wallet.Overrun:
		f := p.ended[c.Flow.ID]
		if f == nil || p.lost[f.ID] {
			return nil, false // whoever reports an overrun does it once
		}
		p.lost[f.ID] = true
		c.Flow, c.Until = *f, f.EndedAt+c.Until
		return c, true
	case wallet.Capture:
		if h := p.hold(c.Hold); h != nil && h.Status != wallet.Held {
			c.Ended = &h.Hold
		}
		return c, true
	case wallet.SetBudgets:
		c.Budgets = slices.Clone(c.Budgets)
		for i := range c.Budgets {
			b := &naiveBudget{c.Budgets[i]}
			c.Budgets[i].Spent = p.spent(b, p.naive.at)
			c.Budgets[i].From = windowStart(b, p.naive.at)
			if b.Window == wallet.Rolling {
				c.Budgets[i].Past = p.past(b)
			}
		}
		return c, true
	}
	return s.do, true
}

// past is what a rolling budget has seen in each hour of its window.
func (p *play) past(b *naiveBudget) map[int64]credit.Amount {
	past := map[int64]credit.Amount{}
	for h := windowStart(b, p.naive.at); h <= p.naive.at; h += hour {
		past[h] = p.spentIn(b, h, h+hour)
	}
	return past
}

// read keeps the books and compares every charge with the model's.
func (p *play) read(fx wallet.Effects) error {
	for _, x := range fx.Totals {
		p.totals += x.Amount
	}
	for _, x := range fx.Postings {
		if x.No != int64(len(p.postings))+1 {
			return fmt.Errorf("posting %+v leaves a gap", x)
		}
		p.postings = append(p.postings, x)
		p.book[x.Lot] += direction(x.Kind) * x.Amount
		if x.Amount <= 0 {
			return fmt.Errorf("posting %+v moves nothing", x)
		}
	}
	for _, c := range fx.Charges {
		if err := p.readCharge(c); err != nil {
			return fmt.Errorf("%w: %+v", err, c)
		}
		p.charges = append(p.charges, c)
		if f := p.ended[c.Flow]; f != nil && c.From >= f.EndedAt {
			f.Charged += c.Amount // an overrun of a flow that the engine has forgotten
		}
	}
	for _, r := range fx.Refunds {
		for i := range p.charges {
			if c := &p.charges[i]; c.No == r.Charge {
				if f := p.ended[c.Flow]; f != nil { // the engine has forgotten it: its row is the ledger's
					f.Charged -= r.Refunded - c.Refunded
				}
				c.Refunded = r.Refunded
			}
		}
	}
	for _, f := range p.w.Changes().Flows {
		if f.Status.Ended() {
			c := *f
			p.ended[f.ID] = &c
		}
	}
	return nil
}

// direction says whether postings of the kind fill a lot or take from it.
func direction(k wallet.PostingKind) credit.Amount {
	switch k {
	case wallet.PostGrant, wallet.PostRefund, wallet.PostReceive:
		return 1
	case wallet.PostCharge, wallet.PostRepay, wallet.PostRepayOwed, wallet.PostExpire, wallet.PostSend:
		return -1
	}
	return 0
}

func (p *play) readCharge(c wallet.Charge) error {
	var want []wallet.Slice
	var waived credit.Amount
	if c.Flow != "" {
		if c.From >= c.To || (c.To-1)/hour != c.From/hour {
			return errors.New("a charge does not lie within one hour")
		}
		want, waived = p.posted(&c)
		if total := (&epoch{c.Rate, c.Period, c.From, c.Rem}).total(c.To); total != c.Amount+c.Waived {
			return fmt.Errorf("rate × time gives %v", total)
		}
	} else if len(p.facts) > 0 {
		want = slices.Clone(p.facts[0].slices)
		p.naive.charges[c.No] = p.facts[0]
		p.facts = p.facts[1:]
	}
	var sum credit.Amount
	for _, s := range c.Slices {
		sum += s.Amount
	}
	if sum != c.Amount || waived != c.Waived || !slices.Equal(want, c.Slices) {
		return fmt.Errorf("model has slices %v, %v waived", want, waived)
	}
	return nil
}

// compare holds everything that shows against the model.
func (p *play) compare() error {
	v := p.w.View()
	want, got := p.balance(), v.Balance(p.naive.at)
	got.BurnRate, got.LandingAt, got.EmptyAt = 0, 0, 0
	if got != want {
		return fmt.Errorf("engine's balance is %+v, model's %+v", got, want)
	}
	for _, l := range p.lots {
		m := p.w.Lot(l.ID)
		if m == nil || m.Left != l.Left || m.Frozen != l.Frozen || m.Expired != l.Expired {
			return fmt.Errorf("engine's lot is %+v, model's left %v, frozen %t, expired %t", m, l.Left, l.Frozen, l.Expired)
		}
		if m.Remaining != p.book[l.ID] || m.Remaining != l.Left+p.unposted(l.ID) {
			return fmt.Errorf("lot %s: %v remaining, %v by the postings, %v by the model", l.ID, m.Remaining, p.book[l.ID], l.Left+p.unposted(l.ID))
		}
	}
	if err := p.compareFlows(v); err != nil {
		return err
	}
	for _, h := range p.holds {
		m := p.w.Hold(h.ID)
		if (m == nil) != (h.Status != wallet.Held) || m != nil && m.Amount-p.drawn(m) != h.Amount {
			return fmt.Errorf("engine's hold is %+v, model's %+v", m, h.Hold)
		}
	}
	return p.compareFuture(v)
}

// drawn is what a flow has used of its hold and has not been charged for.
func (p *play) drawn(h *wallet.Hold) credit.Amount {
	if f := p.w.Flow(h.Flow); f != nil {
		return p.w.View().Accrued(f, p.naive.at)
	}
	return 0
}

// unposted is what flows and holds have taken from a lot that postings have not.
func (p *play) unposted(lot string) (sum credit.Amount) {
	for _, h := range p.holds {
		for _, s := range h.Slices {
			if s.Lot == lot {
				sum += s.Amount
			}
		}
	}
	for _, x := range p.pieces {
		if x.lot == lot && x.flow != nil && !x.flow.Status.Ended() {
			sum += x.in(max(x.from, x.flow.posted[x.item]), x.to)
		}
	}
	return sum
}

func (p *play) compareFlows(v *wallet.View) error {
	for _, f := range p.flows {
		m := p.w.Flow(f.ID)
		var cost credit.Amount
		switch {
		case m != nil:
			cost = m.Charged + v.Accrued(m, p.naive.at)
		case p.ended[f.ID] != nil:
			m = p.ended[f.ID]
			cost = m.Charged
		default:
			return fmt.Errorf("the engine has lost flow %s", f.ID)
		}
		status := m.Status
		if status == wallet.Landing {
			status = wallet.Running
		}
		if status != f.Status || m.EndedAt != f.EndedAt || f.EndedAt != 0 && m.Reason != f.Reason || m.RetainedAt != f.RetainedAt {
			return fmt.Errorf("engine's flow is %s %s at %d (%s) retained %d, model's %s at %d (%s) retained %d",
				f.ID, m.Status, m.EndedAt, m.Reason, m.RetainedAt, f.Status, f.EndedAt, f.Reason, f.RetainedAt)
		}
		if cost != f.cost {
			return fmt.Errorf("flow %s costs %v in the engine, %v in the model", f.ID, cost, f.cost)
		}
	}
	return nil
}

// maxEvents is how many events of the future are compared.
const maxEvents = 60

// compareFuture runs the model ahead and compares the engine's projection.
func (p *play) compareFuture(v *wallet.View) error {
	c := p.copy()
	for range maxEvents {
		next := c.nextEvent()
		if len(c.running()) == 0 {
			break
		}
		c.advance(min(next, 1<<62-1))
		if next >= 1<<61 || c.released != 0 { // a projection does not look beyond a release
			break
		}
	}
	for _, f := range p.running() {
		m := p.w.Flow(f.ID)
		at, reason := v.StopAt(m)
		want := c.stops[f.ID]
		if c.released != 0 && (at == 0 || at >= c.released) && (want.at == 0 || want.at >= c.released) {
			continue
		}
		if want.at == 0 && (at == 0 || at > c.at) {
			continue
		}
		if at != want.at || reason != want.reason {
			return fmt.Errorf("engine will stop %s at %d (%s), model at %d (%s)", f.ID, at, reason, want.at, want.reason)
		}
		landing := want.at-p.graceOf(f) <= p.naive.at
		if (m.Status == wallet.Landing) != landing {
			return fmt.Errorf("flow %s is %s, will be stopped at %d, %d from now, grace %d", f.ID, m.Status, want.at, want.at-p.naive.at, p.graceOf(f))
		}
	}
	if at := v.Balance(p.naive.at).EmptyAt; at != c.emptyAt && (c.emptyAt != 0 || at < c.at) && (c.released == 0 || at < c.released) {
		return fmt.Errorf("engine will be empty at %d, model at %d", at, c.emptyAt)
	}
	return nil
}

// lookAt compares a read at a later instant, without going there.
func (p *play) lookAt(now, t int64) error {
	v := p.w.View()
	c := p.copy()
	c.advance(max(t, p.naive.at))
	if c.released != 0 {
		return nil
	}
	want, got := c.balance(), v.Balance(c.at)
	got.BurnRate, got.LandingAt, got.EmptyAt = 0, 0, 0
	if got != want {
		return fmt.Errorf("engine sees balance %+v, model %+v", got, want)
	}
	for _, l := range v.Lots(c.at) {
		if m := c.lot(l.ID); m != &c.lent && m != &c.owed && m.Left != l.Left {
			return fmt.Errorf("engine sees %v left in lot %s, model %v", l.Left, l.ID, m.Left)
		}
	}
	for _, f := range c.flows {
		m := p.w.Flow(f.ID)
		if cost := m.Charged + v.Accrued(m, c.at); cost != f.cost {
			return fmt.Errorf("engine sees cost %v of flow %s, model %v", cost, f.ID, f.cost)
		}
	}
	return nil
}

// reload makes the engine anew from its rows.
func (p *play) reload() (err error) {
	p.w, err = wallet.Load(p.w.State())
	return err
}

// finish stops everything and checks the sums.
func (p *play) finish() error {
	for _, f := range p.running() {
		if err := p.step(step{at: p.naive.at, do: wallet.Stop{Flow: f.ID, Reason: "end"}}); err != nil {
			return err
		}
	}
	if err := p.checkSlices(); err != nil {
		return err
	}
	return p.checkCharges()
}

// checkSlices checks that every slice of every charge is a posting, and that the
// totals are the charges without what was given back.
func (p *play) checkSlices() error {
	type slice struct {
		charge int64
		lot    string
	}
	posted := map[slice]credit.Amount{}
	for _, x := range p.postings {
		if x.Charge != 0 {
			posted[slice{x.Charge, x.Lot}] += x.Amount
		}
	}
	var sum credit.Amount
	for i, c := range p.charges {
		if c.No != int64(i)+1 {
			return fmt.Errorf("charge %d leaves a gap", c.No)
		}
		for _, s := range c.Slices {
			if k := (slice{c.No, s.Lot}); posted[k] != s.Amount {
				return fmt.Errorf("charge %d took %v from %s, its posting says %v", c.No, s.Amount, s.Lot, posted[k])
			}
			delete(posted, slice{c.No, s.Lot})
		}
		sum += c.Amount - c.Refunded
	}
	if len(posted) > 0 || sum != p.totals {
		return fmt.Errorf("postings without a slice: %v; totals %v, charges %v", posted, p.totals, sum)
	}
	return nil
}

// checkCharges checks that the charges of every item of every flow follow one
// another from its start to its end.
func (p *play) checkCharges() error {
	type item struct {
		flow string
		item int
	}
	reached := map[item]int64{}
	cost := map[string]credit.Amount{}
	for _, c := range p.charges {
		if c.Flow == "" {
			continue
		}
		cost[c.Flow] += c.Amount - c.Refunded
		k := item{c.Flow, c.Item}
		if f := p.ended[c.Flow]; f != nil && c.From >= f.EndedAt {
			continue // given back, or an overrun
		}
		if reached[k] > c.From {
			return fmt.Errorf("charge %d overlaps with the one before it", c.No)
		}
		reached[k] = c.To
	}
	for _, f := range p.flows {
		if cost[f.ID] != f.cost {
			return fmt.Errorf("charges of flow %s add up to %v, not %v", f.ID, cost[f.ID], f.cost)
		}
	}
	return nil
}

func stack() string {
	lines := strings.Split(string(debug.Stack()), "\n")
	return strings.Join(lines[min(8, len(lines)):min(30, len(lines))], "\n")
}
