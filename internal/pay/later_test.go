package pay_test

import (
	"fmt"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/wallet"
)

// workspace is another workspace of the organization.
func (s *till) workspace(slug string) (id ledger.ID) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		w, err := s.orgs.CreateWorkspace(tx, s.id.Organization, org.Workspace{Slug: slug})
		id = w.Wallet()
		return err
	})
	return id
}

// move transfers credits to another workspace.
func (s *till) move(from, to ledger.ID, amount credit.Amount) {
	s.Helper()
	s.update(func(tx *db.Tx) error { return s.moveIn(tx, from, to, amount) })
}

// moveIn is move in a unit of work.
func (s *till) moveIn(tx *db.Tx, from, to ledger.ID, amount credit.Amount) error {
	transfer := tx.NewID("tr_")
	sent, err := s.books.Apply(tx, from, wallet.TransferOut{Amount: amount, ID: transfer})
	if err != nil {
		return err
	}
	lots := sent.Effects.Moved
	for i := range lots {
		lots[i].Source, lots[i].ID = transfer+" "+lots[i].ID, tx.NewID("lot_")
	}
	_, err = s.books.Apply(tx, to, wallet.TransferIn{Lots: lots, ID: transfer})
	return err
}

func (s *till) availableIn(ids ...ledger.ID) (sum credit.Amount) {
	s.Helper()
	for _, id := range ids {
		v, err := s.books.View(s.Context(), id)
		if err != nil {
			s.Fatal(err)
		}
		sum += v.Balance(s.clock.Now()).Available
	}
	return sum
}

// # A dispute finds what was bought in whichever workspace it is by now, and nothing else.
//
//	100 bought for 124; 60 go to a second workspace, 25 of these to a third, where 10 are used;
//	the second has 7 of another payment
func TestADisputeFindsWhatWasTransferred(t *testing.T) {
	for _, last := range []pay.NoticeKind{pay.DisputeWon, pay.DisputeLost} {
		s := newTill(t)
		p := s.paid(100 * one)
		second, third := s.workspace("second"), s.workspace("third")
		s.update(func(tx *db.Tx) error {
			_, err := s.books.Apply(tx, second, wallet.Grant{Lot: wallet.Lot{ID: tx.NewID("lot_"), Kind: wallet.Promotional, Amount: 7 * one, Source: "operator",
				ExpiresAt: tx.Now() + int64(credit.Hour)*10_000, Priority: 90}})
			return err
		})
		s.move(s.id, second, 60*one)
		s.move(second, third, 25*one)
		home := s.id
		s.id = third
		s.use(10 * one)
		s.id = home
		s.told(pay.DisputeOpened, p, "d1")
		if got := s.availableIn(home, second, third); got != 7*one {
			t.Errorf("open: %s are available", got)
		}
		s.told(last, p, "d1")
		s.told(last, p, "d1")
		want := 97 * one
		if last == pay.DisputeLost {
			want = 7 * one
			s.holdsBooks("lost", 0, 0, 10*one)
		} else {
			s.holdsBooks("won", 124*one, 24*one, 0)
		}
		if got := s.availableIn(home, second, third); got != want {
			t.Errorf("%s: %s are available, not %s", last, got, want)
		}
	}
}

