package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/wallet"
)

// contract is one over 90 credits in three monthly parts, with half of what has not come
// as the fee of an early end.
func (d *desk) contract() (c plan.Contract) {
	d.Helper()
	id := d.wallet("default")
	d.update(func(tx *db.Tx) error {
		asked, err := d.plans.Ask(tx, id.Organization, "operator", plan.Ask{Contact: "x", Targets: []plan.Target{{SKU: "gpu.h100", Count: 1, Days: 90}}})
		if err != nil {
			return err
		}
		_, err = d.plans.Offer(tx, asked.ID, plan.Quote{Until: time.Date(2027, 4, 30, 23, 0, 0, 0, time.UTC).UnixNano(), ValidUntil: start + 1,
			Commitment: 90 * credit.One, Schedule: plan.Monthly, FeePercent: 50, NetDays: 14})
		if err == nil {
			c, err = d.plans.Accept(tx, id.Organization, "operator", asked.ID, 1)
		}
		return err
	})
	return c
}

// commitment is how a contract stands: by what is committed, and the parts of the invoices.
func (d *desk) commitment(id string) (stands plan.Commitment, invoices []string) {
	d.Helper()
	w := d.wallet("default")
	err := d.db.View(d.Context(), func(tx *db.Tx) error {
		c, err := d.plans.Contract(tx, w.Organization, id)
		if err != nil {
			return err
		}
		view, err := d.books.Committed(tx, w)
		if err == nil {
			stands, err = d.plans.Commitment(tx, c, view)
		}
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	for _, r := range stands.Invoices {
		invoices = append(invoices, fmt.Sprint(r.Net, " by ", r.DueOn()))
	}
	return stands, invoices
}

// booked is what was moved to an account of the books, less what was moved from it.
func (d *desk) booked(account string) (sum credit.Amount) {
	d.Helper()
	err := d.db.View(d.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT CAST(COALESCE(SUM(CASE WHEN credit = $1 THEN amount ELSE -amount END), 0) AS BIGINT) FROM postings
			WHERE credit = $1 OR debit = $1`, account).Scan(&sum)
	})
	if err != nil {
		d.Fatal(err)
	}
	return sum
}

// # Credits that are due when a contract is terminated have been earned, also in the moment
// before they are granted: they come, with their invoice, and are not in the fee. The fee is
// an invoice as well.
func TestWhatIsDueAtATermination(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	c := d.contract()
	second := time.Date(2027, 2, 28, 23, 0, 0, 0, time.UTC).UnixNano()
	if err := d.clock.Set(t.Context(), second); err != nil { // nothing has looked yet
		t.Fatal(err)
	}
	stands, _ := d.commitment(c.ID)
	if stands.Granted != 60*credit.One || stands.Left != 60*credit.One || stands.ToCome != 30*credit.One || stands.FeeNow != 15*credit.One {
		t.Errorf("%+v", stands)
	}
	id := d.wallet("default")
	err := d.db.Update(t.Context(), func(tx *db.Tx) error {
		_, err := d.plans.Terminate(tx, id.Organization, c.ID, 30*credit.One) // of two parts
		return err
	})
	if f := fault.Of(err); f == nil || f.Code != "fee_changed" {
		t.Errorf("%v", err)
	}
	d.update(func(tx *db.Tx) error {
		_, err := d.plans.Terminate(tx, id.Organization, c.ID, stands.FeeNow)
		return err
	})
	d.due()
	if got, want := d.lots("default"), []string{"commitment 30 30 01-31", "commitment 30 30 02-28"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	after, invoices := d.commitment(c.ID)
	if want := []string{"30 by 2027-02-14", "30 by 2027-03-14", "15 by 2027-03-14"}; !slices.Equal(invoices, want) || after.Fee != 15*credit.One || after.Granted != 60*credit.One ||
		after.ToCome != 0 {
		t.Errorf("%v, %+v", invoices, after)
	}
	for account, want := range map[string]credit.Amount{ledger.AccountInvoices: -75, ledger.AccountFees: 15, ledger.AccountCash: 0} {
		if got := d.booked(account); got != want*credit.One {
			t.Errorf("%s: %s", account, got)
		}
	}
	d.verified()
}

// # A contract of before there were invoices goes on as it was: its credits count as paid
// when they come. Its fee is invoiced.
func TestAContractOfBefore(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	c := d.contract()
	d.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE contracts SET terms = REPLACE(terms, '"OnAccount":true', '"OnAccount":false')`)
		return err
	})
	d.to(time.Date(2027, 2, 28, 23, 0, 0, 0, time.UTC).UnixNano())
	if stands, invoices := d.commitment(c.ID); stands.Granted != 60*credit.One || !slices.Equal(invoices, []string{"30 by 2027-02-14"}) || d.booked(ledger.AccountCash) != -30*credit.One {
		t.Errorf("%+v, %s", stands, d.booked(ledger.AccountCash))
	}
	id := d.wallet("default")
	d.update(func(tx *db.Tx) error {
		_, err := d.plans.Terminate(tx, id.Organization, c.ID, 15*credit.One)
		return err
	})
	if _, invoices := d.commitment(c.ID); !slices.Equal(invoices, []string{"30 by 2027-02-14", "15 by 2027-03-30"}) {
		t.Errorf("%v", invoices)
	}
	d.verified()
}

// # What a credit note takes back of a contract was neither used nor is it left.
func TestACreditNoteOfAContract(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	c := d.contract()
	d.update(func(tx *db.Tx) error {
		_, err := d.books.Apply(tx, c.Wallet(), wallet.Use{Lines: []wallet.Line{{SKU: "network.egress", Tier: "on-demand", Unit: "gib", Quantity: 200 * credit.Units,
			Price: credit.One / 20, Card: "default", Version: 1, Amount: 10 * credit.One, At: tx.Now()}}})
		return err
	})
	stands, _ := d.commitment(c.ID)
	d.update(func(tx *db.Tx) error {
		_, err := d.desk.Void(tx, c.Organization, stands.Invoices[0].Invoice, "agreed")
		return err
	})
	if after, _ := d.commitment(c.ID); after.Used != 10*credit.One || after.TakenBack != 20*credit.One || after.Left != 0 || d.booked(ledger.AccountInvoices) != 0 ||
		d.booked(ledger.AccountLosses) != -10*credit.One {
		t.Errorf("%+v", after)
	}
	d.verified()
}
