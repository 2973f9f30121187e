// Package db keeps the rows: it opens the database, brings its schema up to date
// and runs units of work on it.
//
// What it keeps true: a unit of work happens as a whole or not at all; when
// Update has returned nil, what the unit wrote is on the disk; units see one
// instant each, and instants never go back from one unit to the next. Many units
// that wait at the same time share one commit, so that one hot wallet with
// thousands of callers costs as many disk flushes as a quiet one.
package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/purserhq/purser/internal/fault"
)

// The limits, where Config leaves them zero.
const (
	DefaultBatch   = 512  // units in one commit
	DefaultSpan    = 25e6 // nanoseconds that it gathers them for
	DefaultQueue   = 8192 // units that may wait
	DefaultReaders = 4    // views at the same time
)

// Config says which database to open, and how.
type Config struct {
	URL      string       // sqlite:PATH, made if it is not there; or postgres://USER:PASSWORD@HOST:PORT/NAME
	Clock    Clock        // the system's clock if nil; a *TestClock keeps its instant in the database
	Log      *slog.Logger // the default logger if nil
	ReadOnly bool         // only View: neither lock nor migration
	Alone    bool         // no other server may use the PostgreSQL
	Server   Server       // who this is among the servers of the PostgreSQL, without its URL
	Batch    int          // units in one commit at most
	Span     int64        // nanoseconds that a commit gathers units for at most
	Queue    int          // units that may wait; more are refused
	Readers  int          // views at the same time
	Observe  func(Commit) // called after every commit, on the writer: must be quick
}

// DB is an open database.
type DB struct {
	clock        Clock
	log          *slog.Logger
	lock         *fileLock
	server       *server // the PostgreSQL, nil for SQLite
	alone        bool    // no other server may write to it
	roll         roll
	pulse        *pulse // whether it is there, nil for SQLite
	dial         func(context.Context, url.Values) (*conn, error)
	writer       *writer
	checkpointer *checkpointer // nil for PostgreSQL
	readers      chan *conn    // those that no view uses
	opened       int           // readers
	last         atomic.Int64  // the latest instant that a unit was given
	ids          generator

	failOnce sync.Once
	failed   chan struct{}
	failure  atomic.Pointer[fault.Fault]
	closing  sync.Once
	closed   chan struct{}
}

// Open opens the database, makes it if there is none, and brings its schema up
// to date under a lock. What an operator can mend is a *fault.Fault: a directory
// that cannot be written, another server on the same database, a schema from the
// future, a file that is something else.
func Open(ctx context.Context, c Config) (*DB, error) {
	c.fill()
	d := &DB{clock: c.Clock, log: c.Log, alone: c.Alone, roll: roll{self: c.Server, news: make(chan struct{}, 1)}, failed: make(chan struct{}), closed: make(chan struct{})}
	path, err := d.find(c.URL)
	if err != nil {
		return nil, err
	}
	if err := d.open(ctx, path, c); err != nil {
		return nil, errors.Join(explain(path, err), d.Close())
	}
	return d, nil
}

// find reads the URL: which database it is, and how its connections are made.
func (d *DB) find(address string) (path string, err error) {
	if isPostgres(address) {
		if d.server, err = newServer(address); err != nil {
			return "", err
		}
		d.dial = func(ctx context.Context, _ url.Values) (*conn, error) { return d.server.connect(ctx) }
		return d.server.name, nil
	}
	if path, err = pathOf(address); err != nil {
		return "", err
	}
	d.dial = func(ctx context.Context, kind url.Values) (*conn, error) { return connect(ctx, path, kind) }
	return path, nil
}

// IsShared reports whether other servers may write to the database too.
func (d *DB) IsShared() bool { return d.server != nil }

func pathOf(address string) (string, error) {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok || path == "" {
		return "", fault.New(fault.Invalid, "%q is no database that this purser can open: give sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/NAME", address)
	}
	return filepath.Abs(path)
}

