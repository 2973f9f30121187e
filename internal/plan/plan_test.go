package plan_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

var start = time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC).UnixNano()

// desk is one server of an installation.
type desk struct {
	*testing.T
	db    *db.DB
	clock *db.TestClock
	books *ledger.Ledger
	orgs  *org.Orgs
	plans *plan.Book
	desk  *invoice.Desk

	mu    sync.Mutex
	mails []string
}

func newDesk(t *testing.T, url string) *desk {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d := &desk{T: t, clock: db.NewTestClock(start)}
	var err error
	if d.db, err = db.Open(t.Context(), db.Config{URL: url, Clock: d.clock, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.db.Close() })
	d.books = ledger.New(d.db, log)
	prices := price.NewBook(d.books)
	d.orgs = org.New(d.books)
	d.desk = invoice.New(invoice.Config{DB: d.db, Books: d.books, Orgs: d.orgs})
	d.plans = plan.New(plan.Config{
		DB: d.db, Books: d.books, Prices: prices, Orgs: d.orgs, Invoices: d.desk, Usage: usage.New(d.books, prices, project.NewBook(d.books)),
		URL: "https://purser.example", Operator: "op@purser.example", Log: log, Put: func(tx *db.Tx, m mail.Message) error {
			tx.AfterCommit(func() {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.mails = append(d.mails, m.To+": "+m.Data["subject"]+"\n"+m.Data["text"])
			})
			return nil
		},
	})
	d.update(func(tx *db.Tx) error {
		return errors.Join(d.books.Open(tx), prices.Open(tx), d.plans.Open(tx), d.orgs.Open(tx))
	})
	return d
}

func (d *desk) update(fn func(tx *db.Tx) error) {
	d.Helper()
	if err := d.db.Update(d.Context(), fn); err != nil {
		d.Fatal(err)
	}
}

// to moves the clock and does what is due.
func (d *desk) to(at int64) {
	d.Helper()
	if err := d.clock.Set(d.Context(), at); err != nil {
		d.Fatal(err)
	}
	d.due()
}

func (d *desk) due() {
	d.Helper()
	if err := errors.Join(d.plans.RunDue(d.Context()), d.books.RunDue(d.Context())); err != nil {
		d.Fatal(err)
	}
}

// wallet is the wallet of an organization's default workspace.
func (d *desk) wallet(slug string) (id ledger.ID) {
	d.Helper()
	d.update(func(tx *db.Tx) (err error) {
		id, err = d.orgs.Resolve(tx, slug)
		return err
	})
	return id
}

// lots are the lots of an organization, as text.
func (d *desk) lots(slug string) (all []string) {
	d.Helper()
	id := d.wallet(slug)
	d.update(func(tx *db.Tx) error {
		present, err := d.books.Apply(tx, id)
		for _, l := range present.Wallet.View().Lots(tx.Now()) {
			all = append(all, fmt.Sprintf("%s %s %s %s", l.Kind, l.Amount, l.Left, time.Unix(0, l.EffectiveAt).UTC().Format("01-02")))
		}
		return err
	})
	slices.Sort(all)
	return all
}

