package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// maxAdvance bounds one advance: ten years.
const maxAdvance = 10 * 365 * db.Day

var advanceCall = call{
	id: "advance-test-clock", method: "POST", path: "/v1/test-clock/advance", tag: tagServer, action: org.Operate,
	summary:     "Move the test clock on",
	description: "By some seconds, or to an instant. Answers when everything due by then has been done, in order, at its instant.",
}

func (s *Server) clockCalls() {
	query(s, call{
		id: "get-test-clock", method: "GET", path: "/v1/test-clock", tag: tagServer, action: org.Operate,
		summary: "Read the test clock",
	}, func(r *reading, _ *none) (api.Clock, error) {
		if !r.isTestClock() {
			return api.Clock{}, noTestClock()
		}
		return api.Clock{Now: api.At(r.db.Clock().Now())}, nil
	})
	// The target is decided, and remembered under the key, in one unit of work;
	// what is due on the way are many. So a repeated request never advances twice,
	// and does what a broken one left undone.
	advance := advanceCall
	advance.middlewares = huma.Middlewares{s.oneAfterTheOther}
	commandThen(s, advance, aim, s.arrive)
}

func noTestClock() error {
	return fault.New(fault.Conflict, "this server runs on the real clock: start one with --test-clock INSTANT").WithCode("no_test_clock")
}

// aim decides where the clock is to go.
func aim(u *unit, _ *none, b *api.Advance) (api.Clock, error) {
	if !u.isTestClock() {
		return api.Clock{}, noTestClock()
	}
	now := u.tx.Now()
	u.before = api.Clock{Now: api.At(now)}
	to, err := target(b, now)
	return api.Clock{Now: api.At(to)}, err
}

func target(b *api.Advance, now int64) (int64, error) {
	var f fields
	to := f.instant("/to", b.To)
	if (b.BySeconds == "") == (b.To == "") {
		f.Add("/by_seconds", "say either by_seconds or to")
	}
	if b.BySeconds != "" {
		by := f.atLeast("/by_seconds", api.Amount(b.BySeconds), 0) // nine places of a second are nanoseconds
		if int64(by) > maxAdvance {
			f.Add("/by_seconds", "is more than ten years")
		} else {
			to = now + int64(by)
		}
	}
	switch {
	case len(f.Fields) > 0:
	case to < now:
		f.Add("/to", "lies in the past: the clock stands at "+string(api.At(now)))
	case to-now > maxAdvance:
		f.Add("/to", "is more than ten years ahead")
	}
	return to, f.Err()
}

// arrive moves the clock to where it was aimed.
func (s *Server) arrive(ctx context.Context, c api.Clock) (api.Clock, error) {
	to, err := c.Now.UnixNano()
	if err != nil {
		return c, err
	}
	return c, s.advance(ctx, to)
}

// oneAfterTheOther lets one advance end before the next begins: each starts from
// where the one before arrived.
func (s *Server) oneAfterTheOther(ctx huma.Context, next func(huma.Context)) {
	s.advancing.Lock()
	defer s.advancing.Unlock()
	next(ctx)
}
