package pay_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/wallet"
)

// there has the provider tell of a refund that was made in its dashboard.
func (s *till) there(p pay.Payment, id string, as pay.State, amount credit.Amount) {
	s.Helper()
	s.words++
	s.word(pay.Notice{
		ID: fmt.Sprint("there", s.words), Kind: pay.RefundMoved, Theirs: s.payment(p.No).Theirs,
		Outcome: pay.Outcome{State: as, Theirs: id, Amount: amount, Code: map[pay.State]string{pay.Failed: "declined"}[as]},
	})
}

func (s *till) refunds(p pay.Payment) (all []pay.Refund) {
	s.Helper()
	s.view(func(tx *db.Tx) (err error) {
		all, err = s.pay.Refunds(tx, s.id, p.No)
		return err
	})
	return all
}

// do does commands in the wallet.
func (s *till) do(commands ...wallet.Command) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, err := s.books.Apply(tx, s.id, commands...)
		return err
	})
}

// running is a flow of 36 credits an hour: 0.01 a second.
func running(id string, most credit.Amount) wallet.Start {
	rate, _ := credit.NewRate(36*one, 1_000_000)
	return wallet.Start{ID: id, MaxCost: most, Lease: int64(time.Minute), Grace: int64(20 * time.Second), Items: []wallet.Item{{
		SKU: "gpu.x", Tier: "on-demand", Unit: "hour", Quantity: 1_000_000, Price: 36 * one, Card: "default", Version: 1, Rate: rate, Period: credit.Hour,
	}}}
}

