package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) auditCommand() *cobra.Command {
	c := p.auditList("audit", "purser audit")
	c.AddCommand(p.auditList("ls", "purser audit ls"))
	return c
}

func (p *program) auditList(use, name string) *cobra.Command {
	var f api.AuditFilter
	var since, until string
	var limit int
	var ofInstallation bool
	c := &cobra.Command{
		Use:   use,
		Short: "Show who did what",
		Long: `Audit prints the audit log of the organization, the newest entry first: who did what,
when, from where, and what was asked for; with -o json, jsonl or csv also what was there
before. Passwords, tokens and the like are left out. What meters and charges is not in
it: see "purser credits activity" and "purser events".

With --installation it is the log of the installation: what was done to no organization,
and who was not known (operator).`,
		Example: `  ` + name + ` --since 7d
  ` + name + ` --action set-budgets --actor operator
  ` + name + ` --since 2026-11-01 --until 2026-12-01 --limit 0 -o jsonl`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if f.Since, err = p.instant(c.Context(), since, -1); err != nil {
				return err
			}
			if f.Until, err = p.instant(c.Context(), until, -1); err != nil {
				return err
			}
			organization := p.settings.get("org")
			if ofInstallation {
				organization = ""
			}
			found, err := list(limit, func(page api.Page) (api.List[api.AuditEntry], error) {
				return p.client().Audit(c.Context(), organization, api.AuditQuery{AuditFilter: f, Page: page})
			})
			if err != nil {
				return err
			}
			return p.show(found, p.auditTable(found.Items))
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.Actor, "actor", "", "only what this user, token or operator did")
	flags.StringVar(&f.Action, "action", "", "only this action, as the API calls it: set-budgets")
	flags.StringVar(&since, "since", "", "from then on: an instant, a day, or a length of time")
	flags.StringVar(&until, "until", "", "before then (default: now)")
	flags.BoolVar(&ofInstallation, "installation", false, "the log of the installation")
	limitFlag(c, &limit)
	return c
}

// auditTable has for a program all that it has for a person, and what was there before.
func (p *program) auditTable(entries []api.AuditEntry) *table {
	t := &table{names: []string{"no", "at", "actor", "action", "target", "address", "after"}, empty: "Nobody did anything."}
	isWhole := p.settings.output() == "csv"
	if isWhole {
		t.names = append(t.names, "before", "agent")
	}
	for _, e := range entries {
		row := []cell{count(e.No), when(e.At), text(e.Actor), text(e.Action), text(e.Target), text(e.Address), text(string(e.After))}
		if isWhole {
			row = append(row, text(string(e.Before)), text(e.Agent))
		}
		t.row(row...)
	}
	return t
}
