package db

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkUnits measures units that insert one row, by one caller and by many at
// once. The first is bound by the disk's flush, the second by the work per unit.
func BenchmarkUnits(b *testing.B) {
	b.Run("1 caller", func(b *testing.B) { benchmark(b, 1) })
	b.Run("512 callers", func(b *testing.B) { benchmark(b, 512) })
}

func benchmark(b *testing.B, callers int) {
	d := open(b, Config{})
	var no atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range callers {
		all.Go(func() {
			for n := no.Add(1); n <= int64(b.N); n = no.Add(1) {
				if err := d.Update(context.Background(), inserting(int(n))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "units/s")
	b.ReportMetric(float64(b.N)/float64(d.Stats().Commits), "units/commit")
}

// BenchmarkView measures a view that reads one row by its key.
func BenchmarkView(b *testing.B) {
	d := open(b, Config{})
	update(b, d, inserting(1))
	b.ResetTimer()
	for range b.N {
		err := d.View(context.Background(), func(tx *Tx) error {
			var at int64
			return tx.QueryRow(`SELECT at FROM notes WHERE no = $1`, 1).Scan(&at)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
