package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "token",
		Aliases: []string{"tokens"},
		Short:   "Make, list, rotate and revoke API tokens",
		Long: `A token is what a program is known by in the organization of the settings. It may
do what its scopes name (own, manage, pay, account, govern, run, see), and never more
than you may yourself. Its secret is shown once.`,
	}
	c.AddCommand(p.tokenCreate(), p.tokenLs(), p.tokenRotate(), p.tokenRevoke())
	return c
}

func (p *program) tokenCreate() *cobra.Command {
	var n api.NewToken
	var expires, budget, window string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API token",
		Long: `Create makes a token and prints its secret, this once. With a budget it is for one
workspace, the organization's own if none is named, and what it starts is stopped at the cap.`,
		Example: `  purser token create ci --scope run --scope see --expires 90d
  purser token create sweep --scope run --in-project vision --budget 50 --window month`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			n.Name = args[0]
			if expires != "" {
				if n.ExpiresAt, err = p.instant(c.Context(), expires, 1); err != nil {
					return err
				}
			}
			if budget != "" {
				amount, err := parseAmount(budget)
				if err != nil {
					return err
				}
				n.Budget = &api.TokenBudget{Amount: amount, Window: window, Hard: true}
			}
			return p.showSecret(p.client().CreateToken(c.Context(), p.settings.get("org"), n))
		},
	}
	f := c.Flags()
	f.StringArrayVar(&n.Scopes, "scope", []string{"run", "see"}, "what it may do; may be given several times")
	f.StringArrayVar(&n.Networks, "network", nil, "from where it is taken, as 10.0.0.0/8; may be given several times")
	f.StringVar(&expires, "expires", "", "when it ends: an instant, or in how long (90d)")
	f.StringVar(&n.Project, "in-project", "", "for this project only")
	f.StringVar(&n.Workspace, "in-workspace", "", "for this workspace only")
	f.StringVar(&budget, "budget", "", "credits that it may spend at most")
	f.StringVar(&window, "window", "total", "over which time the budget counts: hour, day, week, month or total")
	return c
}

func tokenFacts(t api.Token) []fact {
	return []fact{
		{"id", text(t.ID)}, {"name", text(t.Name)}, {"scopes", text(strings.Join(t.Scopes, " "))}, {"networks", text(strings.Join(t.Networks, " "))},
		{"project", text(t.Project)}, {"workspace", text(t.Workspace)}, {"expires_at", exactly(t.ExpiresAt)},
	}
}

func (p *program) showSecret(t api.FreshToken, err error) error {
	if err != nil {
		return err
	}
	if err := p.showFacts(t, append(tokenFacts(t.Token), fact{"secret", text(t.Secret)})...); err != nil {
		return err
	}
	p.note("keep the secret now: it is not shown again")
	return nil
}

func (p *program) tokenLs() *cobra.Command {
	var limit int
	var user string
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List API tokens and when they were last used",
		Long:    `Ls lists your tokens in the organization; with --user those of another, or of all, if you manage it.`,
		Example: `  purser token ls
  purser token ls --user all`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			tokens, err := list(limit, func(page api.Page) (api.List[api.Token], error) {
				return p.client().Tokens(c.Context(), p.settings.get("org"), api.TokenQuery{Page: page, User: user})
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "name", "user", "scopes", "project", "expires_at", "last_used_at"}, empty: "There are no tokens."}
			for _, k := range tokens.Items {
				t.row(text(k.ID), text(k.Name), text(k.User), text(strings.Join(k.Scopes, " ")), text(k.Project), whenOr(k.ExpiresAt), whenOr(k.LastUsedAt))
			}
			return p.show(tokens, t)
		},
	}
	limitFlag(c, &limit)
	c.Flags().StringVar(&user, "user", "", "whose: the id of a member, or all")
	return c
}

func (p *program) tokenRotate() *cobra.Command {
	var overlap string
	c := &cobra.Command{
		Use:   "rotate TOKEN",
		Short: "Give an API token another secret",
		Long: `Rotate prints another secret of a token. The one before ends at once, or after
--overlap, in which both are good.`,
		Example: `  purser token rotate key_01jd3v8m6n7p8q9r0s1t2v3w4x --overlap 1h`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			seconds, err := optionalSeconds(overlap)
			if err != nil {
				return err
			}
			return p.showSecret(p.client().RotateToken(c.Context(), p.settings.get("org"), args[0], api.Rotation{OverlapSeconds: seconds}))
		},
	}
	c.Flags().StringVar(&overlap, "overlap", "", "for how long the secret before stays good")
	return c
}

func (p *program) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke TOKEN",
		Aliases: []string{"rm"},
		Short:   "End an API token at once",
		Long:    `Revoke ends a token: no server takes it any more. What it started goes on.`,
		Example: `  purser token revoke key_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := p.client().RevokeToken(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			return p.showFacts(t, tokenFacts(t)...)
		},
	}
}
