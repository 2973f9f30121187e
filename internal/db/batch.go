package db

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/purserhq/purser/internal/fault"
)

// tried says how far one try of a batch came.
type tried struct {
	ran   int   // units that the try covers
	err   error // nil: committed; else all of them are undone
	blame blame
}

type blame int

const (
	nobody blame = iota // the transaction did not begin
	one                 // the last unit that ran
	some                // the commit failed
)

// batch is one transaction with the units in it. It has two halves. In the first, on the
// writer's goroutine, units run and members gather what they did: much of that needs
// memory alone. In the second it is written and committed. While one batch is in its
// second half the next may be in its first: it goes on from what memory says, and if the
// one before it fails it is stale, and runs again.
type batch struct {
	db       *DB
	writer   *writer
	before   *batch // may still be in its second half; nil if none is
	conn     *conn  // nil until the batch needs it: the one before has it until its end
	waiting  []queued
	members  map[any]Member
	order    []Member
	flushed  Tx
	units    []*unit // that ran
	rows     int     // written to SQLite
	executed int64   // ns
	ended    chan struct{}
	tried    tried
	isAgain  bool  // another server was faster than the try before
	isMoved  bool  // and than this one: the transaction is over, whatever its units make of that
	isStale  bool  // the batch before it failed
	broken   error // of a write that waited: nothing more may run, whatever a unit makes of that
}

// errStale is the error of a unit whose batch is stale.
var errStale = errors.New("the batch before this one failed")

// prepare runs units, as many as there is time for, and has the members gather what they
// did: the first half. If that fails all is undone.
func (w *writer) prepare(units []*unit, before *batch) *batch {
	watch := startWatch()
	b := &batch{db: w.db, writer: w, before: before, members: map[any]Member{}, ended: make(chan struct{}), isAgain: w.again > 0}
	w.open = b
	if before == nil {
		if err := b.own(); err != nil {
			return b.failed(tried{len(units), w.refusal("begin", err, nil), nobody})
		}
	}
	ran := 0
	for ran < len(units) && (ran == 0 || watch.elapsed() < w.span) && !b.isStale {
		u := units[ran]
		ran++
		if u.begin() && b.spoiltBy(u) {
			return b.failed(tried{ran, cmp.Or(u.err, b.db.Err()), one}) // the unit may be well, and the disk not
		}
	}
	b.units, b.tried.ran = units[:ran], ran
	b.executed = watch.elapsed()
	if b.isStale {
		return b.failed(tried{ran, errStale, nobody})
	}
	if err := b.gather(); err != nil {
		return b.failed(b.tryOf(err))
	}
	return b
}

// tryOf is the try that ended with an error when all units had run.
func (b *batch) tryOf(err error) tried {
	isLost := b.conn.lost(err)
	if b.isMoved {
		err = errors.Join(errAgain, err)
	}
	if isLost {
		return tried{len(b.units), unknown(err), nobody}
	}
	return tried{len(b.units), b.writer.refusal("commit", err, b.conn), some}
}

// failed undoes the batch and says why.
func (b *batch) failed(t tried) *batch {
	b.tried = t
	b.rollback()
	b.forget()
	return b
}

// rollback ends the transaction. A connection that was lost is made again at once.
func (b *batch) rollback() {
	if b.conn == nil {
		return
	}
	b.flushed.finish()
	b.conn.rollback()
	b.writer.conn, _ = b.db.pulse.connected(b.conn)
}

// forget tells the members that nothing of what they gathered has happened.
func (b *batch) forget() {
	for _, m := range b.order {
		m.Done(false)
	}
}

// own takes the connection and begins the transaction. It waits until the batch before
// has ended.
func (b *batch) own() error {
	if b.before != nil {
		<-b.before.ended
		b.isStale = b.before.tried.err != nil
		b.before = nil
	}
	switch {
	case b.isStale:
		return errStale
	case b.conn != nil:
		return nil
	}
	w := b.writer
	var err error
	if w.conn, err = b.db.pulse.connected(w.conn); err == nil {
		err = w.conn.begin()
	}
	if err == nil {
		b.conn = w.conn
	}
	return err
}

// queued is a statement that waits for company. On SQLite one of a table has many rows.
type queued struct {
	table *Table
	query string
	args  []any
}

// later has a statement wait: for the end of the batch, or for the next whose answer is
// waited for.
func (b *batch) later(q queued) { b.waiting = append(b.waiting, q) }

