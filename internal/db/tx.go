package db

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"

	"github.com/purserhq/purser/internal/fault"
)

// Tx is one unit of work. It is valid inside its function only, on its goroutine.
type Tx struct {
	db    *DB
	conn  *conn // in a View
	ctx   context.Context
	now   int64
	batch *batch // nil in a View
	wrote bool
	after []func()
	open  []*sql.Rows
}

// Member takes part in a whole batch of units: it gathers what they do and writes
// it once.
type Member interface {
	// Flush writes what was gathered, before the commit, at the instant of the latest
	// unit. An error undoes the batch.
	Flush(tx *Tx) error
	// Done says how the batch ended; the member is not used afterwards.
	Done(committed bool)
}

// Now is the instant of the unit in Unix nanoseconds: the same for the whole
// unit, and never before that of an earlier unit.
func (tx *Tx) Now() int64 { return tx.now }

// NewID makes an id: the prefix, then 26 characters that sort by time.
func (tx *Tx) NewID(prefix string) string { return tx.db.ids.next(prefix, tx.now) }

// Exec runs a statement and returns the number of rows that it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := tx.statement(query)
	if err != nil {
		return 0, err
	}
	result, err := s.stmt.ExecContext(background, args...)
	if err != nil {
		return 0, tx.noted(err)
	}
	changed, err := result.RowsAffected()
	tx.wrote = tx.wrote || changed > 0
	return changed, err
}

// execLater runs a statement of which nothing is to be known but that it succeeds: on
// PostgreSQL in the trip of the commit.
func (tx *Tx) execLater(query string, args ...any) error {
	if tx.db.server == nil {
		_, err := tx.Exec(query, args...)
		return err
	}
	tx.wrote = true
	tx.batch.later(queued{query: query, args: args})
	return nil
}

// Query runs a statement that returns rows. They are closed with the unit at the
// latest; the caller closes them before it runs the same text again.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := tx.statement(query)
	if err != nil {
		return nil, err
	}
	tx.wrote = tx.wrote || s.writes
	rows, err := s.stmt.QueryContext(background, args...)
	if err != nil {
		return nil, tx.noted(err)
	}
	if len(tx.open) >= manyOpen {
		tx.open = slices.DeleteFunc(tx.open, isClosed)
	}
	tx.open = append(tx.open, rows)
	return rows, nil
}

// manyOpen is how many results are kept to be closed with the unit before those
// are forgotten that are closed: a unit that asks a million times needs no more
// memory than one that asks once.
const manyOpen = 64

// isClosed reports whether a result is closed: only then it has no columns.
func isClosed(rows *sql.Rows) bool {
	_, err := rows.Columns()
	return err != nil
}

// finish closes rows that the unit left open: they would hold the connection at
// their old snapshot.
func (tx *Tx) finish() {
	for _, rows := range tx.open {
		_ = rows.Close() // again, for most
	}
	tx.open = nil
}

// statement prepares a text. Once the database has failed nothing more runs:
// SQLite has ended the transaction then, and a write would commit by itself.
func (tx *Tx) statement(query string) (statement, error) {
	if tx.batch != nil {
		if err := tx.db.Err(); err != nil {
			return statement{}, err
		}
	}
	if tx.batch != nil {
		if err := tx.batch.open(); err != nil {
			return statement{}, tx.noted(err)
		}
	}
	s, err := tx.on().prepare(query)
	return s, tx.noted(err)
}

// on is the connection that the unit has; nil if it has none yet.
func (tx *Tx) on() *conn {
	if tx.batch != nil {
		return tx.batch.conn
	}
	return tx.conn
}

// QueryRow runs a statement of which the first row is wanted.
func (tx *Tx) QueryRow(query string, args ...any) Row {
	rows, err := tx.Query(query, args...)
	return Row{tx, rows, err}
}

// Row is the first row of a query.
type Row struct {
	tx   *Tx
	rows *sql.Rows
	err  error
}

// Scan copies the columns; it returns sql.ErrNoRows if there is no row.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	if !r.rows.Next() {
		err := errors.Join(r.rows.Err(), r.rows.Close())
		if err == nil {
			return sql.ErrNoRows
		}
		return r.tx.noted(err)
	}
	// All of it is read, so that a statement with RETURNING runs to its end.
	err := r.rows.Scan(dest...)
	for r.rows.Next() {
	}
	return r.tx.noted(errors.Join(err, r.rows.Err(), r.rows.Close()))
}

// Scanner is a row of a result.
type Scanner interface{ Scan(dest ...any) error }

