package notify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/webhook"
)

// alert is what people are told of an event.
type alert struct {
	kind     string // one of Kinds; "" for what chats alone are told
	event    string // its type
	template string // of the mail
	data     map[string]string
	line     string // all of it in a line
	to       []org.Recipient
	isForAll bool // the addresses that the organization has named are told too
	isUrgent bool // silent hours or not
}

// tellOf tells webhooks, people and chats of a notice. Of a workspace that is gone
// nobody is told but webhooks; everything else that is missing is an error.
func (n *Notifier) tellOf(tx *db.Tx, notice ledger.Notice) error {
	err := n.carry(tx, notice)
	if err == nil {
		err = n.tellPeople(tx, notice)
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", notice.Event.Kind, notice.ID, err)
	}
	return nil
}

// tellPeople tells people and chats of a notice, now or when silent hours end.
func (n *Notifier) tellPeople(tx *db.Tx, notice ledger.Notice) error {
	s, err := n.Settings(tx, notice.Organization)
	if err != nil {
		return err
	}
	w, err := n.Orgs.Owner(tx, notice.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := n.alert(tx, notice, w, s)
	if err != nil || a == nil {
		return err
	}
	return n.tell(tx, notice.Organization, s, a)
}

// tell tells people and chats: now, or when the silent hours end.
func (n *Notifier) tell(tx *db.Tx, organization string, s Settings, a *alert) error {
	if slices.Contains(s.Muted, a.kind) {
		return nil
	}
	if until := s.silence(tx.Now()); until != 0 && !a.isUrgent {
		return n.hold(tx, organization, until, a)
	}
	to := a.to
	if a.isForAll {
		others, err := n.addresses(tx, organization, s)
		if err != nil {
			return err
		}
		to = append(slices.Clone(to), others...)
	}
	if err := n.mail(tx, organization, a.template, to, a.data); err != nil {
		return err
	}
	return n.Hooks.Say(tx, organization, webhook.Line{Type: a.event, Text: a.line})
}

// set are those who are told by their roles: those that the organization has set, or who
// may do one of some things.
func (n *Notifier) set(tx *db.Tx, s Settings, target org.Target, actions ...org.Action) (to []org.Recipient, err error) {
	if len(s.Roles) > 0 {
		return n.Orgs.WithRoles(tx, s.Roles, target)
	}
	for _, action := range actions {
		some, err := n.Orgs.WhoMay(tx, action, target)
		if err != nil {
			return nil, err
		}
		to = append(to, some...)
	}
	return to, nil
}

// addresses are those that are told besides: what the organization has set, and where its
// bills go.
func (n *Notifier) addresses(tx *db.Tx, organization string, s Settings) (to []org.Recipient, err error) {
	p, err := n.Orgs.Profile(tx, organization)
	if err != nil {
		return nil, err
	}
	for _, address := range append(slices.Clone(s.Addresses), p.BillingEmail) {
		if address != "" {
			to = append(to, org.Recipient{Email: address})
		}
	}
	return to, nil
}

// Test tells everybody who would be told of an alert that this is a test, also in silent
// hours, and every chat. It returns how many mails were written.
func (n *Notifier) Test(tx *db.Tx, organization string) (mails int, err error) {
	if err := n.mayTest(tx, organization); err != nil {
		return 0, err
	}
	s, err := n.Settings(tx, organization)
	if err != nil {
		return 0, err
	}
	to, err := n.set(tx, s, org.Target{Organization: organization}, org.Pay, org.Govern)
	if err != nil {
		return 0, err
	}
	others, err := n.addresses(tx, organization, s)
	if err != nil {
		return 0, err
	}
	to = append(to, others...)
	found, err := n.Orgs.Organization(tx, organization)
	if err != nil {
		return 0, err
	}
	err = n.mail(tx, organization, "notice", to, map[string]string{
		"subject": found.Slug + ": a test of the alerts", "text": "Nothing has happened: somebody has asked whether alerts arrive. They do.",
	})
	if err != nil {
		return 0, err
	}
	hooks, err := n.Hooks.List(tx, organization)
	for _, w := range hooks {
		if err == nil && w.Format == webhook.Text && w.Disabled == "" {
			_, err = n.Hooks.Test(tx, w)
		}
	}
	return len(distinct(to)), err
}

func distinct(to []org.Recipient) map[string]bool {
	all := map[string]bool{}
	for _, r := range to {
		all[r.Email] = true
	}
	return all
}

func (n *Notifier) mayTest(tx *db.Tx, organization string) error {
	changed, err := tx.Exec(`INSERT INTO alert_settings (organization, muted, roles, addresses, silent_from, silent_until, zone, tested_at)
		VALUES ($1, '', '', '', 0, 0, '', $2) ON CONFLICT (organization) DO UPDATE SET tested_at = excluded.tested_at
		WHERE alert_settings.tested_at <= excluded.tested_at - $3`, organization, tx.Now(), testEvery)
	if err != nil {
		return fmt.Errorf("note a test of alerts: %w", err)
	}
	if changed == 0 {
		return tooSoon()
	}
	return nil
}

// listed are names with blanks between them.
func listed(to []org.Recipient) string {
	var users []string
	for _, r := range to {
		users = append(users, r.User)
	}
	return strings.Join(users, " ")
}
