package wallet_test

import (
	"fmt"
	"maps"
	"math/big"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// compare holds everything that shows against the model.
func (p *play) compare() error {
	v := p.w.View()
	want, got := p.balance(), v.Balance(p.naive.at)
	got.LandingAt, got.EmptyAt = 0, 0
	if got != want {
		return fmt.Errorf("engine's balance is %+v, model's %+v", got, want)
	}
	for _, l := range p.lots {
		m := p.w.Lot(l.ID)
		if m == nil || m.Left != l.Left || m.Frozen != l.Frozen || m.Expired != l.Expired && m.Remaining > 0 {
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
	c.watch()
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
	if err := p.compareLanding(v, c); err != nil {
		return err
	}
	return c.compareUses(v.Projection().Lots)
}

// compareLanding compares when the first flow lands for want of credits, if the
// model has seen the end of all that run.
func (p *play) compareLanding(v *wallet.View, c *naive) error {
	if c.released != 0 || c.emptyAt <= p.naive.at {
		return nil
	}
	want := int64(0)
	for _, f := range p.running() {
		s := c.stops[f.ID]
		if s.at == 0 {
			return nil
		}
		if lands := s.at - p.graceOf(f); s.reason == wallet.ReasonCredits && (want == 0 || lands < want) {
			want = lands
		}
	}
	if got := v.Balance(p.naive.at).LandingAt; got != want {
		return fmt.Errorf("engine will land at %d, model at %d", got, want)
	}
	return nil
}

// compareUses compares in which order the lots will be used, as far as the model
// has looked.
func (n *naive) compareUses(got []wallet.LotUse) error {
	until := n.at
	if n.released != 0 {
		until = n.released
	}
	known := func(all []wallet.LotUse) map[wallet.LotUse]bool {
		set := map[wallet.LotUse]bool{}
		for _, u := range all {
			if u.From >= until {
				continue
			}
			if u.UsedUp >= until {
				u.UsedUp = 0
			}
			if u.Expires >= until {
				u.Expires = 0
			}
			set[u] = true
		}
		return set
	}
	if want := known(n.uses); !maps.Equal(known(got), want) {
		return fmt.Errorf("engine will use the lots %+v, model %+v up to %d", got, n.uses, until)
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
	got.LandingAt, got.EmptyAt = 0, 0
	if got != want {
		return fmt.Errorf("engine sees balance %+v, model %+v", got, want)
	}
	if err := p.compareTicking(v, c); err != nil {
		return err
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

// finish stops everything and checks the sums.
func (p *play) finish() error {
	for _, f := range p.running() {
		if err := p.step(step{at: p.naive.at, do: wallet.Stop{Flow: f.ID, Reason: "end"}}); err != nil {
			return err
		}
	}
	if err := p.rows.check(p.w.State()); err != nil {
		return err
	}
	if err := p.checkSlices(); err != nil {
		return err
	}
	if err := p.checkQuantities(); err != nil {
		return err
	}
	return p.checkCharges()
}

// checkQuantities checks that the totals count all that was used, and nothing
// that was not.
func (p *play) checkQuantities() error {
	want := map[wallet.Total]int64{}
	for _, c := range p.charges {
		key := wallet.Total{Hour: c.From - c.From%hour, Project: c.Project, User: c.User, Job: c.Job,
			SKU: c.SKU, Tier: c.Tier, Region: c.Region, Unit: c.Unit}
		if c.Flow != "" {
			want[key] += p.naive.charges[c.No].counted(c.Quantity)
		} else if seconds := map[string]int64{"hour": 3600, "gib_hour": 3600, "gib_month": 720 * 3600}[c.Unit]; seconds > 0 {
			want[key] += int64(c.Quantity) * seconds
		} else {
			want[key] += int64(c.Quantity)
		}
	}
	for key, n := range p.counted {
		if n != want[key] {
			return fmt.Errorf("totals have %d of %+v, model %d", n, key, want[key])
		}
	}
	return nil
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
	var sum, lost credit.Amount
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
		lost += c.Amount - c.Refunded - c.Paid()
	}
	if len(posted) > 0 || sum != p.totals || lost != p.overrun {
		return fmt.Errorf("postings without a slice: %v; totals %v, of them lost %v, charges %v and %v", posted, p.totals, p.overrun, sum, lost)
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
		to := c.To
		if lost := p.flow(c.Flow).lateFrom; lost != 0 && !p.naive.charges[c.No].late {
			if c.From >= lost {
				continue // given back when it was lost
			}
			to = min(to, lost)
		}
		if reached[k] > c.From {
			return fmt.Errorf("charge %d overlaps with the one before it", c.No)
		}
		reached[k] = to
	}
	for _, f := range p.flows {
		if cost[f.ID] != f.cost {
			return fmt.Errorf("charges of flow %s add up to %v, not %v", f.ID, cost[f.ID], f.cost)
		}
	}
	return nil
}

// compareTicking lets the classes of now tick until the instant of c, if nothing
// happens until then, as a client does that reads the balance once.
func (p *play) compareTicking(v *wallet.View, c *naive) error {
	if p.copy().nextEvent() <= c.at || len(c.stops) > 0 || c.emptyAt != 0 {
		return nil
	}
	var ticked, cost credit.Amount
	for _, x := range v.Classes(p.naive.at) {
		if x.Since != p.naive.at || x.Count != 1 {
			return fmt.Errorf("class %+v is not one item from now on", x)
		}
		n := new(big.Int).Mul(big.NewInt(int64(x.Rate)), big.NewInt(c.at-x.Since))
		n.Add(n, x.Remainder.Big()).Quo(n, x.Divisor.Big())
		ticked += credit.Amount(n.Int64())
	}
	for _, f := range c.flows {
		cost += f.cost - p.flow(f.ID).cost
	}
	if ticked != cost {
		return fmt.Errorf("classes tick %v, flows %v", ticked, cost)
	}
	return nil
}
