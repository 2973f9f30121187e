package db

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
)

// A connection that the database ends is made anew, and the writer's is none without
// the lock that keeps others off.
func TestALostConnectionComesBackWithItsLock(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has no connection to lose; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.Empty(t)
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

// Servers share a PostgreSQL, unless one of them is to have it alone.
func TestServersShareUnlessOneIsAlone(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.Empty(t)
	first := open(t, Config{URL: url, Server: Server{ID: "server_a", Roles: "keeper,jobs", Offers: "gpu.h100=8"}})
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
	if s := second.Servers()[0]; s != (Server{"server_a", "http://a", "keeper,jobs", "gpu.h100=8", true, s.news}) || second.Self() != "server_b" || first.HasOther("keeper") {
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

// A host of the URL that does not answer is waited for once, and not by each of the
// connections.
func TestASilentHostIsWaitedForOnce(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has no hosts; this runs with " + dbtest.Variable)
		return
	}
	port, err := dbtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // it accepts, and says nothing
	began := startWatch()
	d := open(t, Config{URL: strings.Replace(dbtest.Empty(t), "@", "@"+silent.Addr().String()+",", 1) + "&connect_timeout=2"})
	update(t, d, inserting(1))
	if took := began.elapsed(); took < 2e9 || took > 2*2e9 {
		t.Errorf("it took %s", time.Duration(took))
	}
}

// A commit that is not confirmed is not waited for without end: its caller is told that
// it is not known, and the next ones are refused until a commit comes through again.
func TestTheDatabaseAnswersOrIsAway(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite is never away; this runs with " + dbtest.Variable)
		return
	}
	d := open(t, Config{URL: dbtest.Empty(t)})
	d.pulse.given.wire.limit.Store(int64(300 * time.Millisecond))
	err := d.Update(t.Context(), func(tx *Tx) error {
		var none string
		return tx.QueryRow(`SELECT pg_sleep(30)::text`).Scan(&none)
	})
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable {
		t.Errorf("it got %v", err)
	}
	for end := startWatch(); d.Update(t.Context(), inserting(1)) != nil; time.Sleep(10 * time.Millisecond) {
		if end.elapsed() > 10e9 {
			t.Fatal(d.Ready())
		}
	}
	select {
	case <-d.Returned():
	default:
		t.Error("nobody is told that it was away")
	}
}
