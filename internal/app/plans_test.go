package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/tax"
)

// session is a program and what its API answered.
type session struct {
	*testing.T
	*App
	known map[string]string // ids by the names of path parameters
	calls int
}

func newSession(t *testing.T) *session {
	dir := t.TempDir()
	a, err := Start(t.Context(), Config{
		Data: dir, Database: dbtest.Empty(t), Listen: "unix:" + filepath.Join(dir, "http.sock"), TestClock: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return &session{T: t, App: a, known: map[string]string{"workspace": "default", "organization": "default", "name": "default"}}
}

// call sends "METHOD PATH BODY", in which {name} stands for what is known under it.
func (s *session) call(text string) map[string]any {
	s.Helper()
	for name, value := range s.known {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	method, rest, _ := strings.Cut(text, " ")
	path, body, _ := strings.Cut(rest, " ")
	c := s.Client()
	r, err := http.NewRequestWithContext(s.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token())
	if method != "GET" {
		s.calls++
		r.Header.Set("Idempotency-Key", fmt.Sprint(s.calls))
	}
	answer, err := c.HTTP.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	got, _ := io.ReadAll(answer.Body)
	if answer.StatusCode >= 300 {
		s.Fatalf("%s: %d %s", text, answer.StatusCode, got)
	}
	var value map[string]any
	_ = json.Unmarshal(got, &value) // a log is none
	return value
}

// commands is every command at least once, each with the name under which its id is
// remembered.
const commands = `
PUT /v1/seller {"legal_name":"Seller"}
PUT /v1/tax-rates {"rates":[{"country":"GR","name":"VAT","percent":"24"}]}
PATCH /v1/organizations/{organization}/billing-profile {"country":"GR","tax_id":"EL094019245"}
PUT /v1/organizations/{organization}/tax-id-verification {"tax_id":"EL094019245","verified_on":"2026-12-31","reference":"seen"}
DELETE /v1/organizations/{organization}/tax-id-verification
PUT /v1/rate-cards/other {"skus":[{"sku":"gpu.x","unit":"hour","prices":{"on-demand":"1"}}]}
second = POST /v1/organizations/{organization}/workspaces {"slug":"second","name":"second"}
POST /v1/organizations {"slug":"acme","name":"Acme","type":"company"}
PUT /v1/organizations/{organization}/sso {"issuer":"https://login.acme.example","client_id":"purser","client_secret":"x","domains":["acme.example"]}
PUT /v1/organizations/{organization}/sso/domains/acme.example {"confirmed":true,"issuer":"https://login.acme.example"}
PATCH /v1/workspaces/{workspace}/policy {"grace_seconds":60}
lot = POST /v1/workspaces/{workspace}/grants {"amount":"5","kind":"promotional","expires_at":"2027-01-01T02:00:00Z"}
POST /v1/workspaces/{workspace}/grants {"amount":"1000","kind":"plan"}
POST /v1/workspaces/{workspace}/lots/{lot}/freeze
POST /v1/workspaces/{workspace}/lots/{lot}/unfreeze
PUT /v1/workspaces/{workspace}/budgets {"items":[{"key":"project","value":"p","amount":"100","window":"day"}]}
project = POST /v1/workspaces/{workspace}/projects {"slug":"p","policy":{"max_gpus":8,"gpu_hours_per_month":1000}}
POST /v1/workspaces/{workspace}/projects {"slug":"q"}
PATCH /v1/workspaces/{workspace}/projects/{project} {"name":"P"}
PATCH /v1/workspaces/{workspace}/projects/{project}/policy {"max_gpus":9}
POST /v1/workspaces/{workspace}/projects/{project}/archive
POST /v1/workspaces/{workspace}/projects/{project}/restore
PUT /v1/workspaces/{workspace}/project-rules {"strict_projects":false}
flow = POST /v1/workspaces/{workspace}/flows {"items":[{"sku":"gpu.h100","quantity":1}],"project":"p","lease_seconds":600,"max_cost":"50"}
flow2 = POST /v1/workspaces/{workspace}/flows {"items":[{"sku":"gpu.h100","quantity":1}],"lease_seconds":86400}
POST /v1/test-clock/advance {"by_seconds":"300"}
POST /v1/workspaces/{workspace}/flows/{flow}/heartbeat {}
PATCH /v1/workspaces/{workspace}/flows/{flow2} {"items":[{"sku":"gpu.h100","quantity":2}]}
hold = POST /v1/workspaces/{workspace}/holds {"amount":"1","ttl_seconds":60}
hold2 = POST /v1/workspaces/{workspace}/holds {"amount":"1","ttl_seconds":60}
POST /v1/workspaces/{workspace}/holds/{hold}/capture {"amount":"0.5"}
POST /v1/workspaces/{workspace}/holds/{hold2}/release
POST /v1/workspaces/{workspace}/usage-events [{"specversion":"1.0","id":"1","source":"/m","type":"t","data":{"sku":"network.egress","quantity":1}},{"specversion":"1.0","id":"2","source":"/m","type":"t","data":{"sku":"network.egress","quantity":1}}]
POST /v1/workspaces/{workspace}/usage-events {"specversion":"1.0","id":"1","source":"/m","type":"t","data":{"sku":"network.egress","quantity":1}}
POST /v1/workspaces/{workspace}/transfers {"to_workspace":"default.second","amount":"1"}
job = POST /v1/workspaces/{workspace}/jobs {"command":["train"],"env":{"PURSER_SIM_CHECKPOINT":"1"},"resources":{"gpu":"h100"},"project":"p"}
job2 = POST /v1/workspaces/{workspace}/jobs {"command":["sleep","60"],"max_cost":"1"}
campaign = POST /v1/campaigns {"slug":"hack","name":"Hack","amount":"1","uses":5}
POST /v1/campaigns {"slug":"spring","name":"Spring","amount":"1"}
POST /v1/campaigns/{campaign}/codes {"code":"HACK2027"}
POST /v1/campaigns/spring/codes {"count":100}
POST /v1/workspaces/{workspace}/redemptions {"code":"hack2027"}
POST /v1/workspaces/acme/redemptions {"code":"hack2027"}
POST /v1/codes/look-up {"code":"hack2027"}
POST /v1/campaigns/spring/codes/revoke {"from":2,"to":5}
POST /v1/campaigns/{campaign}/close
POST /v1/campaigns/{campaign}/reopen
webhook = POST /v1/organizations/{organization}/webhooks {"url":"https://localhost:1/purser"}
chat = POST /v1/organizations/{organization}/webhooks {"url":"https://localhost:1/chat","format":"text","events":["*"]}
delivery = POST /v1/organizations/{organization}/webhooks/{webhook}/test
PATCH /v1/organizations/{organization}/webhooks/{webhook} {"description":"d"}
POST /v1/organizations/{organization}/webhooks/{webhook}/rotate
POST /v1/organizations/{organization}/webhooks/{webhook}/deliveries/{delivery}/replay
POST /v1/organizations/{organization}/webhooks/{webhook}/replay {"since":"2027-01-01T00:00:00Z"}
PATCH /v1/organizations/{organization}/alerts {"silent_from":"00:00","silent_until":"02:10","addresses":["ann@acme.example"]}
PATCH /v1/workspaces/{workspace}/alerts {"alert_amounts":["1"]}
POST /v1/organizations/{organization}/alerts/test
POST /v1/test-clock/advance {"by_seconds":"7000"}
DELETE /v1/organizations/{organization}/webhooks/{chat}
PATCH /v1/workspaces/{workspace}/jobs/{job} {"name":"n"}
POST /v1/workspaces/{workspace}/jobs/{job}/stop
POST /v1/test-clock/advance {"by_seconds":"300"}
POST /v1/workspaces/{workspace}/jobs/{job}/resume
POST /v1/workspaces/{workspace}/flows/{flow2}/stop {"at":"2027-01-01T02:01:00Z"}
PUT /v1/plans/pro {"discount_percent":10,"credits":"1"}
token = POST /v1/organizations/{organization}/plan/review {"plan":"pro","when":"period_end"}
POST /v1/organizations/{organization}/plan {"plan":"pro","when":"period_end","token":"{token}"}
POST /v1/organizations/{organization}/plan/cancel
request = POST /v1/organizations/{organization}/quote-requests {"contact":"x","targets":[{"sku":"gpu.h100","count":1,"duration_days":30}]}
POST /v1/organizations/{organization}/quote-requests/{request}/decline
request = POST /v1/organizations/{organization}/quote-requests {"contact":"x","targets":[{"sku":"gpu.h100","count":1,"duration_days":30}]}
POST /v1/quote-requests/{request}/quote {"until":"2027-03-01T00:00:00Z","valid_until":"2027-02-01T00:00:00Z","commitment":"9","schedule":"monthly","early_termination_percent":50}
contract = POST /v1/organizations/{organization}/quote-requests/{request}/accept {"quote_no":1}
POST /v1/organizations/{organization}/contracts/{contract}/terminate {"fee":"2.25"}
PUT /v1/rate-cards/default {"skus":[{"sku":"gpu.h100","unit":"hour","prices":{"on-demand":"2"}},{"sku":"cpu.vcpu","unit":"hour","prices":{"on-demand":"1"}}]}
`

func (s *session) command() {
	for line := range strings.Lines(strings.TrimSpace(commands)) {
		name, call, isNamed := strings.Cut(strings.TrimSpace(line), " = ")
		if !isNamed {
			name, call = "", name
		}
		answer := s.call(call)
		if token, ok := answer["token"].(string); ok && name == "token" {
			s.known[name] = token
		} else if id, ok := answer["id"].(string); ok && isNamed {
			s.known[name] = id
		}
	}
	charges := s.call("GET /v1/workspaces/{workspace}/charges")["items"].([]any)
	s.known["charge"] = charges[len(charges)-1].(map[string]any)["id"].(string)
	s.call(`POST /v1/workspaces/{workspace}/charges/{charge}/refund {"amount":"0.000000001"}`)
	s.known["flow"] = s.known["flow2"]
	s.mail()
	s.payOnAccount()
	s.pay()
	s.issue()
	s.call("POST /v1/workspaces/{workspace}/usage-events [" + strings.Repeat(`1,`, 600) + "1]")
}

// mail writes a mail, and does what is done with mails when time has passed.
func (s *session) mail() {
	s.Helper()
	put := func(tx *db.Tx) error {
		return s.mails.Put(tx, mail.Message{To: "ann@acme.example", Template: "verify", Data: map[string]string{"link": "https://a.example/"}})
	}
	if err := errors.Join(s.db.Update(s.Context(), put), s.mails.Sweep(s.Context()), s.mails.SendDue(s.Context()), s.forget(s.Context()), s.hooks.Sweep(s.Context())); err != nil {
		s.Fatal(err)
	}
	mails := s.call("GET /v1/mails")["items"].([]any)
	s.known["mail"] = mails[0].(map[string]any)["id"].(string)
}

// payOnAccount pays a part of what a contract commits, takes that back, and voids the invoice.
func (s *session) payOnAccount() {
	s.Helper()
	s.known["invoice"] = s.call("GET /v1/organizations/{organization}/contracts/{contract}")["lots"].([]any)[0].(map[string]any)["invoice"].(string)
	const path = "POST /v1/organizations/{organization}/invoices/{invoice}"
	s.known["payment"] = s.call(path + `/bank-payments {"amount":"1","paid_on":"2027-01-01","reference":"B-1"}`)["id"].(string)
	s.call(path + `/bank-payments/{payment}/reverse {"reason":"r"}`)
	s.call(path + `/void {"reason":"r"}`)
}

// pay saves a card, buys with it and on a page, and does what is done with payments.
func (s *session) pay() {
	s.Helper()
	on := func(url, card string) {
		if _, err := s.sandbox.Pay(s.Context(), filepath.Base(url), card); err != nil {
			s.Fatal(err)
		}
	}
	const methods, space = "/v1/organizations/{organization}/payment-methods", "/v1/workspaces/{workspace}"
	on(s.call("POST " + methods)["url"].(string), "4242")
	method := s.call("GET " + methods)["items"].([]any)[0].(map[string]any)["id"].(string)
	s.call("PUT " + methods + ` {"methods":["` + method + `"]}`)
	on(s.call("POST " + space + `/top-ups {"amount":"20","save":true}`)["url"].(string), "3155")
	s.call("PUT " + space + `/auto-top-up {"enabled":true,"amount":"20","threshold":"10"}`)
	s.known["payment"] = s.call("POST " + space + `/top-ups {"amount":"20","method":"` + method + `"}`)["id"].(string)
	s.call("POST " + space + `/payments/{payment}/refunds {"amount":"1"}`)
	s.call("POST " + space + `/payments/{payment}/refunds-at-provider {"total":"0.02"}`)
	s.call("POST " + space + `/payments/{payment}/dispute {"status":"open"}`)
	s.call("POST " + space + `/payments/{payment}/dispute {"status":"won"}`)
	s.call("POST " + space + `/auto-top-up/dry-run {"enabled":true,"amount":"20"}`)
	s.call(`POST /v1/test-clock/advance {"by_seconds":"7200"}`)
	s.known["method"] = method
	s.call("DELETE " + methods + "/{method}")
	s.call(`POST /v1/test-clock/advance {"by_seconds":"1"}`)
}

// issue writes documents, and makes the statements of a month.
func (s *session) issue() {
	s.Helper()
	owner := s.call("GET /v1/organizations/{organization}")["id"].(string)
	err := s.db.Update(s.Context(), func(tx *db.Tx) error {
		id, err := s.invoices.Issue(tx, owner, invoice.Paid{ID: "pay_1", At: tx.Now(), Line: tax.Line{Net: credit.One}})
		if err != nil {
			return err
		}
		s.known["invoice"] = id
		_, err = s.invoices.Credit(tx, owner, invoice.Refunded{ID: "ref_1", At: tx.Now(), Payment: "pay_1", Net: credit.Cent})
		return err
	})
	if err == nil {
		_, err = s.Client().AdvanceClock(s.Context(), api.Advance{BySeconds: "2700000"})
	}
	if err != nil {
		s.Fatal(err)
	}
}

// samples are values of the parameters of reads.
var samples = map[string]string{
	"at": "2027-01-01T00:00:00Z", "from": "2027-01-01T00:00:00Z", "to": "2027-02-01T00:30:00Z", "group_by": "sku,project", "bucket": "day",
	"project": "p", "user": "ann", "sku": "gpu.h100", "card": "default", "version": "1", "after": "1", "last": "2", "subject": "x", "tail": "1", "offset": "0",
	"limit": "1", "workspace": "default", "actor": "operator", "action": "create-grant", "since": "2027-01-01T00:00:00Z",
	"until": "2027-01-01T00:00:00Z", "format": "csv", "month": "2027-01", "source": "operator", "q": "credits", "min_amount": "1", "max_amount": "9",
	"accounts": "house/cash=1000", "state": "overdue",
}

// read is every read, with every parameter, one at a time, and page by page.
func (s *session) read() {
	paths := s.call("GET /openapi.json")["paths"].(map[string]any)
	for path, methods := range paths {
		get, ok := methods.(map[string]any)["get"].(map[string]any)
		if !ok || strings.HasSuffix(path, "/stream") || path == "/v1/user" || path == "/v1/sessions" { // these are of a person, whom the operator is not
			continue
		}
		s.call("GET " + path)
		parameters, _ := get["parameters"].([]any)
		for _, p := range parameters {
			name := p.(map[string]any)["name"].(string)
			value := samples[name]
			if known := s.known[name]; value == "" && known != "" {
				value = known
			}
			if kinds, ok := map[string]string{"flows": "stopped", "mails": "waiting", "deliveries": "waiting", "holds": "held", "jobs": "queued", "payments": "succeeded", "quote-requests": "open"}[filepath.Base(path)]; name == "status" && ok {
				value = kinds
			}
			if kinds, ok := map[string]string{"activities": "addition", "events": "flow.*", "postings": "grant"}[filepath.Base(path)]; name == "kind" && ok {
				value = kinds
			}
			if p.(map[string]any)["in"] != "query" || value == "" {
				continue
			}
			answer := s.call("GET " + path + "?" + name + "=" + value)
			if next, ok := answer["next_cursor"].(string); ok && name == "limit" {
				s.call("GET " + path + "?limit=1&cursor=" + next)
			}
		}
	}
	s.call("GET /metrics")
}

// statements are the texts that ran in what is under way: the writer and all readers.
func (s *session) statements(postgres string) []string {
	texts := map[string]bool{}
	note := func(tx *db.Tx) error {
		for _, text := range tx.Statements() {
			texts[text] = true
		}
		if postgres == "" {
			return nil
		}
		rows, err := tx.Query(`SELECT statement FROM pg_prepared_statements`)
		for err == nil && rows.Next() {
			var text string
			err = rows.Scan(&text)
			texts[text] = true
		}
		return err
	}
	if err := s.db.Update(s.Context(), note); err != nil {
		s.Fatal(err)
	}
	var views func(n int) error
	views = func(n int) error { // as many at once as there are readers
		return s.db.View(s.Context(), func(tx *db.Tx) error {
			if n > 1 {
				if err := views(n - 1); err != nil {
					return err
				}
			}
			return note(tx)
		})
	}
	if err := views(db.DefaultReaders); err != nil {
		s.Fatal(err)
	}
	var list []string
	for text := range texts {
		verb := strings.ToUpper(strings.Fields(text)[0])
		if slices.Contains([]string{"SELECT", "UPDATE", "DELETE", "WITH", "INSERT"}, verb) && !strings.Contains(text, "pg_") && !strings.Contains(text, "information_schema") {
			list = append(list, text)
		}
	}
	slices.Sort(list)
	return list
}

// Whatever the API is asked, and whatever is due, no statement reads a growing table as
// a whole: what really runs is explained, so that a new statement is looked at too.
func TestNoStatementReadsATableAsAWhole(t *testing.T) {
	s := newSession(t)
	s.command()
	s.read()
	url := ""
	if dbtest.IsPostgres() {
		url = s.config.Database
	}
	texts := s.statements(url)
	if len(texts) < 60 {
		t.Fatalf("only %d statements ran", len(texts))
	}
	explain := s.explainSQLite
	if url != "" {
		explain = explainer(t, url)
	}
	used := map[string]bool{}
	for _, text := range texts {
		for _, why := range explain(text) {
			if part := excuse(text); part != "" {
				used[part] = true
				continue
			}
			t.Errorf("%s\n%s", why, text)
		}
	}
	t.Logf("%d statements were explained", len(texts))
	for part, why := range excused {
		if !used[part] && url == "" && part != "SELECT COALESCE(MAX(at), 0) FROM journal" {
			t.Errorf("no statement needs to be excused because of %s: %s", part, why)
		}
	}
}

func excuse(text string) string {
	for part := range excused {
		if strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

// scans finds SCAN table in a plan of SQLite.
var scans = regexp.MustCompile(`^SCAN (\w+)`)

func (s *session) explainSQLite(text string) (found []string) {
	err := s.db.View(s.Context(), func(tx *db.Tx) error {
		rows, err := tx.Query("EXPLAIN QUERY PLAN "+text, make([]any, placeholders(text))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			if m := scans.FindStringSubmatch(detail); m != nil && slices.Contains(growing, tableOf(text, m[1])) && !slices.ContainsFunc(narrow, func(n string) bool { return strings.HasSuffix(detail, "INDEX "+n) }) {
				found = append(found, detail)
			}
		}
		return rows.Err()
	})
	if err != nil {
		s.Errorf("explain %s: %s", text, err)
	}
	return found
}

// tableOf is the table that an alias stands for.
func tableOf(text, alias string) string {
	m := regexp.MustCompile(`(?i)(?:FROM|JOIN)\s+(\w+)\s+(?:AS\s+)?` + alias + `\b`).FindStringSubmatch(text)
	if m == nil {
		return alias
	}
	return m[1]
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

func placeholders(text string) (most int) {
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		var n int
		fmt.Sscan(m[1], &n)
		most = max(most, n)
	}
	return most
}

// explainer explains for PostgreSQL, on tables that have grown.
func explainer(t *testing.T, url string) func(text string) []string {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(ctx) })
	for _, table := range growing {
		if _, err := c.Exec(ctx, grown(t, c, table)); err != nil {
			t.Fatalf("fill %s: %s", table, err)
		}
	}
	if _, err := c.Exec(ctx, "ANALYZE; SET plan_cache_mode = force_generic_plan"); err != nil {
		t.Fatal(err)
	}
	n := 0
	return func(text string) []string {
		n++
		name := fmt.Sprintf("p%d", n)
		prepared, err := c.Prepare(ctx, name, text)
		if err != nil {
			t.Errorf("prepare %s: %s", text, err)
			return nil
		}
		values := ""
		if n := len(prepared.ParamOIDs); n > 0 {
			values = "(" + strings.Repeat("NULL, ", n-1) + "NULL)"
		}
		var plan []byte
		if err := c.QueryRow(ctx, "EXPLAIN (FORMAT JSON) EXECUTE "+name+values, pgx.QueryExecModeSimpleProtocol).Scan(&plan); err != nil {
			t.Errorf("explain %s: %s", text, err)
			return nil
		}
		var tree any
		if err := json.Unmarshal(plan, &tree); err != nil {
			t.Error(err)
		}
		return sequential(tree)
	}
}

// sequential finds the scans of growing tables from the first row to the last.
func sequential(tree any) (found []string) {
	switch v := tree.(type) {
	case []any:
		for _, e := range v {
			found = append(found, sequential(e)...)
		}
	case map[string]any:
		table, _ := v["Relation Name"].(string)
		_, isNarrowed := v["Index Cond"]
		kind, _ := v["Node Type"].(string)
		if slices.Contains(growing, table) && (kind == "Seq Scan" || strings.HasPrefix(kind, "Index") && !isNarrowed && v["Index Name"] == table+"_pkey") {
			found = append(found, fmt.Sprintf("%s of %s", kind, table))
		}
		for _, e := range v {
			found = append(found, sequential(e)...)
		}
	}
	return found
}

// grown fills a table with rows of many wallets that nothing is due in. What stands last in
// the key of the table is another one in each row.
func grown(t *testing.T, c *pgx.Conn, table string) string {
	var last string
	err := c.QueryRow(t.Context(), `SELECT a.attname FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[x.indnkeyatts - 1]
		WHERE x.indrelid = $1::regclass AND x.indisprimary`, table).Scan(&last)
	if err != nil {
		t.Fatalf("look for the key of %s: %s", table, err)
	}
	rows, err := c.Query(t.Context(), `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1`, table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names, values []string
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		value := "1000000 + i"
		switch {
		case name == "due_at" && (table == "held_alerts" || table == "notices"): // 0 is due there, and not never
			value = "4000000000000000000 + i"
		case name == "wake_at" || name == "refunded" || name == "due_at":
			value = "0"
		case name == "ended":
			value = "1"
		case name == last && kind == "text":
			value = "'x' || i"
		case name == "organization":
			value = "'org_' || i % 100"
		case name == "workspace":
			value = "'ws_' || i % 100"
		case kind == "text":
			value = "'x' || i"
		}
		names, values = append(names, name), append(values, value)
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM generate_series(1, 20000) i"
}
