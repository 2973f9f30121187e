package db

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/purserhq/purser/internal/fault"
)

// maxAgain is how often a batch runs again because another server was faster. From
// the second run on it holds the rows that it works on, so more means that
// something else is wrong.
const maxAgain = 8

// writer is the one goroutine that writes. Callers put units in its queue; it
// takes all that wait, runs them one after the other in one transaction and
// answers everyone after the commit.
type writer struct {
	db      *DB
	conn    *conn
	limit   int   // units in a batch
	span    int64 // for how long a batch gathers them: slow ones do not keep the first caller waiting for the last
	observe func(Commit)
	stats   counters

	mu       sync.Mutex
	waiting  []*unit
	capacity int
	stopped  bool
	wake     chan struct{} // one token: something waits, or the writer is stopped
	ended    chan struct{}

	again   int     // how often the batch has been run again because of other servers
	running []*unit // what the writer has taken and not answered
	open    *batch  // the batch in which they run, while it can be undone
}

// unit is one call of Update.
type unit struct {
	ctx     context.Context
	fn      func(*Tx) error
	tx      Tx
	err     error
	ran     bool         // at least once
	started atomic.Int32 // waiting, begun or left
	done    chan struct{}
}

const (
	waiting int32 = iota
	begun
	left // the caller went away first
)

func newWriter(d *DB, c *conn, config Config) *writer {
	w := &writer{
		db: d, conn: c, limit: config.Batch, span: config.Span, observe: config.Observe, capacity: config.Queue,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	go w.loop()
	return w
}

// do queues a unit and waits for its answer.
func (w *writer) do(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &unit{ctx: ctx, fn: fn, done: make(chan struct{}, 1)}
	if err := w.enqueue(u); err != nil {
		return err
	}
	select {
	case <-u.done:
		return u.err
	case <-ctx.Done():
	}
	if u.started.CompareAndSwap(waiting, left) {
		return ctx.Err()
	}
	<-u.done
	return u.err
}

func (w *writer) enqueue(u *unit) error {
	if err := w.db.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return errClosed()
	}
	if len(w.waiting) >= w.capacity {
		w.stats.refused.Add(1)
		return fault.New(fault.Unavailable, "the server is too busy: %d requests wait for the database; try again", w.capacity).
			WithCode("busy")
	}
	w.waiting = append(w.waiting, u)
	w.signal()
	return nil
}

func errClosed() *fault.Fault {
	return fault.New(fault.Unavailable, "the server is stopping; try again").WithCode("stopping")
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take waits for work and returns at most limit units, oldest first; none when
// the writer is to stop.
func (w *writer) take() []*unit {
	for {
		w.mu.Lock()
		n := min(len(w.waiting), w.limit)
		units, stopped := w.waiting[:n:n], w.stopped
		w.waiting = w.waiting[n:]
		w.mu.Unlock()
		if stopped || n > 0 {
			return units
		}
		<-w.wake
	}
}

func (w *writer) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.signal()
	<-w.ended
}

// loop is the writer's goroutine.
func (w *writer) loop() {
	orderly := false
	defer func() {
		if !orderly {
			w.deserted()
		}
	}()
	for {
		w.running = w.take()
		if w.isStopped() {
			break
		}
		w.work(w.running)
		w.running = nil
		// The callers just answered often have their next unit ready: let them
		// queue it first, so that it is not left behind by a tiny batch.
		runtime.Gosched()
	}
	w.refuse(errClosed())
	orderly = true
	close(w.ended)
}

func (w *writer) isStopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// refuse answers everyone who waits with an error.
func (w *writer) refuse(err error) {
	w.mu.Lock()
	units := append(w.running, w.waiting...)
	w.running, w.waiting = nil, nil
	w.mu.Unlock()
	for _, u := range units {
		if u.begin() {
			u.answer(err)
		}
	}
}

// deserted runs when a unit ended the writer's goroutine under it (a test that
// calls FailNow inside a unit, say). Nothing of the batch is kept, and nobody is
// left waiting.
func (w *writer) deserted() {
	why := fault.New(fault.Unavailable, "the server stopped writing after an internal error; it needs a restart")
	w.db.fail(why, fmt.Errorf("a unit of work ended the writer's goroutine"))
	if w.open != nil {
		w.open.undo()
	}
	w.refuse(why)
	go w.loop()
}

// work runs units until each has its answer. A unit that spoils a batch costs the
// others at most one more run: those before it run again and are committed, and
// the work goes on behind it.
func (w *writer) work(units []*unit) {
	for len(units) > 0 {
		if err := w.db.Err(); err != nil {
			settle(units, err)
			return
		}
		t := w.attempt(units)
		if isMoved(t.err) && w.again < maxAgain {
			w.again++
			continue
		}
		w.again = 0
		switch {
		case w.db.Err() != nil: // all that ran is undone
		case t.err == nil:
			settle(units[:t.ran], nil)
			units = units[t.ran:]
		case t.blame == one:
			w.stats.poisoned.Add(1)
			last := t.ran - 1
			w.work(units[:last])
			settle(units[last:t.ran], t.err)
			units = units[t.ran:]
		case t.blame == nobody || t.ran == 1:
			settle(units[:t.ran], t.err)
			units = units[t.ran:]
		default: // one of those that ran: look in halves
			half := t.ran / 2
			w.work(units[:half])
			w.work(units[half:t.ran])
			units = units[t.ran:]
		}
	}
}

// settle answers units: with err, or each with its own if err is nil.
func settle(units []*unit, err error) {
	for _, u := range units {
		switch {
		case !u.begin():
		case err != nil:
			u.answer(err)
		default:
			u.answer(u.err)
		}
	}
}

// begin marks the unit as started; false if its caller has gone. A unit that is
// run again has begun already.
func (u *unit) begin() bool {
	return u.started.CompareAndSwap(waiting, begun) || u.started.Load() == begun
}

func (u *unit) answer(err error) {
	u.err = err
	u.done <- struct{}{}
}
