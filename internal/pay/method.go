package pay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// maxMethods bounds the payment methods of an organization.
const maxMethods = 20

// Saved is a payment method of an organization.
type Saved struct {
	Organization string
	No           string // our id: pm_…
	Provider     string
	Method
	Position  int64 // the lowest is the default
	CreatedAt int64
	dueAt     int64
	attempts  int64
}

const methodColumns = `organization, id, provider, theirs, customer, kind, brand, last4, exp_month, exp_year, position, created_at, due_at, attempts`

func scanMethod(r db.Scanner) (m Saved, err error) {
	err = r.Scan(&m.Organization, &m.No, &m.Provider, &m.ID, &m.Customer, &m.Kind, &m.Brand, &m.Last4, &m.Month, &m.Year,
		&m.Position, &m.CreatedAt, &m.dueAt, &m.attempts)
	return m, err
}

// Methods are the payment methods of an organization at the present provider: the default
// first, then its backups in order.
func (s *Service) Methods(tx *db.Tx, organization string) ([]Saved, error) {
	found, err := db.All(tx, scanMethod, `SELECT `+methodColumns+` FROM payment_methods
		WHERE organization = $1 AND provider = $2 AND removed_at = 0 ORDER BY position, id LIMIT $3`, organization, s.Provider(), maxMethods)
	if err != nil {
		return nil, fmt.Errorf("list the payment methods of %s: %w", organization, err)
	}
	return found, nil
}

// method finds a payment method by our id.
func (s *Service) method(tx *db.Tx, organization, no string) (Saved, error) {
	all, err := s.Methods(tx, organization)
	if err != nil {
		return Saved{}, err
	}
	if i := slices.IndexFunc(all, func(m Saved) bool { return m.No == no }); i >= 0 {
		return all[i], nil
	}
	return Saved{}, fault.New(fault.NotFound, "there is no payment method %.60q; see the list of payment methods", no)
}

// keep notes a method that the provider has saved, the last in order, and returns our id.
// One that was removed stays so: a word of its saving was late, or came twice. Who adds the
// same card again has another method.
func (s *Service) keep(tx *db.Tx, organization string, m Method) (string, error) {
	if organization == "" || m.ID == "" {
		return "", nil
	}
	var no string
	err := tx.QueryRow(`INSERT INTO payment_methods (`+methodColumns+`, removed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
			(SELECT COALESCE(MAX(position), -1) + 1 FROM payment_methods WHERE organization = $1 AND provider = $3 AND removed_at = 0), $11, 0, 0, 0)
		ON CONFLICT (organization, provider, theirs) DO UPDATE SET
			brand = CASE WHEN excluded.last4 = '' THEN payment_methods.brand ELSE excluded.brand END,
			exp_month = CASE WHEN excluded.last4 = '' THEN payment_methods.exp_month ELSE excluded.exp_month END,
			exp_year = CASE WHEN excluded.last4 = '' THEN payment_methods.exp_year ELSE excluded.exp_year END,
			last4 = CASE WHEN excluded.last4 = '' THEN payment_methods.last4 ELSE excluded.last4 END
		RETURNING id`,
		organization, tx.NewID("pm_"), s.Provider(), m.ID, m.Customer, m.Kind, m.Brand, m.Last4, m.Month, m.Year, tx.Now()).Scan(&no)
	if err != nil {
		return "", fmt.Errorf("note a payment method of %s: %w", organization, err)
	}
	return no, s.remember(tx, organization, m.Customer)
}

// remember notes who an organization is at the provider.
func (s *Service) remember(tx *db.Tx, organization, customer string) error {
	if customer == "" {
		return nil
	}
	_, err := tx.Exec(`INSERT INTO payment_customers (organization, provider, customer) VALUES ($1, $2, $3)
		ON CONFLICT (organization, provider) DO UPDATE SET customer = excluded.customer`, organization, s.Provider(), customer)
	if err != nil {
		return fmt.Errorf("note who %s is at %s: %w", organization, s.Provider(), err)
	}
	return nil
}

