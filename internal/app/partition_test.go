package app

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// The tables that grow with every charge: each of their keys begins with the
// organization, so that PostgreSQL can part them by it.
var parted = []string{"journal", "postings", "charges", "events", "usage_events", "totals"}

// The books work and verify where an operator has parted the growing tables, as
// docs/operating.md says; on SQLite there is nothing to part.
func TestTheBooksWorkInPartitions(t *testing.T) {
	s := newSession(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if dbtest.IsPostgres() {
		part(t, s.config.Database)
	}
	a, err := Start(t.Context(), s.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	s.App = a
	s.command()
	s.read()
	report, err := s.Client().Verify(t.Context(), api.VerifyRequest{})
	if err != nil || !report.OK {
		t.Errorf("%+v %v", report, err)
	}
}

func part(t *testing.T, url string) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, table := range parted {
		text := fmt.Sprintf(`ALTER TABLE %[1]s RENAME TO %[1]s_whole;
			CREATE TABLE %[1]s (LIKE %[1]s_whole INCLUDING ALL) PARTITION BY HASH (organization);`, table)
		for i := range 4 {
			text += fmt.Sprintf("CREATE TABLE %[1]s_%[2]d PARTITION OF %[1]s FOR VALUES WITH (MODULUS 4, REMAINDER %[2]d);", table, i)
		}
		text += fmt.Sprintf("INSERT INTO %[1]s SELECT * FROM %[1]s_whole; DROP TABLE %[1]s_whole;", table)
		if _, err := c.Exec(ctx, text); err != nil {
			t.Fatalf("part %s: %s", table, err)
		}
	}
}
