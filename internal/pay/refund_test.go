package pay_test

import (
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/wallet"
)

// paid is a payment on a page that has been made.
func (s *till) paid(amount credit.Amount) pay.Payment {
	s.Helper()
	p := s.buy(pay.TopUp{Amount: amount})
	s.onPage(p, "4242")
	return s.payment(p.No)
}

func (s *till) shown(p pay.Payment) string {
	s.Helper()
	p = s.payment(p.No)
	return p.Shown()
}

// use charges usage.
func (s *till) use(amount credit.Amount) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, err := s.books.Apply(tx, s.id, wallet.Use{Lines: []wallet.Line{{SKU: "network.egress", Unit: "gib", Quantity: 1_000_000, Price: amount, Amount: amount, At: tx.Now()}}})
		return err
	})
}

// refund gives back so much, or all that can be.
func (s *till) refund(p pay.Payment, net credit.Amount) (pay.Refund, error) {
	s.Helper()
	var f pay.Refund
	err := s.db.Update(s.Context(), func(tx *db.Tx) (err error) {
		f, err = s.pay.Refund(tx, s.id, p.No, net, "operator")
		return err
	})
	if err != nil {
		return f, err
	}
	return s.pay.SendRefund(s.Context(), s.id, f.No)
}

// books holds accounts against what they must be.
func (s *till) holdsBooks(what string, cash, tax, losses credit.Amount) {
	s.Helper()
	if c, x, l := s.account("house/cash"), s.account("house/tax"), s.account("house/losses"); c != -cash || x != tax || l != -losses {
		s.Errorf("%s: cash %s, tax %s, losses %s; not %s, %s, %s", what, -c, x, -l, cash, tax, losses)
	}
	s.verified()
}

const cent = one / 100

// # Refunds of what is unused, to the cent, with 24 % tax.
//
//	100.01 bought for 124.01 -> 24.0024 of tax are 24.00
//	33.33 go back with 7.99, 33.34 with 8.00 more, the rest with the rest: 24.00 in all
func TestRefundArithmetic(t *testing.T) {
	s := newTill(t)
	p := s.paid(10_001 * cent)
	s.holdsBooks("bought", 12_401*cent, 2_400*cent, 0)
	var tax, net credit.Amount
	for _, part := range []credit.Amount{3_333 * cent, 3_334 * cent, 0} {
		f, err := s.refund(p, part)
		if err != nil || f.Status != pay.Succeeded {
			t.Fatalf("%+v %v", f, err)
		}
		tax, net = tax+f.Tax, net+f.Net
		s.holdsBooks("refunded", 12_401*cent-net-tax, 2_400*cent-tax, 0)
	}
	if net != 10_001*cent || tax != 2_400*cent || s.available() != 0 {
		t.Errorf("%s and %s went back", net, tax)
	}
	if p = s.payment(p.No); p.Shown() != "refunded" || p.RefundedTax != p.Line.Tax {
		t.Errorf("%+v", p)
	}
	if _, err := s.refund(p, 0); !fault.Is(err, fault.Conflict) {
		t.Errorf("once more: %v", err)
	}
}

// # Only what is unused goes back, in whole cents.
func TestRefundOfTheRest(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	s.use(40*one + 1)
	if _, err := s.refund(p, 60*one); !fault.Is(err, fault.Conflict) {
		t.Errorf("more than is unused: %v", err)
	}
	if _, err := s.refund(p, cent+1); !fault.Is(err, fault.Invalid) {
		t.Errorf("a part of a cent: %v", err)
	}
	f, err := s.refund(p, 0)
	if err != nil || f.Net != 5_999*cent || f.Tax != 1_439*cent || s.available() != cent-1 { // 14.3976 rounded down
		t.Errorf("%+v %v, available %s", f, err, s.available())
	}
	if p = s.payment(p.No); p.Shown() != "partly_refunded" {
		t.Errorf("%s", p.Shown())
	}
	s.holdsBooks("the rest", 124*one-f.Net-f.Tax, 24*one-f.Tax, 0)
}

