package plan

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
)

// Subscription is what an organization has chosen.
type Subscription struct {
	Organization string
	Version      int64 // counts its changes; 0: it has chosen nothing
	Plan         string
	Since        int64  // 0: always
	Next         string // what it will be on from NextAt; "" for no change
	NextAt       int64
}

// at is the plan that the subscription names at an instant.
func (s *Subscription) at(at int64) string {
	if s.Next != "" && at >= s.NextAt {
		return s.Next
	}
	return s.Plan
}

// Standing is where an organization stands at an instant.
type Standing struct {
	Subscription
	Plan      Plan       // in force
	Contract  *Contract  // that runs; nil for none
	contracts []Contract // that have not ended, by their beginning
}

// Of is where an organization stands now.
func (b *Book) Of(tx *db.Tx, organization string) (s Standing, err error) {
	if s.Subscription, err = b.subscription(tx, organization); err != nil {
		return s, err
	}
	if s.contracts, err = b.contractsWhere(tx, `c.organization = $1 AND c.closed = 0 ORDER BY c.from_at`, organization); err != nil {
		return s, err
	}
	s.contracts = slices.DeleteFunc(s.contracts, func(c Contract) bool { return c.end() <= tx.Now() })
	name := s.Subscription.at(tx.Now())
	for i := range s.contracts {
		if c := &s.contracts[i]; c.runs(tx.Now()) {
			s.Contract, name = c, c.Plan
		}
	}
	s.Plan, err = b.Plan(tx, name)
	return s, err
}

// Has reports whether the plan that an organization is on now comes with a feature.
func (b *Book) Has(tx *db.Tx, organization string, f Feature) (bool, error) {
	s, err := b.Of(tx, organization)
	return slices.Contains(s.Plan.Features, f), err
}

// MaySSO refuses to let an organization set up single sign-on whose plan has none, and
// names the plans that have it.
func (b *Book) MaySSO(tx *db.Tx, organization string) error {
	s, err := b.Of(tx, organization)
	if err != nil || slices.Contains(s.Plan.Features, SSO) {
		return err
	}
	plans, err := b.Plans(tx)
	if err != nil {
		return err
	}
	names := []string{}
	for i := range plans {
		if p := &plans[i]; slices.Contains(p.Features, SSO) && !p.Closed {
			names = append(names, p.Name)
		}
	}
	with := "no plan has it"
	if len(names) > 0 {
		with = "with it come the plans: " + strings.Join(names, ", ")
	}
	return fault.New(fault.Forbidden, "the plan %s comes without single sign-on; %s", s.Plan.Title, with).
		WithCode("plan_lacks_feature").With("feature", string(SSO)).With("plans", names)
}

const subscriptionColumns = `SELECT organization, version, plan, since, next, next_at FROM subscriptions`

func (b *Book) subscription(tx *db.Tx, organization string) (Subscription, error) {
	s := Subscription{Organization: organization, Plan: Core}
	err := tx.QueryRow(subscriptionColumns+` WHERE organization = $1`, organization).
		Scan(&s.Organization, &s.Version, &s.Plan, &s.Since, &s.Next, &s.NextAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("read the plan of %s: %w", organization, err)
	}
	if s.Next != "" && s.NextAt <= tx.Now() {
		s.Plan, s.Since, s.Next, s.NextAt = s.Next, s.NextAt, "", 0
	}
	return s, nil
}

func (b *Book) keep(tx *db.Tx, s *Subscription) error {
	s.Version++
	_, err := tx.Exec(`INSERT INTO subscriptions (organization, version, plan, since, next, next_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (organization) DO UPDATE SET version = excluded.version, plan = excluded.plan, since = excluded.since, next = excluded.next,
			next_at = excluded.next_at`, s.Organization, s.Version, s.Plan, s.Since, s.Next, s.NextAt)
	if err != nil {
		return fmt.Errorf("write the plan of %s: %w", s.Organization, err)
	}
	return nil
}

// hold keeps other servers from deciding about the organization until the batch ends, and
// takes in a change that has come.
func (b *Book) hold(tx *db.Tx, organization string) error {
	if err := tx.Exclude("plan of " + organization); err != nil {
		return fmt.Errorf("hold the plan of %s: %w", organization, err)
	}
	return b.settleChange(tx, organization)
}

// assign gives an organization the rate cards of its plan and contracts, each in its time,
// as the rows have it now.
func (b *Book) assign(tx *db.Tx, organization string) error {
	s, err := b.Of(tx, organization)
	if err != nil {
		return err
	}
	now := tx.Now()
	instants := []int64{now}
	if s.Next != "" {
		instants = append(instants, s.NextAt)
	}
	for i := range s.contracts {
		instants = append(instants, s.contracts[i].From, s.contracts[i].end())
	}
	slices.Sort(instants)
	var spans []price.Span
	for _, at := range slices.Compact(instants) {
		if at < now {
			continue
		}
		named := Plan{Name: s.Subscription.at(at)}
		card := named.Card()
		for i := range s.contracts {
			if c := &s.contracts[i]; c.runs(at) {
				card = c.Card
			}
		}
		spans = append(spans, price.Span{Card: card, From: at})
	}
	return b.Prices.Assign(tx, organization, spans)
}

// wallet is that of an organization's default workspace.
func (b *Book) wallet(tx *db.Tx, organization string) (ledger.ID, error) {
	o, err := b.Orgs.Organization(tx, organization)
	if err != nil {
		return ledger.ID{}, err
	}
	w, err := b.Orgs.DefaultWorkspace(tx, o)
	return w.Wallet(), err
}

// Cancel calls a scheduled change off.
func (b *Book) Cancel(tx *db.Tx, organization string) (Standing, error) {
	if err := b.hold(tx, organization); err != nil {
		return Standing{}, err
	}
	s, err := b.subscription(tx, organization)
	if err != nil {
		return Standing{}, err
	}
	if s.Next == "" {
		return Standing{}, fault.New(fault.Conflict, "no change of plan is scheduled").WithCode("no_change")
	}
	s.Next, s.NextAt = "", 0
	if err := b.keep(tx, &s); err != nil {
		return Standing{}, err
	}
	if err := b.assign(tx, organization); err != nil {
		return Standing{}, err
	}
	return b.Of(tx, organization)
}

func instant(at int64) string { return time.Unix(0, at).UTC().Format(time.RFC3339Nano) }
