package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) orgSSO() *cobra.Command {
	c := &cobra.Command{
		Use:   "sso",
		Short: "Set up single sign-on for the organization",
		Long: `With single sign-on the members of an organization sign in where they sign in to
everything else: at an OpenID provider, for the addresses of mail domains that the
operator has confirmed to be the organization's.`,
	}
	c.AddCommand(p.ssoShow(), p.ssoSet(), p.ssoRemove(), p.ssoConfirm())
	return c
}

func (p *program) ssoShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the single sign-on of the organization",
		Long:    `Show prints the provider, the domains, and what the provider must be told. The secret is never shown.`,
		Example: `  purser org sso show`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showSSO(p.client().SSO(c.Context(), p.settings.get("org")))
		},
	}
}

// ssoSecretEnv holds the secret of a provider that is set up.
const ssoSecretEnv = "PURSER_ORG_SSO_SECRET"

func (p *program) ssoSet() *cobra.Command {
	var n api.NewSSO
	var file string
	c := &cobra.Command{
		Use:   "set",
		Short: "Set up single sign-on in place of what there is",
		Long: `Set takes the provider's address, the client that it knows this server as, and the
mail domains for which it speaks. The client's secret is read from the environment
(` + ssoSecretEnv + `) or from a file, and may be left out if the provider stays the same.

Nobody comes by it before the operator has confirmed a domain. With --required members
with an address of the domains, and who came by it before, can come in no other way, but
for owners.`,
		Example: `  ` + ssoSecretEnv + `=… purser org sso set --issuer https://login.acme.example --client-id purser --domain acme.example`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if n.Issuer == "" || n.ClientID == "" {
				return wrong("--issuer and --client-id say at which provider, and as what")
			}
			n.ClientSecret, _ = p.env(ssoSecretEnv)
			if file != "" {
				text, err := os.ReadFile(file)
				if err != nil {
					return fmt.Errorf("read the secret: %w", err)
				}
				n.ClientSecret = strings.TrimSpace(string(text))
			}
			return p.showSSO(p.client().SetSSO(c.Context(), p.settings.get("org"), n))
		},
	}
	f := c.Flags()
	f.StringVar(&n.Issuer, "issuer", "", "address of the OpenID provider")
	f.StringVar(&n.ClientID, "client-id", "", "what the provider knows this server as")
	f.StringVar(&file, "secret-file", "", "file with the client's secret")
	f.StringSliceVar(&n.Domains, "domain", []string{}, "mail domain for which the provider speaks; may be repeated")
	f.StringVar(&n.DefaultRole, "default-role", "developer", "the role of who comes by it for the first time")
	f.BoolVar(&n.Required, "required", false, "members of these domains can come in no other way, but for owners")
	return c
}

func (p *program) ssoRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove",
		Short:   "End the single sign-on of the organization",
		Long:    `Remove ends it. Who came by it keeps the account, and can have a link mailed to choose a password.`,
		Example: `  purser org sso remove`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showSSO(p.client().RemoveSSO(c.Context(), p.settings.get("org")))
		},
	}
}

func (p *program) ssoConfirm() *cobra.Command {
	var takeBack bool
	c := &cobra.Command{
		Use:   "confirm DOMAIN [ISSUER]",
		Short: "Say for the operator that a mail domain is the organization's",
		Long: `Confirm lets the organization's provider, which is named so that it is the one that was
looked at, speak for the addresses of a domain. Whoever has that provider can sign in as
everybody with such an address: make sure first that the domain is the organization's, and
never confirm one at which anybody can have an address.`,
		Example: `  purser org sso confirm acme.example https://login.acme.example --org acme
  purser org sso confirm acme.example --take-back --org acme`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			d := api.DomainDecision{Confirmed: !takeBack}
			switch {
			case len(args) == 2 && takeBack:
				return wrong("a domain is taken back from whatever issuer there is: leave it out")
			case len(args) == 2:
				d.Issuer = args[1]
			case !takeBack:
				return wrong("which issuer speaks for %s? see purser org sso show", args[0])
			}
			return p.showSSO(p.client().DecideDomain(c.Context(), p.settings.get("org"), args[0], d))
		},
	}
	c.Flags().BoolVar(&takeBack, "take-back", false, "say that it is not, or not any more")
	return c
}

func (p *program) showSSO(s api.SSO, err error) error {
	if err != nil {
		return err
	}
	var domains []string
	for _, d := range s.Domains {
		state := "not confirmed"
		if d.ConfirmedAt != nil {
			state = "confirmed"
		}
		domains = append(domains, d.Domain+" ("+state+")")
	}
	return p.showFacts(s, fact{"issuer", text(s.Issuer)}, fact{"client_id", text(s.ClientID)}, fact{"default_role", text(s.DefaultRole)},
		fact{"required", text(fmt.Sprint(s.Required))}, fact{"domains", text(strings.Join(domains, ", "))}, fact{"callback_url", text(s.CallbackURL)})
}
