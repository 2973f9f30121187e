package server_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/mail"
)

// office is a stage whose mails are kept, each with the instant at which it was written.
type office struct {
	*stage
	mu    sync.Mutex
	mails []string
}

func newOffice(t *testing.T) *office {
	o := &office{}
	o.stage = newStageWith(t, app.Config{TestClock: start.UnixNano(), Mailed: func(m mail.Message) {
		if m.Template == "invoice" { // the monthly statements, which other tests are about
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.mails = append(o.mails, m.To+" "+m.Data["subject"]+"\n"+m.Data["text"])
	}})
	must(o.CreateOrganization(t.Context(), api.NewOrganization{Slug: "acme", Name: "Acme"}))(t)
	email := "cfo@acme.example"
	must(o.ChangeBillingProfile(t.Context(), "acme", api.BillingProfileChange{BillingEmail: &email}))(t)
	o.card("4")
	must(o.Grant(t.Context(), "acme", api.NewGrant{Amount: "100000", Kind: "purchased"}))(t)
	return o
}

// card sells one SKU, at a price on demand.
func (o *office) card(price api.Amount) {
	o.Helper()
	must(o.PutRateCard(o.Context(), "default", api.NewRateCard{SKUs: []api.Price{
		{SKU: "gpu.h100", Unit: "hour", Prices: map[string]api.Amount{"on-demand": price}},
	}}))(o)
}

// to moves the clock on.
func (o *office) to(at time.Time) {
	o.Helper()
	must(o.AdvanceClock(o.Context(), api.Advance{To: api.At(at.UnixNano())}))(o)
}

// run starts one GPU.
func (o *office) run(tier string) api.Flow {
	o.Helper()
	return must(o.StartFlow(o.Context(), "acme", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Tier: tier, Quantity: "1"}}}))(o)
}

// stop stops a flow: nothing is closed each hour any more.
func (o *office) stop(f api.Flow) {
	o.Helper()
	must(o.StopFlow(o.Context(), "acme", f.ID, api.FlowStop{}))(o)
}

// over stops a flow, and has another of its kind run from an hour before the instant to
// an hour after it.
func (o *office) over(f api.Flow, at time.Time) api.Flow {
	o.Helper()
	o.stop(f)
	o.to(at.Add(-time.Hour))
	f = o.run("")
	o.to(at.Add(time.Hour))
	return f
}

// taken are the mails since the last call.
func (o *office) taken() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	mails := o.mails
	o.mails = nil
	return mails
}

// told checks to whom mails went since the last call, and with what subject.
func (o *office) told(want ...string) (all []string) {
	o.Helper()
	all = o.taken()
	var got []string
	for _, m := range all {
		first, _, _ := strings.Cut(m, "\n")
		got = append(got, first)
	}
	if !slices.Equal(got, want) {
		o.Errorf("mails %q, not %q", got, want)
	}
	return all
}

func in(at time.Time) *api.Instant { i := api.At(at.UnixNano()); return &i }

// contracted has a quote asked for, offered and accepted.
func (o *office) contracted(q api.Quote) api.Contract {
	o.Helper()
	asked := must(o.RequestQuote(o.Context(), "acme", api.NewQuoteRequest{
		Contact: "cfo@acme.example", Workload: "training", Targets: []api.QuoteTarget{{SKU: "gpu.h100", Count: 64, DurationDays: 90}},
	}))(o)
	must(o.OfferQuote(o.Context(), asked.ID, q))(o)
	return must(o.AcceptQuote(o.Context(), "acme", asked.ID, api.QuoteAcceptance{QuoteNo: 1}))(o)
}

