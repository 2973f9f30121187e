package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
)

// Whatever makes a row of a tenant unique begins with the organization; those tables
// of which that is not so are the global ones, and no others.
func TestTenantKeysBeginWithTheOrganization(t *testing.T) {
	err := fresh(t.Context(), func(c *conn) error {
		keys, err := c.texts(t.Context(), `SELECT m.name || ' ' || (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno LIMIT 1)
			FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND i."unique"`)
		if err != nil {
			return err
		}
		// An INTEGER PRIMARY KEY would have no index, and not be seen here.
		without, err := c.texts(t.Context(), `SELECT name FROM sqlite_schema m WHERE type = 'table'
			AND NOT EXISTS (SELECT 1 FROM pragma_index_list(m.name) WHERE origin = 'pk')`)
		if err != nil || len(without) > 0 {
			t.Errorf("tables without a primary key: %v %v", without, err)
		}
		tenants, global := 0, map[string]bool{}
		for _, key := range keys {
			if key == "journal key" { // on SQLite alone: a database that is one file is not distributed (0031)
				continue
			}
			if table, column, _ := strings.Cut(key, " "); column != "organization" {
				global[table] = true
			} else {
				tenants++
			}
		}
		names := slices.Collect(func(yield func(string) bool) {
			for name := range global {
				yield(name)
			}
		})
		slices.Sort(names)
		if !slices.Equal(names, Global) || tenants < 15 {
			t.Errorf("%d keys of tenants; not of tenants: %v, listed: %v", tenants, names, Global)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every table is placed once, and the one that others lie beside before them.
func TestDistribution(t *testing.T) {
	statements, err := Distribution(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names, err := tables(t.Context())
	if err != nil || len(statements) != 1+len(names) {
		t.Fatalf("%d statements for %d tables: %v", len(statements), len(names), err)
	}
	text := strings.Join(statements, "\n")
	for _, name := range names {
		call := "create_distributed_table('" + name + "', 'organization'"
		if slices.Contains(Global, name) {
			call = "create_reference_table('" + name + "')"
		}
		if strings.Count(text, call) != 1 {
			t.Errorf("not once: %s\n%s", call, text)
		}
	}
	if strings.Index(text, "create_distributed_table('wallets', 'organization')") > strings.Index(text, "colocate_with") {
		t.Errorf("the hub is late:\n%s", text)
	}
}

// The statements are ones that a PostgreSQL takes; what they call is Citus's, and put
// there by this test to count the calls.
func TestDistributionIsSQL(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has no cluster; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.Empty(t)
	d := open(t, Config{URL: url})
	statements, err := Distribution(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	update(t, d, func(tx *Tx) error {
		for _, statement := range append([]string{
			`CREATE TABLE pg_dist_partition (logicalrelid regclass)`,
			`CREATE FUNCTION create_reference_table(t regclass) RETURNS void LANGUAGE sql AS 'INSERT INTO pg_dist_partition VALUES (t)'`,
			`CREATE FUNCTION create_distributed_table(t regclass, c text, colocate_with text DEFAULT 'default') RETURNS void
				LANGUAGE sql AS 'INSERT INTO pg_dist_partition VALUES (t)'`,
		}, slices.Concat(statements[1:], statements[1:])...) {
			if _, err := tx.Exec(statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if n := integer(t, d, `SELECT count(*) FROM pg_dist_partition`); n != int64(len(statements)-1) {
		t.Errorf("%d tables were placed, %d statements", n, len(statements))
	}
}

// migrated is a database that Migrate has made.
func migrated(t *testing.T) string {
	t.Helper()
	url := dbtest.Empty(t)
	if was, err := Migrate(t.Context(), url); err != nil || was != 0 {
		t.Fatal(was, err)
	}
	return url
}

// run runs a statement beside everything.
func running(t *testing.T, url, statement string) {
	t.Helper()
	d, err := Open(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	update(t, d, func(tx *Tx) error {
		_, err := tx.Exec(statement)
		return err
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLookAndMigrate(t *testing.T) {
	url := migrated(t)
	s, err := Look(t.Context(), url)
	if err != nil || s.Version != s.Known || len(s.Steps) != int(s.Known) || s.Steps[0].At == 0 || s.Steps[0].Name != "books" {
		t.Errorf("%+v %v", s, err)
	}
	if was, err := Migrate(t.Context(), url); err != nil || was != s.Known {
		t.Errorf("again: it was %d, %v", was, err)
	}
}

// A database that lacks a step is what the steps before it make.
func TestAStepBehind(t *testing.T) {
	url := dbtest.Empty(t)
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	last := len(steps) - 1
	d := &DB{clock: SystemClock{}}
	path, err := d.find(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.dialWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.migrate(t.Context(), c, path, steps[:last]), c.close()); err != nil {
		t.Fatal(err)
	}
	s, err := Look(t.Context(), url)
	if err != nil || s.Version != int64(last) || len(s.Steps) != len(steps) || s.Steps[last-1].At == 0 || s.Steps[last] != (Step{steps[last].version, steps[last].name, 0}) {
		t.Errorf("%+v %v", s, err)
	}
	if out, err := Check(t.Context(), url); err != nil || len(out.Changed) > 0 {
		t.Errorf("%+v %v", out, err)
	}
	if was, err := Migrate(t.Context(), url); err != nil || was != int64(last) {
		t.Errorf("it was %d, %v", was, err)
	}
}

// What the migrations make is found to be so, and every change of it is found.
func TestCheckFindsEveryChange(t *testing.T) {
	url := migrated(t)
	check := func() Checked {
		t.Helper()
		out, err := Check(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := check(); len(out.Changed)+len(out.Damaged) > 0 || out.Parts < 200 {
		t.Fatalf("%+v", out)
	}
	for _, change := range [][3]string{
		{`CREATE INDEX mine ON lots (kind)`, "index mine is of no migration", `DROP INDEX mine`},
		{`DROP INDEX holds_open`, "index holds_open is missing", `CREATE INDEX holds_open ON holds (organization, workspace, id) WHERE status = 'held'`},
		{`ALTER TABLE lots ADD COLUMN extra BIGINT`, "column lots.extra is of no migration", `ALTER TABLE lots DROP COLUMN extra`},
		{`CREATE TABLE mine (x BIGINT)`, "table mine is of no migration", `DROP TABLE mine`},
		{`CREATE VIEW mine AS SELECT 1 AS x`, "view mine is of no migration", `DROP VIEW mine`},
	} {
		running(t, url, change[0])
		if out := check(); len(out.Changed) == 0 || !strings.Contains(strings.Join(out.Changed, "\n"), change[1]) || len(out.Damaged) > 0 {
			t.Errorf("after %s: %+v", change[0], out)
		}
		running(t, url, change[2])
		if out := check(); len(out.Changed) > 0 {
			t.Errorf("after %s: %+v", change[2], out)
		}
	}
	running(t, url, `DROP INDEX holds_open`)
	running(t, url, `CREATE INDEX holds_open ON holds (organization, workspace, id) WHERE status = 'open'`)
	if out := check(); len(out.Changed) != 1 || !strings.Contains(out.Changed[0], "open") || !strings.Contains(out.Changed[0], "held") {
		t.Errorf("another condition: %+v", out)
	}
}

func TestCheckFindsAnIndexThatIsNotValid(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has no such state; this runs with " + dbtest.Variable)
		return
	}
	url := migrated(t)
	running(t, url, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'jobs_id'::regclass`)
	if out, err := Check(t.Context(), url); err != nil || len(out.Damaged) != 1 || !strings.Contains(out.Damaged[0], "jobs_id") {
		t.Errorf("%+v %v", out, err)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	d := open(t, Config{URL: "sqlite:" + path})
	for no := range 500 {
		update(t, d, inserting(no))
	}
	closed(t, d)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(file) / 2; i < len(file)/2+40_000; i++ {
		file[i] ^= 0xff
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := Check(t.Context(), "sqlite:"+path)
	if len(out.Damaged) == 0 && (err == nil || !strings.Contains(err.Error(), "damaged")) {
		t.Errorf("%+v %v", out, err)
	}
}

func TestThereMustBeADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	for name, look := range map[string]func() error{
		"look":  func() error { _, err := Look(t.Context(), "sqlite:"+path); return err },
		"check": func() error { _, err := Check(t.Context(), "sqlite:"+path); return err },
		"copy":  func() error { return Copy(t.Context(), "sqlite:"+path, path+".copy") },
	} {
		if err := look(); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
	if err := Copy(t.Context(), "postgres://u:secret@127.0.0.1:1/purser", path); !fault.Is(err, fault.Invalid) ||
		!strings.Contains(err.Error(), "pg_basebackup") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// A copy holds what was committed before it began, whole units only, whatever is
// written meanwhile; and one that nobody waits for ends.
func TestCopyBesideAWriter(t *testing.T) {
	dir := t.TempDir()
	d := open(t, Config{URL: "sqlite:" + filepath.Join(dir, "purser.db")})
	update(t, d, func(tx *Tx) error {
		for no := range 20_000 {
			if _, err := tx.Exec(`INSERT INTO notes (no, at, text) VALUES ($1, $2, $3)`, -no-1, 0, strings.Repeat("x", 1000)); err != nil {
				return err
			}
		}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	done, written := make(chan error, 1), make(chan int, 1)
	go func() {
		no := 0
		for ctx.Err() == nil {
			if err := d.Update(context.Background(), func(tx *Tx) error { return errors.Join(insert(tx, 2*no), insert(tx, 2*no+1)) }); err != nil {
				done <- err
				return
			}
			if no++; no == 20 {
				written <- no
			}
		}
		done <- nil
	}()
	before := <-written
	to := filepath.Join(dir, "copy.db")
	if err := Copy(t.Context(), "sqlite:"+filepath.Join(dir, "purser.db"), to); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if out, err := Check(t.Context(), "sqlite:"+to); err != nil || len(out.Damaged) > 0 {
		t.Fatalf("%+v %v", out, err)
	}
	c := open(t, Config{URL: "sqlite:" + to, ReadOnly: true})
	n := integer(t, c, `SELECT count(*) FROM notes WHERE no >= 0`)
	if n < int64(2*before) || n%2 != 0 || integer(t, c, `SELECT max(no) FROM notes`) != n-1 {
		t.Errorf("%d rows, at least %d were there", n, 2*before)
	}
	all := integer(t, d, `SELECT count(*) FROM notes WHERE no >= 0`)
	t.Logf("%d rows before the copy, %d in it, %d at the end", 2*before, n, all)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := Copy(ended, "sqlite:"+to, filepath.Join(dir, "none.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
