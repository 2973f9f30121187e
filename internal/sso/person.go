package sso

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Settle finds the account of who a provider says it is, or makes one, and the membership
// that comes with it. Who has been named before is known by issuer and subject; an account
// is taken over by its address only where the provider may speak for it. It reports whether
// this is the first time.
func (s *SSO) Settle(tx *db.Tx, a Arrival, c Claims) (u account.User, isFirst bool, err error) {
	var user string
	err = tx.QueryRow(`SELECT user_id FROM identities WHERE organization = $1 AND issuer = $2 AND subject = $3`,
		a.Provider.Organization, a.Provider.Issuer, c.Subject).Scan(&user)
	switch {
	case err == nil:
		u, err = s.config.Accounts.User(tx, user)
		if err == nil {
			err = s.maySpeakFor(tx, a.Provider, u.Email) // the domain may be another's by now
		}
		return u, false, err
	case !errors.Is(err, sql.ErrNoRows):
		return u, false, fmt.Errorf("find an identity: %w", err)
	}
	if c.Email == "" {
		return u, false, refusedBy(a.Provider, "it does not say that your email address is verified")
	}
	if err := s.maySpeakFor(tx, a.Provider, c.Email); err != nil {
		return u, false, err
	}
	if u, err = s.config.Accounts.Arrive(tx, c.Email, c.Name); err != nil {
		return u, false, err
	}
	_, err = tx.Exec(`INSERT INTO identities (organization, issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (organization, issuer, subject) DO NOTHING`, a.Provider.Organization, a.Provider.Issuer, c.Subject, u.ID, tx.Now())
	if err != nil {
		return u, false, fmt.Errorf("keep an identity: %w", err)
	}
	if a.Provider.JoinsTo == "" || a.Provider.Role == "" {
		return u, true, nil
	}
	return u, true, s.config.Orgs.Admit(tx, a.Provider.JoinsTo, u.ID, a.Provider.Role)
}

// maySpeakFor refuses addresses that are not a provider's to speak for: of the installation's
// it is the operator who says for which domains it does, of an organization's which it owns.
func (s *SSO) maySpeakFor(tx *db.Tx, p Provider, email string) error {
	domain := domainOf(email)
	if p.IsOperators() {
		if !p.hasDomain(domain) {
			return fault.New(fault.Forbidden, "the provider of this installation does not speak for %s: the operator names its domains", email).
				WithCode("sso_wrong_domain")
		}
		return nil
	}
	organization, err := ownerOf(tx, domain)
	if err == nil && organization != p.Organization {
		err = fault.New(fault.Forbidden, "the provider of this organization does not speak for %s: its domain has not been confirmed", email).
			WithCode("sso_wrong_domain")
	}
	return err
}

// domainOf is the domain of an address in the form in which addresses are kept.
func domainOf(email string) string { return email[strings.LastIndexByte(email, '@')+1:] }

// ownerOf is the organization whose domain has been confirmed; "" if none has it.
func ownerOf(tx *db.Tx, domain string) (organization string, err error) {
	err = tx.QueryRow(`SELECT organization FROM sso_domains WHERE domain = $1 AND confirmed_at <> 0`, domain).Scan(&organization)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find whose a domain is: %w", err)
	}
	return organization, nil
}

// NeedsSecond reports whether the person still has to give a code: who has a second factor
// gives it also where an organization's provider has signed in, for the account may be good
// for other organizations too. The provider of the installation asks for what the operator
// wants.
func (s *SSO) NeedsSecond(tx *db.Tx, a Arrival, user string) (bool, error) {
	if a.Provider.IsOperators() {
		return false, nil
	}
	has, _, err := s.config.Accounts.HasTwoFactor(tx, user)
	return has, err
}

// Pause keeps who has signed in until the code of the second factor is given, in the same
// browser.
func (s *SSO) Pause(tx *db.Tx, a Arrival, user, browser string) (state string, err error) {
	state = rand.Text()
	return state, s.wait(tx, state, browser, visit{organization: a.Provider.Organization, next: a.Next, user: user})
}

// Resume takes the code of the second factor. A wrong one leaves the visit as it is.
func (s *SSO) Resume(tx *db.Tx, state, browser, code string) (a Arrival, user account.User, err error) {
	v, err := s.take(tx, state, browser, true)
	if err != nil {
		return a, user, err
	}
	p, err := s.provider(tx, v.organization)
	if err != nil {
		return a, user, err
	}
	if err := s.config.Accounts.Second(tx, v.user, code); err != nil {
		return a, user, err
	}
	user, err = s.config.Accounts.User(tx, v.user)
	return Arrival{p, v.next, v}, user, err
}

// Waiting is whose code a browser is to give.
func (s *SSO) Waiting(tx *db.Tx, state string) (user string, err error) {
	err = tx.QueryRow(`SELECT user_id FROM sso_visits WHERE digest = $1 AND user_id <> '' AND expires_at > $2`, digest(state), tx.Now()).Scan(&user)
	if errors.Is(err, sql.ErrNoRows) {
		return "", stale()
	}
	if err != nil {
		return "", fmt.Errorf("find a visit: %w", err)
	}
	return user, nil
}

// Mark is what the session of an arrival is marked with.
func (a Arrival) Mark() string { return a.Provider.mark() }
