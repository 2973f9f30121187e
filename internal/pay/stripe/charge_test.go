package stripe

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/pay"
)

var ctx = context.Background()

func TestAPaymentWithASavedMethodIsMadeOnce(t *testing.T) {
	p, b := open(t)
	first := must(p.Charge(ctx, "cus_1", "pm_good", order("pay_1")))(t)
	if first.State != pay.Succeeded || first.Theirs == "" || first.Amount != 20*credit.One {
		t.Fatalf("%+v", first)
	}
	if m := first.Method; m != (pay.Method{ID: "pm_good", Customer: "cus_1", Kind: "card", Brand: "visa", Last4: "4242", Month: 4, Year: 2030}) {
		t.Errorf("paid with %+v", m)
	}
	for _, o := range []pay.Outcome{
		must(p.Charge(ctx, "cus_1", "pm_good", order("pay_1")))(t),
		must(p.Find(ctx, order("pay_1"), first.Theirs))(t),
		must(p.Find(ctx, order("pay_1"), ""))(t),
	} {
		if o != first {
			t.Errorf("%+v is not %+v", o, first)
		}
	}
	clear(b.keys) // a day later
	must(p.Charge(ctx, "cus_1", "pm_good", order("pay_1")))(t)
	if b.moved["pay_1"] != 1 {
		t.Errorf("money was taken %d times", b.moved["pay_1"])
	}
	ours := b.intents[first.Theirs]["metadata"].(thing)
	if ours["purser_organization"] != "org_1" || ours["purser_payment"] != "pay_1" {
		t.Errorf("the intent carries %v", ours)
	}
}

func TestADeclinedCardIsAFailureInWords(t *testing.T) {
	p, b := open(t)
	poor := must(p.Charge(ctx, "cus_1", "pm_poor", order("pay_1")))(t)
	if poor.State != pay.Failed || poor.Code != "insufficient_funds" || poor.Reason != "there is not enough money on the card" {
		t.Errorf("%+v", poor)
	}
	stolen := must(p.Charge(ctx, "cus_1", "pm_stolen", order("pay_2")))(t)
	if stolen.State != pay.Failed || stolen.Code != "card_declined" || strings.Contains(stolen.Reason, "stolen") {
		t.Errorf("a thief is told %+v", stolen)
	}
	gone := must(p.Charge(ctx, "cus_1", "pm_gone", order("pay_3")))(t)
	if gone.State != pay.Failed || gone.Code != "resource_missing" {
		t.Errorf("%+v", gone)
	}
	for i, theirs := range []string{poor.Theirs, stolen.Theirs} {
		id := fmt.Sprintf("pay_%d", i+1)
		b.cards["pm_poor"], b.cards["pm_stolen"] = "good", "good" // it stays so, whatever comes later
		if o := must(p.Find(ctx, order(id), theirs))(t); o.State != pay.Failed {
			t.Errorf("found as %+v", o)
		}
		clear(b.keys)
		if o := must(p.Charge(ctx, "cus_1", "pm_good", order(id)))(t); o.State != pay.Failed {
			t.Errorf("made again: %+v", o)
		}
	}
	if len(b.moved) != 0 {
		t.Errorf("money was taken: %v", b.moved)
	}
}

func TestABankThatWantsTheCustomerGetsAPage(t *testing.T) {
	p, b := open(t)
	asked := must(p.Charge(ctx, "cus_1", "pm_3ds", order("pay_1")))(t)
	if asked.State != pay.Confirm || !strings.HasPrefix(asked.URL, "https://checkout.example/") || asked.Theirs == "" {
		t.Fatalf("%+v", asked)
	}
	if b.intents[asked.Theirs]["status"] != "canceled" {
		t.Error("the first intent can still be paid")
	}
	for _, again := range []pay.Outcome{
		must(p.Charge(ctx, "cus_1", "pm_3ds", order("pay_1")))(t),
		must(p.Find(ctx, order("pay_1"), asked.Theirs))(t),
		b.later(func() pay.Outcome { return must(p.Find(ctx, order("pay_1"), ""))(t) }),
	} {
		if again != asked {
			t.Errorf("%+v is not %+v", again, asked)
		}
	}
	b.visit(asked.URL, "pm_poor")
	if o := must(p.Find(ctx, order("pay_1"), asked.Theirs))(t); o.State != pay.Confirm || o.URL != asked.URL {
		t.Errorf("after a failed attempt there is no other: %+v", o)
	}
	b.visit(asked.URL, "pm_3ds")
	paid := must(p.Find(ctx, order("pay_1"), asked.Theirs))(t)
	if paid.State != pay.Succeeded || paid.Theirs == asked.Theirs || b.moved["pay_1"] != 1 {
		t.Fatalf("%+v, money was taken %d times", paid, b.moved["pay_1"])
	}
	clear(b.keys)
	if o := must(p.Charge(ctx, "cus_1", "pm_good", order("pay_1")))(t); o != paid || b.moved["pay_1"] != 1 {
		t.Errorf("made again: %+v, money was taken %d times", o, b.moved["pay_1"])
	}
	back := must(p.Refund(ctx, pay.Return{Refund: "ref_1", Payment: asked.Theirs, Amount: 20 * credit.One}))(t)
	if back.State != pay.Succeeded || b.refunds[back.Theirs]["payment_intent"] != paid.Theirs {
		t.Errorf("by the id of the first intent: %+v", back)
	}
}

