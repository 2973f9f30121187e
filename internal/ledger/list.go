package ledger

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

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

// cursor is where the next page begins, behind a row: opaque outside, and inside the name of
// the list and what the row was sorted by. What another list gave, or nobody, is refused.
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

// read reads a page: the rows of the wallet that meet all conditions, each of which is
// a text such as "flow =" with its value. By those of by an index finds them. For the
// others rows have to be looked at, and those are at most maxWalk for a page: it may have
// fewer rows than its limit, or none, and still not be the last. An index for each of
// them would cost every write, and a wallet of a million charges in which nothing is
// found must not be read as a whole for one page.
func (q listing[T]) read(tx *db.Tx, id ID, page Page, by []condition, narrow ...condition) (rows []T, next string, err error) {
	limit, err := page.limit()
	if err != nil {
		return nil, "", err
	}
	s := q.walk(id, page.Newest).where(by...)
	if page.Cursor != "" {
		after, err := q.after(page.Cursor)
		if err != nil {
			return nil, "", err
		}
		s = s.where(condition{q.by + s.beyond(), after})
	}
	last := ""
	if isNarrowed(narrow) {
		if s, last, err = q.bound(tx, s); err != nil {
			return nil, "", fmt.Errorf("list %s: %w", q.table, err)
		}
	}
	text, args := s.where(narrow...).statement(q.columns, limit+1, 0)
	rows, err = db.All(tx, q.scan, text, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", q.table, err)
	}
	if len(rows) > limit {
		rows, last = rows[:limit], q.at(rows[limit-1])
	}
	if last != "" {
		next = q.cursor(last)
	}
	return rows, next, nil
}

// maxWalk is how many rows one page of a list looks at to find those that it has: some
// milliseconds where they are in memory, and more where the disk is read.
const maxWalk = 5_000

// bound ends a selection after maxWalk rows, and says where; "" if it has fewer. The
// index alone is read for it.
func (q listing[T]) bound(tx *db.Tx, s selection) (selection, string, error) {
	text, args := s.statement(q.by, 1, maxWalk-1)
	last, found, err := one(tx, func(r db.Scanner) (last any, err error) {
		if q.isNumber {
			var no int64
			err = r.Scan(&no)
			return no, err
		}
		var name string
		err = r.Scan(&name)
		return name, err
	}, text, args...)
	if err != nil || !found {
		return s, "", err
	}
	return s.where(condition{q.by + s.upTo(), last}), fmt.Sprint(last), nil
}

// selection is a query for rows of a wallet in an order.
type selection struct {
	from, by string
	args     []any
	isNewest bool
}

func (q listing[T]) walk(id ID, newest bool) selection {
	return selection{q.table + inWallet, q.by, []any{id.Organization, id.Workspace}, newest}
}

// where narrows the selection, and leaves the one that it came from as it is.
func (s selection) where(conditions ...condition) selection {
	s.args = slices.Clone(s.args)
	for _, c := range conditions {
		if c.isOne() {
			s.args = append(s.args, c.value)
			s.from += " AND " + c.text + " $" + strconv.Itoa(len(s.args))
		}
	}
	return s
}

// statement reads at most limit rows, after the first so many.
func (s selection) statement(columns string, limit, skipped int) (string, []any) {
	order, args := " ASC", append(slices.Clone(s.args), int64(limit))
	if s.isNewest {
		order = " DESC"
	}
	text := "SELECT " + columns + " FROM " + s.from + " ORDER BY " + s.by + order + " LIMIT $" + strconv.Itoa(len(args))
	if skipped > 0 {
		args = append(args, int64(skipped))
		text += " OFFSET $" + strconv.Itoa(len(args))
	}
	return text, args
}

// beyond and upTo compare with a row of the order: what comes after it, and what does
// not come after it.
func (s selection) beyond() string {
	if s.isNewest {
		return " <"
	}
	return " >"
}

func (s selection) upTo() string {
	if s.isNewest {
		return " >="
	}
	return " <="
}

type condition struct {
	text  string
	value any // "" and 0 are no condition
}

func (c condition) isOne() bool { return c.value != nil && c.value != "" && c.value != int64(0) }

func isNarrowed(conditions []condition) bool { return slices.ContainsFunc(conditions, condition.isOne) }

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
