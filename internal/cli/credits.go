package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) creditsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "credits",
		Short: "Balance, runway, lots, statement; buy, redeem, grant and transfer credits",
		Long: `Credits shows what a workspace's wallet holds and how long it lasts, and moves
credits in and out. 1 credit is 1 US dollar; all amounts are exact to a billionth
of a credit.`,
	}
	c.AddCommand(p.creditsBalance(), p.creditsRunway(), p.creditsLots(), p.creditsActivity(), p.creditsBuy(), p.creditsAutoTopUp(), p.creditsGrant(),
		p.creditsTransfer(), p.creditsRedeem(), p.creditsRedeemed())
	return c
}

func (p *program) creditsBalance() *cobra.Command {
	return &cobra.Command{
		Use:   "balance",
		Short: "Show what the wallet holds at this instant",
		Long: `Balance shows the balance at this very instant, with what running work has used
up to it, and what of it is available: not held, and not frozen.`,
		Example: `  purser credits balance
  purser credits balance -o json | jq -r .available`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := p.client().Balance(c.Context(), p.workspace())
			if err != nil {
				return err
			}
			return p.showFacts(b,
				fact{"balance", amount(b.Balance)}, fact{"available", amount(b.Available)},
				fact{"held", some(b.Held)}, fact{"frozen", some(b.Frozen)}, fact{"overdraft", some(b.Overdraft)},
				fact{"leased", some(b.Leased)}, fact{"owed", some(b.Owed)}, fact{"burn_rate", amount(b.BurnRate)},
				fact{"landing_at", exactly(b.LandingAt)}, fact{"empty_at", exactly(b.EmptyAt)},
				fact{"as_of", text(string(b.AsOf))}, fact{"version", count(b.Version)},
			)
		},
	}
}

// some is an amount that people are not told of when it is zero.
func some(a api.Amount) cell {
	if a == "0" {
		return cell{exact: "0", right: true}
	}
	return amount(a)
}

// runway is for how long credits last.
type runway struct {
	Runs          bool         `json:"runs"`
	RunwaySeconds *int64       `json:"runway_seconds"`
	BurnRate      api.Amount   `json:"burn_rate"`
	Available     api.Amount   `json:"available"`
	LandingAt     *api.Instant `json:"landing_at"`
	EmptyAt       *api.Instant `json:"empty_at"`
	AsOf          api.Instant  `json:"as_of"`
}

func (p *program) creditsRunway() *cobra.Command {
	return &cobra.Command{
		Use:   "runway",
		Short: "Show how long the credits last as things are running",
		Long: `Runway shows when running work will be warned and when it will have used up what
it may use, if nothing changes. These instants are computed, not estimated.`,
		Example: `  purser credits runway`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := p.client().Balance(c.Context(), p.workspace())
			if err != nil {
				return err
			}
			r := runway{BurnRate: b.BurnRate, Available: b.Available, LandingAt: b.LandingAt, EmptyAt: b.EmptyAt, AsOf: b.AsOf}
			lasts := text("")
			if b.EmptyAt != nil {
				now, _ := b.AsOf.UnixNano()
				empty, _ := b.EmptyAt.UnixNano()
				seconds := (empty - now) / 1e9
				r.Runs, r.RunwaySeconds = true, &seconds
				lasts = cell{human: span(empty - now), exact: fmt.Sprint(seconds)}
			} else if p.settings.output() == "table" {
				lasts = cell{human: "nothing runs that will use them up", exact: "none"}
			}
			return p.showFacts(r, fact{"runway_seconds", lasts}, fact{"burn_rate", amount(r.BurnRate)}, fact{"available", amount(r.Available)},
				fact{"landing_at", exactly(r.LandingAt)}, fact{"empty_at", exactly(r.EmptyAt)}, fact{"as_of", text(string(r.AsOf))})
		},
	}
}

func (p *program) creditsLots() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "lots",
		Short: "List lots in the order in which they will be used",
		Long: `Lots lists credits by what was granted at once on the same terms, in the order in
which they will be used: lower priority first, then sooner expiry, then narrower
scope, then older. Of those that running work will use it says from when, and when
it will have used them up, if nothing else happens.`,
		Example: `  purser credits lots`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			lots, err := list(limit, func(page api.Page) (api.List[api.Lot], error) {
				return p.client().Lots(c.Context(), p.workspace(), page)
			})
			if err != nil {
				return err
			}
			return p.show(lots, lotTable(lots.Items))
		},
	}
	limitFlag(c, &limit)
	return c
}

func lotTable(lots []api.Lot) *table {
	t := &table{
		names: []string{"id", "kind", "status", "remaining", "amount", "held", "priority", "scope", "effective_at", "expires_at", "used_from", "used_up_at"},
		empty: `There are no credits. Buy some with "purser credits buy", or redeem a code with "purser credits redeem".`,
	}
	for _, l := range lots {
		t.row(text(l.ID), text(l.Kind), text(l.Status), amount(l.Remaining), amount(l.Amount), amount(l.Held),
			count(int64(l.Priority)), text(scopeText(l.Scope)), when(l.EffectiveAt), whenOr(l.ExpiresAt),
			whenOr(l.UsedFrom), whenOr(l.UsedUpAt))
	}
	return t
}

