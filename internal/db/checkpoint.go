package db

import (
	"context"
	"fmt"
)

// checkpointEvery is after how many rows the log is folded into the file.
const checkpointEvery = 2000

// checkpointer folds SQLite's log into the file beside the writer, on a connection of
// its own, so that no commit has to wait for it. It takes nothing from a reader and
// nothing that is not durable. If it cannot keep up, the writer does the rest itself when
// the log has grown to wal_autocheckpoint pages.
type checkpointer struct {
	db    *DB
	conn  *conn
	rows  int           // written since it was asked last; the writer's
	due   chan struct{} // one token: the log has grown
	ended chan struct{}
}

func (d *DB) startCheckpointer(ctx context.Context) error {
	c, err := d.dial(ctx, reading)
	if err != nil {
		return err
	}
	k := &checkpointer{db: d, conn: c, due: make(chan struct{}, 1), ended: make(chan struct{})}
	d.checkpointer = k
	go k.run()
	return nil
}

// wrote takes note of rows that are in the log.
func (k *checkpointer) wrote(rows int) {
	if k == nil {
		return
	}
	if k.rows += rows; k.rows < checkpointEvery {
		return
	}
	k.rows = 0
	select {
	case k.due <- struct{}{}:
	default:
	}
}

func (k *checkpointer) run() {
	defer close(k.ended)
	for range k.due {
		err := k.conn.run("PRAGMA wal_checkpoint(PASSIVE)")
		if err == nil || isLocked(err) {
			continue
		}
		if why := fatal(err); why != nil {
			k.db.fail(why, fmt.Errorf("fold the log into the file: %w", err))
			continue
		}
		k.db.log.Error("the log could not be folded into the file", "error", err)
	}
}

// stop ends it; the writer has ended before.
func (k *checkpointer) stop() error {
	if k == nil {
		return nil
	}
	close(k.due)
	<-k.ended
	return k.conn.close()
}
