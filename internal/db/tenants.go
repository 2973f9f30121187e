package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Global are the tables of the installation, of which every server has all rows.
// All others are of the tenants: what makes their rows unique begins with the
// organization, so that an organization can lie on one node of many.
var Global = []string{
	"attempts", "authenticators", "campaigns", "clock", "codes", "derived_cards", "device_codes", "familiar_addresses",
	"house_days", "mailed_links", "mails", "organizations", "payment_early_words", "payment_notices", "plans", "rate_cards", "recovery_codes",
	"sandbox_methods", "sandbox_notices", "sandbox_payments", "sandbox_refunds", "sandbox_secrets", "schema_versions", "seals",
	"seller", "series", "servers", "sessions", "sso_domains", "sso_visits", "tax_rates", "tax_settings", "token_hashes", "users",
}

// hub is the tenant table beside which the rows of an organization in all others
// are placed.
const hub = "wallets"

// Distribution is the SQL that spreads a migrated PostgreSQL over the nodes of a
// Citus cluster: tenant tables by organization, all rows of one on one node, and
// the global ones whole on each. What has been placed already stays: it can be run
// again, after an upgrade that brought a table.
func Distribution(ctx context.Context) ([]string, error) {
	tables, err := tables(ctx)
	if err != nil {
		return nil, err
	}
	statements := []string{"CREATE EXTENSION IF NOT EXISTS citus;"}
	place := func(table, call string) {
		statements = append(statements, fmt.Sprintf(
			"SELECT %s WHERE NOT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = '%s'::regclass);", call, table))
	}
	for _, table := range Global {
		place(table, fmt.Sprintf("create_reference_table('%s')", table))
	}
	place(hub, fmt.Sprintf("create_distributed_table('%s', 'organization')", hub))
	for _, table := range tables {
		if table != hub && !slices.Contains(Global, table) {
			place(table, fmt.Sprintf("create_distributed_table('%s', 'organization', colocate_with => '%s')", table, hub))
		}
	}
	return statements, nil
}

// tables are the names of all tables that the migrations make.
func tables(ctx context.Context) (names []string, err error) {
	err = fresh(ctx, func(c *conn) error {
		names, err = c.texts(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
		return err
	})
	return names, err
}

// fresh lends a new database in memory that has taken every step.
func fresh(ctx context.Context, fn func(*conn) error) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	c, err := inMemory(ctx)
	if err != nil {
		return err
	}
	if err = takeSteps(ctx, c, 0, steps, 0); err == nil {
		err = fn(c)
	}
	return errors.Join(err, c.close())
}
