package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// SweepBatch is how many rows a sweep takes in one unit of work.
const SweepBatch = 1_000

// Swept are rows that are deleted once an instant of theirs lies so long in the past.
type Swept struct {
	Table string
	By    string // the column of the instant, which has an index; 0 there is never
	Kept  int64  // for how long after it
}

// Sweep deletes what has outlived its time.
func (d *DB) Sweep(ctx context.Context, all ...Swept) error {
	for _, s := range all {
		err := SweepFound[int64](ctx, d, Found{
			Find: `SELECT ` + s.By + ` FROM ` + s.Table + ` WHERE ` + s.By + ` > 0 AND ` + s.By + ` < $1 ORDER BY ` + s.By + ` LIMIT $2`,
			Of:   []any{d.Clock().Now() - s.Kept}, Change: `DELETE FROM ` + s.Table + ` WHERE ` + s.By + ` BETWEEN $1 AND $2`,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", s.Table, err)
		}
	}
	return nil
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
			keys, err = All(tx, Value[T], f.Find, append(slices.Clone(f.Of), SweepBatch)...)
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

// SweepBeyond sweeps what comes before so many others that are kept: beyond asks, with of,
// for the newest key that is not, and that comes behind the arguments in f.Of. It does
// nothing if there is none.
func SweepBeyond[T any](ctx context.Context, d *DB, beyond string, of []any, f Found) error {
	var newest T
	err := d.View(ctx, func(tx *Tx) error { return tx.QueryRow(beyond, of...).Scan(&newest) })
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for what is too many: %w", err)
	}
	f.Of = append(slices.Clone(f.Of), newest)
	return SweepFound[T](ctx, d, f)
}
