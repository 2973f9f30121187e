package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) creditsAutoTopUp() *cobra.Command {
	c := &cobra.Command{
		Use:   "auto-top-up",
		Short: "Buy credits before they run out",
		Long: `Auto top-up charges the saved payment method before the balance is down to a threshold, so
that running work goes on: one payment at a time, five minutes apart, and never more than the
ceilings of a day and a month. It is off unless somebody switches it on.`,
	}
	show := &cobra.Command{
		Use: "show", Short: "Show whether it is on, and its settings", Long: `Show tells how auto top-up is set.`,
		Example: `  purser credits auto-top-up show`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showAuto(p.client().AutoTopUp(c.Context(), p.workspace()))
		},
	}
	off := &cobra.Command{
		Use: "off", Short: "Switch it off", Long: `Off means off: no payment begins any more. Of one that the provider has heard of, it is still waited for what becomes of it.`,
		Example: `  purser credits auto-top-up off`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := p.client().AutoTopUp(c.Context(), p.workspace())
			if err != nil {
				return err
			}
			return p.showAuto(p.client().SetAutoTopUp(c.Context(), p.workspace(), api.AutoTopUpChange{
				Threshold: a.Threshold, Target: a.Target, Amount: a.Amount, DayCeiling: a.DayCeiling, MonthCeiling: a.MonthCeiling,
			}))
		},
	}
	c.AddCommand(show, p.autoOn(), off, p.autoDryRun())
	return c
}

// autoFlags are the settings of auto top-up; it returns what reads them.
func autoFlags(c *cobra.Command) func() (api.AutoTopUpChange, error) {
	var threshold, target, net, day, month string
	f := c.Flags()
	f.StringVar(&threshold, "threshold", "", "buy when no more than this will be available (default 10)")
	f.StringVar(&target, "target", "", "buy up to this balance")
	f.StringVar(&net, "amount", "", "or buy so much")
	f.StringVar(&day, "day-ceiling", "", "buy no more in a day, by UTC (default 1000)")
	f.StringVar(&month, "month-ceiling", "", "buy no more in a month, by UTC (default 10000)")
	return func() (a api.AutoTopUpChange, err error) {
		for _, flag := range []struct {
			text string
			to   *api.Amount
		}{{threshold, &a.Threshold}, {target, &a.Target}, {net, &a.Amount}, {day, &a.DayCeiling}, {month, &a.MonthCeiling}} {
			if *flag.to, err = parseAmount(flag.text); err != nil {
				return a, err
			}
		}
		if (a.Target == "") == (a.Amount == "") {
			return a, wrong("say either --target BALANCE or --amount CREDITS")
		}
		a.Enabled = true
		return a, nil
	}
}

func (p *program) autoOn() *cobra.Command {
	c := &cobra.Command{
		Use: "on --target BALANCE | on --amount CREDITS", Short: "Switch it on",
		Long: `On has credits bought automatically, up to a balance or so many at a time. It needs a saved
payment method: see "purser payment-method add".`,
		Example: `  purser credits auto-top-up on --target 100 --threshold 20
  purser credits auto-top-up on --amount 50 --day-ceiling 200 --month-ceiling 2000`,
		Args: cobra.NoArgs,
	}
	read := autoFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		change, err := read()
		if err != nil {
			return err
		}
		return p.showAuto(p.client().SetAutoTopUp(c.Context(), p.workspace(), change))
	}
	return c
}

func (p *program) autoDryRun() *cobra.Command {
	c := &cobra.Command{
		Use: "dry-run --target BALANCE | dry-run --amount CREDITS", Short: "Show what it would have bought last month",
		Long:    `Dry-run counts, from the hourly usage of the last whole month, what auto top-up would have bought with these settings. Nothing is charged.`,
		Example: `  purser credits auto-top-up dry-run --target 100`,
		Args:    cobra.NoArgs,
	}
	read := autoFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		change, err := read()
		if err != nil {
			return err
		}
		run, err := p.client().DryRunAutoTopUp(c.Context(), p.workspace(), change)
		if err != nil {
			return err
		}
		t := &table{names: []string{"at", "amount"}, empty: "It would have bought nothing."}
		for _, b := range run.Items {
			t.row(when(b.At), amount(b.Amount))
		}
		if err := p.show(run, t); err != nil || p.settings.output() != "table" {
			return err
		}
		fmt.Fprintf(p.err, "%s used from %s to %s; %s bought, %s kept back by the ceilings. Assuming that %s.\n",
			run.Used, run.From, run.To, run.Total, run.Missing, run.Assuming)
		return nil
	}
	return c
}

func (p *program) showAuto(a api.AutoTopUp, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(a,
		fact{"enabled", yes(a.Enabled)}, fact{"threshold", amount(a.Threshold)}, fact{"target", some(orZero(a.Target))}, fact{"amount", some(orZero(a.Amount))},
		fact{"day_ceiling", amount(a.DayCeiling)}, fact{"month_ceiling", amount(a.MonthCeiling)}, fact{"failures", count(a.Failures)},
		fact{"payment", text(a.Payment)}, fact{"off_reason", text(a.OffReason)}, fact{"waits_for", text(a.WaitsFor)}, fact{"last_at", exactly(a.LastAt)}, fact{"changed_at", exactly(a.ChangedAt)},
		fact{"changed_by", text(a.ChangedBy)})
}

func orZero(a api.Amount) api.Amount {
	if a == "" {
		return "0"
	}
	return a
}
