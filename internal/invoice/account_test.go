package invoice_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/tax"
	"github.com/purserhq/purser/internal/wallet"
)

// taxed has 24 % tax collected of an organization.
func (s *office) taxed(o org.Organization) {
	s.Helper()
	country, email := "GR", "cfo@acme.example"
	s.update(func(tx *db.Tx) error {
		_, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{Country: &country, BillingEmail: &email})
		return errors.Join(err, tax.Replace(tx, tax.Table{Rates: tax.Rates{{Country: "GR", Name: "VAT", Rate: 240_000}}}))
	})
}

// bill invoices committed credits, or a fee if the amount of these is 0.
func (s *office) bill(w org.Workspace, source string, net credit.Amount, isFee bool, days int64) (id string) {
	s.Helper()
	b := invoice.Bill{Source: source, Contract: "ctr_1", Net: net, Description: source, Reference: "PO-9", NetDays: days}
	if !isFee {
		b.Lot = &wallet.Lot{ID: "lot_of_" + source, Kind: wallet.Commitment, Amount: net, Priority: 5}
	}
	s.update(func(tx *db.Tx) (err error) {
		id, err = s.desk.Bill(tx, w.Wallet(), b)
		return err
	})
	return id
}

func (s *office) pay(o org.Organization, name string, amount credit.Amount, reference string) (p invoice.BankPayment, err error) {
	err = s.db.Update(s.Context(), func(tx *db.Tx) (err error) {
		p, err = s.desk.RecordPayment(tx, o.ID, "operator", name, amount, start.Format(time.DateOnly), reference)
		return err
	})
	return p, err
}

func (s *office) reverse(o org.Organization, name, payment string) error {
	return s.db.Update(s.Context(), func(tx *db.Tx) error {
		_, err := s.desk.ReversePayment(tx, o.ID, "operator", name, payment, "a mistake")
		return err
	})
}

func (s *office) void(o org.Organization, name string) error {
	return s.db.Update(s.Context(), func(tx *db.Tx) error {
		_, err := s.desk.Void(tx, o.ID, name, "agreed")
		return err
	})
}

// stands is how an invoice stands, in words, and that the account of the books comes to
// what is open of all invoices.
func (s *office) stands(o org.Organization, w org.Workspace, id string) string {
	s.Helper()
	var r *invoice.Receivable
	var open, booked credit.Amount
	s.update(func(tx *db.Tx) (err error) {
		all, err := s.desk.OfContract(tx, o.ID, "ctr_1")
		for i := range all {
			open += all[i].Open()
			if all[i].Invoice == id {
				r = &all[i]
			}
		}
		return err
	})
	err := s.db.View(s.Context(), func(tx *db.Tx) error {
		sum := `SELECT CAST(COALESCE(SUM(CASE WHEN debit = $3 THEN amount ELSE -amount END), 0) AS BIGINT) FROM postings
			WHERE organization = $1 AND workspace = $2 AND (debit = $3 OR credit = $3)`
		return tx.QueryRow(sum, w.Organization, w.ID, ledger.AccountInvoices).Scan(&booked)
	})
	if err != nil || open != booked {
		s.Errorf("%s are open, and the books have %s, %v", open, booked, err)
	}
	return fmt.Sprintf("%s %s+%s paid %s+%s open %s", r.State(s.clock.Now()), r.Net, r.Tax, r.PaidNet, r.PaidTax, r.Open())
}

func (s *office) verified() {
	s.Helper()
	report, err := s.books.Verify(s.Context(), ledger.Options{})
	if err != nil || !report.IsClean() {
		s.Errorf("%v, %v", report.First, err)
	}
}

