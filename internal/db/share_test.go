package db

import (
	"runtime"
	"slices"
	"sync"
	"testing"
)

// While many units are being committed, few are not run: they wait for those who are to
// come, and go with them.
func TestTheNextBatchWaitsForItsHalf(t *testing.T) {
	const first, late = 60, 2
	var sizes []int
	d := open(t, Config{Observe: func(c Commit) { sizes = append(sizes, c.Units) }})
	committed, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	unit := func(tx *Tx) error {
		tx.AfterCommit(func() {
			once.Do(func() { close(committed) })
			<-release
		})
		return nil
	}
	var all sync.WaitGroup
	all.Go(func() { together(t, d, slices.Repeat([]func(*Tx) error{unit}, first)...) })
	<-committed
	for range 10_000 { // the writer has all the time it wants
		if n := d.Stats().Waiting; n != first-31 {
			t.Errorf("%d wait", n)
			break
		}
		runtime.Gosched()
	}
	for range late {
		all.Go(func() { _ = d.Update(t.Context(), unit) })
	}
	for d.Stats().Waiting > 0 {
		runtime.Gosched()
	}
	close(release)
	all.Wait()
	closed(t, d)
	if n := len(sizes); n < 3 || !slices.Equal(sizes[n-3:], []int{1, 31, 31}) {
		t.Errorf("batches of %v", sizes)
	}
}
