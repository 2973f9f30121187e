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

// URL is a new, empty database, dropped with the test.
func URL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(Variable)
	if server == "" {
		return "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	}
	name := "t" + strings.ReplaceAll(uuid.NewString(), "-", "")
	do(t, server, "CREATE DATABASE "+name+" TEMPLATE template0 STRATEGY file_copy")
	t.Cleanup(func() { do(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	head, query, _ := strings.Cut(server, "?")
	return fmt.Sprintf("%s/%s?%s", head[:strings.LastIndexByte(head, '/')], name, query)
}

func do(t testing.TB, url, statement string) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}