// # An enterprise has a contract for a quarter: prices move at its instants, also for
// what runs, every lot comes at its own, and all of it ends by itself.
func TestAQuarterUnderContract(t *testing.T) {
	o := newOffice(t)
	from, until := start.AddDate(0, 0, 1), start.AddDate(0, 3, 1)
	onDemand := o.run("")
	c := o.contracted(api.Quote{
		From: in(from), Until: *in(until), ValidUntil: *in(from), Commitment: "21000", Schedule: "monthly", DiscountPercent: 10, EarlyTerminationPercent: 50,
		Rates: []api.QuoteRate{{SKU: "gpu.h100", Price: "2.5"}}, Capacity: []api.QuoteCapacity{{SKU: "gpu.h100", Count: 64}}, SLA: "99.9 %", Reference: "PO-7",
	})
	o.told("operator@localhost Quote request of Acme", "cfo@acme.example Acme: your quote is ready", "operator@localhost A quote was accepted",
		"cfo@acme.example Acme: your contract")
	if c.Status != "upcoming" || c.Committed != "21000" || c.Granted != "0" || c.ToCome != "21000" || c.TerminationFee != "10500" || len(c.Lots) != 3 {
		t.Errorf("%+v", c)
	}
	if p := must(o.CurrentPlan(t.Context(), "acme"))(t); p.Plan.Name != "core" || p.Contract != "" {
		t.Errorf("before: %+v", p)
	}
	o.to(from)
	reserved := o.run("reserved")
	if p := must(o.CurrentPlan(t.Context(), "acme"))(t); p.Plan.Name != "enterprise" || p.Contract != c.ID || len(p.Plan.Features) != 3 {
		t.Errorf("while it runs: %+v", p)
	}
	_, err := o.ReviewPlan(t.Context(), "acme", api.PlanChoice{Plan: "core"})
	refused(t, err, 409, "under_contract")
	o.taken()
	o.to(time.Date(2027, 3, 3, 0, 0, 0, 0, time.UTC))
	reminded := o.told("cfo@acme.example Acme: credits expire soon")
	if len(reminded) > 0 && strings.Count(reminded[0], "lot_") != 2 { // the first has been used up
		t.Errorf("%s", reminded[0])
	}
	o.to(until.AddDate(0, 0, -30))
	o.told("cfo@acme.example Acme: your contract ends soon")
	o.to(until.Add(24 * time.Hour))
	o.told("cfo@acme.example Acme: credits expire soon", "cfo@acme.example Acme: credits expire soon",
		"cfo@acme.example acme: credits have expired", "cfo@acme.example acme: credits have expired")

	instants := map[string][2]string{}
	for _, l := range must(o.Lots(t.Context(), "acme", api.Page{}))(t).Items {
		if l.Kind == "commitment" {
			instants[string(l.EffectiveAt)] = [2]string{string(l.Amount), string(*l.ExpiresAt)}
		}
	}
	for n := range 3 {
		if got := instants[string(*in(from.AddDate(0, n, 0)))]; got != [2]string{"7000", string(*in(until))} {
			t.Errorf("month %d: %v of %v", n, got, instants)
		}
	}
	c = must(o.Contract(t.Context(), "acme", c.ID))(t)
	if c.Status != "ended" || c.Used != "13176" || c.Expired != "7824" || c.Left != "0" || c.ToCome != "0" {
		t.Errorf("%+v", c)
	}
	for _, f := range []struct {
		flow api.Flow
		want api.Amount
	}{{onDemand, "7968"}, {reserved, "5496"}} { // 96 + 2160 h at 3.6 + 96; 2160 h at 2.5 + 24 h at 4
		if flow := must(o.StopFlow(t.Context(), "acme", f.flow.ID, api.FlowStop{}))(t); flow.Charged != f.want {
			t.Errorf("%s: %s, not %s", f.flow.Items[0].Tier, flow.Charged, f.want)
		}
	}
	if b := o.balance("acme"); b.Balance != "99712" { // 100000 - 96 - 96 - 96
		t.Errorf("balance %s", b.Balance)
	}
	if p := must(o.CurrentPlan(t.Context(), "acme"))(t); p.Plan.Name != "core" {
		t.Errorf("after: %+v", p)
	}
	o.verified()
}

// # A contract that is terminated gives no more credits, and its prices end at once.
func TestATermination(t *testing.T) {
	o := newOffice(t)
	c := o.contracted(api.Quote{Until: *in(start.AddDate(0, 3, 0)), ValidUntil: *in(start.AddDate(0, 0, 7)), Commitment: "1000", Schedule: "monthly",
		EarlyTerminationPercent: 25, Rates: []api.QuoteRate{{SKU: "gpu.h100", Price: "2"}}})
	if c.Status != "running" || c.Granted != "333.333333334" || c.TerminationFee != "166.666666666" {
		t.Errorf("%+v", c)
	}
	flow := o.run("reserved")
	o.to(start.Add(10 * time.Hour))
	_, err := o.TerminateContract(t.Context(), "acme", c.ID, api.Termination{Fee: "0"})
	if p := refused(t, err, 409, "fee_changed"); p.Values["fee"] != "166.666666666" {
		t.Errorf("%+v", p)
	}
	ended := must(o.TerminateContract(t.Context(), "acme", c.ID, api.Termination{Fee: c.TerminationFee}))(t)
	if ended.Status != "terminated" || ended.TerminationFee != "166.666666666" || ended.ToCome != "0" || ended.Used != "20" || ended.Left != "313.333333334" {
		t.Errorf("%+v", ended)
	}
	o.to(start.Add(20 * time.Hour))
	if f := must(o.Flow(t.Context(), "acme", flow.ID))(t); f.Charged == "" || f.Rate != "4" {
		t.Errorf("%+v", f)
	}
	o.stop(flow)
	o.to(start.AddDate(0, 2, 0))
	if c = must(o.Contract(t.Context(), "acme", c.ID))(t); c.Granted != "333.333333334" || c.Left != "273.333333334" { // 10 h at 2 and 10 h at 4
		t.Errorf("%+v", c)
	}
	_, err = o.TerminateContract(t.Context(), "acme", c.ID, api.Termination{Fee: "0"})
	refused(t, err, 409, "contract_ended")
	o.verified()
}

