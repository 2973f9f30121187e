// Package sandbox is a provider of payments that moves no money: it ships for trying out,
// and is what the tests have in the place of a real one.
//
// What it keeps true: it behaves as a real provider does. It has rows of its own, which it
// commits before it answers, so that a crash on either side loses nothing; the same id
// moves nothing twice; what it tells by webhook is signed, comes late, and comes again
// until it was taken.
package sandbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// Name is what the provider is called in rows and paths.
const Name = "sandbox"

// Config is what the sandbox is made of.
type Config struct {
	DB      *db.DB
	URL     string // where people reach this server: its pages are under /sandbox/
	Log     *slog.Logger
	Deliver func(context.Context, http.Header, []byte) error // takes a webhook; set later by [Provider.DeliverTo] if nil
	Chance  Chance
}

// Chance has the sandbox behave at random, decided for each payment by the seed: of a
// hundred charges that would succeed at once so many do not.
type Chance struct {
	Seed    uint64
	Decline int
	Delay   int // succeed after a minute to an hour
	Dispute int // succeed, and are disputed within ten days
	Timeout int // succeed, and the answer is lost
}

// The times of the sandbox.
const (
	pageTime    = db.Hour        // a page is open for so long
	confirmTime = db.Day         // a card can be confirmed for so long, as at Stripe
	disputeTime = db.Day         // after which a payment with such a card is disputed
	retryTime   = 10 * db.Second // between two deliveries of a notice that was not taken
	keepTrying  = 3 * db.Day     // after which one is given up
	shortestNap = 500 * time.Millisecond
	longestNap  = 10 * time.Second
	dueBatch    = 100
)

// Card is a test card: what happens when it pays.
type Card struct {
	Last4 string
	What  string // for people
	Code  string // with which it is declined; "" if it is not
	Mode  string // "", confirm, dispute, timeout, delay
}

// Cards are the test cards.
var Cards = []Card{
	{Last4: "4242", What: "pays at once"},
	{Last4: "0002", What: "is declined", Code: "card_declined"},
	{Last4: "9995", What: "has not enough money", Code: "insufficient_funds"},
	{Last4: "3155", What: "asks to be confirmed (3-D Secure)", Mode: "confirm"},
	{Last4: "0259", What: "pays, and is disputed after a day", Mode: "dispute"},
	{Last4: "0408", What: "pays, but the answer is lost", Mode: "timeout"},
	{Last4: "7000", What: "pays after ten minutes", Mode: "delay"},
	{Last4: "0341", What: "can be saved, and is declined when it is charged", Mode: "later"},
}

// cardOf finds a test card by its last four digits.
func cardOf(last4 string) (Card, bool) {
	i := slices.IndexFunc(Cards, func(c Card) bool { return c.Last4 == last4 })
	if i < 0 {
		return Card{}, false
	}
	return Cards[i], true
}

// Provider is the sandbox.
type Provider struct {
	db      *db.DB
	url     string
	log     *slog.Logger
	chance  Chance
	deliver func(context.Context, http.Header, []byte) error
	news    chan struct{}
	signs   atomic.Pointer[string] // the secret of webhooks, once it was read
}

// New returns the sandbox of a database.
func New(c Config) *Provider {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Provider{db: c.DB, url: c.URL, log: c.Log, chance: c.Chance, deliver: c.Deliver, news: make(chan struct{}, 1)}
}

// DeliverTo says who takes the webhooks.
func (s *Provider) DeliverTo(take func(context.Context, http.Header, []byte) error) { s.deliver = take }

// Name is the sandbox's.
func (s *Provider) Name() string { return Name }

// update is a unit of work of the sandbox's own.
func (s *Provider) update(ctx context.Context, fn func(*db.Tx) error) error {
	return s.db.Update(db.InLane(ctx, Name), fn)
}

// Save begins the adding of a card on a page.
func (s *Provider) Save(ctx context.Context, v pay.Visit) (page pay.Page, err error) {
	id, customer := "sbm_"+rand.Text(), customerOf(v)
	err = s.update(ctx, func(tx *db.Tx) error {
		page = pay.Page{URL: s.url + "/sandbox/save/" + id, ID: id, Customer: customer, ExpiresAt: tx.Now() + pageTime}
		_, err := tx.Exec(`INSERT INTO sandbox_methods (id, organization, customer, card, back, cancel, status, expires_at)
			VALUES ($1, $2, $3, '', $4, $5, 'open', $6)`, id, v.Organization, customer, v.Back, v.Cancel, page.ExpiresAt)
		return err
	})
	return page, fault.While("sandbox: begin a page", err)
}

