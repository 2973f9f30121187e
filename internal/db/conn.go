package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// maxStatements is how many prepared statements a connection keeps.
const maxStatements = 512

// conn is one connection with its prepared statements, used by one goroutine at a
// time.
type conn struct {
	sql        *sql.Conn
	pool       *sql.DB // of this one connection
	statements map[string]statement
	rows       map[string]driver.Stmt // those that write many rows to SQLite
	values     []driver.NamedValue    // of one of those

	server *server    // the PostgreSQL, nil for SQLite
	wire   *wire      // to it
	queue  *pgx.Batch // statements for it that wait for company
	isOpen bool       // it has begun the transaction
}

type statement struct {
	stmt   *sql.Stmt
	writes bool // counted as a write even when it is run as a query
}

// prepare returns the statement of that text, prepared once per connection.
func (c *conn) prepare(query string) (statement, error) {
	if s, ok := c.statements[query]; ok {
		return s, nil
	}
	text := query
	if c.server == nil {
		text = unnumbered(query)
	}
	stmt, err := c.sql.PrepareContext(background, text)
	if err != nil {
		return statement{}, fmt.Errorf("prepare %q: %w", query, err)
	}
	s := statement{stmt, writes(query)}
	c.statements[query] = s
	return s, nil
}

// writes is true unless the text can only read.
func writes(query string) bool {
	text := strings.ToUpper(strings.TrimSpace(query))
	if strings.HasPrefix(text, "SELECT") {
		return false
	}
	return !strings.HasPrefix(text, "WITH") ||
		strings.Contains(text, "INSERT") || strings.Contains(text, "UPDATE") || strings.Contains(text, "DELETE")
}

// trim forgets the statements when there are too many, between units of work:
// none of them is in use then.
func (c *conn) trim() {
	if len(c.statements) > maxStatements {
		_ = c.forget() // what the database says here is the error of an earlier run
	}
}

func (c *conn) forget() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.stmt.Close())
	}
	for _, s := range c.rows {
		errs = append(errs, s.Close())
	}
	clear(c.statements)
	clear(c.rows)
	return errors.Join(errs...)
}

// insert runs a statement of many columns on SQLite, by the driver itself: database/sql
// would look at every column what kind it is of.
func (c *conn) insert(query string, args []any) error {
	return c.sql.Raw(func(made any) (err error) {
		s := c.rows[query]
		if s == nil {
			if s, err = made.(driver.ConnPrepareContext).PrepareContext(background, unnumbered(query)); err != nil {
				return fmt.Errorf("prepare %q: %w", query, err)
			}
			c.rows[query] = s
		}
		c.values = c.values[:0]
		for i, arg := range args {
			c.values = append(c.values, driver.NamedValue{Ordinal: i + 1, Value: arg})
		}
		_, err = s.(driver.StmtExecContext).ExecContext(background, c.values)
		clear(c.values)
		return err
	})
}

// run runs a statement that returns nothing.
func (c *conn) run(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.stmt.ExecContext(background)
	return err
}

// begin begins a transaction to write in. On PostgreSQL that waits for the first
// statement that must be answered: most batches need none but the last.
func (c *conn) begin() error {
	c.trim()
	if c.server != nil {
		return nil
	}
	return c.run("BEGIN IMMEDIATE")
}

// firstRead is what a transaction that reads begins with: its snapshot comes with it.
const firstRead = "SELECT version FROM schema_versions LIMIT 1"

// beginRead begins a transaction and takes its snapshot: on PostgreSQL in one trip.
func (c *conn) beginRead() error {
	c.trim()
	var err error
	if c.server != nil {
		c.later("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", nil)
		c.later(firstRead, nil)
		c.isOpen = true
		err = c.send()
	} else if err = c.run("BEGIN"); err == nil {
		err = c.run(firstRead)
	}
	if err != nil {
		c.rollback()
	}
	return err
}

func (c *conn) commit() error {
	if c.server != nil {
		return c.commitPostgres()
	}
	return c.run("COMMIT")
}

// rollback ends the transaction. SQLite may have ended it already, after a full
// disk: that is no error.
func (c *conn) rollback() {
	if c.server != nil {
		c.rollbackPostgres()
		return
	}
	_ = c.run("ROLLBACK")
}

// close closes the statements first: SQLite keeps the file open for them.
func (c *conn) close() error {
	return errors.Join(c.forget(), c.sql.Close(), c.pool.Close())
}

// integer is the answer of a statement that returns one number.
func (c *conn) integer(ctx context.Context, query string) (n int64, err error) {
	err = c.sql.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

// texts is the answer of a statement that returns one text in each row.
func (c *conn) texts(ctx context.Context, query string, args ...any) (all []string, err error) {
	rows, err := c.sql.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
