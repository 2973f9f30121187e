// Package pay brings money in: payment methods, top-ups, refunds and disputes.
//
// What it keeps true: one payment is one lot, whatever is repeated, lost or told twice;
// credits are granted in the unit of work in which the payment becomes paid, and never
// without it; a payment is written before the provider hears of it, so that none is
// forgotten; card data is the provider's alone.
package pay

import (
	"log/slog"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// Config is what payments are made of. Zero values of Settings are the defaults.
type Config struct {
	DB       *db.DB
	Books    *ledger.Ledger
	Orgs     *org.Orgs
	Provider Provider                                 // nil: nothing can be paid
	Seller   func(*db.Tx) (country string, err error) // where the seller is; nil where nobody knows
	Put      func(*db.Tx, mail.Message) error
	Operator string // the address of who is told of losses; "" for nobody
	URL      string // where people reach this server: to come back to from the provider's pages
	Settings Settings
	Log      *slog.Logger
	// Invoice and Credit write the documents of a payment and of a refund, in the unit of
	// work in which these are made; nil for none. method is the way of paying, for people.
	Invoice func(tx *db.Tx, p *Payment, method string) error
	Credit  func(tx *db.Tx, f *Refund) error
	// Restore cancels the credit note of a refund that was paid out and has come back.
	Restore func(tx *db.Tx, f *Refund) error
	// Raise tells programs of the organization what has happened; nil for none.
	Raise func(tx *db.Tx, organization, workspace, event string, data map[string]string) error
	// Step is called between the steps of what is done with a provider, by its name. An
	// error of it ends the work there, as the death of the program would. Nil for nobody.
	Step func(step string) error
}

// Settings are the operator's.
type Settings struct {
	Presets []credit.Amount // that a page offers
	Least   credit.Amount   // of a top-up
	Most    credit.Amount
	Ahead   time.Duration // that auto top-up looks ahead: how long a payment takes
}

// The settings unless told otherwise.
const (
	DefaultLeast = 20 * credit.One
	DefaultMost  = 25_000 * credit.One
	DefaultAhead = time.Minute
)

// DefaultPresets are the amounts that are offered unless told otherwise.
var DefaultPresets = []credit.Amount{20 * credit.One, 100 * credit.One, 1_000 * credit.One, 10_000 * credit.One}

func (s Settings) filled() Settings {
	if s.Presets == nil {
		s.Presets = DefaultPresets
	}
	if s.Least == 0 {
		s.Least = DefaultLeast
	}
	if s.Most == 0 {
		s.Most = DefaultMost
	}
	if s.Ahead == 0 {
		s.Ahead = DefaultAhead
	}
	return s
}

// Service takes payments.
type Service struct {
	db       *db.DB
	books    *ledger.Ledger
	orgs     *org.Orgs
	provider Provider
	put      func(*db.Tx, mail.Message) error
	operator string
	audit    *audit.Log
	seller   func(*db.Tx) (string, error)
	url      string
	settings Settings
	log      *slog.Logger
	step     func(string) error
	invoice  func(tx *db.Tx, p *Payment, method string) error
	credit   func(tx *db.Tx, f *Refund) error
	restore  func(tx *db.Tx, f *Refund) error
	raise    func(tx *db.Tx, organization, workspace, event string, data map[string]string) error
	news     chan struct{} // one token: something is due
	asking   sync.Map      // the ids of payments of which the provider is being asked here, with a channel that closes
	seen     lookedAt
}

// New returns the payments of a database.
func New(c Config) *Service {
	s := &Service{
		db: c.DB, books: c.Books, orgs: c.Orgs, provider: c.Provider, put: c.Put, operator: c.Operator, seller: c.Seller, audit: audit.New(c.Books), url: c.URL, settings: c.Settings.filled(),
		log: c.Log, step: c.Step, invoice: c.Invoice, credit: c.Credit, restore: c.Restore, raise: c.Raise,
		news: make(chan struct{}, 1), seen: lookedAt{at: map[ledger.ID]looked{}},
	}
	if s.step == nil {
		s.step = func(string) error { return nil }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.raise == nil {
		s.raise = func(*db.Tx, string, string, string, map[string]string) error { return nil }
	}
	if s.put == nil {
		s.put = func(*db.Tx, mail.Message) error { return nil }
	}
	return s
}

// Settings are the operator's settings.
func (s *Service) Settings() Settings { return s.settings }

// Provider is the name of the provider that takes payments; "" if there is none.
func (s *Service) Provider() string {
	if s.provider == nil {
		return ""
	}
	return s.provider.Name()
}

// taking refuses what needs a provider where there is none.
func (s *Service) taking() error {
	if s.provider == nil {
		return fault.New(fault.Conflict, "no payments are taken here: ask the operator for credits, or for a server with --payments").WithCode("no_payments")
	}
	return nil
}

// BackPath is where the provider's pages lead back to.
const BackPath = "/payments/back"

func (s *Service) back() string { return s.url + BackPath }

func (s *Service) ring() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}
