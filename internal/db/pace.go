package db

import (
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// pace is how fast the writer answers. Latest batches count most: each halves the
// weight of what is four batches older.
type pace struct {
	units int64 // answered, with less weight the longer ago
	ns    int64 // that they took
	taken int   // units of the batch under way
	begun watch // when it began
}

func (p *pace) begin(taken int) { p.taken, p.begun = taken, startWatch() }

// weighing keeps a fraction of some digits in whole numbers.
const weighing = 1000

func (p *pace) end(answered int) {
	p.units += weighing*int64(answered) - p.units/6
	p.ns += weighing*p.begun.elapsed() - p.ns/6
	p.taken = 0
}

// of is how long so many units will take. A batch that hangs counts as it does: what
// it has taken so far.
func (p *pace) of(units int) time.Duration {
	each := p.ns / max(p.units, 1)
	if p.taken > 0 {
		each = max(each, p.begun.elapsed()/int64(p.taken))
	}
	return time.Duration(each * int64(units))
}

// The bounds of what a caller is asked to wait who finds no room in the queue.
const (
	minRetry = time.Second
	maxRetry = 30 * time.Second
)

// RetryAfter is the name under which a fault carries how many seconds to wait.
const RetryAfter = "retry_after_seconds"

// busy refuses a caller until those of its lane will have been answered, with those of
// other lanes who have their turns between them.
func (w *writer) busy(lane string) error {
	ahead := w.queue.ahead(lane)
	wait := w.pace.of(w.pace.taken + min(ahead*len(w.queue.turns), w.queue.waiting))
	seconds := int64((min(max(wait, minRetry), maxRetry) + time.Second - 1) / time.Second)
	return fault.New(fault.Unavailable, "the server is too busy: %d requests like this one wait for the database; try again in %d s", ahead, seconds).
		WithCode("busy").With(RetryAfter, seconds)
}
