package sso

import (
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// Bar marks the memberships of a person that a session is not good for: those in an
// organization that asks members with an address of its domains, and whom its provider has
// signed in before, to come by its own provider. came says how the session began
// ([account.Session.SSO]). An owner is never barred: somebody must be able to mend what is
// set up wrongly.
func (s *SSO) Bar(tx *db.Tx, members []org.Membership, user, came string) error {
	barred, err := barredFrom(tx, user, came)
	if err != nil || len(barred) == 0 {
		return err
	}
	for _, m := range members {
		if m.Role == org.Owner && m.Project == "" {
			delete(barred, m.Organization)
		}
	}
	for i, m := range members {
		members[i].NeedsSSO = barred[m.Organization]
	}
	return nil
}

// barredFrom are the organizations that a person would have to enter by their provider.
func barredFrom(tx *db.Tx, user, came string) (map[string]bool, error) {
	barred := map[string]bool{}
	err := tx.Each(func(r db.Scanner) error {
		var organization, email, domain string
		var isKnown int64
		if err := r.Scan(&organization, &email, &domain, &isKnown); err != nil {
			return fmt.Errorf("read who must come by single sign-on: %w", err)
		}
		if came != organization && (isKnown != 0 || domainOf(email) == domain) {
			barred[organization] = true
		}
		return nil
	}, `SELECT m.organization, u.email, d.domain,
			CASE WHEN EXISTS (SELECT 1 FROM identities i WHERE i.user_id = m.user_id AND i.organization = m.organization) THEN 1 ELSE 0 END
		FROM memberships m JOIN users u ON u.id = m.user_id
		JOIN sso_providers p ON p.organization = m.organization AND p.is_required <> 0
		JOIN sso_domains d ON d.organization = m.organization AND d.confirmed_at <> 0
		WHERE m.user_id = $1`, user)
	return barred, err
}

// MayChangeAddress refuses a session that is barred from an organization because of the
// address that the person has: with another one it would not be, though the organization
// may have taken the address away.
func (s *SSO) MayChangeAddress(tx *db.Tx, user, came string) error {
	barred, err := barredFrom(tx, user, came)
	if err == nil && len(barred) > 0 {
		err = fault.New(fault.Forbidden, "an organization of yours asks for its single sign-on with this address: log in that way first").
			WithCode("sso_required")
	}
	return err
}
