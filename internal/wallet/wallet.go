// Package wallet is the engine: pure code that turns the state of a wallet, a
// command and an instant into the next state and the facts this makes. It does
// no I/O, reads no clock and starts no goroutine.
//
// What it keeps true: a lot never pays more than it holds; nothing is spent
// beyond the lots and the overdraft; what every item of every flow is charged
// is the whole nano-credits of its exact accrual, however often and whenever it
// is settled; and the same commands at the same instants make the same wallet.
//
// How it is cheap: flows that burn alike share a [class], whose exact total at
// any instant costs a few divisions and a binary search. Lots are followed by
// class totals (see [course]); what a single flow took from which lot is worked
// out from the timeline of marks only when that flow is charged (see settle).
package wallet

import (
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
)

// Wallet is the state of one wallet. It is not safe for concurrent use; readers
// use a [View].
type Wallet struct {
	root     Root
	lots     []*Lot // in burn-down order, the overdraft and the owed lot last
	spent    []Lot  // those put aside, in the same order; never changed in place
	lotByID  map[string]*lotBook
	flows    map[string]*Flow
	holds    map[string]*Hold
	pins     pins // of the holds that do not pay for a flow
	budgets  []*Budget
	classes  []*class         // by key
	landing  int              // how many flows are landing
	retained map[string]*Flow // storage that nothing covers

	routes map[attributes][]int32 // eligible lots, until the lots change
	course *course                // what the classes do from root.At on; nil when stale

	foreseen *future // made before root.At, and since then nothing happened that it did not foresee; or nil

	pruneDue bool // the timeline has grown

	shut error // why the gate refuses whatever asks it; nil if it decides

	fx    *Effects
	dirty dirt
}

// lotBook is a lot with its lines of the timeline.
type lotBook struct {
	*Lot
	index int
	marks []Mark
}

// New makes an empty wallet.
func New(id string, at int64, policy Policy) *Wallet {
	w, err := Load(State{Root: Root{ID: id, At: at, Policy: policy, NextNo: Numbers{1, 1, 1, 1}}})
	if err != nil {
		panic("an empty wallet is always consistent: " + err.Error())
	}
	return w
}

// Load makes a wallet from its rows.
func Load(s State) (*Wallet, error) {
	w := &Wallet{
		root: s.Root, lotByID: map[string]*lotBook{}, flows: map[string]*Flow{}, retained: map[string]*Flow{},
		holds: map[string]*Hold{}, budgets: s.Budgets, dirty: newDirt(),
	}
	for _, l := range s.Lots {
		w.insertLot(l)
	}
	w.ensureOwnLots()
	for _, m := range s.Marks {
		if book := w.lotByID[m.Lot]; book != nil {
			book.marks = append(book.marks, m)
		}
	}
	for _, h := range s.Holds {
		w.putHold(h)
	}
	for _, f := range s.Flows {
		w.flows[f.ID] = f
		if f.Status == Landing {
			w.landing++
		}
		if f.RetainedAt != 0 {
			w.retained[f.ID] = f
		}
	}
	w.retire()
	w.classify()
	return w, w.check()
}

// ensureOwnLots gives a new wallet its overdraft and its owed lot.
func (w *Wallet) ensureOwnLots() {
	if w.lotByID[OverdraftLot] == nil {
		o := w.root.Policy.Overdraft
		w.addLot(&Lot{ID: OverdraftLot, Kind: overdraft, Amount: o, Remaining: o, Left: o, CreatedAt: w.root.At})
	}
	if w.lotByID[OwedLot] == nil {
		w.addLot(&Lot{ID: OwedLot, Kind: owed, Amount: credit.Max, Remaining: credit.Max, Left: credit.Max, CreatedAt: w.root.At})
	}
}

// Root returns the wallet's own row.
func (w *Wallet) Root() Root { return w.root }

// Lot returns a lot, or nil. The caller must not change it.
func (w *Wallet) Lot(id string) *Lot {
	if book := w.lotByID[id]; book != nil {
		return book.Lot
	}
	return nil
}

// Flow returns a flow that has not ended, or nil. The caller must not change it.
func (w *Wallet) Flow(id string) *Flow { return w.flows[id] }

