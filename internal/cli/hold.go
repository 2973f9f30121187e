package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) holdCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "hold",
		Aliases: []string{"holds"},
		Short:   "Set credits aside, take from them, give them back",
		Long: `A hold sets credits aside for one bounded request until what was used is captured
from it, it is released, or it expires.`,
	}
	c.AddCommand(p.holdCreate(), p.holdLs(), p.holdCapture(), p.holdRelease())
	return c
}

func (p *program) holdCreate() *cobra.Command {
	var n api.NewHold
	var ttl string
	c := &cobra.Command{
		Use:     "create AMOUNT",
		Short:   "Set credits aside",
		Long:    `Create sets credits aside if they are available. They are given back after --ttl, at most 24 hours.`,
		Example: `  purser hold create 5 --ttl 10m --sku llm.small.input --sku llm.small.output`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if n.Amount, err = parseAmount(args[0]); err != nil {
				return err
			}
			if n.TTLSeconds, err = parseSeconds(ttl); err != nil {
				return err
			}
			n.Project = p.settings.get("project")
			h, err := p.client().CreateHold(c.Context(), p.workspace(), n)
			if err != nil {
				return err
			}
			return p.showHold(h)
		},
	}
	f := c.Flags()
	f.StringVar(&ttl, "ttl", "10m", "after which it is given back")
	f.StringArrayVar(&n.SKUs, "sku", nil, "what it is for, so that scoped credits can be used")
	f.StringVar(&n.Tier, "tier", "", "for which tier")
	f.StringVar(&n.User, "user", "", "user that the spending counts as")
	return c
}

func (p *program) showHold(h api.Hold) error {
	return p.showFacts(h, fact{"id", text(h.ID)}, fact{"status", text(h.Status)}, fact{"amount", amount(h.Amount)},
		fact{"original", amount(h.Original)}, fact{"captured", some(h.Captured)}, fact{"flow", text(h.Flow)},
		fact{"created_at", text(string(h.CreatedAt))}, fact{"expires_at", exactly(h.ExpiresAt)})
}

func (p *program) holdLs() *cobra.Command {
	var q api.HoldQuery
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List holds, the newest first",
		Long:    `Ls lists holds; those that have ended only with --status.`,
		Example: `  purser hold ls
  purser hold ls --status captured`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			holds, err := list(limit, func(page api.Page) (api.List[api.Hold], error) {
				q.Page = page
				return p.client().Holds(c.Context(), p.workspace(), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "status", "amount", "original", "captured", "created_at", "expires_at", "flow"}, empty: "There are no holds."}
			for _, h := range holds.Items {
				t.row(text(h.ID), text(h.Status), amount(h.Amount), amount(h.Original), amount(h.Captured), when(h.CreatedAt), whenOr(h.ExpiresAt), text(h.Flow))
			}
			return p.show(holds, t)
		},
	}
	c.Flags().StringVar(&q.Status, "status", "held", "only held, captured, released or expired; empty for all")
	limitFlag(c, &limit)
	return c
}

func (p *program) holdCapture() *cobra.Command {
	var capture api.Capture
	var cost string
	var usage []string
	c := &cobra.Command{
		Use:   "capture HOLD",
		Short: "Take from a hold and give the rest back",
		Long: `Capture takes an amount from a hold, at most all of it, or what usage costs, which
is charged whatever it comes to. The rest of the hold is given back.`,
		Example: `  purser hold capture hold_01jd3v8m6n7p8q9r0s1t2v3w4x --amount 3.20
  purser hold capture hold_01jd3v8m6n7p8q9r0s1t2v3w4x --usage llm.small.input:1000 --usage llm.small.output:500`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (cost == "") == (len(usage) == 0) {
				return wrong("say what to take: either --amount or --usage")
			}
			var err error
			if capture.Amount, err = parseAmount(cost); err != nil {
				return err
			}
			items, err := parseItems(usage, "", "")
			if err != nil {
				return err
			}
			for _, i := range items {
				capture.Usage = append(capture.Usage, api.Usage{SKU: i.SKU, Quantity: i.Quantity})
			}
			got, err := p.client().CaptureHold(c.Context(), p.workspace(), args[0], capture)
			if err != nil {
				return err
			}
			return p.showFacts(got, fact{"hold", text(got.Hold.ID)}, fact{"status", text(got.Hold.Status)},
				fact{"amount", amount(got.Amount)}, fact{"overrun", some(got.Overrun)}, fact{"charges", count(int64(len(got.Charges)))})
		},
	}
	c.Flags().StringVar(&cost, "amount", "", "credits to take")
	c.Flags().StringArrayVar(&usage, "usage", nil, "what was used, as SKU:QUANTITY")
	return c
}

func (p *program) holdRelease() *cobra.Command {
	return &cobra.Command{
		Use:     "release HOLD",
		Short:   "Give a hold back",
		Long:    `Release gives all that a hold has set aside back to the lots it is from.`,
		Example: `  purser hold release hold_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := p.client().ReleaseHold(c.Context(), p.workspace(), args[0])
			if err != nil {
				return err
			}
			return p.showHold(h)
		},
	}
}
