package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// reservedCard sells two SKUs at the tier reserved, too, and a third not.
const reservedCard = `{"skus":[
	{"sku":"gpu.h100","unit":"hour","prices":{"on-demand":"2.39","reserved":"1.5"}},
	{"sku":"cpu.vcpu","unit":"hour","prices":{"on-demand":"0.02","reserved":"0.01"}},
	{"sku":"gpu.a10","unit":"hour","prices":{"on-demand":"0.76"}}]}`

// reservedWork is what starts, or promises, reserved work, and where a request for
// it names the tier.
var reservedWork = []struct{ path, body, tier, sku string }{
	{"/flows", `{"items":[{"sku":"cpu.vcpu","quantity":1},{"sku":"gpu.h100","tier":"reserved","quantity":1}]}`, "/items/1/tier", "gpu.h100"},
	{"/flows", `{"items":[{"sku":"gpu.h100","tier":"reserved","quantity":1}],"max_cost":"3"}`, "/items/0/tier", "gpu.h100"},
	{"/jobs", `{"command":["sleep","600"],"tier":"reserved"}`, "/tier", "cpu.vcpu"},
	{"/jobs", `{"command":["sleep","600"],"tier":"reserved","resources":{"gpu":"h100","gpu_count":1},"max_cost":"3"}`, "/tier", "gpu.h100"},
	{"/holds", `{"amount":"3","ttl_seconds":600,"tier":"reserved","skus":["gpu.h100"]}`, "/tier", "gpu.h100"},
}

// refusedTier checks that all reserved work is refused at its tier.
func (s *stage) refusedTier(code, says string) {
	s.Helper()
	for _, work := range reservedWork {
		if work.path == "/holds" && code == "unknown_tier" {
			continue // a hold has no price
		}
		p := s.problem(s.send("POST", ws+work.path, work.body))
		if p.Status != 422 || p.Code != code || len(p.Errors) != 1 || p.Errors[0].Pointer != work.tier ||
			!strings.Contains(p.Detail, says) || !strings.Contains(p.Detail, work.sku) {
			s.Errorf("%s %s: %+v", work.path, work.body, p)
		}
	}
}

// Reserved needs a price on the card and a commitment in the wallet; a refusal says
// which of the two is missing.
func TestReservedNeedsAPriceAndACommitment(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	commitment := func(scope *api.Scope) api.Lot {
		return must(s.Grant(t.Context(), "default", api.NewGrant{Amount: "20", Kind: "commitment", Scope: scope}))(t)
	}
	lot := commitment(nil)
	s.refusedTier("unknown_tier", "no reserved price on the rate card default")
	if a := s.send("PUT", "/v1/rate-cards/default", reservedCard); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	must(s.FreezeLot(t.Context(), "default", lot.ID))(t)
	s.refusedTier("commitment_required", "no commitment lot")
	commitment(&api.Scope{Tiers: []string{"spot"}})
	s.refusedTier("commitment_required", "no commitment lot")
	commitment(&api.Scope{SKUs: []string{"gpu.h100", "cpu.*"}, Tiers: []string{"reserved"}})
	var flow string
	for i, work := range reservedWork {
		a := s.send("POST", ws+work.path, work.body)
		if a.status != 201 {
			t.Errorf("%s %s: %d %s", work.path, work.body, a.status, a.body)
		}
		var made struct{ ID string }
		if err := json.Unmarshal(a.body, &made); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			flow = made.ID
		}
	}
	if p := s.problem(s.send("POST", ws+"/flows", `{"items":[{"sku":"gpu.a10","tier":"reserved","quantity":1}]}`)); p.Code != "unknown_tier" {
		t.Errorf("without a price: %+v", p)
	}
	s.advance("3600")
	if f := must(s.Flow(t.Context(), "default", flow))(t); f.Charged != "1.5" {
		t.Errorf("an hour of reserved work: %+v", f)
	}
	for _, j := range must(s.Jobs(t.Context(), "default", api.JobQuery{}))(t).Items {
		if j.Status != "succeeded" {
			t.Errorf("%+v", j)
		}
	}
	s.verified()
}

