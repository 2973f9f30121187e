package main

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// sample is how long each of many calls took, in order of length, how long all, and
// the time of processors that this process used meanwhile, with its client and without
// a PostgreSQL.
type sample struct {
	all  time.Duration
	took []time.Duration
	cpu  time.Duration
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure has callers make n calls, each one call after the other. The first error
// ends it.
func measure(callers, n int, do func(caller, i int) error) (sample, error) {
	var (
		wait   sync.WaitGroup
		next   atomic.Int64
		failed atomic.Pointer[error]
	)
	took := make([]time.Duration, n)
	used, began := cpu(), time.Now()
	for c := range min(callers, n) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				at := time.Now()
				if err := do(c, i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				took[i] = time.Since(at)
			}
		})
	}
	wait.Wait()
	s := sample{time.Since(began), took, cpu() - used}
	slices.Sort(s.took)
	if err := failed.Load(); err != nil {
		return s, *err
	}
	return s, nil
}

func (s sample) rate() float64 { return float64(len(s.took)) / s.all.Seconds() }

// work is the processor time of a call.
func (s sample) work() time.Duration { return s.cpu / time.Duration(max(1, len(s.took))) }

// percentile of the calls' lengths.
func (s sample) percentile(p int) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[(len(s.took)-1)*p/100]
}

// median of an odd number of rounds; of an even number the upper one.
func median[T cmp.Ordered](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// of is one figure of every round.
func of[T any](rounds []sample, figure func(sample) T) (all []T) {
	for _, s := range rounds {
		all = append(all, figure(s))
	}
	return all
}

func p50(s sample) time.Duration { return s.percentile(50) }
func p99(s sample) time.Duration { return s.percentile(99) }

// ratios are those of rounds that were run in turn.
func ratios(ours, limit []sample) (all []float64) {
	for i := range ours {
		all = append(all, ours[i].rate()/limit[i].rate())
	}
	return all
}
