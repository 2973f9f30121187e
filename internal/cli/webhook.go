package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) webhookCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "webhook",
		Aliases: []string{"webhooks"},
		Short:   "Have programs and chats told of what happens to the credits",
		Long: `A webhook is an address to which the server posts what happens in the organization of
the settings: balances that run low, budgets, landings, lots, transfers, payments. Requests
are signed by the convention of Standard Webhooks; with --format text they are a line for a
chat instead. What is not taken is tried again for three days. docs/webhooks.md has the
types of events, and how a signature is checked.`,
	}
	c.AddCommand(p.webhookCreate(), p.webhookLs(), p.webhookShow(), p.webhookSet(), p.webhookSwitch("enable", true), p.webhookSwitch("disable", false),
		p.webhookRotate(), p.webhookTest(), p.webhookDeliveries(), p.webhookReplay(), p.webhookRm())
	return c
}

func (p *program) webhookCreate() *cobra.Command {
	var n api.NewWebhook
	c := &cobra.Command{
		Use:   "create URL",
		Short: "Add a webhook",
		Long: `Create adds an address and prints the secret that its signatures are checked with, this
once. Without --event it is told of everything, and a chat of what alerts are about.`,
		Example: `  purser webhook create https://example.org/purser --event 'balance.*' --event flow.landing
  purser webhook create https://hooks.example.com/services/T0/B0/x --format text`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n.URL = args[0]
			return p.showWebhookSecret(p.client().CreateWebhook(c.Context(), p.settings.get("org"), n))
		},
	}
	c.Flags().StringVar(&n.Format, "format", "standard", "standard, which is signed, or text for a chat")
	c.Flags().StringArrayVar(&n.Events, "event", nil, "type of events, in which * stands for anything; may be given several times")
	c.Flags().StringVar(&n.Description, "description", "", "what it is for")
	return c
}

func webhookFacts(w api.Webhook) []fact {
	status := "enabled"
	if !w.Enabled {
		status = "disabled: " + w.DisabledBecause
	}
	return []fact{
		{"id", text(w.ID)}, {"url", text(w.URL)}, {"format", text(w.Format)}, {"events", text(strings.Join(w.Events, " "))},
		{"description", text(w.Description)}, {"status", text(status)}, {"former_secret_until", whenOr(w.FormerSecretUntil)}, {"created_at", when(w.CreatedAt)},
	}
}

func (p *program) showWebhook(w api.Webhook, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(w, webhookFacts(w)...)
}

func (p *program) showWebhookSecret(w api.FreshWebhook, err error) error {
	if err != nil {
		return err
	}
	if w.Secret == "" {
		return p.showFacts(w, webhookFacts(w.Webhook)...)
	}
	if err := p.showFacts(w, append(webhookFacts(w.Webhook), fact{"secret", text(w.Secret)})...); err != nil {
		return err
	}
	p.note("keep the secret now: it is not shown again")
	return nil
}

func (p *program) webhookLs() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List webhooks",
		Long:    `Ls lists the webhooks of the organization of the settings.`,
		Example: `  purser webhook ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := p.client().Webhooks(c.Context(), p.settings.get("org"))
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "url", "format", "events", "description", "disabled_because"}, empty: "There are no webhooks."}
			for _, w := range all.Items {
				t.row(text(w.ID), text(w.URL), text(w.Format), text(strings.Join(w.Events, " ")), text(w.Description), text(w.DisabledBecause))
			}
			return p.show(all, t)
		},
	}
}

func (p *program) webhookShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show WEBHOOK",
		Short:   "Show a webhook",
		Long:    `Show prints a webhook, and why it is told nothing if it was disabled.`,
		Example: `  purser webhook show whk_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showWebhook(p.client().Webhook(c.Context(), p.settings.get("org"), args[0]))
		},
	}
}

func (p *program) webhookSet() *cobra.Command {
	var url, description string
	var events []string
	c := &cobra.Command{
		Use:     "set WEBHOOK",
		Short:   "Change where a webhook leads, and what it is told",
		Long:    `Set changes what the flags name of a webhook, and prints what there is then.`,
		Example: `  purser webhook set whk_01jd3v8m6n7p8q9r0s1t2v3w4x --event 'payment.*' --event 'balance.*'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			given := c.Flags().Changed
			return p.showWebhook(p.client().ChangeWebhook(c.Context(), p.settings.get("org"), args[0], api.WebhookChange{
				URL: pointer(given("address"), url), Events: pointer(given("event"), events), Description: pointer(given("description"), description),
			}))
		},
	}
	c.Flags().StringVar(&url, "address", "", "where it leads")
	c.Flags().StringArrayVar(&events, "event", nil, "type of events, in place of all before; may be given several times")
	c.Flags().StringVar(&description, "description", "", "what it is for")
	return c
}

func (p *program) webhookSwitch(name string, on bool) *cobra.Command {
	c := &cobra.Command{
		Use:     name + " WEBHOOK",
		Short:   "Have a webhook told of events again",
		Long:    `Enable has a webhook told of events again, and sends what waits for it.`,
		Example: `  purser webhook ` + name + ` whk_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showWebhook(p.client().ChangeWebhook(c.Context(), p.settings.get("org"), args[0], api.WebhookChange{Enabled: &on}))
		},
	}
	if !on {
		c.Short = "Have a webhook told of nothing"
		c.Long = `Disable has a webhook told of nothing, until it is enabled. What happens meanwhile is not kept for it.`
	}
	return c
}

func (p *program) webhookRotate() *cobra.Command {
	var overlap string
	c := &cobra.Command{
		Use:   "rotate WEBHOOK",
		Short: "Give a webhook another secret",
		Long: `Rotate prints another secret of a webhook. For a day, or --overlap, requests carry a
signature of the one before as well.`,
		Example: `  purser webhook rotate whk_01jd3v8m6n7p8q9r0s1t2v3w4x --overlap 1h`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			seconds, err := optionalSeconds(overlap)
			if err != nil {
				return err
			}
			return p.showWebhookSecret(p.client().RotateWebhook(c.Context(), p.settings.get("org"), args[0],
				api.WebhookRotation{OverlapSeconds: pointer(overlap != "", seconds)}))
		},
	}
	c.Flags().StringVar(&overlap, "overlap", "", "for how long the secret before signs as well (default 24h)")
	return c
}

func (p *program) webhookRm() *cobra.Command {
	return &cobra.Command{
		Use:     "rm WEBHOOK",
		Short:   "Remove a webhook",
		Long:    `Rm removes a webhook: it is told nothing any more, not even what waits for it.`,
		Example: `  purser webhook rm whk_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showWebhook(p.client().RemoveWebhook(c.Context(), p.settings.get("org"), args[0]))
		},
	}
}
