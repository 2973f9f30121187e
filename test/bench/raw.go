package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/purserhq/purser/internal/db"
)

// raw writes the rows of captures without a thought: as many rows in a statement as
// the database takes well, and as many captures in a commit as the ledger has at most.
type raw struct {
	h      *house
	tables []*db.Table // of the embedded database, which has one connection that writes
	conns  []*pgx.Conn // of a PostgreSQL
	texts  []string
}

// rawConnections is how many write to a PostgreSQL at the same time.
const rawConnections = 2

func (b *bench) newRaw(h *house, url string) (*raw, error) {
	r := &raw{h: h}
	for _, k := range kinds {
		r.tables = append(r.tables, k.table())
	}
	if !b.place.isShared() {
		return r, nil
	}
	for range rawConnections {
		c, err := pgx.Connect(b.ctx, url)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.conns = append(r.conns, c)
	}
	return r, nil
}

func (r *raw) connections() int { return max(1, len(r.conns)) }

func (r *raw) close() (err error) {
	for _, c := range r.conns {
		err = errors.Join(err, c.Close(context.WithoutCancel(r.h.ctx)))
	}
	return err
}

// write writes the rows of n captures from a number on. What is timed are the commits alone. The rate
// of the sample is of captures: its calls are as long as the commit that they share.
func (r *raw) write(all rows, from, n int) (sample, error) {
	if r.conns == nil {
		return timed(all.batches(from, n, db.DefaultBatch, 0, 1), r.embedded)
	}
	if r.texts == nil {
		for i, k := range kinds {
			r.texts = append(r.texts, k.unnested(all[i][from%len(all[i])][0]))
		}
	}
	parts := make([][]posted, len(r.conns))
	for c := range parts {
		for _, b := range all.batches(from, n, db.DefaultBatch, c, len(r.conns)) {
			p, err := r.posted(b)
			if err != nil {
				return sample{}, err
			}
			parts[c] = append(parts[c], p)
		}
	}
	used, began := cpu(), time.Now()
	each := make([]sample, len(parts))
	_, err := measure(len(parts), len(parts), func(_, c int) (err error) {
		each[c], err = timed(parts[c], func(p posted) error { return r.send(r.conns[c], p) })
		return err
	})
	s := sample{all: time.Since(began), cpu: cpu() - used}
	for _, one := range each {
		s.took = append(s.took, one.took...)
	}
	slices.Sort(s.took)
	return s, err
}

// sized is a commit that knows how many captures it is of.
type sized interface{ size() int }

func (b batch) size() int { return b.captures }

// timed writes commits one after the other.
func timed[B sized](batches []B, write func(B) error) (s sample, err error) {
	used, began := cpu(), time.Now()
	for _, b := range batches {
		at := time.Now()
		if err := write(b); err != nil {
			return s, err
		}
		took := time.Since(at)
		for range b.size() {
			s.took = append(s.took, took)
		}
	}
	s.all, s.cpu = time.Since(began), cpu()-used
	slices.Sort(s.took)
	return s, nil
}

func (r *raw) embedded(b batch) error {
	return r.h.db.Update(r.h.ctx, func(tx *db.Tx) error {
		for i, t := range r.tables {
			if err := t.Write(tx, b.args[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// posted is a batch with an array for each column.
type posted struct {
	captures int
	columns  [][]any
}

func (p posted) size() int { return p.captures }

func (r *raw) posted(b batch) (p posted, err error) {
	p.captures, p.columns = b.captures, make([][]any, len(kinds))
	for i, k := range kinds {
		if p.columns[i], err = db.Arrays(b.args[i], len(k.names())); err != nil {
			return p, fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return p, nil
}

// unnested writes any number of rows with one statement; row is one of them.
func (k kind) unnested(row []any) string {
	columns := make([]string, len(row))
	for i, value := range row {
		columns[i] = fmt.Sprintf("$%d::text[]", i+1)
		if _, ok := value.(int64); ok {
			columns[i] = fmt.Sprintf("$%d::bigint[]", i+1)
		}
	}
	return "INSERT INTO " + k.name + " (" + strings.Join(k.names(), ", ") + ") SELECT * FROM unnest(" +
		strings.Join(columns, ", ") + ")" + k.conflict()
}

// send writes and commits in one trip.
func (r *raw) send(c *pgx.Conn, p posted) error {
	var all pgx.Batch
	all.Queue("BEGIN")
	for i, columns := range p.columns {
		all.Queue(r.texts[i], columns...)
	}
	all.Queue("COMMIT")
	return c.SendBatch(r.h.ctx, &all).Close()
}
