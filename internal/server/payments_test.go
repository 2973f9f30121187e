package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// browse asks for a page, or sends a form to it.
func (s *stage) browse(address string, form url.Values) raw {
	s.Helper()
	u, err := url.Parse(address)
	if err != nil {
		s.Fatal(err)
	}
	if form == nil {
		return s.send("GET", u.Path, "", "Authorization", "")
	}
	return s.send("POST", u.Path, form.Encode(), "Authorization", "", "Content-Type", "application/x-www-form-urlencoded")
}

// # Credits are bought on the page of the sandbox, which says what it is, and can be used
// when the page says that it is paid.
func TestTopUpOnThePage(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	if o := must(s.TopUpOptions(ctx, "default"))(t); o.Provider != "sandbox" || len(o.Presets) != 4 || o.Presets[3] != "10000" || o.Least != "20" || o.Most != "25000" {
		t.Errorf("%+v", o)
	}
	p := must(s.TopUp(ctx, "default", api.NewTopUp{Amount: "20", Save: true}))(t)
	if p.Status != "pending" || p.URL == "" || p.Total != "20" || p.By != "operator" {
		t.Fatalf("%+v", p)
	}
	page := s.browse(p.URL, nil)
	if text := string(page.body); page.status != 200 || !strings.Contains(text, "no real money") || !strings.Contains(text, "pay $20.00") ||
		page.header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", page.status, page.body)
	}
	for _, step := range []struct{ card, decision, says, balance string }{
		{"0002", "", "Try another one", "0"}, {"9999", "", "none of the test cards", "0"}, {"3155", "", "3-D Secure", "0"}, {"", "confirm", "It is paid", "20"}, {"4242", "", "It is paid", "20"},
	} {
		a := s.browse(p.URL, url.Values{"card": {step.card}, "decision": {step.decision}})
		if b := s.balance("default"); !strings.Contains(string(a.body), step.says) || string(b.Available) != step.balance {
			t.Errorf("%+v: balance %s, %d %s", step, b.Available, a.status, a.body)
		}
	}
	got := must(s.Payment(ctx, "default", p.ID))(t)
	if methods := must(s.PaymentMethods(ctx, "default"))(t); got.Status != "succeeded" || got.Lot == "" || len(methods.Items) != 1 || methods.Items[0].Last4 != "3155" || !methods.Items[0].Default {
		t.Errorf("%+v %+v", got, methods)
	}
	if a := s.browse(p.URL[:len(p.URL)-4]+"zzzz", nil); a.status != 404 {
		t.Errorf("another page: %d", a.status)
	}
	if list := must(s.Payments(ctx, "default", api.PaymentQuery{Status: "succeeded"}))(t); len(list.Items) != 1 || list.Items[0].ID != p.ID {
		t.Errorf("%+v", list)
	}
	s.verified()
}

// # A card is added on the page of the sandbox: one that is declined is not kept, and the
// page is there for another. A form leads on to its page, so that neither a reload nor the
// way back sends it again, and whoever comes back reads what has become of it.
func TestACardOnThePage(t *testing.T) {
	s := newTown(t)
	b := s.browser("192.0.2.1")
	page := must(s.AddPaymentMethod(t.Context(), "default"))(t)
	path := strings.TrimPrefix(page.URL, s.URL)
	form := strings.Replace(path, "/save/", "/pay/", 1)
	for _, step := range []struct{ card, then, says string }{
		{"0002", "?declined=0002", "The card was declined. Try another one."},
		{"9995", "?declined=9995", "The card was declined: insufficient funds. Try another one."},
		{"4242", "", "The card is saved."},
		{"0002", "", "The card is saved."},
	} {
		posted := b.do(form, url.Values{"card": {step.card}})
		if posted.status != http.StatusSeeOther || posted.header.Get("Location") != path+step.then {
			t.Fatalf("%+v: %d %s", step, posted.status, posted.header.Get("Location"))
		}
		shown := b.do(posted.header.Get("Location"), nil)
		if !strings.Contains(string(shown.body), step.says) || strings.Contains(string(shown.body), "paying") {
			t.Errorf("%+v: %s", step, shown.body)
		}
	}
	if methods := must(s.PaymentMethods(t.Context(), "default"))(t).Items; len(methods) != 1 || methods[0].Last4 != "4242" {
		t.Errorf("%+v", methods)
	}
	bought := must(s.TopUp(t.Context(), "default", api.NewTopUp{Amount: "20"}))(t)
	pay := strings.TrimPrefix(bought.URL, s.URL)
	if posted := b.do(pay, url.Values{"card": {"0002"}}); posted.status != http.StatusSeeOther || posted.header.Get("Location") != pay {
		t.Errorf("%d %s", posted.status, posted.header.Get("Location"))
	}
	for query, says := range map[string]string{
		"": "what was paid can be used", "?cancelled=1": "Nothing was paid", "?method=saved": "the payment method can be used", "?method=cancelled": "No payment method was added",
	} {
		if back := b.do("/payments/back"+query, nil); !strings.Contains(string(back.body), says) {
			t.Errorf("%s: %s", query, back.body)
		}
	}
}

