package usage

import (
	"maps"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// openLine is what running work has used and was not charged for yet.
type openLine struct {
	group
	project, user string
	accrued       credit.Amount
	skus          []string
}

// readOpen finds what is accruing, by group. booked is the balance by the books,
// without it.
func (w *walk) readOpen(s *Service, booked credit.Amount) error {
	lines, stored := map[group]*openLine{}, map[group]credit.Amount{}
	err := s.eachAccruing(w.tx, w.id, func(f *wallet.Flow, item *wallet.Item, parts []part) error {
		g := groupOf(f.Job, f.Project, f.User, item.SKU, true, w.tx.Now())
		if lines[g] == nil {
			lines[g] = &openLine{group: g, project: f.Project, user: f.User}
		}
		lines[g].skus = append(lines[g].skus, item.SKU)
		for _, p := range parts {
			lines[g].accrued += p.amount
			booked -= p.amount
			if f.Storage {
				stored[g] += p.amount
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(stored) > 0 {
		if err := w.leaveOwed(s.books, booked, lines, stored); err != nil {
			return err
		}
	}
	for _, g := range slices.SortedFunc(maps.Keys(lines), group.compare) {
		w.running[g] = true
		w.open = append(w.open, *lines[g])
	}
	return nil
}

func (g group) compare(other group) int { return strings.Compare(g.String(), other.String()) }

// leaveOwed takes off what retained storage has run up since it was charged: it is
// owed, and not taken from the balance. How much that is in all, the wallet knows;
// it is taken off the lines with storage in their order, rest is the balance if
// nothing of what accrues were owed.
func (w *walk) leaveOwed(books *ledger.Ledger, rest credit.Amount, lines map[group]*openLine, stored map[group]credit.Amount) error {
	view, err := books.Committed(w.tx, w.id)
	if err != nil {
		return err
	}
	owed := view.Balance(w.tx.Now()).Balance - rest
	for _, g := range slices.SortedFunc(maps.Keys(stored), group.compare) {
		part := max(0, min(owed, stored[g]))
		lines[g].accrued -= part
		owed -= part
	}
	return nil
}

// writeOpen writes the open lines, all of them on the first page: those that the page
// has no room for as one. What the query does not ask for lies below the others.
func (w *walk) writeOpen() {
	var asked []Activity
	for _, o := range w.open {
		a := o.line(w.tx.Now())
		if a.Amount == 0 {
			continue
		}
		if w.query.admits(&a) {
			asked = append(asked, a)
		} else {
			w.Balance += a.Amount
		}
	}
	if room := w.query.Limit; len(asked) > room {
		rest := asked[room-1:]
		all := Activity{ID: "open", At: w.tx.Now(), Kind: Deduction, Description: "Running work, not charged yet", From: fromFlow, Open: true}
		for _, a := range rest {
			all.Amount += a.Amount
		}
		asked = append(asked[:room-1:room-1], all)
	}
	for _, a := range asked {
		a.ID = w.lineID(a.ID)
		a.BalanceAfter = w.Balance
		w.Balance -= a.Amount
		w.lines = append(w.lines, a)
	}
}

func (o *openLine) line(now int64) Activity {
	slices.Sort(o.skus)
	text := o.describe(sum{skus: slices.Compact(o.skus)}) + "; not charged yet"
	return Activity{ID: "open_" + o.String(), At: now, Kind: Deduction, Description: text, From: o.from, Source: o.source(),
		Project: o.project, User: o.user, Job: o.job, Amount: -o.accrued, Open: true}
}
