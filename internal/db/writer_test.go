package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/fault"
)

// together runs units so that they meet in one batch: the writer is held by a
// unit of its own until all of them wait. It returns their errors, in order.
func together(t *testing.T, d *DB, units ...func(*Tx) error) []error {
	t.Helper()
	held, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = d.Update(context.Background(), func(*Tx) error { close(held); <-release; return nil })
	})
	<-held
	errs := make([]error, len(units))
	for i, fn := range units {
		all.Go(func() { errs[i] = d.Update(context.Background(), fn) })
		awaitQueue(d, i+1)
	}
	close(release)
	all.Wait()
	return errs
}

func awaitQueue(d *DB, n int) {
	for d.Stats().Waiting < n {
		runtime.Gosched()
	}
}

func TestManyCallersShareFewCommits(t *testing.T) {
	const callers = 512
	d := open(t, Config{})
	units := make([]func(*Tx) error, callers)
	for i := range units {
		units[i] = inserting(i)
	}
	before := d.Stats()
	for i, err := range together(t, d, units...) {
		if err != nil {
			t.Fatalf("caller %d: %v", i, err)
		}
	}
	// One for the unit that held the writer; the rest is a matter of DefaultSpan.
	if n := d.Stats().Commits - before.Commits; n > 10 {
		t.Errorf("%d callers took %d commits", callers, n)
	}
	if n := rows(t, d); n != callers {
		t.Errorf("%d rows", n)
	}
}

// tally is a member that counts what units did and writes it once.
type tally struct {
	units int
	flush func(*Tx, int) error
	done  *[]string
}

func (m *tally) Flush(tx *Tx) error { return m.flush(tx, m.units) }

func (m *tally) Done(committed bool) {
	*m.done = append(*m.done, fmt.Sprintf("%d %v", m.units, committed))
}

// tallies makes units that join a tally and count themselves in it.
func tallies(done *[]string, flush func(*Tx, int) error) func(tx *Tx) *tally {
	return func(tx *Tx) *tally {
		m := tx.Member("tally", func() Member { return &tally{done: done, flush: flush} }).(*tally)
		tx.Touch()
		m.units++
		return m
	}
}

func TestMembersWriteOncePerBatch(t *testing.T) {
	d := open(t, Config{})
	var done []string
	join := tallies(&done, func(tx *Tx, n int) error { return insert(tx, 1000+n) })
	counted := func(tx *Tx) error { join(tx); return nil }
	errs := together(t, d, counted, counted, counted)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if want := []string{"3 true"}; !slices.Equal(done, want) {
		t.Errorf("the member was told %v, not %v", done, want)
	}
	if n := integer(t, d, `SELECT no FROM notes`); n != 1003 {
		t.Errorf("flushed %d", n)
	}
}

func TestAUnitThatFailsAfterWritingHurtsNobodyElse(t *testing.T) {
	d := open(t, Config{})
	var done, after []string
	refused, poisoned := errors.New("refused"), errors.New("poisoned")
	join := tallies(&done, func(*Tx, int) error { return nil })
	good := func(name string, no int) func(*Tx) error {
		return func(tx *Tx) error {
			join(tx)
			tx.AfterCommit(func() { after = append(after, name) })
			return insert(tx, no)
		}
	}
	errs := together(t, d,
		good("first", 1),
		func(tx *Tx) error { tx.AfterCommit(func() { after = append(after, "refused") }); return refused },
		func(tx *Tx) error { join(tx); return poisoned },
		good("second", 2),
		func(tx *Tx) error { _ = insert(tx, 3); panic("a bug") },
		good("third", 4),
	)
	if errs[0] != nil || errs[1] != refused || errs[2] != poisoned || errs[3] != nil || errs[5] != nil {
		t.Errorf("answers: %v", errs)
	}
	if errs[4] == nil || !strings.Contains(errs[4].Error(), "panic in a unit of work: a bug") {
		t.Errorf("the panic came back as %v", errs[4])
	}
	if n := integer(t, d, `SELECT sum(no) FROM notes`); n != 1+2+4 {
		t.Errorf("the rows kept add up to %d", n)
	}
	if want := []string{"first", "second", "third"}; !slices.Equal(after, want) {
		t.Errorf("after the commits ran %v", after)
	}
	// The batch is undone, what stood before the bad unit is committed, and so on.
	if want := []string{"2 false", "1 true", "1 false", "1 true", "1 true"}; !slices.Equal(done, want) {
		t.Errorf("the members were told %q, not %q", done, want)
	}
	if n := d.Stats().Poisoned; n != 2 {
		t.Errorf("%d units are counted as poisoned", n)
	}
}

