package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// keys are all tables that are verified, with the number of columns that identify a
// row. The others hold nothing that a journal tells: jobs what executors report of
// work whose flows and holds are compared, clock the instant of a test clock, and
// schema_versions which files have run.
var keys = map[string]int{
	"wallets": 2, "lots": 3, "flows": 3, "holds": 3, "budgets": 3, "marks": 3, "postings": 3, "charges": 3, "totals": 10,
	"events": 3, "journal": 3, "heads": 2, "seals": 1, "leases": 3, "usage_events": 4, "audit": 3, "rate_cards": 2, "organizations": 1,
	"workspaces": 2, "projects": 3, "project_rules": 2, "priced_by": 2, "day_sums": 7, "day_covers": 2, "house_days": 5,
}

// blind are the columns of which the journal knows nothing.
var blind = map[string]bool{
	"leases.proof": true, // a renewal is no command, and its row is all that is written of it
}

// either are columns of which an edit cannot be told from a row that is missing in
// another table: a journal that is sealed further than the last seal says.
// Sums by day that do not go as far as their cover says may be the one or the other.
var either = map[string]string{
	"wallets.sealed": "seals", "heads.sealed": "seals", "day_covers.no": "day_sums", "day_covers.organization": "day_sums",
	"day_covers.workspace": "day_sums", "day_covers deleted": "day_sums",
}

// # A hand in the database is seen, and named.
func TestEdited(t *testing.T) {
	h := full(t)
	for table := range keys {
		last := h.count(`SELECT COUNT(*) FROM `+table) - 1
		for _, column := range h.columnsOf(table) {
			rows := []int64{last/2 + 1, last}
			if column == "version" || isSoak {
				rows = upTo(last)
			}
			for _, row := range rows {
				t.Run(fmt.Sprint(table, ".", column, " ", row), func(t *testing.T) { h.edit(t, table, column, min(row, last)) })
			}
		}
		for _, row := range upTo(last) {
			t.Run(fmt.Sprint(table, " deleted ", row), func(t *testing.T) { h.drop(t, table, row) })
		}
	}
	h.verified()
}

// # Values that changed places are seen too.
func TestSwapped(t *testing.T) {
	h := full(t)
	for table, n := range keys {
		for _, column := range h.columnsOf(table)[n:] {
			t.Run(table+"."+column, func(t *testing.T) { h.swap(t, table, column) })
		}
	}
	h.verified()
}

