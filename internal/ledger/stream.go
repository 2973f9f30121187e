package ledger

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// stream reads the rows of a wallet by number, a page at a time, so that a long
// history needs little memory.
type stream struct {
	replay *replay
	table  *db.Table
	query  string
	page   [][]any
	last   any // the number of the last row of the page
	isEnd  bool
}

const streamPage = 256

func newStream(r *replay, t *db.Table) *stream {
	return &stream{replay: r, table: t, last: int64(0), query: rowsOf(t) + ` AND no > $3 ORDER BY no LIMIT $4`}
}

// next returns the next row, or nil.
func (s *stream) next() ([]any, error) {
	if len(s.page) == 0 && !s.isEnd {
		id := s.replay.id
		page, err := db.All(s.replay.tx, rawRow(s.table), s.query, id.Organization, id.Workspace, s.last, streamPage)
		if err != nil {
			return nil, fault.While("read "+s.table.Name, err)
		}
		s.page, s.isEnd = page, len(page) < streamPage
	}
	if len(s.page) == 0 {
		return nil, nil
	}
	row := s.page[0]
	s.page, s.last = s.page[1:], row[2]
	return row, nil
}

// take returns the row of that number, if it is the next, or nil; rows before it
// that the replay does not know are differences.
func (s *stream) take(no int64) ([]any, error) {
	for {
		row, err := s.next()
		if err != nil || row == nil {
			return nil, err
		}
		switch n, isNumber := row[2].(int64); {
		case n == no:
			return row, nil
		case n > no || !isNumber:
			s.page = append([][]any{row}, s.page...)
			return nil, nil
		}
		if err := s.replay.mismatch(s.table.Name, fmt.Sprint(row[2]), "", "a row", "none"); err != nil {
			return nil, err
		}
	}
}

// rowsOf reads the rows that a wallet has in a table, all columns in their order.
func rowsOf(t *db.Table) string {
	return `SELECT ` + strings.Join(t.Columns, ", ") + ` FROM ` + t.Name + inWallet
}

// rawRow reads the columns of a table as they are.
func rawRow(t *db.Table) func(db.Scanner) ([]any, error) {
	return func(r db.Scanner) ([]any, error) { return scanRaw(r, len(t.Columns)) }
}

func scanRaw(r db.Scanner, width int) ([]any, error) {
	row, to := make([]any, width), make([]any, width)
	for i := range row {
		to[i] = &row[i]
	}
	return row, r.Scan(to...)
}
