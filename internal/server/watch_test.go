package server_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// Whoever watches the server finds the figures that are promised.
func TestMetricsAreThere(t *testing.T) {
	s := newStage(t)
	s.grant("default", "10")
	must(s.CreateOrganization(t.Context(), api.NewOrganization{Slug: "acme"}))(t)
	s.grant("acme", "10")
	must(s.StartFlow(t.Context(), "acme", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	s.send("POST", ws+"/holds", `{"amount":"100","ttl_seconds":60}`)
	must(s.ReportUsage(t.Context(), "default", []api.UsageEvent{{
		SpecVersion: "1.0", ID: "1", Source: "/test", Type: "purser.usage", Data: api.UsageData{SKU: "network.egress", Quantity: "1000"},
	}}))(t)
	text := string(s.send("GET", "/metrics", "", "Authorization", "").body)
	for _, line := range []string{
		"purser_commit_seconds_count ", "purser_commit_units_count ", `purser_queue_units{state="waiting"} 0`, "purser_keeper_lag_seconds ",
		`purser_gate_refusals_total{reason="insufficient_credits"} 1`, `purser_gate_refusals_total{reason="budget_exceeded"} 0`,
		"purser_overrun_credits_total 40", "purser_verification_failures_total 0", "purser_running_flows 1", "purser_unleased_flows 1",
		"purser_wallets 2", `purser_http_requests_total{route="POST /v1/workspaces/{workspace}/holds",status="402"} 1`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %s", line)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	s := newStage(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := s.send("GET", path, "", "Authorization", ""); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// A caller's request id comes back, if it is one; else the server makes one.
func TestRequestsHaveAnID(t *testing.T) {
	s := newStage(t)
	if a := s.send("GET", "/v1/version", "", "X-Request-Id", "mine-1"); a.header.Get("X-Request-Id") != "mine-1" {
		t.Errorf("given: %v", a.header)
	}
	for _, strange := range []string{"", "two words", "\x7f", strings.Repeat("x", 65)} {
		header := []string{"X-Request-Id", strange}
		if strange == "\x7f" {
			header = []string{"X-Request-Id", "<script>"}
		}
		if id := s.send("GET", "/v1/version", "", header...).header.Get("X-Request-Id"); !strings.HasPrefix(id, "req_") {
			t.Errorf("%q became %q", strange, id)
		}
	}
}

func TestWhoami(t *testing.T) {
	s := newStage(t)
	me := must(s.Whoami(t.Context(), api.WhoamiQuery{}))(t)
	if me.User != "operator" || me.Organization != "default" || me.Workspace != "default" || !strings.HasPrefix(me.WorkspaceID, "ws_") ||
		me.Clock != "test" || me.Now != "2027-01-01T09:00:00Z" {
		t.Errorf("%+v", me)
	}
}
