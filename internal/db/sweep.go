package db

import (
	"context"
	"fmt"
	"slices"
)

// SweepBatch is how many rows a sweep takes in one unit of work.
const SweepBatch = 1_000

// Sweep runs statements that end or delete at most [SweepBatch] rows each, again and again
// until they find fewer, each run in a unit of work of its own. Several servers may do it
// at once: it comes to the same.
func (d *DB) Sweep(ctx context.Context, statements ...Swept) error {
	for _, s := range statements {
		for changed := int64(SweepBatch); changed == SweepBatch; {
			err := d.Update(ctx, func(tx *Tx) (err error) {
				changed, err = tx.Exec(s.Query, s.Args(tx.Now())...)
				return err
			})
			if err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
	}
	return nil
}

// Swept is a statement of a sweep, with its arguments at an instant.
type Swept struct {
	Query string
	Args  func(now int64) []any
}

// Found is what a sweep looks up beside the writer, and does to it: so that the writer reads
// what it changes, and little besides.
type Found struct {
	Find   string // the keys of rows in their order; its last argument is how many at most
	Of     []any  // its arguments before that
	Change string // its last two arguments are the first and the last key that were found
	With   []any  // its arguments before these
}

// SweepFound looks rows up, at most [SweepBatch], and changes those between the first and
// the last of them, each time in a unit of work of its own, until it finds fewer. T is the
// type of the keys. Several servers may do it at once: it comes to the same.
func SweepFound[T any](ctx context.Context, d *DB, f Found) error {
	for n := SweepBatch; n == SweepBatch; {
		var keys []T
		err := d.View(ctx, func(tx *Tx) (err error) {
			keys, err = All(tx, func(r Scanner) (key T, err error) {
				err = r.Scan(&key)
				return key, err
			}, f.Find, append(slices.Clone(f.Of), SweepBatch)...)
			return err
		})
		if n = len(keys); err == nil && n > 0 {
			err = d.Update(ctx, func(tx *Tx) error {
				_, err := tx.Exec(f.Change, append(slices.Clone(f.With), keys[0], keys[n-1])...)
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}
