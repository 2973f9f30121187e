package db

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/purserhq/purser/internal/fault"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// pagesAtOnce is how many pages of 4 KiB are copied before it is asked whether the
// caller still waits.
const pagesAtOnce = 1024

// PathOf is the file of a database that is one; a PostgreSQL is refused, because its
// own tools copy it.
func PathOf(address string) (string, error) {
	if !isPostgres(address) {
		return pathOf(address)
	}
	s, err := newServer(address)
	if err != nil {
		return "", err
	}
	return "", fault.New(fault.Invalid, "the books are in the PostgreSQL %s, whose own tools copy and bring back all of it at once: "+
		"pg_basebackup with WAL archiving, back to any instant, or pg_dump (docs/operating.md, Backup of PostgreSQL)", s.name)
}

// Copy writes what an SQLite database holds at one instant to a new file, page by
// page, beside a server that goes on writing. Everything whose commit was answered
// before Copy began is in it. The copy is a database, not yet flushed to the disk.
//
// The read transaction that is begun here keeps the instant: without it the copy
// would begin anew at every commit of another process, and never end under load.
func Copy(ctx context.Context, address, to string) (err error) {
	path, err := PathOf(address)
	if err != nil {
		return err
	}
	if err := mustExist(path); err != nil {
		return err
	}
	c, err := connect(ctx, path, onlyReading)
	if err != nil {
		return explain(path, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if version, err := schemaVersion(ctx, c, path); err != nil {
		return explain(path, err)
	} else if version == 0 {
		return fault.New(fault.Conflict, "%s is empty: there is nothing to copy", path)
	}
	if err := c.beginRead(); err != nil {
		return fmt.Errorf("begin the copy: %w", err)
	}
	defer c.rollback()
	return c.sql.Raw(func(driver any) error {
		source, ok := driver.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("the driver %T cannot copy", driver)
		}
		return copyPages(ctx, source.NewBackup, to)
	})
}

func copyPages(ctx context.Context, begin func(string) (*sqlite.Backup, error), to string) error {
	b, err := begin(addressOf(to) + "?" + url.Values{"mode": {"rwc"}, "_pragma": {"synchronous(OFF)"}}.Encode())
	if err != nil {
		return fmt.Errorf("begin the copy: %w", err)
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, b.Finish())
		}
		if more, err = b.Step(pagesAtOnce); err != nil {
			return errors.Join(uncopied(to, err), b.Finish())
		}
	}
	return b.Finish()
}

func uncopied(to string, err error) error {
	if code(err) == sqlite3.SQLITE_FULL {
		return fault.New(fault.Unavailable, "there is no room for a copy in %s: choose another place, or make room", filepath.Dir(to)).WithCode("storage_failed")
	}
	return fmt.Errorf("copy the database: %w", err)
}
