package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/fault"
)

//go:embed migrations/*.sql
var files embed.FS

// migration is one step of the schema: the file migrations/NNNN_name.sql.
type migration struct {
	version int64
	name    string
	text    string
}

// migrations are the steps that this program knows, in order and without a gap.
func migrations() ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, file := range names {
		number, name, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".sql"), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("migration %s is not number %d", file, i+1)
		}
		text, err := files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, name, string(text)})
	}
	return all, nil
}

// migrate brings the schema up to date, step by step, all in one transaction: a
// crash in the middle leaves the old schema whole. A database that is not ours is
// left as it was, down to its journal mode.
func migrate(ctx context.Context, c *conn, path string, steps []migration, now int64) error {
	version, err := schemaVersion(ctx, c, path)
	if err != nil {
		return err
	}
	if version > int64(len(steps)) {
		return tooNew(path, version, len(steps))
	}
	if _, err := c.sql.ExecContext(ctx, `PRAGMA journal_mode = WAL`); err != nil {
		return fmt.Errorf("switch to a write-ahead log: %w", err)
	}
	if version == int64(len(steps)) {
		return nil
	}
	return takeSteps(ctx, c, version, steps, now)
}

// takeSteps takes the steps behind a version.
func takeSteps(ctx context.Context, c *conn, version int64, steps []migration, now int64) error {
	if err := errors.Join(c.begin(), c.open()); err != nil {
		return fmt.Errorf("begin the migration: %w", err)
	}
	defer c.rollback() // without effect after the commit
	if err := build(ctx, c, version, steps, now); err != nil {
		return err
	}
	return c.commit()
}

// build runs the steps behind a version in the transaction that is open.
func build(ctx context.Context, c *conn, version int64, steps []migration, now int64) error {
	if version == 0 {
		if _, err := c.sql.ExecContext(ctx, versionTable); err != nil {
			return err
		}
	}
	for _, step := range steps[version:] {
		if err := step.apply(ctx, c, now); err != nil {
			return fmt.Errorf("migration %d (%s): %w", step.version, step.name, err)
		}
	}
	return nil
}

const versionTable = `CREATE TABLE schema_versions (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, at BIGINT NOT NULL)`

func (m migration) apply(ctx context.Context, c *conn, now int64) error {
	if _, err := c.sql.ExecContext(ctx, textFor(m.text, c.server != nil)); err != nil {
		return err
	}
	_, err := c.sql.ExecContext(ctx, `INSERT INTO schema_versions (version, name, at) VALUES ($1, $2, $3)`, m.version, m.name, now)
	return err
}

// Lines of a migration that begin with one of these are for one database alone: the other
// passes over them as comments.
const (
	onlySQLite   = "-- sqlite: "
	onlyPostgres = "-- postgresql: "
)

// textFor is a text of a migration for one of the two databases. On PostgreSQL texts sort by
// their bytes, as SQLite and Go have them, whatever the database's own order is.
func textFor(text string, isPostgres bool) string {
	only := onlySQLite
	if isPostgres {
		only = onlyPostgres
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, only)
		if fields := strings.Fields(line); isPostgres && len(fields) > 1 && strings.TrimSuffix(fields[1], ",") == "TEXT" {
			lines[i] = strings.Replace(line, "TEXT", `TEXT COLLATE "C"`, 1)
		}
	}
	return strings.Join(lines, "\n")
}

// schemaVersion is the last step taken, 0 for an empty database. The lock on the
// file keeps it from moving meanwhile.
func schemaVersion(ctx context.Context, c *conn, path string) (int64, error) {
	tables, err := c.integer(ctx, `SELECT count(*) FROM sqlite_schema`)
	if err != nil || tables == 0 {
		return 0, err
	}
	ours, err := c.integer(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'schema_versions'`)
	if err != nil {
		return 0, err
	}
	if ours == 0 {
		return 0, fault.New(fault.Conflict, "%s is a database of another program: choose another path", path)
	}
	return c.integer(ctx, `SELECT coalesce(max(version), 0) FROM schema_versions`)
}

// versionOf is the last step taken in either kind of database, 0 if it is empty.
func versionOf(ctx context.Context, c *conn, path string) (int64, error) {
	if c.server != nil {
		return c.server.schemaOf(ctx, c)
	}
	return schemaVersion(ctx, c, path)
}

// checkSchema is for readers, which do not migrate: the schema must be exactly the
// one of this program.
func checkSchema(ctx context.Context, c *conn, path string, steps []migration) error {
	version, err := versionOf(ctx, c, path)
	switch {
	case err != nil:
		return fmt.Errorf("read the schema version: %w", err)
	case version > int64(len(steps)):
		return tooNew(path, version, len(steps))
	case version < int64(len(steps)):
		return fault.New(fault.Conflict, "%s has schema %d and this purser reads schema %d: start the server once to bring it up to date",
			path, version, len(steps)).WithCode("schema_too_old")
	}
	return nil
}

func tooNew(path string, version int64, known int) *fault.Fault {
	return fault.New(fault.Conflict, "%s has schema %d, written by a newer purser; this one knows schema %d: install the newer version again",
		path, version, known).WithCode("schema_too_new")
}
