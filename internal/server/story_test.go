package server_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// Worked examples at the prices of the catalogue come out exactly over HTTP, and every charge
// recomputes from what it says of itself.
func TestTheWorkedExamples(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	must(s.PutRateCard(ctx, "default", api.NewRateCard{SKUs: []api.Price{
		{SKU: "gpu.big", Unit: "hour", Prices: map[string]api.Amount{"on-demand": "4.00"}},
		{SKU: "gpu.month", Unit: "hour", Prices: map[string]api.Amount{"on-demand": "2.49"}},
		{SKU: "cpu.vcpu", Unit: "hour", Prices: map[string]api.Amount{"on-demand": "0.0128"}},
		{SKU: "llm.m.input", Unit: "million", Prices: map[string]api.Amount{"on-demand": "2.50"}},
		{SKU: "llm.m.output", Unit: "million", Prices: map[string]api.Amount{"on-demand": "10.00"}},
	}}))(t)
	s.grant("default", "100000")
	for _, example := range []struct {
		sku, quantity, seconds, want string
	}{
		{"gpu.big", "8", "7200", "64"}, {"gpu.month", "8", "2592000", "14342.4"}, {"cpu.vcpu", "1", "60", "0.000213333"},
	} {
		flow := must(s.StartFlow(ctx, "default", api.NewFlow{
			Items: []api.NewItem{{SKU: example.sku, Quantity: api.Quantity(example.quantity)}},
		}))(t)
		s.advance(example.seconds)
		if done := must(s.StopFlow(ctx, "default", flow.ID, api.FlowStop{}))(t); done.Charged != api.Amount(example.want) {
			t.Errorf("%s: charged %s, want %s", example.sku, done.Charged, example.want)
		}
	}
	hold := must(s.CreateHold(ctx, "default", api.NewHold{Amount: "1", TTLSeconds: 60}))(t)
	captured := must(s.CaptureHold(ctx, "default", hold.ID, api.Capture{Usage: []api.Usage{
		{SKU: "llm.m.input", Quantity: "1000"}, {SKU: "llm.m.output", Quantity: "500"},
	}}))(t)
	if captured.Amount != "0.0075" || captured.Overrun != "0" || captured.Hold.Status != "captured" {
		t.Errorf("tokens: %+v", captured)
	}
	for c, err := range api.All(api.Page{Limit: 200}, func(p api.Page) (api.List[api.Charge], error) {
		return s.Charges(ctx, "default", api.ChargeQuery{Page: p})
	}) {
		if err != nil {
			t.Fatal(err)
		}
		recompute(t, c)
	}
	s.verified()
}

// recompute holds a charge against its own arithmetic.
func recompute(t *testing.T, c api.Charge) {
	t.Helper()
	n := func(text string) *big.Int {
		v, ok := new(big.Int).SetString(text, 10)
		if !ok {
			t.Fatalf("%s: %q is no integer", c.ID, text)
		}
		return v
	}
	nano := func(a api.Amount) *big.Int {
		v, err := a.Nano()
		if err != nil {
			t.Fatal(err)
		}
		return big.NewInt(v)
	}
	k := c.Computation
	left := new(big.Int).Mul(n(k.Rate), big.NewInt(k.Elapsed))
	left.Add(left, n(k.RemainderBefore))
	right := new(big.Int).Add(nano(c.Amount), nano(c.Waived))
	right.Mul(right, n(k.Divisor)).Add(right, n(k.RemainderAfter))
	sum := new(big.Int)
	for _, slice := range c.Slices {
		sum.Add(sum, nano(slice.Amount))
	}
	if left.Cmp(right) != 0 || sum.Cmp(nano(c.Amount)) != 0 {
		t.Errorf("%s does not recompute: %+v", c.ID, c)
	}
}

