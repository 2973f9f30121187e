package app

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/outward"
	"github.com/purserhq/purser/internal/sso"
)

// SSO is the OpenID provider of the installation.
type SSO struct {
	Issuer, ClientID, Secret string
	Domains                  string // the mail domains for which it speaks, with commas between; * for all
	Organization             string // whose members they become who come by it: its id or slug; "" for none's
	Role                     string // as what; developer if empty
}

// people are the accounts, and the single sign-on, of a program that people reach at a URL.
func (a *App) people(ctx context.Context, orgs *org.Orgs, url string) (*account.Accounts, *sso.SSO, error) {
	operators, err := a.operatorsProvider(ctx, orgs)
	if err != nil {
		return nil, nil, err
	}
	accounts := account.New(account.Config{
		Put: a.post(a.mails), URL: url, Required: orgs.AsksForTwoFactor,
		Verified: func(tx *db.Tx, u account.User, isFirst bool) error { return orgs.Welcome(tx, u.ID, u.Email, isFirst) },
	})
	return accounts, sso.New(sso.Config{
		Accounts: accounts, Orgs: orgs, Operator: operators, Outward: outward.Rules{AllowsPrivate: a.config.AllowPrivate},
		URL: url, Now: a.db.Clock().Now, May: a.plans.MaySSO,
	}), nil
}

// operatorsProvider is the provider of the settings; nil if there is none.
func (a *App) operatorsProvider(ctx context.Context, orgs *org.Orgs) (*sso.Provider, error) {
	c := a.config.SSO
	if c == (SSO{}) {
		return nil, nil
	}
	p := &sso.Provider{Issuer: c.Issuer, ClientID: c.ClientID, Secret: c.Secret, Role: cmp.Or(org.Role(c.Role), org.Developer)}
	p.Speaks = strings.FieldsFunc(strings.ToLower(c.Domains), func(r rune) bool { return r == ',' || r == ' ' })
	switch {
	case outward.Rules{AllowsPrivate: true}.Check("/issuer", c.Issuer) != nil:
		return nil, fault.New(fault.Invalid, "--sso-issuer: %q is no address such as https://login.example.org", c.Issuer)
	case c.ClientID == "" || c.Secret == "":
		return nil, fault.New(fault.Invalid, "--sso-issuer asks for --sso-client-id and for the secret in PURSER_SSO_CLIENT_SECRET")
	case len(p.Speaks) == 0:
		return nil, fault.New(fault.Invalid, "--sso-issuer asks for --sso-domains: the mail domains whose addresses it may sign in, or * if you trust "+
			"whatever address it says is verified")
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
