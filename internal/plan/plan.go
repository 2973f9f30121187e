// Package plan keeps what organizations have agreed to: plans, quotes and contracts, and
// the credits that come with these.
//
// What it keeps true: an organization is always on exactly one plan, that of the contract
// that runs or else the one that it chose, without a choice core; which it is at an instant
// is a matter of rows and that instant, never of whether a loop has run; the rate cards that
// price it are assigned in the unit of work that changes any of this, so that prices move at
// the very instant, also those of what runs; what a customer was shown is what happens, or
// nothing does; the credits of a month and every lot of a contract are granted once, in the
// unit of work that notes it, on however many servers (docs/decisions/034).
package plan

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

// The plans that every installation has.
const (
	Core       = "core"       // of whoever has chosen nothing
	Enterprise = "enterprise" // by contract
)

// Feature is something that a plan may come with, besides prices and credits.
type Feature string

// The features.
const (
	SSO     Feature = "sso"     // single sign-on
	SLA     Feature = "sla"     // a promise of availability
	Support Feature = "support" // somebody to call
)

// Features are all of them.
var Features = []Feature{SLA, SSO, Support}

// The limits of plans.
const (
	maxPlans       = 100
	maxName        = 50
	maxTitle       = 100
	maxDescription = 2_000
	maxCredits     = 1_000_000 * credit.One // a month
	maxOverdraft   = 1_000_000_000 * credit.One
	maxDays        = 3_660
)

// Plan is what an organization can be on.
type Plan struct {
	Name        string
	Version     int64 // counts its changes
	Title       string
	Description string
	Base        string // the rate card that its prices come from
	Discount    int64  // percent off these
	Credits     credit.Amount
	CreditsKind wallet.LotKind // plan or promotional
	CreditsDays int64          // after so many days they expire; 0: with the month
	Overdraft   credit.Amount  // of the default workspace
	Features    []Feature
	ByContract  bool // nobody comes to it but by a contract
	Closed      bool // nobody new comes to it
	ChangedAt   int64
}

// Card is the rate card of those who are on the plan.
func (p *Plan) Card() string {
	if p.Name == Core {
		return price.Default
	}
	return "plan-" + p.Name
}

// Config is what plans are made of.
type Config struct {
	DB       *db.DB
	Books    *ledger.Ledger
	Prices   *price.Book
	Orgs     *org.Orgs
	Usage    *usage.Service
	Invoices *invoice.Desk                                                                        // of what contracts commit
	Put      func(*db.Tx, mail.Message) error                                                     // writes a mail that is sent once the unit is durable
	Raise    func(tx *db.Tx, organization, workspace, event string, data map[string]string) error // tells programs and chats; nil for none
	URL      string                                                                               // where people reach the server
	Operator string                                                                               // the operator's address
	Log      *slog.Logger
}

// Book is the plans and contracts of an installation.
type Book struct {
	Config
	reminded atomic.Int64 // the day whose reminders are all out
}

// New returns the plans of the organizations in the books.
func New(c Config) *Book { return &Book{Config: c} }