// Each shows every row of a query to row, until one is refused.
func (tx *Tx) Each(row func(Scanner) error, query string, args ...any) (err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer func() { err = tx.noted(errors.Join(err, rows.Close())) }()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// All reads every row of a query.
func All[T any](tx *Tx, scan func(Scanner) (T, error), query string, args ...any) (all []T, err error) {
	err = tx.Each(func(r Scanner) error {
		one, err := scan(r)
		all = append(all, one)
		return err
	}, query, args...)
	return all, err
}

// Value reads a row of one column.
func Value[T any](r Scanner) (v T, err error) {
	err = r.Scan(&v)
	return v, err
}

// noted passes an error on; one that says the disk is full or broken ends the
// database first, whatever the unit makes of it. On PostgreSQL every error ends the
// transaction, so it undoes the batch.
func (tx *Tx) noted(err error) error {
	if err == nil || errors.Is(err, sql.ErrNoRows) || fault.Of(err) != nil {
		return err
	}
	if tx.batch == nil {
		return counted(err)
	}
	if tx.batch.isStale {
		tx.wrote = true
		return err
	}
	if tx.db.server != nil {
		tx.wrote = true
		tx.batch.isMoved = tx.batch.isMoved || isMoved(err)
		if tx.batch.conn.lost(err) {
			return unreachable(err)
		}
		return counted(err)
	}
	if why := fatal(err); why != nil {
		tx.db.fail(why, err)
	}
	return counted(err)
}

// errAgain is the error of a unit that found out that it needs a closer look.
var errAgain = errors.New("the batch runs again")

// Again is the error with which a unit has its batch undone and run again, then with
// IsAgain.
func (tx *Tx) Again() error {
	tx.wrote = true
	return errAgain
}

// IsAgain reports that the batch runs again because another server was faster: what
// was remembered is to be read, with [Tx.ForUpdate].
func (tx *Tx) IsAgain() bool { return tx.batch != nil && tx.batch.isAgain }

// ForUpdate is what a SELECT ends with so that its rows stay as they are until the
// batch ends.
func (tx *Tx) ForUpdate() string {
	if tx.batch == nil || tx.db.server == nil {
		return ""
	}
	return " FOR UPDATE"
}

// Share keeps other servers from [Tx.Exclude] on what is named, until the batch ends.
// It waits for one that excludes already, so what is read after it is what is there.
func (tx *Tx) Share(name string) error {
	return tx.lock(shareLock, name)
}

// Exclude waits for the batches of other servers that share what is named, and keeps
// them off it until this one ends.
func (tx *Tx) Exclude(name string) error {
	return tx.lock(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) IS NULL`, name)
}

func (tx *Tx) lock(query, name string) error {
	if tx.batch == nil || tx.db.server == nil {
		return nil
	}
	var none bool
	return tx.QueryRow(query, name).Scan(&none)
}

// Assume lets a unit go on with what is remembered, where asking would be a trip: with
// what the batch writes it is asked whether a query still gives a number, and if not the
// batch runs again. What is named is shared from then on, as by [Tx.Share]; "" for
// nothing. On SQLite nobody else writes, and nothing is asked. It reports false where the
// unit is to ask by itself: in a batch that runs again.
func (tx *Tx) Assume(name string, is int64, query string, args ...any) bool {
	switch {
	case tx.batch == nil || tx.IsAgain():
		return false
	case tx.db.server == nil:
		return true
	}
	if name != "" { // a statement of its own: the query is to see what was written while it waited
		tx.batch.later(queued{query: shareLock, args: []any{name}})
	}
	tx.batch.later(queued{query: "SELECT 1 / CASE WHEN (" + query + ") = $" + strconv.Itoa(len(args)+1) + "::bigint THEN 1 ELSE 0 END", args: append(args, is)})
	return true
}

const shareLock = `SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0)) IS NULL`

// HasArrays reports whether a statement may be given an array: PostgreSQL takes them.
func (tx *Tx) HasArrays() bool { return tx.db.server != nil }

// IsShared reports whether other servers may write to the database too.
func (tx *Tx) IsShared() bool { return tx.db.IsShared() }

// Touch says that the unit changed something in memory that a rollback must undo:
// an error of the unit after it undoes the batch.
func (tx *Tx) Touch() { tx.wrote = true }

// IsUpdate reports whether the unit may write, and has a batch with members.
func (tx *Tx) IsUpdate() bool { return tx.batch != nil }

// Member returns the batch's member of that key, made at its first use in the
// batch. Only inside Update.
func (tx *Tx) Member(key any, create func() Member) Member {
	if m, ok := tx.batch.members[key]; ok {
		return m
	}
	m := create()
	tx.batch.members[key] = m
	tx.batch.order = append(tx.batch.order, m)
	return m
}

// AfterCommit has fn run once the unit is durable, before Update returns, in the
// order of the units. It must be quick: the next commit waits. Only inside Update.
func (tx *Tx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

// Context carries the caller's values. In Update it does not end with the
// caller's: a unit that started runs to its end.
func (tx *Tx) Context() context.Context {
	if tx.batch == nil {
		return tx.ctx
	}
	return unitContext{context.WithoutCancel(tx.ctx)}
}

// unitContext marks a context of a unit, so that Update refuses to wait for
// itself.
type unitContext struct{ context.Context }

type unitKey struct{}

func (c unitContext) Value(key any) any {
	if key == (unitKey{}) {
		return true
	}
	return c.Context.Value(key)
}

var background = context.Background()
