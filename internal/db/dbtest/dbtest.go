package dbtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Variable holds, for the tests, the URL of a PostgreSQL that they may fill. With
// it every test runs there; without it, on SQLite.
const Variable = "PURSER_TEST_POSTGRES"

// IsPostgres reports which of the two it is.
func IsPostgres() bool { return os.Getenv(Variable) != "" }

// URL is a database without rows that no other test uses. It may have the schema already.
func URL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(Variable)
	if server == "" {
		return Empty(t)
	}
	name := take()
	if name == "" {
		name = create(t, template())
		measure(t, on(server, name))
	}
	t.Cleanup(func() { leave(t, name) })
	return on(server, name)
}

// Empty is a new database with nothing in it, dropped with the test.
func Empty(t testing.TB) string {
	t.Helper()
	server := os.Getenv(Variable)
	if server == "" {
		return "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	}
	name := create(t, nothing)
	t.Cleanup(func() { drop(t, name) })
	return on(server, name)
}

// nothing is the database of PostgreSQL that a new one is made from with nothing in it.
const nothing = "template0"

func create(t testing.TB, template string) (name string) {
	t.Helper()
	name = "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	Do(t, os.Getenv(Variable), "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy")
	return name
}

func drop(t testing.TB, name string) {
	t.Helper()
	Do(t, os.Getenv(Variable), "DROP DATABASE "+name+" WITH (FORCE)")
}

// on is the URL of another database of a server.
func on(server, name string) string {
	head, query, _ := strings.Cut(server, "?")
	return fmt.Sprintf("%s/%s?%s", head[:strings.LastIndexByte(head, '/')], name, query)
}

// Schema is a new, empty schema of a database that is there, dropped with the test.
func Schema(t testing.TB, url string) string {
	t.Helper()
	name := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	Do(t, url, "CREATE SCHEMA "+name)
	t.Cleanup(func() { Do(t, url, "DROP SCHEMA "+name+" CASCADE") })
	mark := "?"
	if strings.Contains(url, "?") {
		mark = "&"
	}
	return url + mark + "search_path=" + name + ",public"
}

// Do runs statements in a PostgreSQL.
func Do(t testing.TB, url string, statements ...string) {
	t.Helper()
	connected(t, url, func(ctx context.Context, c *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := c.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}

// Texts is what a query in a PostgreSQL gives, a text in each row.
func Texts(t testing.TB, url, query string) (all []string) {
	t.Helper()
	connected(t, url, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, query)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return all
}

// Hand is a connection to a PostgreSQL on which a test reads and changes rows behind the
// program's back, one trip for each statement; closed with the test. It returns the first
// column as text.
func Hand(t testing.TB, url string) func(query string) ([]string, error) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(ctx) })
	return func(query string) (all []string, err error) {
		results, err := c.PgConn().Exec(ctx, query).ReadAll()
		for _, result := range results {
			for _, row := range result.Rows {
				all = append(all, string(row[0]))
			}
		}
		return all, err
	}
}

func connected(t testing.TB, url string, fn func(context.Context, *pgx.Conn) error) {
	t.Helper()
	if err := with(url, fn); err != nil {
		t.Fatal(err)
	}
}

func with(url string, fn func(context.Context, *pgx.Conn) error) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return fn(ctx, c)
}
