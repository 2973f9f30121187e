package notify

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/webhook"
)

// kindOf is the kind of alert that an event of another part is, so that it can be muted.
var kindOf = map[string]string{"payment.failed": "payment", "topup.disabled": "payment", "lot.expiring": "expiry"}

// Raise tells the webhooks of an organization of an event of another part, such as a
// payment, in the unit of work in which it happens: programs by its data, chats in a line.
// Workspace is "" for what is of none. People are mailed by the part itself.
func (n *Notifier) Raise(tx *db.Tx, organization, workspace, kind string, data map[string]string) error {
	own := make(map[string]any, len(data))
	for name, value := range data {
		own[name] = value
	}
	if err := n.Hooks.Raise(tx, organization, workspace, kind, tx.Now(), own); err != nil {
		return err
	}
	s, err := n.Settings(tx, organization)
	if err != nil {
		return err
	}
	found, err := n.Orgs.Organization(tx, organization)
	if fault.Is(err, fault.NotFound) { // it was deleted; what happened, did all the same
		return nil
	}
	if err != nil {
		return err
	}
	return n.tell(tx, organization, s, &alert{kind: kindOf[kind], event: kind, line: found.Slug + ": " + kind + inWords(data)})
}

// carry tells webhooks of a notice.
func (n *Notifier) carry(tx *db.Tx, notice ledger.Notice) error {
	e := &notice.Event
	data := map[string]any{"no": e.No, "subject": e.Subject}
	for name, value := range e.Data {
		if ns, err := strconv.ParseInt(value, 10, 64); err == nil && strings.HasSuffix(name, "_at") {
			value = time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
		}
		data[name] = value
	}
	if strings.HasPrefix(e.Kind, "flow.") {
		f, err := n.Books.Flow(tx, notice.ID, e.Subject)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		data["project"], data["user"], data["job"] = f.Project, f.User, f.Job
	}
	return n.Hooks.Raise(tx, notice.Organization, notice.Workspace, e.Kind, e.At, data)
}

// GivenUp tells the owners of an organization that a webhook is told nothing any more.
func (n *Notifier) GivenUp(tx *db.Tx, w webhook.Webhook, why string) error {
	to, err := n.Orgs.WithRoles(tx, []org.Role{org.Owner}, org.Target{Organization: w.Organization})
	if err != nil {
		return err
	}
	found, err := n.Orgs.Organization(tx, w.Organization)
	if err != nil {
		return err
	}
	name := w.ID
	if w.Description != "" {
		name += " (" + w.Description + ")"
	}
	return n.mail(tx, w.Organization, "notice", to, map[string]string{
		"subject": found.Slug + ": a webhook was disabled",
		"text": fmt.Sprintf("The webhook %s is told nothing any more: %s.\n\nOnce it answers again, enable it and send it what it missed:\npurser webhook enable %s\npurser webhook replay %s --failed --since 7d",
			name, why, w.ID, w.ID),
	})
}
