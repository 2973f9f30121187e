package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) flowCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "flow",
		Aliases: []string{"flows"},
		Short:   "Meter running resources of your own: start, change, stop",
		Long: `A flow is a running resource: a rate since an instant. Jobs have theirs by
themselves; with these commands an operator meters what something else runs.`,
	}
	c.AddCommand(p.flowStart(), p.flowLs(), p.flowShow(), p.flowChange(), p.flowHeartbeat(), p.flowStop())
	return c
}

func (p *program) flowStart() *cobra.Command {
	var n api.NewFlow
	var tier, region, lease, maxCost, at string
	c := &cobra.Command{
		Use:   "start SKU[:QUANTITY]...",
		Short: "Start metering resources",
		Long: `Start begins a flow of one or more items, if the wallet covers it. With --lease it
is closed at its last heartbeat if none comes for that long; without, it runs until
it is stopped.`,
		Example: `  purser flow start gpu.h100:8 cpu.vcpu:64 --label train --lease 5m
  purser flow start storage.cluster:500 --project vision`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if n.Items, err = parseItems(args, tier, region); err != nil {
				return err
			}
			if n.LeaseSeconds, err = optionalSeconds(lease); err != nil {
				return err
			}
			if n.MaxCost, err = parseAmount(maxCost); err != nil {
				return err
			}
			if n.At, err = p.instant(c.Context(), at, -1); err != nil {
				return err
			}
			n.Project = p.settings.get("project")
			return p.showFlow(p.client().StartFlow(c.Context(), p.workspace(), n))
		},
	}
	f := c.Flags()
	f.StringVar(&tier, "tier", "", "spot, on-demand or reserved, which needs a commitment (default on-demand)")
	f.StringVar(&region, "region", "", "region")
	f.StringVar(&n.Label, "label", "", "a name for it")
	f.StringVar(&n.User, "user", "", "user that the spending counts as")
	f.StringVar(&n.Job, "job", "", "job that the spending counts as")
	f.StringVar(&lease, "lease", "", "close it at its last heartbeat if none comes for this long")
	f.StringVar(&maxCost, "max-cost", "", "credits that it may cost at most; they are held for it")
	f.StringVar(&at, "at", "", "when it began, if not now: an instant, or a length of time ago")
	return c
}

// showFlow shows the flow that a call answered.
func (p *program) showFlow(f api.Flow, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(f,
		fact{"id", text(f.ID)}, fact{"status", text(f.Status)}, fact{"reason", text(f.Reason)}, fact{"label", text(f.Label)},
		fact{"items", text(itemsText(f.Items))}, fact{"project", text(f.Project)}, fact{"user", text(f.User)}, fact{"job", text(f.Job)},
		fact{"rate", amount(f.Rate)}, fact{"charged", amount(f.Charged)}, fact{"accrued", some(f.Accrued)}, fact{"max_cost", amount(f.MaxCost)},
		fact{"started_at", text(string(f.StartedAt))}, fact{"ended_at", exactly(f.EndedAt)}, fact{"lease_until", exactly(f.LeaseUntil)},
		fact{"stop_at", exactly(f.StopAt)}, fact{"stop_reason", text(f.StopReason)}, fact{"retained_at", exactly(f.RetainedAt)},
		fact{"owed", some(f.Owed)}, fact{"as_of", text(string(f.AsOf))},
	)
}

func itemsText(items []api.Item) string {
	var parts []string
	for _, i := range items {
		parts = append(parts, fmt.Sprintf("%s × %s %s", i.Quantity, i.SKU, i.Tier))
	}
	return strings.Join(parts, ", ")
}

