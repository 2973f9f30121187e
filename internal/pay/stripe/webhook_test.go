package stripe

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// The clock of these tests stands far from the machine's.
const now = 1_900_000_000e9

const newSecret = "whsec_fedcba9876543210"

// tells is what Stripe sends of an event: an object with fields, as text.
func tells(kind, object string) []byte {
	return fmt.Appendf(nil, `{"id":"evt_1","object":"event","api_version":"2022-08-01","type":%q,"created":1899999990,"livemode":false,
		"data":{"object":%s}}`, kind, object)
}

// signed is the header that a secret gives a body.
func signed(body []byte, secret string, at int64) http.Header {
	s := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: time.Unix(at/1e9, 0)})
	return http.Header{"Stripe-Signature": {s.Header}}
}

func reader(t *testing.T) *Provider {
	t.Helper()
	return must(New(Config{SecretKey: "rk_test_123", WebhookSecrets: []string{testSecret, newSecret}, Back: "https://purser.example"}))(t)
}

// read is what one event tells.
func read(t *testing.T, kind, object string) []pay.Notice {
	t.Helper()
	body := tells(kind, object)
	return must(reader(t).Read(signed(body, testSecret, now), body, now))(t)
}

// succeeded is an intent of ours that has been paid.
const succeeded = `{"id":"pi_1","object":"payment_intent","status":"succeeded","currency":"usd","amount":2000,"amount_received":2000,
	"customer":"cus_1","payment_method":"pm_1","metadata":{"purser_organization":"org_1","purser_payment":"pay_1","purser_way":"charge"}}`

