package usage

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// ActivityKind is what a line of the statement is.
type ActivityKind string

// The kinds of activities.
const (
	Addition  ActivityKind = "addition"
	Deduction ActivityKind = "deduction"
	Expiry    ActivityKind = "expiry"
	Transfer  ActivityKind = "transfer"
	Refund    ActivityKind = "refund"
	Overrun   ActivityKind = "overrun" // usage that nothing covered, and nobody pays for
)

// Activity is one line of a wallet's statement. Deductions are put together: one
// line for each job, and one for each day and project of what no job used. The
// lines of all pages add up: every one's BalanceAfter is that of the line below
// it plus its Amount, and the lowest begins at zero.
type Activity struct {
	ID           string
	At           int64 // of its last posting, or now if it is open
	Kind         ActivityKind
	Description  string
	Source       string // the id of a lot, job, charge or transfer, or a day
	Project      string
	Amount       credit.Amount // negative for what was taken
	BalanceAfter credit.Amount
	Open         bool // it is still growing: what accrues now is in it
}

// ActivityQuery asks for a page of the statement, the newest lines first.
type ActivityQuery struct {
	Kind     ActivityKind // "" for all
	Project  string       // "" for all
	From, To int64        // 0: all times
	Limit    int          // lines of a page; 0: 50
	Cursor   string
}

// maxScan bounds the postings that one page reads: a page may have fewer lines
// than its limit, or none, and still not be the last.
const maxScan = 20_000

// Activities returns a page of the wallet's statement, and the cursor of the
// next one, which is "" on the last.
func (s *Service) Activities(tx *db.Tx, id ledger.ID, q ActivityQuery) ([]Activity, string, error) {
	if err := q.check(); err != nil {
		return nil, "", err
	}
	w, err := s.newWalk(tx, id, q)
	if err != nil {
		return nil, "", err
	}
	for len(w.lines) < q.Limit && w.read < maxScan && !w.over {
		if err := w.step(); err != nil {
			return nil, "", fmt.Errorf("read the activities of %s: %w", id, err)
		}
	}
	if w.over {
		return w.lines, "", nil
	}
	next, err := json.Marshal(w.place)
	return w.lines, base64.RawURLEncoding.EncodeToString(next), err
}

func (q *ActivityQuery) check() error {
	if q.Kind != "" && !slices.Contains([]ActivityKind{Addition, Deduction, Expiry, Transfer, Refund, Overrun}, q.Kind) {
		return fault.At("/kind", "%q is not a kind of activity: addition, deduction, expiry, transfer, refund or overrun", q.Kind)
	}
	if q.Limit < 0 || q.Limit > MaxPage {
		return fault.At("/limit", "must be from 1 to %d", MaxPage)
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	return nil
}

// place is where a page ends and the next begins.
type place struct {
	Balance credit.Amount // after the next line
	Open    string        // the open line that came last, while they come
	No      int64         // postings up to this one come; 0 while the open lines do
	Charge  int64         // its line has come
	LotAt   int64         // the lot that took effect later than it was granted, and came last
	LotID   string
}

func parsePlace(cursor string) (p place, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		return p, fault.At("/cursor", "is not one that this list gave")
	}
	return p, nil
}

// newWalk begins a walk down the statement at the top, or where the page before
// ended.
func (s *Service) newWalk(tx *db.Tx, id ledger.ID, q ActivityQuery) (*walk, error) {
	w := &walk{tx: tx, id: id, query: q, lots: map[string]*wallet.Lot{}, sums: sums{books: s.books, tx: tx, id: id}}
	balance, err := w.readLots(s.books)
	if err != nil {
		return nil, err
	}
	if err := w.readOpen(s, balance); err != nil {
		return nil, err
	}
	if q.Cursor != "" {
		w.place, err = parsePlace(q.Cursor)
		return w, err
	}
	for _, o := range w.open {
		balance -= o.accrued
	}
	w.place = place{Balance: balance, LotAt: tx.Now() + 1}
	return w, nil
}

// readLots reads the lots, and returns what they hold by the books: those in
// effect, less what is used of the overdraft.
func (w *walk) readLots(books *ledger.Ledger) (balance credit.Amount, err error) {
	lots, err := books.Lots(w.tx, w.id)
	if err != nil {
		return 0, err
	}
	for _, l := range lots {
		w.lots[l.ID] = l
		switch {
		case l.ID == wallet.OverdraftLot:
			balance -= l.Amount - l.Remaining
		case l.ID != wallet.OwedLot && l.EffectiveAt <= w.tx.Now():
			balance += l.Remaining
			if deferred(l) {
				w.later = append(w.later, l)
			}
		}
	}
	slices.SortFunc(w.later, func(a, b *wallet.Lot) int { return -compareLots(a.EffectiveAt, a.ID, b.EffectiveAt, b.ID) })
	return balance, nil
}

// deferred reports whether a lot took effect later than it was granted: it is an
// addition then, and not before.
func deferred(l *wallet.Lot) bool { return l.EffectiveAt > l.CreatedAt }

func compareLots(at int64, id string, otherAt int64, otherID string) int {
	if at != otherAt {
		return int(max(-1, min(1, at-otherAt)))
	}
	return strings.Compare(id, otherID)
}

// readOpen finds the lines that are still growing, by group. booked is the balance
// by the books, without what accrues.
func (w *walk) readOpen(s *Service, booked credit.Amount) error {
	groups, stored := map[group]credit.Amount{}, map[group]credit.Amount{}
	err := s.eachAccruing(w.tx, w.id, func(f *wallet.Flow, _ *wallet.Item, parts []part) error {
		g := groupOf(f.Job, f.Project, w.tx.Now())
		groups[g] += 0
		for _, p := range parts {
			groups[g] += p.amount
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
		if err := w.leaveOwed(s.books, booked, groups, stored); err != nil {
			return err
		}
	}
	for g, accrued := range groups {
		w.open = append(w.open, openLine{g, accrued})
	}
	slices.SortFunc(w.open, func(a, b openLine) int { return strings.Compare(a.String(), b.String()) })
	return nil
}

// leaveOwed takes off what retained storage has run up since it was charged: it is
// owed, and not taken from the balance. How much that is in all, the wallet knows;
// it is taken off the lines with storage in their order, rest is the balance if
// nothing of what accrues were owed.
func (w *walk) leaveOwed(books *ledger.Ledger, rest credit.Amount, groups, stored map[group]credit.Amount) error {
	view, err := books.Committed(w.tx, w.id)
	if err != nil {
		return err
	}
	owed := view.Balance(w.tx.Now()).Balance - rest
	order := slices.SortedFunc(maps.Keys(stored), func(a, b group) int { return strings.Compare(a.String(), b.String()) })
	for _, g := range order {
		part := max(0, min(owed, stored[g]))
		groups[g] -= part
		owed -= part
	}
	return nil
}
