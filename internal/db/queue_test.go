package db

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// rules watches a queue: units of a lane come in their order, none is lost, and from
// the batch after it came on, whoever waits at the head of a lane sees every other lane
// have one turn at most before its own.
type rules struct {
	testing.TB
	waiting map[string][]*unit        // the lanes as they should be
	since   map[string]map[string]int // turns of others while the head of a lane waits
}

func (r *rules) add(u *unit) { r.waiting[u.lane] = append(r.waiting[u.lane], u) }

// served notes what a batch has run; there waited so many in each lane when it began.
func (r *rules) served(units []*unit, waited map[string]int) {
	for _, u := range units {
		if own := r.waiting[u.lane]; len(own) == 0 || own[0] != u {
			r.Fatalf("a unit of lane %s came before its time", u.lane)
		}
		if r.waiting[u.lane] = r.waiting[u.lane][1:]; len(r.waiting[u.lane]) == 0 {
			delete(r.waiting, u.lane)
		}
		delete(r.since, u.lane)
		waited[u.lane]--
		for lane := range r.waiting {
			if lane == u.lane || waited[lane] <= 0 {
				continue
			}
			if r.since[lane] == nil {
				r.since[lane] = map[string]int{}
			}
			if r.since[lane][u.lane]++; r.since[lane][u.lane] > 1 {
				r.Fatalf("lane %s had two turns while %s waited", u.lane, lane)
			}
		}
	}
}

func TestEveryLaneHasItsTurn(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		q, want := newQueue(1<<20), rules{t, map[string][]*unit{}, map[string]map[string]int{}}
		lanes, limit := 1+r.IntN(12), 1+r.IntN(12)
		arrive := func() {
			for range r.IntN(20) {
				u := &unit{lane: fmt.Sprint(r.IntN(1 + r.IntN(lanes)))}
				q.add(u)
				want.add(u)
			}
		}
		for range 40 {
			arrive()
			waited := map[string]int{}
			for lane, units := range want.waiting {
				waited[lane] = len(units)
			}
			units := q.take(limit)
			if len(units) == 0 {
				continue
			}
			arrive() // while it runs
			n := 1 + r.IntN(len(units))
			q.giveBack(units[:n], units[n:])
			want.served(units[:n], waited)
			n = 0
			for lane := range maps.Values(want.waiting) {
				n += len(lane)
			}
			if q.waiting != n || len(q.turns) != len(want.waiting) || len(q.lanes) != len(want.waiting) {
				t.Fatalf("%d units in %d lanes wait, not %d in %d", q.waiting, len(q.turns), n, len(want.waiting))
			}
		}
	}
}

func TestALaneHasItsShareOfTheQueue(t *testing.T) {
	q := newQueue(900)
	fill := func(lane string) (n int) {
		for ; q.hasRoom(lane); n++ {
			q.add(&unit{lane: lane})
		}
		return n
	}
	if n := fill("flood"); n != 450 {
		t.Errorf("one lane has %d of 900", n)
	}
	if n := fill("second"); n != 225 {
		t.Errorf("a second one has %d", n)
	}
	q.take(900)
	for more := true; more; {
		more = false
		for _, lane := range []string{"a", "b", "c"} {
			if q.hasRoom(lane) {
				q.add(&unit{lane: lane})
				more = true
			}
		}
	}
	if q.ahead("a") != 225 || q.ahead("b") != 225 || q.ahead("c") != 225 || !q.hasRoom("d") {
		t.Errorf("three lanes have %d, %d and %d", q.ahead("a"), q.ahead("b"), q.ahead("c"))
	}
}

// flood lets many callers wait in a lane, and returns when all of them do.
func flood(ctx context.Context, d *DB, all *sync.WaitGroup, lane string, callers int, fn func(*Tx) error) {
	was := d.Stats().Waiting
	for range callers {
		all.Go(func() { _ = d.Update(InLane(ctx, lane), fn) })
	}
	awaitQueue(d, was+callers)
}

