package app

import (
	"context"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/outward"
	"github.com/purserhq/purser/internal/sso"
)

// SSO is the OpenID provider of the installation.
type SSO struct {
	Issuer, ClientID, Secret string
	Organization             string // whose members they become who come by it: its id or slug; "" for none's
	Role                     string // as what; developer if empty
}

// operatorsProvider is the provider of the settings; nil if there is none.
func (a *App) operatorsProvider(ctx context.Context, orgs *org.Orgs) (*sso.Provider, error) {
	c := a.config.SSO
	if c == (SSO{}) {
		return nil, nil
	}
	p := &sso.Provider{Issuer: c.Issuer, ClientID: c.ClientID, Secret: c.Secret, Role: org.Role(c.Role)}
	if p.Role == "" {
		p.Role = org.Developer
	}
	switch {
	case outward.Rules{AllowsPrivate: true}.Check("/issuer", c.Issuer) != nil:
		return nil, fault.New(fault.Invalid, "--sso-issuer: %q is no address such as https://login.example.org", c.Issuer)
	case c.ClientID == "" || c.Secret == "":
		return nil, fault.New(fault.Invalid, "--sso-issuer asks for --sso-client-id and for the secret in PURSER_SSO_CLIENT_SECRET")
	case p.Role == org.Owner || !slices.Contains(org.Roles, p.Role):
		return nil, fault.New(fault.Invalid, "--sso-role: %q must be admin, platform, developer, finance or viewer", c.Role)
	case c.Organization == "":
		return p, nil
	}
	err := a.db.View(ctx, func(tx *db.Tx) error {
		found, err := orgs.Organization(tx, c.Organization)
		p.JoinsTo = found.ID
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.Invalid, "--sso-organization: there is no organization %q", c.Organization)
	}
	return p, err
}
