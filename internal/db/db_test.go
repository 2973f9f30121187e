package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/fault"
)

// open opens a new database, or the one of c.URL, and closes it with the test.
func open(t testing.TB, c Config) *DB {
	t.Helper()
	if c.URL == "" {
		c.URL = "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, d) })
	if !c.ReadOnly {
		update(t, d, makeNotes)
	}
	return d
}

func closed(t testing.TB, d *DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// makeNotes makes a table for the tests, so that they depend on no other package's.
func makeNotes(tx *Tx) error {
	_, err := tx.Exec(`CREATE TABLE IF NOT EXISTS notes (no BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, text TEXT)`)
	return err
}

// insert writes one row.
func insert(tx *Tx, no int) error {
	_, err := tx.Exec(`INSERT INTO notes (no, at) VALUES ($1, $2)`, no, tx.Now())
	return err
}

func inserting(no int) func(*Tx) error {
	return func(tx *Tx) error { return insert(tx, no) }
}

// integer is the one number that a query in a view of its own gives.
func integer(t testing.TB, d *DB, query string, args ...any) (n int64) {
	t.Helper()
	err := d.View(context.Background(), func(tx *Tx) error { return tx.QueryRow(query, args...).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rows(t testing.TB, d *DB) int { return int(integer(t, d, `SELECT count(*) FROM notes`)) }

func update(t testing.TB, d *DB, fn func(*Tx) error) {
	t.Helper()
	if err := d.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestAUnitHappensWholeOrNotAtAll(t *testing.T) {
	d := open(t, Config{})
	update(t, d, func(tx *Tx) error { return errors.Join(insert(tx, 1), insert(tx, 2)) })
	no := errors.New("no")
	err := d.Update(t.Context(), func(tx *Tx) error {
		if err := errors.Join(insert(tx, 3), insert(tx, 4)); err != nil {
			return err
		}
		return no
	})
	if err != no {
		t.Fatalf("a unit's error came back as %v", err)
	}
	if n := rows(t, d); n != 2 {
		t.Fatalf("%d rows are kept, not the 2 of the unit that succeeded", n)
	}
}

func TestStatements(t *testing.T) {
	d := open(t, Config{})
	update(t, d, func(tx *Tx) error {
		// A parameter may stand before a lower one, and twice.
		changed, err := tx.Exec(`INSERT INTO notes (at, no) VALUES ($2, $1), ($2, $3)`, 7, 70, 8)
		if err != nil || changed != 2 {
			return fmt.Errorf("%d rows changed: %w", changed, err)
		}
		var no, at int64
		if err := tx.QueryRow(`UPDATE notes SET at = at + $1 WHERE no = $2 RETURNING no, at`, 1, 7).Scan(&no, &at); err != nil {
			return err
		}
		if no != 7 || at != 71 {
			t.Errorf("RETURNING gave %d and %d", no, at)
		}
		if err := tx.QueryRow(`SELECT at FROM notes WHERE no = $1`, 9).Scan(&at); err != sql.ErrNoRows {
			t.Errorf("a row that is not there: %v", err)
		}
		if _, err := tx.Exec(`SELECT nonsense`); err == nil || !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("a broken text: %v", err)
		}
		return nil
	})
	if err := d.Update(t.Context(), inserting(7)); err == nil {
		t.Error("there are two rows with the same key")
	}
}

func TestManyTextsDoNotPileUp(t *testing.T) {
	d := open(t, Config{})
	for i := range 2 * maxStatements {
		update(t, d, func(tx *Tx) error {
			if n := len(tx.on().statements); n > maxStatements+8 {
				t.Fatalf("%d prepared statements", n)
			}
			var n int
			return tx.QueryRow(fmt.Sprintf(`SELECT %d`, i)).Scan(&n)
		})
	}
}

func TestResultsDoNotPileUp(t *testing.T) {
	d := open(t, Config{})
	read := func(tx *Tx) error {
		for range 10 * manyOpen {
			var one int
			if err := tx.QueryRow(`SELECT 1`).Scan(&one); err != nil {
				return err
			}
		}
		if len(tx.open) > manyOpen {
			t.Errorf("%d closed results are kept", len(tx.open))
		}
		return nil
	}
	if err := errors.Join(d.View(t.Context(), read), d.Update(t.Context(), read)); err != nil {
		t.Fatal(err)
	}
}

func TestAViewIsASnapshot(t *testing.T) {
	d := open(t, Config{})
	update(t, d, inserting(1))
	err := d.View(t.Context(), func(tx *Tx) error {
		update(t, d, inserting(2)) // beside the view
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM notes`).Scan(&n); err != nil {
			return err
		}
		if n != 1 {
			t.Errorf("the view sees %d rows, not the 1 at its start", n)
		}
		if err := insert(tx, 3); err == nil {
			t.Error("a view wrote")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := rows(t, d); n != 2 {
		t.Fatalf("%d rows", n)
	}
}

func TestAViewWaitsForAReaderUntilItsCallerGoes(t *testing.T) {
	d := open(t, Config{Readers: 1})
	err := d.View(t.Context(), func(*Tx) error {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return d.View(ctx, func(*Tx) error { return errors.New("it ran") })
	})
	if err != context.Canceled {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = d.View(t.Context(), func(*Tx) error { panic("in a view") })
	}()
	if n := rows(t, d); n != 0 { // the one reader is back
		t.Fatalf("%d rows", n)
	}
}

func TestUpdateInsideAUnitIsRefused(t *testing.T) {
	d := open(t, Config{})
	err := d.Update(t.Context(), func(tx *Tx) error {
		return d.Update(tx.Context(), func(*Tx) error { return nil })
	})
	if err == nil || !strings.Contains(err.Error(), "inside a unit") {
		t.Fatal(err)
	}
}

func TestReadingOnly(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "with space?&#.db")
	if _, err := Open(t.Context(), Config{URL: url, ReadOnly: true}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("a database that is not there: %v", err)
	}
	d := open(t, Config{URL: url})
	update(t, d, inserting(2))
	beside := open(t, Config{URL: url, ReadOnly: true}) // beside a server that runs
	if n := rows(t, beside); n != 1 {
		t.Fatalf("%d rows", n)
	}
	if err := beside.Update(t.Context(), inserting(3)); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	closed(t, d)
	alone := open(t, Config{URL: url, ReadOnly: true})
	if n := rows(t, alone); n != 1 {
		t.Fatalf("%d rows", n)
	}
}

func TestURLs(t *testing.T) {
	for _, url := range []string{"", "sqlite:", "postgres://[", "mysql://localhost/purser", "/a/path"} {
		if _, err := Open(t.Context(), Config{URL: url}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestAfterClose(t *testing.T) {
	dir := t.TempDir()
	d := open(t, Config{URL: "sqlite:" + filepath.Join(dir, "purser.db")})
	closed(t, d)
	closed(t, d)
	if err := d.Update(t.Context(), inserting(1)); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if err := d.View(t.Context(), func(*Tx) error { return nil }); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := file.Name(); name != "purser.db" && name != "purser.db.lock" {
			t.Errorf("%s is left behind", name)
		}
	}
}

func TestRowsLeftOpenDoNotHoldTheSnapshot(t *testing.T) {
	d := open(t, Config{Readers: 1})
	update(t, d, func(tx *Tx) error { return errors.Join(insert(tx, 1), insert(tx, 2)) })
	leave := func(tx *Tx) error {
		rows, err := tx.Query(`SELECT no FROM notes`)
		if err == nil && !rows.Next() {
			t.Error("no row")
		}
		return err
	}
	for n := 2; n < 5; n++ {
		if err := errors.Join(d.View(t.Context(), leave), d.Update(t.Context(), leave)); err != nil {
			t.Fatal(err)
		}
		if got := rows(t, d); got != n {
			t.Errorf("a later view sees %d rows of %d", got, n)
		}
		update(t, d, inserting(n+1))
	}
}
