package ledger

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"modernc.org/sqlite"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/wallet"
)

// looked is how many rows SQLite has looked at to decide whether they are wanted: see
// [house.watched].
var looked atomic.Int64

func init() {
	sqlite.MustRegisterScalarFunction("looked", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		looked.Add(1)
		return args[0], nil
	})
}

// crowd is how many rows of everything the wallet has, beside those that are made by the
// engine; every one of them is like one of those.
const crowd = 200_000

// crowded is a wallet with a crowd of charges, postings, events, flows and holds. Of each
// three are rare: the oldest, one in the middle and the newest.
func crowded(t *testing.T) *house {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000000"))
	h.apply(acme, wallet.Start{ID: "flow_0", Items: gpus(1), Project: "common"})
	h.apply(acme, wallet.Reserve{ID: "hold_0", Amount: 1, TTL: hour})
	h.apply(acme, wallet.Release{Hold: "hold_0"})
	h.advance(minute)
	h.apply(acme, wallet.Stop{Flow: "flow_0"})
	for _, of := range []struct {
		*db.Table
		rare string // columns that only three rows have so
	}{{chargeRows, "sku project"}, {postingRows, "kind"}, {eventRows, "kind subject"}, {flowRows, "status project"}, {holdRows, "status"}} {
		h.must(h.update(func(tx *db.Tx) error {
			// The key is far from that of what the engine made.
			key, place := "no", "1000000 + i"
			if !slices.Contains(of.Columns, "no") {
				key, place = "id", "'x_' || CAST(1000000 + i AS TEXT)"
			}
			values := slices.Clone(of.Columns)
			for n, column := range of.Columns {
				switch {
				case column == key:
					values[n] = place
				case slices.Contains(strings.Fields(of.rare), column):
					values[n] = fmt.Sprintf("CASE WHEN i IN (1, %d, %d) THEN 'rare' ELSE %s END", crowd/2, crowd, column)
				}
			}
			_, err := tx.Exec(fmt.Sprintf(`INSERT INTO %[1]s (%[2]s) WITH RECURSIVE many (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM many WHERE i < %[3]d)
				SELECT %[4]s FROM (SELECT * FROM %[1]s ORDER BY %[5]s DESC LIMIT 1) AS one CROSS JOIN many`,
				of.Name, strings.Join(of.Columns, ", "), crowd, strings.Join(values, ", "), key))
			return err
		}))
		h.watched(of.Table, strings.Fields(of.rare))
	}
	return h
}

// watched puts a view in front of a table on SQLite, which counts each row whose columns
// are looked at; PostgreSQL counts by itself.
func (h *house) watched(table *db.Table, columns []string) {
	h.t.Helper()
	if dbtest.IsPostgres() {
		dbtest.Do(h.t, h.url, "ANALYZE "+table.Name)
		return
	}
	var shown []string
	for _, column := range table.Columns {
		if slices.Contains(columns, column) {
			column = "looked(" + column + ") AS " + column
		}
		shown = append(shown, column)
	}
	h.must(h.update(func(tx *db.Tx) error {
		if _, err := tx.Exec("ALTER TABLE " + table.Name + " RENAME TO whole_" + table.Name); err != nil {
			return err
		}
		_, err := tx.Exec("CREATE VIEW " + table.Name + " AS SELECT " + strings.Join(shown, ", ") + " FROM whole_" + table.Name)
		return err
	}))
}

// listed is what one list has on all its pages, and the most that one page walked.
type listed struct{ rows, pages, most int64 }

// pager reads a page of a list: how many rows it has, and where the next begins.
type pager func(*db.Tx, Page) (rows int, next string, err error)

func paged[T any](list func(*db.Tx, Page) ([]T, string, error)) pager {
	return func(tx *db.Tx, p Page) (int, string, error) {
		rows, next, err := list(tx, p)
		return len(rows), next, err
	}
}

// turn goes through the pages of a list.
func (h *house) turn(table string, page pager) (l listed) {
	h.t.Helper()
	walked := func(tx *db.Tx) (n int64) {
		if !dbtest.IsPostgres() {
			return looked.Load()
		}
		h.must(tx.QueryRow(`SELECT CAST(COALESCE(SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0)), 0) AS BIGINT)
			FROM pg_stat_xact_user_tables WHERE relname = $1`, table).Scan(&n))
		return n
	}
	for p := (Page{Limit: 50, Newest: true}); ; {
		h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
			before := walked(tx)
			n, next, err := page(tx, p)
			l.rows, l.pages, p.Cursor = l.rows+int64(n), l.pages+1, next
			l.most = max(l.most, walked(tx)-before)
			return err
		}))
		if p.Cursor == "" {
			return l
		}
	}
}

