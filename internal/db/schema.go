package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/purserhq/purser/internal/fault"
)

// Schema is how far the schema of a database has come.
type Schema struct {
	Database string // its path, or its place without the password
	Engine   string // sqlite or postgresql
	Version  int64  // the last step taken, 0 for an empty database
	Known    int64  // the last step that this program knows
	Steps    []Step // those taken, then those that the program would take
}

// Step is one step of the schema.
type Step struct {
	Version int64
	Name    string
	At      int64 // when it was taken, in Unix nanoseconds; 0 if it was not
}

// inspection is a look at a database as it is: no lock, no migration, and whatever
// its schema. A server may be running.
type inspection struct {
	ctx    context.Context
	conn   *conn
	steps  []migration
	schema Schema
}

// inspect lends an inspection of a database that is there.
func inspect(ctx context.Context, url string, fn func(*inspection) error) (err error) {
	d := &DB{}
	path, err := d.find(url)
	if err != nil {
		return err
	}
	if d.server == nil {
		if err := mustExist(path); err != nil {
			return err
		}
	}
	i := &inspection{ctx: ctx}
	if i.steps, err = migrations(); err != nil {
		return err
	}
	if i.conn, err = d.dial(ctx, onlyReading); err != nil {
		return explain(path, err)
	}
	defer func() { err = errors.Join(explain(path, err), i.conn.close()) }()
	i.schema = Schema{Database: path, Engine: "sqlite", Known: int64(len(i.steps))}
	if d.server != nil {
		i.schema.Engine = "postgresql"
	}
	if i.schema.Version, err = versionOf(ctx, i.conn, path); err != nil {
		return err
	}
	return fn(i)
}

func mustExist(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "there is no database %s: name the server's data directory with --data, or the database with --database", path)
	}
	return err
}

// Look reads how far the schema of a database has come, and changes nothing.
func Look(ctx context.Context, url string) (s Schema, err error) {
	err = inspect(ctx, url, func(i *inspection) error {
		s = i.schema
		if s.Version > 0 {
			if s.Steps, err = i.taken(); err != nil {
				return fmt.Errorf("read the steps of the schema: %w", err)
			}
		}
		for _, step := range i.steps[min(s.Version, s.Known):] {
			s.Steps = append(s.Steps, Step{Version: step.version, Name: step.name})
		}
		return nil
	})
	return s, err
}

func (i *inspection) taken() (steps []Step, err error) {
	rows, err := i.conn.sql.QueryContext(i.ctx, `SELECT version, name, at FROM schema_versions ORDER BY version`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s Step
		if err := rows.Scan(&s.Version, &s.Name, &s.At); err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, rows.Err()
}

// Migrate brings the schema of a database up to date, made if it is not there, as
// the start of a server does, and returns the version that it had. A server that
// runs is in the way.
func Migrate(ctx context.Context, url string) (was int64, err error) {
	d := &DB{clock: SystemClock{}}
	path, err := d.find(url)
	if err != nil {
		return 0, err
	}
	steps, err := migrations()
	if err != nil {
		return 0, err
	}
	if d.server == nil {
		if d.lock, err = lockFile(path); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, d.lock.release()) }()
	}
	c, err := d.dialWriter(ctx)
	if err != nil {
		return 0, explain(path, err)
	}
	defer func() { err = errors.Join(explain(path, err), c.close()) }()
	if was, err = versionOf(ctx, c, path); err != nil {
		return 0, err
	}
	return was, d.migrate(ctx, c, path, steps)
}
