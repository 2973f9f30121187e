package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) usageCommand() *cobra.Command {
	var q api.UsageQuery
	var since, until, by string
	var limit int
	c := &cobra.Command{
		Use:   "usage",
		Short: "Break spending down by SKU, tier, project, user or job",
		Long: `Usage shows what was used and what it cost, up to this very instant: what is
accruing now is in it. The rows add up to the total to the last digit. Totals are
kept by UTC hour, so --since and --until count whole hours. With --bucket the
first and the last row of each kind have only what lies between the two.`,
		Example: `  purser usage
  purser usage --by project,sku --since 7d --bucket day
  purser usage --by job --since 2026-11-01 --until 2026-12-01 -o csv --limit 0`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if q.From, err = p.instant(c.Context(), since, -1); err != nil {
				return err
			}
			if q.To, err = p.instant(c.Context(), until, -1); err != nil {
				return err
			}
			q.GroupBy, q.Project = by, p.settings.get("project")
			var report api.UsageReport
			rows, err := list(limit, func(page api.Page) (api.List[api.UsageRow], error) {
				q.Page = page
				answer, err := p.client().Usage(c.Context(), p.workspace(), q)
				report = answer
				return api.List[api.UsageRow]{Items: answer.Items, NextCursor: answer.NextCursor}, err
			})
			if err != nil {
				return err
			}
			report.Items, report.NextCursor = rows.Items, nil
			return p.show(report, usageTable(report, strings.Split(by, ","), q.Bucket != ""))
		},
	}
	f := c.Flags()
	f.StringVar(&by, "by", "sku", "any of sku, tier, project, user, job, provider, separated by commas")
	f.StringVar(&since, "since", "30d", "from then on: an instant, a day, or a length of time")
	f.StringVar(&until, "until", "", "before then (default: now)")
	f.StringVar(&q.Bucket, "bucket", "", "a row per hour, day or month as well")
	f.StringVar(&q.User, "user", "", "only this user")
	f.StringVar(&q.Job, "job", "", "only this job")
	f.StringVar(&q.SKU, "sku", "", "only this SKU")
	limitFlag(c, &limit)
	return c
}

func usageTable(report api.UsageReport, by []string, buckets bool) *table {
	t := &table{empty: "Nothing was used.", last: fmt.Sprintf("total %s from %s to %s", report.Total, report.From, report.To)}
	if o := report.Overrun; o != "" && o != "0" {
		t.last += fmt.Sprintf("; %s were used beyond it and are the operator's loss", o)
	}
	if buckets {
		t.names = append(t.names, "bucket")
	}
	t.names = append(append(t.names, by...), "quantity", "unit", "amount", "overrun")
	for _, r := range report.Items {
		var row []cell
		if buckets {
			row = append(row, whenOr(r.Bucket))
		}
		for _, name := range by {
			row = append(row, text(dimension(r, name)))
		}
		t.row(append(row, quantity(r.Quantity), text(r.Unit), amount(r.Amount), some(r.Overrun))...)
	}
	return t
}

func dimension(r api.UsageRow, name string) string {
	values := map[string]*string{"sku": r.SKU, "tier": r.Tier, "project": r.Project, "user": r.User, "job": r.Job, "provider": r.Provider}
	if v := values[name]; v != nil {
		return *v
	}
	return ""
}
