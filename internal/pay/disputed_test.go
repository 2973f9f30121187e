package pay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/wallet"
)

// frozenIn is what is frozen in workspaces.
func (s *till) frozenIn(ids ...ledger.ID) (sum credit.Amount) {
	s.Helper()
	for _, id := range ids {
		v, err := s.books.View(s.Context(), id)
		if err != nil {
			s.Fatal(err)
		}
		sum += v.Balance(s.clock.Now()).Frozen
	}
	return sum
}

// # A dispute that shares a commit with transfers finds what they have moved: their rows
// are not written yet.
func TestADisputeInTheCommitOfATransfer(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	second, third := s.workspace("second"), s.workspace("third")
	s.move(s.id, second, 10*one)
	s.update(func(tx *db.Tx) error {
		for _, m := range []struct {
			from, to ledger.ID
			amount   credit.Amount
		}{{s.id, second, 50 * one}, {second, third, 45 * one}, {third, s.id, 5 * one}} {
			if err := s.moveIn(tx, m.from, m.to, m.amount); err != nil {
				return err
			}
		}
		return s.pay.TakeIn(tx, pay.Notice{ID: "n1", Kind: pay.DisputeOpened, Payment: p.No, Dispute: "d1"})
	})
	if free, frozen := s.availableIn(s.id, second, third), s.frozenIn(s.id, second, third); free != 0 || frozen != 100*one {
		t.Errorf("open: %s are available, %s are frozen", free, frozen)
	}
	if home, there, beyond := s.frozenIn(s.id), s.frozenIn(second), s.frozenIn(third); home != 45*one || there != 15*one || beyond != 40*one {
		t.Errorf("frozen: %s, %s, %s", home, there, beyond)
	}
	s.told(pay.DisputeWon, p, "d1")
	if home, there, beyond := s.availableIn(s.id), s.availableIn(second), s.availableIn(third); home != 45*one || there != 15*one || beyond != 40*one {
		t.Errorf("won: %s, %s, %s", home, there, beyond)
	}
	s.verified()
}

// # What the operator had frozen before a dispute stays frozen when that is over, however
// many disputes there were; what the operator has put back into use is none of it.
//
//	100 bought, 30 moved to a second workspace and frozen there
func TestADisputeLeavesOtherFreezes(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	second := s.workspace("second")
	s.move(s.id, second, 30*one)
	lot := ""
	s.view(func(tx *db.Tx) error {
		all, err := s.books.Lots(tx, second)
		for _, l := range all {
			if l.Kind == wallet.Purchased {
				lot = l.ID
			}
		}
		return err
	})
	do := func(c wallet.Command) {
		s.update(func(tx *db.Tx) error {
			_, err := s.books.Apply(tx, second, c)
			return err
		})
	}
	has := func(what string, free, frozen credit.Amount) {
		t.Helper()
		if a, f := s.availableIn(s.id, second), s.frozenIn(s.id, second); a != free || f != frozen {
			t.Errorf("%s: %s are available, %s are frozen", what, a, f)
		}
	}
	do(wallet.Freeze{Lot: lot})
	has("frozen by the operator", 70*one, 30*one)
	s.told(pay.DisputeOpened, p, "d1")
	s.told(pay.DisputeOpened, p, "d2")
	has("disputed twice", 0, 100*one)
	s.told(pay.DisputeWon, p, "d1")
	has("one is won", 0, 100*one)
	s.told(pay.DisputeWon, p, "d2")
	has("both are won", 70*one, 30*one)
	do(wallet.Unfreeze{Lot: lot})
	s.told(pay.DisputeOpened, p, "d3")
	has("disputed again", 0, 100*one)
	s.told(pay.DisputeWon, p, "d3")
	has("won again", 100*one, 0)
	do(wallet.Freeze{Lot: lot})
	s.word(pay.Notice{ID: "d4 lost", Kind: pay.DisputeLost, Payment: p.No, Dispute: "d4", Outcome: pay.Outcome{Amount: 62 * one}})
	has("a part is lost at once", 20*one, 30*one)
	s.verified()
}

// # A dispute over less than its share of tax can be split into takes a cent of credits.
//
//	0.01 of 124 -> 0.01 and no tax; 0.02 of the rest -> 0.01 and 0.01
func TestADisputeOverACent(t *testing.T) {
	s := newTill(t)
	p := s.paid(100 * one)
	lost := func(id string, amount credit.Amount) {
		s.word(pay.Notice{ID: id, Kind: pay.DisputeLost, Payment: p.No, Dispute: id, Outcome: pay.Outcome{Amount: amount}})
	}
	lost("d1", cent)
	if s.available() != 100*one-cent || s.shown(p) != "partly_charged_back" {
		t.Errorf("a cent: %s available, %s", s.available(), s.shown(p))
	}
	s.holdsBooks("a cent", 124*one-cent, 24*one, 0)
	lost("d2", 2*cent)
	s.holdsBooks("two cents", 124*one-3*cent, 24*one-cent, 0)
	lost("d3", 0)
	s.holdsBooks("the rest", 0, 0, 0)
	var net, added credit.Amount
	for _, n := range s.notes {
		net, added = net+n.Net, added+n.Tax
	}
	if len(s.notes) != 3 || net != 100*one || added != 24*one {
		t.Errorf("credit notes: %+v", s.notes)
	}
}

// # An early word that comes again when it has been forgotten that it was taken is kept
// again, and not refused for ever.
func TestAnEarlyWordComesAgainMuchLater(t *testing.T) {
	s := newTill(t)
	early := pay.Notice{ID: "early", Kind: pay.DisputeOpened, Theirs: "pi_unknown", Dispute: "d1"}
	s.word(early)
	s.clockTo(46 * 24 * time.Hour)
	s.word(pay.Notice{ID: "other", Kind: pay.PaymentMoved, Payment: "pay_of_another"})
	s.word(early)
	var kept int
	s.view(func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM payment_early_words WHERE at = $1`, s.clock.Now()).Scan(&kept)
	})
	if kept != 1 {
		t.Errorf("%d words are kept", kept)
	}
}

// clockTo moves the clock, and nothing else.
func (s *till) clockTo(after time.Duration) {
	s.Helper()
	if err := s.clock.Set(s.Context(), s.clock.Now()+int64(after)); err != nil {
		s.Fatal(fmt.Errorf("move the clock: %w", err))
	}
}
