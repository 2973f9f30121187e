package db

import (
	"maps"
	"slices"
	"sync/atomic"
)

// Commit is what one commit was like.
type Commit struct {
	Units    int   // units of work that shared it
	Waiting  int   // units that waited behind it
	ExecNs   int64 // running the units
	CommitNs int64 // flushing the members and the disk
}

// Stats are totals since Open, and the queue as it is.
type Stats struct {
	Units    int64 // units answered by a commit
	Commits  int64
	Poisoned int64 // units that failed after a write, so that others ran again
	Trips    int64 // of the writer to a PostgreSQL and back
	Refused  int64 // units refused because too many waited
	Waiting  int   // units in the queue
	Running  int   // units that the writer has taken
	Lanes    int   // lanes in which units wait
	Longest  int   // units in the longest of these
	Capacity int   // of the queue
}

type counters struct{ units, commits, poisoned, refused atomic.Int64 }

// Stats returns the totals.
func (d *DB) Stats() Stats {
	if d.writer == nil {
		return Stats{}
	}
	w := d.writer
	s := Stats{
		Units: w.stats.units.Load(), Commits: w.stats.commits.Load(),
		Poisoned: w.stats.poisoned.Load(), Refused: w.stats.refused.Load(),
	}
	if d.server != nil {
		s.Trips = d.server.trips.Load()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Waiting, s.Running, s.Capacity = w.queue.waiting, w.pace.taken, w.queue.capacity
	s.Lanes, s.Longest = len(w.queue.turns), w.queue.longest()
	return s
}

func (w *writer) depth() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.waiting
}

func (w *writer) committed(c Commit) {
	w.stats.units.Add(int64(c.Units))
	w.stats.commits.Add(1)
	w.observe(c)
}

// Statements are the texts that the unit's connection has prepared: what really runs,
// for tests that look at how.
func (tx *Tx) Statements() []string { return slices.Sorted(maps.Keys(tx.on().statements)) }
