package app

import (
	"context"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/invoice/paper"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// desk is what issues documents. They are drawn when they are mailed, with a link to the
// URL at which people reach the server.
func (a *App) desk(orgs *org.Orgs, url string) *invoice.Desk {
	desk := invoice.New(invoice.Config{DB: a.db, Books: a.ledger, Orgs: orgs, Put: a.post(a.mails), Raise: a.notifier.Raise, URL: url, Log: a.log,
		Operator: operator(a.config.SMTP)})
	a.mails.Attach(func(ctx context.Context, organization, id string) (mail.Attachment, error) {
		var found invoice.Issued
		err := a.db.View(ctx, func(tx *db.Tx) (err error) {
			found, err = desk.Find(tx, organization, id)
			return err
		})
		if err != nil {
			return mail.Attachment{}, err
		}
		doc, err := found.Document()
		if err != nil {
			return mail.Attachment{}, err
		}
		content, err := paper.Draw(doc)
		return mail.Attachment{Name: found.Number + ".pdf", Media: "application/pdf", Content: content}, err
	})
	return desk
}