// # A change of plan does what its review has shown, or nothing.
func TestAChangeOfPlan(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	must(o.PutPlan(ctx, "pro", api.NewPlan{Title: "Pro", DiscountPercent: 15, Credits: "100", Features: []string{"sla"}, Overdraft: "5"}))(t)
	flow := o.run("")
	o.to(start.Add(10 * time.Hour))
	review := must(o.ReviewPlan(ctx, "acme", api.PlanChoice{Plan: "pro"}))(t)
	if len(review.Prices) != 1 || review.Amount != "40" || review.NewAmount != "34" || *review.Prices[0].NewPrice != "3.4" || review.Gained[0] != "sla" || review.Lost[0] != "sso" ||
		review.When != "now" || *review.NextCreditsAt != *in(start.Add(10 * time.Hour)) {
		t.Errorf("%+v", review)
	}
	o.card("5")
	_, err := o.ChangePlan(ctx, "acme", api.PlanChange{PlanChoice: api.PlanChoice{Plan: "pro"}, Token: review.Token})
	refused(t, err, 409, "review_outdated")
	review = must(o.ReviewPlan(ctx, "acme", api.PlanChoice{Plan: "pro"}))(t)
	now := must(o.ChangePlan(ctx, "acme", api.PlanChange{PlanChoice: api.PlanChoice{Plan: "pro"}, Token: review.Token}))(t)
	if now.Plan.Name != "pro" || now.Next != "" {
		t.Errorf("%+v", now)
	}
	if f := must(o.Flow(ctx, "acme", flow.ID))(t); f.Rate != "4.25" {
		t.Errorf("rate %s", f.Rate)
	}
	if w := must(o.Workspace(ctx, "acme"))(t); w.Policy.Overdraft != "5" {
		t.Errorf("%+v", w.Policy)
	}

	later := must(o.ReviewPlan(ctx, "acme", api.PlanChoice{Plan: "core", When: "period_end"}))(t)
	february := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	if later.EffectiveAt != *in(february) || later.Lost[0] != "sla" || later.NextCreditsAt != nil {
		t.Errorf("%+v", later)
	}
	back := api.PlanChange{PlanChoice: api.PlanChoice{Plan: "core", When: "period_end"}, Token: later.Token}
	if p := must(o.ChangePlan(ctx, "acme", back))(t); p.Plan.Name != "pro" || p.Next != "core" || *p.NextAt != *in(february) {
		t.Errorf("%+v", p)
	}
	if p := must(o.CancelPlanChange(ctx, "acme"))(t); p.Next != "" {
		t.Errorf("%+v", p)
	}
	_, err = o.CancelPlanChange(ctx, "acme")
	refused(t, err, 409, "no_change")
	flow = o.over(flow, february)
	if f := must(o.Flow(ctx, "acme", flow.ID))(t); f.Rate != "4.25" {
		t.Errorf("a change that was called off: %s", f.Rate)
	}
	var plan []string
	for _, l := range must(o.Lots(ctx, "acme", api.Page{}))(t).Items {
		if l.Kind == "plan" {
			plan = append(plan, string(l.EffectiveAt)+" "+string(l.Amount)+" until "+string(*l.ExpiresAt))
		}
	}
	slices.Sort(plan)
	if want := []string{"2027-01-01T19:00:00Z 100 until 2027-02-01T00:00:00Z", "2027-02-01T00:00:00Z 100 until 2027-03-01T00:00:00Z"}; !slices.Equal(plan, want) {
		t.Errorf("%q", plan)
	}
	later = must(o.ReviewPlan(ctx, "acme", back.PlanChoice))(t)
	back.Token = later.Token
	must(o.ChangePlan(ctx, "acme", back))(t)
	flow = o.over(flow, february.AddDate(0, 1, 0))
	if f := must(o.Flow(ctx, "acme", flow.ID))(t); f.Rate != "5" {
		t.Errorf("after the change: %s", f.Rate)
	}
	if w := must(o.Workspace(ctx, "acme"))(t); w.Policy.Overdraft != "0" {
		t.Errorf("%+v", w.Policy)
	}
	_, err = o.ReviewPlan(ctx, "acme", api.PlanChoice{Plan: "enterprise"})
	refused(t, err, 409, "talk_to_sales")
	o.verified()
}

