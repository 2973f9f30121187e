package cli

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) campaignCodes() *cobra.Command {
	var n api.NewCodes
	var limit int
	var isCards bool
	c := &cobra.Command{
		Use:   "codes CAMPAIGN [--count N | --code CODE]",
		Short: "Make codes of a campaign, or list what is known of them",
		Long: `Codes makes codes with --count, and tells them this once: with -o csv or json for a
program, and with --cards as a page to print. They are kept nowhere. With --code it gives
a campaign that has one code for many uses a chosen one, such as HACK2027; others might
guess it, so give such a campaign a budget.

Without either it lists the numbers of the codes, and how often each was redeemed.`,
		Example: `  purser campaign codes spring --count 500 -o csv > codes.csv
  purser campaign codes spring --count 500 --cards > cards.html
  purser campaign codes hack-2027 --code HACK2027
  purser campaign codes spring`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeCampaigns(),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case n.Count == 0 && n.Code == "" && isCards:
				return wrong("say with --count how many cards to print")
			case n.Count == 0 && n.Code == "":
				return p.listCodes(c, args[0], limit)
			case isCards:
				return p.client().PrintCodes(c.Context(), args[0], n, api.CodesQuery{Format: "html"}, p.out)
			}
			made, err := p.client().CreateCodes(c.Context(), args[0], n)
			if err != nil {
				return err
			}
			t := &table{names: []string{"no", "code"}}
			for _, code := range made.Items {
				t.row(count(code.No), text(code.Code))
			}
			return p.show(made, t)
		},
	}
	c.Flags().Int64Var(&n.Count, "count", 0, "how many to make, up to 10000")
	c.Flags().StringVar(&n.Code, "code", "", "a chosen one")
	c.Flags().BoolVar(&isCards, "cards", false, "write a page of cards to print, as HTML")
	c.MarkFlagsMutuallyExclusive("count", "code")
	limitFlag(c, &limit)
	return c
}

func (p *program) listCodes(c *cobra.Command, campaign string, limit int) error {
	found, err := list(limit, func(page api.Page) (api.List[api.CampaignCode], error) {
		return p.client().Codes(c.Context(), campaign, page)
	})
	if err != nil {
		return err
	}
	t := &table{names: []string{"no", "status", "uses", "created_at", "revoked_at"}, empty: "The campaign has no codes. Make some with --count."}
	for _, code := range found.Items {
		t.row(count(code.No), text(code.Status), count(code.Uses), when(code.CreatedAt), whenOr(code.RevokedAt))
	}
	return p.show(found, t)
}

func (p *program) campaignRevoke() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke CAMPAIGN NO [TO]",
		Short: "Take codes out of use, by their numbers",
		Long: `Revoke has codes redeemed no more: one by its number, or all from one number to another.
The credits that were granted for them stay.`,
		Example: `  purser campaign revoke spring 17
  purser campaign revoke spring 1 500`,
		Args: cobra.RangeArgs(2, 3), ValidArgsFunction: p.completeCampaigns(),
		RunE: func(c *cobra.Command, args []string) error {
			var numbers [2]int64
			for i, arg := range args[1:] {
				n, err := strconv.ParseInt(arg, 10, 64)
				if err != nil || n < 1 {
					return wrong("%q is no number of a code", arg)
				}
				numbers[i] = n
			}
			done, err := p.client().RevokeCodes(c.Context(), args[0], api.CodeRange{From: numbers[0], To: numbers[1]})
			if err != nil {
				return err
			}
			return p.showFacts(done, fact{"revoked", count(done.Revoked)})
		},
	}
}

func (p *program) campaignRedemptions() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "redemptions CAMPAIGN",
		Short:   "List who redeemed codes of a campaign",
		Long:    `Redemptions lists which organization redeemed which code of a campaign, the newest first.`,
		Example: `  purser campaign redemptions spring`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeCampaigns(),
		RunE: func(c *cobra.Command, args []string) error {
			found, err := list(limit, func(page api.Page) (api.List[api.Redemption], error) {
				return p.client().CampaignRedemptions(c.Context(), args[0], page)
			})
			if err != nil {
				return err
			}
			return p.show(found, redemptionTable(found.Items))
		},
	}
	limitFlag(c, &limit)
	return c
}

func redemptionTable(all []api.Redemption) *table {
	t := &table{
		names: []string{"redeemed_at", "campaign", "code_no", "amount", "expires_at", "organization", "workspace", "lot", "redeemed_by"},
		empty: "No code was redeemed.",
	}
	for _, r := range all {
		t.row(when(r.RedeemedAt), text(r.Campaign), count(r.CodeNo), amount(r.Amount), whenOr(r.ExpiresAt), text(r.Organization), text(r.Workspace), text(r.Lot), text(r.RedeemedBy))
	}
	return t
}

func (p *program) campaignFind() *cobra.Command {
	return &cobra.Command{
		Use:     "find CODE",
		Short:   "Look up a code that somebody has",
		Long:    `Find says of which campaign a code is, whether it is good, and who redeemed it when. With - it reads the code.`,
		Example: `  purser campaign find BXKQ-7RTN-PMHC-D4WZ-GFLJ`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			code, err := p.codeOf(args[0])
			if err != nil {
				return err
			}
			found, err := p.client().LookUpCode(c.Context(), code)
			if err != nil {
				return err
			}
			facts := []fact{{"campaign", text(found.Campaign.Slug)}, {"no", count(found.Code.No)}, {"status", text(found.Code.Status)}, {"uses", count(found.Code.Uses)}}
			for _, r := range found.Redemptions {
				facts = append(facts, fact{"redeemed", text(fmt.Sprintf("%s by %s of %s", r.RedeemedAt, r.RedeemedBy, r.Organization))})
			}
			return p.showFacts(found, facts...)
		},
	}
}

// codeOf is the code of an argument; with - the first line of the input, which no list of
// processes and no history of a shell has.
func (p *program) codeOf(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	line, err := bufio.NewReader(p.in).ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		return "", wrong("there is no code to read: %v", err)
	}
	return line, nil
}

func (p *program) creditsRedeem() *cobra.Command {
	return &cobra.Command{
		Use:   "redeem CODE",
		Short: "Add the credits of a code to the wallet",
		Long: `Redeem adds what a code is good for, once, and says until when and for what it can be
used. The code is read in any case, with or without dashes. With - it is read from the
input, so that it stands in no history.`,
		Example: `  purser credits redeem BXKQ-7RTN-PMHC-D4WZ-GFLJ
  purser credits redeem - < code.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			code, err := p.codeOf(args[0])
			if err != nil {
				return err
			}
			r, err := p.client().Redeem(c.Context(), p.workspace(), code)
			if err != nil {
				return err
			}
			return p.showFacts(r, fact{"amount", amount(r.Amount)}, fact{"campaign", text(r.Campaign)}, fact{"expires_at", exactly(r.ExpiresAt)},
				fact{"scope", text(scopeText(r.Scope))}, fact{"balance", amount(r.Balance)}, fact{"lot", text(r.Lot)}, fact{"id", text(r.ID)})
		},
	}
}

func (p *program) creditsRedeemed() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "redeemed",
		Short:   "List the codes that the organization has redeemed",
		Long:    `Redeemed lists what the organization has redeemed, the newest first, with the lots that it became.`,
		Example: `  purser credits redeemed`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := list(limit, func(page api.Page) (api.List[api.Redemption], error) {
				return p.client().Redemptions(c.Context(), p.settings.get("org"), page)
			})
			if err != nil {
				return err
			}
			return p.show(found, redemptionTable(found.Items))
		},
	}
	limitFlag(c, &limit)
	return c
}