// # Running work does not keep money in the books that has gone: a refund at the provider is
// booked at once, to the nano-credit, and what it leaves goes on to pay for the work.
//
//	100 bought; a job of 36 an hour has run for 1.000000007 s -> 0.01000000007 used, rounded down to 0.010000000
func TestARefundAtTheProviderUnderRunningWork(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.do(running("flow_a", 0))
	s.clockTo(time.Second + 7)
	s.there(p, "re_1", pay.Succeeded, 62*one)
	if f := s.refunds(p); len(f) != 1 || f[0].Net != 50*one || f[0].Tax != 12*one || f[0].Loss != 0 {
		t.Fatalf("a half: %+v", f)
	}
	if s.available() != 50*one-one/100 || s.shown(p) != "partly_refunded" {
		t.Errorf("a half: %s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("a half", 62*one, 12*one, 0)
	s.clockTo(time.Second)
	if s.available() != 50*one-2*one/100 {
		t.Errorf("the work does not go on: %s available", s.available())
	}
	s.there(p, "re_2", pay.Succeeded, 62*one)
	if f := s.refunds(p); len(f) != 2 || f[1].Net != 50*one || f[1].Loss != 2*one/100 {
		t.Fatalf("the rest: %+v", f)
	}
	s.clockTo(time.Hour)
	s.settle()
	if s.available() != 0 || s.shown(p) != "refunded" {
		t.Errorf("the rest: %s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("the rest", 0, 0, 2*one/100)
}

// # What is held is not used: it goes back with the rest, and comes free for nobody.
//
//	100 bought, 10 used, 40 held, a job with a largest cost of 20 has used 1 of it
//	-> 11 are the loss; then 5 more are charged to the hold, and nothing covers these
func TestARefundAtTheProviderTakesWhatIsHeld(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.use(10 * one)
	s.do(wallet.Reserve{ID: "hold_x", Amount: 40 * one, TTL: int64(time.Hour)}, running("flow_a", 20*one))
	s.clockTo(100 * time.Second)
	s.there(p, "re_1", pay.Succeeded, 4_960*cent)
	if s.available() != 0 || s.refunds(p)[0].Loss != 0 {
		t.Errorf("what is free: %s available, %+v", s.available(), s.refunds(p))
	}
	s.there(p, "re_2", pay.Succeeded, 0)
	if f := s.refunds(p); len(f) != 2 || f[1].Net != 60*one || f[1].Loss != 11*one {
		t.Fatalf("%+v", f)
	}
	s.holdsBooks("all went back", 0, 0, 11*one)
	s.do(wallet.Release{Hold: "hold_x"})
	s.clockTo(2 * time.Hour)
	s.settle()
	if s.available() != 0 {
		t.Errorf("%s came free", s.available())
	}
	s.holdsBooks("the hold is over", 0, 0, 11*one)
	if n := len(s.letters); n == 0 || !strings.Contains(s.letters[n-2].Data["text"]+s.letters[n-1].Data["text"], "49 unused credits") {
		t.Errorf("the mails: %+v", s.letters)
	}
}

// # A refund that fails before it is told that it succeeded has moved nothing, also if it is
// told before the payment.
func TestARefundThatFailedFirst(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.there(p, "re_1", pay.Failed, 124*one)
	s.there(p, "re_1", pay.Pending, 124*one)
	s.there(p, "re_1", pay.Succeeded, 124*one)
	s.there(p, "re_1", pay.Failed, 124*one)
	if s.available() != 100*one || s.shown(p) != "succeeded" || len(s.notes) != 0 || s.restored != 0 {
		t.Errorf("%s available, %s, notes %+v", s.available(), s.shown(p), s.notes)
	}
	if f := s.refunds(p); len(f) != 1 || f[0].Status != pay.Failed || f[0].Net != 0 || f[0].Code != "declined" {
		t.Errorf("%+v", f)
	}
	s.holdsBooks("nothing has moved", 124*one, 24*one, 0)
}

// # A payment has as many refunds as there are: the word of any of them, told again, is known.
func TestManyRefundsOfAPayment(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	const n = 103
	for range 2 {
		for i := range n {
			s.there(p, fmt.Sprint("re_", i), pay.Succeeded, cent)
		}
	}
	if all := s.refunds(p); len(all) != n || s.payment(p.No).Refunded+s.payment(p.No).RefundedTax != n*cent {
		t.Errorf("%d refunds, %s", len(all), s.payment(p.No).Refunded)
	}
	s.there(p, fmt.Sprint("re_", n-1), pay.Failed, cent)
	if got := s.payment(p.No); got.Refunded+got.RefundedTax != (n-1)*cent || s.restored != 1 {
		t.Errorf("the last came back: %s, %d cancelled", got.Refunded, s.restored)
	}
	s.verified()
}

// # Our refund is under way while the provider's dashboard pays all of the payment back: what
// cannot be booked is kept and told, and is booked when ours fails.
//
//	100 bought for 124, 30 of ours under way (37.20); 124 go back -> 86.80 booked, 37.20 not
func TestMoreGoesBackThanIsLeft(t *testing.T) {
	for _, ours := range []pay.State{pay.Failed, pay.Succeeded} {
		s := newTill(t)
		p := s.paid(100 * one)
		mine := s.underWay(p, 30*one)
		s.there(p, "re_1", pay.Succeeded, 124*one)
		all := s.refunds(p)
		if len(all) != 2 || all[1].Net != 70*one || all[1].Unbooked != 3_720*cent || s.available() != 0 {
			t.Fatalf("%+v, %s available", all, s.available())
		}
		if !s.wasTold("operator@purser.example", "$37.20 more than was left") {
			t.Errorf("the operator is not told: %+v", s.letters)
		}
		s.word(pay.Notice{ID: "ours", Kind: pay.RefundMoved, Refund: mine.No, Outcome: pay.Outcome{State: ours}})
		all = s.refunds(p)
		if s.available() != 0 || s.shown(p) != "refunded" {
			t.Errorf("ours %s: %s available, %s", ours, s.available(), s.shown(p))
		}
		s.holdsBooks("ours "+string(ours), 0, 0, 0)
		if ours == pay.Succeeded { // then the provider has paid 37.20 too much
			if len(all) != 2 || all[1].Unbooked != 3_720*cent || s.noted() != 124*one {
				t.Errorf("%+v", all)
			}
			continue
		}
		if len(all) != 3 || all[2].Net != 30*one || all[2].Tax != 720*cent || all[1].Unbooked != 0 || all[2].Unbooked != 0 || s.noted() != 124*one {
			t.Errorf("%+v, notes %+v", all, s.notes)
		}
		s.there(p, "re_1", pay.Failed, 124*one)
		if s.available() != 100*one || s.shown(p) != "succeeded" || s.restored != 2 {
			t.Errorf("all came back: %s available, %s, %d cancelled", s.available(), s.shown(p), s.restored)
		}
		s.holdsBooks("all came back", 124*one, 24*one, 0)
	}
}

// # A payment that is used up and goes back is all loss; when it comes back, none of it is.
func TestALossComesBack(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.use(100 * one)
	s.there(p, "re_1", pay.Succeeded, 124*one)
	s.holdsBooks("gone", 0, 0, 100*one)
	if !s.wasTold("operator@purser.example", "100 of its credits had been used") {
		t.Errorf("the operator is not told: %+v", s.letters)
	}
	s.there(p, "re_1", pay.Failed, 124*one)
	s.there(p, "re_1", pay.Failed, 124*one)
	s.holdsBooks("back", 124*one, 24*one, 0)
	if s.restored != 1 || s.available() != 0 || s.shown(p) != "succeeded" || !s.wasTold("operator@purser.example", "booked as received again") {
		t.Errorf("%d cancelled, %s, %s", s.restored, s.available(), s.shown(p))
	}
	var entries int
	s.view(func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM audit WHERE action IN ('refund-succeeded', 'refund-failed')`).Scan(&entries)
	})
	if entries != 2 {
		t.Errorf("%d entries in the audit log", entries)
	}
	recovered := s.recovered()
	if f := s.refunds(p); len(recovered) != 1 || recovered[0].Subject != p.Lot || !maps.Equal(recovered[0].Data, map[string]string{"loss": "100", "reason": f[0].No}) {
		t.Errorf("what is to be told: %+v of refund %s of lot %s", recovered, f[0].No, p.Lot)
	}
}

// recovered are the losses that came back of which programs are to be told.
func (s *till) recovered() (all []wallet.Event) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		due, err := s.books.TakeNotices(tx, 100)
		for _, n := range due {
			if n.Event.Kind == wallet.EventRecovered {
				all = append(all, n.Event)
			}
		}
		return err
	})
	return all
}

// # What comes back of a payment that the bank has taken is the bank's: with a note of its own.
//
//	100 bought for 124; 30 refunded; a dispute over all of it is lost -> 70; the 30 come back -> lost too
func TestWhatComesBackIsTheBanks(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.there(p, "re_1", pay.Succeeded, 3_720*cent)
	s.told(pay.DisputeOpened, p, "d1")
	s.told(pay.DisputeLost, p, "d1")
	s.there(p, "re_1", pay.Failed, 3_720*cent)
	if s.available() != 0 || s.shown(p) != "charged_back" || s.restored != 1 || len(s.notes) != 3 || s.noted() != 124*one+3_720*cent {
		t.Errorf("%s available, %s, notes %+v", s.available(), s.shown(p), s.notes)
	}
	s.holdsBooks("all is the bank's", 0, 0, 0)

	part := s.paid(100 * one)
	s.there(part, "re_2", pay.Succeeded, 3_720*cent)
	s.word(pay.Notice{ID: "d2", Kind: pay.DisputeLost, Payment: part.No, Dispute: "d2", Outcome: pay.Outcome{Amount: 8_680 * cent}})
	if s.shown(part) != "charged_back" {
		t.Errorf("what was left is lost: %s", s.shown(part))
	}
	s.there(part, "re_2", pay.Failed, 3_720*cent)
	if s.available() != 30*one || s.shown(part) != "partly_charged_back" {
		t.Errorf("what was not disputed: %s available, %s", s.available(), s.shown(part))
	}
	s.holdsBooks("a part is the bank's", 3_720*cent, 720*cent, 0)
}

// underWay is a refund of ours that the provider has not answered.
func (s *till) underWay(p pay.Payment, net credit.Amount) (f pay.Refund) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		f, err = s.pay.Refund(tx, s.id, p.No, net, "operator")
		return err
	})
	return f
}

// noted is what all credit notes are over.
func (s *till) noted() (sum credit.Amount) {
	for _, n := range s.notes {
		sum += n.Net + n.Tax
	}
	return sum
}

// wasTold reports whether a mail with these words went to an address.
func (s *till) wasTold(to, words string) bool {
	for _, m := range s.letters {
		if m.To == to && strings.Contains(m.Data["text"], words) {
			return true
		}
	}
	return false
}
