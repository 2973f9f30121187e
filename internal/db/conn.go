package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// maxStatements is how many prepared statements a connection keeps.
const maxStatements = 512

// conn is one connection with its prepared statements, used by one goroutine at a
// time.
type conn struct {
	sql        *sql.Conn
	pool       *sql.DB // of this one connection
	statements map[string]statement
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
	stmt, err := c.sql.PrepareContext(background, unnumbered(query))
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
		_ = c.forget() // what SQLite says here is the error of an earlier run
	}
}

func (c *conn) forget() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.stmt.Close())
	}
	clear(c.statements)
	return errors.Join(errs...)
}

func (c *conn) exec(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.stmt.ExecContext(background)
	return err
}

func (c *conn) begin() error {
	c.trim()
	return c.exec("BEGIN IMMEDIATE")
}

// beginRead begins a transaction and takes its snapshot, which SQLite does only
// at the first read.
func (c *conn) beginRead() error {
	c.trim()
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	if err := c.exec("SELECT version FROM schema_versions LIMIT 1"); err != nil {
		c.rollback()
		return err
	}
	return nil
}

func (c *conn) commit() error { return c.exec("COMMIT") }

// rollback ends the transaction. SQLite may have ended it already, after a full
// disk: that is no error.
func (c *conn) rollback() {
	_ = c.exec("ROLLBACK")
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
