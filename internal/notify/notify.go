// Package notify tells people what has happened in wallets.
//
// What it keeps true: what people are to be told of is noted in the commit of the event
// (the ledger's notices), and goes from there in the unit of work that writes the mails;
// so an event is told of once, also if a server dies in between and where there are
// several, and never one that did not happen. Webhooks are told in the same unit of work.
// Who is told, is decided at that instant: by what people may do, or by what the
// organization has set, and nobody is whom it does not name. What happens in its silent
// hours is told when they end, all in one, but for work that is about to be stopped.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/webhook"
)

// Config is what a notifier needs.
type Config struct {
	DB    *db.DB
	Books *ledger.Ledger
	Orgs  *org.Orgs
	Hooks *webhook.Hooks
	Put   func(*db.Tx, mail.Message) error // writes a mail that is sent once the unit is durable
	URL   string                           // where people reach the server
	Log   *slog.Logger
}

// Notifier tells people of the ledger's notices.
type Notifier struct{ Config }

// New returns a notifier.
func New(c Config) *Notifier { return &Notifier{c} }

const (
	lookEvery  = 2 * time.Second // for what other servers have noted, and what an earlier run left
	takeAtOnce = 20              // notices of a unit of work
)

// Run tells of notices as they come, until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	ctx = db.InLane(ctx, "notify")
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.Books.Noticed():
		case <-look.C:
		}
		if err := n.TellDue(ctx); err != nil && ctx.Err() == nil {
			n.Log.Warn("people are not told of what happened; it is tried again", "error", err)
		}
	}
}

// TellDue tells of everything that was noted by now. Of what nobody can be told is put off,
// with a line in the log, and holds up nothing else.
func (n *Notifier) TellDue(ctx context.Context) error {
	for ctx.Err() == nil {
		var isNoted bool
		var over []string
		err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
			if isNoted, err = n.Books.HasNotices(tx); err == nil {
				over, err = n.over(tx)
			}
			return err
		})
		if err == nil && !isNoted && len(over) == 0 {
			return nil
		}
		if err == nil && isNoted {
			err = n.tellNoted(ctx)
		}
		for _, organization := range over {
			if err == nil {
				err = n.tellHeld(ctx, organization)
			}
		}
		if err != nil {
			return fmt.Errorf("tell people of events: %w", err)
		}
	}
	return ctx.Err()
}

// tellNoted tells of some notices in one unit of work, or, if that fails, of each in one of
// its own.
func (n *Notifier) tellNoted(ctx context.Context) error {
	err := n.DB.Update(ctx, func(tx *db.Tx) error {
		taken, err := n.Books.TakeNotices(tx, takeAtOnce)
		for _, notice := range taken {
			if err == nil {
				err = n.tellOf(tx, notice)
			}
		}
		return err
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	var due []ledger.Notice
	err = n.DB.View(ctx, func(tx *db.Tx) (err error) {
		due, err = n.Books.DueNotices(tx, takeAtOnce)
		return err
	})
	for _, notice := range due {
		if err == nil {
			err = n.tellAlone(ctx, notice)
		}
	}
	return err
}

func (n *Notifier) tellAlone(ctx context.Context, notice ledger.Notice) error {
	err := n.DB.Update(ctx, func(tx *db.Tx) error {
		own := notice // a unit may run again
		isOurs, err := n.Books.TakeNotice(tx, &own)
		if err != nil || !isOurs {
			return err
		}
		return n.tellOf(tx, own)
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	n.Log.Error("nobody is told of an event; it is tried again later", "wallet", notice.ID.String(), "event", notice.Event.No, "error", err)
	return n.DB.Update(ctx, func(tx *db.Tx) error { return n.Books.PutOffNotice(tx, notice) })
}

// mail writes a mail to each of some people, once to each, with what is the same for all.
func (n *Notifier) mail(tx *db.Tx, organization, template string, to []org.Recipient, data map[string]string) error {
	told := map[string]bool{}
	for _, r := range to {
		if told[r.Email] {
			continue
		}
		told[r.Email] = true
		own := map[string]string{"name": r.Name, "link": n.URL}
		for name, value := range data {
			own[name] = value
		}
		if err := n.Put(tx, mail.Message{Organization: organization, To: r.Email, Template: template, Data: own}); err != nil {
			return err
		}
	}
	return nil
}