// # An invoice on account is owed until it is paid, in as many parts as it is, and each part
// is cut into credits and tax so that the last leaves nothing of either.
func TestAnInvoiceOnAccount(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	s.taxed(o)
	id := s.bill(w, "part", cents(100_01), false, 30)
	if again := s.bill(w, "part", cents(100_01), false, 30); again != id {
		t.Errorf("one more invoice %s of the same", again)
	}
	doc := s.all(o, invoice.Invoice)[0]
	if doc.Terms == nil || doc.Terms.DueOn != "2026-12-22" || doc.Payment != nil || doc.Tax.Gross != invoice.Money(cents(124_01)) || doc.Reference != "PO-9" {
		t.Errorf("%+v", doc)
	}
	for _, step := range []struct {
		amount credit.Amount
		want   string
	}{
		{cents(1), "partly_paid 100.01+24 paid 0+0.01 open 124"}, {cents(99), "partly_paid 100.01+24 paid 0.79+0.21 open 123.01"},
		{cents(61_00), "partly_paid 100.01+24 paid 49.99+12.01 open 62.01"}, {cents(62_01), "paid 100.01+24 paid 100.01+24 open 0"},
	} {
		if _, err := s.pay(o, id, step.amount, "B-"+step.amount.String()); err != nil {
			t.Fatal(err)
		}
		if got := s.stands(o, w, id); got != step.want {
			t.Errorf("after %s: %s, not %s", step.amount, got, step.want)
		}
	}
	if _, err := s.pay(o, id, cents(1), "B-more"); fault.Of(err) == nil || fault.Of(err).Code != "overpaid" {
		t.Errorf("more than was open: %v", err)
	}
	for _, wrong := range []struct {
		amount    credit.Amount
		reference string
	}{{0, "x"}, {-cents(1), "x"}, {1, "x"}, {cents(1), ""}, {cents(1), "a\nb"}, {cents(1), strings.Repeat("x", 141)}} {
		if _, err := s.pay(o, id, wrong.amount, wrong.reference); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	other := s.bill(w, "other", cents(1_00), false, 30)
	for day, isDay := range map[string]bool{"2026-11-24": false, "2026-11-31": false, "22.11.2026": false, "": false, "2026-11-21": true} {
		err := s.db.Update(t.Context(), func(tx *db.Tx) error {
			_, err := s.desk.RecordPayment(tx, o.ID, "operator", other, cents(1), day, "B-"+day)
			return err
		})
		if isDay && err != nil || !isDay && !fault.Is(err, fault.Invalid) {
			t.Errorf("paid on %q: %v", day, err)
		}
	}
	if _, err := s.pay(o, "INV-2026-000009", cents(1), "x"); !fault.Is(err, fault.NotFound) {
		t.Errorf("of no invoice: %v", err)
	}
	s.verified()
}

// # One transfer that is recorded by many at the same time is booked once, and what is
// reversed can be recorded again.
func TestATransferCountsOnce(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	id := s.bill(w, "part", cents(100_00), false, 30)
	var done sync.Map
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if p, err := s.pay(o, id, cents(60_00), "B-1"); err == nil {
				done.Store(p.ID, true)
			} else if code := fault.Of(err); code == nil || code.Code != "payment_recorded" && code.Code != "overpaid" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var ids []string
	done.Range(func(key, _ any) bool { ids = append(ids, key.(string)); return true })
	if len(ids) != 1 || s.stands(o, w, id) != "partly_paid 100+0 paid 60+0 open 40" {
		t.Fatalf("%v: %s", ids, s.stands(o, w, id))
	}
	if err := s.reverse(o, id, ids[0]); err != nil || s.stands(o, w, id) != "open 100+0 paid 0+0 open 100" {
		t.Errorf("%v: %s", err, s.stands(o, w, id))
	}
	if err := s.reverse(o, id, ids[0]); fault.Of(err) == nil || fault.Of(err).Code != "payment_reversed" {
		t.Errorf("twice: %v", err)
	}
	if err := s.reverse(o, id, "bp_x"); !fault.Is(err, fault.NotFound) {
		t.Errorf("of none: %v", err)
	}
	if _, err := s.pay(o, id, cents(100_00), "B-1"); err != nil || s.stands(o, w, id) != "paid 100+0 paid 100+0 open 0" {
		t.Errorf("%v: %s", err, s.stands(o, w, id))
	}
	s.verified()
}

// # What is open can be taken back: unused credits go, what was used is the operator's loss,
// a fee is owed no more, and a credit note says so. What was paid stays.
func TestAVoidInvoice(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	s.taxed(o)
	unused, used, fee := s.bill(w, "a", cents(100_00), false, 30), s.bill(w, "b", cents(100_00), false, 30), s.bill(w, "fee", cents(10_00), true, 30)
	s.apply(w, wallet.Use{Lines: []wallet.Line{used1(s, cents(130_00))}}) // all of a, and 30 of b
	if _, err := s.pay(o, used, cents(62_00), "B-1"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{unused, used, fee} {
		if err := s.void(o, id); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{
		unused: "void 100+24 paid 0+0 open 0", used: "paid 100+24 paid 50+12 open 0", fee: "void 10+2.4 paid 0+0 open 0",
	} {
		if got := s.stands(o, w, id); got != want {
			t.Errorf("%s, not %s", got, want)
		}
		if err := s.void(o, id); fault.Of(err) == nil || fault.Of(err).Code != "invoice_settled" {
			t.Errorf("again: %v", err)
		}
	}
	var notes []string
	for _, n := range s.all(o, invoice.CreditNote) {
		notes = append(notes, fmt.Sprint(n.Corrects.Number, " ", n.Tax.Net, " ", n.Tax.Tax, " ", n.Lines[0].Description))
	}
	if want := []string{"INV-2026-000001 100.00 24.00 agreed", "INV-2026-000002 50.00 12.00 agreed", "INV-2026-000003 10.00 2.40 agreed"}; !slices.Equal(notes, want) {
		t.Errorf("%q", notes)
	}
	sums := map[string]credit.Amount{}
	s.update(func(tx *db.Tx) error {
		return tx.Each(func(r db.Scanner) error {
			var debit, to string
			var amount credit.Amount
			err := r.Scan(&debit, &to, &amount)
			sums[debit], sums[to] = sums[debit]-amount, sums[to]+amount
			return err
		}, `SELECT debit, credit, amount FROM postings`)
	})
	for account, want := range map[string]string{ // 100 of a were used, and 50 that nobody paid of b are unused
		ledger.AccountInvoices: "0", ledger.AccountCash: "-62", ledger.AccountLosses: "-100", ledger.AccountTax: "12", ledger.AccountFees: "0",
		"credits/lot_of_a": "0", "credits/lot_of_b": "20",
	} {
		if sums[account].String() != want {
			t.Errorf("%s: %s, not %s", account, sums[account], want)
		}
	}
	s.until(month(1)) // the statement equals the ledger, or is not issued
	if all := s.all(o, invoice.Statement); len(all) != 1 || len(all[0].Open) != 0 {
		t.Errorf("%+v", all)
	}
	s.verified()
}

func used1(s *office, amount credit.Amount) wallet.Line {
	return wallet.Line{SKU: "network.egress", Tier: "on-demand", Unit: "gib", Quantity: credit.Quantity(amount/credit.One) * credit.Units, Price: credit.One,
		Card: "default", Version: 1, Amount: amount, At: s.clock.Now()}
}

// # Of an invoice that is not paid both sides are told at the end of its day and 7, 14 and
// 30 days later, once by however many try; of one that is paid, no more; and what
// nobody was there for is made up for with one.
func TestOverdueInvoices(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	s.taxed(o)
	s.update(func(tx *db.Tx) error {
		_, err := invoice.PutSeller(tx, invoice.Seller{Email: "billing@seller.example", Instructions: "IBAN 1"})
		return err
	})
	late, paid, long := s.bill(w, "late", cents(100_00), false, 10), s.bill(w, "paid", cents(50_00), false, 10), s.bill(w, "long", cents(25_00), false, 40)
	day := func(days int) time.Time { return start.Truncate(24*time.Hour).AddDate(0, 0, days) }
	told := func(now time.Time) (numbers []string) {
		t.Helper()
		s.mails = nil
		s.until(now.Add(-time.Nanosecond))
		if mails := overdue(s.mails); len(mails) > 0 {
			t.Errorf("before %s: %q", now, mails)
		}
		if err := s.clock.Set(t.Context(), now.UnixNano()); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if err := s.desk.RunDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		s.until(now.Add(time.Hour))
		return overdue(s.mails)
	}
	both := func(numbers ...string) (want []string) {
		for _, n := range numbers {
			want = append(want, "cfo@acme.example "+n+" true", "billing@seller.example "+n+" false")
		}
		return want
	}
	if got := told(day(11)); !slices.Equal(got, both("INV-2026-000001", "INV-2026-000002")) {
		t.Errorf("at the end of the day: %q", got)
	}
	if _, err := s.pay(o, paid, cents(62_00), "B-1"); err != nil {
		t.Fatal(err)
	}
	if got := told(day(18)); !slices.Equal(got, both("INV-2026-000001")) {
		t.Errorf("after a week: %q", got)
	}
	s.mails = nil
	s.until(day(90)) // nobody was there meanwhile
	if got := overdue(s.mails); !slices.Equal(got, both("INV-2026-000001", "INV-2026-000003")) {
		t.Errorf("after a long time: %q", got)
	}
	s.mails = nil
	s.until(day(400))
	if got := overdue(s.mails); len(got) != 0 {
		t.Errorf("for ever: %q", got)
	}
	if next, err := s.db.NextAt(t.Context(), s.desk.Agenda()); err != nil || next != month(14).UnixNano() {
		t.Errorf("due again at %s, %v", time.Unix(0, next), err)
	}
	for id, want := range map[string]string{
		late: "overdue 100+24 paid 0+0 open 124", paid: "paid 50+12 paid 50+12 open 0", long: "overdue 25+6 paid 0+0 open 31",
	} {
		if got := s.stands(o, w, id); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	s.verified()
}

// overdue are to whom mails about overdue invoices went, of which, and whether they say
// how to pay.
func overdue(mails []mail.Message) (all []string) {
	for _, m := range mails {
		if _, rest, is := strings.Cut(m.Data["subject"], ": invoice "); is {
			number, _, _ := strings.Cut(rest, " ")
			all = append(all, fmt.Sprintf("%s %s %t", m.To, number, strings.Contains(m.Data["text"], "IBAN 1")))
		}
	}
	return all
}

// # A statement has the invoices that were open at the end of its month, also if it is made
// later, when they have been paid.
func TestAStatementHasWhatWasOpen(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	first, second := s.bill(w, "one", cents(100_00), false, 30), s.bill(w, "two", cents(50_00), false, 30)
	if _, err := s.pay(o, first, cents(40_00), "B-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pay(o, second, cents(50_00), "B-2"); err != nil {
		t.Fatal(err)
	}
	if err := s.clock.Set(t.Context(), month(1).Add(time.Hour).UnixNano()); err != nil { // before anybody has made the statement
		t.Fatal(err)
	}
	if _, err := s.pay(o, first, cents(60_00), "B-3"); err != nil {
		t.Fatal(err)
	}
	s.until(month(1).Add(2 * time.Hour))
	doc := s.all(o, invoice.Statement)[0]
	if len(doc.Open) != 1 || doc.Open[0].Number != "INV-2026-000001" || doc.Open[0].Paid != invoice.Money(cents(40_00)) || doc.Open[0].Open != invoice.Money(cents(60_00)) ||
		doc.Open[0].DueOn != "2026-12-22" {
		t.Errorf("%+v", doc.Open)
	}
	if text, err := doc.CSV(); err != nil || !strings.Contains(string(text), `open,open_invoice,"INV-2026-000001, due on 2026-12-22",,,,,,,60,60.00`) {
		t.Errorf("%s, %v", text, err)
	}
	s.until(month(2).Add(time.Hour))
	if doc = s.all(o, invoice.Statement)[1]; len(doc.Open) != 0 {
		t.Errorf("%+v", doc.Open)
	}
}
