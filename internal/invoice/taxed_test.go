package invoice_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/tax"
	"github.com/purserhq/purser/internal/wallet"
)

// # An invoice has the country and tax id of its payment, whatever the profile says by then,
// with the evidence and the note of the law; what corrects it has the same.
func TestEvidenceIsOfThePayment(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	s.update(func(tx *db.Tx) error {
		_, err := invoice.PutSeller(tx, invoice.Seller{LegalName: "Seller", Country: "GR", TaxID: "EL094019245"})
		return err
	})
	profile := func(country, id, name string) {
		s.update(func(tx *db.Tx) error {
			_, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{Country: &country, TaxID: &id, LegalName: &name})
			return err
		})
	}
	profile("FR", "FR83404833048", "Acme SA")
	evidence := tax.Evidence{TaxID: "DE811569869", State: tax.Verified, VerifiedOn: "2026-11-20", Reference: "VIES W1"}
	line, err := tax.Table{Rates: tax.Rates{{Country: "DE", From: "2021-01-01", Name: "USt", Rate: 190_000, IsReverseCharge: true}}}.
		On(tax.Buyer{Country: "DE", Evidence: evidence}, cents(10_000), "2026-11-22")
	if err != nil {
		t.Fatal(err)
	}
	s.apply(w, s.lot(wallet.Purchased, cents(10_000), 0))
	s.issue(o, invoice.Paid{ID: "pay_1", At: start.UnixNano(), Line: line})
	profile("US", "", "Acme Inc")
	refund := invoice.Refunded{ID: "ref_1", At: start.UnixNano(), Payment: "pay_1", Net: cents(10_000)}
	s.update(func(tx *db.Tx) error { _, err := s.desk.Credit(tx, o.ID, refund); return err })
	s.update(func(tx *db.Tx) error { _, err := s.desk.Reinstate(tx, o.ID, refund); return err })
	all := append(s.all(o, invoice.Invoice), s.all(o, invoice.CreditNote)...)
	if len(all) != 3 {
		t.Fatalf("%d documents", len(all))
	}
	for _, doc := range all {
		box := doc.Tax
		if doc.Buyer.Country != "DE" || doc.Buyer.TaxID != "DE811569869" || doc.Buyer.Name != "Acme SA" || doc.Buyer.ID != o.ID {
			t.Errorf("%s is to %+v", doc.Number, doc.Buyer)
		}
		if box.Rule != "reverse_charge" || box.ValidFrom != "2021-01-01" || box.TaxIDState != "verified" || box.VerifiedOn != "2026-11-20" || box.Verification != "VIES W1" {
			t.Errorf("%s: %+v", doc.Number, box)
		}
		for _, part := range []string{"Reverse charge", "2006/112/EC", "seller: EL094019245.", "customer: DE811569869."} {
			if !strings.Contains(doc.Note, part) {
				t.Errorf("%s says %q, without %q", doc.Number, doc.Note, part)
			}
		}
		if table, err := doc.CSV(); err != nil || !strings.Contains(string(table), "note,"+doc.Note) {
			t.Errorf("%s: %s %v", doc.Number, table, err)
		}
	}
	s.until(month(1))
	s.until(month(2))
	statements := s.all(o, invoice.Statement)
	if len(statements) != 2 || !strings.HasPrefix(statements[0].Note, "Reverse charge") || statements[1].Note != "" {
		t.Errorf("%d statements: %+v", len(statements), statements)
	}
}

// # Outside of the European Union no directive is named, and a payment from before evidence
// was kept has what the profile says.
func TestNoteElsewhere(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	country, id := "CH", "CHE-116.281.710 MWST"
	s.update(func(tx *db.Tx) error {
		_, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{Country: &country, TaxID: &id})
		return err
	})
	s.issue(o, invoice.Paid{ID: "pay_1", At: start.UnixNano(), Line: tax.Line{Country: "CH", Name: "MWST", Rate: 81_000, IsReverseCharge: true, Net: cents(100)}})
	s.issue(o, paid("pay_2", cents(100), 240_000))
	all := s.all(o, invoice.Invoice)
	const want = "Reverse charge: the customer owes the tax on this supply in its own country. Tax id of the customer: CHE116281710MWST."
	if all[0].Note != want || all[0].Buyer.Country != "CH" || all[0].Tax.Rule != "" {
		t.Errorf("%q %+v", all[0].Note, all[0].Buyer)
	}
	if all[1].Note != "" || all[1].Buyer.Country != "GR" || all[1].Buyer.TaxID != "" {
		t.Errorf("%q %+v", all[1].Note, all[1].Buyer)
	}
}