// # A refund that the provider refuses gives the credits back, in a lot of the same terms.
func TestRefusedRefund(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	if err := s.sandbox.Dispute(t.Context(), p.No, "open"); err != nil { // the bank is faster than its notice
		t.Fatal(err)
	}
	s.word(pay.Notice{ID: "w", Kind: pay.DisputeWon, Payment: p.No, Dispute: "sbd_" + p.Theirs})
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE sandbox_payments SET dispute = 'lost'`)
		return err
	})
	f, err := s.refund(s.payment(p.No), 30*one)
	if err != nil || f.Status != pay.Failed || f.Lot == "" {
		t.Fatalf("%+v %v", f, err)
	}
	back := s.lots(f.No)
	if len(back) != 1 || back[0].Amount != 30*one || back[0].Kind != wallet.Purchased || back[0].ExpiresAt != s.lots(p.No)[0].ExpiresAt {
		t.Errorf("%+v", back)
	}
	if p = s.payment(p.No); p.Refunded != 0 || p.RefundedTax != 0 || s.available() != 100*one {
		t.Errorf("%+v available %s", p, s.available())
	}
	s.holdsBooks("refused", 124*one, 24*one, 0)
}

// # The program dies at every step of a refund: it is done once.
func TestRefundKilledAtEveryStep(t *testing.T) {
	for _, step := range []string{"refund claimed", "refund asked"} {
		s := newTill(t)
		p := s.paid(100 * one)
		s.step = func(name string) error {
			if name == step {
				return errDied
			}
			return nil
		}
		if _, err := s.refund(p, 50*one); err == nil {
			t.Fatal("it did not die")
		}
		s.step = nil
		s.close()
		s.open()
		s.pass(time.Hour)
		s.view(func(tx *db.Tx) error {
			all, err := s.pay.Refunds(tx, s.id, p.No)
			if len(all) != 1 || all[0].Status != pay.Succeeded {
				t.Errorf("%s: %+v", step, all)
			}
			return err
		})
		s.holdsBooks(step, 62*one, 12*one, 0)
	}
}

// # A dispute freezes what is left of that lot only. Won, it can be used again; lost, it is
// gone with the tax, and what was used of it is the operator's loss.
func TestDisputes(t *testing.T) {
	for _, end := range []string{"won", "lost"} {
		for _, order := range []string{"in order", "the end first"} {
			t.Run(end+" "+order, func(t *testing.T) {
				s := newTill(t)
				p, other := s.paid(100*one), s.paid(50*one)
				s.use(30 * one)
				s.holds = true
				for _, as := range []string{"open", end} {
					if err := s.sandbox.Dispute(t.Context(), p.No, as); err != nil {
						t.Fatal(err)
					}
				}
				if order == "the end first" {
					s.hooks[0], s.hooks[1] = s.hooks[1], s.hooks[0]
				}
				for i, h := range append(s.hooks, s.hooks...) {
					if err := s.pay.Take(t.Context(), "sandbox", h.header, h.body); err != nil {
						t.Fatal(err)
					}
					if i == 0 && order == "in order" {
						if s.available() != 50*one || !s.lots(p.No)[0].Frozen || s.lots(other.No)[0].Frozen || s.shown(p) != "disputed" {
							t.Errorf("open: available %s", s.available())
						}
						if _, err := s.refund(p, 0); !fault.Is(err, fault.Conflict) {
							t.Errorf("a refund while it is disputed: %v", err)
						}
						s.verified()
					}
				}
				if end == "won" {
					if s.available() != 120*one || s.shown(p) != "succeeded" {
						t.Errorf("won: available %s, %s", s.available(), s.shown(p))
					}
					s.holdsBooks(end, 186*one, 36*one, 0)
					return
				}
				if s.available() != 50*one || s.shown(p) != "charged_back" {
					t.Errorf("lost: available %s, %s", s.available(), s.shown(p))
				}
				s.holdsBooks(end, 62*one, 12*one, 30*one)
			})
		}
	}
}
