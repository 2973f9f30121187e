package pay_test

import (
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/pay"
)

// told has the provider say something of a dispute.
func (s *till) told(kind pay.NoticeKind, p pay.Payment, dispute string) {
	s.Helper()
	s.word(pay.Notice{ID: dispute + " " + string(kind), Kind: kind, Payment: p.No, Dispute: dispute})
}

// # Of two disputes of one payment the lots are free when both are won, and gone once, with
// the tax, when one is lost, whatever becomes of the other.
func TestTwoDisputesOfOnePayment(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.told(pay.DisputeOpened, p, "d1")
	s.told(pay.DisputeOpened, p, "d2")
	s.told(pay.DisputeWon, p, "d1")
	if s.available() != 0 || s.shown(p) != "disputed" {
		t.Errorf("one is won: available %s, %s", s.available(), s.shown(p))
	}
	s.told(pay.DisputeWon, p, "d2")
	if s.available() != 100*one || s.shown(p) != "succeeded" {
		t.Errorf("both are won: available %s, %s", s.available(), s.shown(p))
	}
	s.use(30 * one)
	s.told(pay.DisputeOpened, p, "d3")
	s.told(pay.DisputeLost, p, "d3")
	s.told(pay.DisputeOpened, p, "d4")
	s.told(pay.DisputeLost, p, "d4")
	if s.available() != 0 || s.shown(p) != "charged_back" {
		t.Errorf("lost twice: available %s, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("lost twice", 0, 0, 30*one)
}

// # A refund that was paid out and comes back gives its credits again; one that is refused
// when the bank has taken all of the payment gives none.
func TestARefundThatComesBack(t *testing.T) {
	s := newTill(t)
	failed := func(f pay.Refund, id string) {
		s.word(pay.Notice{ID: id, Kind: pay.RefundMoved, Refund: f.No, Outcome: pay.Outcome{State: pay.Failed, Code: "expired_or_canceled_card"}})
	}
	p := s.paid(100 * one)
	f, err := s.refund(p, 30*one)
	if err != nil || f.Status != pay.Succeeded || s.available() != 70*one {
		t.Fatalf("%+v %v", f, err)
	}
	failed(f, "back")
	failed(f, "back again")
	if s.available() != 100*one || s.restored != 1 {
		t.Errorf("it came back, and %s are available, %d credit notes are cancelled", s.available(), s.restored)
	}
	s.holdsBooks("it came back", 124*one, 24*one, 0)

	if f, err = s.refund(s.payment(p.No), 40*one); err != nil {
		t.Fatal(err)
	}
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE payment_refunds SET status = 'pending' WHERE id = $1`, f.No)
		return err
	})
	s.told(pay.DisputeOpened, p, "d1")
	s.told(pay.DisputeLost, p, "d1")
	failed(f, "refused")
	if s.available() != 0 || s.restored != 1 {
		t.Errorf("the bank has all of it, and %s are available", s.available())
	}
	s.holdsBooks("nothing is left", 0, 0, 0)
}
