package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/wallet"
)

// change puts an organization on a plan at once, as reviewed.
func (d *desk) change(organization, name string) {
	d.Helper()
	d.update(func(tx *db.Tx) error {
		r, err := d.plans.Review(tx, organization, name, false)
		if err == nil {
			_, err = d.plans.Change(tx, organization, name, false, r.Token)
		}
		return err
	})
}

func (d *desk) set(p plan.Plan) {
	d.Helper()
	d.update(func(tx *db.Tx) error {
		_, err := d.plans.Set(tx, p)
		return err
	})
}

func (d *desk) overdraft(slug string) (amount credit.Amount) {
	d.Helper()
	id := d.wallet(slug)
	d.update(func(tx *db.Tx) error {
		present, err := d.books.Apply(tx, id)
		amount = present.Wallet.Root().Policy.Overdraft
		return err
	})
	return amount
}

func (d *desk) ownOverdraft(slug string, amount credit.Amount) {
	d.Helper()
	id := d.wallet(slug)
	d.update(func(tx *db.Tx) error {
		_, err := d.orgs.SetPolicy(tx, id, org.Patch{Overdraft: &amount})
		return err
	})
}

// # The overdraft of a plan goes with it, also if the plan gives less by then; what the
// operator has set by hand stands.
func TestAnOverdraftEndsWithItsPlan(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	id := d.wallet("default").Organization
	is := func(when string, want credit.Amount) {
		t.Helper()
		if got := d.overdraft("default"); got != want {
			t.Errorf("%s: %s, not %s", when, got, want)
		}
	}
	d.set(plan.Plan{Name: "pro", Overdraft: 5 * credit.One})
	d.set(plan.Plan{Name: "max", Overdraft: 9 * credit.One})
	d.ownOverdraft("default", 2*credit.One)
	d.change(id, "pro")
	is("on pro", 5*credit.One)
	d.set(plan.Plan{Name: "pro"}) // it gives nothing by now
	d.change(id, plan.Core)
	is("back on core", 2*credit.One)
	d.change(id, "max")
	is("on max", 9*credit.One)
	d.change(id, "pro")
	is("from max to pro", 2*credit.One)
	d.change(id, "max")
	d.ownOverdraft("default", 20*credit.One)
	d.change(id, "pro")
	is("the operator's own", 20*credit.One)
	d.change(id, "max")
	is("more than the plan's", 20*credit.One)
	d.ownOverdraft("default", 0)
	d.change(id, plan.Core)
	is("the operator took it", 0)
	d.verified()
}

// # Who has overdrawn when the overdraft ends owes exactly that: what runs ends at that
// instant, nothing more is charged, and nothing new starts.
func TestWorkBelowTheFloorEnds(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	id := d.wallet("default")
	d.set(plan.Plan{Name: "pro", Overdraft: 100 * credit.One})
	d.change(id.Organization, "pro")
	rate, err := credit.NewRate(76*credit.One/100, credit.Units)
	if err != nil {
		t.Fatal(err)
	}
	item := wallet.Item{SKU: "gpu.a10", Tier: "on-demand", Unit: "hour", Quantity: credit.Units, Price: 76 * credit.One / 100, Card: "default", Version: 1,
		Rate: rate, Period: credit.Hour}
	startFlow := func(flow string) error {
		return d.db.Update(t.Context(), func(tx *db.Tx) error {
			_, err := d.books.Apply(tx, id, wallet.Start{ID: flow, Items: []wallet.Item{item}})
			return err
		})
	}
	if err := startFlow("flow_1"); err != nil {
		t.Fatal(err)
	}
	d.to(start + 3*int64(time.Hour))
	d.change(id.Organization, plan.Core)
	stands := func(when string) {
		t.Helper()
		d.update(func(tx *db.Tx) error {
			present, err := d.books.Apply(tx, id)
			if err != nil {
				return err
			}
			b, flows := present.Wallet.View().Balance(present.At), present.Wallet.Flows()
			if b.Balance != -228*credit.One/100 || b.Available > 0 || len(flows) != 0 {
				t.Errorf("%s: balance %s, available %s, %d flows", when, b.Balance, b.Available, len(flows))
			}
			return nil
		})
	}
	stands("at once")
	if err := startFlow("flow_2"); err == nil {
		t.Error("new work has started below the floor")
	}
	d.to(start + 5*int64(time.Hour))
	stands("later")
	d.verified()
}

// # Programs are told of each lot once for 30, 7 and 1 days, whatever it came from; a
// reminder that fell into a time when nobody was there is made up for, by one; a lot that
// is younger than the instant has none.
func TestProgramsAreToldOfLotsThatExpire(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	var told []string
	d.plans.Raise = func(tx *db.Tx, organization, workspace, event string, data map[string]string) error {
		at := time.Unix(0, tx.Now()).UTC().Format("01-02")
		tx.AfterCommit(func() { told = append(told, fmt.Sprint(at, " ", event, " ", data["lot"], " ", data["amount"])) })
		return nil
	}
	id := d.wallet("default")
	at := func(month time.Month, day int) int64 {
		return time.Date(2027, month, day, 15, 0, 0, 0, time.UTC).UnixNano()
	}
	grant := func(lot string, kind wallet.LotKind, expires int64) {
		d.update(func(tx *db.Tx) error {
			_, err := d.books.Apply(tx, id, wallet.Grant{Lot: wallet.Lot{ID: lot, Kind: kind, Amount: credit.One, ExpiresAt: expires}})
			return err
		})
	}
	grant("lot_plan", wallet.Plan, at(4, 15))
	grant("lot_contract", wallet.Commitment, at(4, 15))
	grant("lot_code", wallet.Promotional, at(4, 15))
	grant("lot_bought", wallet.Purchased, at(4, 15))
	expect := func(when string, want ...string) {
		t.Helper()
		d.due()
		if slices.Sort(told); !slices.Equal(told, want) {
			t.Errorf("%s: %q", when, told)
		}
		told = nil
	}
	all := func(day string) (out []string) {
		for _, lot := range []string{"lot_bought", "lot_code", "lot_contract", "lot_plan"} {
			out = append(out, day+" lot.expiring "+lot+" 1")
		}
		return out
	}
	d.to(at(3, 15))
	expect("the day before")
	d.to(at(3, 28)) // nobody was there on 16 March
	expect("late", all("03-28")...)
	grant("lot_young", wallet.Promotional, at(4, 15))
	d.to(at(3, 29))
	expect("once")
	d.to(at(4, 8))
	expect("seven", append(all("04-08"), "04-08 lot.expiring lot_young 1")...)
	d.to(at(4, 15) - int64(time.Hour)) // nobody was there on the 14th
	expect("the last", append(all("04-15"), "04-15 lot.expiring lot_young 1")...)
	d.to(at(4, 16))
	expect("afterwards")
}

// # Single sign-on is set up by who has it; the refusal names the plans that have it.
func TestSingleSignOnIsThePlans(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	id := d.wallet("default").Organization
	may := func() (err error) {
		d.update(func(tx *db.Tx) error {
			err = d.plans.MaySSO(tx, id)
			return nil
		})
		return err
	}
	if err := may(); err != nil {
		t.Errorf("where no plan was set up: %v", err)
	}
	d.set(plan.Plan{Name: plan.Core})
	d.set(plan.Plan{Name: "pro", Features: []plan.Feature{plan.SSO}})
	if err := may(); !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), "enterprise, pro") {
		t.Errorf("on core without it: %v", err)
	}
	d.change(id, "pro")
	if err := may(); err != nil {
		t.Errorf("on pro: %v", err)
	}
}
