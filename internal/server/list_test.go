package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/purserhq/purser/api"
)

// Every list turns its pages: all items, each once, in the order of one large
// page, also while new ones come.
func TestPagesNeitherSkipNorRepeat(t *testing.T) {
	s := newStage(t)
	s.fill(7)
	for _, path := range []string{
		"/v1/organizations", "/v1/organizations/default/workspaces", ws + "/lots", ws + "/flows", ws + "/flows?status=stopped",
		ws + "/holds", ws + "/charges", ws + "/postings", ws + "/events", ws + "/events?kind=flow.*", ws + "/jobs",
		ws + "/activities", ws + "/usage?group_by=sku,project&bucket=hour", "/v1/rate-cards/default/versions",
	} {
		whole := s.turn(path, 200)
		if len(whole) < 3 {
			t.Errorf("%s: only %d items", path, len(whole))
		}
		for _, limit := range []int{1, 2, 3} {
			if paged := s.turn(path, limit); !slices.Equal(paged, whole) {
				t.Errorf("%s by %d:\n%v\nin one:\n%v", path, limit, paged, whole)
			}
		}
	}
}

// A cursor that a list did not give is refused by every list, also one that
// another list gave where lists are sorted alike.
func TestCursorsOfNobodyAreRefused(t *testing.T) {
	s := newStage(t)
	s.fill(2)
	var page struct {
		Cursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal(s.send("GET", ws+"/flows?limit=1", "").body, &page); err != nil || page.Cursor == "" {
		t.Fatal(page, err)
	}
	if answer := s.send("GET", ws+"/holds?cursor="+page.Cursor, ""); answer.status != 422 {
		t.Errorf("holds by a cursor of flows: %d %s", answer.status, answer.body)
	}
	for _, path := range []string{
		"/v1/organizations", "/v1/organizations/default/workspaces", ws + "/lots", ws + "/flows", ws + "/holds", ws + "/charges",
		ws + "/postings", ws + "/events", ws + "/jobs", ws + "/activities", ws + "/usage?group_by=sku", "/v1/rate-cards/default/versions",
	} {
		separator := "?"
		if slices.Contains([]byte(path), '?') {
			separator = "&"
		}
		for _, cursor := range []string{"abc", "AAAA", "Zmxvd3Mg", "=", "x"} {
			answer := s.send("GET", path+separator+"cursor="+cursor, "")
			var problem struct {
				Errors []struct{ Pointer string }
			}
			if json.Unmarshal(answer.body, &problem); answer.status != 422 || len(problem.Errors) != 1 || problem.Errors[0].Pointer != "cursor" {
				t.Errorf("%s, cursor %s: %d %s", path, cursor, answer.status, answer.body)
			}
		}
	}
}

// fill makes n of everything.
func (s *stage) fill(n int) {
	s.Helper()
	ctx := s.Context()
	for i := range n {
		s.grant("default", "1000")
		must(s.CreateOrganization(ctx, api.NewOrganization{Slug: fmt.Sprintf("org-%d", i)}))(s)
		must(s.CreateWorkspace(ctx, "default", api.NewWorkspace{Slug: fmt.Sprintf("ws-%d", i)}))(s)
		must(s.CreateHold(ctx, "default", api.NewHold{Amount: "1", TTLSeconds: 86400}))(s)
		must(s.PutRateCard(ctx, "default", api.NewRateCard{SKUs: []api.Price{
			{SKU: "gpu.h100", Unit: "hour", Prices: map[string]api.Amount{"on-demand": api.NanoCredits(int64(1e9 + i))}},
			{SKU: "cpu.vcpu", Unit: "hour", Prices: map[string]api.Amount{"on-demand": "0.02"}},
		}}))(s)
		flow := must(s.StartFlow(ctx, "default", api.NewFlow{
			Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}, Project: fmt.Sprintf("p%d", i),
		}))(s)
		must(s.CreateJob(ctx, "default", api.NewJob{Command: []string{"sleep", "60"}}))(s)
		s.advance("4000")
		must(s.StopFlow(ctx, "default", flow.ID, api.FlowStop{}))(s)
	}
}

// turn reads a list page by page. What changes with time is left out: the test
// clock stands still meanwhile.
func (s *stage) turn(path string, limit int) (items []string) {
	s.Helper()
	separator := "?"
	if slices.Contains([]byte(path), '?') {
		separator = "&"
	}
	cursor := ""
	for range 500 {
		next := path + separator + fmt.Sprintf("limit=%d", limit)
		if cursor != "" {
			next += "&cursor=" + cursor
		}
		answer := s.send("GET", next, "")
		var page struct {
			Items  []json.RawMessage `json:"items"`
			Cursor *string           `json:"next_cursor"`
		}
		if err := json.Unmarshal(answer.body, &page); err != nil || answer.status != 200 || page.Items == nil || len(page.Items) > limit {
			s.Fatalf("%s: %d %s", next, answer.status, answer.body)
		}
		for _, item := range page.Items {
			items = append(items, string(item))
		}
		if page.Cursor == nil {
			return items
		}
		cursor = *page.Cursor
	}
	s.Fatalf("%s does not come to an end", path)
	return nil
}

