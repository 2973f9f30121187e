package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/fault"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The kinds of connection, as parameters of their URLs. All wait for a lock that
// another program holds; caches are in KiB, so that an idle server stays small.
// Views open the file for writing too, though they never write: the last
// connection to close folds the log into the file.
var (
	writing = url.Values{"mode": {"rwc"}, "_pragma": {"busy_timeout(10000)", "synchronous(FULL)", "cache_size(-32768)",
		"wal_autocheckpoint(16000)", "journal_size_limit(67108864)", "temp_store(MEMORY)"}}
	reading     = url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(10000)", "query_only(1)", "cache_size(-4096)", "temp_store(MEMORY)"}}
	onlyReading = url.Values{"mode": {"ro"}, "_pragma": reading["_pragma"]}
)

// connect opens one connection to the file.
func connect(ctx context.Context, path string, kind url.Values) (*conn, error) {
	return dial(ctx, path, addressOf(path)+"?"+kind.Encode())
}

// addressOf is a file's address in SQLite's words.
func addressOf(path string) string { return "file://" + (&url.URL{Path: path}).EscapedPath() }

// inMemory is a new database that ends with its connection.
func inMemory(ctx context.Context) (*conn, error) { return dial(ctx, "memory", "file::memory:") }

func dial(ctx context.Context, path, address string) (*conn, error) {
	connector, err := sqlite.NewConnector(address)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), pool.Close())
	}
	return &conn{sql: c, pool: pool, statements: map[string]statement{}, rows: map[string]driver.Stmt{}}, nil
}

// unnumbered writes ? for $1, $2 and so on if they come in this order, each once.
// SQLite takes every other parameter for a named one and looks its name up in a
// list when it is bound: a third of the time of a statement of many rows.
func unnumbered(query string) string {
	parts := strings.Split(query, "$")
	for i, part := range parts[1:] {
		number := strconv.Itoa(i + 1)
		rest, ok := strings.CutPrefix(part, number)
		if !ok || rest != "" && '0' <= rest[0] && rest[0] <= '9' {
			return query
		}
		parts[i+1] = rest
	}
	return strings.Join(parts, "?")
}

// code is SQLite's primary result code in an error's chain, 0 for none.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
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

// isLocked is true if another program has the database.
func isLocked(err error) bool {
	return code(err) == sqlite3.SQLITE_BUSY || code(err) == sqlite3.SQLITE_LOCKED
}

// isTaken is true if a row with the same key is there already.
func isTaken(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

func locked() *fault.Fault {
	return fault.New(fault.Unavailable, "another program keeps the database locked: close it and try again").WithCode("database_locked")
}

// explain turns an error of Open that the operator can mend into a fault that says
// how.
func explain(path string, err error) error {
	if err == nil || fault.Of(err) != nil {
		return err
	}
	switch c := code(err); {
	case c == sqlite3.SQLITE_NOTADB:
		return fault.New(fault.Conflict, "%s is not a database: choose another path, or move the file away", path)
	case c == sqlite3.SQLITE_READONLY || c == sqlite3.SQLITE_CANTOPEN:
		return fault.New(fault.Unavailable, "%s cannot be opened: look at the rights of the file and of its directory", path)
	case isLocked(err):
		return locked()
	}
	if why := fatal(err); why != nil {
		return why
	}
	return err
}
