package invoice_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/invoice/paper"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/tax"
)

// # A payment has one invoice however often it is told; its credit note points at it, also
// in the same unit of work; no more is given back than was paid.
func TestInvoiceAndCreditNote(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	p := paid("pay_1", cents(10_000), 240_000)
	refund := invoice.Refunded{ID: "ref_1", Payment: "pay_1", At: start.UnixNano(), Net: cents(2_500), Tax: cents(600)}
	for range 2 {
		s.update(func(tx *db.Tx) error {
			first, err := s.desk.Issue(tx, o.ID, p)
			if err != nil {
				return err
			}
			if again, err := s.desk.Issue(tx, o.ID, p); err != nil || again != first {
				t.Errorf("issued %s, again %s, %v", first, again, err)
			}
			_, err = s.desk.Credit(tx, o.ID, refund)
			return err
		})
	}
	invoices, notes := s.all(o, invoice.Invoice), s.all(o, invoice.CreditNote)
	if len(invoices) != 1 || len(notes) != 1 {
		t.Fatalf("%d invoices, %d credit notes", len(invoices), len(notes))
	}
	i, n := invoices[0], notes[0]
	if i.Number != "INV-2026-000001" || i.Tax.Percent != "24" || i.Tax.Gross.String() != "124.00" || i.Seller.Name == "" || i.Buyer.Name != "ACME & Co <x>" {
		t.Errorf("%+v %+v", i, i.Tax)
	}
	if n.Number != "CN-2026-000001" || n.Corrects.ID != i.ID || n.Corrects.Number != i.Number || n.Tax.Gross.String() != "31.00" || n.Tax.Percent != "24" {
		t.Errorf("%+v %+v %+v", n, n.Corrects, n.Tax)
	}
	for _, wrong := range []invoice.Refunded{
		{ID: "ref_2", Payment: "pay_1", Net: cents(7_501)}, {ID: "ref_2", Payment: "pay_1", Tax: cents(1_801)}, {ID: "ref_2", Payment: "pay_none", Net: cents(1)},
	} {
		err := s.db.Update(t.Context(), func(tx *db.Tx) error {
			_, err := s.desk.Credit(tx, o.ID, wrong)
			return err
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	if len(s.all(o, invoice.CreditNote)) != 1 {
		t.Error("what was refused was issued")
	}
}

// # A refund that comes back has its credit note cancelled by an invoice, once; what is paid
// back after that counts without it.
func TestACreditNoteIsCancelled(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	all := invoice.Refunded{ID: "ref_1", Payment: "pay_1", Net: cents(10_000), Tax: cents(2_400)}
	again := invoice.Refunded{ID: "ref_2", Payment: "pay_1", Net: cents(10_000), Tax: cents(2_400)}
	s.update(func(tx *db.Tx) error {
		_, err := s.desk.Issue(tx, o.ID, paid("pay_1", cents(10_000), 240_000))
		if err == nil {
			_, err = s.desk.Credit(tx, o.ID, all)
		}
		return err
	})
	for range 2 {
		s.update(func(tx *db.Tx) error {
			if id, err := s.desk.Reinstate(tx, o.ID, again); id != "" || err != nil {
				t.Errorf("of a refund without a note: %q %v", id, err)
			}
			_, err := s.desk.Reinstate(tx, o.ID, all)
			return err
		})
	}
	invoices, notes := s.all(o, invoice.Invoice), s.all(o, invoice.CreditNote)
	if len(invoices) != 2 || len(notes) != 1 {
		t.Fatalf("%d invoices, %d credit notes", len(invoices), len(notes))
	}
	if i := invoices[1]; i.Corrects == nil || i.Corrects.Number != notes[0].Number || i.Tax.Gross.String() != "124.00" || i.Number != "INV-2026-000002" {
		t.Errorf("%+v %+v", i, i.Corrects)
	}
	s.update(func(tx *db.Tx) error {
		_, err := s.desk.Credit(tx, o.ID, again)
		return err
	})
	err := s.db.Update(t.Context(), func(tx *db.Tx) error {
		_, err := s.desk.Credit(tx, o.ID, invoice.Refunded{ID: "ref_3", Payment: "pay_1", Net: cents(1)})
		return err
	})
	if !fault.Is(err, fault.Conflict) || len(s.all(o, invoice.CreditNote)) != 2 {
		t.Errorf("more than was paid goes back: %v", err)
	}
}

// # What was issued stays as it was, whatever becomes of prices, the profile, the seller
// and the rates.
func TestFrozen(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	s.issue(o, paid("pay_1", cents(100), 240_000))
	before := s.files(o)
	s.update(func(tx *db.Tx) error {
		name, country := "Another Name", "DE"
		if _, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{LegalName: &name, Country: &country}); err != nil {
			return err
		}
		if _, err := invoice.PutSeller(tx, invoice.Seller{LegalName: "Seller", Prefixes: invoice.Prefixes{Invoice: "RE"}}); err != nil {
			return err
		}
		return tax.Replace(tx, tax.Table{Rates: tax.Rates{{Country: "GR", Name: "VAT", Rate: 1}}})
	})
	s.issue(o, paid("pay_2", cents(100), 240_000))
	after := s.files(o)
	if len(after) != 2 || after[0] != before[0] {
		t.Errorf("%d documents, or other bytes", len(after))
	}
	second := s.all(o, invoice.Invoice)[1]
	if second.Number != "RE-2026-000001" || second.Seller.Name != "Seller" || second.Buyer.Name != "Another Name" {
		t.Errorf("the next one is %+v", second)
	}
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE invoices SET content = REPLACE(content, '"1"', '"2"') WHERE number = 'INV-2026-000001'`)
		return err
	})
	err := s.db.View(t.Context(), func(tx *db.Tx) error {
		found, err := s.desk.Find(tx, o.ID, "INV-2026-000001")
		if err == nil {
			_, err = found.Document()
		}
		return err
	})
	if err == nil {
		t.Error("an edited document is shown as if it were the one that was issued")
	}
}

// files are all forms of all documents of an organization.
func (s *office) files(o org.Organization) (all []string) {
	for _, doc := range s.all(o, "") {
		csv, err := doc.CSV()
		if err != nil {
			s.Fatal(err)
		}
		pdf, err := paper.Draw(doc)
		if err != nil {
			s.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s\n%s\n%s", s.content(o, doc.ID), csv, pdf))
	}
	return all
}

func (s *office) content(o org.Organization, id string) (content string) {
	err := s.db.View(s.Context(), func(tx *db.Tx) error {
		found, err := s.desk.Find(tx, o.ID, id)
		content = found.Content
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return content
}

// # Numbers have no gap: by many at once, on several servers, with units that fail after
// they have issued.
func TestNumbersHaveNoGap(t *testing.T) {
	url := dbtest.URL(t)
	servers := []*office{openReal(t, url)}
	if dbtest.IsPostgres() {
		servers = append(servers, openReal(t, url), openReal(t, url))
	}
	const organizations, each = 8, 25
	var owners []org.Organization
	for i := range organizations {
		o, _ := servers[0].create(fmt.Sprintf("org%d", i))
		owners = append(owners, o)
	}
	var all sync.WaitGroup
	for n := range organizations * each {
		s, o := servers[n%len(servers)], owners[n%organizations]
		all.Go(func() {
			err := s.db.Update(s.Context(), func(tx *db.Tx) error {
				if _, err := s.desk.Issue(tx, o.ID, paid(fmt.Sprintf("pay_%d", n), credit.One, 240_000)); err != nil {
					return err
				}
				if n%7 == 3 {
					return fault.New(fault.Conflict, "it was refused after all")
				}
				return nil
			})
			if (err != nil) != (n%7 == 3) {
				t.Errorf("%d: %v", n, err)
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, o := range owners {
		for _, doc := range servers[0].all(o, invoice.Invoice) {
			if seen[doc.Number] {
				t.Errorf("%s twice", doc.Number)
			}
			seen[doc.Number] = true
		}
	}
	want := 0
	for n := range organizations * each {
		if n%7 != 3 {
			want++
		}
	}
	year := servers[0].year()
	for n := 1; n <= want; n++ {
		if !seen[fmt.Sprintf("INV-%d-%06d", year, n)] {
			t.Errorf("number %d is missing", n)
		}
	}
	if len(seen) != want {
		t.Errorf("%d documents, not %d", len(seen), want)
	}
}
