package ledger

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Posting is a posting of the books: the engine's, with its accounts and links.
type Posting struct {
	No       int64
	At       int64
	Kind     wallet.PostingKind
	Debit    string // the account the amount comes from
	Credit   string // the account it goes to
	Amount   credit.Amount
	Charge   int64
	Corrects int64
	Transfer string

	hash, prev digest
}

// Hash is the posting's link of the chain; PrevHash is the one before it.
func (p Posting) Hash() string { return p.hash.String() }

// PrevHash is the link before the posting's.
func (p Posting) PrevHash() string { return p.prev.String() }

// maxPage is the largest number of rows in a page.
const maxPage = 200

// Page says which part of a list is wanted. Lists are stable: what is added
// while one turns the pages comes after the last (or, newest first, before the
// first) and shifts nothing.
type Page struct {
	Limit  int    // 1 to maxPage; 50 if 0
	Cursor string // from the page before; "" for the first
	Newest bool   // newest first
}

// cursors are opaque outside; inside they are the name of the list and what its
// last row was sorted by: what another list gave, or nobody, is refused.
func (q listing[T]) cursor(after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(q.table + " " + after))
}

// listing is a query for a page of rows: sorted by one column, which is unique.
type listing[T any] struct {
	columns, table string
	by             string
	isNumber       bool // by is a number
	scan           func(db.Scanner) (T, error)
	at             func(T) string // the value of by
}

// read reads a page: the rows of the wallet that meet all conditions, each of
// which is a text such as "flow =" with its value.
func (q listing[T]) read(tx *db.Tx, id ID, page Page, where ...condition) (rows []T, next string, err error) {
	text, args := "SELECT "+q.columns+" FROM "+q.table+inWallet, []any{id.Organization, id.Workspace}
	for _, c := range where {
		if c.value != nil && c.value != "" && c.value != int64(0) {
			args = append(args, c.value)
			text += " AND " + c.text + " $" + strconv.Itoa(len(args))
		}
	}
	order, compare := " ASC", " > $"
	if page.Newest {
		order, compare = " DESC", " < $"
	}
	if page.Cursor != "" {
		after, err := q.after(page.Cursor)
		if err != nil {
			return nil, "", err
		}
		args = append(args, after)
		text += " AND " + q.by + compare + strconv.Itoa(len(args))
	}
	limit, err := page.limit()
	if err != nil {
		return nil, "", err
	}
	args = append(args, int64(limit+1))
	text += " ORDER BY " + q.by + order + " LIMIT $" + strconv.Itoa(len(args))
	rows, err = db.All(tx, q.scan, text, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", q.table, err)
	}
	if len(rows) > limit {
		rows, next = rows[:limit], q.cursor(q.at(rows[limit-1]))
	}
	return rows, next, nil
}

type condition struct {
	text  string
	value any // "" and 0 are no condition
}

func (q listing[T]) after(cursor string) (any, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	after, isOurs := strings.CutPrefix(string(text), q.table+" ")
	if err != nil || !isOurs || after == "" || !utf8.ValidString(after) {
		return nil, badCursor()
	}
	if !q.isNumber {
		return after, nil
	}
	n, err := strconv.ParseInt(after, 10, 64)
	if err != nil {
		return nil, badCursor()
	}
	return n, nil
}

func badCursor() error { return fault.At("/cursor", "is not one that this list gave") }

func (p Page) limit() (int, error) {
	switch {
	case p.Limit == 0:
		return 50, nil
	case p.Limit < 0 || p.Limit > maxPage:
		return 0, fault.At("/limit", "must be from 1 to %d", maxPage)
	}
	return p.Limit, nil
}

// FlowFilter narrows a list of flows.
type FlowFilter struct {
	Status, Project, Job string
	IsRunning            bool // only those that have not ended
}

// Flows lists flows by id, and thereby by their start.
func (l *Ledger) Flows(tx *db.Tx, id ID, f FlowFilter, page Page) ([]*wallet.Flow, string, error) {
	q := listing[*wallet.Flow]{flowColumns, "flows", "id", false, scanFlow, func(f *wallet.Flow) string { return f.ID }}
	where := []condition{{"status =", f.Status}, {"project =", f.Project}, {"job =", f.Job}}
	if f.IsRunning {
		where = append(where, condition{"ended = 0 AND ended <", int64(1)}) // the index flows_running is of ended = 0
	}
	return q.read(tx, id, page, where...)
}

