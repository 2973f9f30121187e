package stripe

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

const (
	testKey    = "sk_test_123"
	testSecret = "whsec_0123456789abcdef"
)

// It is one of the two providers.
var _ pay.Provider = (*Provider)(nil)

// listen takes a port of this machine below 32768.
func listen(t *testing.T) net.Listener {
	t.Helper()
	for port := 21000; port < 32768; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return l
		}
	}
	t.Fatal("no port is free")
	return nil
}

// open is a provider in front of a bank. It asks once, so that no test waits.
func open(t *testing.T) (*Provider, *bank) {
	t.Helper()
	b, url := newBank(t)
	c := Config{SecretKey: testKey, WebhookSecrets: []string{testSecret}, Back: "https://purser.example/back", URL: url}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.api = client(c, 0)
	return p, b
}

func order(payment string) pay.Order {
	return pay.Order{Payment: payment, Organization: "org_1", Amount: 20 * credit.One, Description: "20 credits"}
}

var visit = pay.Visit{Organization: "org_1", Email: "ada@example.org", Back: "https://purser.example/paid", Cancel: "https://purser.example/not"}

// must is the outcome of a call that has to succeed.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestANonsensicalConfigurationIsRefused(t *testing.T) {
	good := Config{SecretKey: testKey, WebhookSecrets: []string{testSecret}, Back: "https://purser.example"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"publishable":      func(c *Config) { c.SecretKey = "pk_live_" + "abcdefgh" },
		"SECRET_KEY":       func(c *Config) { c.SecretKey = "" },
		"begins with":      func(c *Config) { c.SecretKey = "whsec_abcdefghijklmnop" },
		"is empty":         func(c *Config) { c.WebhookSecrets = nil },
		"secret 2":         func(c *Config) { c.WebhookSecrets = []string{testSecret, testKey} },
		"at most 8":        func(c *Config) { c.WebhookSecrets = strings.Split(strings.Repeat(testSecret+" ", 9), " ") },
		"people reach":     func(c *Config) { c.Back = "/back" },
		"the key goes":     func(c *Config) { c.URL = "http://stripe.example" },
		"must begin with ": func(c *Config) { c.URL = "127.0.0.1:80" },
	} {
		c := good
		spoil(&c)
		_, err := New(c)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && c.SecretKey != "" && strings.Contains(err.Error(), c.SecretKey) {
			t.Errorf("the key is told: %v", err)
		}
	}
	if got := ParseSecrets(" whsec_a,whsec_b\nwhsec_c "); len(got) != 3 || got[1] != "whsec_b" {
		t.Errorf("secrets are read as %q", got)
	}
}

func TestOnlyWholeCentsArePaid(t *testing.T) {
	p, b := open(t)
	for _, a := range []credit.Amount{0, -credit.One, 1, credit.One + 1, credit.One/100 - 1, 1_000_000 * credit.One, credit.Max} {
		o := order("pay_1")
		o.Amount = a
		_, charged := p.Charge(context.Background(), "cus_1", "pm_good", o)
		_, paged := p.Checkout(context.Background(), visit, o)
		_, returned := p.Refund(context.Background(), pay.Return{Refund: "ref_1", Payment: "pi_1", Amount: a})
		for _, err := range []error{charged, paged, returned} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", a, err)
			}
		}
	}
	if len(b.seen) != 0 {
		t.Errorf("Stripe was asked: %v", b.seen)
	}
	if n, err := cents(999_999*credit.One + 99*credit.One/100); n != 99_999_999 || err != nil {
		t.Errorf("the largest amount is %d cents: %v", n, err)
	}
}

func TestTroubleIsToldWithoutSecrets(t *testing.T) {
	for status, want := range map[int]struct {
		kind fault.Kind
		says string
	}{
		400: {fault.Invalid, "refuses"},
		401: {fault.Unavailable, "PURSER_STRIPE_SECRET_KEY"},
		403: {fault.Unavailable, "lacks a right"},
		409: {fault.Unavailable, "try again"},
		429: {fault.Unavailable, "try again"},
		500: {fault.Unavailable, "fault of its own"},
		503: {fault.Unavailable, "fault of its own"},
	} {
		p, b := open(t)
		b.fail = func(int, *http.Request) int { return status }
		_, err := p.Charge(context.Background(), "cus_1", "pm_good", order("pay_1"))
		if !fault.Is(err, want.kind) || !strings.Contains(fault.Of(err).Message, want.says) {
			t.Errorf("%d: %v", status, err)
		}
		if !strings.Contains(err.Error(), fmt.Sprintf("status %d", status)) || !strings.Contains(err.Error(), "req_test") {
			t.Errorf("the log does not have what Stripe's dashboard needs: %v", err)
		}
		if status != 400 && strings.Contains(err.Error(), testKey) {
			t.Errorf("the key is told: %v", err)
		}
	}
}