// Whatever request or answer is lost, with all that would have come after it, and whether
// the search is behind or not, Find tells for certain what became of the payment, and what
// is done later changes nothing of that.
func TestAnAnswerThatIsLostIsFound(t *testing.T) {
	for _, card := range []string{"pm_good", "pm_poor", "pm_3ds"} {
		for _, isBehind := range []bool{false, true} {
			for _, isDone := range []bool{false, true} {
				for step := 1; ; step++ {
					p, b := open(t)
					b.isBehind = isBehind
					b.cut(step, isDone)
					if _, err := p.Charge(ctx, "cus_1", card, order("pay_1")); err == nil {
						if step < 5 {
							t.Fatalf("%s takes %d requests", card, step)
						}
						break
					}
					b.mend()
					found(t, p, b, card)
				}
			}
		}
	}
}

// A Find that is cut off itself is gone on with by the next.
func TestAFindThatIsCutOffIsGoneOnWith(t *testing.T) {
	const confirming = 4 // the request that takes the money
	for _, card := range []string{"pm_good", "pm_poor", "pm_3ds"} {
		for step := confirming + 1; ; step++ {
			p, b := open(t)
			b.isBehind = step%2 == 0
			b.cut(confirming, true)
			if o, err := p.Charge(ctx, "cus_1", card, order("pay_1")); err == nil {
				t.Fatalf("nothing was lost: %+v", o)
			}
			b.cut(step, step%3 > 0)
			_, err := p.Find(ctx, order("pay_1"), "")
			b.mend()
			found(t, p, b, card)
			if err == nil && step > confirming+6 {
				break
			}
		}
	}
}

// found holds what Find says of a payment whose answer was lost against the bank's books.
func found(t *testing.T, p *Provider, b *bank, card string) {
	t.Helper()
	o := must(p.Find(ctx, order("pay_1"), ""))(t)
	isPaid := o.State == pay.Succeeded
	if isPaid != (b.moved["pay_1"] == 1) {
		t.Errorf("%s: found as %+v, money was taken %d times", card, o, b.moved["pay_1"])
	}
	late := must(p.Charge(ctx, "cus_1", card, order("pay_1")))(t) // a request that was on its way
	if isPaid != (late.State == pay.Succeeded) {
		t.Errorf("%s: found as %+v, then %+v", card, o, late)
	}
	if o.State == pay.Confirm {
		if late.URL != o.URL {
			t.Errorf("there are two pages: %s and %s", o.URL, late.URL)
		}
		b.visit(o.URL, "pm_3ds")
		if o := must(p.Find(ctx, order("pay_1"), o.Theirs))(t); o.State != pay.Succeeded || b.moved["pay_1"] != 1 {
			t.Errorf("confirmed: %+v, money was taken %d times", o, b.moved["pay_1"])
		}
	} else if o.State == pay.Pending {
		t.Errorf("nothing is decided: %+v", o)
	}
	if b.moved["pay_1"] > 1 {
		t.Errorf("%s: money was taken %d times", card, b.moved["pay_1"])
	}
}

func TestWhatIsUnknownIsNeverPaid(t *testing.T) {
	p, b := open(t)
	for range 2 {
		if o := must(p.Find(ctx, order("pay_1"), ""))(t); o.State != pay.Unknown {
			t.Fatalf("%+v", o)
		}
	}
	if o := must(p.Charge(ctx, "cus_1", "pm_good", order("pay_1")))(t); o.State == pay.Succeeded || len(b.moved) != 0 {
		t.Errorf("a late request pays: %+v", o)
	}
}

func TestAnotherAmountIsNoAnswer(t *testing.T) {
	p, b := open(t)
	paid := must(p.Charge(ctx, "cus_1", "pm_good", order("pay_1")))(t)
	other := order("pay_1")
	other.Amount = 30 * credit.One
	if o, err := p.Find(ctx, other, paid.Theirs); err == nil {
		t.Errorf("another amount is found: %+v", o)
	}
	if o, err := p.Find(ctx, order("pay_2"), paid.Theirs); err == nil {
		t.Errorf("another payment is found: %+v", o)
	}
	b.intents[paid.Theirs]["currency"] = "eur"
	if o, err := p.Find(ctx, order("pay_1"), paid.Theirs); err == nil {
		t.Errorf("euros are found: %+v", o)
	}
}

// Whoever charges and whoever asks at the same time: money is taken once at most, and
// nobody is told otherwise.
func TestManyAtOnceTakeMoneyOnce(t *testing.T) {
	for round := range 20 {
		p, b := open(t)
		card := []string{"pm_good", "pm_3ds"}[round%2]
		outcomes := make(chan pay.Outcome, 8)
		var all sync.WaitGroup
		for n := range cap(outcomes) {
			all.Go(func() {
				var o pay.Outcome
				var err error
				if n%4 < 3 {
					o, err = p.Charge(ctx, "cus_1", card, order("pay_1"))
				} else {
					o, err = p.Find(ctx, order("pay_1"), "")
				}
				if err == nil {
					outcomes <- o
				}
			})
		}
		all.Wait()
		close(outcomes)
		isPaid := b.moved["pay_1"] == 1
		for o := range outcomes {
			if isPaid != (o.State == pay.Succeeded) {
				t.Errorf("money was taken %d times, and one is told %+v", b.moved["pay_1"], o)
			}
		}
		if last := must(p.Find(ctx, order("pay_1"), ""))(t); isPaid != (last.State == pay.Succeeded) || b.moved["pay_1"] > 1 {
			t.Errorf("money was taken %d times: %+v", b.moved["pay_1"], last)
		}
	}
}
