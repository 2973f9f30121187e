package dbtest

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Model names the variable that holds the URL of a database with the schema of this
// program and no rows, on a server that is thrown away after the tests. With it, the
// databases of tests are copies of it, which are emptied and used again: making one takes
// longer than most tests. Nobody connects to the model: that would be in the way of a copy.
const Model = "PURSER_TEST_MODEL"

// idle are the databases of this process that no test uses.
var idle struct {
	sync.Mutex
	names []string
}

// take is a database that another test has left, or "".
func take() (name string) {
	idle.Lock()
	defer idle.Unlock()
	if last := len(idle.names) - 1; last >= 0 {
		name, idle.names = idle.names[last], idle.names[:last]
	}
	return name
}

// leave has a database used again. One whose schema or settings a test has changed is
// dropped.
func leave(t testing.TB, name string) {
	t.Helper()
	if os.Getenv(Model) != "" && emptied(t, on(os.Getenv(Variable), name)) {
		idle.Lock()
		defer idle.Unlock()
		idle.names = append(idle.names, name)
		return
	}
	drop(t, name)
}

// shape is what a database is but for its rows: its schemas, tables, columns, constraints,
// functions, triggers and settings.
const shape = `
	WITH ours AS (SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema')
	SELECT md5(string_agg(one, E'\n' ORDER BY one)) FROM (
		SELECT 'schema ' || nspname AS one FROM ours
		UNION ALL SELECT format('relation %s.%s %s %s', nspname, relname, relkind, pg_get_indexdef(i.indexrelid))
			FROM pg_class c JOIN ours ON ours.oid = relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
		UNION ALL SELECT format('column %s.%s %s %s %s %s', nspname, relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull)
			FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN ours ON ours.oid = relnamespace
		UNION ALL SELECT format('constraint %s %s', conname, pg_get_constraintdef(k.oid)) FROM pg_constraint k JOIN ours ON ours.oid = connamespace
		UNION ALL SELECT format('function %s %s', proname, md5(prosrc)) FROM pg_proc JOIN ours ON ours.oid = pronamespace
		UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT 'setting ' || setconfig::text FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()
	) AS parts`

// empty takes the rows away: small tables are deleted from, which is faster, large ones
// made anew.
const empty = `
	DO $$ DECLARE r record; BEGIN
		FOR r IN SELECT oid::regclass AS name, pg_relation_size(oid) AS size FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'schema_versions' LOOP
			IF r.size > 256 * 1024 THEN
				EXECUTE format('TRUNCATE %s', r.name);
			ELSIF r.size > 0 THEN
				EXECUTE format('DELETE FROM %s', r.name);
			END IF;
		END LOOP;
	END $$`

// template is what a database for tests is made from: the model, if there is one.
func template() string {
	model := os.Getenv(Model)
	if model == "" {
		return nothing
	}
	path, _, _ := strings.Cut(model, "?")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// ours is the shape of the model.
var ours struct {
	once  sync.Once
	shape string
}

// measure notes the shape of the model, from a copy in which nothing has been done yet.
func measure(t testing.TB, url string) {
	t.Helper()
	if os.Getenv(Model) == "" {
		return
	}
	ours.once.Do(func() {
		connected(t, url, func(ctx context.Context, c *pgx.Conn) error { return c.QueryRow(ctx, shape).Scan(&ours.shape) })
	})
}

// emptied reports whether a database is as the model now.
func emptied(t testing.TB, url string) (done bool) {
	t.Helper()
	err := with(url, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		if err != nil {
			return err
		}
		var is string
		if err := c.QueryRow(ctx, shape).Scan(&is); err != nil || is != ours.shape {
			return err
		}
		_, err = c.Exec(ctx, empty)
		done = err == nil
		return err
	})
	if err != nil {
		t.Logf("a database is not used again: %v", err)
	}
	return done
}
