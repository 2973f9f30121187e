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

// writer is the one goroutine that runs units. Callers put them in its queue; it takes
// those whose turn it is, runs them one after the other in one transaction, and gives
// back those for which there was no time. While it commits what they did, on another
// goroutine, it runs the next; everyone is answered after the commit of his batch.
type writer struct {
	db      *DB
	conn    *conn // of the batch that owns it
	limit   int   // units in a batch
	span    int64 // for how long a batch gathers them: slow ones do not keep the first caller waiting for the last
	observe func(Commit)
	stats   counters

	mu      sync.Mutex
	queue   queue
	pace    pace
	stopped bool
	wake    chan struct{} // one token: something waits, or the writer is stopped
	ended   chan struct{}

	again   int         // how often the batch has been run again because of other servers
	running []*unit     // what the writer has taken, and neither answered nor handed on
	open    *batch      // the batch in which they run, while it can be undone
	flight  *batch      // the batch that is being committed; nil if none is
	commits chan *batch // to be committed
}

// unit is one call of Update.
type unit struct {
	lane    string
	next    *unit // in its lane
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
		db: d, conn: c, limit: config.Batch, span: config.Span, observe: config.Observe, queue: newQueue(config.Queue),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), commits: make(chan *batch),
	}
	go w.loop()
	go func() {
		for b := range w.commits {
			b.finish()
		}
	}()
	return w
}

// do queues a unit and waits for its answer.
func (w *writer) do(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	u := &unit{lane: laneOf(ctx), ctx: ctx, fn: fn, done: make(chan struct{}, 1)}
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
	if !w.queue.hasRoom(u.lane) {
		w.stats.refused.Add(1)
		return w.busy(u.lane)
	}
	w.queue.add(u)
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

// take waits for work and returns some units; none when the writer is to stop.
func (w *writer) take() []*unit {
	for {
		w.mu.Lock()
		var units []*unit
		stopped := w.stopped
		if w.isTime() {
			units = w.queue.take(w.share())
			w.pace.begin(len(units))
		}
		w.mu.Unlock()
		if stopped || len(units) > 0 {
			return units
		}
		if w.flight == nil {
			<-w.wake
			continue
		}
		select {
		case <-w.wake:
		case <-w.flight.ended:
			w.land()
		}
	}
}

// fewUnits are not worth to be parted, nor to be waited for.
const fewUnits = 16

// isTime reports whether the next batch may begin. While many units are being committed it
// waits until as many have come: what is run before cannot be committed sooner, and those
// who are just coming back would be left behind by it.
func (w *writer) isTime() bool {
	return w.flight == nil || len(w.flight.units) <= fewUnits || w.queue.waiting >= len(w.flight.units)
}

// share is how many units go into the next batch: half of all that wait or are being
// committed, so that each half runs while the other is written. Whoever was just answered
// is back when the next batch is made.
func (w *writer) share() int {
	all := w.queue.waiting
	if w.flight != nil {
		all += len(w.flight.units)
	}
	return min(w.limit, max(fewUnits, (all+1)/2))
}

// giveBack lets units that the batch had no time for wait again.
func (w *writer) giveBack(served, rest []*unit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.giveBack(served, rest)
	w.pace.end(len(served))
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
		n := w.step(w.running)
		w.giveBack(w.running[:n], w.running[n:])
		w.running = nil
		// The callers just answered often have their next unit ready: let them
		// queue it first, so that it is not left behind by a tiny batch.
		runtime.Gosched()
	}
	w.land()
	w.refuse(errClosed())
	orderly = true
	close(w.commits)
	close(w.ended)
}

// step runs as many units as one batch has time for, the first ones, and sees to it that
// they are answered: at once, or by the batch that is handed on.
func (w *writer) step(units []*unit) int {
	if err := w.db.Err(); err != nil {
		w.land()
		settle(units, err)
		return len(units)
	}
	isAlone := w.flight == nil
	b := w.prepare(units, w.flight)
	if !w.hasLanded() && b.tried.err == nil { // it went on from what has not happened
		b.forget()
	}
	w.open = nil
	switch {
	case !w.land():
		w.stats.stale.Add(1)
		return w.once(units)
	case b.tried.err != nil:
		return w.judge(units, b.tried)
	case isAlone && w.depth() == 0: // nothing to run meanwhile
		return w.judge(units, w.complete(b))
	}
	w.flight = b
	w.commits <- b
	return len(b.units)
}

// hasLanded waits for the batch that is being committed, and reports whether it was.
func (w *writer) hasLanded() bool {
	if w.flight == nil {
		return true
	}
	<-w.flight.ended
	return w.flight.tried.err == nil
}

// land waits for the batch that is being committed, and reports whether it was. If not,
// its units are run again, or refused.
func (w *writer) land() bool {
	b, isCommitted := w.flight, w.hasLanded()
	w.flight = nil
	if isCommitted {
		return true
	}
	b.forget()
	if n := w.judge(b.units, b.tried); n < len(b.units) {
		w.work(b.units[n:])
	}
	return false
}

// complete commits a batch here and now.
func (w *writer) complete(b *batch) tried {
	b.finish()
	if b.tried.err != nil {
		b.forget()
	}
	return b.tried
}

// attempt runs units in one transaction, as many as there is time for, and commits
// them or undoes them all.
func (w *writer) attempt(units []*unit) tried {
	b := w.prepare(units, nil)
	w.open = nil
	if b.tried.err != nil {
		return b.tried
	}
	return w.complete(b)
}

func (w *writer) isStopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// refuse answers everyone who waits with an error.
func (w *writer) refuse(err error) {
	w.mu.Lock()
	units := append(w.running, w.queue.clear()...)
	w.running = nil
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
	if b := w.open; b != nil {
		w.hasLanded()
		b.rollback()
		b.forget()
		w.open = nil
	}
	w.land()
	w.refuse(why)
	go w.loop()
}

// once runs as many units as one batch has time for, the first ones, and answers them.
func (w *writer) once(units []*unit) (answered int) {
	if err := w.db.Err(); err != nil {
		settle(units, err)
		return len(units)
	}
	return w.judge(units, w.attempt(units))
}

// judge answers the units of a try, or runs them again until it can. One that spoils the
// batch costs those before it one more run.
func (w *writer) judge(units []*unit, t tried) (answered int) {
	for isMoved(t.err) && w.again < maxAgain && w.db.Err() == nil {
		w.again++
		t = w.attempt(units)
	}
	w.again = 0
	ran := units[:t.ran]
	switch {
	case t.err == nil: // they were told
	case w.db.Err() != nil: // all that ran is undone
		settle(units, w.db.Err())
		return len(units)
	case t.blame == one:
		w.stats.poisoned.Add(1)
		last := t.ran - 1
		w.work(ran[:last])
		settle(ran[last:], t.err)
	case t.blame == nobody || t.ran == 1:
		settle(ran, t.err)
	default: // one of those that ran: look in halves
		half := t.ran / 2
		w.work(ran[:half])
		w.work(ran[half:])
	}
	return t.ran
}

// work runs units until each has its answer.
func (w *writer) work(units []*unit) {
	for len(units) > 0 {
		units = units[w.once(units):]
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
