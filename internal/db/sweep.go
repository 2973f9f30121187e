package db

import (
	"context"
	"fmt"
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
