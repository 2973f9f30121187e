package server_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/server"
)

// # Every call of the description that is no GET leaves an entry in the audit log, or
// stands in the table of those that do not, with the reason.
func TestEveryCallIsAuditedOrSaysWhyNot(t *testing.T) {
	s := newStage(t)
	answer := s.send("GET", "/openapi.json", "")
	var d struct {
		Paths map[string]map[string]struct {
			ID      string `json:"operationId"`
			Audited bool   `json:"x-purser-audited"`
		}
	}
	if err := json.Unmarshal(answer.body, &d); err != nil {
		t.Fatal(err)
	}
	there, changing := map[string]bool{}, 0
	for path, operations := range d.Paths {
		for method, op := range operations {
			there[op.ID] = true
			if method == "get" {
				continue
			}
			changing++
			if op.Audited == (server.Unaudited[op.ID] != "") {
				t.Errorf("%s %s (%s): audited %v, and left out because %q", method, path, op.ID, op.Audited, server.Unaudited[op.ID])
			}
		}
	}
	for id := range server.Unaudited {
		if !there[id] {
			t.Errorf("%s is left out, and is no call", id)
		}
	}
	if changing < 24 {
		t.Errorf("only %d calls", changing)
	}
}

// audit is all of a log, the oldest entry first.
func (s *stage) audit(organization string, f api.AuditFilter) (all []api.AuditEntry) {
	s.Helper()
	for e, err := range api.All(api.Page{Limit: 3}, func(page api.Page) (api.List[api.AuditEntry], error) {
		return s.Audit(s.Context(), organization, api.AuditQuery{AuditFilter: f, Page: page})
	}) {
		if err != nil {
			s.Fatal(err)
		}
		all = append(all, e)
	}
	slices.Reverse(all)
	return all
}

// change makes a change, with a proper agent, and gives the id of what was made.
func (s *stage) change(method, path, body string) string {
	s.Helper()
	answer := s.send(method, "/v1"+path, body, "User-Agent", "=tester/1")
	var made struct{ ID string }
	if err := json.Unmarshal(answer.body, &made); err != nil || answer.status >= 300 {
		s.Fatalf("%s %s: %d %s %v", method, path, answer.status, answer.body, err)
	}
	return made.ID
}

