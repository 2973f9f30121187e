package local

import (
	"math"

	"github.com/purserhq/purser/internal/job"
)

// course decides what a supervisor does to its job and when. It is plain
// arithmetic on the server's clock: orders and instants in, moves out. It
// looks at the present state and not at what happened on the way, so that
// newer orders need no thought: a landing that is due and was not signalled
// is signalled, one that is not due any more is cancelled.
type course struct {
	orders     job.Orders
	stopAt     int64 // stopping since this instant, for good; 0 if not
	stopReason string
	landing    string // why it was signalled, while that stands
	killAt     int64  // what the landing file says, while landing
}

// move is what to do now.
type move int

const (
	stay  move = iota // nothing
	land              // signal, and say when the kill comes
	delay             // the kill of the landing under way has moved
	spare             // cancel the landing
	kill              // kill everything
)

// due is an instant and its reason; the zero one is never.
type due struct {
	at     int64
	reason string
}

// stop begins the stop that cannot be taken back, unless it began already.
func (c *course) stop(now int64, reason string) {
	if c.stopAt == 0 {
		c.stopAt, c.stopReason = now, reason
	}
}

// take replaces the orders.
func (c *course) take(now int64, orders job.Orders) {
	c.orders = orders
	if orders.Stop {
		reason := orders.Reason
		if reason == "" {
			reason = job.ReasonStop
		}
		c.stop(now, reason)
	}
}

// lands is when and why the job is to be signalled.
func (c *course) lands() due {
	return earliest(
		due{c.orders.Land, c.orders.Reason},
		due{c.orders.LeaseUntil, job.ReasonLease},
		due{c.stopAt, c.stopReason})
}

// kills is when and why the job is to be killed.
func (c *course) kills() due {
	return earliest(
		due{c.orders.Kill, c.orders.Reason},
		due{later(c.orders.LeaseUntil, c.orders.Grace), job.ReasonLease},
		due{later(c.stopAt, c.orders.Grace), c.stopReason})
}

// next is what to do at the instant now, and when to ask again at the latest
// (0 for never). A move other than stay and kill changes the course, as if it
// had been made: the caller makes it and asks again.
func (c *course) next(now int64) (move, int64) {
	lands, kills := c.lands(), c.kills()
	switch {
	case kills.at != 0 && kills.at <= now:
		return kill, 0
	case c.landing == "" && lands.at != 0 && lands.at <= now:
		c.landing, c.killAt = lands.reason, kills.at
		if c.landing == "" {
			c.landing = job.ReasonStop
		}
		return land, now
	case c.landing != "" && (lands.at == 0 || lands.at > now):
		c.landing, c.killAt = "", 0
		return spare, now
	case c.landing != "" && c.killAt != kills.at:
		c.killAt = kills.at
		return delay, now
	case c.landing != "":
		return stay, kills.at
	}
	return stay, earliest(lands, kills).at
}

func earliest(all ...due) due {
	var first due
	for _, d := range all {
		if d.at != 0 && (first.at == 0 || d.at < first.at) {
			first = d
		}
	}
	return first
}

// later is at + by, never without overflow; 0 stays 0.
func later(at, by int64) int64 {
	if at == 0 {
		return 0
	}
	if by > 0 && at > math.MaxInt64-by {
		return math.MaxInt64
	}
	return at + by
}

// sooner is the earlier of two instants; 0 is none.
func sooner(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
