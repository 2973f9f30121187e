package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
)

// The same key and body: the first answer again, and nothing twice. The same key
// and another body: refused.
func TestAKeyCountsOnce(t *testing.T) {
	s := newStage(t)
	const body = `{"amount":"10","kind":"plan"}`
	first := s.send("POST", ws+"/grants", body, "Idempotency-Key", "k1")
	if first.status != 201 || first.header.Get("Idempotent-Replayed") != "" {
		t.Fatalf("first: %d %v", first.status, first.header)
	}
	s.advance("5")
	for _, again := range []string{body, `{ "kind":"plan", "amount":"10" }`} {
		second := s.send("POST", ws+"/grants", again, "Idempotency-Key", "k1")
		if second.status != 201 || second.header.Get("Idempotent-Replayed") != "true" || string(second.body) != string(first.body) {
			t.Errorf("again: %d %v %s", second.status, second.header, second.body)
		}
	}
	p := s.problem(s.send("POST", ws+"/grants", `{"amount":"11","kind":"plan"}`, "Idempotency-Key", "k1"))
	if p.Status != 422 || p.Code != "idempotency_mismatch" {
		t.Errorf("another body: %+v", p)
	}
	if b := s.balance("default"); b.Balance != "10" {
		t.Errorf("balance %s", b.Balance)
	}
	s.verified()
}

// A key counts the same on PUT and PATCH.
func TestAKeyCountsOnceOnEveryMethod(t *testing.T) {
	s := newStage(t)
	s.grant("default", "1000")
	flow := must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	for _, c := range []struct{ call, body, other string }{
		{"PATCH " + ws + "/flows/" + flow.ID, `{"items":[{"sku":"gpu.h100","quantity":2}]}`, `{"items":[{"sku":"gpu.h100","quantity":3}]}`},
		{"PATCH " + ws + "/policy", `{"grace_seconds":60}`, `{"grace_seconds":61}`},
		{"PUT " + ws + "/budgets", `{"items":[{"key":"workspace","amount":"9","window":"day"}]}`, `{"items":[]}`},
		{"PUT /v1/rate-cards/other", `{"skus":[{"sku":"gpu.x","unit":"hour","prices":{"on-demand":"1"}}]}`,
			`{"skus":[{"sku":"gpu.x","unit":"hour","prices":{"on-demand":"2"}}]}`},
	} {
		method, path, _ := strings.Cut(c.call, " ")
		first := s.send(method, path, c.body, "Idempotency-Key", "k")
		s.advance("1")
		again := s.send(method, path, c.body, "Idempotency-Key", "k")
		if first.status != 200 || again.status != 200 || again.header.Get("Idempotent-Replayed") != "true" || string(first.body) != string(again.body) {
			t.Errorf("%s: %d %s, again %d %s", c.call, first.status, first.body, again.status, again.body)
		}
		if p := s.problem(s.send(method, path, c.other, "Idempotency-Key", "k")); p.Code != "idempotency_mismatch" {
			t.Errorf("%s with another body: %+v", c.call, p)
		}
	}
	if card := must(s.RateCard(t.Context(), "other", api.RateCardQuery{}))(t); card.Version != 1 {
		t.Errorf("version %d", card.Version)
	}
	s.verified()
}

// A key counts within its wallet and route, and the ids in the route count too.
func TestAKeyIsScopedToWalletAndRoute(t *testing.T) {
	s := newStage(t)
	must(s.CreateOrganization(t.Context(), api.NewOrganization{Slug: "other"}))(t)
	must(s.CreateWorkspace(t.Context(), "other", api.NewWorkspace{Slug: "second"}))(t)
	for _, workspace := range []string{"default", "other", "other.second"} {
		a := s.send("POST", "/v1/workspaces/"+workspace+"/grants", `{"amount":"100","kind":"plan"}`, "Idempotency-Key", "k")
		if a.status != 201 || a.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: %d %s", workspace, a.status, a.body)
		}
	}
	one := must(s.CreateHold(t.Context(), "default", api.NewHold{Amount: "1", TTLSeconds: 60}))(t)
	two := must(s.CreateHold(t.Context(), "default", api.NewHold{Amount: "1", TTLSeconds: 60}))(t)
	for _, hold := range []string{one.ID, two.ID} {
		a := s.send("POST", ws+"/holds/"+hold+"/release", "", "Idempotency-Key", "k")
		if a.status != 200 || a.header.Get("Idempotent-Replayed") != "" {
			t.Errorf("release %s: %d %s", hold, a.status, a.body)
		}
	}
	if a := s.send("POST", "/v1/workspaces/"+s.balance("default").Workspace+"/grants", `{"amount":"100","kind":"plan"}`, "Idempotency-Key", "k"); a.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same wallet under its id: %d %v", a.status, a.header)
	}
}

