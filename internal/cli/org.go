package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) orgCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "org",
		Aliases: []string{"organization"},
		Short:   "Create, list, change and leave organizations",
		Long:    `An organization is a customer. It has a workspace of its own name, and may have more.`,
	}
	c.AddCommand(p.orgCreate(), p.orgLs(), p.orgShow(), p.orgSet(), p.orgMembers(), p.orgLeave(), p.orgDelete(), p.orgSSO(), p.orgTaxID())
	return c
}

func (p *program) orgCreate() *cobra.Command {
	var n api.NewOrganization
	c := &cobra.Command{
		Use:     "create SLUG",
		Short:   "Create an organization with its default workspace",
		Long:    `Create makes an organization, which you own, and a workspace of the same name with an empty wallet.`,
		Example: `  purser org create acme --name "Acme Research" --type research`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n.Slug = args[0]
			return p.showOrg(p.client().CreateOrganization(c.Context(), n))
		},
	}
	c.Flags().StringVar(&n.Name, "name", "", "its name for people")
	c.Flags().StringVar(&n.Type, "type", "company", "company, research or personal")
	return c
}

func (p *program) showOrg(o api.Organization, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(o, fact{"id", text(o.ID)}, fact{"slug", text(o.Slug)}, fact{"name", text(o.Name)}, fact{"type", text(o.Type)},
		fact{"default_workspace", text(o.DefaultWorkspace.ID)}, fact{"created_at", text(string(o.CreatedAt))})
}

func (p *program) orgLs() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List organizations",
		Long:    `Ls lists your organizations; for the operator, all of the installation.`,
		Example: `  purser org ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			orgs, err := list(limit, func(page api.Page) (api.List[api.Organization], error) {
				return p.client().Organizations(c.Context(), page)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "slug", "name", "type", "created_at"}, empty: "There are no organizations."}
			for _, o := range orgs.Items {
				t.row(text(o.ID), text(o.Slug), text(o.Name), text(o.Type), when(o.CreatedAt))
			}
			return p.show(orgs, t)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) orgShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show [ORG]",
		Short:   "Show an organization",
		Long:    `Show prints an organization: the one of the settings, or another.`,
		Example: `  purser org show acme`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showOrg(p.client().Organization(c.Context(), p.orgArgument(args)))
		},
	}
}

func (p *program) workspaceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "workspace",
		Aliases: []string{"ws"},
		Short:   "Create, list and show workspaces, and set their policy",
		Long:    `A workspace is the owner of one wallet. Its address is that of its organization, a point and its own name; the default workspace's is that of the organization.`,
	}
	c.AddCommand(p.workspaceCreate(), p.workspaceLs(), p.workspaceShow(), p.workspacePolicy())
	return c
}

func (p *program) workspaceCreate() *cobra.Command {
	var n api.NewWorkspace
	c := &cobra.Command{
		Use:     "create SLUG",
		Short:   "Create a further workspace of the organization",
		Long:    `Create makes a workspace with an empty wallet in the organization of the settings.`,
		Example: `  purser --org acme workspace create vision`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n.Slug = args[0]
			return p.showWorkspace(p.client().CreateWorkspace(c.Context(), p.settings.get("org"), n))
		},
	}
	c.Flags().StringVar(&n.Name, "name", "", "its name for people")
	return c
}

func (p *program) showWorkspace(w api.Workspace, err error) error {
	if err != nil {
		return err
	}
	facts := []fact{{"id", text(w.ID)}, {"slug", text(w.Slug)}, {"name", text(w.Name)}, {"organization", text(w.Organization)}, {"created_at", text(string(w.CreatedAt))}}
	return p.showFacts(w, append(facts, policyFacts(w.Policy)...)...)
}

func policyFacts(p api.Policy) []fact {
	seconds := func(n int64) cell { return cell{human: span(n * 1e9), exact: fmt.Sprint(n), right: true} }
	return []fact{
		{"overdraft", amount(p.Overdraft)}, {"block_below", amount(p.BlockBelow)}, {"min_runway_seconds", seconds(p.MinRunwaySeconds)},
		{"grace_seconds", seconds(p.GraceSeconds)}, {"retention_days", count(p.RetentionDays)},
	}
}

func (p *program) workspaceLs() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the workspaces of the organization",
		Long:    `Ls lists the workspaces of the organization of the settings.`,
		Example: `  purser --org acme workspace ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			spaces, err := list(limit, func(page api.Page) (api.List[api.Workspace], error) {
				return p.client().Workspaces(c.Context(), p.settings.get("org"), page)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "slug", "name", "created_at"}, empty: "There are no workspaces."}
			for _, w := range spaces.Items {
				t.row(text(w.ID), text(w.Slug), text(w.Name), when(w.CreatedAt))
			}
			return p.show(spaces, t)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) workspaceShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show [WORKSPACE]",
		Short:   "Show a workspace with its policy",
		Long:    `Show prints a workspace and its policy: the one of the settings, or another.`,
		Example: `  purser workspace show acme.vision`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			workspace := p.workspace()
			if len(args) == 1 {
				workspace = args[0]
			}
			return p.showWorkspace(p.client().Workspace(c.Context(), workspace))
		},
	}
}

func (p *program) workspacePolicy() *cobra.Command {
	var overdraft, block, runway, grace string
	var retention int64
	c := &cobra.Command{
		Use:   "policy",
		Short: "Show the policy of the workspace, or change what the flags name (operator)",
		Long: `Policy says when work may start in the workspace, how it is warned and stopped, and
for how long storage is kept that nothing pays for.`,
		Example: `  purser workspace policy
  purser workspace policy --min-runway 30m --grace 5m
  purser --workspace vision workspace policy --overdraft 100`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			change, changed, err := policyChange(c, overdraft, block, runway, grace, retention)
			if err != nil {
				return err
			}
			if !changed {
				w, err := p.client().Workspace(c.Context(), p.workspace())
				if err != nil {
					return err
				}
				return p.showFacts(w.Policy, policyFacts(w.Policy)...)
			}
			policy, err := p.client().ChangePolicy(c.Context(), p.workspace(), change)
			if err != nil {
				return err
			}
			return p.showFacts(policy, policyFacts(policy)...)
		},
	}
	f := c.Flags()
	f.StringVar(&overdraft, "overdraft", "", "credits by which the balance may go below zero")
	f.StringVar(&block, "block-below", "", "credits that must stay untouched for anything new to start")
	f.StringVar(&runway, "min-runway", "", "for how long the credits must carry everything, with what is to start")
	f.StringVar(&grace, "grace", "", "how long before it is stopped work is signalled to checkpoint")
	f.Int64Var(&retention, "retention-days", 0, "for how many days storage is kept that nothing pays for")
	return c
}

func policyChange(c *cobra.Command, overdraft, block, runway, grace string, retention int64) (change api.PolicyChange, changed bool, err error) {
	for _, a := range []struct {
		text string
		to   **api.Amount
	}{{overdraft, &change.Overdraft}, {block, &change.BlockBelow}} {
		value, err := parseAmount(a.text)
		if err != nil {
			return change, false, err
		}
		*a.to = pointer(a.text != "", value)
	}
	for _, s := range []struct {
		text string
		to   **int64
	}{{runway, &change.MinRunwaySeconds}, {grace, &change.GraceSeconds}} {
		value, err := optionalSeconds(s.text)
		if err != nil {
			return change, false, err
		}
		*s.to = pointer(s.text != "", value)
	}
	change.RetentionDays = pointer(c.Flags().Changed("retention-days"), retention)
	return change, change != (api.PolicyChange{}), nil
}