func TestOnlyTheUnitGuiltyOfAFailedFlushFails(t *testing.T) {
	d := open(t, Config{})
	unlucky := errors.New("13 is not written")
	var runs int
	units := make([]func(*Tx) error, 20)
	for i := range units {
		units[i] = func(tx *Tx) error {
			runs++
			m := tx.Member("sum", func() Member { return &gathered{failAt: 13, with: unlucky} }).(*gathered)
			m.nos = append(m.nos, i)
			return nil
		}
	}
	for i, err := range together(t, d, units...) {
		if errors.Is(err, unlucky) != (i == 13) || err != nil && i != 13 {
			t.Errorf("unit %d: %v", i, err)
		}
	}
	if n := rows(t, d); n != 19 {
		t.Errorf("%d rows", n)
	}
	if runs > 20*6 {
		t.Errorf("20 units ran %d times", runs)
	}
}

// gathered writes its numbers at the flush, and fails at one of them.
type gathered struct {
	nos    []int
	failAt int
	with   error
}

func (m *gathered) Flush(tx *Tx) error {
	for _, no := range m.nos {
		if no == m.failAt {
			return m.with
		}
		if err := insert(tx, no); err != nil {
			return err
		}
	}
	return nil
}

func (*gathered) Done(bool) {}

// Whatever units do, each gets its own answer, and what is kept is the sum of
// those that succeeded: in the table, by the member, and by the callbacks.
func TestRandomBatches(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	d := open(t, Config{Batch: 16})
	committed, told, no, want := 0, 0, 0, 0
	for range 40 {
		var units []func(*Tx) error
		var outcomes []string
		for range 1 + r.IntN(40) {
			outcome := []string{"good", "good", "good", "refused", "poisoned", "panic", "touched"}[r.IntN(7)]
			no++
			units = append(units, behave(outcome, no, &committed, &told))
			outcomes = append(outcomes, outcome)
		}
		for i, err := range together(t, d, units...) {
			if outcomes[i] == "good" {
				want++
			}
			if (err == nil) != (outcomes[i] == "good") || err != nil && !strings.Contains(err.Error(), outcomes[i]) {
				t.Fatalf("a unit that is %s was answered %v", outcomes[i], err)
			}
		}
	}
	if n := rows(t, d); n != want || committed != want || told != want {
		t.Fatalf("%d units succeeded: %d rows, %d by members, %d callbacks", want, n, committed, told)
	}
}

func behave(outcome string, no int, committed, told *int) func(*Tx) error {
	return func(tx *Tx) error {
		if outcome == "refused" {
			return errors.New("refused")
		}
		m := tx.Member("counter", func() Member { return &counter{total: committed} }).(*counter)
		tx.Touch()
		m.n++
		tx.AfterCommit(func() { *told++ })
		if outcome == "touched" {
			return errors.New("touched")
		}
		if err := insert(tx, no); err != nil {
			return err
		}
		switch outcome {
		case "panic":
			panic("panic")
		case "poisoned":
			return errors.New("poisoned")
		}
		return nil
	}
}

type counter struct {
	n     int
	total *int
}

func (*counter) Flush(*Tx) error { return nil }

func (m *counter) Done(committed bool) {
	if committed {
		*m.total += m.n
	}
}

func TestManyBadUnitsCostAtMostTwoRunsEach(t *testing.T) {
	d := open(t, Config{})
	runs := 0
	units := make([]func(*Tx) error, 200)
	for i := range units {
		units[i] = func(tx *Tx) error {
			runs++
			if err := insert(tx, i); err != nil {
				return err
			}
			if i%2 == 1 {
				return errors.New("bad")
			}
			return nil
		}
	}
	together(t, d, units...)
	if n := rows(t, d); n != 100 || runs > 400 {
		t.Errorf("%d rows after %d runs", n, runs)
	}
}