// What runs may shrink, and go on, without its commitment, and grow with one only.
func TestAReservedFlowGrowsWithACommitmentOnly(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	s.send("PUT", "/v1/rate-cards/default", reservedCard)
	lot := must(s.Grant(t.Context(), "default", api.NewGrant{Amount: "20", Kind: "commitment"}))(t)
	flow := must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Tier: "reserved", Quantity: "2"}}}))(t)
	change := func(quantity int) raw {
		return s.send("PATCH", ws+"/flows/"+flow.ID, fmt.Sprintf(`{"items":[{"sku":"gpu.h100","tier":"reserved","quantity":%d}]}`, quantity))
	}
	if a := change(4); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	must(s.FreezeLot(t.Context(), "default", lot.ID))(t)
	if p := s.problem(change(5)); p.Code != "commitment_required" || p.Errors[0].Pointer != "/items/0/tier" {
		t.Errorf("%+v", p)
	}
	if a := change(1); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.advance("3600")
	if f := must(s.Flow(t.Context(), "default", flow.ID))(t); f.Status != "running" || f.Charged != "1.5" {
		t.Errorf("%+v", f)
	}
	s.verified()
}

// A job that waits until its commitment is gone is not started.
func TestAReservedJobWhoseCommitmentIsGoneEndsWithTheReason(t *testing.T) {
	capacity := must(app.ParseCapacity("cpu.vcpu=1"))(t)
	s := newStageWith(t, app.Config{TestClock: start.UnixNano(), Capacity: capacity})
	s.grant("default", "100")
	s.send("PUT", "/v1/rate-cards/default", reservedCard)
	lot := must(s.Grant(t.Context(), "default", api.NewGrant{Amount: "20", Kind: "commitment"}))(t)
	must(s.CreateJob(t.Context(), "default", api.NewJob{Command: []string{"sleep", "60"}}))(t)
	made := must(s.CreateJob(t.Context(), "default", api.NewJob{Command: []string{"sleep", "60"}, Tier: "reserved"}))(t)
	must(s.FreezeLot(t.Context(), "default", lot.ID))(t)
	s.advance("120")
	if j := must(s.Job(t.Context(), "default", made.ID))(t); j.Status != "failed" || !strings.HasPrefix(j.Reason, "commitment_required: ") || j.Charged != "0" {
		t.Errorf("%+v", j)
	}
	s.verified()
}

// Reported usage is a fact: at the tier reserved it is priced if the card has the
// price, with and without a commitment.
func TestReservedUsageIsPricedIfTheCardHasThePrice(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	send := func(id, sku string) (v api.Verdict) {
		t.Helper()
		a := s.send("POST", ws+"/usage-events", `{"specversion":"1.0","id":"`+id+`","source":"/meter","type":"usage",
			"data":{"sku":"`+sku+`","tier":"reserved","quantity":2}}`, "Content-Type", "application/cloudevents+json")
		var list api.Verdicts
		if err := json.Unmarshal(a.body, &list); err != nil || len(list.Items) != 1 {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		return list.Items[0]
	}
	if v := send("1", "gpu.h100"); v.Status != "rejected" || v.Code != "unknown_tier" || v.Pointer != "/data/tier" {
		t.Errorf("before there is a price: %+v", v)
	}
	s.send("PUT", "/v1/rate-cards/default", reservedCard)
	if v := send("1", "gpu.h100"); v.Status != "accepted" || v.Amount != "3" {
		t.Errorf("%+v", v)
	}
	lot := must(s.Grant(t.Context(), "default", api.NewGrant{Amount: "20", Kind: "commitment"}))(t)
	hold := must(s.CreateHold(t.Context(), "default", api.NewHold{Amount: "5", TTLSeconds: 60, Tier: "reserved"}))(t)
	must(s.FreezeLot(t.Context(), "default", lot.ID))(t)
	if a := s.send("POST", ws+"/holds/"+hold.ID+"/capture", `{"usage":[{"sku":"gpu.h100","quantity":1}]}`); a.status != 200 ||
		!strings.Contains(string(a.body), `"1.5"`) {
		t.Errorf("captured usage: %d %s", a.status, a.body)
	}
	if b := s.balance("default"); b.Balance != "115.5" || b.Available != "95.5" {
		t.Errorf("%+v", b)
	}
	s.verified()
}