// A reporter that goes silent is billed to its last heartbeat and closed there.
func TestASilentReporterIsBilledToItsLastHeartbeat(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	flow := must(s.StartFlow(t.Context(), "default", api.NewFlow{
		Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}, LeaseSeconds: 60,
	}))(t)
	s.advance("50")
	before := s.balance("default").Version
	beat := must(s.Heartbeat(t.Context(), "default", flow.ID, api.Heartbeat{}))(t)
	if beat.LeaseUntil == nil || *beat.LeaseUntil != "2027-01-01T09:01:50Z" {
		t.Errorf("lease until %v", beat.LeaseUntil)
	}
	if after := s.balance("default").Version; after != before {
		t.Errorf("a heartbeat moved the wallet from version %d to %d", before, after)
	}
	s.advance("3600")
	lost := must(s.Flow(t.Context(), "default", flow.ID))(t)
	if lost.Status != "lost" || lost.EndedAt == nil || *lost.EndedAt != "2027-01-01T09:00:50Z" || lost.Charged != "0.033194444" {
		t.Errorf("%+v", lost)
	}
	// It comes back and says when its work truly ended: a late fact, once, at the
	// price that it had, whatever the card says by now.
	must(s.PutRateCard(t.Context(), "default", api.NewRateCard{SKUs: []api.Price{
		{SKU: "cpu.vcpu", Unit: "hour", Prices: map[string]api.Amount{"on-demand": "1"}},
	}}))(t)
	for range 2 {
		flow := must(s.StopFlow(t.Context(), "default", flow.ID, api.FlowStop{At: "2027-01-01T09:30:50Z"}))(t)
		if flow.Charged != "1.228194444" || flow.Reason != "late" || *flow.EndedAt != "2027-01-01T09:30:50Z" {
			t.Errorf("charged %s until %s", flow.Charged, *flow.EndedAt)
		}
	}
	if again := must(s.Flow(t.Context(), "default", flow.ID))(t); again.Charged != "1.228194444" {
		t.Errorf("later: charged %s", again.Charged)
	}
	if b := s.balance("default"); b.Balance != "98.771805556" { // 100 - 2.39 × 1850 / 3600
		t.Errorf("after the late report: %s", b.Balance)
	}
	if p := s.problem(s.send("POST", ws+"/flows/"+flow.ID+"/stop", `{"at":"2027-01-01T09:40:00Z"}`)); p.Status != 409 {
		t.Errorf("another end: %+v", p)
	}
	s.verified()
}

// A stop may name an instant that has passed, but none before the last change or
// heartbeat; what accrued after it goes back.
func TestAStopMayLieInThePast(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	items := []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}
	flow := must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: items, LeaseSeconds: 7200}))(t)
	s.advance("1800")
	must(s.Heartbeat(t.Context(), "default", flow.ID, api.Heartbeat{}))(t)
	s.advance("3600")
	p := s.problem(s.send("POST", ws+"/flows/"+flow.ID+"/stop", `{"at":"2027-01-01T09:29:59Z"}`))
	if p.Status != 422 || p.Errors[0].Pointer != "/at" {
		t.Errorf("before the heartbeat: %+v", p)
	}
	done := must(s.StopFlow(t.Context(), "default", flow.ID, api.FlowStop{At: "2027-01-01T10:00:00Z"}))(t)
	if done.Charged != "2.39" || s.balance("default").Balance != "97.61" {
		t.Errorf("charged %s, balance %s", done.Charged, s.balance("default").Balance)
	}
	s.verified()
}