// # The credits of a month come once to everybody, on however many servers and however
// often it is looked; a month in which nobody was there is left out, and nothing that was
// bought is touched.
func TestTheCreditsOfAMonthComeOnce(t *testing.T) {
	url := dbtest.URL(t)
	d := newDesk(t, url)
	servers := []*desk{d}
	if dbtest.IsPostgres() {
		servers = append(servers, newDesk(t, url))
	}
	const organizations = 45 // more than a unit of work takes
	for n := range organizations {
		d.update(func(tx *db.Tx) error {
			_, w, err := d.orgs.Create(tx, org.Organization{Slug: fmt.Sprintf("o%02d", n)})
			if err == nil {
				_, err = d.books.Apply(tx, w.Wallet(), wallet.Grant{Lot: wallet.Lot{ID: tx.NewID("lot_"), Kind: wallet.Purchased, Amount: 7 * credit.One}})
			}
			return err
		})
	}
	d.due()
	if got := d.lots("o07"); !slices.Equal(got, []string{"purchased 7 7 01-31"}) {
		t.Errorf("off by default: %v", got)
	}
	d.update(func(tx *db.Tx) error {
		_, err := d.plans.Set(tx, plan.Plan{Name: plan.Core, Credits: 100 * credit.One, CreditsKind: wallet.Promotional})
		return err
	})
	d.due()
	next, err := d.db.NextAt(t.Context(), d.plans.Agenda())
	february := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	if err != nil || next != february.UnixNano() {
		t.Errorf("next at %s, %v", time.Unix(0, next).UTC(), err)
	}
	for _, s := range servers {
		if err := s.clock.Set(t.Context(), february.UnixNano()); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for _, s := range servers {
		for range 3 {
			wg.Go(func() {
				if err := s.plans.RunDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	d.to(time.Date(2027, 4, 20, 0, 0, 0, 0, time.UTC).UnixNano()) // nobody was there in March
	want := []string{"promotional 100 0 01-31", "promotional 100 0 02-01", "promotional 100 100 04-20", "purchased 7 7 01-31"}
	for n := range organizations {
		if got := d.lots(fmt.Sprintf("o%02d", n)); !slices.Equal(got, want) {
			t.Errorf("o%02d: %v", n, got)
		}
	}
	d.verified()
}

func (d *desk) verified() {
	d.Helper()
	report, err := d.books.Verify(d.Context(), ledger.Options{Price: price.Audit()})
	if err != nil || !report.IsClean() {
		d.Errorf("%v, %v", report.First, err)
	}
}

// # People are told of credits that expire 30, 7 and 1 days before, in one mail of a day
// that names what is left, once on however many servers.
func TestExpiryIsToldOf(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	email := "cfo@acme.example"
	at := func(month time.Month, day int) int64 {
		return time.Date(2027, month, day, 15, 0, 0, 0, time.UTC).UnixNano()
	}
	d.update(func(tx *db.Tx) error {
		o, w, err := d.orgs.Create(tx, org.Organization{Slug: "acme", Name: "Acme"})
		if err != nil {
			return err
		}
		for i, expires := range []int64{at(4, 15), at(4, 15), at(4, 16), at(4, 15)} {
			l := wallet.Lot{ID: fmt.Sprintf("lot_%d", i+1), Kind: wallet.Promotional, Priority: 10 + i, Amount: credit.Amount(i+1) * credit.One, ExpiresAt: expires}
			if _, err := d.books.Apply(tx, w.Wallet(), wallet.Grant{Lot: l}); err != nil {
				return err
			}
		}
		_, err = d.orgs.SetProfile(tx, o.ID, org.ProfilePatch{BillingEmail: &email})
		return err
	})
	day := func(at int64) int64 { return at - at%(86_400*1_000_000_000) }
	var told []string
	for d.clock.Now() < at(4, 17) {
		next, err := d.db.NextAt(t.Context(), d.plans.Agenda())
		if err != nil {
			t.Fatal(err)
		}
		if next == 0 {
			break
		}
		if next == day(at(4, 8)) { // the first is used up in between
			d.update(func(tx *db.Tx) error {
				id, err := d.orgs.Resolve(tx, "acme")
				if err == nil {
					_, err = d.books.Apply(tx, id, wallet.Use{Lines: []wallet.Line{{SKU: "network.egress", Tier: "on-demand", Unit: "gib", Quantity: credit.Units,
						Price: credit.One, Card: "default", Version: 1, Amount: credit.One, At: tx.Now()}}})
				}
				return err
			})
		}
		d.to(next)
		d.due() // again
		for _, m := range d.mails {
			var lots []string
			for i := range 4 {
				if lot := fmt.Sprintf("lot_%d", i+1); strings.Contains(m, lot) {
					lots = append(lots, lot)
				}
			}
			told = append(told, time.Unix(0, next).UTC().Format("01-02 15h ")+strings.Join(lots, " "))
		}
		d.mails = nil
	}
	want := []string{"03-16 00h lot_1 lot_2 lot_4", "03-17 00h lot_3", "04-08 00h lot_2 lot_4", "04-09 00h lot_3", "04-14 00h lot_2 lot_4", "04-15 00h lot_3"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

// # Parts of quotes that come by month come on the same day, or the last of a shorter month.
func TestWhatAnOrganizationHas(t *testing.T) {
	d := newDesk(t, dbtest.URL(t))
	id := d.wallet("default")
	var request plan.Request
	d.update(func(tx *db.Tx) (err error) {
		request, err = d.plans.Ask(tx, id.Organization, "operator", plan.Ask{Contact: "x", Targets: []plan.Target{{SKU: "gpu.h100", Count: 1, Days: 90}}})
		return err
	})
	until := time.Date(2027, 4, 30, 23, 0, 0, 0, time.UTC).UnixNano()
	d.update(func(tx *db.Tx) error {
		_, err := d.plans.Offer(tx, request.ID, plan.Quote{Until: until, ValidUntil: start + 1, Commitment: 100 * credit.One, Schedule: plan.Monthly})
		return err
	})
	d.update(func(tx *db.Tx) error {
		_, err := d.plans.Accept(tx, id.Organization, "operator", request.ID, 1)
		return err
	})
	has := func(want bool) {
		t.Helper()
		d.update(func(tx *db.Tx) error {
			got, err := d.plans.Has(tx, id.Organization, plan.SLA)
			if got != want {
				t.Errorf("has the SLA: %t", got)
			}
			return err
		})
	}
	has(true)
	for {
		next, err := d.db.NextAt(t.Context(), d.plans.Agenda())
		if err != nil {
			t.Fatal(err)
		}
		if next == 0 {
			break
		}
		d.to(next)
	}
	has(false)
	want := []string{"commitment 33.33 0 02-28", "commitment 33.33 0 03-31", "commitment 33.34 0 01-31"}
	if got := d.lots("default"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	d.verified()
}
