package server_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// finance is an organization with three workspaces, of which one was never used.
func finance(t *testing.T) *stage {
	s := newStage(t)
	for _, slug := range []string{"speech", "vision"} {
		must(s.CreateWorkspace(t.Context(), "default", api.NewWorkspace{Slug: slug}))(t)
	}
	s.grant("default", "100")
	must(s.Grant(t.Context(), "default.vision", api.NewGrant{Amount: "5", Kind: "promotional", Reason: "=HYPERLINK(1)"}))(t)
	must(s.Transfer(t.Context(), "default", api.NewTransfer{ToWorkspace: "default.vision", Amount: "10"}))(t)
	for i := range 7 {
		for _, workspace := range []string{"default", "default.vision"} {
			answer := s.send("POST", "/v1/workspaces/"+workspace+"/usage-events",
				fmt.Sprintf(`[{"specversion":"1.0","id":"%d","source":"/m","type":"t","data":{"sku":"network.egress","quantity":2,"job":"job %d","user":"ann"}}]`, i, i),
				"Content-Type", "application/cloudevents-batch+json")
			if answer.status != 200 {
				t.Fatalf("%d %s", answer.status, answer.body)
			}
		}
		s.advance("86400")
	}
	return s
}

func (s *stage) organizationLines(q api.ActivityQuery) (all []api.Activity) {
	s.Helper()
	for line, err := range api.All(q.Page, func(page api.Page) (api.List[api.Activity], error) {
		q.Page = page
		return s.OrganizationActivities(s.Context(), "default", q)
	}) {
		if err != nil {
			s.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// Finance people see all workspaces of an organization, one after the other, whatever
// the size of the pages; and each adds up.
func TestTheStatementsOfAnOrganization(t *testing.T) {
	s := finance(t)
	want := s.organizationLines(api.ActivityQuery{Page: api.Page{Limit: 200}})
	if len(want) != 2+7+2+7 {
		t.Errorf("%d lines", len(want))
	}
	for _, limit := range []int{1, 2, 5, 9} {
		if got := s.organizationLines(api.ActivityQuery{Page: api.Page{Limit: limit}}); !slices.Equal(got, want) {
			t.Errorf("%d lines a page: %d lines, want %d", limit, len(got), len(want))
		}
	}
	var rest []api.Activity
	for _, workspace := range []string{"default", "default.speech", "default.vision"} {
		lines := must(s.Statement(t.Context(), workspace, api.ActivityQuery{}))(t)
		rest = append(rest, lines.Items...)
		if *lines.OpeningBalance != "0" || *lines.ClosingBalance != s.balance(workspace).Balance {
			t.Errorf("%s opens with %s and closes with %s", workspace, *lines.OpeningBalance, *lines.ClosingBalance)
		}
	}
	if !slices.Equal(rest, want) {
		t.Errorf("the workspaces have\n%+v\nthe organization\n%+v", rest, want)
	}
	month := must(s.Statement(t.Context(), "default", api.ActivityQuery{ActivityFilter: api.ActivityFilter{Month: "2027-02"}}))(t)
	if len(month.Items) != 0 || *month.OpeningBalance != *month.ClosingBalance {
		t.Errorf("February: %+v", month)
	}
	for path, pointer := range map[string]string{"?month=2027-13": "month", "?month=2027-01&from=2027-01-01T00:00:00Z": "month", "?min_amount=-1": "min_amount", "?cursor=x": "cursor"} {
		for _, of := range []string{"/v1/organizations/default/activities", ws + "/activities"} {
			if p := s.problem(s.send("GET", of+path, "")); p.Status != 422 || len(p.Errors) == 0 || !strings.Contains(p.Errors[0].Pointer, pointer) {
				t.Errorf("%s%s: %+v", of, path, p)
			}
		}
	}
}

// What is exported is what is listed; no cell is a formula, and a number stays one.
func TestStatementsAreExported(t *testing.T) {
	s := finance(t)
	want := s.organizationLines(api.ActivityQuery{ActivityFilter: api.ActivityFilter{Month: "2027-01"}, Page: api.Page{Limit: 200}})
	var lines bytes.Buffer
	if err := s.ExportOrganizationActivities(t.Context(), "default", api.ActivityExport{ActivityFilter: api.ActivityFilter{Month: "2027-01"}}, &lines); err != nil {
		t.Fatal(err)
	}
	var got []api.Activity
	for line := range bytes.Lines(lines.Bytes()) {
		var a api.Activity
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		got = append(got, a)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d exported, %d listed", len(got), len(want))
	}
	answer := s.send("GET", "/v1/workspaces/default.vision/activities/export?format=csv", "")
	rows, err := csv.NewReader(bytes.NewReader(answer.body)).ReadAll()
	if err != nil || len(rows) != 1+9 {
		t.Fatalf("%d rows, %v: %s", len(rows), err, answer.body)
	}
	amounts := 0
	for _, row := range rows[1:] {
		for i, cell := range row {
			if strings.HasPrefix(cell, "=") || strings.HasPrefix(cell, "-") && rows[0][i] != "amount" {
				t.Errorf("%s would be a formula", cell)
			}
			if rows[0][i] == "amount" && cell == "-0.1" {
				amounts++
			}
		}
	}
	if amounts != 7 {
		t.Errorf("%d deductions: %s", amounts, answer.body)
	}
	if p := s.problem(s.send("GET", ws+"/activities/export?month=2027-99", "")); p.Status != 422 {
		t.Errorf("%+v", p)
	}
}

// The operator's view over HTTP, and the lines to be booked.
func TestRevenueOverHTTP(t *testing.T) {
	s := finance(t)
	year := api.RevenueQuery{From: "2027-01-01T00:00:00Z", Bucket: "month"}
	r := must(s.Revenue(t.Context(), year))(t)
	if p := r.Periods[0]; len(r.Periods) != 1 || p.CashReceived != "100" || p.Granted["promotional"] != "5" || p.Revenue.Total != "1.4" || p.Revenue.Promotional != "0.7" ||
		p.Outstanding.Total != "103.6" || p.Outstanding.Paid != "99.3" || p.Transit != "0" || len(p.SKUs) != 1 || p.SKUs[0].SKU != "network.egress" {
		t.Errorf("%+v", r.Periods)
	}
	var out bytes.Buffer
	if err := s.RevenueJournal(t.Context(), api.RevenueExport{RevenueQuery: year, Accounts: "house/cash=1000 Bank;house/revenue/=4000", Format: "csv"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"date,account,debit,credit,memo\n", `2027-01-08,1000 Bank,100,0,"Credits granted, purchased credits"`, `2027-01-08,4000,0,0.7,"Usage, purchased credits, network"`} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in\n%s", line, out.String())
		}
	}
	for _, path := range []string{"/v1/revenue?from=2020-01-01T00:00:00Z", "/v1/revenue/journal?accounts=bank"} {
		if p := s.problem(s.send("GET", path, "")); p.Status != 422 {
			t.Errorf("%s: %+v", path, p)
		}
	}
	s.verified()
}