// open prepares for a statement whose answer is waited for: what waits comes before it.
func (b *batch) open() error {
	if b.broken == nil {
		b.broken = b.own()
	}
	if b.broken == nil {
		b.broken = b.pass()
	}
	if b.broken == nil {
		b.broken = b.conn.open()
	}
	return b.broken
}

// pass gives the connection what waits.
func (b *batch) pass() error {
	waiting := b.waiting
	b.waiting = nil
	for _, q := range waiting {
		if b.conn.server != nil {
			b.conn.later(q.query, q.args)
			continue
		}
		if err := q.table.write(b.conn, q.args); err != nil {
			return err
		}
		b.rows += len(q.args) / len(q.table.Columns)
	}
	return nil
}

// finish writes and commits: the second half. It answers the callers if that succeeds;
// if not, it is for the writer to find out what to do.
func (b *batch) finish() {
	watch := startWatch()
	defer close(b.ended)
	if err := b.own(); err != nil {
		b.tried = tried{len(b.units), b.writer.refusal("begin", err, nil), nobody}
		return
	}
	if err := b.commit(); err != nil {
		b.tried = b.tryOf(err)
		b.rollback()
		return
	}
	b.tell()
	w := b.writer
	w.db.checkpointer.wrote(b.rows)
	w.committed(Commit{Units: len(b.units), Waiting: w.depth(), ExecNs: b.executed, CommitNs: watch.elapsed()})
	settle(b.units, nil)
}

// refusal ends the database if the error is of the kind that does not pass, and
// says to the callers what it means for them.
func (w *writer) refusal(doing string, err error, c *conn) error {
	if why := fatal(err); why != nil {
		w.db.fail(why, err)
		return why
	}
	switch {
	case fault.Of(err) != nil:
		return err
	case isLocked(err):
		return locked()
	case c.lost(err):
		return unreachable(err)
	}
	return fmt.Errorf("%s: %w", doing, counted(err))
}

// unknown is the answer when the connection went away under a commit.
func unknown(err error) error {
	return fault.New(fault.Unavailable, "the database went away (%s), and whether this was done is not known: repeat it with the same Idempotency-Key",
		reason(err)).WithCode("outcome_unknown")
}

// spoiltBy runs a unit and reports whether the batch cannot be committed with it:
// it failed after it had changed something, or the disk failed under it.
func (b *batch) spoiltBy(u *unit) bool {
	u.tx = Tx{db: b.db, ctx: u.ctx, now: b.db.now(), batch: b}
	if u.err = u.ctx.Err(); u.err != nil && !u.ran {
		return false
	}
	u.ran = true
	u.err = u.tx.noted(guarded(u))
	u.tx.finish()
	switch {
	case b.isMoved:
		u.err, u.tx.wrote = errors.Join(errAgain, u.err), true
	case b.broken != nil:
		u.err, u.tx.wrote = cmp.Or(u.err, b.broken), true
	}
	return u.err != nil && u.tx.wrote || b.db.Err() != nil
}

// guarded runs the unit's function; a panic is an error after a write.
func guarded(u *unit) (err error) {
	defer func() {
		if p := recover(); p != nil {
			u.tx.wrote = true
			err = fmt.Errorf("panic in a unit of work: %v\n%s", p, debug.Stack())
		}
	}()
	return u.fn(&u.tx)
}

// gather has the members say what they gathered, in the order in which they joined (more
// may join meanwhile).
func (b *batch) gather() (err error) {
	defer panicked(&err)
	b.flushed = Tx{db: b.db, ctx: background, now: b.db.last.Load(), batch: b}
	for i := 0; i < len(b.order); i++ {
		if err := b.order[i].Flush(&b.flushed); err != nil {
			return err
		}
	}
	b.flushed.finish()
	return nil
}

// commit makes everything durable.
func (b *batch) commit() (err error) {
	defer panicked(&err)
	if err := b.pass(); err != nil {
		return err
	}
	return b.conn.commit()
}

// panicked, deferred, makes a panic an error.
func panicked(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic in a flush: %v\n%s", p, debug.Stack())
	}
}

// tell lets memory follow the disk. A panic here ends the process: the rows are
// committed, and memory would differ from them.
func (b *batch) tell() {
	for _, m := range b.order {
		m.Done(true)
	}
	for _, u := range b.units {
		if u.err == nil {
			runAll(u.tx.after)
		}
	}
	runAll(b.flushed.after)
}

func runAll(fns []func()) {
	for _, fn := range fns {
		fn()
	}
}
