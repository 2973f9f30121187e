package e2e

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/sync/errgroup"
	_ "modernc.org/sqlite"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// ways are how credits are bought: each does so once, whatever becomes of the server
// meanwhile, and has time pass until nothing of it is waited for.
var ways = []struct {
	name   string
	isPaid bool
	buy    func(*buyer) error
}{
	{"on a page", true, func(b *buyer) error {
		p, err := b.client.TopUp(b.ctx, "acme", api.NewTopUp{Amount: "20"})
		if err != nil {
			return err
		}
		for end := time.Now().Add(2 * startLimit); p.URL == "" && time.Now().Before(end); { // it was killed before it had the page
			if err := b.pass(60); err != nil {
				return err
			}
			if p, err = b.client.Payment(b.ctx, "acme", p.ID); err != nil {
				return err
			}
		}
		return b.pay(p.URL, "4242")
	}},
	{"by card", true, func(b *buyer) error { return b.charge("4242") }},
	{"by a card whose answer is lost", true, func(b *buyer) error { return b.charge("0408") }},
	{"by a card that is declined", false, func(b *buyer) error { return b.charge("0341") }},
	{"automatically", true, func(b *buyer) error {
		// What is there is the threshold, so that exactly one round is begun.
		_, err := b.client.SetAutoTopUp(b.ctx, "acme", api.AutoTopUpChange{
			Enabled: true, Threshold: b.had, Target: api.NanoCredits(credits(b.t, b.had) + 20_000_000_000),
			DayCeiling: "1000000", MonthCeiling: "1000000",
		})
		return err
	}},
}

// buyer is an organization that buys credits.
type buyer struct {
	*server
	methods map[string]string         // the saved cards by their last digits
	had     api.Amount                // what was available before
	pass    func(seconds int64) error // has time pass, or waits a moment where it passes by itself
}

// charge buys by a saved card.
func (b *buyer) charge(last4 string) error {
	_, err := b.client.TopUp(b.ctx, "acme", api.NewTopUp{Amount: "20", Method: b.methods[last4]})
	return err
}

// pay fills in a page of the sandbox, again if the server did not answer.
func (b *buyer) pay(page, last4 string) (err error) {
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var r *http.Response
		if r, err = http.PostForm(strings.Replace(page, "/save/", "/pay/", 1), url.Values{"card": {last4}}); err != nil {
			continue
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return nil
		}
		return fmt.Errorf("%s answers %s", page, r.Status)
	}
	return err
}

// SIGKILL of the real program at every write and every flush of a top-up, from the request
// until everybody was told, for each way to buy: what the bank has taken is one lot, one
// invoice and one receipt, what it has not taken is none, and the books verify.
func TestServerKilledAtEveryStepOfATopUp(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, "--test-clock", "2027-03-01T00:00:00Z")
			b := s.buyer(func(seconds int64) error {
				_, err := s.client.AdvanceClock(s.ctx, api.Advance{BySeconds: fmt.Sprint(seconds)})
				return err
			})
			k, bought := s.atToll(), 0
			for step := 1; ; step++ {
				b.had = b.balance().Available
				bought++
				wasKilled := k.during(step, func() error {
					if err := way.buy(b); err != nil {
						return err
					}
					return b.pass(3600)
				})
				if !wasKilled {
					break
				}
			}
			t.Logf("killed at %d steps", bought-1)
			if bought-1 < 12 {
				t.Error("these are too few to be all")
			}
			paid := 0
			if way.isPaid {
				paid = bought
			}
			b.holds(paid, bought-paid, "sqlite", filepath.Join(s.dir, "purser.db"))
		})
	}
}

