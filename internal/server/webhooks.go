package server

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/webhook"
)

// WebhookPath names an endpoint.
type WebhookPath struct {
	OrganizationPath
	Webhook string `path:"webhook" maxLength:"60"`
}

// DeliveryPath names what an endpoint was told.
type DeliveryPath struct {
	WebhookPath
	Delivery string `path:"delivery" maxLength:"60"`
}

func (s *Server) webhookCalls() {
	const path = "/v1/organizations/{organization}/webhooks"
	const secret = "The secret is in this answer, and nowhere else."
	command(s, call{
		id: "create-webhook", method: "POST", path: path, tag: tagWebhooks, action: org.Manage, status: 201, repeatable: true,
		summary: "Have an endpoint told of events", description: secret + " Requests are signed by the convention of Standard Webhooks.",
	}, createWebhook)
	query(s, call{
		id: "list-webhooks", method: "GET", path: path, tag: tagWebhooks, action: org.Manage, summary: "List webhooks, the oldest first",
	}, func(r *reading, _ *OrganizationPath) (list api.Webhooks, err error) {
		list.Items, list.Types = []api.Webhook{}, webhook.Types()
		err = r.view(func(tx *db.Tx) error {
			all, err := r.hooks.List(tx, r.id.Organization)
			for _, w := range all {
				list.Items = append(list.Items, webhookOnWire(w, tx.Now()))
			}
			return err
		})
		return list, err
	})
	query(s, call{
		id: "get-webhook", method: "GET", path: path + "/{webhook}", tag: tagWebhooks, action: org.Manage, summary: "Get a webhook",
	}, func(r *reading, p *WebhookPath) (out api.Webhook, err error) {
		err = r.view(func(tx *db.Tx) error {
			w, err := r.hooks.Find(tx, r.id.Organization, p.Webhook)
			out = webhookOnWire(w, tx.Now())
			return err
		})
		return out, err
	})
	command(s, call{
		id: "change-webhook", method: "PATCH", path: path + "/{webhook}", tag: tagWebhooks, action: org.Manage,
		summary: "Change what is named of a webhook",
	}, func(u *unit, p *WebhookPath, b *api.WebhookChange) (api.Webhook, error) {
		w, err := u.webhook(p)
		if err != nil {
			return api.Webhook{}, err
		}
		u.before = webhookOnWire(w, u.tx.Now())
		w, err = u.hooks.Change(u.tx, w, webhook.Change{URL: b.URL, Events: b.Events, Description: b.Description, Enabled: b.Enabled})
		return webhookOnWire(w, u.tx.Now()), err
	})
	command(s, call{
		id: "rotate-webhook", method: "POST", path: path + "/{webhook}/rotate", tag: tagWebhooks, action: org.Manage, optional: true,
		repeatable: true, summary: "Give a webhook another secret",
		description: secret + " For a day, or as long as is asked, the secret before signs as well.",
	}, rotateWebhook)
	command(s, call{
		id: "remove-webhook", method: "DELETE", path: path + "/{webhook}", tag: tagWebhooks, action: org.Manage, optional: true,
		summary: "Remove a webhook", description: "What waits for it is not sent.",
	}, func(u *unit, p *WebhookPath, _ *none) (api.Webhook, error) {
		w, err := u.webhook(p)
		if err != nil {
			return api.Webhook{}, err
		}
		return webhookOnWire(w, u.tx.Now()), u.hooks.Remove(u.tx, w)
	})
	s.deliveryCalls(path + "/{webhook}")
}

