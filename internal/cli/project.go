package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/purserhq/purser/api"
)

func (p *program) projectCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "project",
		Aliases: []string{"projects"},
		Short:   "Create projects and say what may run in them",
		Long: `A project is a slice of a workspace's spending: flows, jobs, holds and usage name it.
Its policy says which tiers and SKUs may be used in it, how many GPUs at once, how
many GPU-hours a month, and for how long anything may run. What the policy forbids is
refused (exit status 4), with the rule and what it allows. Caps on credits are budgets:
see "purser budget".`,
	}
	c.AddCommand(p.projectCreate(), p.projectLs(), p.projectShow(), p.projectSet(), p.projectArchive(), p.projectStrict())
	return c
}

// policyFlags are the flags of a project's policy.
type policyFlags struct {
	tiers, skus             []string
	required, tier, longest string
	gpus                    int64
	hours                   string
}

func (f *policyFlags) define(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.tiers, "tiers", nil, "tiers that may be used, as in spot,on-demand")
	flags.StringSliceVar(&f.skus, "skus", nil, `SKUs that may be used, as in "gpu.a*,cpu.*,memory.*"`)
	flags.StringVar(&f.required, "required-tier", "", "the one tier that may be used")
	flags.StringVar(&f.tier, "default-tier", "", "the tier that is meant where none is named")
	flags.Int64Var(&f.gpus, "max-gpus", 0, "how many GPUs at once")
	flags.StringVar(&f.hours, "gpu-hours", "", "how many GPU-hours a month (UTC) may begin; what runs is not stopped by it")
	flags.StringVar(&f.longest, "max-runtime", "", "how long anything may run at most, as in 2h")
}

// change is what the flags that were given change of a policy; with 0 or nothing in
// one, it limits no longer.
func (f *policyFlags) change(flags *pflag.FlagSet) (change api.ProjectPolicyChange, err error) {
	given := flags.Changed
	change.Tiers, change.SKUs = pointer(given("tiers"), listed(f.tiers)), pointer(given("skus"), listed(f.skus))
	change.RequiredTier, change.DefaultTier = pointer(given("required-tier"), f.required), pointer(given("default-tier"), f.tier)
	change.MaxGPUs = pointer(given("max-gpus"), f.gpus)
	if f.hours == "" {
		f.hours = "0"
	}
	if _, err := api.Quantity(f.hours).Micro(); err != nil {
		return change, wrong("--gpu-hours %q %v", f.hours, err)
	}
	change.GPUHoursPerMonth = pointer(given("gpu-hours"), api.Quantity(f.hours))
	seconds := int64(0)
	if f.longest != "0" {
		if seconds, err = optionalSeconds(f.longest); err != nil {
			return change, err
		}
	}
	change.MaxRuntimeSeconds = pointer(given("max-runtime"), seconds)
	return change, nil
}

// listed is a list without empty words, and never null.
func listed(words []string) []string {
	all := []string{}
	for _, word := range words {
		if word != "" {
			all = append(all, word)
		}
	}
	return all
}

func (p *program) projectCreate() *cobra.Command {
	var n api.NewProject
	var f policyFlags
	c := &cobra.Command{
		Use:   "create SLUG",
		Short: "Create a project",
		Long:  `Create makes a project in the workspace. The flags say what may run in it; anything without them.`,
		Example: `  purser project create vision --max-gpus 16 --tiers spot,on-demand
  purser project create nightly --required-tier spot --max-runtime 8h`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if n.Policy, err = f.change(c.Flags()); err != nil {
				return err
			}
			n.Slug = args[0]
			return p.showProject(p.client().CreateProject(c.Context(), p.workspace(), n))
		},
	}
	c.Flags().StringVar(&n.Name, "name", "", "its name for people")
	f.define(c.Flags())
	return c
}

func (p *program) showProject(o api.Project, err error) error {
	if err != nil {
		return err
	}
	facts := []fact{{"id", text(o.ID)}, {"slug", text(o.Slug)}, {"name", text(o.Name)}}
	for _, f := range []fact{
		{"tiers", text(strings.Join(o.Policy.Tiers, ", "))}, {"required_tier", text(o.Policy.RequiredTier)},
		{"default_tier", text(o.Policy.DefaultTier)}, {"skus", text(strings.Join(o.Policy.SKUs, ", "))},
		{"max_gpus", text(orNone(o.Policy.MaxGPUs))}, {"gpu_hours_per_month", text(string(o.Policy.GPUHoursPerMonth))},
		{"max_runtime", text(runtimeText(o.Policy))},
	} {
		if f.exact != "" {
			facts = append(facts, f)
		}
	}
	return p.showFacts(o, append(facts, fact{"created_at", text(string(o.CreatedAt))}, fact{"archived_at", whenOr(o.ArchivedAt)})...)
}

