package stripe

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

func TestAPaymentOnAPage(t *testing.T) {
	p, b := open(t)
	o := order("pay_1")
	o.Save = true
	page := must(p.Checkout(ctx, visit, o))(t)
	if page.URL == "" || page.Customer == "" || page.ExpiresAt != 1_800_000_000e9 {
		t.Fatalf("%+v", page)
	}
	if b.customers[page.Customer]["email"] != visit.Email {
		t.Errorf("the customer is %v", b.customers[page.Customer])
	}
	if again := must(p.Checkout(ctx, visit, o))(t); again != page {
		t.Errorf("again it is %+v", again)
	}
	o.Page = page.ID
	if f := b.sessions[page.ID]["form"].(url.Values); f.Get("payment_intent_data[setup_future_usage]") != "off_session" || f.Get("success_url") != visit.Back {
		t.Errorf("the page was opened with %v", f)
	}
	if got := must(p.Find(ctx, o, ""))(t); got.State != pay.Pending || got.URL != page.URL {
		t.Errorf("open: %+v", got)
	}
	b.visit(page.URL, "pm_poor")
	if got := must(p.Find(ctx, o, ""))(t); got.State != pay.Pending {
		t.Errorf("after a failed attempt: %+v", got)
	}
	b.visit(page.URL, "pm_good")
	paid := must(p.Find(ctx, o, ""))(t)
	if paid.State != pay.Succeeded || paid.Amount != o.Amount || paid.Method.Last4 != "4242" {
		t.Errorf("paid: %+v", paid)
	}
	o.Page = ""
	if lost := must(p.Find(ctx, o, ""))(t); lost != paid {
		t.Errorf("without the page it is found as %+v", lost)
	}
}

func TestAPageThatNobodyUsesEnds(t *testing.T) {
	p, b := open(t)
	o := order("pay_1")
	o.Page = must(p.Checkout(ctx, visit, o))(t).ID
	b.sessions[o.Page]["status"] = "expired"
	if got := must(p.Find(ctx, o, ""))(t); got.State != pay.Unknown || got.Code != "expired" || got.URL != "" {
		t.Errorf("%+v", got)
	}
	asked := must(p.Charge(ctx, "cus_1", "pm_3ds", order("pay_2")))(t)
	b.visit(asked.URL, "pm_poor")
	for _, s := range b.sessions {
		s["status"] = "expired"
	}
	if got := must(p.Find(ctx, order("pay_2"), asked.Theirs))(t); got.State != pay.Failed || got.Code != "card_declined" {
		t.Errorf("%+v", got)
	}
}

func TestAPageIsFoundByItsIntent(t *testing.T) {
	p, b := open(t)
	o := order("pay_1")
	page := must(p.Checkout(ctx, visit, o))(t)
	b.visit(page.URL, "pm_poor")
	intent := b.sessions[page.ID]["payment_intent"].(string)
	for _, page := range []string{"", page.ID} {
		o.Page = page
		if got := must(p.Find(ctx, o, intent))(t); got.State != pay.Pending || got.Theirs != intent {
			t.Errorf("%+v", got)
		}
	}
}

func TestAnOrganizationIsOneCustomer(t *testing.T) {
	p, b := open(t)
	first, other := visit, visit
	other.Email = "bob@example.org"
	a, c := must(p.Save(ctx, first))(t), must(p.Save(ctx, other))(t)
	if a.Customer != c.Customer || len(b.customers) != 1 {
		t.Errorf("two people are customers %s and %s", a.Customer, c.Customer)
	}
	first.Customer = a.Customer
	if again := must(p.Save(ctx, first))(t); again.Customer != a.Customer || len(b.customers) != 1 {
		t.Errorf("%+v", again)
	}
	if _, err := p.Save(ctx, pay.Visit{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("nobody is a customer: %v", err)
	}
}

func TestARefundIsMadeOnce(t *testing.T) {
	p, b := open(t)
	paid := must(p.Charge(ctx, "cus_1", "pm_good", order("pay_1")))(t)
	r := pay.Return{Refund: "ref_1", Payment: paid.Theirs, Amount: 15 * credit.One}
	b.lose = func(_ int, r *http.Request) bool { return r.Method == "POST" && r.URL.Path == "/v1/refunds" }
	if _, err := p.Refund(ctx, r); err == nil {
		t.Fatal("nothing was lost")
	}
	b.mend()
	clear(b.keys) // a day later
	back := must(p.Refund(ctx, r))(t)
	if back.State != pay.Succeeded || back.Amount != r.Amount || len(b.refunds) != 1 {
		t.Errorf("%+v, %d refunds", back, len(b.refunds))
	}
	if ours := b.refunds[back.Theirs]["metadata"].(thing); ours["purser_refund"] != "ref_1" || ours["purser_payment"] != "pay_1" || ours["purser_organization"] != "org_1" {
		t.Errorf("it carries %v", ours)
	}
	r.Refund = "ref_2"
	if o := must(p.Refund(ctx, r))(t); o.State != pay.Failed || o.Code != "charge_already_refunded" || o.Reason == "" {
		t.Errorf("more than was paid: %+v", o)
	}
	b.refunds[back.Theirs]["status"], b.refunds[back.Theirs]["failure_reason"] = "failed", "expired_or_canceled_card"
	r.Refund = "ref_1"
	if o := must(p.Refund(ctx, r))(t); o.State != pay.Failed || o.Code != "expired_or_canceled_card" {
		t.Errorf("one that failed later: %+v", o)
	}
	r.Payment = "pi_unknown"
	if _, err := p.Refund(ctx, r); !fault.Is(err, fault.Invalid) {
		t.Errorf("a payment that is not there: %v", err)
	}
	delete(b.intents[paid.Theirs]["metadata"].(thing), "purser_payment")
	r.Payment = paid.Theirs
	if _, err := p.Refund(ctx, r); !fault.Is(err, fault.Conflict) {
		t.Errorf("a payment that is not ours: %v", err)
	}
}

func TestAMethodIsForgottenOnce(t *testing.T) {
	p, b := open(t)
	for range 2 {
		if err := p.Forget(ctx, "cus_1", "pm_good"); err != nil {
			t.Error(err)
		}
	}
	if b.cards["pm_good"] != "" {
		t.Error("it is still there")
	}
}

// # A page that is closed cannot be paid any more, whatever was tried on it; one that was
// paid first stays paid, also when nobody heard of the closing.
func TestAPageIsClosed(t *testing.T) {
	p, b := open(t)
	for i, tried := range []string{"", "pm_poor"} {
		o := order([]string{"pay_1", "pay_2"}[i])
		asked := must(p.Charge(ctx, "cus_1", "pm_3ds", o))(t)
		if tried != "" {
			b.visit(asked.URL, tried)
			asked = must(p.Find(ctx, o, asked.Theirs))(t)
		}
		for range 2 {
			if got := must(p.Close(ctx, o, asked.Theirs))(t); got.State != pay.Unknown && got.State != pay.Failed {
				t.Errorf("closed: %+v", got)
			}
		}
		for id, s := range b.sessions {
			if s["status"] == "open" {
				t.Errorf("page %s can be paid", id)
			}
		}
	}
	o := order("pay_3")
	asked := must(p.Charge(ctx, "cus_1", "pm_3ds", o))(t)
	b.visit(asked.URL, "pm_3ds")
	if got := must(p.Close(ctx, o, asked.Theirs))(t); got.State != pay.Succeeded || b.moved["pay_3"] != 1 {
		t.Errorf("paid, then closed: %+v", got)
	}
}