func (s *Server) deliveryCalls(path string) {
	command(s, call{
		id: "test-webhook", method: "POST", path: path + "/test", tag: tagWebhooks, action: org.Manage, status: 201, optional: true,
		summary: "Send a webhook an event that tells of nothing", description: "Of the type webhook.test, whatever it wants to be told of.",
	}, func(u *unit, p *WebhookPath, _ *none) (api.Delivery, error) {
		w, err := u.webhook(p)
		if err != nil {
			return api.Delivery{}, err
		}
		d, err := u.hooks.Test(u.tx, w)
		return deliveryOnWire(d), err
	})
	query(s, call{
		id: "list-deliveries", method: "GET", path: path + "/deliveries", tag: tagWebhooks, action: org.Manage,
		summary: "List what a webhook was told, the newest first", description: "Kept for 30 days, 100,000 at most.",
	}, listDeliveries)
	query(s, call{
		id: "get-delivery", method: "GET", path: path + "/deliveries/{delivery}", tag: tagWebhooks, action: org.Manage,
		summary: "Get what a webhook was told",
	}, func(r *reading, p *DeliveryPath) (out api.Delivery, err error) {
		err = r.view(func(tx *db.Tx) error {
			w, err := r.hooks.Find(tx, r.id.Organization, p.Webhook)
			if err != nil {
				return err
			}
			d, err := r.hooks.Delivery(tx, w, p.Delivery)
			out = deliveryOnWire(d)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "replay-delivery", method: "POST", path: path + "/deliveries/{delivery}/replay", tag: tagWebhooks, action: org.Manage,
		optional: true, summary: "Send a webhook again what it was told", description: "Under the same webhook-id, so that who has it already knows.",
	}, func(u *unit, p *DeliveryPath, _ *none) (api.Delivery, error) {
		w, err := u.webhook(&p.WebhookPath)
		if err != nil {
			return api.Delivery{}, err
		}
		d, err := u.hooks.Replay(u.tx, w, p.Delivery)
		return deliveryOnWire(d), err
	})
	command(s, call{
		id: "replay-webhook", method: "POST", path: path + "/replay", tag: tagWebhooks, action: org.Manage,
		summary: "Send a webhook again all that it was told since an instant", description: fmt.Sprintf("The oldest first, %d at most.", webhook.MaxReplay),
	}, func(u *unit, p *WebhookPath, b *api.NewReplay) (api.Replayed, error) {
		w, err := u.webhook(p)
		if err != nil {
			return api.Replayed{}, err
		}
		var f fields
		since := f.instant("/since", b.Since)
		if err := f.Err(); err != nil {
			return api.Replayed{}, err
		}
		n, err := u.hooks.ReplaySince(u.tx, w, since, b.OnlyFailed)
		return api.Replayed{Deliveries: n}, err
	})
}

func (u *unit) webhook(p *WebhookPath) (webhook.Webhook, error) {
	return u.hooks.Find(u.tx, u.id.Organization, p.Webhook)
}

func createWebhook(u *unit, _ *OrganizationPath, b *api.NewWebhook) (api.FreshWebhook, error) {
	w, secret, err := u.hooks.Create(u.tx, webhook.Webhook{
		Organization: u.id.Organization, URL: b.URL, Format: cmp.Or(b.Format, webhook.Standard), Events: b.Events, Description: b.Description,
	})
	return api.FreshWebhook{Webhook: webhookOnWire(w, u.tx.Now()), Secret: secret}, err
}

func rotateWebhook(u *unit, p *WebhookPath, b *api.WebhookRotation) (api.FreshWebhook, error) {
	w, err := u.webhook(p)
	if err != nil {
		return api.FreshWebhook{}, err
	}
	overlap := webhook.Overlap
	if b.OverlapSeconds != nil {
		overlap = *b.OverlapSeconds * db.Second
	}
	w, secret, err := u.hooks.Rotate(u.tx, w, overlap)
	return api.FreshWebhook{Webhook: webhookOnWire(w, u.tx.Now()), Secret: secret}, err
}

func listDeliveries(r *reading, p *struct {
	WebhookPath
	api.DeliveryQuery
}) (list api.List[api.Delivery], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Delivery], err error) {
		w, err := r.hooks.Find(tx, r.id.Organization, p.Webhook)
		if err != nil {
			return list, err
		}
		found, err := r.hooks.Deliveries(tx, w, p.Status, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(d webhook.Delivery) string { return d.ID },
			func(d webhook.Delivery) (api.Delivery, error) { return deliveryOnWire(d), nil })
	})
}

func webhookOnWire(w webhook.Webhook, now int64) api.Webhook {
	until := w.FormerUntil
	if until <= now {
		until = 0
	}
	return api.Webhook{
		ID: w.ID, URL: w.URL, Format: w.Format, Events: append([]string{}, w.Events...), Description: w.Description, Enabled: w.Disabled == "",
		DisabledBecause: w.Disabled, FormerSecretUntil: api.AtOrNull(until), CreatedAt: api.At(w.CreatedAt),
	}
}

func deliveryOnWire(d webhook.Delivery) api.Delivery {
	out := api.Delivery{
		ID: d.ID, Webhook: d.Webhook, Type: d.Type, Status: d.Status, Attempts: d.Attempts, ResponseCode: d.Code, Response: d.Answer, Result: d.Result,
		DurationSeconds: seconds(d.Duration), Body: d.Body, CreatedAt: api.At(d.CreatedAt), EndedAt: api.AtOrNull(d.EndedAt),
	}
	if d.Status == webhook.Waiting {
		out.NextAt = api.AtOrNull(d.DueAt)
	}
	return out
}

// seconds is a time in seconds, to the millisecond.
func seconds(ns int64) string {
	ms := ns / 1_000_000
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%03d", ms/1_000, ms%1_000), "0"), ".")
}
