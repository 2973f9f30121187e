package db

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
)

func TestANewDatabaseHasEveryStep(t *testing.T) {
	steps, err := migrations()
	if err != nil || len(steps) < 2 {
		t.Fatal(steps, err)
	}
	d := open(t, Config{})
	if n := integer(t, d, `SELECT count(*) FROM schema_versions WHERE at > 0`); n != int64(len(steps)) {
		t.Errorf("%d of %d steps are recorded", n, len(steps))
	}
}

// A schema grows by the steps that it lacks; a step that fails leaves it as it was.
func TestStepsAreTakenTogetherOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	c, err := connect(t.Context(), path, writing)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	first := migration{1, "first", "CREATE TABLE a (x BIGINT); INSERT INTO a VALUES (1);"}
	second := migration{2, "second", "CREATE TABLE b (x BIGINT); INSERT INTO b SELECT x FROM a;"}
	broken := migration{3, "broken", "CREATE TABLE c (x BIGINT); INSERT INTO nowhere VALUES (1);"}
	tables := func() int64 {
		n, err := c.integer(t.Context(), `SELECT count(*) FROM sqlite_schema WHERE type = 'table'`)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := migrate(t.Context(), c, path, []migration{first}, 5); err != nil || tables() != 2 {
		t.Fatalf("%v, %d tables", err, tables())
	}
	err = migrate(t.Context(), c, path, []migration{first, second, broken}, 6)
	if err == nil || !strings.Contains(err.Error(), "migration 3 (broken)") || tables() != 2 {
		t.Fatalf("%v, %d tables", err, tables())
	}
	for range 2 { // the second time there is nothing to do
		if err := migrate(t.Context(), c, path, []migration{first, second}, 7); err != nil || tables() != 3 {
			t.Fatalf("%v, %d tables", err, tables())
		}
	}
	if n, err := c.integer(t.Context(), `SELECT sum(x) + (SELECT at FROM schema_versions WHERE version = 1) FROM b`); err != nil || n != 1+5 {
		t.Errorf("%d, %v", n, err)
	}
	if err := checkSchema(t.Context(), c, path, []migration{first, second, broken}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a reader of a later schema: %v", err)
	}
}

// Journals that were there before they had heads get them.
func TestHeadsOfJournalsThatWereThere(t *testing.T) {
	d := open(t, Config{URL: dbtest.Empty(t)})
	before := []string{`DROP TABLE heads`}
	for i, key := range []string{"'', '', 1", "'', '', 2", "'org_a', '', 1", "'org_a', 'ws_a', 1", "'org_b', '', 1", "'org_b', '', 2", "'org_b', '', 3"} {
		before = append(before, fmt.Sprintf(`INSERT INTO journal (organization, workspace, no, at, kind, command, digest, status, answer, hash)
			VALUES (%s, 5, 'request', '', '', 200, '', '%d')`, key, i))
	}
	repeat(t, d, "heads", before...)
	for head, want := range map[string]int64{"organization = '' AND next_journal = 3 AND journal_head = '1'": 1,
		"organization = 'org_a' AND next_journal = 2 AND journal_head = '2'": 1, "organization = 'org_b' AND next_journal = 4 AND journal_head = '6'": 1,
		"workspace = '' AND sealed = 0": 3, "1 = 1": 3} {
		if n := integer(t, d, `SELECT count(*) FROM heads WHERE `+head); n != want {
			t.Errorf("%d heads with %s", n, head)
		}
	}
}

// A role that was given by the name of a project stays where there is such a project, or
// else in the default workspace.
func TestRolesInProjectsThatWereThere(t *testing.T) {
	d := open(t, Config{URL: dbtest.Empty(t)})
	before := []string{
		`DROP TABLE memberships`,
		`CREATE TABLE memberships (organization TEXT NOT NULL, user_id TEXT NOT NULL, project TEXT NOT NULL, role TEXT NOT NULL,
			created_at BIGINT NOT NULL, PRIMARY KEY (organization, user_id, project))`,
		`ALTER TABLE invitations DROP COLUMN workspace`,
		`DROP INDEX users_unverified`, `DROP INDEX invitations_due`, `DROP INDEX token_hashes_due`, `DROP INDEX tokens_revoked`, `DROP INDEX tokens_expired`,
		`INSERT INTO organizations (id, slug, name, type, created_at) VALUES ('org_a', 'acme', '', '', 1), ('org_b', 'labs', '', '', 1)`,
		`INSERT INTO workspaces (organization, id, slug, name, created_at) VALUES
			('org_a', 'ws_a', 'acme', '', 1), ('org_a', 'ws_l', 'lab', '', 1), ('org_b', 'ws_b', 'labs', '', 1)`,
		`INSERT INTO projects (organization, workspace, slug, id, name, policy, created_at, archived_at) VALUES ('org_a', 'ws_l', 'vision', 'prj_1', '', '', 1, 0)`,
		`INSERT INTO memberships (organization, user_id, project, role, created_at) VALUES
			('org_a', 'usr_1', '', 'viewer', 1), ('org_a', 'usr_1', 'vision', 'developer', 2), ('org_a', 'usr_1', 'speech', 'platform', 3), ('org_b', 'usr_1', 'vision', 'admin', 4)`,
		`INSERT INTO invitations (organization, id, email, project, role, secret, invited_by, created_at, expires_at, accepted_at, accepted_by, revoked_at)
			VALUES ('org_a', 'inv_1', '', 'vision', '', '', '', 1, 1, 0, '', 0), ('org_a', 'inv_2', '', '', '', '', '', 1, 1, 0, '', 0)`,
	}
	repeat(t, d, "roles", before...)
	for rows, want := range map[string]int64{
		"memberships WHERE workspace = '' AND project = '' AND role = 'viewer' AND created_at = 1":              1,
		"memberships WHERE workspace = 'ws_l' AND project = 'vision' AND role = 'developer' AND created_at = 2": 1,
		"memberships WHERE workspace = 'ws_a' AND project = 'speech' AND role = 'platform' AND created_at = 3":  1,
		"memberships WHERE workspace = 'ws_b' AND project = 'vision' AND role = 'admin' AND created_at = 4":     1,
		"memberships": 4,
		"invitations WHERE workspace = 'ws_a' AND id = 'inv_1' OR workspace = '' AND id = 'inv_2'": 2,
	} {
		if n := integer(t, d, `SELECT count(*) FROM `+rows); n != want {
			t.Errorf("%d %s", n, rows)
		}
	}
}

// repeat runs statements, and a step of the schema once more behind them.
func repeat(t *testing.T, d *DB, step string, before ...string) {
	t.Helper()
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(steps, func(m migration) bool { return m.name == step })
	update(t, d, func(tx *Tx) error {
		for _, statement := range append(before, strings.Split(strings.TrimSpace(steps[at].text), ";\n")...) {
			if _, err := tx.Exec(textFor(statement, d.server != nil)); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}
