package db

import (
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// Long views (verify, a report) do not keep a server from beating.
func TestBeatsDoNotWaitForReaders(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.Empty(t)
	a := open(t, Config{URL: url, Server: Server{ID: "a", Roles: "jobs"}})
	b := open(t, Config{URL: url, Server: Server{ID: "b", Roles: "jobs"}})
	for _, d := range []*DB{a, b} {
		if err := d.Enroll(t.Context(), "http://x"); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "b sees a", func() bool { return b.HasOther("jobs") })
	end := make(chan struct{})
	for range DefaultReaders {
		go a.View(t.Context(), func(*Tx) error { <-end; return nil })
	}
	time.Sleep(5 * time.Second)
	if !b.HasOther("jobs") {
		t.Error("a works, and counts as dead")
	}
	if err := a.Update(t.Context(), func(tx *Tx) error { _, err := tx.Exec(`UPDATE servers SET url = url`); return err }); err != nil {
		t.Error(err)
	}
	close(end)
}
