package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// What a unit of work reads by name it reads as it has left it: first from the
// wallet in memory, then from what the batch has still to write, then from the
// rows.

// Flow reads a flow as the unit of work has left it, or NotFound.
func (l *Ledger) Flow(tx *db.Tx, id ID, flow string) (wallet.Flow, error) {
	b, isAsKnown := l.known(tx, id)
	if f := b.flow(flow); f != nil && isAsKnown() {
		return *f, nil
	}
	if b := l.pending(tx, id); b != nil {
		b.gather()
		if i := slices.IndexFunc(b.changes.Flows, func(f *wallet.Flow) bool { return f.ID == flow }); i >= 0 {
			return *b.changes.Flows[i], nil
		}
	}
	f, found, err := one(tx, scanFlow, `SELECT `+flowColumns+` FROM flows`+inWallet+` AND id = $3`, id.Organization, id.Workspace, flow)
	if err != nil || !found {
		return wallet.Flow{}, missing("flow", flow, err)
	}
	return *f, nil
}

// Hold reads a hold as the unit of work has left it, or NotFound.
func (l *Ledger) Hold(tx *db.Tx, id ID, hold string) (wallet.Hold, error) {
	b, isAsKnown := l.known(tx, id)
	if h := b.hold(hold); h != nil && isAsKnown() {
		return *h, nil
	}
	if b := l.pending(tx, id); b != nil {
		if h := b.endedHold(hold); h != nil {
			return *h, nil
		}
	} else if b := l.remembered(tx, id); b != nil {
		if h := b.wallet.Hold(hold); h != nil {
			return *h, nil
		}
	}
	h, found, err := one(tx, scanHold, `SELECT `+holdColumns+` FROM holds`+inWallet+` AND id = $3`, id.Organization, id.Workspace, hold)
	if err != nil || !found {
		return wallet.Hold{}, missing("hold", hold, err)
	}
	return *h, nil
}

// Charge reads a charge as the unit of work has left it, or NotFound.
func (l *Ledger) Charge(tx *db.Tx, id ID, no int64) (wallet.Charge, error) {
	b := l.pending(tx, id)
	if b != nil {
		if c := b.pendingCharge(no); c != nil {
			return *c, nil
		}
	}
	c, found, err := one(tx, scanCharge, `SELECT `+chargeColumns+` FROM charges`+inWallet+` AND no = $3`, id.Organization, id.Workspace, no)
	if err != nil || !found {
		return wallet.Charge{}, missing("charge", number(no), err)
	}
	if b != nil {
		b.noteRefunds(c)
	}
	return *c, nil
}

// Moved is a lot that a transfer has made of another one.
type Moved struct {
	ID  // the wallet that it is in
	Lot string
}

// MovedFrom finds what transfers have made of a lot, in all wallets of its organization, in
// the order of wallets and lots. Their source names the transfer and the lot.
func (l *Ledger) MovedFrom(tx *db.Tx, organization, lot string) ([]Moved, error) {
	all, err := db.All(tx, func(r db.Scanner) (m Moved, err error) {
		m.Organization = organization
		err = r.Scan(&m.Workspace, &m.Lot)
		return m, err
	}, `SELECT workspace, id FROM lots WHERE organization = $1 AND source LIKE 'tr_% ' || $2`, organization, lot)
	if err != nil {
		return nil, fmt.Errorf("find where lot %s was transferred to: %w", lot, err)
	}
	for _, b := range l.touched(tx) {
		if b.Organization != organization || b.wallet == nil {
			continue
		}
		b.gather()
		for _, other := range b.changes.Lots {
			if strings.HasPrefix(other.Source, "tr_") && strings.HasSuffix(other.Source, " "+lot) {
				all = append(all, Moved{b.ID, other.ID})
			}
		}
	}
	slices.SortFunc(all, func(a, b Moved) int {
		return cmp.Or(strings.Compare(a.Workspace, b.Workspace), strings.Compare(a.Lot, b.Lot))
	})
	return slices.Compact(all), nil
}

// touched are the wallets that this batch has changed.
func (l *Ledger) touched(tx *db.Tx) []*book {
	if !tx.IsUpdate() {
		return nil
	}
	return l.set(tx).touched
}

func missing(what, id string, err error) error {
	if err != nil {
		return fmt.Errorf("read %s %s: %w", what, id, err)
	}
	return fault.New(fault.NotFound, "there is no %s %s in this workspace", what, id)
}

// pending is the wallet if this batch has changed it.
func (l *Ledger) pending(tx *db.Tx, id ID) *book {
	if !tx.IsUpdate() {
		return nil
	}
	if b := l.shelf.get(id); b != nil && b.isTouched {
		return b
	}
	return nil
}

