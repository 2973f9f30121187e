package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

// orgArgument is the organization that a command names, or that of the settings.
func (p *program) orgArgument(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return p.settings.get("org")
}

func (p *program) orgSet() *cobra.Command {
	var name, role, email, legal, address, tax, country, reference string
	var twoFactor bool
	c := &cobra.Command{
		Use:   "set",
		Short: "Change the name, settings and billing profile of the organization",
		Long:  `Set changes what the flags name of the organization of the settings, and prints what there is then.`,
		Example: `  purser org set --name "Acme AI" --require-two-factor
  purser org set --billing-email finance@acme.example --legal-name "Acme Ltd"`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, client, org, given := c.Context(), p.client(), p.settings.get("org"), c.Flags().Changed
			if given("name") {
				if _, err := client.RenameOrganization(ctx, org, api.OrganizationChange{Name: name}); err != nil {
					return err
				}
			}
			settings := api.OrganizationSettingsChange{
				RequireTwoFactor: pointer(given("require-two-factor"), twoFactor), DefaultRole: pointer(given("default-role"), role),
			}
			if settings != (api.OrganizationSettingsChange{}) {
				if _, err := client.ChangeOrganizationSettings(ctx, org, settings); err != nil {
					return err
				}
			}
			billing := api.BillingProfileChange{
				BillingEmail: pointer(given("billing-email"), email), LegalName: pointer(given("legal-name"), legal),
				Address: pointer(given("address"), address), TaxID: pointer(given("tax-id"), tax),
				Country: pointer(given("country"), country), Reference: pointer(given("reference"), reference),
			}
			if billing == (api.BillingProfileChange{}) {
				return p.showOrg(client.Organization(ctx, org))
			}
			return p.showBilling(client.ChangeBillingProfile(ctx, org, billing))
		},
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "its name for people")
	f.BoolVar(&twoFactor, "require-two-factor", false, "let in only members with two-factor authentication")
	f.StringVar(&role, "default-role", "", "the role of who joins without an invitation")
	f.StringVar(&email, "billing-email", "", "where invoices and alerts go")
	f.StringVar(&legal, "legal-name", "", "the name on invoices")
	f.StringVar(&address, "address", "", "the address on invoices")
	f.StringVar(&tax, "tax-id", "", "the tax id on invoices, as the country writes it: DE811569869")
	f.StringVar(&country, "country", "", "the country of the tax, two letters as DE")
	f.StringVar(&reference, "reference", "", "what invoices carry, as the number of a purchase order")
	return c
}

func (p *program) showBilling(b api.BillingProfile, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(b, fact{"billing_email", text(b.BillingEmail)}, fact{"legal_name", text(b.LegalName)},
		fact{"address", text(b.Address)}, fact{"tax_id", text(b.TaxID)}, fact{"tax_id_state", text(b.TaxIDState)},
		fact{"tax_id_verified_on", text(b.VerifiedOn)}, fact{"tax_id_verification", text(b.Verification)},
		fact{"country", text(b.Country)}, fact{"reference", text(b.Reference)})
}

func (p *program) orgTaxID() *cobra.Command {
	c := &cobra.Command{
		Use:   "tax-id",
		Short: "Say that the tax id of an organization is verified (operator)",
		Long: `That a tax id has the form of its country is seen when it is set. That it is the
organization's is what the operator says here, with the evidence; it is kept with every
payment that is made from then on, and with its invoice. Another tax id or country ends it.`,
	}
	var v api.TaxIDVerification
	verify := &cobra.Command{
		Use: "verify ORG TAX-ID --on DAY --reference TEXT", Short: "Keep that a tax id was verified, with the evidence", Args: cobra.ExactArgs(2),
		Long: `Verify keeps on which day, and by what, the operator has seen that a tax id is the
organization's. It is refused if the billing profile has another one.`,
		Example: `  purser org tax-id verify acme DE811569869 --on 2026-11-27 --reference "VIES consultation WAPIAAAAX3cXy9"`,
		RunE: func(c *cobra.Command, args []string) error {
			v.TaxID = args[1]
			return p.showBilling(p.client().VerifyTaxID(c.Context(), args[0], v))
		},
	}
	verify.Flags().StringVar(&v.VerifiedOn, "on", "", "the day on which it was seen, as 2026-11-27")
	verify.Flags().StringVar(&v.Reference, "reference", "", "what says so")
	verify.MarkFlagRequired("on")
	verify.MarkFlagRequired("reference")
	unverify := &cobra.Command{
		Use: "unverify ORG", Short: "Take back that a tax id was verified", Args: cobra.ExactArgs(1),
		Long:    `Unverify takes the operator's word back. What has been paid keeps its evidence.`,
		Example: `  purser org tax-id unverify acme`,
		RunE: func(c *cobra.Command, args []string) error {
			return p.showBilling(p.client().UnverifyTaxID(c.Context(), args[0]))
		},
	}
	c.AddCommand(verify, unverify)
	return c
}

func (p *program) orgMembers() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "members [ORG]",
		Short:   "List the members of an organization",
		Long:    `Members lists who belongs to an organization, with a line for each role.`,
		Example: `  purser org members acme`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.listMembers(c.Context(), p.orgArgument(args), limit)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) orgLeave() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "leave ORG",
		Short: "Leave an organization, or hand it over",
		Long: `Leave ends your membership. The last owner cannot leave: with --hand-over another
member becomes owner in your place, and you stay as admin.`,
		Example: `  purser org leave acme
  purser org leave acme --hand-over ada@example.org`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if to == "" {
				return p.showMember(p.client().LeaveOrganization(c.Context(), args[0]))
			}
			user, err := p.memberID(c.Context(), args[0], to)
			if err != nil {
				return err
			}
			return p.showMember(p.client().HandOverOrganization(c.Context(), args[0], api.HandOver{User: user}))
		},
	}
	c.Flags().StringVar(&to, "hand-over", "", "the member who becomes owner instead")
	return c
}

func (p *program) orgDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ORG",
		Short: "Delete an organization in which nothing runs and no credits are left",
		Long: `Delete ends an organization for all its members. It is refused, with all reasons,
while something runs, is held or is owed, or credits remain. Its books stay.`,
		Example: `  purser org delete acme`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showOrg(p.client().DeleteOrganization(c.Context(), args[0]))
		},
	}
}