// Only successes are kept: the key of a refusal may be used again.
func TestTheKeyOfARefusalMayBeUsedAgain(t *testing.T) {
	s := newStage(t)
	const body = `{"amount":"5","ttl_seconds":60}`
	if a := s.send("POST", ws+"/holds", body, "Idempotency-Key", "k"); a.status != 402 {
		t.Fatalf("without credits: %d", a.status)
	}
	s.grant("default", "5")
	for i, replayed := range []string{"", "true"} {
		a := s.send("POST", ws+"/holds", body, "Idempotency-Key", "k")
		if a.status != 201 || a.header.Get("Idempotent-Replayed") != replayed {
			t.Errorf("time %d: %d %v", i, a.status, a.header)
		}
	}
}

// Twins that come at the same time: one is carried out, the others get its answer.
func TestTwinsAreCarriedOutOnce(t *testing.T) {
	s := newStage(t)
	const twins = 40
	answers := make([]raw, twins)
	var all sync.WaitGroup
	for i := range twins {
		all.Go(func() {
			answers[i] = s.send("POST", ws+"/grants", `{"amount":"1","kind":"plan"}`, "Idempotency-Key", "twin")
		})
	}
	all.Wait()
	fresh := 0
	for _, a := range answers {
		if a.status != 201 || string(a.body) != string(answers[0].body) {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if a.header.Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	if b := s.balance("default"); fresh != 1 || b.Balance != "1" {
		t.Errorf("%d were carried out, the balance is %s", fresh, b.Balance)
	}
}

// A repeated advance of the clock does not advance it twice.
func TestARepeatedAdvanceArrivesOnce(t *testing.T) {
	s := newStage(t)
	for range 3 {
		a := s.send("POST", "/v1/test-clock/advance", `{"by_seconds":"3600.000000001"}`, "Idempotency-Key", "hour")
		if a.status != 200 || string(a.body) != `{"now":"2027-01-01T10:00:00.000000001Z"}`+"\n" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if now := must(s.TestClock(t.Context()))(t).Now; now != "2027-01-01T10:00:00.000000001Z" {
		t.Errorf("now %s", now)
	}
}

// 100 parallel spends against credits for 10 admit exactly 10.
func TestParallelSpendsAdmitExactlyWhatIsThere(t *testing.T) {
	rounds := 5
	if os.Getenv("PURSER_SOAK") != "" {
		rounds = 50
	}
	s := newStage(t)
	for round := range rounds {
		slug := fmt.Sprintf("round-%d", round)
		must(s.CreateOrganization(t.Context(), api.NewOrganization{Slug: slug}))(t)
		s.grant(slug, "10")
		admitted, refused := s.rush(100, func(int) (string, string) {
			return "/v1/workspaces/" + slug + "/holds", `{"amount":"1","ttl_seconds":600}`
		})
		if b := s.balance(slug); admitted != 10 || refused != 90 || b.Available != "0" || b.Held != "10" {
			t.Fatalf("round %d: %d admitted, %d refused, balance %+v", round, admitted, refused, b)
		}
		s.spend(round)
	}
	s.verified()
}

// spend is the same with jobs that hold their largest cost, from another wallet.
func (s *stage) spend(round int) {
	s.Helper()
	slug := fmt.Sprintf("flows-%d", round)
	must(s.CreateOrganization(s.Context(), api.NewOrganization{Slug: slug}))(s)
	s.grant(slug, "10")
	admitted, _ := s.rush(100, func(int) (string, string) {
		return "/v1/workspaces/" + slug + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"max_cost":"1"}`
	})
	if b := s.balance(slug); admitted != 10 || b.Available != "0" {
		s.Fatalf("round %d: %d flows admitted, balance %+v", round, admitted, b)
	}
}

// 100 parallel starts of flows without a largest cost admit exactly as many as
// the gate's formula does: as long as the credits cover block_below + min_runway ×
// (burn rate of the wallet + own). Each has credits for exactly ten, once without a
// nano-credit more, once with all but one of what the eleventh needs.
func TestParallelStartsAdmitExactlyWhatTheFormulaDoes(t *testing.T) {
	rounds := 5
	if os.Getenv("PURSER_SOAK") != "" {
		rounds = 50
	}
	s := newStage(t)
	minRunway, blockBelow := int64(3600), api.Amount("1.5")
	const own, threshold = int64(2_390_000_000), int64(1_500_000_000)
	for round := range rounds {
		slug := fmt.Sprintf("starts-%d", round)
		must(s.CreateOrganization(t.Context(), api.NewOrganization{Slug: slug}))(t)
		must(s.ChangePolicy(t.Context(), slug, api.PolicyChange{MinRunwaySeconds: &minRunway, BlockBelow: &blockBelow}))(t)
		granted := threshold + 10*own
		if round%2 == 1 {
			granted += own - 1
		}
		s.grant(slug, string(api.NanoCredits(granted)))
		fits := 0
		for burn := int64(0); granted >= threshold+burn+own; burn += own {
			fits++
		}
		admitted, refused := s.rush(100, func(int) (string, string) {
			return "/v1/workspaces/" + slug + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}]}`
		})
		if b := s.balance(slug); fits != 10 || admitted != fits || refused != 100-fits || b.BurnRate != "23.9" {
			t.Fatalf("round %d: %d admitted, %d refused, %d fit into %s: %+v", round, admitted, refused, fits, api.NanoCredits(granted), b)
		}
	}
	t.Logf("%d rounds of 100 starts at once: exactly 10 admitted in each", rounds)
	s.verified()
}

// rush sends n requests at once and counts how they were answered.
func (s *stage) rush(n int, request func(i int) (path, body string)) (admitted, refused int) {
	s.Helper()
	answers := make([]int, n)
	var all sync.WaitGroup
	for i := range n {
		path, body := request(i)
		all.Go(func() { answers[i] = s.send("POST", path, body).status })
	}
	all.Wait()
	for _, status := range answers {
		switch status {
		case 201:
			admitted++
		case 402:
			refused++
		default:
			s.Fatalf("status %d", status)
		}
	}
	return admitted, refused
}

// A heartbeat, a verification, and whatever is about an account (passwords, tokens and
// codes are not kept) take a key and do not remember it, and their descriptions say so; nothing else that changes something is so.
func TestWhatIsRepeatableRemembersNoKey(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	flow := must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}, LeaseSeconds: 60}))(t)
	for _, seconds := range []string{"60", "60", "120"} {
		s.advance("10")
		a := s.send("POST", ws+"/flows/"+flow.ID+"/heartbeat", `{"lease_seconds":`+seconds+`}`, "Idempotency-Key", "k")
		var beat api.Flow
		if err := json.Unmarshal(a.body, &beat); err != nil || a.status != 200 || a.header.Get("Idempotent-Replayed") != "" {
			t.Fatalf("%d %s %v", a.status, a.body, err)
		}
		until, _ := beat.LeaseUntil.UnixNano()
		asOf, _ := beat.AsOf.UnixNano()
		if got := fmt.Sprint((until - asOf) / 1e9); got != seconds {
			t.Errorf("the lease lasts %s s, not %s", got, seconds)
		}
	}
	for _, body := range []string{`{}`, `{"workspace":"default"}`} {
		if a := s.send("POST", "/v1/verify", body, "Idempotency-Key", "k"); a.status != 200 {
			t.Errorf("verify %s: %d %s", body, a.status, a.body)
		}
	}
	var d struct {
		Paths map[string]map[string]struct{ OperationID, Description string }
	}
	if err := json.Unmarshal(s.send("GET", "/openapi.json", "").body, &d); err != nil {
		t.Fatal(err)
	}
	var repeatable []string
	for _, methods := range d.Paths {
		for _, op := range methods {
			if strings.Contains(op.Description, "taken and not remembered") {
				repeatable = append(repeatable, op.OperationID)
			}
		}
	}
	want := strings.Fields(`accept-invitation add-payment-method ask-password-reset begin-device begin-two-factor change-email
		change-password change-user confirm-device confirm-password-reset confirm-two-factor confirm-verification create-codes
		create-token create-webhook device-token dry-run-auto-top-up end-two-factor heartbeat-flow login logout look-up-code
		renew-recovery-codes resend-verification review-plan revoke-session rotate-token rotate-webhook sign-up verify`)
	if slices.Sort(repeatable); !slices.Equal(repeatable, want) {
		t.Errorf("said to be repeatable: %v", repeatable)
	}
}
