package db

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func open(t testing.TB, c Config) *DB {
	t.Helper()
	if c.URL == "" {
		c.URL = "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	}
	d, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func insert(tx *Tx, no int) error {
	_, err := tx.Exec(`INSERT INTO seals (no, at, wallets, heads, prev_hash, hash) VALUES ($1, $2, 0, '', '', '')`, no, tx.Now())
	return err
}

func count(t testing.TB, d *DB) (n int) {
	t.Helper()
	if err := d.View(t.Context(), func(tx *Tx) error { return tx.QueryRow(`SELECT count(*) FROM seals`).Scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestUpdateThenView(t *testing.T) {
	d := open(t, Config{})
	if err := d.Update(t.Context(), func(tx *Tx) error { return insert(tx, 1) }); err != nil {
		t.Fatal(err)
	}
	if n := count(t, d); n != 1 {
		t.Fatalf("%d rows", n)
	}
	err := d.View(t.Context(), func(tx *Tx) error { return insert(tx, 2) })
	if err == nil {
		t.Fatal("a view wrote")
	}
	broken := errors.New("no")
	if err := d.Update(t.Context(), func(tx *Tx) error { return errors.Join(insert(tx, 3), broken) }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if n := count(t, d); n != 1 {
		t.Fatalf("%d rows after a unit that failed", n)
	}
}

