package notify

import (
	"context"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/webhook"
)

// The limits of what waits for the end of silent hours.
const (
	maxHeld    = 500 // alerts that are told in one
	maxSummary = 40  // lines of a mail; of the others it says how many there are
)

// held is an alert of silent hours.
type held struct {
	organization, kind, line, users string
	isForAll                        bool
}

// hold keeps an alert until the silent hours end.
func (n *Notifier) hold(tx *db.Tx, organization string, until int64, a *alert) error {
	isForAll := 0
	if a.isForAll {
		isForAll = 1
	}
	_, err := tx.Exec(`INSERT INTO held_alerts (organization, id, due_at, type, line, users, is_for_all) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		organization, tx.NewID("alt_"), until, a.event, at(tx.Now())+" "+a.line, listed(a.to), isForAll)
	if err != nil {
		return fmt.Errorf("keep an alert until silent hours end: %w", err)
	}
	return nil
}

// hasHeld reports whether there are alerts whose silent hours have ended.
func (n *Notifier) hasHeld(tx *db.Tx) (due bool, err error) {
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM held_alerts WHERE due_at <= $1)`, tx.Now()).Scan(&due)
	return due, err
}

// NextAt is when silent hours end in which something has happened; 0 for none.
func (n *Notifier) NextAt(ctx context.Context) (at int64, err error) {
	err = n.DB.Glance(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT COALESCE(MIN(due_at), 0) FROM held_alerts`).Scan(&at)
	})
	if err != nil {
		return 0, fmt.Errorf("look when silent hours end: %w", err)
	}
	return at, nil
}

// sumUp tells an organization what has happened in its silent hours: everybody what he is
// to know, in one mail, and each chat in one message.
func (n *Notifier) sumUp(tx *db.Tx) error {
	all, err := db.All(tx, func(r db.Scanner) (a held, err error) {
		id, isForAll := "", int64(0)
		err = r.Scan(&a.organization, &id, &a.kind, &a.line, &a.users, &isForAll)
		a.isForAll = isForAll != 0
		return a, err
	}, `DELETE FROM held_alerts WHERE (organization, id) IN (SELECT organization, id FROM held_alerts
		WHERE due_at <= $1 AND organization = (SELECT MIN(organization) FROM held_alerts WHERE due_at <= $1) ORDER BY id LIMIT $2)
		RETURNING organization, id, type, line, users, is_for_all`, tx.Now(), maxHeld)
	if err != nil || len(all) == 0 {
		return err
	}
	organization := all[0].organization
	s, err := n.Settings(tx, organization)
	if err != nil {
		return err
	}
	others, err := n.addresses(tx, organization, s)
	if err != nil {
		return err
	}
	lines, people, said := map[string][]string{}, map[string]org.Recipient{}, []webhook.Line{}
	for _, a := range all {
		to, err := n.Orgs.Among(tx, organization, strings.Fields(a.users))
		if err != nil {
			return err
		}
		if a.isForAll {
			to = append(to, others...)
		}
		for _, r := range to {
			if _, isNew := lines[r.Email]; !isNew {
				people[r.Email] = r
			}
			lines[r.Email] = append(lines[r.Email], a.line)
		}
		said = append(said, webhook.Line{Type: a.kind, Text: a.line})
	}
	return n.summarize(tx, organization, people, lines, said)
}

func (n *Notifier) summarize(tx *db.Tx, organization string, people map[string]org.Recipient, lines map[string][]string, said []webhook.Line) error {
	found, err := n.Orgs.Organization(tx, organization)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, email := range sorted(people) {
		told := sorted(set(lines[email]))
		text := strings.Join(told[:min(len(told), maxSummary)], "\n")
		if more := len(told) - maxSummary; more > 0 {
			text += fmt.Sprintf("\nand %d more", more)
		}
		err := n.mail(tx, organization, "notice", []org.Recipient{people[email]}, map[string]string{
			"subject": fmt.Sprintf("%s: %d alerts of your silent hours", found.Slug, len(told)), "text": text,
		})
		if err != nil {
			return err
		}
	}
	return n.Hooks.Say(tx, organization, said...)
}

func tooSoon() error {
	return fault.New(fault.Limited, "the alerts were tested less than a minute ago: try again in a minute")
}
