package invoice_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/wallet"
)

// # What a hold has set aside is not used: an invoice is not voided over it, or it would come
// free for a customer that owes nothing any more. When it is free, it is taken back.
func TestAVoidInvoiceOfHeldCredits(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	id := s.bill(w, "a", cents(100_00), false, 30)
	s.apply(w, wallet.Reserve{ID: "hold_x", Amount: cents(80_00), TTL: int64(time.Hour)}, wallet.Use{Lines: []wallet.Line{used1(s, cents(10_00))}})
	if err := s.void(o, id); fault.Of(err) == nil || fault.Of(err).Code != "credits_held" {
		t.Errorf("while 80 are held: %v, %s", err, s.stands(o, w, id))
	}
	if got := s.stands(o, w, id); got != "open 100+0 paid 0+0 open 100" || len(s.all(o, invoice.CreditNote)) != 0 {
		t.Errorf("refused: %s", got)
	}
	s.apply(w, wallet.Release{Hold: "hold_x"})
	if err := s.void(o, id); err != nil {
		t.Fatal(err)
	}
	s.until(month(1))
	var lines []string
	for _, l := range s.all(o, invoice.Statement)[0].Total.Lines {
		lines = append(lines, fmt.Sprint(l.Kind, " ", l.Description, " ", l.Amount))
	}
	if !slices.Contains(lines, "withdrawal Unused credits taken back by credit notes -90.00") { // nothing was paid back
		t.Errorf("the statement: %q", lines)
	}
	s.update(func(tx *db.Tx) error {
		now, err := s.books.Apply(tx, w.Wallet())
		if b := now.Wallet.View().Balance(now.At); err == nil && b.Available != 0 {
			t.Errorf("%s came free", b.Available)
		}
		return err
	})
	s.verified()
}

// # A statement says what was open at its end, also when the invoice was voided twice, once
// before that and once after, for a payment was reversed in between.
func TestAStatementBetweenTwoCreditNotes(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	s.taxed(o)
	id := s.bill(w, "a", cents(100_00), false, 60)
	p, err := s.pay(o, id, cents(62_00), "B-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.void(o, id); err != nil {
		t.Fatal(err)
	}
	if err := s.reverse(o, id, p.ID); err != nil {
		t.Fatal(err)
	}
	if got := s.stands(o, w, id); got != "open 100+24 paid 0+0 open 62" {
		t.Errorf("reversed after the void: %s", got)
	}
	if err := s.clock.Set(t.Context(), month(1).UnixNano()); err != nil { // the statement is not written yet
		t.Fatal(err)
	}
	if err := s.void(o, id); err != nil {
		t.Fatal(err)
	}
	s.until(month(1).Add(time.Minute))
	all := s.all(o, invoice.Statement)
	if len(all) != 1 || len(all[0].Open) != 1 || all[0].Open[0].Open != invoice.Money(cents(62_00)) {
		t.Errorf("the statement: %+v", all[0].Open)
	}
	if got := s.stands(o, w, id); got != "void 100+24 paid 0+0 open 0" {
		t.Errorf("voided twice: %s", got)
	}
	s.verified()
}

// # A reference that was typed with a space around it is the same transfer.
func TestATransferWithSpaces(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	id := s.bill(w, "a", cents(100_00), false, 30)
	if _, err := s.pay(o, id, cents(10_00), "B-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pay(o, id, cents(10_00), " B-1 "); fault.Of(err) == nil || fault.Of(err).Code != "payment_recorded" {
		t.Errorf("the same again: %v, %s", err, s.stands(o, w, id))
	}
}