func TestACallerThatGoesBeforeItsUnitStarts(t *testing.T) {
	d := open(t, Config{})
	held, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { _ = d.Update(context.Background(), func(*Tx) error { close(held); <-release; return nil }) })
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	all.Go(func() {
		if err := d.Update(ctx, inserting(1)); err != context.Canceled {
			t.Errorf("the caller got %v", err)
		}
	})
	awaitQueue(d, 1)
	cancel()
	close(release)
	all.Wait()
	if err := d.Update(ctx, inserting(2)); err != context.Canceled {
		t.Errorf("a caller that had gone got %v", err)
	}
	if n := rows(t, d); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestAUnitThatStartedRunsToItsEnd(t *testing.T) {
	d := open(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	err := d.Update(ctx, func(tx *Tx) error {
		cancel()
		return errors.Join(tx.Context().Err(), insert(tx, 1))
	})
	if err != nil || rows(t, d) != 1 {
		t.Fatalf("%v, %d rows", err, rows(t, d))
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	d := open(t, Config{Queue: 6})
	var seen error
	errs := together(t, d, inserting(1), inserting(2), func(tx *Tx) error { return insert(tx, 3) })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	held, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { _ = d.Update(context.Background(), func(*Tx) error { close(held); <-release; return nil }) })
	<-held
	for i := range 3 {
		all.Go(func() { _ = d.Update(context.Background(), inserting(10+i)) })
	}
	awaitQueue(d, 3)
	seen = d.Update(t.Context(), inserting(20))
	close(release)
	all.Wait()
	if f := fault.Of(seen); f == nil || f.Kind != fault.Unavailable || f.Code != "busy" {
		t.Errorf("the fourth to wait got %v", seen)
	}
	if s := d.Stats(); s.Refused != 1 || s.Capacity != 6 || s.Waiting != 0 {
		t.Errorf("statistics: %+v", s)
	}
	if n := rows(t, d); n != 6 {
		t.Errorf("%d rows", n)
	}
}

func TestCloseAnswersEveryone(t *testing.T) {
	d := open(t, Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "purser.db")})
	held, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		if err := d.Update(context.Background(), func(tx *Tx) error { close(held); <-release; return insert(tx, 1) }); err != nil {
			t.Errorf("the unit under way: %v", err)
		}
	})
	<-held
	all.Go(func() {
		if err := d.Update(context.Background(), inserting(2)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("the unit that waited: %v", err)
		}
	})
	awaitQueue(d, 1)
	all.Go(func() { closed(t, d) })
	for !d.writer.isStopped() {
		runtime.Gosched()
	}
	close(release)
	all.Wait()
}

func TestAUnitThatEndsTheWritersGoroutine(t *testing.T) {
	d := open(t, Config{})
	var done []string
	join := tallies(&done, func(*Tx, int) error { return nil })
	errs := together(t, d, inserting(1), func(tx *Tx) error { join(tx); runtime.Goexit(); return nil }, inserting(2))
	for i, err := range errs {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("unit %d: %v", i, err)
		}
	}
	if !slices.Equal(done, []string{"1 false"}) {
		t.Errorf("the member was told %q", done)
	}
	<-d.Failed()
	if err := d.Update(t.Context(), inserting(3)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a later unit: %v", err)
	}
	if n := rows(t, d); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestADatabaseThatAnotherProgramLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	d := open(t, Config{URL: "sqlite:" + path})
	update(t, d, func(tx *Tx) error { // do not wait long for the lock
		var ms int
		return tx.QueryRow(`PRAGMA busy_timeout = 1`).Scan(&ms)
	})
	other, err := connect(t.Context(), path, writing)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.begin(); err != nil {
		t.Fatal(err)
	}
	err = d.Update(t.Context(), inserting(1))
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Code != "database_locked" {
		t.Errorf("while it is locked: %v", err)
	}
	other.rollback()
	update(t, d, inserting(1)) // it passes
}

func TestCommitsAreObserved(t *testing.T) {
	var seen []Commit
	d := open(t, Config{Observe: func(c Commit) { seen = append(seen, c) }})
	before := d.Stats()
	together(t, d, inserting(1), inserting(2), inserting(3))
	last := seen[len(seen)-1]
	if last.Units != 3 || last.Waiting != 0 || last.ExecNs <= 0 || last.CommitNs <= 0 {
		t.Errorf("%+v", last)
	}
	if s := d.Stats(); s.Units-before.Units != 4 || s.Commits-before.Commits != 2 {
		t.Errorf("%+v", s)
	}
}
