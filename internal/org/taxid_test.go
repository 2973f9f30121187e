package org_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/tax"
)

// taxed changes the country and tax id of an organization.
func (s *town) taxed(o org.Organization, country, id string) (p org.Profile, err error) {
	err = s.try(func(tx *db.Tx) (err error) {
		p, err = s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{Country: &country, TaxID: &id})
		return err
	})
	return p, err
}

// # A tax id is kept as its country writes it, and one that is none changes nothing.
func TestTaxID(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	p, err := s.taxed(o, "DE", " de 811.569.869 ")
	if err != nil || p.TaxID != "DE811569869" || p.Buyer().State != tax.FormChecked {
		t.Fatalf("%+v %v", p, err)
	}
	for _, c := range []struct{ country, id string }{{"DE", "DE811569868"}, {"FR", "DE811569869"}, {"DE", "yes"}} {
		if _, err := s.taxed(o, c.country, c.id); !fault.Is(err, fault.Invalid) || fault.Of(err).Fields[0].Pointer != "/tax_id" {
			t.Errorf("%v: %v", c, err)
		}
	}
	france := "FR"
	err = s.try(func(tx *db.Tx) error {
		_, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{Country: &france})
		return err
	})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("the country changes under the id: %v", err)
	}
	if p := s.profile(o); p.TaxID != "DE811569869" || p.Country != "DE" {
		t.Errorf("%+v", p)
	}
	if p, err := s.taxed(o, "JP", "T123"); err != nil || p.Buyer().State != tax.Unchecked {
		t.Errorf("%+v %v", p, err)
	}
}

// # An id that was stored before forms were checked reverses nothing, and hinders no other
// change of the profile.
func TestATaxIDFromBefore(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	if _, err := s.taxed(o, "DE", ""); err != nil {
		t.Fatal(err)
	}
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE profiles SET tax_id = 'DE1' WHERE organization = $1`, o.ID)
		return err
	})
	name := "Acme"
	s.update(func(tx *db.Tx) error {
		_, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{LegalName: &name})
		return err
	})
	if p := s.profile(o); p.Buyer().State != tax.Unchecked || p.Buyer().TaxID != "DE1" || p.LegalName != name {
		t.Errorf("%+v", p)
	}
	if _, err := s.verify(o, "DE1", "2026-11-20", "seen"); !fault.Is(err, fault.Invalid) {
		t.Errorf("it is verified: %v", err)
	}
}

// # What the operator has verified is kept with its evidence until the id is another.
func TestVerifiedTaxID(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	if _, err := s.verify(o, "DE811569869", "2026-11-20", "VIES"); !fault.Is(err, fault.Conflict) {
		t.Errorf("nothing is verified: %v", err)
	}
	if _, err := s.taxed(o, "DE", "DE811569869"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id, on, reference string
		kind              fault.Kind
		at                string
	}{
		"tomorrow": {"DE811569869", "2026-11-23", "VIES", fault.Invalid, "/verified_on"}, "no day": {"DE811569869", "", "VIES", fault.Invalid, "/verified_on"},
		"no evidence": {"DE811569869", "2026-11-20", " ", fault.Invalid, "/reference"}, "a novel": {"DE811569869", "2026-11-20", strings.Repeat("x", 501), fault.Invalid, "/reference"},
		"another id": {"DE129273398", "2026-11-20", "VIES", fault.Conflict, ""},
	} {
		_, err := s.verify(o, c.id, c.on, c.reference)
		if !fault.Is(err, c.kind) || c.at != "" && fault.Of(err).Fields[0].Pointer != c.at {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := s.verify(o, "de 811 569 869", "2026-11-20", " VIES consultation WAPIAAAAX ")
	want := tax.Evidence{TaxID: "DE811569869", State: tax.Verified, VerifiedOn: "2026-11-20", Reference: "VIES consultation WAPIAAAAX"}
	if err != nil || p.Buyer().Evidence != want || s.profile(o).Buyer().Evidence != want || s.profile(o).Verification.By != "usr_op" {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := s.taxed(o, "DE", "DE 811569869"); err != nil || p.Buyer().Evidence != want {
		t.Errorf("the same id, written otherwise: %+v %v", p, err)
	}
	if p, err := s.taxed(o, "DE", "DE129273398"); err != nil || p.Buyer().State != tax.FormChecked || p.Verification != (org.Verification{}) {
		t.Errorf("another id is verified: %+v %v", p, err)
	}
	if _, err := s.verify(o, "DE129273398", "2026-11-22", "VIES"); err != nil {
		t.Fatal(err)
	}
	s.update(func(tx *db.Tx) error { _, err := s.orgs.UnverifyTaxID(tx, o.ID); return err })
	if p := s.profile(o); p.Buyer().State != tax.FormChecked {
		t.Errorf("%+v", p)
	}
}

func (s *town) verify(o org.Organization, id, on, reference string) (p org.Profile, err error) {
	err = s.try(func(tx *db.Tx) (err error) {
		p, err = s.orgs.VerifyTaxID(tx, o.ID, id, org.Verification{On: on, Reference: reference, By: "usr_op"})
		return err
	})
	return p, err
}

func (s *town) profile(o org.Organization) (p org.Profile) {
	s.Helper()
	err := s.db.View(s.Context(), func(tx *db.Tx) (err error) {
		p, err = s.orgs.Profile(tx, o.ID)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return p
}