func scopeText(s api.Scope) string {
	var parts []string
	for _, part := range s.SKUs {
		parts = append(parts, "sku="+part)
	}
	for _, part := range s.Tiers {
		parts = append(parts, "tier="+part)
	}
	for _, part := range s.Regions {
		parts = append(parts, "region="+part)
	}
	for _, part := range s.Projects {
		parts = append(parts, "project="+part)
	}
	return strings.Join(parts, " ")
}

func (p *program) creditsGrant() *cobra.Command {
	var n api.NewGrant
	var scope api.Scope
	var effective, expires, cost string
	var priority int
	c := &cobra.Command{
		Use:   "grant AMOUNT",
		Short: "Add credits to the wallet (operator)",
		Long: `Grant adds a lot. Its kind decides in which order lots are used, unless --priority
does: commitment 5, promotional 10, plan 20, financed 30, purchased and
adjustment 50; lower goes first. Purchased credits expire after five years unless
--expires says otherwise, others never.

A lot can be kept for some SKUs, tiers, regions or projects; * in a pattern
stands for anything.`,
		Example: `  purser credits grant 100
  purser credits grant 50 --kind promotional --expires 30d --sku 'gpu.*' --reason "spring campaign"
  purser credits grant 1000 --kind plan --effective 2027-01-01 --expires 2027-02-01`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if n.Amount, err = parseAmount(args[0]); err != nil {
				return err
			}
			if n.CostBasis, err = parseAmount(cost); err != nil {
				return err
			}
			if n.EffectiveAt, err = p.instant(c.Context(), effective, +1); err != nil {
				return err
			}
			if n.ExpiresAt, err = p.instant(c.Context(), expires, +1); err != nil {
				return err
			}
			n.Priority = pointer(c.Flags().Changed("priority"), priority)
			n.Scope = pointer(scopeText(scope) != "", scope)
			lot, err := p.client().Grant(c.Context(), p.workspace(), n)
			if err != nil {
				return err
			}
			return p.showLot(lot)
		},
	}
	f := c.Flags()
	f.StringVar(&n.Kind, "kind", "purchased", "purchased, promotional, plan, commitment, financed or adjustment")
	f.IntVar(&priority, "priority", 0, "lower is used first (default: by kind)")
	f.StringVar(&effective, "effective", "", "from when it can be used: an instant, a day, or a length of time from now")
	f.StringVar(&expires, "expires", "", "until when it can be used")
	f.StringArrayVar(&scope.SKUs, "sku", nil, "only for these SKUs, as in 'gpu.*'")
	f.StringArrayVar(&scope.Tiers, "tier", nil, "only for these tiers")
	f.StringArrayVar(&scope.Regions, "region", nil, "only for these regions")
	f.StringArrayVar(&scope.Projects, "only-project", nil, "only for these projects")
	f.StringVar(&n.Reason, "reason", "", "why, for the record")
	f.StringVar(&cost, "cost-basis", "", "what was paid for it")
	return c
}

func (p *program) showLot(l api.Lot) error {
	return p.showFacts(l,
		fact{"id", text(l.ID)}, fact{"kind", text(l.Kind)}, fact{"status", text(l.Status)},
		fact{"amount", amount(l.Amount)}, fact{"remaining", amount(l.Remaining)}, fact{"held", some(l.Held)},
		fact{"priority", count(int64(l.Priority))}, fact{"scope", text(scopeText(l.Scope))},
		fact{"effective_at", text(string(l.EffectiveAt))}, fact{"expires_at", exactly(l.ExpiresAt)},
		fact{"source", text(l.Source)}, fact{"reason", text(l.Reason)}, fact{"as_of", text(string(l.AsOf))},
	)
}

func (p *program) creditsTransfer() *cobra.Command {
	var n api.NewTransfer
	c := &cobra.Command{
		Use:   "transfer AMOUNT --to WORKSPACE",
		Short: "Move credits to another workspace of the organization",
		Long: `Transfer moves credits lot by lot, in the order in which they would be used; they
keep their terms. Credits that are held, frozen, leased to running work or kept
for a project stay, and it says how many.`,
		Example: `  purser credits transfer 25 --to acme.vision`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if n.Amount, err = parseAmount(args[0]); err != nil {
				return err
			}
			moved, err := p.client().Transfer(c.Context(), p.workspace(), n)
			if err != nil {
				return err
			}
			return p.showFacts(moved, fact{"id", text(moved.ID)}, fact{"amount", amount(moved.Amount)},
				fact{"from_workspace", text(moved.FromWorkspace)}, fact{"to_workspace", text(moved.ToWorkspace)},
				fact{"lots", count(int64(len(moved.Lots)))}, fact{"at", text(string(moved.At))},
				fact{"stayed_for_projects", some(moved.Stayed.Project)}, fact{"stayed_frozen", some(moved.Stayed.Frozen)},
				fact{"stayed_until_effective", some(moved.Stayed.Later)}, fact{"stayed_held", some(moved.Stayed.Held)},
				fact{"stayed_leased", some(moved.Stayed.Leased)})
		},
	}
	c.Flags().StringVar(&n.ToWorkspace, "to", "", "the workspace: org.workspace, org, or its id")
	c.Flags().StringVar(&n.Reason, "reason", "", "why, for the record")
	c.MarkFlagRequired("to")
	return c
}
