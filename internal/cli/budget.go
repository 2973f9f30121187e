package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) budgetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "budget",
		Aliases: []string{"budgets"},
		Short:   "Cap the spending of a workspace, project, user, job or token",
		Long: `A budget is a cap with a window: an hour, a day, a week, a month, a rolling number
of hours, or all time. It is reported at 80 and at 100 %; a hard one refuses new
work and stops running work at the cap.`,
	}
	c.AddCommand(p.budgetLs(), p.budgetSet(), p.budgetRm())
	return c
}

func (p *program) budgetLs() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List budgets with what was spent of them",
		Long:    `Ls lists all budgets of the workspace with what their present window has seen up to this instant.`,
		Example: `  purser budget ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showBudgets(p.client().Budgets(c.Context(), p.workspace()))
		},
	}
}

func (p *program) showBudgets(b api.Budgets, err error) error {
	if err != nil {
		return err
	}
	t := &table{names: []string{"id", "key", "value", "amount", "spent", "remaining", "window", "hard"}, empty: "There are no budgets."}
	for _, budget := range b.Items {
		t.row(text(budget.ID), text(budget.Key), text(budget.Value), amount(budget.Amount), amount(budget.Spent), amount(budget.Remaining),
			text(windowText(budget)), yes(budget.Hard))
	}
	return p.show(b, t)
}

func windowText(b api.Budget) string {
	if b.Window == "rolling" {
		return fmt.Sprintf("rolling %dh", b.WindowHours)
	}
	return b.Window
}

func (p *program) budgetSet() *cobra.Command {
	var window, file string
	var hours int
	var hard bool
	c := &cobra.Command{
		Use:   "set KEY[:VALUE] AMOUNT | set -f FILE",
		Short: "Set one budget, or replace all",
		Long: `Set caps what KEY spends in a window: workspace, project:NAME, user:NAME, job:ID or
token:ID. A budget of the same key, value and window is changed and keeps what was
spent; else one is added, and begins with what its window has seen so far (one of a
token with 0: totals are not kept by token).

With -f all budgets are replaced by those of a JSON file, in the form that
"purser budget ls -o json" prints.`,
		Example: `  purser budget set workspace 1000 --window month
  purser budget set project:vision 50 --window day --hard
  purser budget set user:ada 10 --window rolling --hours 6
  purser budget set -f budgets.json`,
		Args: func(c *cobra.Command, args []string) error {
			if file != "" {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(2)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if file != "" {
				return p.replaceBudgets(c, file)
			}
			limit, err := parseAmount(args[1])
			if err != nil {
				return err
			}
			key, value, _ := strings.Cut(args[0], ":")
			b := api.Budget{Key: key, Value: value, Amount: limit, Window: window, WindowHours: hours, Hard: hard}
			if _, err := p.client().SetBudget(c.Context(), p.workspace(), b); err != nil {
				return err
			}
			return p.showBudgets(p.client().Budgets(c.Context(), p.workspace()))
		},
	}
	f := c.Flags()
	f.StringVar(&window, "window", "month", "hour, day, week, month, total or rolling")
	f.IntVar(&hours, "hours", 0, "for rolling: how many hours")
	f.BoolVar(&hard, "hard", false, "refuse and stop work at the cap")
	f.StringVarP(&file, "file", "f", "", "replace all budgets by those of a JSON file; - for standard input")
	return c
}

// putBudgets puts the terms of budgets, without what the server knows itself.
func (p *program) putBudgets(c *cobra.Command, items []api.Budget) error {
	terms := api.Budgets{Items: []api.Budget{}}
	for _, b := range items {
		b.Spent, b.Remaining, b.WindowFrom, b.WindowUntil, b.AsOf = "", "", nil, nil, ""
		terms.Items = append(terms.Items, b)
	}
	return p.showBudgets(p.client().SetBudgets(c.Context(), p.workspace(), terms))
}

func (p *program) replaceBudgets(c *cobra.Command, file string) error {
	var all api.Budgets
	if err := p.readJSON(file, "list of budgets", &all); err != nil {
		return err
	}
	return p.putBudgets(c, all.Items)
}

func (p *program) budgetRm() *cobra.Command {
	return &cobra.Command{
		Use:   "rm BUDGET | rm KEY[:VALUE]",
		Short: "Remove a budget",
		Long: `Rm removes a budget, named by its id or as "purser budget set" names it. Of several
with the same key and value, which differ in their window, only the id names one.`,
		Example: `  purser budget rm project:vision
  purser budget rm bdg_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeBudgets(),
		RunE: func(c *cobra.Command, args []string) error {
			all, err := p.client().Budgets(c.Context(), p.workspace())
			if err != nil {
				return err
			}
			i, err := findBudget(all.Items, args[0])
			if err != nil {
				return err
			}
			if _, err := p.client().RemoveBudget(c.Context(), p.workspace(), all.Items[i].ID); err != nil {
				return err
			}
			return p.showBudgets(p.client().Budgets(c.Context(), p.workspace()))
		},
	}
}

// findBudget finds the budget of an id, or the only one of KEY[:VALUE].
func findBudget(all []api.Budget, name string) (int, error) {
	key, value, _ := strings.Cut(name, ":")
	at, ids := -1, []string{}
	for i, b := range all {
		if b.ID == name || b.Key == key && b.Value == value {
			at, ids = i, append(ids, fmt.Sprintf("%s (%s)", b.ID, windowText(b)))
		}
	}
	switch len(ids) {
	case 0:
		return 0, fmt.Errorf("there is no budget %s", name)
	case 1:
		return at, nil
	}
	return 0, wrong("there are %d budgets %s: name one by its id, %s", len(ids), name, strings.Join(ids, ", "))
}

// completeBudgets offers the ids of budgets to the shell.
func (p *program) completeBudgets() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		budgets, err := p.client().Budgets(c.Context(), p.workspace())
		var ids []string
		for _, b := range budgets.Items {
			ids = append(ids, cobra.CompletionWithDesc(b.ID, strings.TrimSuffix(b.Key+":"+b.Value, ":")+" "+windowText(b)))
		}
		return ids, err
	})
}