// orNone is a number, or nothing for 0.
func orNone(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func runtimeText(policy api.ProjectPolicy) string {
	if policy.MaxRuntimeSeconds == 0 {
		return ""
	}
	return span(policy.MaxRuntimeSeconds * int64(time.Second))
}

func (p *program) projectLs() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List projects with what may run in them",
		Long:    `Ls lists the projects of the workspace.`,
		Example: `  purser project ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			projects, err := list(limit, func(page api.Page) (api.List[api.Project], error) {
				return p.client().Projects(c.Context(), p.workspace(), page)
			})
			if err != nil {
				return err
			}
			t := &table{
				names: []string{"slug", "name", "tiers", "skus", "max_gpus", "gpu_hours", "max_runtime", "archived_at"},
				empty: "There are no projects.",
			}
			for _, o := range projects.Items {
				tiers := strings.Join(o.Policy.Tiers, ",")
				if o.Policy.RequiredTier != "" {
					tiers = o.Policy.RequiredTier
				}
				t.row(text(o.Slug), text(o.Name), text(tiers), text(strings.Join(o.Policy.SKUs, ",")), text(orNone(o.Policy.MaxGPUs)),
					text(string(o.Policy.GPUHoursPerMonth)), text(runtimeText(o.Policy)), whenOr(o.ArchivedAt))
			}
			return p.show(projects, t)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) projectShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show [PROJECT]",
		Short:   "Show a project with its policy",
		Long:    `Show prints a project and its policy: the one of the settings, or another.`,
		Example: `  purser project show vision`,
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: p.completeProjects(),
		RunE: func(c *cobra.Command, args []string) error {
			name := p.settings.get("project")
			if len(args) == 1 {
				name = args[0]
			}
			if name == "" {
				return wrong("name a project, here or with --project")
			}
			return p.showProject(p.client().Project(c.Context(), p.workspace(), name))
		},
	}
}

func (p *program) projectSet() *cobra.Command {
	var name string
	var f policyFlags
	c := &cobra.Command{
		Use:   "set PROJECT",
		Short: "Change what the flags name of a project and its policy",
		Long: `Set changes what the flags name; with 0, or "" in one, it limits no longer. The policy
decides from then on about what starts, grows or is resumed. What runs goes on.`,
		Example: `  purser project set vision --max-gpus 32 --gpu-hours 5000
  purser project set vision --tiers ""`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeProjects(),
		RunE: func(c *cobra.Command, args []string) error {
			change, err := f.change(c.Flags())
			if err != nil {
				return err
			}
			isNamed, isPolicy := c.Flags().Changed("name"), change != (api.ProjectPolicyChange{})
			if !isNamed && !isPolicy {
				return wrong("say with a flag what to change")
			}
			var o api.Project
			if isNamed {
				o, err = p.client().ChangeProject(c.Context(), p.workspace(), args[0], api.ProjectChange{Name: &name})
			}
			if err == nil && isPolicy {
				o, err = p.client().ChangeProjectPolicy(c.Context(), p.workspace(), args[0], change)
			}
			return p.showProject(o, err)
		},
	}
	c.Flags().StringVar(&name, "name", "", "its name for people")
	f.define(c.Flags())
	return c
}

func (p *program) projectArchive() *cobra.Command {
	var undo bool
	c := &cobra.Command{
		Use:   "archive PROJECT",
		Short: "Let nothing new start in a project",
		Long:  `Archive closes a project for whatever is new. What runs in it goes on, and its history stays.`,
		Example: `  purser project archive vision
  purser project archive vision --undo`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeProjects(),
		RunE: func(c *cobra.Command, args []string) error {
			if undo {
				return p.showProject(p.client().RestoreProject(c.Context(), p.workspace(), args[0]))
			}
			return p.showProject(p.client().ArchiveProject(c.Context(), p.workspace(), args[0]))
		},
	}
	c.Flags().BoolVar(&undo, "undo", false, "open it again")
	return c
}

func (p *program) projectStrict() *cobra.Command {
	return &cobra.Command{
		Use:   "strict [on|off]",
		Short: "Say whether only projects that there are may be named",
		Long: `Strict shows or sets whether whatever starts in the workspace must name a project that
there is. Off, which is the default, any name may stand for a project, and none: what
has no project has no policy of one.`,
		Example:           `  purser project strict on`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(c *cobra.Command, args []string) (err error) {
			var rules api.ProjectRules
			switch {
			case len(args) == 0:
				rules, err = p.client().ProjectRules(c.Context(), p.workspace())
			case args[0] == "on" || args[0] == "off":
				rules, err = p.client().SetProjectRules(c.Context(), p.workspace(), api.ProjectRules{StrictProjects: args[0] == "on"})
			default:
				return wrong("%q is neither on nor off", args[0])
			}
			if err != nil {
				return err
			}
			return p.showFacts(rules, fact{"strict_projects", yes(rules.StrictProjects)})
		},
	}
}

// completeProjects offers the slugs of projects to the shell.
func (p *program) completeProjects() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		projects, err := p.client().Projects(c.Context(), p.workspace(), api.Page{Limit: 200})
		var slugs []string
		for _, o := range projects.Items {
			slugs = append(slugs, cobra.CompletionWithDesc(o.Slug, o.Name))
		}
		return slugs, err
	})
}
