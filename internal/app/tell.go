package app

import (
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/notify"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/outward"
	"github.com/purserhq/purser/internal/webhook"
)

// tellers makes what tells people and programs of what happens.
func (a *App) tellers(orgs *org.Orgs, url string) {
	a.hooks = webhook.New(webhook.Config{
		DB: a.db, Rules: outward.Rules{AllowsPrivate: a.config.AllowPrivate}, Log: a.log,
		Disabled: func(tx *db.Tx, w webhook.Webhook, why string) error { return a.notifier.GivenUp(tx, w, why) },
	})
	a.notifier = notify.New(notify.Config{
		DB: a.db, Books: a.ledger, Orgs: orgs, Hooks: a.hooks, Put: a.post(a.mails), URL: url, Log: a.log,
	})
}
