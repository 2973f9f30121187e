package db

import (
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

// attempt runs units in one transaction, as many as there is time for, and commits
// them or undoes them all.
func (w *writer) attempt(units []*unit) tried {
	watch := startWatch()
	var err error
	w.conn, err = w.db.pulse.connected(w.conn)
	if err == nil {
		err = w.conn.begin()
	}
	if err != nil {
		return tried{len(units), w.refusal("begin", err), nobody}
	}
	b := &batch{db: w.db, conn: w.conn, members: map[any]Member{}, isAgain: w.again > 0}
	w.open = b
	ran := 0
	for ran < len(units) && (ran == 0 || watch.elapsed() < w.span) {
		u := units[ran]
		ran++
		if u.begin() && b.spoiltBy(u) {
			b.undo()
			return tried{ran, u.err, one}
		}
	}
	executed := watch.elapsed()
	if err := b.commit(); err != nil {
		isLost := w.conn.lost(err)
		if b.isMoved {
			err = errors.Join(errAgain, err)
		}
		b.undo()
		if isLost {
			_, _ = w.db.pulse.connected(w.conn) // another is made at once
			return tried{ran, unknown(err), nobody}
		}
		return tried{ran, w.refusal("commit", err), some}
	}
	w.open = nil
	b.tell(units[:ran])
	w.committed(Commit{Units: ran, Waiting: w.depth() + len(units) - ran, ExecNs: executed, CommitNs: watch.elapsed() - executed})
	return tried{ran: ran}
}

// refusal ends the database if the error is of the kind that does not pass, and
// says to the callers what it means for them.
func (w *writer) refusal(doing string, err error) error {
	if why := fatal(err); why != nil {
		w.db.fail(why, err)
		return why
	}
	switch {
	case fault.Of(err) != nil:
		return err
	case isLocked(err):
		return locked()
	case w.conn.lost(err):
		return unreachable(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// batch is one transaction with the units in it.
type batch struct {
	db      *DB
	conn    *conn
	members map[any]Member
	order   []Member
	flushed Tx
	isAgain bool // another server was faster than the try before
	isMoved bool // and than this one: the transaction is over, whatever its units make of that
}

// unknown is the answer when the connection went away under a commit.
func unknown(err error) error {
	return fault.New(fault.Unavailable, "the database went away (%s), and whether this was done is not known: repeat it with the same Idempotency-Key",
		reason(err)).WithCode("outcome_unknown")
}

// spoiltBy runs a unit and reports whether the batch cannot be committed with it:
// it failed after it had changed something, or the disk failed under it.
func (b *batch) spoiltBy(u *unit) bool {
	u.tx = Tx{db: b.db, conn: b.conn, ctx: u.ctx, now: b.db.now(), batch: b}
	if u.err = u.ctx.Err(); u.err != nil && !u.ran {
		return false
	}
	u.ran = true
	u.err = u.tx.noted(guarded(u))
	u.tx.finish()
	if b.isMoved {
		u.err, u.tx.wrote = errors.Join(errAgain, u.err), true
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

// commit has the members write what they gathered, in the order in which they
// joined (more may join meanwhile), and makes everything durable.
func (b *batch) commit() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a flush: %v\n%s", p, debug.Stack())
		}
	}()
	b.flushed = Tx{db: b.db, conn: b.conn, ctx: background, now: b.db.last.Load(), batch: b}
	for i := 0; i < len(b.order); i++ {
		if err := b.order[i].Flush(&b.flushed); err != nil {
			return err
		}
	}
	b.flushed.finish()
	return b.conn.commit()
}

func (b *batch) undo() {
	b.flushed.finish()
	b.conn.rollback()
	for _, m := range b.order {
		m.Done(false)
	}
}

// tell lets memory follow the disk. A panic here ends the process: the rows are
// committed, and memory would differ from them.
func (b *batch) tell(units []*unit) {
	for _, m := range b.order {
		m.Done(true)
	}
	for _, u := range units {
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
