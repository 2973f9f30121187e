package db

import (
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// A connection that the database ends is made anew, and the writer's is none without
// the lock that keeps a second server off.
func TestALostConnectionComesBackWithItsLock(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has no connection to lose; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.URL(t)
	d := open(t, Config{URL: url})
	beside := open(t, Config{URL: url, Several: true})
	locks := func() int64 {
		return integer(t, beside, `SELECT count(*) FROM pg_locks l JOIN pg_database b ON b.oid = l.database
			WHERE l.locktype = 'advisory' AND l.granted AND b.datname = current_database()`)
	}
	if n := locks(); n != 1 {
		t.Fatalf("%d locks", n)
	}
	update(t, d, inserting(1))
	ended := integer(t, beside, `SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_database b ON b.oid = l.database
		WHERE l.locktype = 'advisory' AND b.datname = current_database()`)
	if ended != 1 {
		t.Fatalf("%d connections were ended", ended)
	}
	for no, end := 2, startWatch(); d.Update(t.Context(), inserting(no)) != nil; no++ { // it finds out the hard way
		if end.elapsed() > 10e9 {
			t.Fatal(d.Ready())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := d.Ready(); err != nil {
		t.Error(err)
	}
	if n := locks(); n != 1 {
		t.Errorf("%d locks after it came back", n)
	}
}
