package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) webhookTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test WEBHOOK",
		Short: "Send a webhook an event that tells of nothing",
		Long: `Test sends a webhook an event of the type webhook.test, whatever it wants to be told of.
"purser webhook deliveries" shows a moment later what became of it.`,
		Example: `  purser webhook test whk_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showDelivery(p.client().TestWebhook(c.Context(), p.settings.get("org"), args[0]))
		},
	}
}

func (p *program) showDelivery(d api.Delivery, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(d, fact{"id", text(d.ID)}, fact{"type", text(d.Type)}, fact{"status", text(d.Status)}, fact{"attempts", count(d.Attempts)},
		fact{"response_code", count(d.ResponseCode)}, fact{"response", text(d.Response)}, fact{"result", text(d.Result)},
		fact{"duration_seconds", number(d.DurationSeconds)}, fact{"created_at", when(d.CreatedAt)}, fact{"next_at", whenOr(d.NextAt)},
		fact{"ended_at", whenOr(d.EndedAt)}, fact{"body", text(d.Body)})
}

func (p *program) webhookDeliveries() *cobra.Command {
	var q api.DeliveryQuery
	var limit int
	c := &cobra.Command{
		Use:   "deliveries WEBHOOK [DELIVERY]",
		Short: "List what a webhook was told, and what became of it",
		Long:  `Deliveries lists what a webhook was told, the newest first, or shows one of it. It is kept for 30 days.`,
		Example: `  purser webhook deliveries whk_01jd3v8m6n7p8q9r0s1t2v3w4x --status failed
  purser webhook deliveries whk_01jd3v8m6n7p8q9r0s1t2v3w4x msg_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return p.showDelivery(p.client().Delivery(c.Context(), p.settings.get("org"), args[0], args[1]))
			}
			found, err := list(limit, func(page api.Page) (api.List[api.Delivery], error) {
				q.Page = page
				return p.client().Deliveries(c.Context(), p.settings.get("org"), args[0], q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "created_at", "type", "status", "attempts", "response_code", "next_at", "result"}, empty: "It was told nothing."}
			for _, d := range found.Items {
				t.row(text(d.ID), when(d.CreatedAt), text(d.Type), text(d.Status), count(d.Attempts), count(d.ResponseCode), whenOr(d.NextAt), text(d.Result))
			}
			return p.show(found, t)
		},
	}
	c.Flags().StringVar(&q.Status, "status", "", "only those of which this became: waiting, delivered or failed")
	limitFlag(c, &limit)
	return c
}

func (p *program) webhookReplay() *cobra.Command {
	var since string
	var n api.NewReplay
	c := &cobra.Command{
		Use:   "replay WEBHOOK [DELIVERY]",
		Short: "Send a webhook again what it was told",
		Long: `Replay sends one delivery again, or with --since all since an instant (or since so long
ago); with --failed only what was not delivered. Each keeps its webhook-id.`,
		Example: `  purser webhook replay whk_01jd3v8m6n7p8q9r0s1t2v3w4x msg_01jd3v8m6n7p8q9r0s1t2v3w4x
  purser webhook replay whk_01jd3v8m6n7p8q9r0s1t2v3w4x --failed --since 7d`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if (since == "") == (len(args) == 1) {
				return wrong("name one delivery, or say --since")
			}
			if len(args) == 2 {
				return p.showDelivery(p.client().ReplayDelivery(c.Context(), p.settings.get("org"), args[0], args[1]))
			}
			if n.Since, err = p.instant(c.Context(), since, -1); err != nil {
				return err
			}
			r, err := p.client().ReplayWebhook(c.Context(), p.settings.get("org"), args[0], n)
			if err != nil {
				return err
			}
			return p.showFacts(r, fact{"deliveries", count(r.Deliveries)})
		},
	}
	c.Flags().StringVar(&since, "since", "", "all since this instant, or since so long ago (7d)")
	c.Flags().BoolVar(&n.OnlyFailed, "failed", false, "only what was not delivered")
	return c
}
