package app

import (
	"maps"
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// growing are the tables that grow with use: no statement may read one of them from
// its beginning to its end.
var growing = []string{"audit", "journal", "postings", "charges", "events", "usage_events", "totals", "flows", "holds", "jobs", "lots", "marks",
	"budgets", "leases", "wallets", "seals", "workspaces", "organizations", "heads", "codes", "redemptions", "day_sums", "users", "tokens", "memberships",
	"lot_reminders", "plan_overdrafts", "payments", "payment_refunds", "payment_methods", "payment_customers", "payment_disputes",
	"payment_notices", "payment_early_words", "invoices", "receivables", "bank_payments", "notices", "contract_lots", "auto_top_ups",
	"plan_credits", "contracts", "subscriptions", "statement_cycles", "deliveries", "mails", "held_alerts", "alert_settings", "webhooks",
	"attempts", "authenticators", "device_codes", "familiar_addresses", "identities", "invitations", "mailed_links", "priced_by", "profiles",
	"project_rules", "projects", "quote_requests", "recovery_codes", "sessions", "sso_domains", "sso_providers", "sso_visits", "token_hashes", "day_covers"}

// bounded are the tables that do not grow with use, and why.
var bounded = map[string]string{
	"campaigns":        "the operator makes each by hand",
	"clock":            "one row",
	"derived_cards":    "one for each plan and contract card, read at the start",
	"house_days":       "a day has one row for each kind of posting",
	"plans":            "the operator makes each by hand",
	"rate_cards":       "the operator writes each version",
	"sandbox_methods":  "the sandbox is for trying out",
	"sandbox_notices":  "the same",
	"sandbox_payments": "the same",
	"sandbox_refunds":  "the same",
	"sandbox_secrets":  "one row",
	"schema_versions":  "one for each migration",
	"seller":           "one row",
	"series":           "one for each kind of document and year",
	"servers":          "one for each server",
	"tax_rates":        "one for each country and day from which it holds",
	"tax_settings":     "one row",
}

// excused are statements, by a part of their text, that may read a table as a whole, and
// why.
var excused = map[string]string{
	"sealed < next_journal - 1":                               "every full hour the seal looks at every wallet, once",
	"SELECT COALESCE(MAX(at), 0) FROM journal":                "the first start of a test clock looks for books kept in real time, which it refuses",
	"SELECT COUNT(*) FROM (SELECT 1 FROM organizations LIMIT": "whether there is one at all, at the start",
	"SELECT COUNT(*) FROM wallets":                            "a figure of /metrics",
	"FROM organizations ORDER BY id":                          "the first start of a release declares what earlier ones wrote",
	"FROM workspaces ORDER BY organization, id":               "the same",
	"ORDER BY lapse_at LIMIT 1":                               "the first of an index",
	"FROM seals ORDER BY no DESC LIMIT 1":                     "the last of an index",
	"FROM webhooks w WHERE w.disabled":                        "what is due is looked for endpoint by endpoint, and nothing is walked through that waits for a dead one (decision 035)",
	"FROM priced_by ORDER BY organization, no":                "read once, at the start",
	"FROM projects ORDER BY organization, workspace, slug":    "the same",
	"FROM project_rules ORDER BY organization, workspace":     "the same",
	"FROM quote_requests q WHERE ($1":                         "a page of what people have asked for and people answer, the newest first",
	"FROM mails WHERE status <> 'waiting' ORDER BY id DESC":   "beside the writer, hourly, of the 50,000 that are kept",
}

// narrow are indexes of what runs, and of nothing that has ended: to read the whole of
// one of them is to read what is wanted.
var narrow = []string{"flows_running", "jobs_active", "auto_top_ups_on", "payments_due", "payment_refunds_due", "payment_methods_due", "receivables_next", "receivables_open"}

// Each table stands in one of the lists: who adds one says whether it grows.
func TestEachTableGrowsOrDoesNot(t *testing.T) {
	s := newSession(t)
	query := `SELECT name FROM sqlite_schema WHERE type = 'table'`
	if dbtest.IsPostgres() {
		query = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	found := map[string]bool{}
	err := s.db.View(t.Context(), func(tx *db.Tx) error {
		return tx.Each(func(r db.Scanner) error {
			var name string
			err := r.Scan(&name)
			found[name] = true
			return err
		}, query)
	})
	if err != nil || len(found) < 80 {
		t.Fatalf("%d tables: %v", len(found), err)
	}
	for name := range found {
		if _, isBounded := bounded[name]; isBounded == slices.Contains(growing, name) {
			t.Errorf("the table %s stands in none of the lists growing and bounded, or in both", name)
		}
	}
	for _, name := range slices.Concat(growing, slices.Collect(maps.Keys(bounded))) {
		if !found[name] {
			t.Errorf("there is no table %s", name)
		}
	}
	for name, why := range bounded {
		if why == "" {
			t.Errorf("nobody says why %s does not grow", name)
		}
	}
}