// # What cannot be a plan or a quote is refused by its fields, and decides nothing.
func TestRefusedPlans(t *testing.T) {
	o := newOffice(t)
	for body, says := range map[string]string{
		`{"discount_percent":101}`: "discount_percent", `{"credits":"-1"}`: "/credits", `{"features":["gold"]}`: "/features/0",
		`{"card":"plan-core"}`: "/card", `{"card":"nowhere"}`: "no rate card",
	} {
		if p := o.problem(o.send("PUT", "/v1/plans/gold", body)); p.Status < 400 || !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if p := o.problem(o.send("PUT", "/v1/plans/core", `{"discount_percent":5}`)); !strings.Contains(p.Detail, "core has the prices") {
		t.Errorf("%+v", p)
	}
	must(o.PutPlan(t.Context(), "core", api.NewPlan{Title: "Core", Credits: "100", CreditsKind: "promotional"}))(t)
	if all := must(o.Plans(t.Context()))(t).Items; len(all) != 2 || all[0].Credits != "100" {
		t.Errorf("%+v", all)
	}
	asked := must(o.RequestQuote(t.Context(), "acme", api.NewQuoteRequest{Contact: "x", Targets: []api.QuoteTarget{{SKU: "gpu.h100", Count: 1, DurationDays: 1}}}))(t)
	path := "/v1/quote-requests/" + asked.ID + "/quote"
	for body, says := range map[string]string{
		`{"until":"2027-01-01T00:00:00Z","valid_until":"2027-01-02T00:00:00Z"}`:                                                "/until",
		`{"until":"2027-06-01T00:00:00Z","valid_until":"2027-07-02T00:00:00Z"}`:                                                "/valid_until",
		`{"until":"2027-06-01T00:00:00Z","valid_until":"2027-01-02T00:00:00Z","rates":[{"sku":"gpu.h100","price":"1"}]}`:       "commitment",
		`{"until":"2027-06-01T00:00:00Z","valid_until":"2027-01-02T00:00:00Z","plan":"core"}`:                                  "/plan",
		`{"until":"2027-06-01T00:00:00Z","valid_until":"2027-01-02T00:00:00Z","capacity":[{"sku":"gpu.x1","count":1}]}`:        "/capacity/0/sku",
		`{"until":"2027-06-01T00:00:00Z","valid_until":"2027-01-02T00:00:00Z","from":"2026-01-01T00:00:00Z","commitment":"1"}`: "/from",
	} {
		if p := o.problem(o.send("POST", path, body)); p.Status != 422 || !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %+v", body, p)
		}
	}
	_, err := o.AcceptQuote(t.Context(), "acme", asked.ID, api.QuoteAcceptance{QuoteNo: 1})
	refused(t, err, 409, "no_quote")
	offer := api.Quote{Until: *in(start.AddDate(0, 3, 0)), ValidUntil: *in(start.Add(time.Hour))}
	must(o.OfferQuote(t.Context(), asked.ID, offer))(t)
	must(o.OfferQuote(t.Context(), asked.ID, offer))(t)
	_, err = o.AcceptQuote(t.Context(), "acme", asked.ID, api.QuoteAcceptance{QuoteNo: 1})
	refused(t, err, 409, "quote_changed")
	o.to(start.Add(time.Hour))
	_, err = o.AcceptQuote(t.Context(), "acme", asked.ID, api.QuoteAcceptance{QuoteNo: 2})
	refused(t, err, 409, "quote_expired")
	must(o.DeclineQuote(t.Context(), "acme", asked.ID))(t)
	_, err = o.OfferQuote(t.Context(), asked.ID, offer)
	refused(t, err, 409, "request_decided")
	if b := o.balance("acme"); b.Balance != "100100" { // the credits of core, once
		t.Errorf("balance %s", b.Balance)
	}
	o.verified()
}
