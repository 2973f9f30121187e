package pay_test

import (
	"testing"

	"github.com/purserhq/purser/internal/pay"
)

// # A refund of which a part waits is booked no further when it comes back itself: all its
// parts are undone, and the payment is whole again.
//
//	100 bought for 124; 30 and 30 go back; then 124 more -> 40 booked, 74.40 not; the first 30
//	come back -> 30 of these are booked, 37.20 are not; all of it comes back -> 70 are there
func TestARefundInPartsComesBackWhole(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.there(p, "re_1", pay.Succeeded, 3_720*cent)
	s.there(p, "re_2", pay.Succeeded, 3_720*cent)
	s.there(p, "re_3", pay.Succeeded, 124*one)
	s.there(p, "re_1", pay.Failed, 3_720*cent)
	if all := s.refunds(p); len(all) != 4 || all[3].Net != 30*one || all[3].Unbooked != 3_720*cent {
		t.Fatalf("%+v", all)
	}
	s.there(p, "re_3", pay.Failed, 124*one)
	if s.available() != 70*one || s.shown(p) != "partly_refunded" || s.payment(p.No).Refunded != 30*one {
		t.Errorf("%s available, %s, %+v", s.available(), s.shown(p), s.refunds(p))
	}
	s.holdsBooks("the third came back", 8_680*cent, 1_680*cent, 0)
	s.there(p, "re_2", pay.Failed, 3_720*cent)
	if s.available() != 100*one || s.shown(p) != "succeeded" {
		t.Errorf("%s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("all came back", 124*one, 24*one, 0)
}

// # What comes back of a payment that was lost in part is out of use as long as another
// dispute of it is open.
//
//	100 bought for 124; 30 refunded; of two disputes one is lost over the other 70; the 30 come back
func TestWhatComesBackIsStillContested(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.there(p, "re_1", pay.Succeeded, 3_720*cent)
	s.told(pay.DisputeOpened, p, "d2")
	s.word(pay.Notice{ID: "d1", Kind: pay.DisputeLost, Payment: p.No, Dispute: "d1", Outcome: pay.Outcome{Amount: 8_680 * cent}})
	s.there(p, "re_1", pay.Failed, 3_720*cent)
	if s.available() != 0 || s.frozenIn(s.id) != 30*one || s.shown(p) != "disputed" {
		t.Errorf("open: %s available, %s frozen, %s", s.available(), s.frozenIn(s.id), s.shown(p))
	}
	s.told(pay.DisputeWon, p, "d2")
	if s.available() != 30*one || s.shown(p) != "partly_charged_back" {
		t.Errorf("won: %s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("the other is won", 3_720*cent, 720*cent, 0)
}