func TestOnlyWhatIsSignedAboutNowIsRead(t *testing.T) {
	p := reader(t)
	body := tells("payment_intent.succeeded", succeeded)
	good := signed(body, testSecret, now)
	both := http.Header{"Stripe-Signature": {good.Get("Stripe-Signature") + strings.Replace(signed(body, newSecret, now).Get("Stripe-Signature"), "t=1900000000", "", 1)}}
	for name, header := range map[string]http.Header{
		"the secret": good, "the new secret": signed(body, newSecret, now), "both": both,
		"five minutes ago": signed(body, testSecret, now-300e9), "in five minutes": signed(body, testSecret, now+300e9),
	} {
		all, err := p.Read(header, body, now)
		if err != nil || len(all) != 1 || all[0].Payment != "pay_1" {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
	twice := good.Clone()
	twice.Add("Stripe-Signature", good.Get("Stripe-Signature"))
	for name, header := range map[string]http.Header{
		"another secret":      signed(body, "whsec_0000000000000000", now),
		"another body":        signed([]byte("{}"), testSecret, now),
		"too old":             signed(body, testSecret, now-301e9),
		"too new":             signed(body, testSecret, now+301e9),
		"the machine's clock": signed(body, testSecret, time.Now().UnixNano()),
		"not signed":          {},
		"empty":               {"Stripe-Signature": {""}},
		"two signatures":      twice,
		"two instants":        {"Stripe-Signature": {"t=1," + good.Get("Stripe-Signature")}},
		"no instant":          {"Stripe-Signature": {"v1=00"}},
		"another scheme":      {"Stripe-Signature": {strings.Replace(good.Get("Stripe-Signature"), "v1=", "v0=", 1)}},
		"another time":        {"Stripe-Signature": {strings.Replace(good.Get("Stripe-Signature"), "t=1900000000", "t=1900000001", 1)}},
	} {
		all, err := p.Read(header, body, now)
		if f := fault.Of(err); f == nil || f.Kind != fault.Unauthorized || f.Code != "webhook_signature" || all != nil {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
	tampered := []byte(strings.Replace(string(body), "2000", "9000", 1))
	if _, err := p.Read(good, tampered, now); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("a changed amount: %v", err)
	}
	if again := must(p.Read(good, body, now+60e9))(t); again[0].ID != "evt_1" {
		t.Errorf("a replay has another id: %+v", again)
	}
}

func TestABodyIsReadOnlyAfterItsSignature(t *testing.T) {
	p := reader(t)
	for _, body := range []string{"", "not JSON", `{"object":"v2.core.event","id":"evt_1"}`, `[]`,
		strings.Replace(string(tells("payment_intent.succeeded", succeeded)), `"livemode":false`, `"livemode":true`, 1),
		string(tells("payment_intent.succeeded", `"pi_1"`)), string(tells("payment_intent.succeeded", `{"id":7}`)),
		strings.Repeat(" ", maxBody) + "{}",
	} {
		if _, err := p.Read(signed([]byte(body), testSecret, now), []byte(body), now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.60q: %v", body, err)
		}
		if _, err := p.Read(signed([]byte(body), "whsec_0000000000000000", now), []byte(body), now); fault.Is(err, fault.Invalid) && len(body) <= maxBody {
			t.Errorf("%.60q was read before its signature: %v", body, err)
		}
	}
}

func TestWhatEventsTell(t *testing.T) {
	ours := `"metadata":{"purser_organization":"org_1","purser_payment":"pay_1","purser_way":"charge"}`
	onPage := strings.Replace(ours, "charge", "page", 1)
	intent := func(more string) string { return `{"id":"pi_1","currency":"usd","amount":2000,` + more + "}" }
	session := func(more string) string {
		return `{"id":"cs_1","mode":"payment","currency":"usd","amount_total":2000,"payment_intent":"pi_1","customer":"cus_1",` + onPage + "," + more + "}"
	}
	declined := `"last_payment_error":{"code":"card_declined","decline_code":"insufficient_funds","message":"Your card has insufficient funds."}`
	wanted := `"last_payment_error":{"code":"authentication_required","message":"This transaction requires authentication."}`
	refund := func(more string) string {
		return `{"id":"re_1","currency":"usd","amount":500,"payment_intent":"pi_1",` + more + "}"
	}
	dispute := func(status string) string {
		return `{"id":"dp_1","currency":"usd","amount":2000,"payment_intent":"pi_1","charge":"ch_1","metadata":{},"status":"` + status + `"}`
	}
	card := `"type":"card","card":{"brand":"visa","last4":"4242","exp_month":4,"exp_year":2030}`
	ourRefund := `"metadata":{"purser_organization":"org_1","purser_payment":"pay_1","purser_refund":"ref_1"}`
	for _, x := range []struct{ event, object, want string }{
		{"payment_intent.succeeded", succeeded, "payment org_1 pay_1 succeeded pi_1 20 pm_1"},
		{"payment_intent.processing", intent(ours), "payment org_1 pay_1 pending pi_1 20"},
		{"payment_intent.payment_failed", intent(ours + "," + declined), "payment org_1 pay_1 failed pi_1 20 insufficient_funds"},
		{"payment_intent.payment_failed", intent(ours + "," + wanted), ""},
		{"payment_intent.payment_failed", intent(onPage + "," + declined), ""},
		{"payment_intent.requires_action", intent(ours), ""},
		{"payment_intent.canceled", intent(ours), "payment org_1 pay_1 unknown pi_1 20 canceled"},
		{"payment_intent.canceled", intent(ours + "," + declined), "payment org_1 pay_1 failed pi_1 20 insufficient_funds"},
		{"payment_intent.canceled", intent(strings.Replace(ours, "}", `,"purser_page":"cs_1"}`, 1)), ""},
		{"payment_intent.succeeded", intent(`"amount_received":2000,"metadata":{"shop":"shoes"}`), ""},
		{"payment_intent.created", intent(ours), ""},
		{"checkout.session.completed", session(`"payment_status":"paid"`), "payment org_1 pay_1 succeeded pi_1 20"},
		{"checkout.session.completed", session(`"payment_status":"unpaid"`), "payment org_1 pay_1 pending pi_1 20"},
		{"checkout.session.async_payment_succeeded", session(`"payment_status":"paid"`), "payment org_1 pay_1 succeeded pi_1 20"},
		{"checkout.session.async_payment_failed", session(`"payment_status":"unpaid"`), "payment org_1 pay_1 failed pi_1 20 payment_failed"},
		{"checkout.session.expired", session(`"payment_status":"unpaid"`), "payment org_1 pay_1 unknown pi_1 20 expired"},
		{"checkout.session.completed", `{"id":"cs_1","mode":"setup","currency":"usd","metadata":{"purser_organization":"org_1"}}`, ""},
		{"setup_intent.succeeded", `{"id":"seti_1","customer":"cus_1","payment_method":{"id":"pm_1"},"metadata":{"purser_organization":"org_1"}}`, "method.saved org_1 succeeded pm_1 cus_1"},
		{"setup_intent.succeeded", `{"id":"seti_1","customer":"cus_1","payment_method":"pm_1","metadata":{}}`, ""},
		{"payment_method.attached", `{"id":"pm_1","customer":"cus_1",` + card + `}`, "method.saved succeeded pm_1 cus_1 visa 4242 4/2030"},
		{"payment_method.detached", `{"id":"pm_1","customer":null,` + card + `},"previous_attributes":{"customer":"cus_1"}`, "method.gone succeeded pm_1 cus_1"},
		{"refund.created", refund(`"status":"pending",` + ourRefund), "refund org_1 pay_1 ref_1 of pi_1 pending re_1 5"},
		{"refund.updated", refund(`"status":"succeeded",` + ourRefund), "refund org_1 pay_1 ref_1 of pi_1 succeeded re_1 5"},
		{"refund.failed", refund(`"status":"failed","failure_reason":"lost_or_stolen_card",` + ourRefund), "refund org_1 pay_1 ref_1 of pi_1 failed re_1 5 lost_or_stolen_card"},
		{"charge.refund.updated", refund(`"status":"canceled","metadata":{}`), "refund of pi_1 failed re_1 5 canceled"},
		{"charge.refunded", intent(ours + `,"payment_intent":"pi_1","refunds":{"data":[` + refund(`"status":"succeeded","metadata":{}`) + `]}`), "refund org_1 pay_1 of pi_1 succeeded re_1 5"},
		{"charge.refunded", intent(ours + `,"payment_intent":"pi_1","amount_refunded":500`), ""},
		{"charge.dispute.created", dispute("needs_response"), "dispute.opened dp_1 of pi_1 pending pi_1 20 needs_response"},
		{"charge.dispute.created", dispute("warning_needs_response"), ""},
		{"charge.dispute.funds_withdrawn", dispute("needs_response"), "dispute.opened dp_1 of pi_1 pending pi_1 20 needs_response"},
		{"charge.dispute.closed", dispute("won"), "dispute.won dp_1 of pi_1 succeeded pi_1 20 won"},
		{"charge.dispute.closed", dispute("lost"), "dispute.lost dp_1 of pi_1 succeeded pi_1 20 lost"},
		{"charge.dispute.closed", dispute("warning_closed"), "dispute.won dp_1 of pi_1 succeeded pi_1 20 warning_closed"},
		{"charge.dispute.created", strings.Replace(dispute("needs_response"), "usd", "eur", 1), "dispute.opened dp_1 of pi_1 pending pi_1 needs_response"},
		{"customer.created", `{"id":"cus_1"}`, ""},
		{"made.up", `{"id":"x_1"}`, ""},
	} {
		all := read(t, x.event, x.object)
		var got []string
		for _, n := range all {
			if n.ID != "evt_1" || n.At != 1_899_999_990e9 {
				t.Errorf("%s is %s at %d", x.event, n.ID, n.At)
			}
			got = append(got, line(n))
		}
		if strings.Join(got, "; ") != x.want {
			t.Errorf("%s %.120s\n\ttells %s\n\tnot   %s", x.event, x.object, got, x.want)
		}
	}
}

// line is a notice in a line.
func line(n pay.Notice) string {
	words := []string{string(n.Kind), n.Organization, n.Payment, n.Refund, n.Dispute}
	if n.Theirs != "" {
		words = append(words, "of", n.Theirs)
	}
	o, m := n.Outcome, n.Outcome.Method
	words = append(words, string(o.State), o.Theirs)
	if o.Amount != 0 {
		words = append(words, o.Amount.String())
	}
	words = append(words, o.Code, m.ID)
	if n.Kind == pay.MethodSaved || n.Kind == pay.MethodGone {
		words = append(words, m.Customer, m.Brand, m.Last4)
		if m.Month != 0 {
			words = append(words, fmt.Sprintf("%d/%d", m.Month, m.Year))
		}
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

func TestOurMoneyInAnotherCurrencyIsAFault(t *testing.T) {
	for _, body := range [][]byte{
		tells("payment_intent.succeeded", strings.Replace(succeeded, "usd", "jpy", 1)),
		tells("checkout.session.completed", strings.Replace(strings.Replace(succeeded, "usd", "", 1), `"status"`, `"mode":"payment","status"`, 1)),
	} {
		if all, err := reader(t).Read(signed(body, testSecret, now), body, now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v, %v", all, err)
		}
	}
	if all := read(t, "refund.created", `{"id":"re_9","currency":"eur","amount":1,"status":"succeeded","payment_intent":"pi_9","metadata":{}}`); len(all) != 1 || all[0].Payment != "" {
		t.Errorf("another shop's refund: %+v", all)
	}
	if got := read(t, "payment_intent.succeeded", strings.Replace(succeeded, `"amount_received":2000`, `"amount_received":9223372036854775807`, 1)); got[0].Outcome.Amount != 0 {
		t.Errorf("more than there is: %v", got[0].Outcome.Amount)
	}
}

// Each event is read by itself: whatever comes before it, it tells the same.
func TestDisorderChangesNothing(t *testing.T) {
	p := reader(t)
	type sent struct {
		body []byte
		want []pay.Notice
	}
	var all []sent
	for _, kind := range []string{"payment_intent.processing", "payment_intent.succeeded", "payment_intent.canceled"} {
		body := tells(kind, succeeded)
		all = append(all, sent{body, must(p.Read(signed(body, testSecret, now), body, now))(t)})
	}
	for range 50 {
		x := all[rand.IntN(len(all))]
		at := int64(now) + rand.Int64N(300)*1e9
		if got := must(p.Read(signed(x.body, newSecret, now), x.body, at))(t); !reflect.DeepEqual(got, x.want) {
			t.Fatalf("%+v is not %+v", got, x.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("payment_intent.succeeded", succeeded)
	f.Add("charge.refunded", `{"id":"ch_1","currency":"usd","payment_intent":{"id":"pi_1"},"refunds":{"data":[{"id":"re_1","amount":1},{}]}}`)
	f.Add("payment_method.detached", `{"id":"pm_1"},"previous_attributes":{"customer":null}`)
	p, err := New(Config{SecretKey: testKey, WebhookSecrets: []string{testSecret}, Back: "https://purser.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, kind, object string) {
		body := tells(kind, object)
		all, err := p.Read(signed(body, testSecret, now), body, now)
		if err != nil && fault.Of(err) == nil {
			t.Fatalf("an error that is no fault: %v", err)
		}
		for _, n := range all {
			if a := n.Outcome.Amount; a < 0 || a%credit.Cent != 0 {
				t.Errorf("an amount of %s", a)
			}
		}
		if !json.Valid(body) && all != nil {
			t.Errorf("read of what is not JSON: %v", all)
		}
	})
}
