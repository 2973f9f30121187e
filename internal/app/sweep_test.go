package app

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// A program with the keeper's role forgets what has ended from its start on; one without
// leaves that to others.
func TestWhatHasEndedIsForgottenByTheKeeper(t *testing.T) {
	url := dbtest.URL(t)
	run := func(roles Roles) *App {
		t.Helper()
		a, err := Start(t.Context(), Config{Data: t.TempDir(), Database: url, Listen: "unix:" + filepath.Join(t.TempDir(), "s"), Roles: roles})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	left := func(a *App) (n int) {
		t.Helper()
		if err := a.db.View(t.Context(), func(tx *db.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM attempts`).Scan(&n) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	a := run(Roles{API: true})
	err := a.db.Update(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO attempts (subject, failures, tried_at, retry_at) VALUES ('x', 1, 1, 1)`)
		return err
	})
	if err != nil || left(a) != 1 {
		t.Fatalf("%d rows: %v", left(a), err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = run(Roles{Keeper: true})
	defer a.Close()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for until := time.Now().Add(10 * time.Second); left(a) > 0; <-look.C {
		if time.Now().After(until) {
			t.Fatal("nothing was forgotten")
		}
	}
}