func (p *program) flowLs() *cobra.Command {
	var q api.FlowQuery
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List flows, the newest first",
		Long:    `Ls lists flows with what they cost an hour and have cost up to now.`,
		Example: `  purser flow ls
  purser flow ls --status stopped`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q.Project = p.settings.get("project")
			flows, err := list(limit, func(page api.Page) (api.List[api.Flow], error) {
				q.Page = page
				return p.client().Flows(c.Context(), p.workspace(), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "status", "items", "rate", "charged", "started_at", "ended_at", "label"}, empty: "There are no flows."}
			for _, f := range flows.Items {
				t.row(text(f.ID), text(f.Status), text(itemsText(f.Items)), amount(f.Rate), amount(f.Charged), when(f.StartedAt), whenOr(f.EndedAt), text(f.Label))
			}
			return p.show(flows, t)
		},
	}
	c.Flags().StringVar(&q.Status, "status", "active", "only active, running, landing, stopped, exhausted or lost; empty for all")
	c.Flags().StringVar(&q.Job, "job", "", "only of this job")
	limitFlag(c, &limit)
	return c
}

func (p *program) flowShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show FLOW",
		Short:   "Show a flow",
		Long:    `Show prints all that is known of a flow at this instant.`,
		Example: `  purser flow show flow_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeFlows(""),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showFlow(p.client().Flow(c.Context(), p.workspace(), args[0]))
		},
	}
}

func (p *program) flowChange() *cobra.Command {
	var tier, region string
	c := &cobra.Command{
		Use:     "change FLOW SKU[:QUANTITY]...",
		Short:   "Give a flow other items from now on",
		Long:    `Change settles the flow's items to this instant and goes on with those that are given. More than before must be covered by the wallet.`,
		Example: `  purser flow change flow_01jd3v8m6n7p8q9r0s1t2v3w4x gpu.h100:4`,
		Args:    cobra.MinimumNArgs(2), ValidArgsFunction: p.completeFlows("active"),
		RunE: func(c *cobra.Command, args []string) error {
			items, err := parseItems(args[1:], tier, region)
			if err != nil {
				return err
			}
			return p.showFlow(p.client().ChangeFlow(c.Context(), p.workspace(), args[0], api.FlowChange{Items: items}))
		},
	}
	c.Flags().StringVar(&tier, "tier", "", "spot, on-demand or reserved, which needs a commitment (default on-demand)")
	c.Flags().StringVar(&region, "region", "", "region")
	return c
}

func (p *program) flowHeartbeat() *cobra.Command {
	var lease string
	c := &cobra.Command{
		Use:     "heartbeat FLOW",
		Short:   "Renew the lease of a flow",
		Long:    `Heartbeat proves that what the flow meters is still running.`,
		Example: `  purser flow heartbeat flow_01jd3v8m6n7p8q9r0s1t2v3w4x --lease 5m`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeFlows("active"),
		RunE: func(c *cobra.Command, args []string) error {
			seconds, err := optionalSeconds(lease)
			if err != nil {
				return err
			}
			return p.showFlow(p.client().Heartbeat(c.Context(), p.workspace(), args[0], api.Heartbeat{LeaseSeconds: seconds}))
		},
	}
	c.Flags().StringVar(&lease, "lease", "", "its length from now on (default: as before)")
	return c
}

func (p *program) flowStop() *cobra.Command {
	var stop api.FlowStop
	var at string
	c := &cobra.Command{
		Use:   "stop FLOW",
		Short: "End a flow",
		Long: `Stop ends a flow now, or at an instant in the past with --at: not before its start,
its last change or its last heartbeat. What was charged for later is given back.`,
		Example: `  purser flow stop flow_01jd3v8m6n7p8q9r0s1t2v3w4x --at 2m`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeFlows("active"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if stop.At, err = p.instant(c.Context(), at, -1); err != nil {
				return err
			}
			return p.showFlow(p.client().StopFlow(c.Context(), p.workspace(), args[0], stop))
		},
	}
	c.Flags().StringVar(&at, "at", "", "when it ended: an instant, or a length of time ago")
	c.Flags().StringVar(&stop.Reason, "reason", "", "why, for the record")
	return c
}

// completeFlows offers the ids of flows to the shell.
func (p *program) completeFlows(status string) cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		flows, err := p.client().Flows(c.Context(), p.workspace(), api.FlowQuery{Status: status})
		var ids []string
		for _, f := range flows.Items {
			ids = append(ids, cobra.CompletionWithDesc(f.ID, f.Status+" "+f.Label))
		}
		return ids, err
	})
}