// The list of lots says which of them running work will use, and when.
func TestLotsSayWhenTheyAreUsed(t *testing.T) {
	s := newStage(t)
	for _, g := range []api.NewGrant{
		{Amount: "23.9", Kind: "purchased"},
		{Amount: "2.39", Kind: "promotional"},
		{Amount: "5", Kind: "promotional", Scope: &api.Scope{SKUs: []string{"storage.*"}}},
	} {
		must(s.Grant(t.Context(), "default", g))(t)
	}
	told := func() (uses []string) {
		for _, l := range must(s.Lots(t.Context(), "default", api.Page{}))(t).Items {
			if l.UsedFrom == nil || l.UsedUpAt == nil {
				uses = append(uses, string(l.Amount))
				continue
			}
			uses = append(uses, fmt.Sprintf("%s %s %s", l.Amount, *l.UsedFrom, *l.UsedUpAt))
		}
		return uses
	}
	if uses := told(); !slices.Equal(uses, []string{"5", "2.39", "23.9"}) {
		t.Errorf("nothing runs: %q", uses)
	}
	must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	if uses := told(); !slices.Equal(uses, []string{
		"5", "2.39 2027-01-01T09:00:00Z 2027-01-01T10:00:00Z", "23.9 2027-01-01T10:00:00Z 2027-01-01T20:00:00Z",
	}) {
		t.Errorf("at the start: %q", uses)
	}
	s.advance("5400")
	if uses := told(); !slices.Equal(uses, []string{"5", "2.39", "23.9 2027-01-01T10:30:00Z 2027-01-01T20:00:00Z"}) {
		t.Errorf("later: %q", uses)
	}
}

