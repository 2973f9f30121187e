package job

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"modernc.org/sqlite"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// looked is how many rows SQLite has looked at, through a view that calls it.
var looked atomic.Int64

func init() {
	sqlite.MustRegisterScalarFunction("looked", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		looked.Add(1)
		return args[0], nil
	})
}

const jobColumns = `organization, workspace, id, status, spec, state, hold, created_at, started_at, ended_at, flow, ended, project`

// crowd puts jobs that have ended into the wallet, all like one, but for three that have failed.
func (s *srv) crowd(t *testing.T, jobs int) {
	t.Helper()
	s.update(t, func(tx *db.Tx) error {
		values := strings.Replace(jobColumns, "id, status", fmt.Sprintf("'job_' || CAST(1000000 + i AS TEXT), CASE WHEN i IN (1, %d, %d) THEN 'failed' ELSE status END", jobs/2, jobs), 1)
		_, err := tx.Exec(fmt.Sprintf(`INSERT INTO jobs (%s) WITH RECURSIVE many (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM many WHERE i < %d)
			SELECT %s FROM (SELECT * FROM jobs WHERE ended = 1 LIMIT 1) AS one CROSS JOIN many`, jobColumns, jobs, values))
		return err
	})
	if dbtest.IsPostgres() {
		return
	}
	s.update(t, func(tx *db.Tx) error {
		if _, err := tx.Exec("ALTER TABLE jobs RENAME TO all_jobs"); err != nil {
			return err
		}
		_, err := tx.Exec("CREATE VIEW jobs AS SELECT " + strings.Replace(jobColumns, "status", "looked(status) AS status", 1) + " FROM all_jobs")
		return err
	})
}

// walked is how many rows of jobs reading a page walks.
func (s *srv) walked(t *testing.T, q Query) (n int64) {
	t.Helper()
	ok(t, s.DB.View(t.Context(), func(tx *db.Tx) error {
		count := func() (n int64) {
			if !dbtest.IsPostgres() {
				return looked.Load()
			}
			ok(t, tx.QueryRow(`SELECT CAST(COALESCE(SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0)), 0) AS BIGINT)
				FROM pg_stat_xact_user_tables WHERE relname = 'jobs'`).Scan(&n))
			return n
		}
		before := count()
		_, _, err := q.read(tx, ws)
		n = count() - before
		return err
	}))
	return n
}

// A page of the jobs walks a bounded part of them, and whoever follows the cursors finds
// all; what has not ended is found without those that have.
func TestAPageOfJobsWalksAPartOfThem(t *testing.T) {
	const jobs = 200_000
	s := serverOf(t, dbtest.URL(t), "a", "api", t0, nil)
	s.wallet(t)
	s.grant(t, 1000)
	ended, err := s.create(t, 1)
	ok(t, err)
	s.update(t, func(tx *db.Tx) error { _, err := s.Stop(tx, ws, ended.ID, nil, ""); return err })
	waits, err := s.create(t, 1)
	ok(t, err)
	s.crowd(t, jobs)
	for name, c := range map[string]struct {
		Query
		found, pages, most int64
	}{
		"failed":           {Query{Status: StatusFailed}, 3, jobs/maxWalk + 1, 2*maxWalk + 200},
		"exhausted":        {Query{Status: StatusExhausted}, 0, jobs/maxWalk + 1, 2*maxWalk + 200},
		"of a project":     {Query{Project: "none"}, 0, jobs/maxWalk + 1, 2*maxWalk + 200},
		"active":           {Query{Active: true}, 1, 1, 10},
		"queued":           {Query{Status: StatusQueued}, 1, 1, 10},
		"landing":          {Query{Status: StatusLanding}, 0, 1, 10},
		"active elsewhere": {Query{Active: true, Project: "none"}, 0, 1, 10},
	} {
		var found, pages, most int64
		for q := c.Query; ; {
			q.Limit = 50
			most = max(most, s.walked(t, q))
			list, next, err := s.List(t.Context(), ws, q)
			ok(t, err)
			found, pages = found+int64(len(list)), pages+1
			if q.Before = next; next == "" {
				break
			}
		}
		if found != c.found || pages != c.pages || most > c.most {
			t.Errorf("%s: %d jobs on %d pages, of which one walked %d", name, found, pages, most)
		}
		t.Logf("%-16s %d jobs on %2d pages, at most %5d rows walked for one", name, found, pages, most)
	}
	if list, _, err := s.List(t.Context(), ws, Query{Active: true, Limit: 50}); err != nil || len(list) != 1 || list[0].ID != waits.ID {
		t.Errorf("%+v %v", list, err)
	}
}
