package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) campaignCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "campaign",
		Aliases: []string{"campaigns"},
		Short:   "Give credits away by code (operator)",
		Long: `A campaign is credits that are given away on the same terms to everybody who has one of
its codes: so many of them, for so long, for what its scope names. Codes are made in bulk
and told once; what is kept of them is only good to recognize them by.`,
	}
	c.AddCommand(p.campaignCreate(), p.campaignLs(), p.campaignShow(), p.campaignClose(), p.campaignCodes(), p.campaignRevoke(), p.campaignRedemptions(), p.campaignFind())
	return c
}

func (p *program) campaignCreate() *cobra.Command {
	var n api.NewCampaign
	var scope api.Scope
	var expires, from, until, budget string
	var perOrganization int64
	c := &cobra.Command{
		Use:   "create SLUG AMOUNT --name NAME",
		Short: "Create a campaign",
		Long: `Create makes a campaign, whose terms stay as they are; "purser campaign codes" then makes
its codes. Each works once. With --uses there is one code, that works so often.`,
		Example: `  purser campaign create spring 25 --name "Spring 2027" --expires-days 90 --until 2027-06-01
  purser campaign create hack-2027 50 --name "Hackathon 2027" --uses 200 --domain example.edu --budget 10000`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			n.Slug = args[0]
			if n.Amount, err = parseAmount(args[1]); err != nil {
				return err
			}
			if n.Budget, err = parseAmount(budget); err != nil {
				return err
			}
			if n.ExpiresAt, err = p.instant(c.Context(), expires, +1); err != nil {
				return err
			}
			if n.From, err = p.instant(c.Context(), from, +1); err != nil {
				return err
			}
			if n.Until, err = p.instant(c.Context(), until, +1); err != nil {
				return err
			}
			n.PerOrganization = pointer(c.Flags().Changed("per-organization"), perOrganization)
			n.Scope = pointer(scopeText(scope) != "", scope)
			return p.showCampaign(p.client().CreateCampaign(c.Context(), n))
		},
	}
	f := c.Flags()
	f.StringVar(&n.Name, "name", "", "what whoever redeems a code reads of it")
	f.Int64Var(&n.Uses, "uses", 1, "how often each code works; with more than once there is one code")
	f.Int64Var(&perOrganization, "per-organization", 1, "how often one organization redeems codes of it; 0 for no limit")
	f.StringArrayVar(&n.Domains, "domain", nil, "only for people with a verified address at this domain")
	f.StringVar(&from, "from", "", "codes are good from then on: an instant, a day, or a length of time from now")
	f.StringVar(&until, "until", "", "and before then")
	f.StringVar(&budget, "budget", "", "what all redemptions may sum up to")
	f.StringVar(&expires, "expires", "", "until when the credits can be used")
	f.Int64Var(&n.ExpiresDays, "expires-days", 0, "or for how many days after redeeming")
	f.StringArrayVar(&scope.SKUs, "sku", nil, "only for these SKUs, as in 'gpu.*'")
	f.StringArrayVar(&scope.Tiers, "tier", nil, "only for these tiers")
	f.StringArrayVar(&scope.Regions, "region", nil, "only for these regions")
	f.StringArrayVar(&scope.Projects, "only-project", nil, "only for these projects")
	c.MarkFlagRequired("name")
	return c
}

func (p *program) showCampaign(o api.Campaign, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(o, fact{"id", text(o.ID)}, fact{"slug", text(o.Slug)}, fact{"name", text(o.Name)}, fact{"status", text(o.Status)},
		fact{"amount", amount(o.Amount)}, fact{"scope", text(scopeText(o.Scope))}, fact{"expires", text(expiryText(o))},
		fact{"uses", count(o.Uses)}, fact{"per_organization", text(orNone(o.PerOrganization))}, fact{"domains", text(strings.Join(o.Domains, ", "))},
		fact{"from", exactly(o.From)}, fact{"until", exactly(o.Until)}, fact{"budget", amount(o.Budget)}, fact{"redeemed", amount(o.Redeemed)},
		fact{"redemptions", count(o.Redemptions)}, fact{"codes", count(o.Codes)}, fact{"created_at", text(string(o.CreatedAt))}, fact{"closed_at", exactly(o.ClosedAt)})
}

// expiryText says when the credits of a campaign expire; "" for never.
func expiryText(o api.Campaign) string {
	switch {
	case o.ExpiresDays > 0:
		return fmt.Sprintf("%d days after redeeming", o.ExpiresDays)
	case o.ExpiresAt != nil:
		return string(*o.ExpiresAt)
	}
	return ""
}

func (p *program) campaignLs() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List campaigns, the newest first",
		Long:    `Ls lists campaigns with what they have given away so far.`,
		Example: `  purser campaign ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := list(limit, func(page api.Page) (api.List[api.Campaign], error) { return p.client().Campaigns(c.Context(), page) })
			if err != nil {
				return err
			}
			t := &table{names: []string{"slug", "name", "status", "amount", "uses", "codes", "redemptions", "redeemed", "budget", "until"}, empty: "There are no campaigns."}
			for _, o := range found.Items {
				t.row(text(o.Slug), text(o.Name), text(o.Status), amount(o.Amount), count(o.Uses), count(o.Codes), count(o.Redemptions), amount(o.Redeemed), amount(o.Budget), whenOr(o.Until))
			}
			return p.show(found, t)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) campaignShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show CAMPAIGN",
		Short:   "Show a campaign with its terms",
		Long:    `Show prints the terms of a campaign, and what it has given away so far.`,
		Example: `  purser campaign show spring`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeCampaigns(),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showCampaign(p.client().Campaign(c.Context(), args[0]))
		},
	}
}

func (p *program) campaignClose() *cobra.Command {
	var undo bool
	c := &cobra.Command{
		Use:   "close CAMPAIGN",
		Short: "Have the codes of a campaign redeemed no more",
		Long:  `Close ends a campaign at once. The credits that were granted stay.`,
		Example: `  purser campaign close spring
  purser campaign close spring --undo`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeCampaigns(),
		RunE: func(c *cobra.Command, args []string) error {
			if undo {
				return p.showCampaign(p.client().ReopenCampaign(c.Context(), args[0]))
			}
			return p.showCampaign(p.client().CloseCampaign(c.Context(), args[0]))
		},
	}
	c.Flags().BoolVar(&undo, "undo", false, "open it again")
	return c
}

// completeCampaigns offers the slugs of campaigns to the shell.
func (p *program) completeCampaigns() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		found, err := p.client().Campaigns(c.Context(), api.Page{Limit: 200})
		var slugs []string
		for _, o := range found.Items {
			slugs = append(slugs, cobra.CompletionWithDesc(o.Slug, o.Name))
		}
		return slugs, err
	})
}