// # Every table is verified, or said not to be.
func TestEveryTableIsVerified(t *testing.T) {
	h, others := open(t), []string{
		"alert_settings", "attempts", "authenticators", "auto_top_ups", "bank_payments", "campaigns", "clock", "codes", "contract_lots",
		"contracts", "deliveries", "derived_cards", "device_codes", "familiar_addresses", "held_alerts",
		"identities", "invitations", "invoices", "jobs", "lot_reminders", "mailed_links", "mails", "memberships", "notices", "payment_customers",
		"payment_disputes", "payment_early_words", "payment_methods", "payment_notices", "payment_refunds", "payments", "plan_credits", "plan_overdrafts", "plans",
		"profiles", "quote_requests", "receivables", "recovery_codes", "redemptions", "sandbox_methods", "sandbox_notices", "sandbox_payments",
		"sandbox_refunds", "sandbox_secrets", "schema_versions", "seller", "series", "servers", "sessions", "sso_domains",
		"sso_providers", "sso_visits", "statement_cycles", "subscriptions", "tax_rates", "tax_settings", "token_hashes", "tokens", "users",
		"webhooks",
	}
	query := `SELECT name FROM sqlite_schema WHERE type = 'table'`
	if dbtest.IsPostgres() {
		query = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	names := h.texts(query)
	for _, name := range names {
		if keys[name] == 0 && !slices.Contains(others, name) {
			t.Errorf("%s is not edited in these tests", name)
		}
	}
	if len(names) != len(keys)+len(others) {
		t.Errorf("%d tables", len(names))
	}
}

// upTo counts from 0 up to last.
func upTo(last int64) (all []int64) {
	for i := range last + 1 {
		all = append(all, i)
	}
	return all
}

// hand reads and changes rows without the ledger, and remembers what columns there are.
type hand struct {
	run     func(query string) ([]string, error) // the first column, as text
	columns map[string][]string
	numbers map[string]bool // table.column
}

// behind is the hand, on PostgreSQL with a connection of its own.
func (h *house) behind() *hand {
	h.t.Helper()
	if h.hand == nil {
		h.hand = &hand{run: h.alone, columns: map[string][]string{}, numbers: map[string]bool{}}
		if dbtest.IsPostgres() {
			h.hand.run = dbtest.Hand(h.t, h.url)
		}
	}
	return h.hand
}

// texts runs a statement without the ledger.
func (h *house) texts(query string) []string {
	h.t.Helper()
	all, err := h.behind().run(query)
	h.must(err)
	return all
}

// alone runs a statement in a unit of work of its own.
func (h *house) alone(query string) (all []string, err error) {
	if !strings.HasPrefix(query, "SELECT") {
		return nil, h.update(func(tx *db.Tx) error { _, err := tx.Exec(query); return err })
	}
	err = h.db.View(context.Background(), func(tx *db.Tx) error {
		all, err = db.All(tx, db.Value[string], query)
		return err
	})
	return all, err
}

// holds reports whether a condition, given as a query that counts, is so.
func (h *house) holds(query string) bool {
	h.t.Helper()
	return h.texts(query)[0] != "0"
}

func (h *house) columnsOf(table string) []string {
	h.t.Helper()
	query := `SELECT name FROM pragma_table_info('` + table + `')`
	if dbtest.IsPostgres() {
		query = `SELECT column_name FROM information_schema.columns WHERE table_name = '` + table + `' ORDER BY ordinal_position`
	}
	known := h.behind().columns
	if known[table] == nil {
		known[table] = h.texts(query)
	}
	return known[table]
}

// at is where the row is that comes after so many others: in the order in which they
// were written on SQLite, and in that of their key on PostgreSQL, where a row moves
// when it is changed.
func (h *house) at(table string, others int64) (where string) {
	name, order := "rowid", "rowid"
	if dbtest.IsPostgres() {
		name, order = "ctid", strings.Join(h.columnsOf(table)[:keys[table]], ", ")
		if table == "journal" {
			order = "workspace = '', " + order // wallets first, as they were written first
		}
	}
	return ` WHERE ` + name + ` = '` + h.texts(fmt.Sprintf(`SELECT CAST(%s AS TEXT) FROM %s ORDER BY %s LIMIT 1 OFFSET %d`, name, table, order, others))[0] + `'`
}

// changed is where the row changed last is: on PostgreSQL a change moves it.
func (h *house) changed(table, where string) string {
	if dbtest.IsPostgres() {
		return ` WHERE ctid = (SELECT MAX(ctid) FROM ` + table + ` WHERE xmin::text::bigint = (SELECT MAX(xmin::text::bigint) FROM ` + table + `))`
	}
	return where
}

func (h *house) isNumber(table, column string) bool {
	h.t.Helper()
	known := h.behind().numbers
	is, isKnown := known[table+"."+column]
	if !isKnown {
		query := `SELECT COUNT(*) FROM pragma_table_info('` + table + `') WHERE name = '` + column + `' AND type = 'BIGINT'`
		if dbtest.IsPostgres() {
			query = `SELECT COUNT(*) FROM information_schema.columns WHERE table_name = '` + table + `' AND column_name = '` + column + `' AND data_type = 'bigint'`
		}
		is = h.holds(query)
		known[table+"."+column] = is
	}
	return is
}

// literal is an expression that gives a column as it is written in SQL.
func literal(column string) string {
	if dbtest.IsPostgres() {
		return `quote_nullable(` + column + `)`
	}
	return `quote(` + column + `)`
}

// edit changes one value of one row, verifies, and puts it back: a number by a little
// in both directions, and by much.
func (h *house) edit(t *testing.T, table, column string, row int64) {
	others := []string{`COALESCE(` + column + `, '') || 'x'`, `''`}
	if h.isNumber(table, column) {
		others = []string{`CASE WHEN ` + column + ` > 1000000000000000000 THEN ` + column + ` - 7 ELSE ` + column + ` + 1 END`, // BIGINT ends
			column + ` - 1`, column + ` - 7000000`}
	}
	for _, other := range others {
		here := h.at(table, row)
		if !h.holds(`SELECT COUNT(*) FROM `+table+here+` AND `+column+` IS DISTINCT FROM `+other) || !h.isFree(table, column, other, here) {
			continue
		}
		was := h.texts(`SELECT ` + literal(column) + ` FROM ` + table + here)[0]
		h.texts(`UPDATE ` + table + ` SET ` + column + ` = ` + other + here)
		h.named(t, table, table+"."+column)
		h.texts(`UPDATE ` + table + ` SET ` + column + ` = ` + was + h.changed(table, here))
	}
}

// isFree reports whether no other row has the value in a column that identifies rows.
func (h *house) isFree(table, column, other, here string) bool {
	at := slices.Index(h.columnsOf(table), column)
	return at >= keys[table] && column != "slug" && column != "key" || !h.holds(`SELECT COUNT(*) FROM `+table+` WHERE `+column+` = (SELECT `+other+` FROM `+table+here+`)`)
}

func (h *house) named(t *testing.T, table, what string) {
	t.Helper()
	report, err := h.Verify(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case report.IsClean() && !blind[what]:
		t.Error("nobody saw it")
	case report.IsClean():
	case report.First.Table != table && report.First.Table != either[what]:
		t.Errorf("it was taken for %s", report.First)
	default:
		t.Log(report.First)
	}
}

// drop deletes a row, verifies, and puts it back where it was.
func (h *house) drop(t *testing.T, table string, row int64) {
	here, columns := h.at(table, row), h.columnsOf(table)
	if !dbtest.IsPostgres() {
		columns = append([]string{"rowid"}, columns...)
	}
	literals := make([]string, len(columns))
	for i, column := range columns {
		literals[i] = literal(column)
	}
	values := h.texts(`SELECT ` + strings.Join(literals, ` || ', ' || `) + ` FROM ` + table + here)[0]
	h.texts(`DELETE FROM ` + table + here)
	defer h.texts(`INSERT INTO ` + table + ` (` + strings.Join(columns, ", ") + `) VALUES (` + values + `)`)
	h.named(t, table, table+" deleted")
}

// swap gives two rows each other's value, the first and the last that differ.
func (h *house) swap(t *testing.T, table, column string) {
	last := h.count(`SELECT COUNT(*) FROM `+table) - 1
	one := h.at(table, 0)
	for ; last > 0; last-- {
		if h.holds(`SELECT COUNT(*) FROM ` + table + h.at(table, last) + ` AND ` + column + ` IS DISTINCT FROM (SELECT ` + column + ` FROM ` + table + one + `)`) {
			break
		}
	}
	if last <= 0 {
		t.Log("all rows have the same value")
		return
	}
	exchange := func() {
		one, other := h.at(table, 0), h.at(table, last)
		a := h.texts(`SELECT ` + literal(column) + ` FROM ` + table + one)[0]
		b := h.texts(`SELECT ` + literal(column) + ` FROM ` + table + other)[0]
		free := `''`
		if h.isNumber(table, column) {
			free = `-1`
		}
		h.texts(`UPDATE ` + table + ` SET ` + column + ` = ` + free + one)
		h.texts(`UPDATE ` + table + ` SET ` + column + ` = ` + a + h.at(table, last))
		h.texts(`UPDATE ` + table + ` SET ` + column + ` = ` + b + h.at(table, 0))
	}
	exchange()
	defer exchange()
	h.named(t, table, table+"."+column)
}

func (h *house) exec(t *testing.T, query string) {
	t.Helper()
	if err := h.update(func(tx *db.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		t.Fatal(err)
	}
}

// # Rows that nobody wrote are seen too.
func TestForged(t *testing.T) {
	h := full(t)
	for _, c := range []struct{ table, change string }{
		{"postings", "no = no + 1000"}, {"charges", "no = no + 1000"}, {"events", "no = no + 1000"}, {"lots", "id = 'lot_9'"},
		{"flows", "id = 'flow_9'"}, {"holds", "id = 'hold_9'"}, {"budgets", "id = 'b_9'"}, {"marks", "no = 1000"},
		{"totals", "hour = 0"}, {"journal", "no = no + 1000, key = NULL"}, {"wallets", "workspace = 'ws_9'"},
		{"postings", "workspace = 'ws_9'"}, {"lots", "workspace = 'ws_9'"}, {"totals", "workspace = 'ws_9'"},
		{"usage_events", "id = 'ev_9'"}, {"usage_events", "workspace = 'ws_9'"}, {"heads", "organization = 'org_9'"},
		{"seals", "no = no + 1000"}, {"rate_cards", "version = 7"}, {"rate_cards", "name = 'forged'"},
		{"organizations", "id = 'org_9', slug = 'nine'"}, {"workspaces", "id = 'ws_9', slug = 'nine'"},
		{"workspaces", "organization = 'org_9'"}, {"audit", "no = no + 1000"}, {"audit", "organization = 'org_9'"}, {"audit", "workspace = 'ws_9'"},
		{"day_sums", "sku = 'forged'"}, {"day_sums", "workspace = 'ws_9'"}, {"day_covers", "workspace = 'ws_9'"}, {"house_days", "day = 0"},
		{"projects", "slug = 'forged'"}, {"project_rules", "workspace = 'ws_9'"}, {"priced_by", "no = 9"}, {"leases", "holder = 'nobody', until_at = until_at + 1"},
	} {
		t.Run(c.table+" "+c.change, func(t *testing.T) {
			h.exec(t, `CREATE TABLE kept AS SELECT * FROM `+c.table+h.at(c.table, 0))
			h.exec(t, `UPDATE kept SET `+c.change)
			h.exec(t, `INSERT INTO `+c.table+` SELECT * FROM kept`)
			h.named(t, c.table, c.table)
			names := strings.Join(h.columnsOf(c.table)[:keys[c.table]], ", ")
			h.exec(t, `DELETE FROM `+c.table+` WHERE (`+names+`) IN (SELECT `+names+` FROM kept)`)
			h.exec(t, `DROP TABLE kept`)
		})
	}
	h.verified()
}

// # The last entries of a journal cannot go without a trace, and where its head goes
// with them, a seal tells.
func TestCutOff(t *testing.T) {
	for _, id := range []ID{acme, {"org_acme", ""}, {}} {
		for _, n := range []int64{1, 2} {
			h := full(t)
			heads, where := "wallets", fmt.Sprintf(` WHERE organization = '%s' AND workspace = '%s'`, id.Organization, id.Workspace)
			if id.Workspace == "" {
				heads = "heads"
			}
			last := h.count(`SELECT MAX(no) FROM journal` + where)
			h.exec(t, fmt.Sprintf(`DELETE FROM journal%s AND no > %d`, where, last-n))
			if last == n {
				continue
			}
			h.named(t, "journal", "journal")
			h.exec(t, fmt.Sprintf(`UPDATE %s SET next_journal = %d, journal_head = (SELECT hash FROM journal%s AND no = %d), sealed = 0%s`,
				heads, last-n+1, where, last-n, where))
			report, err := h.Verify(context.Background(), Options{Count: true})
			h.must(err)
			if report.IsClean() {
				t.Errorf("%s without its last %d entries verifies", id, n)
			}
		}
	}
}
