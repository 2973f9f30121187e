package wallet_test

import (
	"cmp"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// refused is the kind and code of a refusal; the zero value is none.
type refused struct {
	kind fault.Kind
	code string
}

var (
	accepted     refused
	insufficient = refused{fault.Insufficient, "insufficient_credits"}
	overBudget   = refused{fault.Insufficient, "budget_exceeded"}
	invalid      = refused{fault.Invalid, ""}
	conflict     = refused{fault.Conflict, ""}
	notFound     = refused{fault.NotFound, ""}
)

// apply lets time pass and does the command.
func (n *naive) apply(at int64, c wallet.Command) refused {
	n.advance(at)
	r := n.do(c)
	if r == accepted {
		n.stopUncovered(n.at)
		n.retain()
	}
	return r
}

func (n *naive) do(c wallet.Command) refused {
	switch c := c.(type) {
	case wallet.Grant:
		return n.grant(c.Lot)
	case wallet.Withdraw:
		return n.withdraw(c)
	case wallet.Recover:
		return n.recover(c)
	case wallet.Start:
		return n.start(c)
	case wallet.Change:
		return n.change(c)
	case wallet.Limit:
		return n.limit(c)
	case wallet.Stop:
		return n.stop(c)
	case wallet.Reserve:
		return n.reserve(c)
	case wallet.Capture:
		return n.capture(c)
	case wallet.Release:
		return n.releaseHold(c)
	case wallet.Use:
		return n.use(c.Lines)
	case wallet.Refund:
		return n.refund(c)
	case wallet.Freeze:
		return n.freeze(c.Lot, true)
	case wallet.Unfreeze:
		return n.freeze(c.Lot, false)
	case wallet.SetPolicy:
		if c.Policy.Grace > day {
			return invalid
		}
		n.policy = c.Policy
	case wallet.SetBudgets:
		n.budgets = nil
		for _, b := range c.Budgets {
			n.budgets = append(n.budgets, &naiveBudget{b})
		}
	case wallet.Reprice:
		n.reprice(c)
	case wallet.TransferOut:
		return n.transferOut(c)
	case wallet.TransferIn:
		return n.transferIn(c)
	case wallet.Overrun:
		return n.overrun(c)
	case wallet.Late:
		return n.late(c)
	case wallet.Early:
		return n.early(c)
	}
	return accepted
}

func (n *naive) grant(l wallet.Lot) refused {
	if r := n.mayAdd(&l); r != accepted {
		return r
	}
	n.add(l)
	return accepted
}

func (n *naive) mayAdd(l *wallet.Lot) refused {
	if n.lot(l.ID) != nil {
		return conflict
	}
	if l.Amount <= 0 || l.ExpiresAt != 0 && l.ExpiresAt <= max(n.at, l.EffectiveAt) {
		return invalid
	}
	return accepted
}

func (n *naive) add(l wallet.Lot) {
	l.CreatedAt, l.Left, l.EffectiveAt, l.Frozen = n.at, l.Amount, max(l.EffectiveAt, n.at), false
	m := &naiveLot{Lot: l}
	n.lots = append(n.lots, m)
	if l.EffectiveAt == n.at {
		n.effective(m)
	}
}

// transferOut takes credits out; what is bound to a project, pinned, frozen or
// leased stays.
func (n *naive) transferOut(c wallet.TransferOut) refused {
	var from []payer
	free := -n.leased()
	for _, l := range n.order() {
		if l.Live && !l.Frozen && len(l.Scope.Projects) == 0 {
			from = append(from, payer{lot: l})
			free += l.Left
		}
	}
	if c.Amount <= 0 {
		return invalid
	}
	if free < c.Amount {
		return insufficient
	}
	n.slice(from, c.Amount)
	return accepted
}

// withdraw takes unused credits out of a lot.
func (n *naive) withdraw(c wallet.Withdraw) refused {
	l := n.lot(c.Lot)
	switch {
	case c.Amount < 0 || c.Loss < 0 || c.Amount == 0 && c.Loss == 0:
		return invalid
	case l == nil || l == &n.lent || l == &n.owed:
		return notFound
	case c.Amount > l.Left && !c.Forced, c.Amount > l.Left+n.heldOf(l.ID):
		return conflict
	}
	if c.Forced {
		free := min(c.Amount, l.Left)
		l.Left -= free
		n.takeHeld(l.ID, c.Amount-free)
		return accepted
	}
	free := -n.leased()
	for _, other := range n.order() {
		if other.Live && !other.Frozen {
			free += other.Left
		}
	}
	if c.Amount > 0 && l.Live && !l.Frozen && free < c.Amount {
		return insufficient
	}
	l.Left -= c.Amount
	return accepted
}

// heldOf is what holds have set aside of a lot.
func (n *naive) heldOf(lot string) (sum credit.Amount) {
	for _, h := range n.holds {
		for _, s := range h.Slices {
			if s.Lot == lot {
				sum += s.Amount
			}
		}
	}
	return sum
}

// takeHeld takes credits of a lot out of holds, by their ids.
func (n *naive) takeHeld(lot string, amount credit.Amount) {
	for _, h := range slices.SortedFunc(slices.Values(n.holds), func(a, b *naiveHold) int { return cmp.Compare(a.ID, b.ID) }) {
		for i, s := range h.Slices {
			if x := min(s.Amount, amount); s.Lot == lot {
				h.Slices[i].Amount -= x
				h.Amount -= x
				amount -= x
			}
		}
	}
}

// recover changes no lot.
func (n *naive) recover(c wallet.Recover) refused {
	l := n.lot(c.Lot)
	switch {
	case c.Loss <= 0 || c.Tax < 0:
		return invalid
	case l == nil || l == &n.lent || l == &n.owed:
		return notFound
	}
	return accepted
}

func (n *naive) transferIn(c wallet.TransferIn) refused {
	for i, l := range c.Lots {
		if r := n.mayAdd(&l); r != accepted {
			return r
		}
		if i > 0 && c.Lots[i-1].ID == l.ID {
			return conflict
		}
	}
	for _, l := range c.Lots {
		n.add(l)
	}
	return accepted
}

// freeze takes a lot out of use, pinned slices too, or puts it back.
func (n *naive) freeze(id string, frozen bool) refused {
	l := n.lot(id)
	if l == nil || l == &n.lent || l == &n.owed {
		return notFound
	}
	l.Frozen = frozen
	for _, h := range n.holds {
		for i, s := range h.Slices {
			if frozen && s.Lot == id {
				h.Amount -= s.Amount
				h.Slices[i].Amount = 0
				n.giveBack(id, s.Amount, false)
			}
		}
	}
	return accepted
}

// balance is the balance as docs/concepts.md has it.
func (n *naive) balance() (b wallet.Balance) {
	b.At, b.Overdraft, b.Owed, b.Leased = n.at, n.policy.Overdraft, n.owed.Used, n.leased()
	for _, f := range n.running() {
		b.BurnRate += burn(hour, f.items...)
	}
	for _, h := range n.holds {
		b.Held += h.Amount
	}
	b.Balance = b.Held - n.pinnedOverdraft() - n.lent.Used
	for _, l := range n.lots {
		if l.Live {
			b.Balance += l.Left
			if l.Frozen {
				b.Frozen += l.Left
			}
		}
	}
	b.Available = b.Balance - b.Held - b.Frozen + b.Overdraft
	return b
}

func (n *naive) pinnedOverdraft() (sum credit.Amount) {
	for _, h := range n.holds {
		for _, s := range h.Slices {
			if s.Lot == wallet.OverdraftLot {
				sum += s.Amount
			}
		}
	}
	return sum
}