func TestEventsCanBeFollowedByNumber(t *testing.T) {
	s := newStage(t)
	s.fill(2)
	all := must(s.Events(t.Context(), "default", api.EventQuery{}))(t).Items
	for i, e := range all {
		if e.No != int64(i+1) {
			t.Errorf("event %d has number %d", i, e.No)
		}
	}
	if tail := must(s.Events(t.Context(), "default", api.EventQuery{After: all[2].No}))(t).Items; len(tail) != len(all)-3 || tail[0].No != 4 {
		t.Errorf("after 3: %+v", tail)
	}
	if last := must(s.Events(t.Context(), "default", api.EventQuery{Last: 2}))(t).Items; len(last) != 2 || last[1].No != all[len(all)-1].No {
		t.Errorf("the last two: %+v", last)
	}
}

// At one instant the balance, the lots and the holds agree, also on what a flow
// with a largest cost has used and not been charged for.
func TestWhatIsHeldAgrees(t *testing.T) {
	s := newStage(t)
	lot := s.grant("default", "10")
	must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}, MaxCost: "5"}))(t)
	must(s.CreateHold(t.Context(), "default", api.NewHold{Amount: "1", TTLSeconds: 3600}))(t)
	s.advance("60")
	lots := must(s.Lots(t.Context(), "default", api.Page{}))(t).Items
	var held int64
	for _, h := range must(s.Holds(t.Context(), "default", api.HoldQuery{}))(t).Items {
		amount, _ := h.Amount.Nano()
		slice, _ := h.Slices[0].Amount.Nano()
		if held += amount; amount != slice || h.Slices[0].Lot != lot.ID {
			t.Errorf("%+v", h)
		}
	}
	if b := s.balance("default"); b.Held != "5.960166667" || lots[0].Held != b.Held || api.NanoCredits(held) != b.Held {
		t.Errorf("held: %s by the balance, %s by the lot, %s by the holds", b.Held, lots[0].Held, api.NanoCredits(held))
	}
}

// In the data of events instants are written as everywhere else, and what is
// about a charge names it.
func TestEventsSpeakTheContractsWords(t *testing.T) {
	s := newStage(t)
	s.grant("default", "10")
	flow := must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}, MaxCost: "2.39"}))(t)
	s.advance("3600")
	charges := must(s.Charges(t.Context(), "default", api.ChargeQuery{Flow: flow.ID}))(t).Items
	must(s.RefundCharge(t.Context(), "default", charges[0].ID, api.NewRefund{Amount: "1"}))(t)
	if f := must(s.Flow(t.Context(), "default", flow.ID))(t); f.Status != "exhausted" || f.Charged != "1.39" {
		t.Errorf("the flow is %s and was charged %s, of which 1 was refunded", f.Status, f.Charged)
	}
	landing := must(s.Events(t.Context(), "default", api.EventQuery{Kind: "flow.landing"}))(t).Items
	if len(landing) != 1 || landing[0].Data["stop_at"] != "2027-01-01T10:00:00Z" {
		t.Errorf("%+v", landing)
	}
	refunds := must(s.Events(t.Context(), "default", api.EventQuery{Subject: charges[0].ID}))(t).Items
	if len(refunds) != 1 || refunds[0].Kind != "charge.refunded" || refunds[0].Subject != charges[0].ID {
		t.Errorf("%+v", refunds)
	}
	if p := s.problem(s.send("GET", ws+"/events?subject=chg_other_1", "")); p.Status != 404 || p.Type != "/docs#problem-not_found" {
		t.Errorf("%+v", p)
	}
}

// A verification may be of one workspace alone.
func TestOneWorkspaceIsVerified(t *testing.T) {
	s := newStage(t)
	must(s.CreateWorkspace(t.Context(), "default", api.NewWorkspace{Slug: "vision"}))(t)
	all := must(s.Verify(t.Context(), api.VerifyRequest{}))(t)
	one := must(s.Verify(t.Context(), api.VerifyRequest{Workspace: "default.vision"}))(t)
	if all.Wallets != 2 || one.Wallets != 1 || !one.OK || one.Differing != 0 {
		t.Errorf("all %+v, one %+v", all, one)
	}
	if p := s.problem(s.send("POST", "/v1/verify", `{"workspace":"default.nothing"}`)); p.Status != 404 {
		t.Errorf("%+v", p)
	}
}
