package db

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// The times by which a PostgreSQL that has gone away is noticed. A statement may take
// long for good reasons, so it is no statement that is timed, but a connection that
// does nothing else than ask whether anybody is there.
const (
	pulseEvery  = time.Second            // between two questions
	pulseLimit  = 5 * time.Second        // for the answer to one, and for the writer's lock
	retryEvery  = 250 * time.Millisecond // between two attempts to find the database again
	answerLimit = 10 * time.Second       // for one answer to the writer: its statements are short, but a commit may wait for standbys
)

// pulse keeps the connections to a PostgreSQL true. While the database does not
// answer it says so, so that everyone is refused at once and nobody waits in vain; it
// ends the connections of those who wait already; and it finds the server that can be
// written, and gives the writer a connection to it.
type pulse struct {
	db     *DB
	conn   *conn                       // its own; nil if it has none
	away   atomic.Pointer[fault.Fault] // why the database cannot be used now; nil if it can
	since  watch                       // it has been away
	clocks comparison                  // of the database's and ours
	given  *conn                       // what the writer was given last
	lost   atomic.Pointer[conn]        // what the writer has lost last
	fresh  chan *conn                  // for the writer to take, one at most
	alarm  chan struct{}               // one token: the writer has lost its connection
	news   chan struct{}               // one token: the writer got another
	cancel context.CancelFunc
	ended  chan struct{}
}

// startPulse begins to look after the connections; writer is the writer's.
func (d *DB) startPulse(ctx context.Context, writer *conn) error {
	own, err := d.server.connect(ctx)
	if err != nil {
		return err
	}
	writer.wire.limit.Store(int64(answerLimit))
	p := &pulse{
		db: d, conn: own, given: writer, fresh: make(chan *conn, 1), alarm: make(chan struct{}, 1),
		news: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	for range offFirst { // before anything is admitted
		if err := p.ask(ctx); err != nil {
			return errors.Join(err, own.close())
		}
	}
	ctx, p.cancel = context.WithCancel(background)
	d.pulse = p
	go p.run(ctx)
	return nil
}

func (p *pulse) run(ctx context.Context) {
	defer close(p.ended)
	for wait := pulseEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-p.alarm:
		case <-time.After(wait):
		}
		err := p.beat(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.leave(err)
			wait = retryEvery
		default:
			p.back()
			wait = pulseEvery
		}
	}
}

// beat asks once. Without an answer no connection is trusted any more: those that
// wait on theirs get an error, and all are made anew when they are needed.
func (p *pulse) beat(ctx context.Context) error {
	if err := p.ask(ctx); ctx.Err() != nil {
		return ctx.Err() // the server ends: that says nothing of the database
	} else if err != nil {
		p.leave(err) // before anybody finds its connection ended, and makes another
		p.db.server.cut()
		own, err := p.db.server.connect(ctx)
		if err != nil {
			return err
		}
		if p.conn != nil {
			_ = p.conn.close() // it is lost anyway
		}
		p.conn = own
	}
	return p.revive(ctx)
}

// ask asks what time it is.
func (p *pulse) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pulseLimit)
	defer cancel()
	trip := startWatch()
	theirs, err := p.conn.integer(ctx, `SELECT `+databaseNow)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("no answer within %s", pulseLimit)
		}
		return err
	}
	p.compare(theirs, trip.elapsed)
	return nil
}

// revive gives the writer a connection in place of one that was lost.
func (p *pulse) revive(ctx context.Context) error {
	if p.lost.Load() != p.given && !p.given.wire.isShut.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+pulseLimit)
	defer cancel()
	c, err := p.db.dialWriter(ctx)
	if err != nil {
		return err
	}
	c.wire.limit.Store(int64(answerLimit))
	p.drain()
	p.given = c
	p.fresh <- c
	p.tell(p.news)
	return nil
}

// drain closes a connection that the writer has not taken.
func (p *pulse) drain() {
	select {
	case c := <-p.fresh:
		_ = c.close()
	default:
	}
}

// leave says that the database is away.
func (p *pulse) leave(err error) {
	why := fault.Of(err)
	if why == nil {
		why = unreachable(err)
	}
	if p.away.Swap(why) == nil {
		p.since = startWatch()
		p.db.log.Error("the database is away: requests are refused until it is back", "error", err)
	}
}

// back says that the database can be used.
func (p *pulse) back() {
	if p.away.Swap(nil) != nil {
		p.db.log.Warn("the database is back", "after", time.Duration(p.since.elapsed()).Round(time.Millisecond))
	}
}

// gone is why the database cannot be used now, or nil.
func (p *pulse) gone() error {
	if p == nil {
		return nil
	}
	if why := p.away.Load(); why != nil {
		return why
	}
	return nil
}

// connected is the writer's connection, or the one that was made in place of it.
// The writer never waits for one: it has callers who wait for it.
func (p *pulse) connected(c *conn) (*conn, error) {
	if p == nil || c.isAlive() {
		return c, nil
	}
	select {
	case fresh := <-p.fresh:
		_ = c.close() // it is lost anyway
		if c = fresh; c.isAlive() {
			return c, nil
		}
	default:
	}
	p.lost.Store(c)
	p.tell(p.alarm)
	if err := p.gone(); err != nil {
		return c, err
	}
	return c, unreachable(fmt.Errorf("the connection was lost"))
}

func (p *pulse) tell(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// stop ends it; the writer's connection stays.
func (p *pulse) stop() error {
	if p == nil {
		return nil
	}
	p.cancel()
	<-p.ended
	p.drain()
	_ = p.conn.close() // if a question was under way it is lost anyway
	return nil
}

// Ready is nil if units of work can be done now and may open work, or the reason why they
// are refused.
// What passes by itself is no reason for [DB.Failed].
func (d *DB) Ready() error {
	if err := d.Err(); err != nil {
		return err
	}
	if err := d.pulse.gone(); err != nil {
		return err
	}
	return d.Admits()
}

// Returned holds a token after the database was away. A commit that was under way may
// have happened though nobody was told, so that no function after it has run: whoever
// keeps rows in memory by those reads them again.
func (d *DB) Returned() <-chan struct{} {
	if d.pulse == nil {
		return nil
	}
	return d.pulse.news
}
