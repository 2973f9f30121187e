package ledger

import (
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// # Where a span of time begins is found by single rows, however many the wallet has.
func TestASpanIsFoundByHalves(t *testing.T) {
	const rows = 20_000
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1"))
	columns := strings.Join(postingRows.Columns, ", ")
	values := strings.NewReplacer(" no,", " no + i,", " at,", " at + i / 2 * 10,").Replace(columns)
	h.must(h.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO postings (`+columns+`) WITH RECURSIVE many (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM many WHERE i < $1)
			SELECT `+values+` FROM postings CROSS JOIN many WHERE no = 1`, int64(rows-1))
		if err == nil {
			_, err = tx.Exec("ANALYZE")
		}
		return err
	}))
	first := func(at int64) (no int64, err error) {
		err = h.db.View(t.Context(), func(tx *db.Tx) (err error) {
			no, err = h.FirstPosting(tx, acme, at)
			return err
		})
		return no, err
	}
	for _, c := range []struct{ at, want int64 }{
		{0, 1}, {noon, 1}, {noon + 1, 3}, {noon + 10, 3}, {noon + 11, 5}, {noon + 50_000, 10_001}, {noon + 99_990, rows - 1}, {noon + 99_991, rows + 1}, {noon + hour, rows + 1},
	} {
		if got, err := first(c.at); got != c.want || err != nil {
			t.Errorf("at %d: %d, want %d: %v", c.at-noon, got, c.want, err)
		}
	}
	h.must(h.db.View(t.Context(), func(tx *db.Tx) error { return h.byNumber(tx, halves("postings")) }))
	h.must(h.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM postings WHERE no = 10001`)
		return err
	}))
	if no, err := first(noon + 50_000); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("with a gap: %d %v", no, err)
	}
}

// byNumber fails where a plan goes through a wallet: SQLite names the columns by which it
// searches, and PostgreSQL asks a subplan for each row and joins nothing.
func (h *house) byNumber(tx *db.Tx, text string) error {
	explain, column := "EXPLAIN QUERY PLAN ", 3
	if dbtest.IsPostgres() {
		explain, column = "EXPLAIN (VERBOSE) ", 0
	}
	rows, err := tx.Query(explain+text, acme.Organization, acme.Workspace, noon)
	if err != nil {
		return err
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var line string
		into := []any{new(any), new(any), new(any), new(any)}[:column+1]
		into[column] = &line
		if err := rows.Scan(into...); err != nil {
			return err
		}
		plan = append(plan, line)
	}
	whole := strings.Join(plan, "\n")
	found := strings.Contains(whole, "workspace=? AND no=?") || strings.Contains(whole, "(SubPlan 1)") && !strings.Contains(whole, "Join") && !strings.Contains(whole, "Seq Scan")
	if !found {
		h.t.Errorf("the rows are not found by their numbers:\n%s", whole)
	}
	return rows.Err()
}