// The same in real time, with many buying at once and all loops at work, killed at random,
// on both databases.
func TestServerKilledAtRandomInTopUps(t *testing.T) {
	t.Parallel()
	if !isSoak {
		t.Log("what a server that was killed had asked is asked again after 45 s: this is for make soak")
		return
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.buyer(s.waits).storm("sqlite", filepath.Join(s.dir, "purser.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		base, err := dbtest.New("shared_buffers = 16MB")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { base.Remove() })
		s := start(t, "--database", base.URL("postgres"))
		s.buyer(s.waits).storm("pgx", base.URL("postgres"))
	})
}

func (s *server) waits(int64) error {
	time.Sleep(100 * time.Millisecond)
	return nil
}

// storm has many buy, each in one of the ways that somebody takes, while the server is
// killed again and again.
func (b *buyer) storm(driver, database string) {
	b.t.Helper()
	seed := uint64(time.Now().UnixNano())
	b.t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var all errgroup.Group
	paid, failed := 0, 0
	for range 60 {
		for _, way := range ways[:4] {
			for range 2 {
				all.Go(func() error { return way.buy(b) })
			}
			if way.isPaid {
				paid += 2
			} else {
				failed += 2
			}
		}
		time.Sleep(time.Duration(random.IntN(200_000)) * time.Microsecond)
		b.kill()
		b.run()
	}
	b.check(all.Wait())
	b.within(3*time.Minute, "the end of all payments", func() bool {
		for _, status := range []string{"created", "pending", "confirm"} {
			open, err := b.client.Payments(b.ctx, "acme", api.PaymentQuery{Status: status})
			if err != nil || len(open.Items) > 0 {
				return false
			}
		}
		return true
	})
	time.Sleep(2 * time.Second) // notices of the sandbox that are still to come change nothing
	b.holds(paid, failed, driver, database)
}

// buyer is an organization with saved cards.
func (s *server) buyer(pass func(seconds int64) error) *buyer {
	s.t.Helper()
	s.client.Patience = startLimit
	s.space(1, 1, "1")
	_, err := s.client.PutSeller(s.ctx, api.Seller{LegalName: "GPU Cloud Ltd.", Country: "GR"})
	s.check(err)
	contact := "bills@acme.example"
	_, err = s.client.ChangeBillingProfile(s.ctx, "acme", api.BillingProfileChange{BillingEmail: &contact})
	s.check(err)
	b := &buyer{server: s, methods: map[string]string{}, pass: pass}
	for i, card := range []string{"4242", "0408", "0341"} {
		page, err := s.client.AddPaymentMethod(s.ctx, "acme")
		s.check(err)
		s.check(b.pay(page.URL, card))
		s.within(startLimit, "the saved card", func() bool {
			s.check(pass(1))
			all, err := s.client.PaymentMethods(s.ctx, "acme")
			s.check(err)
			if len(all.Items) <= i {
				return false
			}
			b.methods[card] = all.Items[i].ID
			return true
		})
	}
	return b
}

// holds holds what the server says of its payments, so many of them paid and so many not,
// against the rows of the bank, of invoices and of mails. The server ends with it.
func (b *buyer) holds(paid, failed int, driver, database string) {
	b.t.Helper()
	lots := map[string]int{}
	all(b.server, func(p api.Page) (api.List[api.Lot], error) { return b.client.Lots(b.ctx, "acme", p) }, func(l api.Lot) {
		if l.Source == "manual" || l.Source == "auto" {
			lots[l.Reason]++
		}
	})
	ended := map[string]int{}
	all(b.server, func(p api.Page) (api.List[api.Payment], error) {
		return b.client.Payments(b.ctx, "acme", api.PaymentQuery{Page: p})
	}, func(p api.Payment) {
		ended[p.Status]++
		if n := lots[p.ID]; n > 1 || (n == 1) != (p.Status == "succeeded") {
			b.t.Errorf("payment %s is %s and has %d lots", p.ID, p.Status, n)
		}
	})
	if ended["succeeded"] != paid || ended["failed"] != failed || ended["succeeded"]+ended["failed"] != paid+failed || len(lots) != paid {
		b.t.Errorf("payments %v and %d lots, where %d are paid and %d are not", ended, len(lots), paid, failed)
	}
	if got, want := credits(b.t, b.balance().Available), int64(1+20*paid)*1_000_000_000; got != want {
		b.t.Errorf("%d are available, not %d", got, want)
	}
	b.verify()
	b.kill()
	rows, err := sql.Open(driver, database)
	b.check(err)
	defer rows.Close()
	for what, query := range map[string]string{
		"payments that the bank took":     `SELECT COUNT(*), COUNT(DISTINCT payment) FROM sandbox_payments WHERE status = 'succeeded'`,
		"lots of these":                   `SELECT COUNT(*), COUNT(DISTINCT p.lot) FROM sandbox_payments s JOIN payments p ON p.id = s.payment WHERE s.status = 'succeeded' AND p.lot <> ''`,
		"invoices":                        `SELECT COUNT(*), COUNT(DISTINCT source) FROM invoices WHERE kind = 'invoice'`,
		"mails that carry an invoice":     `SELECT COUNT(*), COUNT(DISTINCT data) FROM mails WHERE template = 'invoice'`,
		"receipts":                        `SELECT COUNT(*), COUNT(DISTINCT id) FROM mails WHERE template = 'notice' AND data LIKE '%Receipt for%'`,
		"records that a payment was made": `SELECT COUNT(*), COUNT(DISTINCT target) FROM audit WHERE action = 'payment-succeeded'`,
	} {
		var n, distinct int
		b.check(rows.QueryRow(query).Scan(&n, &distinct))
		if n != paid || distinct != paid {
			b.t.Errorf("%s: %d, %d of them different, and not %d", what, n, distinct, paid)
		}
	}
	b.t.Logf("%d paid and %d unpaid top-ups: a lot, an invoice and a receipt for each that was paid", paid, failed)
}