// Holds lists holds by id: those of a status, or all if it is "".
func (l *Ledger) Holds(tx *db.Tx, id ID, status wallet.HoldStatus, page Page) ([]*wallet.Hold, string, error) {
	q := listing[*wallet.Hold]{holdColumns, "holds", "id", false, scanHold, func(h *wallet.Hold) string { return h.ID }}
	return q.read(tx, id, page, condition{"status =", string(status)})
}

// ChargeFilter narrows a list of charges. From and To are instants of recording,
// From inclusive.
type ChargeFilter struct {
	Flow, SKU, Project, Job string
	From, To                int64
}

const chargeColumns = `no, at, flow, item, hold, event, sku, tier, region, project, user_id, job, key_id, unit, quantity,
	from_at, to_at, price, card, card_version, rate, period, rem, amount, waived, slices, refunded`

// Charges lists charges by number.
func (l *Ledger) Charges(tx *db.Tx, id ID, f ChargeFilter, page Page) ([]*wallet.Charge, string, error) {
	q := listing[*wallet.Charge]{chargeColumns, "charges", "no", true, scanCharge, func(c *wallet.Charge) string { return number(c.No) }}
	where, err := between(tx, q.table, id, f.From, f.To)
	if err != nil {
		return nil, "", err
	}
	return q.read(tx, id, page, append(where, condition{"flow <> '' AND flow =", f.Flow}, condition{"sku =", f.SKU},
		condition{"project =", f.Project}, condition{"job <> '' AND job =", f.Job})...)
}

// PostingFilter narrows a list of postings.
type PostingFilter struct {
	Kind   wallet.PostingKind
	Charge int64
}

const postingColumns = `no, at, kind, debit, credit, amount, charge, corrects, transfer, hash, prev_hash`

// Postings lists postings by number.
func (l *Ledger) Postings(tx *db.Tx, id ID, f PostingFilter, page Page) ([]Posting, string, error) {
	q := listing[Posting]{postingColumns, "postings", "no", true, scanPosting, func(p Posting) string { return number(p.No) }}
	where, err := withCharge(tx, id, f.Charge)
	if err != nil {
		return nil, "", err
	}
	return q.read(tx, id, page, append(where, condition{"kind =", string(f.Kind)})...)
}

// EventFilter narrows a list of events. A kind that ends in * stands for all that
// begin so; After is the number before the first.
type EventFilter struct {
	Kind, Subject string
	After         int64
}

// Events lists events by number.
func (l *Ledger) Events(tx *db.Tx, id ID, f EventFilter, page Page) ([]wallet.Event, string, error) {
	q := listing[wallet.Event]{`no, at, kind, subject, data`, "events", "no", true, scanEvent, func(e wallet.Event) string { return number(e.No) }}
	kind := []condition{{"kind =", f.Kind}}
	if begin, open := strings.CutSuffix(f.Kind, "*"); open {
		kind = []condition{{"kind >=", begin}, {"kind <", begin + "\U0010ffff"}}
	}
	return q.read(tx, id, page, append(kind, condition{"subject =", f.Subject}, condition{"no >", f.After})...)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// Lots reads all lots of a wallet, by id; its View has them in burn-down order,
// and with what is left of them at any instant.
func (l *Ledger) Lots(tx *db.Tx, id ID) ([]*wallet.Lot, error) {
	return db.All(tx, scanLot, `SELECT `+lotColumns+` FROM lots`+inWallet+` ORDER BY id`, id.Organization, id.Workspace)
}

func scanPosting(r db.Scanner) (p Posting, err error) {
	var hash, prev string
	err = r.Scan(&p.No, &p.At, &p.Kind, &p.Debit, &p.Credit, &p.Amount, &p.Charge, &p.Corrects, &p.Transfer, &hash, &prev)
	if err != nil {
		return p, err
	}
	if p.hash, err = parseDigest(hash); err != nil {
		return p, fmt.Errorf("posting %d: hash: %w", p.No, err)
	}
	if p.prev, err = parseDigest(prev); err != nil {
		return p, fmt.Errorf("posting %d: prev_hash: %w", p.No, err)
	}
	return p, nil
}

func scanEvent(r db.Scanner) (e wallet.Event, err error) {
	var data string
	if err := r.Scan(&e.No, &e.At, &e.Kind, &e.Subject, &data); err != nil {
		return e, err
	}
	return e, unpack(data, &e.Data)
}