// card saves a test card and returns the id of the method.
func (s *stage) card(last4 string) string {
	s.Helper()
	page := must(s.AddPaymentMethod(s.Context(), "default"))(s)
	if a := s.browse(strings.Replace(page.URL, "/sandbox/save/", "/sandbox/pay/", 1), url.Values{"card": {last4}}); a.status != 200 {
		s.Fatalf("%d %s", a.status, a.body)
	}
	all := must(s.PaymentMethods(s.Context(), "default"))(s).Items
	return all[len(all)-1].ID
}

// # Twenty top-ups at once with one key are one payment and one lot, and each is answered
// with it.
func TestParallelTopUpsWithOneKey(t *testing.T) {
	s := newStage(t)
	body := fmt.Sprintf(`{"amount":"50","method":%q}`, s.card("4242"))
	answers := make([]raw, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = s.send("POST", ws+"/top-ups", body, "Idempotency-Key", "once") })
	}
	all.Wait()
	for _, a := range answers {
		var p api.Payment
		if err := json.Unmarshal(a.body, &p); err != nil || a.status != 201 || p.Status != "succeeded" || string(a.body) != string(answers[0].body) {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if list := must(s.Payments(t.Context(), "default", api.PaymentQuery{}))(t); len(list.Items) != 1 || s.balance("default").Balance != "50" {
		t.Errorf("%d payments, balance %s", len(list.Items), s.balance("default").Balance)
	}
	if p := s.problem(s.send("POST", ws+"/top-ups", strings.Replace(body, "50", "51", 1), "Idempotency-Key", "once")); p.Code != "idempotency_mismatch" {
		t.Errorf("%+v", p)
	}
	s.verified()
}

// # What cannot be bought is refused, and nothing is begun.
func TestTopUpsAreRefused(t *testing.T) {
	s := newStage(t)
	for _, body := range []string{`{"amount":"19.99"}`, `{"amount":"25000.01"}`, `{"amount":"20.001"}`, `{"amount":"-20"}`, `{"amount":"20","method":"pm_none"}`, `{"amount":"20","method":"x","save":true}`} {
		if p := s.problem(s.send("POST", ws+"/top-ups", body)); p.Status != 422 && p.Status != 404 {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if list := must(s.Payments(t.Context(), "default", api.PaymentQuery{}))(t); len(list.Items) != 0 {
		t.Errorf("%+v", list)
	}
	none := newStageWith(t, app.Config{TestClock: start.UnixNano(), Payments: "none"})
	if p := none.problem(none.send("POST", ws+"/top-ups", `{"amount":"20"}`)); p.Code != "no_payments" {
		t.Errorf("%+v", p)
	}
	if a := none.browse("/sandbox/pay/x", nil); a.status != 404 {
		t.Errorf("the sandbox's page: %d", a.status)
	}
}

// # A webhook without its signature, with an old one, or too large, is refused.
func TestWebhooksAreChecked(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct {
		provider, body, signature string
		status                    int
	}{
		{"sandbox", `{"kind":"payment"}`, "", 401}, {"sandbox", `{"kind":"payment"}`, "t=1,v1=00", 401}, {"stripe", `{}`, "", 404},
		{"sandbox", strings.Repeat("x", 300_000), "", 413},
	} {
		a := s.send("POST", "/v1/webhooks/"+c.provider, c.body, "Authorization", "", "Sandbox-Signature", c.signature)
		if a.status != c.status {
			t.Errorf("%s %.30s: %d %s", c.provider, c.body, a.status, a.body)
		}
	}
}

// # Refund and dispute over HTTP, and a month of auto top-up under the test clock: work
// goes on, and what it cost was bought.
func TestMoneyComesAndGoes(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	method := s.card("4242")
	bought := must(s.TopUp(ctx, "default", api.NewTopUp{Amount: "100", Method: method}))(t)
	back := must(s.RefundPayment(ctx, "default", bought.ID, api.NewPaymentRefund{Amount: "40"}))(t)
	if back.Status != "succeeded" || back.Total != "40" || s.balance("default").Balance != "60" {
		t.Errorf("%+v", back)
	}
	for _, step := range []struct{ say, status, available string }{{"open", "disputed", "0"}, {"won", "partly_refunded", "60"}} {
		p := must(s.DisputePayment(ctx, "default", bought.ID, api.NewDispute{Status: step.say}))(t)
		if b := s.balance("default"); p.Status != step.status || string(b.Available) != step.available {
			t.Errorf("%s: %s, available %s", step.say, p.Status, b.Available)
		}
	}
	a := must(s.SetAutoTopUp(ctx, "default", api.AutoTopUpChange{Enabled: true, Target: "100"}))(t)
	if !a.Enabled || a.Threshold != "10" || a.DayCeiling != "1000" || a.MonthCeiling != "10000" {
		t.Errorf("%+v", a)
	}
	flow := must(s.StartFlow(ctx, "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	s.advance("2592000")
	if f := must(s.Flow(ctx, "default", flow.ID))(t); f.Status != "running" || f.Accrued == "0" {
		t.Errorf("%+v", f)
	}
	all := must(s.Payments(ctx, "default", api.PaymentQuery{Page: api.Page{Limit: 200}}))(t).Items
	if len(all) != 1+19 { // 30 days × 24 h × 2.39 = 1,720.80, and 60 were there; each buys about 90
		t.Errorf("%d payments", len(all))
	}
	if run := must(s.DryRunAutoTopUp(ctx, "default", api.AutoTopUpChange{Target: "100"}))(t); run.From != "2026-12-01T00:00:00Z" || run.Used != "0" {
		t.Errorf("%+v", run)
	}
	off := must(s.SetAutoTopUp(ctx, "default", api.AutoTopUpChange{}))(t)
	s.advance("864000")
	if n := len(must(s.Payments(ctx, "default", api.PaymentQuery{Page: api.Page{Limit: 200}}))(t).Items); off.Enabled || n != len(all) {
		t.Errorf("off: %+v, %d payments", off, n)
	}
	s.verified()
}

// # The sandbox pays back by itself, as somebody would in the dashboard of a real provider:
// so much of money, tax included, or all that is left; more is refused, and nothing moves.
func TestTheSandboxPaysBackByItself(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	bought := must(s.TopUp(ctx, "default", api.NewTopUp{Amount: "100", Method: s.card("4242")}))(t)
	var some api.PaymentRefund
	for range 2 { // under one key: once
		some = must(s.RefundPaymentAtProvider(api.WithKey(ctx, "some"), "default", bought.ID, api.NewProviderRefund{Total: "30"}))(t)
	}
	if some.Status != "succeeded" || some.Amount != "30" || some.Loss != "0" || some.By != "sandbox" || s.balance("default").Balance != "70" {
		t.Errorf("a part: %+v", some)
	}
	must(s.CreateHold(ctx, "default", api.NewHold{Amount: "60", TTLSeconds: 60}))(t)
	for total, code := range map[api.Amount]string{"70.01": "credits_used", "0.001": "invalid", "-1": "invalid"} {
		_, err := s.RefundPaymentAtProvider(ctx, "default", bought.ID, api.NewProviderRefund{Total: total})
		if p := (*api.Problem)(nil); !errors.As(err, &p) || p.Code != code {
			t.Errorf("%s: %v", total, err)
		}
	}
	if _, err := s.RefundPaymentAtProvider(ctx, "default", "pay_of_nobody", api.NewProviderRefund{}); err == nil {
		t.Error("a payment that is none goes back")
	}
	rest := must(s.RefundPaymentAtProvider(ctx, "default", bought.ID, api.NewProviderRefund{}))(t)
	if b := s.balance("default"); rest.Amount != "70" || rest.Loss != "0" || b.Balance != "0" || b.Held != "0" {
		t.Errorf("the rest: %+v, %+v", rest, b)
	}
	if p := must(s.Payment(ctx, "default", bought.ID))(t); p.Status != "refunded" {
		t.Errorf("%+v", p)
	}
	s.verified()
}