func (c *Config) fill() {
	if c.Clock == nil {
		c.Clock = SystemClock{}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Observe == nil {
		c.Observe = func(Commit) {}
	}
	c.Batch = positive(c.Batch, DefaultBatch)
	if c.Span <= 0 {
		c.Span = DefaultSpan
	}
	c.Queue = positive(c.Queue, DefaultQueue)
	c.Readers = positive(c.Readers, DefaultReaders)
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

func (d *DB) open(ctx context.Context, path string, c Config) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	if !c.ReadOnly {
		if d.server == nil {
			if d.lock, err = lockFile(path); err != nil {
				return err
			}
		}
		if err := d.openWriter(ctx, path, steps, c); err != nil {
			return err
		}
	}
	if err := d.openReaders(ctx, path, steps, c); err != nil {
		return err
	}
	return d.startClock(ctx)
}

func (d *DB) openWriter(ctx context.Context, path string, steps []migration, c Config) error {
	w, err := d.dialWriter(ctx)
	if err != nil {
		return err
	}
	err = d.migrate(ctx, w, path, steps)
	if err == nil && d.server != nil {
		err = d.server.typesOf(ctx, w)
	}
	if err != nil {
		return errors.Join(err, w.close())
	}
	d.writer = newWriter(d, w, c)
	if d.server != nil {
		return d.startPulse(ctx, w)
	}
	return d.startCheckpointer(ctx)
}

// migrate brings the schema up to date.
func (d *DB) migrate(ctx context.Context, w *conn, path string, steps []migration) error {
	if d.server != nil {
		return d.server.migrate(ctx, w, steps, d.clock.Now())
	}
	return migrate(ctx, w, path, steps, d.clock.Now())
}

// dialWriter connects the writer. Of a PostgreSQL its connection holds the lock, alone
// or with others: it is none without.
func (d *DB) dialWriter(ctx context.Context) (*conn, error) {
	w, err := d.dial(ctx, writing)
	if err != nil || d.server == nil {
		return w, err
	}
	err = d.server.take(ctx, w, d.alone)
	if err == nil {
		err = d.server.confirm(ctx, w)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (d *DB) openReaders(ctx context.Context, path string, steps []migration, c Config) error {
	kind := reading
	if c.ReadOnly {
		kind = onlyReading
	}
	d.readers = make(chan *conn, c.Readers)
	for range c.Readers {
		r, err := d.dial(ctx, kind)
		if err != nil {
			return err
		}
		d.readers <- r
		d.opened++
		if err := checkSchema(ctx, r, path, steps); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for the commit and the views under way, refuses whatever still
// waits, and closes the database.
func (d *DB) Close() error {
	var errs []error
	d.closing.Do(func() {
		d.resign()
		close(d.closed)
		if d.writer != nil {
			d.writer.stop()
		}
		errs = append(errs, d.checkpointer.stop())
		for range d.opened {
			errs = append(errs, (<-d.readers).close())
		}
		errs = append(errs, d.pulse.stop()) // until here it has ended what waits in vain
		if d.writer != nil {                // last: it folds the log into the file
			errs = append(errs, d.writer.conn.close())
		}
		errs = append(errs, d.lock.release())
	})
	return errors.Join(errs...)
}

// Update runs fn as a unit of work and returns when it is durable. Units of many
// callers share one commit, one after the other on one goroutine, so fn must not
// wait for anything but the database, and may be run again from its start if
// another unit spoilt the commit: it sets its results anew each time.
//
// An error of fn undoes the unit and is returned as it is. If ctx ends before
// the unit started, nothing was done and ctx's error is returned; once started,
// a unit runs to its end and Update returns what came of it.
func (d *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if d.writer == nil {
		return fault.New(fault.Unavailable, "the database was opened for reading only")
	}
	if ctx.Value(unitKey{}) != nil {
		return errors.New("db: Update inside a unit of work")
	}
	if err := d.pulse.gone(); err != nil {
		return err
	}
	return d.writer.do(ctx, fn)
}

// View runs fn on a consistent snapshot of what is committed, beside other views
// and the writer. It runs on the caller's goroutine, once.
func (d *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return d.reading(ctx, func(c *conn) error { return d.view(ctx, c, fn) })
}

// reading waits for a connection that reads, and lends it.
func (d *DB) reading(ctx context.Context, fn func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.pulse.gone(); err != nil {
		return err
	}
	select {
	case c := <-d.readers:
		defer func() { d.readers <- c }()
		err := d.pulse.gone() // it may have gone while we waited
		if err != nil {
			return err
		}
		if c, err = c.revived(func() (*conn, error) { return d.dial(ctx, nil) }); err != nil {
			return err
		}
		return fn(c)
	case <-ctx.Done():
		return ctx.Err()
	case <-d.closed:
		return errClosed()
	}
}

// Glance is View for one statement: on PostgreSQL without the trips that a snapshot
// of several takes.
func (d *DB) Glance(ctx context.Context, fn func(*Tx) error) error {
	if d.server == nil {
		return d.View(ctx, fn)
	}
	return d.reading(ctx, func(c *conn) error {
		c.trim()
		tx := &Tx{db: d, conn: c, ctx: ctx, now: d.now()}
		defer tx.finish()
		err := fn(tx)
		if fault.Of(err) == nil && c.lost(err) {
			return unreachable(err)
		}
		return err
	})
}

func (d *DB) view(ctx context.Context, c *conn, fn func(*Tx) error) error {
	if err := c.beginRead(); c.lost(err) {
		return unreachable(err)
	} else if err != nil {
		return fmt.Errorf("begin a view: %w", err)
	}
	defer c.rollback()
	// The snapshot stands, so this instant is not before any that it contains.
	tx := &Tx{db: d, conn: c, ctx: ctx, now: d.now()}
	defer tx.finish()
	err := fn(tx)
	if fault.Of(err) == nil && c.lost(err) {
		return unreachable(err)
	}
	return err
}

// Clock is the clock that the units of work go by.
func (d *DB) Clock() Clock { return d.clock }

// now is the clock's instant, or the latest given one if the clock went back.
func (d *DB) now() int64 {
	now := d.clock.Now()
	for {
		last := d.last.Load()
		if now <= last {
			return last
		}
		if d.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// Failed is closed when the database cannot be written any more: the disk is
// full or broken. Every Update is refused from then on; Err says why.
func (d *DB) Failed() <-chan struct{} { return d.failed }

// Err is why the database failed, or nil.
func (d *DB) Err() error {
	if f := d.failure.Load(); f != nil {
		return f
	}
	return nil
}

// fail gives the database up, loudly and for good: what memory holds and what the
// disk holds might differ from here on, and a restart reads the truth anew.
func (d *DB) fail(why *fault.Fault, err error) {
	d.failOnce.Do(func() {
		d.failure.Store(why)
		d.log.Error("the database failed: nothing is written any more", "why", why.Message, "error", err)
		close(d.failed)
	})
}