func TestAnIntentsSecretIsInNoError(t *testing.T) {
	p, b := open(t)
	b.cards["pm_poor"] = "insufficient_funds"
	b.fail = func(_ int, r *http.Request) int {
		if strings.HasSuffix(r.URL.Path, "/cancel") {
			return 500
		}
		return 0
	}
	_, err := p.Charge(context.Background(), "cus_1", "pm_poor", order("pay_1"))
	if err == nil || strings.Contains(err.Error(), "_secret_") {
		t.Errorf("it ends with %v", err)
	}
}

func TestARequestIsTriedAgainWithItsKeyThenGivenUp(t *testing.T) {
	b, url := newBank(t)
	p := must(New(Config{SecretKey: testKey, WebhookSecrets: []string{testSecret}, Back: "https://purser.example", URL: url}))(t)
	tries := map[string]int{}
	b.lose = func(_ int, r *http.Request) bool {
		tries[r.Header.Get("Idempotency-Key")]++
		return r.Method == http.MethodPost
	}
	if _, err := p.Charge(context.Background(), "cus_1", "pm_good", order("pay_1")); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	b.mend()
	if n := tries["pay_1/charge"]; n <= maxRetries || n > 2*(maxRetries+1) || len(tries) != 2 || len(b.intents) != 1 { // net/http tries again, too
		t.Errorf("tries by key: %v; %d intents", tries, len(b.intents))
	}
}

func TestAServerThatIsAwayIsUnavailable(t *testing.T) {
	l := listen(t)
	c := Config{SecretKey: testKey, WebhookSecrets: []string{testSecret}, Back: "https://purser.example", URL: "http://" + l.Addr().String()}
	p := must(New(c))(t)
	p.api = client(c, 0)
	l.Close()
	_, err := p.Find(context.Background(), order("pay_1"), "pi_1")
	if !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), testKey) {
		t.Fatal(err)
	}
}

// What stripe-mock refuses fails each of these tests; here is what it was shown.
func TestEveryRequestIsOneThatStripeTakes(t *testing.T) {
	p, b := open(t)
	ctx := context.Background()
	must(p.Save(ctx, visit))(t)
	saved := order("pay_1")
	saved.Save = true
	saved.Page = must(p.Checkout(ctx, visit, saved))(t).ID
	b.visit(saved.Page, "pm_good")
	paid := must(p.Find(ctx, saved, ""))(t)
	must(p.Find(ctx, order("pay_1"), paid.Theirs))(t)
	must(p.Charge(ctx, "cus_1", "pm_good", order("pay_2")))(t)
	must(p.Charge(ctx, "cus_1", "pm_poor", order("pay_3")))(t)
	page := must(p.Charge(ctx, "cus_1", "pm_3ds", order("pay_4")))(t)
	b.visit(page.URL, "pm_poor")
	must(p.Find(ctx, order("pay_4"), ""))(t)
	must(p.Find(ctx, order("pay_5"), ""))(t)
	must(p.Refund(ctx, pay.Return{Refund: "ref_1", Payment: paid.Theirs, Amount: credit.One}))(t)
	asked := must(p.Charge(ctx, "cus_1", "pm_3ds", order("pay_6")))(t)
	must(p.Close(ctx, order("pay_6"), asked.Theirs))(t)
	if err := p.Forget(ctx, "cus_1", "pm_good"); err != nil {
		t.Fatal(err)
	}
	for _, route := range []string{
		"POST /v1/customers", "POST /v1/customers/{id}", "GET /v1/customers/{id}/payment_methods/{method}", "POST /v1/payment_methods/{method}/detach",
		"POST /v1/payment_intents", "GET /v1/payment_intents", "GET /v1/payment_intents/search", "GET /v1/payment_intents/{id}",
		"POST /v1/payment_intents/{id}", "POST /v1/payment_intents/{id}/confirm", "POST /v1/payment_intents/{id}/cancel",
		"POST /v1/checkout/sessions", "GET /v1/checkout/sessions/{id}", "POST /v1/checkout/sessions/{id}/expire", "GET /v1/refunds", "POST /v1/refunds",
	} {
		if !strings.Contains(strings.Join(b.seen, "\n")+"\n", route+"\n") {
			t.Errorf("%s was not asked", route)
		}
	}
	r, _ := http.NewRequest("POST", "http://stripe/v1/payment_intents", nil)
	r.Header.Set("Authorization", "Bearer "+testKey)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if status, answer, err := judge(r, []byte("amount=2000&colour=red")); err != nil || status != 400 {
		t.Errorf("stripe-mock takes anything: %d %s %v", status, answer, err)
	}
}
