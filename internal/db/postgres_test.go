package db

import (
	"context"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// A connection that the database ends is made anew, and the writer's is none without
// the lock that keeps others off.
func TestALostConnectionComesBackWithItsLock(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has no connection to lose; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.URL(t)
	d := open(t, Config{URL: url, Alone: true})
	looking := open(t, Config{URL: url, ReadOnly: true})
	locks := func() int64 {
		return integer(t, looking, `SELECT count(*) FROM pg_locks l JOIN pg_database b ON b.oid = l.database
			WHERE l.locktype = 'advisory' AND l.granted AND b.datname = current_database()`)
	}
	if n := locks(); n != 1 {
		t.Fatalf("%d locks", n)
	}
	update(t, d, inserting(1))
	ended := integer(t, looking, `SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_database b ON b.oid = l.database
		WHERE l.locktype = 'advisory' AND b.datname = current_database()`)
	if ended != 1 {
		t.Fatalf("%d connections were ended", ended)
	}
	for no := 2; ; no++ { // the first may find out the hard way
		if err := d.Update(t.Context(), inserting(no)); err == nil {
			break
		} else if no == 5 {
			t.Fatal(err)
		}
	}
	if n := locks(); n != 1 {
		t.Errorf("%d locks after it came back", n)
	}
}

// Servers share a PostgreSQL, unless one of them is to have it alone.
func TestServersShareUnlessOneIsAlone(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.URL(t)
	first := open(t, Config{URL: url, Server: Server{ID: "server_a", Roles: "keeper,jobs"}})
	second := open(t, Config{URL: url, Server: Server{ID: "server_b", Roles: "api"}})
	for d, url := range map[*DB]string{first: "http://a", second: "http://b"} {
		if err := d.Enroll(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Open(ctx, Config{URL: url, Alone: true}); err == nil {
		t.Error("one was alone among others")
	}
	within(t, "both see both", func() bool {
		return len(first.Servers()) == 2 && len(second.Servers()) == 2 && first.HasOther("api") && second.HasOther("keeper")
	})
	if s := second.Servers()[0]; s != (Server{"server_a", "http://a", "keeper,jobs", true, s.news}) || second.Self() != "server_b" || first.HasOther("keeper") {
		t.Errorf("the first is %+v to the second, which is %s", s, second.Self())
	}
	update(t, second, func(tx *Tx) error { return tx.Tell("server_a") })
	select {
	case <-first.News():
	case <-time.After(10 * time.Second):
		t.Error("the news did not arrive")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, "the second is alone", func() bool { return !second.HasOther("keeper") })
}

func within(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for range 1000 {
		if isSo() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("not within 10 s: " + what)
}