// remembered is the wallet in memory where nobody else writes: it equals its rows.
func (l *Ledger) remembered(tx *db.Tx, id ID) *book {
	if !tx.IsUpdate() || l.db.IsShared() {
		return nil
	}
	return l.shelf.get(id)
}

// known is the wallet in memory, or nil, and whether it may be taken for what the rows
// say: what this batch has changed may, and on PostgreSQL what has not been changed
// since, which is found out with the batch's writes.
func (l *Ledger) known(tx *db.Tx, id ID) (*book, func() bool) {
	if b := l.pending(tx, id); b != nil {
		return b, func() bool { return true }
	}
	if !tx.IsUpdate() || !l.db.IsShared() || tx.IsAgain() {
		return nil, nil
	}
	b := l.shelf.get(id)
	if seen, _, _ := l.shown.get(id); b == nil || b.stored < seen.Version {
		return nil, nil
	}
	return b, func() bool {
		s := l.set(tx)
		if s.assumed[id] {
			return true
		}
		if !tx.Assume("", b.stored, `SELECT version FROM wallets`+inWallet, id.Organization, id.Workspace) {
			return false
		}
		s.assumed[id] = true
		return true
	}
}

func (b *book) flow(id string) *wallet.Flow {
	if b == nil {
		return nil
	}
	return b.wallet.Flow(id)
}

func (b *book) hold(id string) *wallet.Hold {
	if b == nil {
		return nil
	}
	return b.wallet.Hold(id)
}

// gather takes what has changed out of the wallet before its time, so that it
// can be read.
func (b *book) gather() { b.changes = merged(b.changes, b.wallet.Changes()) }

// take takes everything that has changed since the rows were written.
func (b *book) take() wallet.Changes {
	b.gather()
	c := b.changes
	b.changes = wallet.Changes{}
	c.Marks = slices.DeleteFunc(c.Marks, func(m wallet.Mark) bool { return slices.Contains(c.DroppedMarks, m.No) })
	return c
}

// merged puts later changes over earlier ones.
func merged(a, b wallet.Changes) wallet.Changes {
	a.Budgets = slices.DeleteFunc(a.Budgets, func(g *wallet.Budget) bool { return slices.Contains(b.DroppedBudgets, g.ID) })
	return wallet.Changes{
		Lots:           over(a.Lots, b.Lots, func(l *wallet.Lot) string { return l.ID }),
		Flows:          over(a.Flows, b.Flows, func(f *wallet.Flow) string { return f.ID }),
		Holds:          over(a.Holds, b.Holds, func(h *wallet.Hold) string { return h.ID }),
		Budgets:        over(a.Budgets, b.Budgets, func(g *wallet.Budget) string { return g.ID }),
		Marks:          append(a.Marks, b.Marks...),
		DroppedMarks:   append(a.DroppedMarks, b.DroppedMarks...),
		DroppedBudgets: append(a.DroppedBudgets, b.DroppedBudgets...),
	}
}

// over replaces rows by later ones of the same id.
func over[T any](earlier, later []T, id func(T) string) []T {
	if len(earlier) == 0 {
		return later
	}
	if len(later) == 0 {
		return earlier
	}
	replaced := map[string]bool{}
	for _, row := range later {
		replaced[id(row)] = true
	}
	kept := slices.DeleteFunc(slices.Clone(earlier), func(row T) bool { return replaced[id(row)] })
	return append(kept, later...)
}

func (b *book) endedHold(id string) *wallet.Hold {
	b.gather()
	if i := slices.IndexFunc(b.changes.Holds, func(h *wallet.Hold) bool { return h.ID == id }); i >= 0 {
		return b.changes.Holds[i]
	}
	return nil
}

// chargesAfter are the charges of a flow for time after an instant, newest first.
func (b *book) chargesAfter(tx *db.Tx, flow string, at int64) ([]wallet.Charge, error) {
	var charges []wallet.Charge
	for _, c := range slices.Backward(b.charges) {
		if c.Flow == flow && c.To > at {
			charges = append(charges, c)
		}
	}
	stored, err := db.All(tx, scanCharge, `SELECT `+chargeColumns+` FROM charges`+inWallet+` AND flow <> '' AND flow = $3 AND to_at > $4 ORDER BY no DESC`,
		b.Organization, b.Workspace, flow, at)
	for _, c := range stored {
		b.noteRefunds(c)
		charges = append(charges, *c)
	}
	return charges, fault.While("read the charges of a flow", err)
}

// noteRefunds adds to a stored charge what this batch has given back of it.
func (b *book) noteRefunds(c *wallet.Charge) {
	for _, r := range b.refunds {
		if r.Charge == c.No {
			c.Refunded = r.Refunded
		}
	}
}