func customerOf(v pay.Visit) string {
	if v.Customer != "" {
		return v.Customer
	}
	return "sbc_" + v.Organization
}

// Checkout begins a payment on a page.
func (s *Provider) Checkout(ctx context.Context, v pay.Visit, o pay.Order) (page pay.Page, err error) {
	id := "sbx_" + rand.Text()
	err = s.update(ctx, func(tx *db.Tx) error {
		p, err := s.byPayment(tx, o.Payment)
		if err != nil {
			return err
		}
		if p == nil {
			p = &payment{
				id: id, payment: o.Payment, organization: o.Organization, customer: customerOf(v), amount: o.Amount, description: o.Description,
				save: o.Save, back: v.Back, cancel: v.Cancel, status: open, expiresAt: tx.Now() + pageTime,
			}
			p.dueAt = p.expiresAt
			if err := insert(tx, p); err != nil {
				return err
			}
		}
		page = pay.Page{URL: s.url + "/sandbox/pay/" + p.id, ID: p.id, Customer: p.customer, ExpiresAt: p.expiresAt}
		return nil
	})
	return page, fault.While("sandbox: begin a page", err)
}

// Charge pays with a saved card.
func (s *Provider) Charge(ctx context.Context, customer, method string, o pay.Order) (out pay.Outcome, err error) {
	id, isLost := "sbx_"+rand.Text(), false
	err = s.update(ctx, func(tx *db.Tx) error {
		isLost = false
		p, err := s.byPayment(tx, o.Payment)
		if err != nil {
			return err
		}
		if p == nil {
			m, err := methodOf(tx, method)
			if err != nil {
				return err
			}
			p = &payment{
				id: id, payment: o.Payment, organization: o.Organization, customer: customer, method: method, card: m.card, amount: o.Amount,
				description: o.Description,
			}
			if m.status != saved {
				p.status, p.code = declined, "no_such_card"
			} else {
				isLost = s.decide(tx, p, false)
			}
			if err := insert(tx, p); err != nil {
				return err
			}
			if err := s.tellOf(tx, p, pay.PaymentMoved); err != nil {
				return err
			}
		}
		out = s.outcome(p)
		return nil
	})
	if err == nil && isLost {
		return pay.Outcome{}, fmt.Errorf("the sandbox charged %s, and loses its answer", o.Payment)
	}
	return out, fault.While("sandbox: charge", err)
}

// decide is what happens to a payment with its card. It reports whether the answer gets
// lost.
func (s *Provider) decide(tx *db.Tx, p *payment, isConfirmed bool) (isLost bool) {
	card, _ := cardOf(p.card)
	p.status, p.code, p.dueAt = succeeded, card.Code, 0
	switch {
	case card.Code != "" || card.Mode == "later" && p.method != "" && !p.save:
		p.status = declined
		if p.code == "" {
			p.code = "card_declined"
		}
	case card.Mode == "confirm" && !isConfirmed:
		p.status = confirm
		if p.expiresAt == 0 {
			p.expiresAt = tx.Now() + confirmTime
		}
		p.dueAt = p.expiresAt
	case card.Mode == "dispute":
		p.dueAt = tx.Now() + disputeTime
	case card.Mode == "delay":
		p.status, p.dueAt = pending, tx.Now()+int64(10*time.Minute)
	case card.Mode == "timeout":
		return true
	default:
		return s.toss(tx, p)
	}
	return false
}

