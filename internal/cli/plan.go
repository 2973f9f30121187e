package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) planCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "plan",
		Aliases: []string{"plans"},
		Short:   "See and change the plan of an organization",
		Long: `A plan says what an organization pays, which credits it gets each month, and which
features it has. A change is reviewed first, and does what the review has shown.`,
	}
	c.AddCommand(p.planLs(), p.planShow(), p.planReview(), p.planChange(), p.planCancel(), p.planSet())
	return c
}

func (p *program) planLs() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the plans",
		Long:    `Ls lists the plans. One that is by contract is had by "purser quote request".`,
		Example: `  purser plan ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := p.client().Plans(c.Context())
			if err != nil {
				return err
			}
			t := &table{names: []string{"name", "title", "rate_card", "discount_percent", "credits", "credits_kind", "overdraft", "features", "by_contract", "closed"}, empty: "There are no plans."}
			for _, o := range found.Items {
				t.row(text(o.Name), text(o.Title), text(o.RateCard), count(o.DiscountPercent), amount(o.Credits), text(o.CreditsKind), amount(o.Overdraft),
					text(strings.Join(o.Features, ", ")), yes(o.ByContract), yes(o.Closed))
			}
			return p.show(found, t)
		},
	}
}

func (p *program) planShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show the plan that the organization is on",
		Long:    `Show prints the plan of the organization, and the change that is scheduled.`,
		Example: `  purser plan show --org acme`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showPlan(p.client().CurrentPlan(c.Context(), p.settings.get("org")))
		},
	}
}

// showPlan shows what an organization is on. While a contract runs it is the contract that
// says what is paid, and purser contract show that tells it.
func (p *program) showPlan(o api.CurrentPlan, err error) error {
	if err != nil {
		return err
	}
	card := o.Plan.RateCard
	if o.Contract != "" {
		card = "that of the contract"
	}
	return p.showFacts(o, fact{"plan", text(o.Plan.Name)}, fact{"title", text(o.Plan.Title)}, fact{"since", exactly(o.Since)},
		fact{"contract", text(o.Contract)}, fact{"rate_card", cell{human: card, exact: o.Plan.RateCard}}, fact{"credits", amount(o.Plan.Credits)},
		fact{"overdraft", amount(o.Plan.Overdraft)}, fact{"features", text(strings.Join(o.Plan.Features, ", "))},
		fact{"next", text(o.Next)}, fact{"next_at", exactly(o.NextAt)})
}

// periodFlag is when a change of plan takes effect.
func periodFlag(c *cobra.Command, atEnd *bool) {
	c.Flags().BoolVar(atEnd, "at-period-end", false, "at the end of the month, UTC, and not at once")
}

func choice(plan string, atEnd bool) api.PlanChoice {
	if atEnd {
		return api.PlanChoice{Plan: plan, When: "period_end"}
	}
	return api.PlanChoice{Plan: plan, When: "now"}
}

func (p *program) planReview() *cobra.Command {
	var atEnd bool
	c := &cobra.Command{
		Use:   "review PLAN",
		Short: "See what a change of plan would do",
		Long: `Review shows the prices of what was used in the last 30 days on both plans, what that came
to and would have come to, which features come and go, and the overdraft. It changes nothing; the token
that it prints below is for "purser plan change".`,
		Example: `  purser plan review pro --at-period-end`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completePlans(),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := p.client().ReviewPlan(c.Context(), p.settings.get("org"), choice(args[0], atEnd))
			if err != nil {
				return err
			}
			t := &table{names: []string{"sku", "tier", "unit", "quantity", "price", "new_price", "amount", "new_amount"}, empty: "Nothing was used in the last 30 days."}
			for _, l := range o.Prices {
				t.row(text(l.SKU), text(l.Tier), text(l.Unit), quantity(l.Quantity), amountOr(l.Price), amountOr(l.NewPrice), amount(l.Amount), amount(l.NewAmount))
			}
			t.last = reviewed(o)
			t.empty += "\n" + t.last
			return p.show(o, t)
		},
	}
	periodFlag(c, &atEnd)
	return c
}

// reviewed is what a review says below the prices.
func reviewed(o api.PlanReview) string {
	var lines strings.Builder
	fmt.Fprintf(&lines, "from %s to %s, effective %s: %s would have been %s; features gained: %s; lost: %s\n", o.From.Name, o.To.Name, when(o.EffectiveAt).human+" UTC",
		o.Amount, o.NewAmount, orDash(strings.Join(o.Gained, ", ")), orDash(strings.Join(o.Lost, ", ")))
	fmt.Fprintf(&lines, "discount %d %%, before %d %%; credits a month %s, before %s; overdraft %s, before %s\n", o.To.DiscountPercent, o.From.DiscountPercent,
		o.To.Credits, o.From.Credits, o.NewOverdraft, o.Overdraft)
	if o.NextCreditsAt != nil {
		fmt.Fprintf(&lines, "the first credits come %s UTC\n", when(*o.NextCreditsAt).human)
	}
	return lines.String() + "token " + o.Token
}

func amountOr(a *api.Amount) cell {
	if a == nil {
		return number("")
	}
	return amount(*a)
}

func (p *program) planChange() *cobra.Command {
	var n api.PlanChange
	var atEnd bool
	c := &cobra.Command{
		Use:     "change PLAN --review TOKEN",
		Short:   "Change the plan as a review has shown it",
		Long:    `Change does what "purser plan review" has shown, or nothing if that would be something else by now.`,
		Example: `  purser plan change pro --review 9c0f… --at-period-end`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completePlans(),
		RunE: func(c *cobra.Command, args []string) error {
			n.PlanChoice = choice(args[0], atEnd)
			return p.showPlan(p.client().ChangePlan(c.Context(), p.settings.get("org"), n))
		},
	}
	periodFlag(c, &atEnd)
	c.Flags().StringVar(&n.Token, "review", "", "the token of the review")
	c.MarkFlagRequired("review")
	return c
}

func (p *program) planCancel() *cobra.Command {
	return &cobra.Command{
		Use:     "cancel",
		Short:   "Call a scheduled change of plan off",
		Long:    `Cancel calls the change of plan off that is scheduled for the end of the month.`,
		Example: `  purser plan cancel`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showPlan(p.client().CancelPlanChange(c.Context(), p.settings.get("org")))
		},
	}
}

func (p *program) planSet() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "set PLAN -f FILE",
		Short: "Make or change a plan (operator)",
		Long: `Set reads a plan as JSON from FILE, or from standard input if FILE is -. Whoever is on it
has its prices and features at once. What the file leaves out stays as it is; "features": []
takes all features away.

  {"title": "Pro", "discount_percent": 15, "credits": "100", "features": ["sso"]}`,
		Example: `  purser plan set pro -f pro.json`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completePlans(),
		RunE: func(c *cobra.Command, args []string) error {
			var n api.NewPlan
			if err := p.readJSON(file, "plan", &n); err != nil {
				return err
			}
			o, err := p.client().PutPlan(c.Context(), args[0], n)
			if err != nil {
				return err
			}
			return p.showFacts(o, fact{"name", text(o.Name)}, fact{"version", count(o.Version)}, fact{"rate_card", text(o.RateCard)})
		},
	}
	fileFlag(c, &file, "the plan")
	return c
}

// completePlans offers the names of plans to the shell.
func (p *program) completePlans() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		found, err := p.client().Plans(c.Context())
		var names []string
		for _, o := range found.Items {
			names = append(names, cobra.CompletionWithDesc(o.Name, o.Title))
		}
		return names, err
	})
}
