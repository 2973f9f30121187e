package pay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/tax"
	"github.com/purserhq/purser/internal/wallet"
)

const one = credit.One

var errDied = errors.New("died")

var start = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

// till is a program that takes payments through the sandbox.
type till struct {
	*testing.T
	url      string
	clock    *db.TestClock
	machine  db.Clock // goes before it, if there is one
	db       *db.DB
	books    *ledger.Ledger
	orgs     *org.Orgs
	pay      *pay.Service
	sandbox  *sandbox.Provider
	id       ledger.ID
	mails    []mail.Message
	letters  []mail.Message // what words of the provider had told
	notes    []pay.Refund   // of credit notes
	words    int            // that were said of refunds
	restored int            // credit notes that were cancelled
	step     func(string) error
	hooks    []hook // kept back, if holds
	holds    bool
	chance   sandbox.Chance
	settled  pay.Settings
	mu       sync.Mutex
}

type hook struct {
	header http.Header
	body   []byte
}

func newTill(t *testing.T, set ...func(*till)) *till {
	t.Helper()
	s := &till{T: t, url: dbtest.URL(t)}
	for _, fn := range set {
		fn(s)
	}
	s.open()
	t.Cleanup(func() { s.close() })
	s.update(func(tx *db.Tx) error {
		o, err := s.orgs.Organization(tx, "default")
		if err != nil {
			return err
		}
		w, err := s.orgs.DefaultWorkspace(tx, o)
		s.id = w.Wallet()
		if err != nil {
			return err
		}
		_, err = s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{Country: pointer("GR"), BillingEmail: pointer("bills@acme.example")})
		if err != nil {
			return err
		}
		return tax.Replace(tx, tax.Table{Rates: tax.Rates{{Country: "GR", Name: "VAT", Rate: 240_000, IsHome: true}}})
	})
	return s
}

func pointer[T any](v T) *T { return &v }

// open opens the database, as after a start.
func (s *till) open() {
	s.Helper()
	var err error
	s.clock = db.NewTestClock(start.UnixNano())
	var clock db.Clock = s.clock
	if s.machine != nil {
		clock = s.machine
	}
	if s.db, err = db.Open(context.Background(), db.Config{URL: s.url, Clock: clock, Log: slog.New(slog.DiscardHandler)}); err != nil {
		s.Fatal(err)
	}
	s.books = ledger.New(s.db, slog.New(slog.DiscardHandler))
	s.orgs = org.New(s.books)
	prices := price.NewBook(s.books)
	s.update(func(tx *db.Tx) error { return errors.Join(s.books.Open(tx), prices.Open(tx), s.orgs.Open(tx)) })
	s.sandbox = sandbox.New(sandbox.Config{DB: s.db, URL: "https://purser.example", Chance: s.chance})
	s.pay = pay.New(pay.Config{
		DB: s.db, Books: s.books, Orgs: s.orgs, Provider: s.sandbox, URL: "https://purser.example", Settings: s.settled,
		Put: func(tx *db.Tx, m mail.Message) error {
			tx.AfterCommit(func() { s.mu.Lock(); s.mails = append(s.mails, m); s.mu.Unlock() })
			return nil
		},
		Step: func(name string) error {
			if s.step == nil {
				return nil
			}
			return s.step(name)
		},
	})
	s.sandbox.DeliverTo(func(ctx context.Context, h http.Header, body []byte) error {
		if s.holds {
			s.hooks = append(s.hooks, hook{h, body})
			return nil
		}
		return s.pay.Take(ctx, sandbox.Name, h, body)
	})
}

func (s *till) close() {
	if s.db != nil {
		s.db.Close()
		s.db = nil
	}
}

func (s *till) update(fn func(*db.Tx) error) {
	s.Helper()
	if err := s.db.Update(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

// begin writes a top-up.
func (s *till) begin(t pay.TopUp) (p pay.Payment) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		p, err = s.pay.Begin(tx, s.id, t)
		return err
	})
	return p
}

