package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/purserhq/purser/internal/fault"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The kinds of connection, as parameters of their URLs. All wait for a lock that
// another program holds; caches are in KiB, so that an idle server stays small.
// Views open the file for writing too, though they never write: the last
// connection to close folds the log into the file.
var (
	writing = url.Values{"mode": {"rwc"}, "_pragma": {"busy_timeout(10000)", "synchronous(FULL)", "cache_size(-16384)",
		"wal_autocheckpoint(4000)", "journal_size_limit(67108864)", "temp_store(MEMORY)"}}
	reading     = url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(10000)", "query_only(1)", "cache_size(-4096)", "temp_store(MEMORY)"}}
	onlyReading = url.Values{"mode": {"ro"}, "_pragma": reading["_pragma"]}
)

// connect opens one connection to the file.
func (d *DB) connect(ctx context.Context, path string, kind url.Values) (*conn, error) {
	connector, err := sqlite.NewConnector("file://" + (&url.URL{Path: path}).EscapedPath() + "?" + kind.Encode())
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	d.pools = append(d.pools, pool)
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &conn{sql: c, statements: map[string]statement{}}, nil
}

// code is SQLite's primary result code in an error's chain, 0 for none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// IsDuplicate reports whether a statement was refused because a row with the same
// unique key is there.
func IsDuplicate(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// fatal says what an error means that does not pass by itself, or nil.
func fatal(err error) *fault.Fault {
	because := ""
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		because = "the disk is full: make room"
	case sqlite3.SQLITE_IOERR:
		because = "the disk does not read or write: look at it"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		because = "the database file is damaged: restore a copy"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		because = "the database file cannot be written: look at its directory and rights"
	case sqlite3.SQLITE_NOMEM:
		because = "there is no memory left: free some"
	default:
		return nil
	}
	return fault.New(fault.Unavailable, "%s, then start the server again", because).WithCode("storage_failed")
}

// explain turns what the operator can mend into a fault that says how.
func explain(path string, err error) error {
	if err == nil || fault.Of(err) != nil {
		return err
	}
	switch c := code(err); {
	case c == sqlite3.SQLITE_NOTADB:
		return fault.New(fault.Conflict, "%s is not a database: choose another path, or move the file away", path)
	case c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED:
		return fault.New(fault.Unavailable, "another program keeps the database locked: close it and try again").WithCode("database_locked")
	case c == sqlite3.SQLITE_READONLY || c == sqlite3.SQLITE_CANTOPEN:
		return fault.New(fault.Unavailable, "%s cannot be opened: look at the rights of the file and of its directory", path)
	}
	if why := fatal(err); why != nil {
		return why
	}
	return err
}

// fileLock keeps a second server off the database while it is held; the system
// lets go of it when the process ends, however it ends.
type fileLock struct{ file *os.File }

// lockFile makes the directory and takes the lock PATH.lock, or says who has it.
func lockFile(path string) (*fileLock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, unwritable(path, err)
	}
	file, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unwritable(path, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		return nil, taken(path, file)
	}
	if err := errors.Join(file.Truncate(0), write(file, fmt.Sprintf("%d\n", os.Getpid()))); err != nil {
		return nil, errors.Join(unwritable(path, err), file.Close())
	}
	// The rows are for the server's user alone; SQLite gives its other files the same rights.
	database, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(unwritable(path, err), file.Close())
	}
	return &fileLock{file}, database.Close()
}

func write(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

func taken(path string, file *os.File) *fault.Fault {
	text := make([]byte, 20)
	n, _ := file.ReadAt(text, 0) // who it is only helps the reader
	return fault.New(fault.Conflict, "another server (process %s) uses %s: stop it, or choose another data directory",
		strings.TrimSpace(string(text[:n])), path).WithCode("database_in_use")
}

func unwritable(path string, err error) *fault.Fault {
	return fault.New(fault.Unavailable, "cannot write in %s: %v; choose a data directory that can be written, or make room in it",
		filepath.Dir(path), err).WithCode("storage_failed")
}

func (l *fileLock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
