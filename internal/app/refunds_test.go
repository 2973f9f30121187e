package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/pay"
)

const hookSecret = "whsec_0123456789abcdef"

// bank is a program that takes payments through Stripe, and what Stripe tells it.
type bank struct {
	*testing.T
	*App
	id    ledger.ID
	words int
}

func newBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{T: t}
	c := Config{
		Data: t.TempDir(), Database: dbtest.URL(t), OperatorToken: "test-operator-token", TestClock: 1_800_000_000_000_000_000,
		Payments: byStripe, StripeKey: "rk_test_123", StripeSecrets: hookSecret, StripeURL: "http://127.0.0.1:9",
	}
	c.Listen = "unix:" + filepath.Join(c.Data, "http.sock")
	var err error
	if b.App, err = Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	client := b.Client()
	_, err = client.PutTaxRates(t.Context(), api.TaxRates{Rates: []api.TaxRate{{Country: "GR", Name: "VAT", Percent: "24", Home: true}}})
	b.sure(err)
	country := "GR"
	_, err = client.ChangeBillingProfile(t.Context(), "default", api.BillingProfileChange{Country: &country})
	b.sure(err)
	b.sure(b.db.View(t.Context(), func(tx *db.Tx) error {
		o, err := b.orgs.Organization(tx, "default")
		if err != nil {
			return err
		}
		w, err := b.orgs.DefaultWorkspace(tx, o)
		b.id = w.Wallet()
		return err
	}))
	return b
}