// A page walks a bounded part of a wallet, however rare what is wanted is, and whoever
// follows the cursors finds all of it.
func TestAPageWalksAPartOfAWallet(t *testing.T) {
	h := crowded(t)
	charges := func(f ChargeFilter) pager {
		return paged(func(tx *db.Tx, p Page) ([]*wallet.Charge, string, error) { return h.Charges(tx, acme, f, p) })
	}
	postings := func(kind wallet.PostingKind) pager {
		return paged(func(tx *db.Tx, p Page) ([]Posting, string, error) {
			return h.Postings(tx, acme, PostingFilter{Kind: kind}, p)
		})
	}
	events := func(f EventFilter, newest bool) pager {
		return paged(func(tx *db.Tx, p Page) ([]wallet.Event, string, error) {
			p.Newest = newest
			return h.Events(tx, acme, f, p)
		})
	}
	flows := func(f FlowFilter) pager {
		return paged(func(tx *db.Tx, p Page) ([]*wallet.Flow, string, error) { return h.Flows(tx, acme, f, p) })
	}
	holds := func(status wallet.HoldStatus) pager {
		return paged(func(tx *db.Tx, p Page) ([]*wallet.Hold, string, error) { return h.Holds(tx, acme, status, p) })
	}
	const pages = crowd/maxWalk + 1
	for name, c := range map[string]struct {
		table       string
		page        pager
		rows, pages int64
	}{
		"charges of a rare SKU":         {"charges", charges(ChargeFilter{SKU: "rare"}), 3, pages},
		"charges of no SKU":             {"charges", charges(ChargeFilter{SKU: "none"}), 0, pages},
		"charges of a rare project":     {"charges", charges(ChargeFilter{Project: "rare"}), 3, pages},
		"charges of both":               {"charges", charges(ChargeFilter{SKU: "rare", Project: "none"}), 0, pages},
		"a flow's charges of a project": {"charges", charges(ChargeFilter{Flow: "flow_0", Project: "rare"}), 3, pages},
		"charges of another flow":       {"charges", charges(ChargeFilter{Flow: "flow_1", SKU: "rare"}), 0, 1},
		"postings of a rare kind":       {"postings", postings("rare"), 3, pages},
		"postings of no kind":           {"postings", postings("none"), 0, pages},
		"events of a rare kind":         {"events", events(EventFilter{Kind: "rare"}, true), 3, pages},
		"events of such kinds, forward": {"events", events(EventFilter{Kind: "ra*"}, false), 3, pages},
		"events about nobody":           {"events", events(EventFilter{Subject: "nobody"}, false), 0, pages},
		"flows of a rare status":        {"flows", flows(FlowFilter{Status: "rare"}), 3, pages},
		"flows of no project":           {"flows", flows(FlowFilter{Project: "none"}), 0, pages},
		"flows of no job":               {"flows", flows(FlowFilter{Job: "none"}), 0, pages},
		"flows that run":                {"flows", flows(FlowFilter{Status: "running"}), 0, 1},
		"flows that are active":         {"flows", flows(FlowFilter{IsRunning: true, Project: "none"}), 0, 1},
		"holds of a rare status":        {"holds", holds("rare"), 3, pages},
		"holds that were captured":      {"holds", holds("captured"), 0, pages},
	} {
		got := h.turn(c.table, c.page)
		// On PostgreSQL, where the rows are new, the end of the walk is looked up in the table too.
		most, least := int64(maxWalk+10), int64(maxWalk/2) // what is found is looked at again, to be shown
		if dbtest.IsPostgres() {
			most = 2*maxWalk + 200
		}
		if c.pages == 1 || !dbtest.IsPostgres() && strings.Contains(name, "job") {
			least = 0
		}
		if got.rows != c.rows || got.pages != c.pages || got.most > most || got.most < least {
			t.Errorf("%s: %d rows on %d pages, of which one walked %d", name, got.rows, got.pages, got.most)
		}
		t.Logf("%-30s %d rows on %2d pages, at most %5d rows walked for one", name, got.rows, got.pages, got.most)
	}
	if dbtest.IsPostgres() { // on SQLite the view hides the index of open holds
		if got := h.turn("holds", holds("held")); got != (listed{0, 1, 0}) {
			t.Errorf("open holds: %+v", got)
		}
	}
}