// buy begins a top-up and tells the provider.
func (s *till) buy(t pay.TopUp) pay.Payment {
	s.Helper()
	p, err := s.pay.Send(s.Context(), s.id, s.begin(t).No)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// onPage pays on the page of a payment.
func (s *till) onPage(p pay.Payment, card string) sandbox.Page {
	s.Helper()
	page, err := s.sandbox.Pay(s.Context(), p.Page, card)
	if err != nil {
		s.Fatal(err)
	}
	return page
}

func (s *till) payment(no string) (p pay.Payment) {
	s.Helper()
	s.view(func(tx *db.Tx) (err error) {
		p, err = s.pay.Payment(tx, s.id, no)
		return err
	})
	return p
}

func (s *till) view(fn func(*db.Tx) error) {
	s.Helper()
	if err := s.db.View(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

// card saves a test card.
func (s *till) card(last4 string) pay.Saved {
	s.Helper()
	page, err := s.pay.Add(s.Context(), s.id.Organization)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := s.sandbox.Pay(s.Context(), page.ID, last4); err != nil {
		s.Fatal(err)
	}
	all := s.methods()
	return all[len(all)-1]
}

func (s *till) methods() (all []pay.Saved) {
	s.Helper()
	s.view(func(tx *db.Tx) (err error) {
		all, err = s.pay.Methods(tx, s.id.Organization)
		return err
	})
	return all
}

// settle does all that is due.
func (s *till) settle() {
	s.Helper()
	for range 1000 {
		if err := s.books.RunDue(s.Context()); err != nil {
			s.Fatal(err)
		}
		a, err := s.pay.RunDue(s.Context())
		b, err2 := s.sandbox.RunDue(s.Context())
		if err := errors.Join(err, err2); err != nil {
			s.Fatal(err)
		}
		if !a && !b {
			return
		}
	}
	s.Fatal("it does not come to an end")
}

// pass has time pass, from one instant at which something is due to the next.
func (s *till) pass(d time.Duration) {
	s.Helper()
	for to := s.clock.Now() + int64(d); ; {
		s.settle()
		next := to
		for _, agenda := range []db.Agenda{s.books.Agenda(), s.pay.Agenda(), s.sandbox.Agenda()} {
			at, err := s.db.NextAt(s.Context(), agenda)
			if err != nil {
				s.Fatal(err)
			}
			if at > s.clock.Now() && at < next {
				next = at
			}
		}
		if s.clock.Now() >= to {
			return
		}
		if err := s.clock.Set(s.Context(), next); err != nil {
			s.Fatal(err)
		}
	}
}

// lots are the lots that a payment has bought.
func (s *till) lots(payment string) (own []*wallet.Lot) {
	s.Helper()
	s.view(func(tx *db.Tx) error {
		all, err := s.books.Lots(tx, s.id)
		for _, l := range all {
			if l.Reason == payment {
				own = append(own, l)
			}
		}
		return err
	})
	return own
}

func (s *till) available() credit.Amount {
	s.Helper()
	v, err := s.books.View(s.Context(), s.id)
	if err != nil {
		s.Fatal(err)
	}
	return v.Balance(s.clock.Now()).Available
}

// account is the sum of an account by the postings.
func (s *till) account(name string) (sum credit.Amount) {
	s.Helper()
	s.view(func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT CAST(COALESCE(SUM(CASE WHEN credit = $1 THEN amount ELSE -amount END), 0) AS BIGINT) FROM postings WHERE debit = $1 OR credit = $1`, name).Scan(&sum)
	})
	return sum
}

// verified replays the books; the sum over all accounts is zero.
func (s *till) verified() {
	s.Helper()
	report, err := s.books.Verify(s.Context(), ledger.Options{})
	if err != nil {
		s.Fatal(err)
	}
	if !report.IsClean() {
		s.Errorf("the books: %+v", report.First)
	}
	var sum credit.Amount
	for _, a := range report.Accounts {
		sum += a
	}
	if sum != 0 {
		s.Errorf("the accounts add up to %s: %v", sum, report.Accounts)
	}
}

// # A payment on a page: it waits, is paid, and its credits can be used with the word of
// the provider.
func TestOnAPage(t *testing.T) {
	s := newTill(t)
	p := s.buy(pay.TopUp{Amount: 100 * one, Save: true, By: "usr_ada"})
	if p.Status != pay.Pending || p.URL != "https://purser.example/sandbox/pay/"+p.Page || p.Line.Tax != 24*one || s.available() != 0 {
		t.Fatalf("%+v", p)
	}
	if page := s.onPage(p, "0002"); page.Wrong == "" || page.Done != "" || s.payment(p.No).Status != pay.Pending {
		t.Errorf("declined: %+v", page)
	}
	if page := s.onPage(p, "4242"); page.Done == "" {
		t.Errorf("paid: %+v", page)
	}
	p = s.payment(p.No)
	lots := s.lots(p.No)
	if p.Status != pay.Succeeded || len(lots) != 1 || lots[0].ID != p.Lot || lots[0].Amount != 100*one || lots[0].CostBasis != 100*one ||
		lots[0].Kind != wallet.Purchased || lots[0].Source != "manual" || s.available() != 100*one {
		t.Errorf("%+v %+v", p, lots)
	}
	if s.account("house/cash") != -124*one || s.account("house/tax") != 24*one {
		t.Errorf("cash %s, tax %s", s.account("house/cash"), s.account("house/tax"))
	}
	if m := s.methods(); len(m) != 1 || m[0].Last4 != "4242" || p.Method != m[0].No {
		t.Errorf("methods %+v", m)
	}
	if len(s.mails) != 1 || s.mails[0].To != "bills@acme.example" || s.mails[0].Data["subject"] != "Receipt for $124.00" {
		t.Errorf("mails %+v", s.mails)
	}
	s.pass(48 * time.Hour)
	if len(s.lots(p.No)) != 1 || len(s.mails) != 1 {
		t.Error("more than one lot or receipt")
	}
	s.verified()
}

// # A payment that nobody completes ends when its page has expired; money that arrives
// after all buys the credits.
func TestNobodyPays(t *testing.T) {
	s := newTill(t)
	p := s.buy(pay.TopUp{Amount: 20 * one})
	s.pass(3 * time.Hour)
	if p = s.payment(p.No); p.Status != pay.Cancelled || p.EndedAt != start.Add(time.Hour+time.Minute).UnixNano() {
		t.Fatalf("%s %s %s", p.Status, p.Code, time.Unix(0, p.EndedAt).UTC())
	}
	s.word(pay.Notice{ID: "late", Kind: pay.PaymentMoved, Payment: p.No, Outcome: pay.Outcome{State: pay.Succeeded, Amount: p.Line.Gross()}})
	if p = s.payment(p.No); p.Status != pay.Succeeded || len(s.lots(p.No)) != 1 {
		t.Errorf("%+v", p)
	}
	s.verified()
}

// word has the provider's webhook tell something, with its signature left out.
func (s *till) word(n pay.Notice) {
	s.Helper()
	told := pay.New(pay.Config{DB: s.db, Books: s.books, Orgs: s.orgs, Provider: teller{s.sandbox, n}, Credit: func(tx *db.Tx, f *pay.Refund) error {
		note := *f
		tx.AfterCommit(func() { s.notes = append(s.notes, note) })
		return nil
	}, Restore: func(tx *db.Tx, f *pay.Refund) error {
		tx.AfterCommit(func() { s.restored++ })
		return nil
	}, Operator: "operator@purser.example", Put: func(tx *db.Tx, m mail.Message) error {
		tx.AfterCommit(func() { s.letters = append(s.letters, m) })
		return nil
	}})
	if err := told.Take(s.Context(), sandbox.Name, nil, nil); err != nil {
		s.Fatal(err)
	}
}

// teller is the sandbox, whose webhook says one thing.
type teller struct {
	*sandbox.Provider
	notice pay.Notice
}

func (t teller) Read(http.Header, []byte, int64) ([]pay.Notice, error) {
	return []pay.Notice{t.notice}, nil
}

// # 1,000 webhooks, duplicated, shuffled and delayed, for 100 payments: 100 lots.
//
//	each payment is said to be under way, to have failed, and to have succeeded, each
//	in several notices that come several times, from many senders at once
func TestStorm(t *testing.T) {
	s := newTill(t)
	s.holds = true
	var payments []pay.Payment
	for range 100 {
		payments = append(payments, s.buy(pay.TopUp{Amount: 20 * one}))
		if len(payments)%2 == 0 {
			s.onPage(payments[len(payments)-1], "4242") // its own webhook comes too, among the others
		}
	}
	var storm []pay.Notice
	for i, p := range payments {
		for n, state := range []pay.State{pay.Succeeded, pay.Pending, pay.Failed, pay.Succeeded, pay.Pending} {
			notice := pay.Notice{
				ID: fmt.Sprint("n", i, "/", n), Kind: pay.PaymentMoved, Payment: p.No, Outcome: pay.Outcome{State: state, Amount: p.Line.Gross(), Theirs: p.Page},
			}
			storm = append(storm, notice, notice)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	dice.Shuffle(len(storm), func(i, j int) { storm[i], storm[j] = storm[j], storm[i] })
	var wg sync.WaitGroup
	for sender := range 20 {
		wg.Go(func() {
			for i := sender; i < len(storm); i += 20 {
				told := pay.New(pay.Config{DB: s.db, Books: s.books, Orgs: s.orgs, Provider: teller{s.sandbox, storm[i]}})
				if err := told.Take(t.Context(), sandbox.Name, nil, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, h := range append(s.hooks, s.hooks...) {
		if err := s.pay.Take(t.Context(), sandbox.Name, h.header, h.body); err != nil {
			t.Error(err)
		}
	}
	for _, p := range payments {
		if lots := s.lots(p.No); len(lots) != 1 || s.payment(p.No).Status != pay.Succeeded {
			t.Errorf("payment %s: %d lots, %s", p.No, len(lots), s.payment(p.No).Status)
		}
	}
	if s.available() != 2000*one || s.account("house/cash") != -2480*one {
		t.Errorf("available %s, cash %s", s.available(), s.account("house/cash"))
	}
	s.verified()
}

// # A provider that charges and does not answer: one lot, once it is asked again.
func TestTimesOutAfterCharging(t *testing.T) {
	for _, holds := range []bool{true, false} {
		s := newTill(t)
		m := s.card("0408")
		s.holds = holds
		p := s.buy(pay.TopUp{Amount: 50 * one, Method: m.No})
		if p.Status != pay.Created || len(s.lots(p.No)) != 0 {
			t.Fatalf("%+v", p)
		}
		s.pass(time.Hour)
		if p = s.payment(p.No); p.Status != pay.Succeeded || len(s.lots(p.No)) != 1 || s.available() != 50*one {
			t.Errorf("holds %v: %+v", holds, p)
		}
		s.verified()
	}
}

// # A saved card pays at once; one that asks to be confirmed waits for that.
func TestSavedCards(t *testing.T) {
	s := newTill(t)
	good, bad, careful := s.card("4242"), s.card("0341"), s.card("3155")
	if p := s.buy(pay.TopUp{Amount: 20 * one, Method: good.No}); p.Status != pay.Succeeded || s.available() != 20*one {
		t.Errorf("%+v", p)
	}
	if p := s.buy(pay.TopUp{Amount: 20 * one, Method: bad.No}); p.Status != pay.Failed || p.Code != "card_declined" || p.Reason == "" {
		t.Errorf("%+v", p)
	}
	p := s.buy(pay.TopUp{Amount: 30 * one, Method: careful.No})
	if p.Status != pay.Confirm || p.URL == "" {
		t.Fatalf("%+v", p)
	}
	if _, err := s.sandbox.Confirm(t.Context(), p.URL[len("https://purser.example/sandbox/pay/"):], true); err != nil {
		t.Fatal(err)
	}
	if p = s.payment(p.No); p.Status != pay.Succeeded || s.available() != 50*one {
		t.Errorf("%+v", p)
	}
	s.update(func(tx *db.Tx) error {
		if _, err := s.pay.Order(tx, s.id.Organization, []string{careful.No, good.No, bad.No}); err != nil {
			return err
		}
		_, err := s.pay.Remove(tx, s.id.Organization, bad.No)
		return err
	})
	s.settle()
	if m := s.methods(); len(m) != 2 || m[0].No != careful.No || m[1].No != good.No {
		t.Errorf("%+v", m)
	}
	s.verified()
}

// slow is the sandbox, which answers the first charge only when it is let.
type slow struct {
	*sandbox.Provider
	isAsked atomic.Bool
	let     chan struct{}
}

func (p *slow) Charge(ctx context.Context, customer, method string, o pay.Order) (pay.Outcome, error) {
	if !p.isAsked.Swap(true) {
		<-p.let
	}
	return p.Provider.Charge(ctx, customer, method, o)
}

// # A provider that takes long over one payment keeps no other waiting.
func TestOnePaymentKeepsNoOtherWaiting(t *testing.T) {
	s := newTill(t)
	card := s.card("4242")
	first, second := s.begin(pay.TopUp{Amount: 20 * one, Method: card.No}), s.begin(pay.TopUp{Amount: 30 * one, Method: card.No})
	provider := &slow{Provider: s.sandbox, let: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- pay.New(pay.Config{DB: s.db, Books: s.books, Orgs: s.orgs, Provider: provider}).Run(ctx)
	}()
	isPaid := func(p pay.Payment) bool { return s.payment(p.No).Status == pay.Succeeded }
	for end := time.Now().Add(20 * time.Second); !isPaid(first) && !isPaid(second); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the second waits for the first")
		}
	}
	if isPaid(first) == isPaid(second) {
		t.Error("both are paid, and one was not let")
	}
	close(provider.let)
	for end := time.Now().Add(20 * time.Second); !isPaid(first) || !isPaid(second); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not go on")
		}
	}
	stop()
	if err := <-done; err != nil || s.available() != 50*one {
		t.Errorf("%v, available %s", err, s.available())
	}
	s.verified()
}

// # The program dies at every step of a top-up: no paid credit is lost, none is granted
// unpaid, and nothing is charged twice.
func TestKilledAtEveryStep(t *testing.T) {
	died := errDied
	for _, how := range []string{"page", "charge", "lost answer"} {
		for _, step := range []string{"claimed", "asked", "noted"} {
			t.Run(how+" "+step, func(t *testing.T) {
				s := newTill(t)
				card := map[string]string{"charge": "4242", "lost answer": "0408"}[how]
				top := pay.TopUp{Amount: 20 * one}
				if card != "" {
					top.Method = s.card(card).No
				}
				p := s.begin(top)
				s.holds = true // the webhook is lost with the program
				s.step = func(name string) error {
					if name == step {
						return died
					}
					return nil
				}
				if _, err := s.pay.Send(t.Context(), s.id, p.No); !errors.Is(err, died) {
					t.Fatalf("%v", err)
				}
				s.step = nil
				s.close()
				s.open()
				s.holds = true
				s.pass(time.Minute)
				if p = s.payment(p.No); how == "page" {
					if p.Status != pay.Pending || p.URL == "" {
						t.Fatalf("%+v", p)
					}
					s.onPage(p, "4242")
					s.pass(time.Hour)
				}
				if p = s.payment(p.No); p.Status != pay.Succeeded || len(s.lots(p.No)) != 1 || s.available() != 20*one {
					t.Errorf("%+v", p)
				}
				s.verified()
			})
		}
	}
}
