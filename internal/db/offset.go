package db

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// A server and its database each have a clock. Instants are the server's, and those
// of several servers meet in the same rows: so one whose clock is surely wrong does not
// begin anything. What has happened already it goes on to record.

const (
	offLimit  = 250 * time.Millisecond // further off, a server does not admit
	offDoubt  = 10 * time.Second       // that it is off is believed so long without another proof
	offFirst  = 3                      // measures at the start: one in which a statement is prepared says little
	offRepeat = int64(10)              // seconds after which one that was refused may ask again
)

// Offset is how far the instants of this server are ahead of its database's clock, in
// nanoseconds: somewhere within Bound of By. The bound is half of a trip there and back.
type Offset struct{ By, Bound int64 }

// isSure reports whether it is surely more than the limit.
func (o Offset) isSure() bool { return max(o.By, -o.By)-o.Bound > int64(offLimit) }

// isHarmless reports whether it is surely not more than the limit.
func (o Offset) isHarmless() bool { return max(o.By, -o.By)+o.Bound <= int64(offLimit) }

// comparison is what is known of the two clocks.
type comparison struct {
	last   atomic.Pointer[Offset]
	off    atomic.Pointer[fault.Fault] // why nothing is admitted; nil if the clock may be right
	by     atomic.Int64                // the offset when it was last surely off; 0 if it may be right
	proved watch                       // since the last proof that it is off
}

// compare judges by an instant that the database gave in a trip of so many nanoseconds
// which has just ended. Whenever in the trip it was read, the offset is within half of it.
func (p *pulse) compare(theirs int64, trip func() int64) {
	if _, isTest := p.db.clock.(*TestClock); isTest {
		return // it lives in the database
	}
	// Units get no instant before the latest that any was given: a server whose clock
	// was ahead and is right again still is ahead.
	ours := max(p.db.clock.Now(), p.db.last.Load())
	half := trip() / 2
	p.judge(Offset{By: ours - half - theirs, Bound: half})
}

// judge draws the consequences of a measure. One that proves nothing changes nothing,
// unless all have been so for long.
func (p *pulse) judge(o Offset) {
	c := &p.clocks
	c.last.Store(&o)
	switch {
	case o.isSure():
		c.proved = startWatch()
		c.by.Store(o.By)
		if why := clockOff(o); c.off.Swap(why) == nil {
			p.db.log.Error("the clock of this server is off its database's: nothing new is admitted until they agree", "why", why.Message)
		}
	case c.off.Load() != nil && (o.isHarmless() || c.proved.elapsed() > int64(offDoubt)):
		c.by.Store(0)
		c.off.Store(nil)
		p.db.log.Warn("the clock of this server agrees with its database's again: work is admitted",
			"offset", time.Duration(o.By), "bound", time.Duration(o.Bound))
	}
}

func clockOff(o Offset) *fault.Fault {
	by, way, more := time.Duration(o.By), "ahead of", "; a server that was ahead is restarted then, for its instants do not go back"
	if by < 0 {
		by, way, more = -by, "behind", ""
	}
	return fault.New(fault.Unavailable, "the clock of this server is %s %s that of its database, and more than %s is too much: nothing new is admitted here. "+
		"Have NTP (chrony or systemd-timesyncd) set the clocks of both machines%s", by.Round(time.Millisecond), way, offLimit, more).
		WithCode("clock_off").With("clock_offset_seconds", fmt.Sprintf("%.3f", time.Duration(o.By).Seconds())).With(RetryAfter, offRepeat)
}

// Admits is nil if work may be opened, or the reason why it is refused: the clock of this
// server is surely off its database's. Facts are recorded all the same.
func (d *DB) Admits() error {
	if d.pulse != nil {
		if why := d.pulse.clocks.off.Load(); why != nil {
			return why
		}
	}
	return nil
}

// Ahead is how many nanoseconds the instants of this server are ahead of its database's
// clock, if they are surely so far off that it does not admit; else 0.
func (d *DB) Ahead() int64 {
	if d.pulse == nil {
		return 0
	}
	return d.pulse.clocks.by.Load()
}

// Happened is the instant by which what is told to have happened is judged: the unit's,
// or the database's if this server is surely off that.
func (tx *Tx) Happened() int64 { return tx.now - tx.db.Ahead() }

// Offset is the last measure; there is none without a PostgreSQL, or with a test clock.
func (d *DB) Offset() (o Offset, isMeasured bool) {
	if d.pulse == nil {
		return o, false
	}
	last := d.pulse.clocks.last.Load()
	if last == nil {
		return o, false
	}
	return *last, true
}
