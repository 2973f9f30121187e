package plan_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/tax"
)

// # Who has a contract cannot take its country out of its profile: what is due could not be
// invoiced, and would never be owed. It can move to another country.
func TestACountryStaysWhileAContractRuns(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	id := d.wallet("default")
	country := func(is string) error {
		return d.db.Update(t.Context(), func(tx *db.Tx) error {
			_, err := d.orgs.SetProfile(tx, id.Organization, org.ProfilePatch{Country: &is})
			return err
		})
	}
	d.update(func(tx *db.Tx) error {
		return tax.Replace(tx, tax.Table{Rates: tax.Rates{{Country: "GR", Name: "VAT", Rate: 240_000}, {Country: "DE", Name: "VAT", Rate: 190_000}}})
	})
	if err := errors.Join(country("GR"), country(""), country("GR")); err != nil {
		t.Fatal(err)
	}
	c := d.contract()
	if f := fault.Of(country("")); f == nil || f.Code != "country_needed" {
		t.Errorf("taken out: %v", f)
	}
	if err := country("DE"); err != nil {
		t.Errorf("moved: %v", err)
	}
	d.to(time.Date(2027, 2, 28, 23, 0, 0, 0, time.UTC).UnixNano())
	if _, invoices := d.commitment(c.ID); !slices.Equal(invoices, []string{"30 by 2027-02-14", "30 by 2027-03-14"}) {
		t.Errorf("%v", invoices)
	}
	d.update(func(tx *db.Tx) error {
		_, err := d.plans.Terminate(tx, id.Organization, c.ID, 15*credit.One)
		return err
	})
	if err := country(""); err != nil {
		t.Errorf("after its end: %v", err)
	}
	d.verified()
}

// # A fee that is invoiced in the same batch keeps its organization from being deleted.
func TestAFeeOfTheSameBatchIsOwed(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	id := d.wallet("default")
	var c plan.Contract
	d.update(func(tx *db.Tx) error {
		asked, err := d.plans.Ask(tx, id.Organization, "operator", plan.Ask{Contact: "x", Targets: []plan.Target{{SKU: "gpu.h100", Count: 1, Days: 90}}})
		if err != nil {
			return err
		}
		_, err = d.plans.Offer(tx, asked.ID, plan.Quote{From: start + int64(time.Hour), Until: time.Date(2027, 4, 30, 23, 0, 0, 0, time.UTC).UnixNano(), ValidUntil: start + 1,
			Commitment: 90 * credit.One, Schedule: plan.Monthly, FeePercent: 50, NetDays: 14})
		if err == nil {
			c, err = d.plans.Accept(tx, id.Organization, "operator", asked.ID, 1)
		}
		return err
	})
	err := d.db.Update(t.Context(), func(tx *db.Tx) error {
		if _, err := d.plans.Terminate(tx, id.Organization, c.ID, 45*credit.One); err != nil {
			return err
		}
		_, err := d.orgs.Archive(tx, id.Organization)
		return err
	})
	if f := fault.Of(err); f == nil || f.Code != "organization_in_use" {
		t.Errorf("deleted while 45 are owed: %v", err)
	}
}