// Transfers, freezes, refunds and budgets over HTTP.
func TestCreditsMoveAndComeBack(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	lot := s.grant("default", "100")
	must(s.CreateWorkspace(ctx, "default", api.NewWorkspace{Slug: "vision"}))(t)
	moved := must(s.Transfer(ctx, "default", api.NewTransfer{ToWorkspace: "default.vision", Amount: "40"}))(t)
	if moved.Amount != "40" || len(moved.Lots) != 1 || moved.Lots[0].Source != moved.ID || moved.Lots[0].FromLot != lot.ID ||
		s.balance("default").Balance != "60" || s.balance("default.vision").Balance != "40" {
		t.Errorf("%+v", moved)
	}
	frozen := must(s.FreezeLot(ctx, "default", lot.ID))(t)
	if b := s.balance("default"); frozen.Status != "frozen" || b.Frozen != "60" || b.Available != "0" {
		t.Errorf("frozen: %+v %+v", frozen, b)
	}
	if p := s.problem(s.send("POST", ws+"/holds", `{"amount":"1","ttl_seconds":60}`)); p.Code != "credits_frozen" {
		t.Errorf("frozen: %+v", p)
	}
	must(s.UnfreezeLot(ctx, "default", lot.ID))(t)
	flow := must(s.StartFlow(ctx, "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	s.advance("3600")
	must(s.StopFlow(ctx, "default", flow.ID, api.FlowStop{}))(t)
	charge := must(s.Charges(ctx, "default", api.ChargeQuery{Flow: flow.ID}))(t).Items[0]
	back := must(s.RefundCharge(ctx, "default", charge.ID, api.NewRefund{Amount: "0.39"}))(t)
	if back.Amount != "0.39" || back.Left != "2" || len(back.Slices) != 1 || back.Slices[0].Lot != lot.ID || s.balance("default").Balance != "58" {
		t.Errorf("refund: %+v", back)
	}
	budgets := must(s.SetBudgets(ctx, "default", api.Budgets{Items: []api.Budget{{Key: "workspace", Amount: "2.5", Window: "day", Hard: true}}}))(t)
	if b := budgets.Items[0]; b.Spent != "2" || b.Remaining != "0.5" {
		t.Errorf("a new budget knows what was spent: %+v", b)
	}
	if p := s.problem(s.send("POST", ws+"/flows", `{"items":[{"sku":"gpu.h100","quantity":1}]}`)); p.Status != 402 || p.Code != "budget_exceeded" {
		t.Errorf("budget: %+v", p)
	}
	s.verified()
}

// Lists that are sent empty say the same as lists that are left out, also to the
// books.
func TestEmptyListsAreNone(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/grants", `{"amount":"10","kind":"plan","scope":{"skus":[],"tiers":[],"regions":[],"projects":[]}}`},
		{"POST", "/holds", `{"amount":"1","ttl_seconds":60,"skus":[]}`},
		{"PUT", "/budgets", `{"items":[]}`},
		{"PATCH", "/policy", `{"alert_percents":[],"alert_amounts":[],"alert_runway_seconds":[]}`},
		{"POST", "/usage-events", `[]`},
	} {
		if a := s.send(c.method, ws+c.path, c.body); a.status >= 300 && c.path != "/usage-events" {
			t.Errorf("%s: %d %s", c.path, a.status, a.body)
		}
	}
	s.advance("7200")
	s.verified()
}

// A JSON number is what it says, in whatever form; a text is what it says, in
// whatever escapes.
func TestNumbersAndTextsInAllTheirForms(t *testing.T) {
	s := newStage(t)
	for i, body := range []string{
		`{"amount":"10","kind":"plan","priority":50,"reason":"\\ud83d 😀"}`, `{"amount":"10","kind":"plan","priority":50.0,"reason":"\\ud83d \ud83d\ude00"}`,
		`{"amount":"10","kind":"plan","priority":5e1,"reason":"\\ud83d \uD83D\uDE00"}`, `{"amount":"10","kind":"plan","priority":0.5E+2,"reason":"\u005cud83d 😀"}`,
	} {
		a := s.send("POST", ws+"/grants", body, "Idempotency-Key", "k")
		if a.status != 201 || (a.header.Get("Idempotent-Replayed") == "true") != (i > 0) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if lot := must(s.Lots(t.Context(), "default", api.Page{}))(t).Items[0]; lot.Priority != 50 || lot.Reason != `\ud83d 😀` {
		t.Errorf("%+v", lot)
	}
	for quantity, want := range map[string]api.Quantity{"1e0": "1", "15e-1": "1.5", "0.25E1": "2.5", "1.50": "1.5"} {
		body := `{"items":[{"sku":"cpu.vcpu","quantity":` + quantity + `}]}`
		a := s.send("POST", ws+"/flows", body)
		var flow api.Flow
		if err := json.Unmarshal(a.body, &flow); err != nil || a.status != 201 || flow.Items[0].Quantity != want {
			t.Errorf("%s: %d %s", quantity, a.status, a.body)
		}
		event := `[{"specversion":"1.0","id":"` + quantity + `","source":"/m","type":"t","data":{"sku":"network.egress","quantity":` + quantity + `}}]`
		if a := s.send("POST", ws+"/usage-events", event, "Content-Type", "application/cloudevents-batch+json"); !strings.Contains(string(a.body), `"accepted":1`) {
			t.Errorf("%s: %d %s", quantity, a.status, a.body)
		}
	}
	s.verified()
}

// A month with hundreds of jobs replays in seconds, each job at its own instants.
func TestAMonthOfJobsReplaysInSeconds(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100000")
	const jobs = 200
	begin := time.Now()
	for i := range jobs {
		must(s.CreateJob(t.Context(), "default", api.NewJob{
			Name: fmt.Sprintf("job-%d", i), Command: []string{"sleep", fmt.Sprint(3600 + 60*i)},
			Resources: api.Resources{GPU: "h100", GPUCount: 1},
		}))(t)
		if i%7 == 6 {
			s.advance("86400")
		}
	}
	s.advance("86400")
	took := time.Since(begin)
	done := 0
	for j, err := range api.All(api.Page{Limit: 200}, func(p api.Page) (api.List[api.Job], error) {
		return s.Jobs(t.Context(), "default", api.JobQuery{Page: p})
	}) {
		if err != nil {
			t.Fatal(err)
		}
		done++
		var n int64
		fmt.Sscanf(j.Name, "job-%d", &n)
		seconds := 3600 + 60*n
		want := api.NanoCredits(2_390_000_000 * seconds / 3600)
		if j.Status != "succeeded" || j.Charged != want || j.EndedAt.Time().Sub(j.StartedAt.Time()) != time.Duration(seconds)*time.Second {
			t.Errorf("%s: %s, charged %s, want %s, from %s to %s", j.Name, j.Status, j.Charged, want, *j.StartedAt, *j.EndedAt)
		}
	}
	if done != jobs || took > 30*time.Second {
		t.Errorf("%d jobs in %s", done, took)
	}
	t.Logf("%d jobs over %d days in %s", jobs, jobs/7+1, took)
	s.verified()
}
