package pay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/tax"
)

// profile changes the country and tax id of the organization.
func (s *till) profile(country, id string) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		if _, err := s.orgs.SetProfile(tx, s.id.Organization, org.ProfilePatch{Country: &country, TaxID: &id}); err != nil {
			return err
		}
		return s.pay.Wake(tx, s.id.Organization)
	})
}

func (s *till) table(t tax.Table) {
	s.Helper()
	s.update(func(tx *db.Tx) error { return tax.Replace(tx, t) })
}

var europe = tax.Table{Rates: tax.Rates{
	{Country: "GR", Name: "VAT", Rate: 240_000, IsHome: true}, {Country: "DE", Name: "USt", Rate: 190_000, IsReverseCharge: true},
	{Country: "FI", Name: "ALV", Rate: 240_000}, {Country: "FI", From: "2027-03-02", Name: "ALV", Rate: 255_000},
}}

// # Where tax is collected nothing is sold to who names no country, and nobody is asked for
// money; where it is not, nothing is asked.
func TestNoCountry(t *testing.T) {
	s := newTill(t)
	s.profile("", "")
	err := s.db.Update(t.Context(), func(tx *db.Tx) error {
		_, err := s.pay.Begin(tx, s.id, pay.TopUp{Amount: 20 * one})
		return err
	})
	if f := fault.Of(err); f == nil || f.Code != "no_tax_country" || f.Values["field"] != "country" {
		t.Errorf("it is sold: %v", err)
	}
	review := func() (line tax.Line, missing *fault.Fault) {
		s.view(func(tx *db.Tx) (err error) {
			line, missing, err = s.pay.Review(tx, s.id.Organization)
			return err
		})
		return line, missing
	}
	if _, missing := review(); missing == nil || missing.Code != "no_tax_country" {
		t.Errorf("the review says nothing: %v", missing)
	}
	s.view(func(tx *db.Tx) error {
		all, err := s.pay.Payments(tx, s.id, "", "", 10)
		if len(all) != 0 {
			t.Errorf("%+v", all)
		}
		return err
	})
	s.table(tax.Table{})
	if line, missing := review(); missing != nil || line.Rule != tax.NotTaxed {
		t.Errorf("%+v %v", line, missing)
	}
	if p := s.begin(pay.TopUp{Amount: 20 * one}); p.Line.Tax != 0 || p.Line.Rule != tax.NotTaxed {
		t.Errorf("%+v", p.Line)
	}
	s.verified()
}

// # Auto top-up that cannot be taxed is not switched on; on already, it waits, tells the
// owners once, and goes on when there is a country.
func TestAutoTopUpWaitsForACountry(t *testing.T) {
	s := newTill(t)
	s.owner()
	s.paid(30 * one)
	s.card("4242")
	set := pay.AutoTopUp{IsOn: true, Threshold: 20 * one, Amount: 20 * one}
	s.auto(set)
	s.profile("", "")
	s.mails = nil
	s.use(15 * one)
	s.pass(26 * time.Hour)
	told := 0
	for _, m := range s.mails {
		if strings.Contains(m.Data["subject"], "waits for the country") {
			told++
		}
	}
	if a := s.autoNow(); len(s.autos()) != 0 || told != 1 || a.WaitsFor != pay.ForCountry || !a.IsOn || a.StartedAt != 0 {
		t.Fatalf("%d payments, told %d times: %+v", len(s.autos()), told, a)
	}
	err := s.db.Update(t.Context(), func(tx *db.Tx) error {
		set.ID, set.DayCeiling, set.MonthCeiling = s.id, pay.DefaultDayCeiling, pay.DefaultMonthCeiling
		_, err := s.pay.SetAutoTopUp(tx, set)
		return err
	})
	if f := fault.Of(err); f == nil || f.Code != "no_tax_country" {
		t.Errorf("it is switched on: %v", err)
	}
	s.profile("GR", "")
	s.settle()
	if all := s.autos(); len(all) != 1 || all[0].Status != pay.Succeeded || all[0].Line.Tax != 20*one*24/100 || s.autoNow().WaitsFor != "" {
		t.Errorf("%+v %+v", all, s.autoNow())
	}
	s.verified()
}

// # The country that goes between a card that failed and its backup ends the round well.
func TestACountryGoesBeforeTheBackup(t *testing.T) {
	s := newTill(t)
	s.owner()
	s.paid(20 * one)
	s.card("0341")
	s.card("4242")
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 30 * one, Amount: 20 * one})
	s.step = func(name string) error {
		if name == "claimed" {
			s.profile("", "")
		}
		return nil
	}
	s.settle()
	s.step = nil
	if all, a := s.autos(), s.autoNow(); len(all) != 1 || all[0].Status != pay.Failed || a.WaitsFor != pay.ForCountry || a.Payment != "" || !a.IsOn {
		t.Errorf("%+v %+v", all, a)
	}
	s.verified()
}

// # What a payment was taxed by is what was so on its day, whatever becomes of the profile
// and the table before it is paid.
func TestTaxIsFrozen(t *testing.T) {
	s := newTill(t)
	s.table(europe)
	s.profile("DE", "DE 811 569 869")
	s.update(func(tx *db.Tx) error {
		_, err := s.orgs.VerifyTaxID(tx, s.id.Organization, "DE811569869", org.Verification{On: "2027-02-28", Reference: "VIES W1", By: "usr_op"})
		return err
	})
	p := s.begin(pay.TopUp{Amount: 100 * one})
	want := tax.Line{
		Country: "DE", Name: "USt", Rate: 190_000, IsReverseCharge: true, Net: 100 * one, Rule: tax.ReverseCharge,
		Evidence: tax.Evidence{TaxID: "DE811569869", State: tax.Verified, VerifiedOn: "2027-02-28", Reference: "VIES W1"},
	}
	if p.Line != want {
		t.Fatalf("%+v", p.Line)
	}
	s.profile("FI", "")
	strict := europe
	strict.IsVerifiedOnly = true
	s.table(strict)
	if now := s.payment(p.No); now.Line != want {
		t.Errorf("%+v", now.Line)
	}
	for _, c := range []struct {
		after       time.Duration
		rate        tax.Millionths
		from, owing string
	}{{0, 240_000, "", "24"}, {24 * time.Hour, 255_000, "2027-03-02", "25.5"}} {
		s.pass(c.after)
		if l := s.begin(pay.TopUp{Amount: 100 * one}).Line; l.Rate != c.rate || l.From != c.from || l.Tax.String() != c.owing || l.Rule != tax.Standard {
			t.Errorf("after %s: %+v", c.after, l)
		}
	}
	s.profile("DE", "DE811569869")
	if l := s.begin(pay.TopUp{Amount: 100 * one}).Line; l.Rule != tax.Standard || l.State != tax.FormChecked {
		t.Errorf("what nobody has verified reverses the charge: %+v", l)
	}
	s.verified()
}
