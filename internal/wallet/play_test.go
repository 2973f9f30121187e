package wallet_test

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// play is a history being played to both, with all that the engine wrote.
type play struct {
	*naive
	w        *wallet.Wallet
	charges  []wallet.Charge
	postings []wallet.Posting
	totals   credit.Amount          // of the hourly totals
	overrun  credit.Amount          // of them, what nobody pays
	counted  map[wallet.Total]int64 // of them, the quantities
	rows     *rows
	ended    map[string]*wallet.Flow
	lost     map[string]bool // overruns that were reported
	last     refused
	moved    []wallet.Lot             // by the last command
	book     map[string]credit.Amount // what the postings left in each lot
	happened map[string]int           // events by kind and subject
}

func newPlay(policy wallet.Policy, at int64) *play {
	w, rows := wallet.New("ws_test", at, policy), newRows()
	rows.write(w.Changes())
	return &play{naive: newNaive(at, policy), w: w, rows: rows,
		ended: map[string]*wallet.Flow{}, lost: map[string]bool{}, book: map[string]credit.Amount{},
		happened: map[string]int{}, counted: map[wallet.Total]int64{}}
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
		if c.At != 0 {
			c.Charges = p.chargesAfter(c.Flow, c.At)
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
	case wallet.Late:
		m := p.row(c.Flow.ID)
		if m == nil || p.lost[m.ID] {
			return nil, false // an overrun of it was reported: it is charged
		}
		steps := c.Flow.Items
		c.Flow = *m
		c.Flow.Items = slices.Clone(m.Items)
		for _, it := range steps {
			for i := range c.Flow.Items {
				if x := &c.Flow.Items[i]; x.SKU == it.SKU && x.Tier == it.Tier && x.Region == it.Region {
					x.Next = it.Next
				}
			}
		}
		return c, true
	case wallet.Early:
		f := p.row(c.Flow.ID)
		if f == nil {
			return nil, false
		}
		c.Flow, c.Charges = *f, p.chargesAfter(f.ID, c.Until)
		return c, true
	case wallet.Start:
		f := p.flow(c.ID)
		return c, f == nil || !f.Status.Ended() // the ledger's ids of ended flows are not used again
	case wallet.Reserve:
		h := p.hold(c.ID)
		return c, h == nil || h.Status == wallet.Held
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
			c.Budgets[i].Past = p.past(b)
		}
		return c, true
	}
	return s.do, true
}

// row is a flow as its row has it, or nil.
func (p *play) row(flow string) *wallet.Flow {
	if f := p.ended[flow]; f != nil {
		return f
	}
	return p.w.Flow(flow)
}

// chargesAfter are the charges of a flow for time after an instant, newest first.
func (p *play) chargesAfter(flow string, at int64) (all []wallet.Charge) {
	for _, c := range slices.Backward(p.charges) {
		if c.Flow == flow && c.To > at {
			all = append(all, c)
		}
	}
	return all
}

// past is what a rolling budget has seen in each hour of its window, and what any
// has seen ahead of its next one.
func (p *play) past(b *naiveBudget) map[int64]credit.Amount {
	past := map[int64]credit.Amount{}
	if b.Window == wallet.Rolling {
		for h := windowStart(b, p.naive.at); h <= p.naive.at; h += hour {
			past[h] = p.spentIn(b, h, h+hour)
		}
	}
	if next := windowEnd(b, p.naive.at); next != 0 {
		past[next] = p.spentIn(b, next, 1<<62)
	}
	return past
}

// read keeps the books and compares every charge with the model's.
func (p *play) read(fx wallet.Effects) error {
	for _, x := range fx.Totals {
		p.totals += x.Amount
		p.overrun += x.Overrun
		key := x
		key.Quantity, key.Amount, key.Overrun = 0, 0, 0
		p.counted[key] += x.Quantity
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
	unlost := map[string]credit.Amount{} // what was given back of overruns
	for _, r := range fx.Refunds {
		c := &p.charges[r.Charge-1]
		if f := p.ended[c.Flow]; f != nil { // the engine has forgotten it: its row is the ledger's
			f.Charged -= r.Refunded - c.Refunded
			lost := c.Amount - paidBy(c.Slices)
			unlost[f.ID] += min(lost, r.Refunded) - min(lost, c.Refunded)
		}
		c.Refunded = r.Refunded
	}
	for _, e := range fx.Events {
		p.happened[e.Kind+" "+e.Subject]++
	}
	changes := p.w.Changes()
	p.rows.write(changes)
	for _, f := range changes.Flows {
		if f.Status.Ended() {
			c := *f
			c.Charged -= unlost[f.ID] // which the engine's row does not count
			p.ended[f.ID] = &c
		}
	}
	for _, c := range fx.Charges {
		if x := p.naive.charges[c.No]; x.late {
			p.ended[c.Flow].Charged += c.Amount - paidBy(c.Slices) // as for an overrun
		}
	}
	return nil
}

// paidBy is what was taken from lots.
func paidBy(list []wallet.Slice) (sum credit.Amount) {
	for _, s := range list {
		if s.Lot != wallet.OverrunLot {
			sum += s.Amount
		}
	}
	return sum
}

// direction says whether postings of the kind fill a lot or take from it.
func direction(k wallet.PostingKind) credit.Amount {
	switch k {
	case wallet.PostGrant, wallet.PostRefund, wallet.PostReceive:
		return 1
	case wallet.PostCharge, wallet.PostRepay, wallet.PostRepayOwed, wallet.PostExpire, wallet.PostSend, wallet.PostWithdraw:
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

// reload makes the engine anew from its rows, which must be all that it is.
func (p *play) reload() (err error) {
	s := p.w.State()
	if err := p.rows.check(s); err != nil {
		return err
	}
	if p.w, err = wallet.Load(s); err == nil {
		p.rows.write(p.w.Changes())
	}
	return err
}

func stack() string {
	lines := strings.Split(string(debug.Stack()), "\n")
	return strings.Join(lines[min(8, len(lines)):min(30, len(lines))], "\n")
}