func (b *bank) sure(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// tells sends an event of Stripe's, signed as Stripe signs, as often as asked for.
func (b *bank) tells(times int, kind, object string) {
	b.Helper()
	b.words++
	now := b.db.Clock().Now() / 1e9
	body := fmt.Sprintf(`{"id":"evt_%d","object":"event","api_version":"2022-08-01","type":%q,"created":%d,"livemode":false,"data":{"object":%s}}`,
		b.words, kind, now, object)
	mac := hmac.New(sha256.New, []byte(hookSecret))
	fmt.Fprintf(mac, "%d.%s", now, body)
	for range times {
		c := b.Client()
		r, err := http.NewRequestWithContext(b.Context(), "POST", c.URL+"/v1/webhooks/stripe", strings.NewReader(body))
		b.sure(err)
		r.Header.Set("Stripe-Signature", fmt.Sprintf("t=%d,v1=%s", now, hex.EncodeToString(mac.Sum(nil))))
		answer, err := c.HTTP.Do(r)
		b.sure(err)
		answer.Body.Close()
		if answer.StatusCode != 200 {
			b.Fatalf("%s: %d", kind, answer.StatusCode)
		}
	}
}

// paid is a payment of 100 credits and 24 of tax, made with an intent.
func (b *bank) paid(intent string) pay.Payment {
	b.Helper()
	var p pay.Payment
	b.sure(b.db.Update(b.Context(), func(tx *db.Tx) (err error) {
		p, err = b.pays.Begin(tx, b.id, pay.TopUp{Amount: 100 * credit.One})
		return err
	}))
	b.tells(2, "payment_intent.succeeded", fmt.Sprintf(`{"id":%q,"object":"payment_intent","status":"succeeded","currency":"usd","amount":12400,
		"amount_received":12400,"customer":"cus_1","payment_method":"pm_1","metadata":{"purser_organization":%q,"purser_payment":%q,"purser_way":"page"}}`,
		intent, b.id.Organization, p.No))
	return p
}

// returns tells of a refund of so many cents that was made in the dashboard.
func (b *bank) returns(kind, id, intent, status string, cents int) {
	b.Helper()
	b.tells(2, kind, refundOf(id, intent, status, cents, ""))
}

func refundOf(id, intent, status string, cents int, more string) string {
	return fmt.Sprintf(`{"id":%q,"object":"refund","currency":"usd","amount":%d,"payment_intent":%q,"status":%q,"metadata":{%s}}`, id, cents, intent, status, more)
}

// has checks how a payment is shown, and what the wallet has.
func (b *bank) has(what string, p pay.Payment, status, refunded, balance, available string) {
	b.Helper()
	shown, err := b.Client().Payment(b.Context(), "default", p.No)
	b.sure(err)
	w, err := b.Client().Balance(b.Context(), "default")
	b.sure(err)
	if shown.Status != status || string(shown.Refunded) != refunded || string(w.Balance) != balance || string(w.Available) != available {
		b.Errorf("%s: %s, %s refunded, balance %s, available %s; not %s, %s, %s, %s", what, shown.Status, shown.Refunded, w.Balance, w.Available,
			status, refunded, balance, available)
	}
}

// # What Stripe signs and tells of refunds and disputes reaches the lots, the ledger, the
// documents and the revenue view, and all of these say the same to the cent.
//
//	four payments of 100 for 124: one is refunded under a running job, one fails first, one
//	is refunded from both sides, one is disputed
func TestRefundsAndDisputesOfStripe(t *testing.T) {
	b := newBank(t)
	c, ctx := b.Client(), t.Context()
	one := b.paid("pi_1")
	b.has("paid", one, "succeeded", "0", "100", "100")
	flow, err := c.StartFlow(ctx, "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}) // 2.39 an hour
	b.sure(err)
	_, err = c.AdvanceClock(ctx, api.Advance{BySeconds: "36000"})
	b.sure(err)
	b.has("used", one, "succeeded", "0", "76.1", "76.1")
	b.returns("refund.created", "re_1", "pi_1", "pending", 6200)
	b.has("nothing has moved", one, "succeeded", "0", "76.1", "76.1")
	b.returns("refund.updated", "re_1", "pi_1", "succeeded", 6200)
	b.tells(2, "charge.refunded", `{"id":"ch_1","object":"charge","currency":"usd","amount":12400,"payment_intent":"pi_1","metadata":{},"refunds":{"data":[`+
		refundOf("re_1", "pi_1", "succeeded", 6200, "")+`]}}`)
	b.has("a half", one, "partly_refunded", "50", "26.1", "26.1")
	b.returns("refund.updated", "re_2", "pi_1", "succeeded", 6200)
	b.has("all", one, "refunded", "100", "0", "0")
	b.returns("refund.failed", "re_2", "pi_1", "failed", 6200)
	b.has("the second came back", one, "partly_refunded", "50", "26.1", "26.1")
	if f, err := c.Flow(ctx, "default", flow.ID); err != nil || f.Status == "running" {
		t.Errorf("work goes on for nothing: %s %v", f.Status, err)
	}

	two := b.paid("pi_2")
	b.returns("refund.failed", "re_3", "pi_2", "failed", 12400)
	b.returns("refund.updated", "re_3", "pi_2", "succeeded", 12400)
	b.has("it failed first", two, "succeeded", "0", "126.1", "126.1")
	hold, err := c.CreateHold(ctx, "default", api.NewHold{Amount: "120", TTLSeconds: 3600})
	b.sure(err)
	b.returns("refund.updated", "re_4", "pi_2", "succeeded", 12400)
	_, err = c.ReleaseHold(ctx, "default", hold.ID)
	b.sure(err)
	b.has("held", two, "refunded", "100", "26.1", "26.1")

	three := b.paid("pi_3")
	var ours pay.Refund
	b.sure(b.db.Update(ctx, func(tx *db.Tx) (err error) {
		ours, err = b.pays.Refund(tx, b.id, three.No, 20*credit.One, "operator")
		return err
	}))
	b.returns("refund.updated", "re_5", "pi_3", "succeeded", 12400)
	refunds, err := c.PaymentRefunds(ctx, "default", three.No)
	b.sure(err)
	if all := refunds.Items; len(all) != 2 || all[1].Amount != "80" || all[1].Unbooked != "24.8" {
		t.Errorf("from both sides: %+v", all)
	}
	b.tells(2, "refund.failed", refundOf("re_6", "pi_3", "failed", 2480, fmt.Sprintf(`"purser_refund":%q,"purser_payment":%q`, ours.No, three.No)))
	b.has("from both sides", three, "refunded", "100", "26.1", "26.1")

	four := b.paid("pi_4")
	dispute := func(kind, status string, cents int) {
		b.tells(2, "charge.dispute."+kind, fmt.Sprintf(`{"id":"dp_1","object":"dispute","currency":"usd","amount":%d,"payment_intent":"pi_4","charge":"ch_4","metadata":{},"status":%q}`,
			cents, status))
	}
	dispute("created", "needs_response", 6200)
	b.has("disputed", four, "disputed", "0", "126.1", "26.1")
	dispute("closed", "lost", 6200)
	b.has("lost", four, "partly_charged_back", "0", "76.1", "76.1")
	b.returns("refund.updated", "re_7", "pi_4", "succeeded", 6200)
	b.has("and the rest", four, "partly_charged_back", "50", "26.1", "26.1")
	b.returns("refund.updated", "re_8", "pi_1", "succeeded", 6200)
	b.has("the first once more", one, "refunded", "100", "0", "0")
	b.agrees("0", "23.9")
}

// agrees holds the documents, the books, the revenue view and the statement of the month
// against each other, after a month has ended.
func (b *bank) agrees(money, loss string) {
	b.Helper()
	c, ctx := b.Client(), b.Context()
	_, err := c.AdvanceClock(ctx, api.Advance{BySeconds: "3000000"})
	b.sure(err)
	read := func(a api.Amount) credit.Amount {
		v, err := credit.Parse(string(a))
		b.sure(err)
		return v
	}
	documents, err := c.Invoices(ctx, "default", api.InvoiceQuery{Page: api.Page{Limit: 200}})
	b.sure(err)
	var net, tax, closing, taxed credit.Amount
	for _, d := range documents.Items {
		doc, err := c.Invoice(ctx, "default", d.ID)
		b.sure(err)
		switch d.Kind {
		case "invoice":
			net, tax = net+read(doc.Document.Tax.Net), tax+read(doc.Document.Tax.Tax)
		case "credit_note":
			net, tax = net-read(doc.Document.Tax.Net), tax-read(doc.Document.Tax.Tax)
		default:
			closing, taxed = read(doc.Document.Total.Closing.Amount), taxed+read(doc.Document.Total.Tax.Amount)
		}
	}
	view, err := c.Revenue(ctx, api.RevenueQuery{From: "2027-01-01T00:00:00Z", Bucket: "month"})
	b.sure(err)
	var cash, collected, lost credit.Amount
	for _, p := range view.Periods {
		cash += read(p.CashReceived) - read(p.CashReturned) - read(p.ChargedBack)
		collected, lost = collected+read(p.TaxCollected), lost+read(p.ChargedBack)
	}
	accounts := map[string]credit.Amount{}
	for _, a := range view.Accounts {
		accounts[a.Account] = read(a.Closing)
	}
	if net != cash || tax != collected || tax != taxed || net+tax != accounts["house/cash"] || -tax != accounts["house/tax"] || lost != accounts["house/losses"] {
		b.Errorf("documents %s and %s of tax, revenue view %s and %s, statement's tax %s, books: cash %s, tax %s, losses %s (view: %s)", net, tax, cash, collected, taxed,
			accounts["house/cash"], accounts["house/tax"], accounts["house/losses"], lost)
	}
	w, err := c.Balance(ctx, "default")
	b.sure(err)
	if closing != read(w.Balance) || net+tax != read(api.Amount(money)) || lost != read(api.Amount(loss)) {
		b.Errorf("the statement closes at %s and the wallet has %s; %s of money and %s of losses, not %s and %s", closing, w.Balance, net+tax, lost, money, loss)
	}
	if report, err := c.Verify(ctx, api.VerifyRequest{}); err != nil || !report.OK {
		b.Errorf("the books: %+v %v", report, err)
	}
}
