package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/purserhq/purser/internal/db"
)

const (
	flushes = "fdatasync of 4 KiB"
	commits = "durable commit of one row"
)

// disk measures the two floors of everything durable.
func (b *bench) disk() error {
	file, err := os.Create(filepath.Join(b.place.dir, "flush"))
	if err != nil {
		return err
	}
	defer file.Close()
	page := make([]byte, 4096)
	var flushed, committed []sample
	commit, end, err := b.oneRow()
	if err != nil {
		return err
	}
	for range b.Form.Rounds {
		s, err := measure(1, b.Form.Alone, func(_, i int) error {
			_, err := file.WriteAt(page, int64(i)*4096)
			return errors.Join(err, syscall.Fdatasync(int(file.Fd())))
		})
		if err != nil {
			return err
		}
		flushed = append(flushed, s)
		if s, err = measure(1, b.Form.Alone, func(_, i int) error { return commit() }); err != nil {
			return err
		}
		committed = append(committed, s)
	}
	b.rounds(flushes, 1, 0, flushed, "", nil)
	b.rounds(commits, 1, 0, committed, flushes, flushed)
	return end()
}

// oneRow commits one row, durably, with nothing of ours in the way but, for the
// embedded database, the goroutine that writes.
func (b *bench) oneRow() (commit, end func() error, err error) {
	url, err := b.place.url()
	if err != nil {
		return nil, nil, err
	}
	const insert = `INSERT INTO usage_events (organization, workspace, source, id, at, digest, charge) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	no := 0
	args := func() []any {
		no++
		return []any{"org_1", "ws_1", "/bench", fmt.Sprint(no), int64(no), "digest", int64(no)}
	}
	d, err := db.Open(b.ctx, db.Config{URL: url}) // makes the tables
	if err != nil || !b.place.isShared() {
		return func() error {
			return d.Update(b.ctx, func(tx *db.Tx) error {
				_, err := tx.Exec(insert, args()...)
				return err
			})
		}, func() error { return d.Close() }, err
	}
	c, err := pgx.Connect(b.ctx, url)
	return func() error {
		_, err := c.Exec(b.ctx, insert, args()...)
		return err
	}, func() error { return errors.Join(c.Close(b.ctx), d.Close()) }, err
}