// organizationOf is whose customer somebody is at the provider; "" if nobody's.
func (s *Service) organizationOf(tx *db.Tx, customer string) (organization string, err error) {
	err = tx.QueryRow(`SELECT organization FROM payment_customers WHERE customer = $1 AND provider = $2`, customer, s.Provider()).Scan(&organization)
	if errors.Is(err, sql.ErrNoRows) || customer == "" {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find whose customer somebody is at %s: %w", s.Provider(), err)
	}
	return organization, nil
}

// customer is who an organization is at the provider; "" at the first time.
func (s *Service) customer(tx *db.Tx, organization string) (string, error) {
	var customer string
	err := tx.QueryRow(`SELECT customer FROM payment_customers WHERE organization = $1 AND provider = $2`, organization, s.Provider()).Scan(&customer)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read who %s is at %s: %w", organization, s.Provider(), err)
	}
	return customer, nil
}

// Order puts the payment methods of an organization in another order, each named once:
// the first is the default.
func (s *Service) Order(tx *db.Tx, organization string, nos []string) ([]Saved, error) {
	all, err := s.Methods(tx, organization)
	if err != nil {
		return nil, err
	}
	if len(nos) != len(all) {
		return nil, fault.At("/methods", "must name each of the %d payment methods once", len(all))
	}
	for position, no := range nos {
		if slices.Contains(nos[:position], no) || !slices.ContainsFunc(all, func(m Saved) bool { return m.No == no }) {
			return nil, fault.At(fmt.Sprintf("/methods/%d", position), "is no payment method of this organization, or stands there twice")
		}
		_, err := tx.Exec(`UPDATE payment_methods SET position = $3 WHERE organization = $1 AND id = $2`, organization, no, position)
		if err != nil {
			return nil, fmt.Errorf("order the payment methods of %s: %w", organization, err)
		}
	}
	return s.Methods(tx, organization)
}

// Remove takes a payment method away; the provider is told after the commit, again and
// again until it has heard.
func (s *Service) Remove(tx *db.Tx, organization, no string) (Saved, error) {
	m, err := s.method(tx, organization, no)
	if err != nil {
		return m, err
	}
	_, err = tx.Exec(`UPDATE payment_methods SET removed_at = $3, due_at = $3, attempts = 0 WHERE organization = $1 AND id = $2`, organization, no, tx.Now())
	if err != nil {
		return m, fmt.Errorf("remove payment method %s: %w", no, err)
	}
	tx.AfterCommit(s.ring)
	return m, nil
}

// Add begins the adding of a payment method on a page of the provider's.
func (s *Service) Add(ctx context.Context, organization string) (Page, error) {
	if err := s.taking(); err != nil {
		return Page{}, err
	}
	v := Visit{Organization: organization, Back: s.back() + "?method=saved", Cancel: s.back() + "?method=cancelled"}
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		have, err := s.Methods(tx, organization)
		if err != nil {
			return err
		}
		if len(have) >= maxMethods {
			return fault.New(fault.Conflict, "an organization has at most %d payment methods: remove one first", maxMethods)
		}
		return s.introduce(tx, &v)
	})
	if err != nil {
		return Page{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	page, err := s.provider.Save(ctx, v)
	if err != nil {
		return Page{}, s.away(err)
	}
	return page, s.db.Update(db.InLane(ctx, organization), func(tx *db.Tx) error { return s.remember(tx, organization, page.Customer) })
}

// introduce says who a visitor of the provider's is.
func (s *Service) introduce(tx *db.Tx, v *Visit) (err error) {
	if v.Customer, err = s.customer(tx, v.Organization); err == nil {
		v.Email, err = s.billing(tx, v.Organization)
	}
	return err
}

// away is an error of the provider's, for whoever waits for it.
func (s *Service) away(err error) error {
	if fault.Of(err) != nil {
		return err
	}
	s.log.Warn("the provider of payments did not answer", "provider", s.Provider(), "error", err)
	return fault.New(fault.Unavailable, "the provider of payments does not answer now: try again in a minute")
}

// billing is where mails about money go: the billing address, or else the first owner's.
func (s *Service) billing(tx *db.Tx, organization string) (string, error) {
	to, err := s.orgs.Payers(tx, organization)
	if err != nil || len(to) == 0 {
		return "", err
	}
	return to[0], nil
}