// Hold returns a hold that is still held, or nil. The caller must not change it.
func (w *Wallet) Hold(id string) *Hold { return w.holds[id] }

// Flows returns the flows that have not ended, by start and id.
func (w *Wallet) Flows() []*Flow {
	all := make([]*Flow, 0, len(w.flows))
	for _, f := range w.flows {
		all = append(all, f)
	}
	slices.SortFunc(all, compareFlows)
	return all
}

func compareFlows(a, b *Flow) int {
	if a.StartedAt != b.StartedAt {
		return int(max(-1, min(1, a.StartedAt-b.StartedAt)))
	}
	return strings.Compare(a.ID, b.ID)
}

// State returns copies of all rows, each kind ordered.
func (w *Wallet) State() State {
	s := State{Root: w.root}
	s.Root.Fired = slices.Clone(w.root.Fired)
	for _, l := range w.lots {
		c := *l
		s.Lots = append(s.Lots, &c)
		s.Marks = append(s.Marks, w.lotByID[l.ID].marks...)
	}
	for _, l := range w.spent {
		s.Lots = append(s.Lots, &l)
	}
	slices.SortFunc(s.Lots, compareLots)
	slices.SortFunc(s.Marks, func(a, b Mark) int { return int(a.No - b.No) })
	for _, f := range w.Flows() {
		c := *f
		c.Items = slices.Clone(f.Items)
		s.Flows = append(s.Flows, &c)
	}
	for _, id := range sortedKeys(w.holds) {
		c := *w.holds[id]
		c.Slices = slices.Clone(c.Slices)
		s.Holds = append(s.Holds, &c)
	}
	for _, b := range w.budgets {
		c := *b
		s.Budgets = append(s.Budgets, &c)
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Apply lets everything that is due by at happen, each at its own instant, and
// then carries out the command. at must not lie before the wallet's instant.
//
// A refusal is a *fault.Fault, and then the command changed nothing; effects of
// the time that passed may still be returned with it.
func (w *Wallet) Apply(at int64, c Command) (Effects, error) {
	w.fx = &Effects{}
	w.advance(max(at, w.root.At))
	if _, isTime := c.(Tick); !isTime {
		w.foreseen = nil
	}
	err := w.do(c)
	if err == nil {
		w.afterChange()
	}
	fx := *w.fx
	w.fx = nil
	return fx, err
}

// do carries the command out at the wallet's instant.
func (w *Wallet) do(c Command) error {
	switch c := c.(type) {
	case Grant:
		return w.grant(c)
	case Withdraw:
		return w.withdraw(c)
	case Recover:
		return w.recover(c)
	case Bill:
		return w.bill(c)
	case Settle:
		return w.settleInvoice(c)
	case Start:
		return w.start(c)
	case Change:
		return w.change(c)
	case Limit:
		return w.limit(c)
	case Stop:
		return w.stop(c)
	case Overrun:
		return w.overrun(c)
	case Late:
		return w.late(c)
	case Early:
		return w.early(c)
	case Reserve:
		return w.reserve(c)
	case Capture:
		return w.capture(c)
	case Release:
		return w.release(c)
	case Use:
		return w.use(c)
	case Refund:
		return w.refund(c)
	case Freeze:
		return w.freeze(c)
	case Unfreeze:
		return w.unfreeze(c)
	case SetPolicy:
		return w.setPolicy(c)
	case SetBudgets:
		return w.setBudgets(c)
	case Reprice:
		return w.reprice(c)
	case TransferOut:
		return w.transferOut(c)
	case TransferIn:
		return w.transferIn(c)
	case Close:
		return w.closeHour(c)
	case Adopt:
		return w.adopt(c)
	case Tick:
		return nil
	}
	panic("unknown command")
}

// afterChange draws the consequences of a change at the wallet's instant: the
// timeline, work that nothing covers any more, landings and alerts.
func (w *Wallet) afterChange() {
	w.course = nil
	w.mark(nil)
	w.endUncovered()
	w.mark(nil) // what was held for them can be used again
	w.retain()
	w.signal()
	w.pruneMarks()
}
