package wallet_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// step is one line of a random history: a command, or something that must not
// change anything (a look at another instant, a reload from rows).
type step struct {
	at   int64
	do   wallet.Command // nil for look and reload
	pick int            // which charge a refund gives back
	look int64          // the instant to look at
}

func (s step) String() string {
	what := fmt.Sprintf("%T%+v", s.do, s.do)
	switch {
	case s.look != 0:
		what = fmt.Sprintf("look at %d", s.look)
	case s.do == nil:
		what = "reload"
	}
	if _, ok := s.do.(wallet.Refund); ok {
		what += fmt.Sprintf(" of charge %d", s.pick)
	}
	what = strings.ReplaceAll(strings.ReplaceAll(what, "wallet.", ""), ":[]", ":")
	return fmt.Sprintf("%d %s", s.at, what)
}

// writer invents histories as it goes, looking at the naive model so that the
// interesting instants and amounts turn up often.
type writer struct {
	*rand.Rand
	n     *naive
	scale int64 // the time in which things happen
	gate  bool
	ids   []string
	used  []string // ids, of which some are used again
	extra int
	held  []string
	flows []string
	rich  bool
	plain bool // without ticks, closes, looks and reloads
}

// starts are instants near which hours, days, weeks and months begin.
var starts = []int64{
	1772323200 * second,             // 2026-03-01, a Sunday
	1772323200*second - 5,           // a moment before
	1772323200*second + 1234567891,  // after
	1772409600*second - 90*minute,   // before a Monday
	1772323200*second + 37*day + 77, // anywhere
}

func newWriter(seed uint64) *writer {
	return writeWith(rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)))
}

func writeWith(r *rand.Rand) *writer {
	w := &writer{Rand: r, gate: r.IntN(4) == 0, plain: r.IntN(3) == 0, rich: r.IntN(12) == 0}
	w.scale = []int64{7, 50, 1000, second, minute, hour, day, 20 * day}[r.IntN(8)]
	p := wallet.DefaultPolicy()
	p.MinRunway, p.Grace = 0, w.span()
	if r.IntN(3) == 0 {
		p.Grace = 120 * second
	}
	if w.gate {
		p.MinRunway, p.BlockBelow = w.span(), w.amount()*credit.Amount(r.IntN(2))
	}
	if r.IntN(3) == 0 {
		p.Overdraft = w.amount()
	}
	p.RetentionDays = 1 + r.IntN(3)
	w.n = newNaive(starts[r.IntN(len(starts))], p)
	for c := 'a'; c <= 'z'; c++ {
		w.ids = append(w.ids, string(c))
	}
	r.Shuffle(len(w.ids), func(i, j int) { w.ids[i], w.ids[j] = w.ids[j], w.ids[i] })
	return w
}

func (w *writer) chance(percent int) bool { return w.IntN(100) < percent }

func pickOf[T any](w *writer, all []T) (t T) {
	if len(all) > 0 {
		t = all[w.IntN(len(all))]
	}
	return t
}

// span is a stretch of time.
func (w *writer) span() int64 {
	switch w.IntN(5) {
	case 0:
		return w.scale
	case 1:
		return 1 + w.Int64N(3)
	case 2:
		return 1 + w.Int64N(w.scale)*w.Int64N(4)
	}
	return 1 + w.Int64N(w.scale)
}

// instant is a time after now, often one at which something happens.
func (w *writer) instant() int64 {
	if w.chance(35) {
		var all []int64
		c := w.n.copy()
		for range 3 {
			if next := c.nextEvent(); next < 1<<62 {
				all = append(all, next)
				c.advance(next)
			}
		}
		for _, s := range c.stops {
			all = append(all, s.at)
		}
		all = append(all, w.n.at-w.n.at%hour+hour)
		if t := pickOf(w, all) + w.Int64N(3) - 1; t > w.n.at && t < w.n.at+40*day {
			return t
		}
	}
	return w.n.at + w.span()
}