// Thousands wait in one lane. Whoever comes in another while a batch runs is in the next,
// be it that batches are full, or that their units take so long that each has one: he
// waits for the batch that is being committed then, and for the one that runs.
func TestAFloodMakesAnotherWaitForTwoBatchesAtMost(t *testing.T) {
	for _, c := range []struct {
		name string
		took time.Duration
		most int // units before his
	}{{"full batches", 0, 16}, {"slow units", DefaultSpan, 1}} {
		t.Run(c.name, func(t *testing.T) {
			d := open(t, Config{Batch: 16})
			ctx, leave := context.WithCancel(t.Context())
			var all sync.WaitGroup
			held, release := make(chan struct{}), make(chan struct{})
			all.Go(func() { _ = d.Update(ctx, func(*Tx) error { close(held); <-release; return nil }) })
			<-held
			ran, other := 0, make(chan int, 1)
			var commits atomic.Int64
			flood(ctx, d, &all, "flood", 3000, func(tx *Tx) error {
				if ran++; ran == 20 || c.took > 0 && ran == 3 { // in the midst of it another comes
					before, waiting, came := d.Stats().Commits, d.Stats().Waiting, ran
					all.Go(func() {
						err := d.Update(InLane(t.Context(), "other"), func(tx *Tx) error { other <- ran - came; return nil })
						if err != nil {
							t.Error(err)
						}
						commits.Store(d.Stats().Commits - before)
						leave()
					})
					awaitQueue(d, waiting+1)
				}
				time.Sleep(c.took) // it is slow
				return insert(tx, ran)
			})
			close(release)
			if n := <-other; n > c.most {
				t.Errorf("it ran after %d units", n)
			}
			all.Wait()
			if n := commits.Load(); n > 4 { // two that it waits for, its own, and one more before we looked
				t.Errorf("it was answered after %d commits", n)
			}
		})
	}
}

func TestAFloodIsRefusedAndOthersAreAdmitted(t *testing.T) {
	d := open(t, Config{Queue: 100})
	var all sync.WaitGroup
	held, release := make(chan struct{}), make(chan struct{})
	all.Go(func() { _ = d.Update(t.Context(), func(*Tx) error { close(held); <-release; return nil }) })
	<-held
	flood(t.Context(), d, &all, "flood", 50, func(*Tx) error { return nil })
	err := d.Update(InLane(t.Context(), "flood"), func(*Tx) error { return nil })
	if f := fault.Of(err); f == nil || f.Code != "busy" || f.Values[RetryAfter] != int64(1) {
		t.Errorf("the one too many got %v", err)
	}
	d.writer.mu.Lock()
	d.writer.pace.units, d.writer.pace.ns = 6*weighing, 6*weighing*100e6 // ten in a second
	d.writer.mu.Unlock()
	err = d.Update(InLane(t.Context(), "flood"), func(*Tx) error { return nil })
	if f := fault.Of(err); f == nil || f.Values[RetryAfter] != int64(6) { // 50, and the one that runs
		t.Errorf("of ten in a second: %+v", f)
	}
	flood(t.Context(), d, &all, "other", 10, func(tx *Tx) error { return tx.Context().Err() })
	if s := d.Stats(); s.Refused != 2 || s.Waiting != 60 || s.Running != 1 || s.Lanes != 2 || s.Longest != 50 {
		t.Errorf("%+v", s)
	}
	close(release)
	all.Wait()
	if s := d.Stats(); s.Waiting != 0 || s.Running != 0 || s.Lanes != 0 {
		t.Errorf("%+v", s)
	}
}

// Batches are as full as before where all who wait are of one lane, and in their order.
func TestOneLaneFillsBatches(t *testing.T) {
	q := newQueue(4096)
	var all []*unit
	for range 1500 {
		u := &unit{}
		q.add(u)
		all = append(all, u)
	}
	for _, want := range []int{512, 512, 476} {
		if got := q.take(512); len(got) != want || !slices.Equal(got, all[:want]) {
			t.Fatalf("%d units in a batch, not the next %d", len(got), want)
		}
		all = all[want:]
	}
}
