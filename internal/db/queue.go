package db

import (
	"context"
	"slices"
)

// Callers stand in lanes, one for each that is to have its share: a batch takes one
// unit of each lane in turn. So whoever stands in a lane of thousands waits for them,
// and nobody else does.

type laneKey struct{}

// InLane puts the units of work that are begun with the context into a lane. Those of
// no lane stand in one of their own.
func InLane(ctx context.Context, lane string) context.Context {
	return context.WithValue(ctx, laneKey{}, lane)
}

func laneOf(ctx context.Context) string { lane, _ := ctx.Value(laneKey{}).(string); return lane }

// queue holds the units that wait, first come, first served in each lane.
type queue struct {
	capacity int
	waiting  int
	lanes    map[string]*lane // those in which somebody waits
	turns    []*lane          // the same, in the order of their turns
	fresh    int              // how many of the first turns had none in the batch under way
	had      map[string]bool  // the lanes that had one in it
}

// lane is a list of units.
type lane struct {
	name        string
	first, last *unit
	waiting     int
}

func newQueue(capacity int) queue { return queue{capacity: capacity, lanes: map[string]*lane{}} }

// hasRoom reports whether one more may wait in a lane: if fewer wait there than there is
// room left for. So one lane alone has half of the queue, two have a third each, and one
// that comes new always finds room, however many flood theirs.
func (q *queue) hasRoom(name string) bool { return q.ahead(name) < q.capacity-q.waiting }

// ahead is how many wait in a lane.
func (q *queue) ahead(name string) int {
	if l := q.lanes[name]; l != nil {
		return l.waiting
	}
	return 0
}

// longest is how many wait in the lane in which most do.
func (q *queue) longest() (most int) {
	for _, l := range q.turns {
		most = max(most, l.waiting)
	}
	return most
}

// add puts a unit at the end of its lane. A lane that comes new has its turn before
// those that the batch under way has served, and behind those that have waited longer.
func (q *queue) add(u *unit) {
	l := q.lanes[u.lane]
	if l == nil {
		l = &lane{name: u.lane}
		q.lanes[u.lane] = l
		if q.had[u.lane] {
			q.turns = append(q.turns, l)
		} else {
			q.turns = slices.Insert(q.turns, q.fresh, l)
			q.fresh++
		}
	}
	if l.last == nil {
		l.first = u
	} else {
		l.last.next = u
	}
	l.last = u
	l.waiting++
	q.waiting++
}

// take takes units for a batch, one of each lane in turn.
func (q *queue) take(limit int) []*unit {
	n, lanes := min(limit, q.waiting), len(q.turns)
	units := make([]*unit, 0, n)
	for range n {
		l := q.turns[0]
		q.turns = q.turns[1:]
		units = append(units, l.pop())
		if l.waiting > 0 {
			q.turns = append(q.turns, l)
		} else {
			delete(q.lanes, l.name)
		}
	}
	q.waiting -= n
	q.fresh, q.had = max(0, lanes-n), lanesOf(units)
	return units
}

// giveBack puts units that the batch had no time for to the front of their lanes. The
// lanes that it has not served come first, then those that are new, then the rest.
func (q *queue) giveBack(served, rest []*unit) {
	if len(rest) == 0 {
		return
	}
	var before, behind []*lane
	for _, u := range slices.Backward(rest) {
		l := q.lanes[u.lane]
		if l == nil {
			l = &lane{name: u.lane}
			q.lanes[u.lane] = l
		}
		l.push(u)
	}
	q.waiting += len(rest)
	q.had = lanesOf(served)
	seen := map[string]bool{}
	for _, u := range rest {
		switch l := q.lanes[u.lane]; {
		case seen[u.lane]:
			continue
		case q.had[u.lane]:
			behind = append(behind, l)
		default:
			before = append(before, l)
		}
		seen[u.lane] = true
	}
	isBack := func(l *lane) bool { return seen[l.name] }
	fresh := slices.DeleteFunc(slices.Clone(q.turns[:q.fresh]), isBack)
	others := slices.DeleteFunc(slices.Clone(q.turns[q.fresh:]), isBack)
	q.fresh = len(before) + len(fresh)
	q.turns = slices.Concat(before, fresh, behind, others)
}

func lanesOf(units []*unit) map[string]bool {
	lanes := map[string]bool{}
	for _, u := range units {
		lanes[u.lane] = true
	}
	return lanes
}

// clear takes everything out.
func (q *queue) clear() []*unit { return q.take(q.waiting) }

func (l *lane) pop() *unit {
	u := l.first
	l.first, u.next = u.next, nil
	if l.first == nil {
		l.last = nil
	}
	l.waiting--
	return u
}

// push puts a unit to the front.
func (l *lane) push(u *unit) {
	u.next = l.first
	l.first = u
	if l.last == nil {
		l.last = u
	}
	l.waiting++
}