// amount is a number of nano-credits that the present flows could use up in a
// reasonable time, give or take a little; some wallets hold as much as a wallet
// can.
func (w *writer) amount() credit.Amount {
	if w.rich && w.chance(70) {
		return credit.Amount(w.Int64N(int64(credit.Max / 4 / 40)))
	}
	if w.chance(20) {
		return credit.Amount(1 + w.IntN(5))
	}
	if w.n != nil && w.chance(60) {
		if all := w.n.running(); len(all) > 0 {
			return max(1, w.burnOf(all)+credit.Amount(w.IntN(3)-1))
		}
	}
	return credit.Amount(1 + w.Int64N(2*w.scale+5))
}

// burnOf is what the flows cost in some time.
func (w *writer) burnOf(flows []*naiveFlow) (sum credit.Amount) {
	dt := w.span()
	for _, f := range flows {
		sum = plus(sum, burn(dt, f.items...))
	}
	return min(sum, 1<<60)
}

// name is an id, now and then one that was used before: commands may come twice.
func (w *writer) name() string {
	if len(w.used) > 0 && w.chance(5) {
		return pickOf(w, w.used)
	}
	id := fmt.Sprintf("z%d", w.extra)
	if len(w.ids) > 0 {
		id, w.ids = w.ids[0], w.ids[1:]
	} else {
		w.extra++
	}
	w.used = append(w.used, id)
	return id
}

// next is the next step of the history, of which k have been written.
func (w *writer) next(k, charges int) step {
	s := step{at: w.n.at}
	if k > 1 && w.chance(80) {
		s.at = w.instant()
	}
	at := w.n.at
	w.n.at = s.at // commands speak about the instant at which they come
	defer func() { w.n.at = at }()
	switch {
	case k == 0 || k < 6 && w.chance(50):
		s.do = wallet.Grant{Lot: w.lot()}
	case k < 10 && w.chance(50):
		s.do = w.start()
	default:
		w.any(&s, charges)
	}
	return s
}

func (w *writer) any(s *step, charges int) {
	x := w.IntN(123)
	if w.plain {
		x = w.IntN(103)
	}
	switch x -= 13; {
	case x < -9:
		s.do = w.early()
	case x < -6:
		s.do = w.late()
	case x < -4:
		s.do = wallet.TransferOut{Amount: w.amount(), ID: "t"}
	case x < -2:
		s.do = wallet.TransferIn{Lots: []wallet.Lot{w.lot(), w.lot()}, ID: "u"}
	case x < 0 && len(w.flows) > 0:
		s.do = wallet.Overrun{Flow: wallet.Flow{ID: pickOf(w, w.flows)}, Until: w.span()}
	case x < 14:
		s.do = wallet.Grant{Lot: w.lot()}
	case x < 32:
		s.do = w.start()
	case x < 40:
		s.do = w.stop()
	case x < 46:
		s.do = wallet.Change{Flow: w.someFlow(), Items: w.items()}
	case x < 50:
		s.do = w.limit()
	case x < 56:
		s.do = w.reserve()
	case x < 61:
		s.do = w.capture()
	case x < 63:
		s.do = wallet.Release{Hold: pickOf(w, w.held)}
	case x < 68:
		s.do = wallet.Use{Lines: w.lines()}
	case x < 74 && charges > 0:
		s.do, s.pick = w.refund(), w.IntN(charges)
	case x < 77:
		s.do = wallet.Freeze{Lot: w.someLot()}
	case x < 79:
		s.do = wallet.Unfreeze{Lot: w.someLot()}
	case x < 80:
		s.do = wallet.Withdraw{Lot: w.someLot(), Amount: w.amount(), Loss: credit.Amount(w.IntN(2)), Forced: w.IntN(2) == 0}
		if w.IntN(8) == 0 {
			s.do = wallet.Recover{Lot: w.someLot(), Loss: credit.Amount(w.IntN(3)), Tax: credit.Amount(w.IntN(2))}
		}
	case x < 81:
		s.do = w.policy()
	case x < 85:
		s.do = w.budgets()
	case x < 90:
		s.do = w.reprice()
	case x < 95:
		s.do = wallet.Tick{}
	case x < 100:
		s.do = wallet.Close{Hour: s.at - s.at%hour, Limit: 1 + w.IntN(5)}
	case x < 106:
		s.look = s.at + w.span()*w.Int64N(4)
	}
}
