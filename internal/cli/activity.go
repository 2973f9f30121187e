package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) creditsActivity() *cobra.Command {
	var f api.ActivityFilter
	var limit int
	var since, until, least, most string
	var ofOrganization bool
	c := &cobra.Command{
		Use:     "activity",
		Aliases: []string{"activities"},
		Short:   "Show the account statement",
		Long: `Activity lists what came into the wallet and what went out of it, the newest
first: additions, deductions (one line per job; for what has no job one per day, of
storage, tokens, usage and what ran), expiries, transfers, refunds, withdrawals of
purchases and corrections, each with where it is from and the balance after it.

The lines of a period and its opening balance come to its closing balance; a job that
goes beyond the period is cut. With --organization it is the statements of all
workspaces, one after the other. With --limit 0 and -o csv or jsonl everything is
written while it is read, however long it is.`,
		Example: `  purser credits activity --since 7d
  purser credits activity --month 2026-11 --organization --limit 0 -o csv
  purser credits activity --source auto --kind addition`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if f.From, err = p.instant(c.Context(), since, -1); err != nil {
				return err
			}
			if f.To, err = p.instant(c.Context(), until, -1); err != nil {
				return err
			}
			if f.MinAmount, err = amountOrNone(least); err != nil {
				return err
			}
			if f.MaxAmount, err = amountOrNone(most); err != nil {
				return err
			}
			if f.Project == "" {
				f.Project = p.settings.get("project")
			}
			return p.activities(c, f, limit, ofOrganization)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Kind, "kind", "", "only addition, deduction, expiry, transfer, refund, withdrawal, correction or overrun")
	flags.StringVar(&f.Source, "source", "", "only from there: manual, auto, code, plan, contract, transfer, operator, refund, job, storage, tokens, usage, flow, or an id")
	flags.StringVar(&f.User, "user", "", "only of this user")
	flags.StringVar(&f.Job, "job", "", "only of this job")
	flags.StringVar(&f.Text, "search", "", "only lines with this text")
	flags.StringVar(&least, "min", "", "only at least this amount, taken or added")
	flags.StringVar(&most, "max", "", "only at most this amount, taken or added")
	flags.StringVar(&since, "since", "", "from then on: an instant, a day, or a length of time such as 30d")
	flags.StringVar(&until, "until", "", "before then")
	flags.StringVar(&f.Month, "month", "", "a UTC month such as 2026-11")
	flags.BoolVar(&ofOrganization, "organization", false, "of all workspaces of the organization")
	limitFlag(c, &limit)
	return c
}

// amountOrNone reads an amount; "" is none.
func amountOrNone(text string) (api.Amount, error) {
	if text == "" {
		return "", nil
	}
	return parseAmount(text)
}

// activities shows a statement: as it is read if all of it is wanted as lines.
func (p *program) activities(c *cobra.Command, f api.ActivityFilter, limit int, ofOrganization bool) error {
	organization := p.settings.get("org")
	if form := p.settings.output(); limit == 0 && (form == "csv" || form == "jsonl") {
		all := api.ActivityExport{ActivityFilter: f, Format: form}
		if ofOrganization {
			return p.client().ExportOrganizationActivities(c.Context(), organization, all, p.out)
		}
		return p.client().ExportActivities(c.Context(), p.workspace(), all, p.out)
	}
	lines, err := list(limit, func(page api.Page) (api.List[api.Activity], error) {
		q := api.ActivityQuery{ActivityFilter: f, Page: page}
		if ofOrganization {
			return p.client().OrganizationActivities(c.Context(), organization, q)
		}
		return p.client().Activities(c.Context(), p.workspace(), q)
	})
	if err != nil {
		return err
	}
	return p.show(lines, activityTable(lines.Items, ofOrganization))
}

func activityTable(lines []api.Activity, withWorkspace bool) *table {
	t := &table{names: []string{"at", "kind", "description", "amount", "balance_after", "origin", "project", "user", "source"}, empty: "No credit history found."}
	if withWorkspace {
		t.names = append([]string{"workspace"}, t.names...)
	}
	for _, a := range lines {
		row := []cell{when(a.At), text(a.Kind), text(a.Description), amount(a.Amount), amount(a.BalanceAfter), text(a.Origin),
			text(a.Project), text(a.User), text(a.Source)}
		if withWorkspace {
			row = append([]cell{text(a.Workspace)}, row...)
		}
		t.row(row...)
	}
	return t
}