// Open makes sure that there are the plans that every installation has.
func (b *Book) Open(tx *db.Tx) error {
	for _, p := range []Plan{
		{Name: Core, Title: "Core", Description: "Pay as you go, from prepaid credits.", CreditsKind: wallet.Promotional,
			Features: []Feature{SSO}},
		{Name: Enterprise, Title: "Enterprise", Description: "Reserved capacity and committed credits, by contract.", CreditsKind: wallet.Plan,
			Features: Features, ByContract: true},
	} {
		_, err := b.Plan(tx, p.Name)
		if fault.Is(err, fault.NotFound) {
			_, err = b.Set(tx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const planColumns = `SELECT p.name, p.version, p.title, p.description, p.base, p.discount, p.credits, p.credits_kind, p.credits_days, p.overdraft,
	p.features, p.by_contract, p.closed, p.changed_at FROM plans p`

func scanPlan(r db.Scanner) (p Plan, err error) {
	var features string
	var byContract, closed int64
	err = r.Scan(&p.Name, &p.Version, &p.Title, &p.Description, &p.Base, &p.Discount, &p.Credits, &p.CreditsKind, &p.CreditsDays, &p.Overdraft,
		&features, &byContract, &closed, &p.ChangedAt)
	p.ByContract, p.Closed = byContract != 0, closed != 0
	for _, f := range strings.Fields(features) {
		p.Features = append(p.Features, Feature(f))
	}
	return p, err
}

// Plan finds a plan.
func (b *Book) Plan(tx *db.Tx, name string) (Plan, error) {
	p, err := scanPlan(tx.QueryRow(planColumns+` WHERE p.name = $1`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.New(fault.NotFound, "there is no plan %.80q: list them to see which there are", name)
	}
	if err != nil {
		return p, fmt.Errorf("read the plan %.80s: %w", name, err)
	}
	return p, nil
}

// Plans are all plans, by name.
func (b *Book) Plans(tx *db.Tx) ([]Plan, error) {
	all, err := db.All(tx, scanPlan, planColumns+` ORDER BY p.name`)
	if err != nil {
		return nil, fmt.Errorf("list plans: %w", err)
	}
	return all, nil
}

// Set makes a plan, or changes it for everybody who is on it: prices, features and what
// may be chosen at once, credits from the next grant on, the overdraft for those who come
// to it from now on.
func (b *Book) Set(tx *db.Tx, p Plan) (Plan, error) {
	if err := tx.Exclude("plans"); err != nil {
		return p, fmt.Errorf("hold the plans: %w", err)
	}
	if p.Base == "" {
		p.Base = price.Default
	}
	if p.CreditsKind == "" {
		p.CreditsKind = wallet.Plan
	}
	if p.Title == "" {
		p.Title = p.Name
	}
	slices.Sort(p.Features)
	if err := p.check(); err != nil {
		return p, err
	}
	before, err := b.Plan(tx, p.Name)
	isNew := fault.Is(err, fault.NotFound)
	if err != nil && !isNew {
		return p, err
	}
	if isNew {
		if err := b.room(tx); err != nil {
			return p, err
		}
	}
	p.Version, p.ChangedAt = before.Version+1, tx.Now()
	if err := b.write(tx, p); err != nil {
		return p, err
	}
	if p.Name == Core || !isNew && before.Base == p.Base && before.Discount == p.Discount {
		return p, nil
	}
	return p, b.Prices.Derive(tx, price.Derivation{Name: p.Card(), Base: p.Base, Discount: p.Discount})
}

func (b *Book) room(tx *db.Tx) error {
	var count int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM plans`).Scan(&count); err != nil {
		return fmt.Errorf("count plans: %w", err)
	}
	if count >= maxPlans {
		return fault.New(fault.Limited, "there are %d plans, and no more fit", count)
	}
	return nil
}

func (b *Book) write(tx *db.Tx, p Plan) error {
	features := make([]string, len(p.Features))
	for i, f := range p.Features {
		features[i] = string(f)
	}
	_, err := tx.Exec(`INSERT INTO plans (name, version, title, description, base, discount, credits, credits_kind, credits_days, overdraft, features,
		by_contract, closed, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (name) DO UPDATE SET version = excluded.version, title = excluded.title, description = excluded.description, base = excluded.base,
			discount = excluded.discount, credits = excluded.credits, credits_kind = excluded.credits_kind, credits_days = excluded.credits_days,
			overdraft = excluded.overdraft, features = excluded.features, by_contract = excluded.by_contract, closed = excluded.closed,
			changed_at = excluded.changed_at`,
		p.Name, p.Version, p.Title, p.Description, p.Base, p.Discount, int64(p.Credits), string(p.CreditsKind), p.CreditsDays, int64(p.Overdraft),
		strings.Join(features, " "), db.Flag(p.ByContract), db.Flag(p.Closed), p.ChangedAt)
	if err != nil {
		return fmt.Errorf("write the plan %s: %w", p.Name, err)
	}
	return nil
}

var planName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// check refuses what cannot be a plan, all of it at once.
func (p *Plan) check() error {
	var wrong fault.Fields
	refuse := func(is bool, at, format string, args ...any) {
		if is {
			wrong.Add(at, fmt.Sprintf(format, args...))
		}
	}
	refuse(len(p.Name) > maxName || !planName.MatchString(p.Name), "", "the name of a plan is lower-case letters, digits and inner hyphens, at most %d", maxName)
	refuse(len(p.Title) > maxTitle, "/title", "is longer than %d bytes", maxTitle)
	refuse(len(p.Description) > maxDescription, "/description", "is longer than %d bytes", maxDescription)
	refuse(p.Discount < 0 || p.Discount > 100, "/discount_percent", "must be between 0 and 100")
	refuse(p.Credits < 0 || p.Credits > maxCredits, "/credits", "must be between 0 and %s", maxCredits)
	refuse(p.CreditsKind != wallet.Plan && p.CreditsKind != wallet.Promotional, "/credits_kind", "must be plan or promotional")
	refuse(p.CreditsDays < 0 || p.CreditsDays > maxDays, "/credits_expire_days", "must be between 0, for the end of the month, and %d", maxDays)
	refuse(p.Overdraft < 0 || p.Overdraft > maxOverdraft, "/overdraft", "must be between 0 and %s", maxOverdraft)
	refuse(strings.HasPrefix(p.Base, "plan-") || strings.HasPrefix(p.Base, "contract-"), "/card", "is made from another card: name that")
	for i, f := range p.Features {
		refuse(!slices.Contains(Features, f), fmt.Sprintf("/features/%d", i), "%.40q is not a feature: sla, sso or support", f)
		refuse(slices.Index(p.Features, f) < i, fmt.Sprintf("/features/%d", i), "stands there twice")
	}
	if p.Name == Core {
		refuse(p.Base != price.Default || p.Discount != 0, "/card", "core has the prices of the card default: change that card")
		refuse(p.Overdraft != 0, "/overdraft", "core has none: set the policy of a workspace")
		refuse(p.ByContract || p.Closed, "/closed", "core is for everybody who has chosen nothing else")
	}
	return wrong.Err()
}
