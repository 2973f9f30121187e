package db

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/fault"
	sqlite3 "modernc.org/sqlite/lib"
)

// Checked is what Check found.
type Checked struct {
	Schema  Schema // without its steps
	Parts   int    // tables, columns, indexes, triggers and views that were compared
	Changed []string
	Damaged []string
}

// maxDamages is how many damages SQLite names at most.
const maxDamages = 20

// Check compares the schema of a database, at the version that it has, with what the
// migrations make: Changed says what is missing, different or too much. And it
// looks for damage: SQLite reads every page and looks every row up in every index,
// PostgreSQL tells which indexes are not valid and whether checksums have failed.
// It changes nothing, and a server may be running.
func Check(ctx context.Context, url string) (out Checked, err error) {
	err = inspect(ctx, url, func(i *inspection) error {
		out.Schema = i.schema
		if i.schema.Version > i.schema.Known {
			return tooNew(i.schema.Database, i.schema.Version, len(i.steps))
		}
		if i.schema.Version == 0 {
			return fault.New(fault.Conflict, "%s is empty: \"purser db migrate\" or the first start makes the schema", i.schema.Database)
		}
		if out.Damaged, err = i.damages(); err != nil {
			return fmt.Errorf("look for damage: %w", err)
		}
		is, err := i.described()
		if err != nil {
			return fmt.Errorf("read the schema: %w", err)
		}
		must, err := i.expected()
		if err != nil {
			return fmt.Errorf("make a schema to compare with: %w", err)
		}
		out.Parts, out.Changed = len(must), compare(must, is)
		return nil
	})
	return out, err
}

// compare names the differences of two descriptions, from part to what it is.
func compare(must, is map[string]string) (changed []string) {
	for _, part := range slices.Sorted(maps.Keys(must)) {
		if found, ok := is[part]; !ok {
			changed = append(changed, part+" is missing")
		} else if found != must[part] {
			changed = append(changed, fmt.Sprintf("%s is %q and must be %q", part, found, must[part]))
		}
	}
	for _, part := range slices.Sorted(maps.Keys(is)) {
		if _, ok := must[part]; !ok {
			changed = append(changed, part+" is of no migration")
		}
	}
	return changed
}

func (i *inspection) damages() ([]string, error) {
	if i.conn.server != nil {
		return i.conn.texts(i.ctx, damagePostgres)
	}
	found, err := i.conn.texts(i.ctx, fmt.Sprintf(`PRAGMA integrity_check(%d)`, maxDamages))
	switch {
	case code(err) == sqlite3.SQLITE_CORRUPT:
		return []string{"it cannot be read to its end: " + err.Error()}, nil
	case len(found) == 1 && found[0] == "ok":
		return nil, nil
	}
	return found, err
}

// described is the schema as it is: its parts, and what each is.
func (i *inspection) described() (map[string]string, error) {
	if i.conn.server != nil {
		return i.conn.describe(i.ctx, describePostgres("current_schema()::regnamespace"))
	}
	return i.conn.describe(i.ctx, describeSQLite)
}

// expected is what the steps up to the version make. On PostgreSQL they are taken
// among the temporary tables of a transaction that is undone.
func (i *inspection) expected() (map[string]string, error) {
	steps := i.steps[:i.schema.Version]
	if i.conn.server == nil {
		return expectedSQLite(i.ctx, steps)
	}
	c := i.conn
	if err := c.run("BEGIN"); err != nil {
		return nil, err
	}
	c.isOpen = true
	defer c.rollback()
	if _, err := c.sql.ExecContext(i.ctx, `SET LOCAL search_path = pg_temp`); err != nil {
		return nil, err
	}
	if err := build(i.ctx, c, 0, steps, 0); err != nil {
		return nil, err
	}
	return c.describe(i.ctx, describePostgres("pg_my_temp_schema()"))
}

func expectedSQLite(ctx context.Context, steps []migration) (map[string]string, error) {
	c, err := inMemory(ctx)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := takeSteps(ctx, c, 0, steps, 0); err != nil {
		return nil, err
	}
	return c.describe(ctx, describeSQLite)
}

// describe runs a query for parts, each a kind, a name and what it is.
func (c *conn) describe(ctx context.Context, query string) (map[string]string, error) {
	rows, err := c.sql.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	parts := map[string]string{}
	for rows.Next() {
		var kind, name, what string
		if err := rows.Scan(&kind, &name, &what); err != nil {
			return nil, err
		}
		parts[kind+" "+name] = what
	}
	return parts, rows.Err()
}

// describeSQLite gives the parts of an SQLite. The condition of a partial index
// stands in its text alone.
const describeSQLite = `
SELECT type, name, CASE WHEN type IN ('view', 'trigger') THEN sql ELSE '' END FROM sqlite_schema
WHERE type <> 'index' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
UNION ALL
SELECT 'column', m.name || '.' || c.name,
  c.type || CASE WHEN c."notnull" THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || c.dflt_value, '')
FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
UNION ALL
SELECT 'index', i.name, CASE i.origin WHEN 'pk' THEN 'primary key' ELSE CASE WHEN i."unique" THEN 'unique' ELSE 'plain' END END
  || ' on ' || m.name || ' (' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)) || ')'
  || coalesce((SELECT ' ' || substr(x.sql, instr(x.sql, ' WHERE ') + 1) FROM sqlite_schema x
    WHERE x.type = 'index' AND x.name = i.name AND instr(x.sql, ' WHERE ') > 0), '')
FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table'`

// describePostgres gives the parts of a schema of a PostgreSQL.
func describePostgres(schema string) string {
	return strings.ReplaceAll(`
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' ELSE 'table' END, c.relname::text, ''
FROM pg_class c WHERE c.relnamespace = SCHEMA AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'column', c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod) || coalesce(' COLLATE ' || l.collname, '')
  || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relnamespace = SCHEMA AND c.relkind IN ('r', 'p')
UNION ALL
SELECT 'index', i.relname::text, CASE WHEN x.indisprimary THEN 'primary key' WHEN x.indisunique THEN 'unique' ELSE 'plain' END
  || ' on ' || t.relname || ' (' || (SELECT string_agg(pg_get_indexdef(x.indexrelid, k, true), ', ' ORDER BY k) FROM generate_series(1, x.indnatts) k) || ')'
  || coalesce(' WHERE ' || pg_get_expr(x.indpred, x.indrelid), '')
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid WHERE t.relnamespace = SCHEMA AND t.relkind IN ('r', 'p')
UNION ALL
SELECT 'trigger', t.relname || '.' || g.tgname, pg_get_triggerdef(g.oid)
FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid WHERE t.relnamespace = SCHEMA AND NOT g.tgisinternal`, "SCHEMA", schema)
}

const damagePostgres = `
SELECT 'index ' || i.relname || ' is not valid: REINDEX it'
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE i.relnamespace = current_schema()::regnamespace AND NOT (x.indisvalid AND x.indisready AND x.indislive)
UNION ALL
SELECT checksum_failures || ' pages had a wrong checksum since ' || coalesce(stats_reset::text, 'the start')
FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0`