// toss lets chance decide.
func (s *Provider) toss(tx *db.Tx, p *payment) (isLost bool) {
	c := s.chance
	if c.Decline+c.Delay+c.Dispute+c.Timeout == 0 {
		return false
	}
	var n int64
	if err := tx.QueryRow(`SELECT COUNT(*) FROM sandbox_payments`).Scan(&n); err != nil {
		return false
	}
	h := fnv.New64a()
	fmt.Fprint(h, c.Seed, "/", n)
	x := h.Sum64()
	roll, more := int(x>>8%100), x>>20
	switch {
	case roll < c.Decline:
		p.status, p.code = declined, "card_declined"
	case roll < c.Decline+c.Delay:
		p.status, p.dueAt = pending, tx.Now()+db.Minute*(1+int64(more%59))
	case roll < c.Decline+c.Delay+c.Dispute:
		p.dueAt = tx.Now() + db.Hour*(1+int64(more%240))
		p.dispute = "to come"
	case roll < c.Decline+c.Delay+c.Dispute+c.Timeout:
		return true
	}
	return false
}

// Find is what has become of a payment. A page that nobody used in time is given up.
func (s *Provider) Find(ctx context.Context, o pay.Order, _ string) (out pay.Outcome, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		p, err := s.byPayment(tx, o.Payment)
		if err != nil {
			return err
		}
		if out = (pay.Outcome{State: pay.Unknown}); p != nil && !(p.status == open && p.expiresAt <= tx.Now()) {
			out = s.outcome(p)
		}
		return nil
	})
	return out, fault.While("sandbox: find", err)
}

// Close gives up a payment that nobody has confirmed.
func (s *Provider) Close(ctx context.Context, o pay.Order, theirs string) (out pay.Outcome, err error) {
	err = s.update(ctx, func(tx *db.Tx) error {
		p, err := s.byPayment(tx, o.Payment)
		if err != nil || p == nil || p.status != confirm {
			return err
		}
		p.status, p.code, p.dueAt = declined, "expired", 0
		return update(tx, p)
	})
	if err != nil {
		return out, fault.While("sandbox: give up a payment", err)
	}
	return s.Find(ctx, o, theirs)
}

// outcome is what is told of a payment.
func (s *Provider) outcome(p *payment) pay.Outcome {
	o := pay.Outcome{Theirs: p.id, Amount: p.amount}
	switch p.status {
	case open, pending:
		o.State = pay.Pending
	case confirm:
		o.State, o.URL = pay.Confirm, s.url+"/sandbox/pay/"+p.id
	case succeeded:
		o.State = pay.Succeeded
	default:
		o.State, o.Code, o.Reason = pay.Failed, p.code, strings.ReplaceAll(p.code, "_", " ")
	}
	if p.method != "" && p.status == succeeded {
		o.Method = shown(p.method, p.customer, p.card)
	}
	return o
}

// shown is what is told of a card.
func shown(id, customer, last4 string) pay.Method {
	return pay.Method{ID: id, Customer: customer, Kind: "card", Brand: "sandbox", Last4: last4, Month: 12, Year: 2099}
}

// Refund gives back a part of a payment.
func (s *Provider) Refund(ctx context.Context, r pay.Return) (out pay.Outcome, err error) {
	err = s.update(ctx, func(tx *db.Tx) error {
		status := ""
		if err := ignoreNone(tx.QueryRow(`SELECT status FROM sandbox_refunds WHERE id = $1`, r.Refund).Scan(&status)); err != nil {
			return err
		}
		if status == "" {
			changed, err := tx.Exec(`UPDATE sandbox_payments SET refunded = refunded + $2 WHERE id = $1 AND status = 'succeeded'
				AND dispute <> 'lost' AND refunded + $2 <= amount`, r.Payment, int64(r.Amount))
			if err != nil {
				return err
			}
			if status = succeeded; changed == 0 {
				status = declined
			}
			_, err = tx.Exec(`INSERT INTO sandbox_refunds (id, payment, amount, status) VALUES ($1, $2, $3, $4)`, r.Refund, r.Payment, int64(r.Amount), status)
			if err != nil {
				return err
			}
		}
		out = pay.Outcome{State: pay.Succeeded, Theirs: "sbr_" + r.Refund, Amount: r.Amount}
		if status != succeeded {
			out = pay.Outcome{State: pay.Failed, Code: "charge_not_refundable", Reason: "the payment cannot be given back"}
		}
		return nil
	})
	return out, fault.While("sandbox: refund", err)
}

// Forget removes a saved card.
func (s *Provider) Forget(ctx context.Context, _, method string) error {
	return fault.While("sandbox: forget a card", s.update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE sandbox_methods SET status = 'gone' WHERE id = $1`, method)
		return err
	}))
}
