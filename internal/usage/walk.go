package usage

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// walk goes down the statement, from the newest line to the oldest: what is accruing,
// and then posting by posting. It knows the balance after the next line, so no page
// needs those before it; and up to which posting and charge the statement goes, so that
// what is recorded meanwhile moves nothing.
type walk struct {
	place
	tx      *db.Tx
	id      ledger.ID
	books   *ledger.Ledger
	query   ActivityQuery
	top     credit.Amount // the balance above the first line
	lots    map[string]*wallet.Lot
	later   []*wallet.Lot // that took effect after they were granted, the latest first
	open    []openLine
	running map[group]bool
	sums    sums

	ahead []posting // read and not yet looked at
	ended bool      // there is nothing below them
	read  int
	lines []Activity
	over  bool
}

// newWalk begins a walk down the statement at the top, or where the page before ended.
func (s *Service) newWalk(tx *db.Tx, id ledger.ID, q ActivityQuery) (*walk, error) {
	w := &walk{tx: tx, id: id, books: s.books, query: q, lots: map[string]*wallet.Lot{}, running: map[group]bool{}}
	booked, err := w.readLots()
	if err == nil {
		err = w.readOpen(s, booked)
	}
	if err == nil && q.Cursor != "" {
		w.place, err = parsePlace(q.Cursor)
	} else if err == nil {
		err = w.begin(booked)
	}
	if err != nil {
		return nil, err
	}
	w.sums = sums{books: s.books, tx: tx, id: id, first: 1, next: w.Charges}
	if q.From != 0 {
		w.sums.first, err = s.books.FirstCharge(tx, id, q.From)
	}
	return w, err
}

// begin finds the top of the statement: now, with what is accruing, or an instant that
// has passed. booked is what the wallet holds now by the books.
func (w *walk) begin(booked credit.Amount) (err error) {
	end := int64(math.MaxInt64) // a wallet may be ahead of the clock
	w.LotAt = w.tx.Now() + 1
	if past := w.query.To; past != 0 && past < w.LotAt {
		end, w.LotAt = past, past
		if booked, err = w.bookedAt(end); err != nil {
			return err
		}
		w.open = nil
	}
	w.Balance = booked
	if w.Charges, err = w.books.FirstCharge(w.tx, w.id, end); err != nil {
		return err
	}
	if w.No, err = w.books.FirstPosting(w.tx, w.id, end); err != nil {
		return err
	}
	if w.No--; w.No == 0 {
		w.No = -1
	}
	for i := range w.open {
		w.Balance -= w.open[i].accrued
	}
	w.top = w.Balance
	w.writeOpen()
	return nil
}

// bookedAt is what the wallet held by the books just before an instant that has passed:
// credits that took effect later are not in it.
func (w *walk) bookedAt(at int64) (credit.Amount, error) {
	booked, err := w.books.BalanceAt(w.tx, w.id, at)
	for _, l := range w.lots {
		if deferred(l) && l.CreatedAt < at && l.EffectiveAt >= at {
			booked -= l.Amount
		}
	}
	return booked, err
}

// readLots reads the lots, and returns what they hold by the books: those in
// effect, less what is used of the overdraft. What was withdrawn of one that takes
// effect later is missing already.
func (w *walk) readLots() (balance credit.Amount, err error) {
	lots, err := w.books.Lots(w.tx, w.id)
	if err != nil {
		return 0, err
	}
	for _, l := range lots {
		w.lots[l.ID] = l
		switch {
		case l.ID == wallet.OverdraftLot || l.ID != wallet.OwedLot && l.EffectiveAt > w.tx.Now():
			balance -= l.Amount - l.Remaining
		case l.ID != wallet.OwedLot:
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

// step goes one posting or one line down.
func (w *walk) step() error {
	p, err := w.peek()
	if err != nil {
		return err
	}
	if l := w.nextLater(); l != nil && l.EffectiveAt >= w.query.From && (p == nil || p.at < l.EffectiveAt) {
		w.LotAt, w.LotID = l.EffectiveAt, l.ID
		w.add(w.addition(l, l.EffectiveAt, l.Amount), "lot_"+l.ID)
		return nil
	}
	if p == nil || p.at < w.query.From {
		w.over = true
		return nil
	}
	return w.stepPosting(*p)
}

// nextLater is the next lot that took effect later than it was granted.
func (w *walk) nextLater() *wallet.Lot {
	i := slices.IndexFunc(w.later, func(l *wallet.Lot) bool { return compareLots(l.EffectiveAt, l.ID, w.LotAt, w.LotID) < 0 })
	if i < 0 {
		return nil
	}
	return w.later[i]
}

// add puts a line down, if the query asks for it; the balance goes on below it.
func (w *walk) add(line Activity, name string) {
	line.ID = w.lineID(name)
	line.BalanceAfter = w.Balance
	w.Balance -= line.Amount
	if w.query.admits(&line) {
		w.lines = append(w.lines, line)
	}
}

func (w *walk) lineID(name string) string {
	return "act_" + strings.TrimPrefix(w.id.Workspace, "ws_") + "_" + name
}

func (w *walk) chargeID(no int64) string {
	return fmt.Sprintf("chg_%s_%d", strings.TrimPrefix(w.id.Workspace, "ws_"), no)
}

// pass goes below the posting that was looked at.
func (w *walk) pass() {
	w.No = w.ahead[0].no - 1
	if w.ahead = w.ahead[1:]; w.No == 0 {
		w.No, w.ended = -1, true
	}
}

// postingsAtOnce is how many postings are read at a time.
const postingsAtOnce = 500

// peek is the next posting, or nil below the last.
func (w *walk) peek() (*posting, error) {
	if len(w.ahead) == 0 && !w.ended && w.No > 0 {
		if err := w.fetch(); err != nil {
			return nil, err
		}
	}
	if len(w.ahead) == 0 {
		return nil, nil
	}
	return &w.ahead[0], nil
}

// statementPostings are the next postings of a walk, each with what must be known of
// its charge.
const statementPostings = `SELECT p.no, p.at, p.kind, p.debit, p.credit, p.amount, p.transfer, COALESCE(c.no, 0),
	COALESCE(c.job, ''), COALESCE(c.project, ''), COALESCE(c.user_id, ''), COALESCE(c.flow, ''), COALESCE(c.sku, '')
	FROM (SELECT * FROM postings WHERE organization = $1 AND workspace = $2 AND no <= $3 ORDER BY no DESC LIMIT $4) p
	LEFT JOIN charges c ON c.organization = $1 AND c.workspace = $2 AND c.no = p.charge + p.corrects ORDER BY p.no DESC`

func (w *walk) fetch() error {
	err := w.tx.Each(func(r db.Scanner) error {
		var p posting
		err := r.Scan(&p.no, &p.at, &p.kind, &p.debit, &p.credit, &p.amount, &p.transfer, &p.charge, &p.job, &p.project, &p.user, &p.flow, &p.sku)
		w.ahead = append(w.ahead, p)
		return err
	}, statementPostings, w.id.Organization, w.id.Workspace, w.No, postingsAtOnce)
	w.read += len(w.ahead)
	w.ended = len(w.ahead) < postingsAtOnce
	return err
}
