package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// Clock tells the time in Unix nanoseconds.
type Clock interface{ Now() int64 }

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now is the machine's time.
func (SystemClock) Now() int64 { return time.Now().UnixNano() }

// TestClock stands still until it is moved. Its instant is kept in the database
// that it is opened with, so that a restart cannot turn it back.
type TestClock struct {
	mu      sync.Mutex
	now     int64
	changed chan struct{}
	db      *DB
}

// NewTestClock makes a clock that starts at an instant in Unix nanoseconds, or at
// the one stored in its database if that is later. Give it to one Open.
func NewTestClock(start int64) *TestClock {
	return &TestClock{now: start, changed: make(chan struct{})}
}

// Now is the instant at which the clock stands.
func (c *TestClock) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Changed is closed when the clock moves next.
func (c *TestClock) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Set moves the clock forward to an instant in Unix nanoseconds and stores it
// first: nothing durable is ever later than the stored clock.
func (c *TestClock) Set(ctx context.Context, at int64) error {
	if now := c.Now(); at < now {
		return fault.New(fault.Invalid, "the test clock stands at %s and does not go back to %s", show(now), show(at))
	} else if at == now {
		return nil
	}
	return c.db.Update(ctx, func(tx *Tx) error { return c.Move(tx, at) })
}

// Advance moves the clock forward by a number of nanoseconds.
func (c *TestClock) Advance(ctx context.Context, by int64) error {
	now := c.Now()
	if by < 0 || now+by < now {
		return fault.New(fault.Invalid, "the test clock cannot be advanced by %d ns", by)
	}
	return c.Set(ctx, now+by)
}

// Move stores the instant in a unit of work; the clock shows it after the commit.
// An instant that has passed already moves nothing.
func (c *TestClock) Move(tx *Tx, at int64) error {
	if err := tx.execLater(`INSERT INTO clock (id, now) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET now = excluded.now WHERE excluded.now > clock.now`, at); err != nil {
		return fmt.Errorf("store the test clock: %w", err)
	}
	tx.AfterCommit(func() { c.show(at) })
	return nil
}

func (c *TestClock) show(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at > c.now {
		c.now = at
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// startClock joins the clock and the database. A database that has lived in test
// time is not opened in real time: its instants may lie in the future.
func (d *DB) startClock(ctx context.Context) error {
	var stored int64
	err := d.View(ctx, func(tx *Tx) error { return tx.QueryRow(`SELECT now FROM clock WHERE id = 1`).Scan(&stored) })
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the test clock: %w", err)
	}
	test, ok := d.clock.(*TestClock)
	if !ok {
		if stored != 0 && d.writer != nil {
			return fault.New(fault.Conflict, "this database lives by a test clock, which stands at %s: "+
				"start with --test-clock, or on another database", show(stored)).WithCode("test_clock")
		}
		return nil
	}
	test.show(stored)
	if d.writer == nil {
		return nil
	}
	if stored == 0 {
		if err := d.refuseRealHistory(ctx); err != nil {
			return err
		}
	}
	test.db = d
	return d.Update(ctx, func(tx *Tx) error { return test.Move(tx, test.Now()) })
}

// refuseRealHistory is the other way round: what has lived in real time would be
// billed up to an instant that somebody made up, and could never go back.
func (d *DB) refuseRealHistory(ctx context.Context) error {
	var last int64
	err := d.View(ctx, func(tx *Tx) error { return tx.QueryRow(`SELECT COALESCE(MAX(at), 0) FROM journal`).Scan(&last) })
	if err != nil {
		return fmt.Errorf("look for books kept in real time: %w", err)
	}
	if last == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "this database lives by the real clock, its books go up to %s: "+
		"start without --test-clock, or on another database", show(last)).WithCode("real_clock")
}

func show(at int64) string { return time.Unix(0, at).UTC().Format(time.RFC3339Nano) }

// watch measures how long something takes.
type watch struct{ since time.Time }

func startWatch() watch { return watch{time.Now()} }

// elapsed is in nanoseconds.
func (w watch) elapsed() int64 { return int64(time.Since(w.since)) }

// after is the deadline of a connection, ns from now.
func after(ns int64) time.Time { return time.Now().Add(time.Duration(ns)) }