// # A dispute over a part takes that part, with its tax and a credit note, and leaves the rest.
//
//	100 bought for 124; 62 are lost -> 50 and 12 of tax; what is left of it is lost after it
func TestADisputeOverAPart(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	told := func(kind pay.NoticeKind, id string, amount credit.Amount) {
		s.word(pay.Notice{ID: id + string(kind), Kind: kind, Payment: p.No, Dispute: id, Outcome: pay.Outcome{Amount: amount}})
	}
	told(pay.DisputeOpened, "d1", 62*one)
	if s.available() != 0 || s.shown(p) != "disputed" {
		t.Errorf("open: %s available, %s", s.available(), s.shown(p))
	}
	told(pay.DisputeLost, "d1", 62*one)
	if s.available() != 50*one || s.shown(p) != "partly_charged_back" {
		t.Errorf("lost: %s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("a part is lost", 62*one, 12*one, 0)
	f, err := s.refund(p, 20*one)
	if err != nil || f.Tax != 480*cent {
		t.Errorf("a part of the rest: %+v %v", f, err)
	}
	if _, err = s.refund(p, 31*one); err == nil {
		t.Error("more than is left goes back")
	}
	told(pay.DisputeOpened, "d2", 0)
	told(pay.DisputeLost, "d2", 0)
	if s.available() != 0 || s.shown(p) != "charged_back" {
		t.Errorf("all is lost: %s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("all is lost", 0, 0, 0)
	if n := s.notes; len(n) != 2 || n[0].Net != 50*one || n[0].Tax != 12*one || n[1].Net != 30*one || n[1].Tax != 720*cent {
		t.Errorf("credit notes: %+v", n)
	}
}

// # What a provider tells of a payment before it tells that it was made counts when it was,
// in any order and however often.
func TestToldBeforeThePayment(t *testing.T) {
	for _, c := range []struct {
		what      string
		words     []pay.Notice
		available credit.Amount
		shown     string
	}{
		{"disputed", []pay.Notice{{Kind: pay.DisputeOpened, Dispute: "d1"}}, 0, "disputed"},
		{"won", []pay.Notice{{Kind: pay.DisputeWon, Dispute: "d1"}, {Kind: pay.DisputeOpened, Dispute: "d1"}}, 100 * one, "succeeded"},
		{"lost", []pay.Notice{{Kind: pay.DisputeLost, Dispute: "d1"}, {Kind: pay.DisputeOpened, Dispute: "d1"}}, 0, "charged_back"},
		{"refunded", []pay.Notice{{Kind: pay.RefundMoved, Outcome: pay.Outcome{State: pay.Succeeded, Theirs: "re_1", Amount: 62 * one}}}, 50 * one, "partly_refunded"},
	} {
		s := newTill(t)
		s.holds = true
		p := s.buy(pay.TopUp{Amount: 100 * one})
		s.sandbox.Pay(t.Context(), p.Page, "4242")
		o, err := s.sandbox.Find(t.Context(), pay.Order{Payment: p.No}, "")
		if err != nil || o.State != pay.Succeeded {
			t.Fatalf("%+v %v", o, err)
		}
		for round := range 2 {
			for i, n := range c.words {
				n.ID, n.Theirs = fmt.Sprint("early", i, round%2), "another way to name it"
				if round == 0 {
					n.Theirs, n.Payment = o.Theirs, ""
				}
				s.word(n)
			}
		}
		if s.available() != 0 || s.payment(p.No).Status == pay.Succeeded {
			t.Errorf("%s: it counts before the payment", c.what)
		}
		for range 2 {
			for _, h := range s.hooks {
				if err := s.pay.Take(t.Context(), "sandbox", h.header, h.body); err != nil {
					t.Fatal(err)
				}
			}
		}
		if s.available() != c.available || s.shown(p) != c.shown {
			t.Errorf("%s: %s available, %s", c.what, s.available(), s.shown(p))
		}
		s.verified()
	}
}

// # A refund that was made at the provider takes what is unused, with its tax; what was used
// is the operator's loss. One that comes back undoes all of that.
//
//	100 bought for 124, 30 used; all goes back -> 70 withdrawn, 30 lost; it comes back -> 70
//	are there again, and nothing is lost
func TestARefundMadeAtTheProvider(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.use(30 * one)
	moved := func(id string, o pay.Outcome) {
		s.word(pay.Notice{ID: id, Kind: pay.RefundMoved, Theirs: s.payment(p.No).Theirs, Outcome: o})
	}
	moved("0", pay.Outcome{State: pay.Pending, Theirs: "re_1", Amount: 124 * one})
	if s.available() != 70*one {
		t.Errorf("nothing has moved, and %s are available", s.available())
	}
	for i := range 3 {
		moved(fmt.Sprint("a", i), pay.Outcome{State: pay.Succeeded, Theirs: "re_1", Amount: 124 * one})
	}
	if s.available() != 0 || s.shown(p) != "refunded" {
		t.Errorf("all went back: %s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("all went back", 0, 0, 30*one)
	if n := s.notes; len(n) != 1 || n[0].Net != 100*one || n[0].Tax != 24*one {
		t.Errorf("credit notes: %+v", n)
	}
	for i := range 2 {
		moved(fmt.Sprint("b", i), pay.Outcome{State: pay.Failed, Theirs: "re_1", Amount: 124 * one, Code: "lost_or_stolen_card"})
	}
	if s.available() != 70*one {
		t.Errorf("it came back, and %s are available", s.available())
	}
	s.holdsBooks("it came back", 124*one, 24*one, 0)
	if s.restored != 1 || s.shown(p) != "succeeded" {
		t.Errorf("it came back: %d credit notes are cancelled, %s", s.restored, s.shown(p))
	}
}
