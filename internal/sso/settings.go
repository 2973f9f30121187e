package sso

import (
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// MaxDomains is how many mail domains an organization claims at most.
const MaxDomains = 20

// Domain is a mail domain that an organization claims.
type Domain struct {
	Name        string
	ConfirmedAt int64 // 0 until the operator has confirmed it
}

// Settings are the provider of an organization and its domains.
type Settings struct {
	Provider
	ChangedAt int64
	Domains   []Domain
}

// Choice is what an organization sets up.
type Choice struct {
	Issuer, ClientID string
	Secret           string // "" leaves the one that there is
	Domains          []string
	Role             org.Role
	IsRequired       bool
}

// provider is that of an organization, or of the installation ("").
func (s *SSO) provider(tx *db.Tx, organization string) (Provider, error) {
	if organization == "" {
		if s.config.Operator == nil {
			return Provider{}, none()
		}
		return *s.config.Operator, nil
	}
	settings, err := s.Settings(tx, organization)
	return settings.Provider, err
}

func none() error {
	return fault.New(fault.NotFound, "no single sign-on is set up for this address or organization").WithCode("no_sso")
}

// Settings are those of an organization.
func (s *SSO) Settings(tx *db.Tx, organization string) (out Settings, err error) {
	out.Organization, out.JoinsTo = organization, organization
	var required int64
	err = tx.QueryRow(`SELECT issuer, client_id, client_secret, default_role, is_required, changed_at FROM sso_providers WHERE organization = $1`, organization).
		Scan(&out.Issuer, &out.ClientID, &out.Secret, &out.Role, &required, &out.ChangedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return out, none()
	}
	if err != nil {
		return out, fmt.Errorf("read the single sign-on of %s: %w", organization, err)
	}
	out.IsRequired = required != 0
	out.Domains, err = db.All(tx, func(r db.Scanner) (d Domain, err error) {
		err = r.Scan(&d.Name, &d.ConfirmedAt)
		return d, err
	}, `SELECT domain, confirmed_at FROM sso_domains WHERE organization = $1 ORDER BY domain`, organization)
	if err != nil {
		return out, fmt.Errorf("read the domains of %s: %w", organization, err)
	}
	return out, nil
}

// Set sets up the provider of an organization. Domains that it had keep their
// confirmation; further ones wait for it. With another issuer or client none stays
// confirmed: the operator has judged the one that was there. It is refused while
// [Config.May] refuses it; what was set up before goes on, and can be removed.
func (s *SSO) Set(tx *db.Tx, organization string, c Choice) (Settings, error) {
	if err := tx.Exclude("sso " + organization); err != nil {
		return Settings{}, fmt.Errorf("hold the single sign-on of %s: %w", organization, err)
	}
	if s.config.May != nil {
		if err := s.config.May(tx, organization); err != nil {
			return Settings{}, err
		}
	}
	before, err := s.Settings(tx, organization)
	isNew := fault.Is(err, fault.NotFound)
	if err != nil && !isNew {
		return before, err
	}
	if c.Secret == "" && c.Issuer == before.Issuer {
		c.Secret = before.Secret
	}
	c.Domains = slices.Clone(c.Domains)
	if err := s.check(&c); err != nil {
		return Settings{}, err
	}
	required := 0
	if c.IsRequired {
		required = 1
	}
	_, err = tx.Exec(`INSERT INTO sso_providers (organization, issuer, client_id, client_secret, default_role, is_required, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organization) DO UPDATE SET issuer = excluded.issuer, client_id = excluded.client_id,
		client_secret = excluded.client_secret, default_role = excluded.default_role, is_required = excluded.is_required, changed_at = excluded.changed_at`,
		organization, c.Issuer, c.ClientID, c.Secret, string(c.Role), required, tx.Now())
	if err != nil {
		return Settings{}, fmt.Errorf("set up the single sign-on of %s: %w", organization, err)
	}
	isSame := !isNew && c.Issuer == before.Issuer && c.ClientID == before.ClientID
	if err := s.claim(tx, organization, c.Domains, isSame); err != nil {
		return Settings{}, err
	}
	return s.Settings(tx, organization)
}

// claim replaces the domains of an organization.
func (s *SSO) claim(tx *db.Tx, organization string, domains []string, keeps bool) error {
	had := map[string]int64{}
	err := tx.Each(func(r db.Scanner) error {
		var name string
		var at int64
		err := r.Scan(&name, &at)
		had[name] = at
		return err
	}, `DELETE FROM sso_domains WHERE organization = $1 RETURNING domain, confirmed_at`, organization)
	if err != nil {
		return fmt.Errorf("replace the domains of %s: %w", organization, err)
	}
	for _, d := range domains {
		confirmed := had[d]
		if !keeps {
			confirmed = 0
		}
		_, err := tx.Exec(`INSERT INTO sso_domains (domain, organization, claimed_at, confirmed_at) VALUES ($1, $2, $3, $4)`,
			d, organization, tx.Now(), confirmed)
		if err != nil {
			return fmt.Errorf("claim a domain for %s: %w", organization, err)
		}
	}
	return nil
}

var isDomain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`).MatchString

func (s *SSO) check(c *Choice) error {
	var wrong fault.Fields
	if err := s.config.Outward.Check("/issuer", c.Issuer); err != nil {
		wrong.Add("/issuer", strings.TrimPrefix(err.Error(), "/issuer: "))
	}
	if c.ClientID == "" {
		wrong.Add("/client_id", "must not be empty")
	}
	if c.Secret == "" {
		wrong.Add("/client_secret", "must be given with a new provider")
	}
	if c.Role == org.Owner || !slices.Contains(org.Roles, c.Role) {
		wrong.Add("/default_role", "must be admin, platform, developer, finance or viewer")
	}
	if len(c.Domains) > MaxDomains {
		wrong.Add("/domains", fmt.Sprintf("may be at most %d", MaxDomains))
	}
	for i, d := range c.Domains {
		c.Domains[i] = strings.ToLower(strings.TrimSpace(d))
		switch {
		case len(d) > 253 || !isDomain(c.Domains[i]):
			wrong.Add(fmt.Sprintf("/domains/%d", i), "must be a domain such as example.org")
		case slices.Contains(c.Domains[:i], c.Domains[i]):
			wrong.Add(fmt.Sprintf("/domains/%d", i), "stands here twice")
		}
	}
	return wrong.Err()
}

// Remove ends the single sign-on of an organization. Who came by it has the account still.
func (s *SSO) Remove(tx *db.Tx, organization string) (Settings, error) {
	was, err := s.Settings(tx, organization)
	if err != nil {
		return was, err
	}
	for _, statement := range []string{`DELETE FROM sso_providers WHERE organization = $1`, `DELETE FROM sso_domains WHERE organization = $1`} {
		if _, err := tx.Exec(statement, organization); err != nil {
			return was, fmt.Errorf("end the single sign-on of %s: %w", organization, err)
		}
	}
	return was, nil
}

// Confirm says for the operator that an issuer speaks for a domain which is the
// organization's. It is refused if the organization has another issuer by now.
func (s *SSO) Confirm(tx *db.Tx, organization, domain, issuer string) (Settings, error) {
	domain = strings.ToLower(domain)
	for _, what := range []string{"sso " + organization, "sso domain " + domain} { // in the order of Set, then of the operator
		if err := tx.Exclude(what); err != nil {
			return Settings{}, fmt.Errorf("hold a domain: %w", err)
		}
	}
	found, err := s.Settings(tx, organization)
	if err != nil {
		return found, err
	}
	if found.Issuer != issuer {
		return found, fault.New(fault.Conflict, "the provider of the organization is %s and not %s: look at it again", found.Issuer, issuer).WithCode("sso_other_issuer")
	}
	owner, err := ownerOf(tx, domain)
	if err != nil {
		return found, err
	}
	if owner != "" && owner != organization {
		return found, fault.New(fault.Conflict, "%s is confirmed for another organization: take that back first", domain).WithCode("sso_domain_taken")
	}
	return s.decide(tx, organization, domain, tx.Now())
}

// TakeBack says for the operator that a domain is not the organization's, or not any more.
func (s *SSO) TakeBack(tx *db.Tx, organization, domain string) (Settings, error) {
	return s.decide(tx, organization, strings.ToLower(domain), 0)
}

func (s *SSO) decide(tx *db.Tx, organization, domain string, at int64) (Settings, error) {
	n, err := tx.Exec(`UPDATE sso_domains SET confirmed_at = $3 WHERE organization = $1 AND domain = $2`, organization, domain, at)
	if err != nil {
		return Settings{}, fmt.Errorf("confirm a domain: %w", err)
	}
	if n == 0 {
		return Settings{}, fault.New(fault.NotFound, "the organization does not claim %.253s", domain)
	}
	return s.Settings(tx, organization)
}

// For is the provider that signs in who has an address: of the organization whose
// confirmed domain it has, or else of the installation; without an address the latter.
func (s *SSO) For(tx *db.Tx, email string) (Provider, error) {
	if email == "" {
		return s.provider(tx, "")
	}
	organization, err := ownerOf(tx, domainOf(email))
	if err != nil {
		return Provider{}, err
	}
	p, err := s.provider(tx, organization)
	if err == nil && p.IsOperators() && !p.hasDomain(domainOf(email)) {
		err = none()
	}
	return p, err
}