// # Every change is in the log: who, what, to what, from where, before and after. What
// meters is not, and neither is what was refused or only repeated.
func TestAuditOfEveryChange(t *testing.T) {
	s := newStage(t)
	o := s.change("POST", "/organizations", `{"slug":"acme","name":"Acme"}`)
	vision := s.change("POST", "/organizations/acme/workspaces", `{"slug":"vision"}`)
	w := must(s.Workspace(t.Context(), "acme"))(t).ID
	lot := s.change("POST", "/workspaces/acme/grants", `{"amount":"100","kind":"purchased","reason":"invoice 7"}`)
	s.change("POST", "/workspaces/acme/lots/"+lot+"/freeze", ``)
	s.change("POST", "/workspaces/acme/lots/"+lot+"/unfreeze", ``)
	s.change("PUT", "/workspaces/acme/budgets", `{"items":[{"key":"project","value":"p","amount":"5","window":"month"}]}`)
	s.change("PATCH", "/workspaces/acme/policy", `{"overdraft":"2"}`)
	moved := s.change("POST", "/workspaces/acme/transfers", `{"to_workspace":"acme.vision","amount":"1"}`)
	hold := s.change("POST", "/workspaces/acme/holds", `{"amount":"1","ttl_seconds":60}`)
	s.change("POST", "/workspaces/acme/holds/"+hold+"/capture", `{"amount":"0.5"}`)
	charge := must(s.Charges(t.Context(), "acme", api.ChargeQuery{}))(t).Items[0].ID
	s.change("POST", "/workspaces/acme/charges/"+charge+"/refund", `{}`)
	job := s.change("POST", "/workspaces/acme/jobs", `{"name":"j","command":["sleep","100"],"resources":{"cpu":1}}`)
	s.change("PATCH", "/workspaces/acme/jobs/"+job, `{"max_runtime_seconds":7200}`)
	s.change("POST", "/workspaces/acme/jobs/"+job+"/stop", ``)
	s.advance("1")
	if answer := s.send("POST", "/v1/workspaces/acme/grants", `{"amount":"-1","kind":"purchased"}`); answer.status != 422 {
		t.Fatalf("%d", answer.status)
	}
	for range 2 {
		s.send("POST", "/v1/workspaces/acme/grants", `{"amount":"3","kind":"promotional"}`, "Idempotency-Key", "k", "User-Agent", "=tester/1")
	}
	var got []string
	for _, e := range s.audit("acme", api.AuditFilter{}) {
		got = append(got, e.Action+" "+e.Target)
		if e.Actor != "operator" || e.Address != "local" || e.Agent != "=tester/1" {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"create-workspace " + vision, "create-grant " + w + "/" + lot, "freeze-lot " + w + "/" + lot, "unfreeze-lot " + w + "/" + lot,
		"set-budgets " + w, "change-policy " + w, "create-transfer " + w + "/" + moved, "refund-charge " + w + "/" + charge,
		"change-job " + w + "/" + job, "stop-job " + w + "/" + job,
	}
	if len(got) != len(want)+1 || !strings.HasPrefix(got[len(want)], "create-grant "+w+"/lot_") || !slices.Equal(got[:len(want)], want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	policy := s.audit("acme", api.AuditFilter{Action: "change-policy"})[0]
	if !strings.Contains(string(policy.Before), `"overdraft":"0"`) || string(policy.After) != `{"overdraft":"2"}` {
		t.Errorf("%s, then %s", policy.Before, policy.After)
	}
	if house := s.audit("", api.AuditFilter{}); len(house) != 2 || house[0].Action != "create-organization" || house[0].Target != o || house[1].Action != "advance-test-clock" {
		t.Errorf("%+v", house)
	}
	if other := s.audit("default", api.AuditFilter{}); len(other) != 0 {
		t.Errorf("another tenant sees %+v", other)
	}
	s.verified()
}

// # The log can be narrowed by who, what and when.
func TestAuditFilters(t *testing.T) {
	s := newStage(t)
	for i := range 5 {
		s.change("POST", "/workspaces/default/grants", fmt.Sprintf(`{"amount":"%d","kind":"purchased"}`, i+1))
		s.advance("60")
	}
	s.change("PATCH", "/workspaces/default/policy", `{"overdraft":"2"}`)
	at := func(minutes int) api.Instant { return api.At(start.UnixNano() + int64(minutes)*60_000_000_000) }
	for _, c := range []struct {
		api.AuditFilter
		want int
	}{
		{api.AuditFilter{}, 6},
		{api.AuditFilter{Actor: "operator"}, 6},
		{api.AuditFilter{Actor: "usr_nobody"}, 0},
		{api.AuditFilter{Action: "change-policy"}, 1},
		{api.AuditFilter{Since: at(1)}, 5},
		{api.AuditFilter{Until: at(1)}, 1},
		{api.AuditFilter{Since: at(1), Until: at(3), Action: "create-grant"}, 2},
	} {
		if got := s.audit("default", c.AuditFilter); len(got) != c.want {
			t.Errorf("%+v: %d entries, want %d", c.AuditFilter, len(got), c.want)
		}
	}
	if p := s.problem(s.send("GET", "/v1/audit?since=yesterday", "")); p.Status != 422 {
		t.Errorf("%+v", p)
	}
}

// # What is exported is what is listed, as JSON lines and as CSV, over many pages; no
// cell of a spreadsheet is a formula.
func TestAuditExport(t *testing.T) {
	s := newStage(t)
	for i := range 450 {
		s.change("POST", "/workspaces/default/grants", fmt.Sprintf(`{"amount":"%d","kind":"purchased","reason":"a, \"b\""}`, i+1))
	}
	want := s.audit("default", api.AuditFilter{})
	slices.Reverse(want)
	answer := s.send("GET", "/v1/organizations/default/audit/export", "")
	var got []api.AuditEntry
	for line := range strings.Lines(string(answer.body)) {
		var e api.AuditEntry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got = append(got, e)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(want) != 450 || answer.header.Get("Content-Type") != "application/jsonl" {
		t.Errorf("%d exported, %d listed", len(got), len(want))
	}
	answer = s.send("GET", "/v1/organizations/default/audit/export?format=csv", "")
	rows, err := csv.NewReader(strings.NewReader(string(answer.body))).ReadAll()
	if err != nil || len(rows) != len(want)+1 || strings.Join(rows[0], " ") != "no at actor action target address agent before after" {
		t.Fatalf("%d rows: %v %v", len(rows), rows[0], err)
	}
	for i, e := range want {
		line := []string{fmt.Sprint(e.No), string(e.At), e.Actor, e.Action, e.Target, e.Address, "'" + e.Agent, string(e.Before), string(e.After)}
		if !slices.Equal(rows[i+1], line) {
			t.Errorf("%q, want %q", rows[i+1], line)
		}
	}
	if p := s.problem(s.send("GET", "/v1/audit/export?format=xml", "")); p.Status != 422 {
		t.Errorf("%+v", p)
	}
}

// # Who is not known is in the log of the installation, and not what was tried with.
func TestAuditOfRefusals(t *testing.T) {
	s := newStage(t)
	for i := range 30 {
		if answer := s.send("GET", "/v1/organizations", "", "Authorization", fmt.Sprintf("Bearer guessed-secret-%d", i)); answer.status != 401 {
			t.Fatalf("%d", answer.status)
		}
	}
	entries := s.audit("", api.AuditFilter{Action: "refused"})
	if len(entries) != 10 {
		t.Fatalf("%d entries", len(entries))
	}
	if e := entries[0]; e.Actor != "anonymous" || string(e.After) != `{"call":"list-organizations","why":"unauthorized"}` {
		t.Errorf("%+v", e)
	}
	s.advance("60")
	s.send("GET", "/v1/organizations", "", "Authorization", "Bearer guessed-secret")
	if e := s.audit("", api.AuditFilter{Action: "refused"})[10]; !strings.Contains(string(e.After), `"besides":20`) {
		t.Errorf("%+v", e)
	}
	s.verified()
}

// # No secret of a request stands anywhere in the database.
func TestNoSecretIsKept(t *testing.T) {
	if dbtest.IsPostgres() {
		t.Log("the file of SQLite is searched as a whole; its rows are the same on PostgreSQL")
		return
	}
	dir := t.TempDir()
	s := newStageWith(t, app.Config{TestClock: start.UnixNano(), Database: "sqlite:" + filepath.Join(dir, "purser.db")})
	s.send("POST", "/v1/workspaces/default/grants", `{"amount":"7","kind":"purchased","reason":"to-be-found"}`, "Authorization", "Bearer guessed-secret")
	s.send("POST", "/v1/workspaces/default/grants", `{"amount":"7","kind":"purchased","reason":"to-be-found","password":"hunter22-secret"}`)
	s.change("POST", "/workspaces/default/grants", `{"amount":"7","kind":"purchased","reason":"to-be-found"}`)
	if err := s.app.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"to-be-found", "guessed-secret", "hunter22-secret", token} {
			found[word] += strings.Count(string(text), word)
		}
	}
	if found["to-be-found"] == 0 || found["guessed-secret"]+found["hunter22-secret"]+found[token] > 0 {
		t.Errorf("%v", found)
	}
}

// # What is changed says in the log what was there before: prices, projects, settings,
// bills, roles, freezes, and the test clock, also if it is the operator who did it.
func TestAuditTellsWhatWasBefore(t *testing.T) {
	s, ctx := newStage(t), t.Context()
	must(s.CreateOrganization(ctx, api.NewOrganization{Slug: "acme", Name: "Acme"}))(t)
	s.grant("acme", "100")
	lot := must(s.Lots(ctx, "acme", api.Page{}))(t).Items[0].ID
	for _, c := range []struct{ method, path, body, action, before string }{
		{"PATCH", "/organizations/acme", `{"name":"Acme 2"}`, "rename-organization", `"name":"Acme"`},
		{"PATCH", "/organizations/acme/settings", `{"require_two_factor":true}`, "change-organization-settings", `"require_two_factor":false`},
		{"PATCH", "/organizations/acme/billing-profile", `{"tax_id":"DE1"}`, "change-billing-profile", `"tax_id":""`},
		{"PATCH", "/organizations/acme/billing-profile", `{"country":"DE","tax_id":"DE811569869"}`, "change-billing-profile", `"tax_id_state":"unchecked"`},
		{"PUT", "/organizations/acme/tax-id-verification", `{"reference":"VIES","tax_id":"DE811569869","verified_on":"2026-12-31"}`, "verify-tax-id", `"tax_id_state":"form_checked"`},
		{"DELETE", "/organizations/acme/tax-id-verification", ``, "unverify-tax-id", `"tax_id_verification":"VIES"`},
		{"POST", "/workspaces/acme/lots/" + lot + "/freeze", ``, "freeze-lot", `"frozen":false`},
		{"POST", "/workspaces/acme/lots/" + lot + "/unfreeze", ``, "unfreeze-lot", `"frozen":true`},
		{"POST", "/workspaces/acme/projects", `{"slug":"vision"}`, "create-project", ``},
		{"PATCH", "/workspaces/acme/projects/vision", `{"name":"Vision"}`, "change-project", `"slug":"vision"`},
		{"PATCH", "/workspaces/acme/projects/vision/policy", `{"max_gpus":4}`, "change-project-policy", `"policy":{}`},
		{"PUT", "/workspaces/acme/project-rules", `{"strict_projects":true}`, "set-project-rules", `"strict_projects":false`},
		{"POST", "/workspaces/acme/budgets", `{"amount":"5","key":"workspace","window":"day"}`, "set-budget", ``},
		{"POST", "/workspaces/acme/budgets", `{"amount":"6","key":"workspace","window":"day"}`, "set-budget", `"amount":"5"`},
		{"PUT", "/rate-cards/own", `{"skus":[{"prices":{"on-demand":"1"},"sku":"gpu.x","unit":"hour"}]}`, "put-rate-card", ``},
		{"PUT", "/rate-cards/own", `{"skus":[{"prices":{"on-demand":"2"},"sku":"gpu.x","unit":"hour"}]}`, "put-rate-card", `"on-demand":"1"`},
		{"POST", "/test-clock/advance", `{"by_seconds":"1"}`, "advance-test-clock", `"now":"2027-01-01T`},
	} {
		if a := s.send(c.method, "/v1"+c.path, c.body); a.status >= 300 {
			t.Fatalf("%s: %d %s", c.path, a.status, a.body)
		}
		log := "acme"
		if !strings.Contains(c.path, "acme") {
			log = ""
		}
		all := s.audit(log, api.AuditFilter{Action: c.action})
		e := all[len(all)-1]
		if !strings.Contains(string(e.Before), c.before) || (c.before == "") != (len(e.Before) == 0 || string(e.Before) == "null") || c.body != "" && string(e.After) != c.body {
			t.Errorf("%s: before %s, after %s", c.action, e.Before, e.After)
		}
	}
	s.verified()
}
