package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/webhook"
)

// The limits of what waits for the end of silent hours.
const (
	maxHeld    = 500 // alerts that are told in one
	maxSummary = 40  // lines of a mail; of the others it says how many there are
	heldPutOff = int64(5 * time.Minute)
)

// held is an alert of silent hours.
type held struct {
	id, event, kind, line, users string
	isForAll                     bool
}

// hold keeps an alert until the silent hours end.
func (n *Notifier) hold(tx *db.Tx, organization string, until int64, a *alert) error {
	_, err := tx.Exec(`INSERT INTO held_alerts (organization, id, due_at, type, kind, line, users, is_for_all) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		organization, tx.NewID("alt_"), until, a.event, a.kind, mail.Instant(tx.Now())+" "+a.line, listed(a.to), db.Flag(a.isForAll))
	if err != nil {
		return fmt.Errorf("keep an alert until silent hours end: %w", err)
	}
	return nil
}

// over are organizations whose silent hours have ended and in which something has
// happened.
func (n *Notifier) over(tx *db.Tx) ([]string, error) {
	all, err := db.All(tx, func(r db.Scanner) (organization string, err error) {
		err = r.Scan(&organization)
		return organization, err
	}, `SELECT organization FROM held_alerts WHERE due_at BETWEEN 0 AND $1 ORDER BY due_at LIMIT $2`, tx.Now(), maxHeld)
	if err != nil {
		return nil, fmt.Errorf("look whose silent hours have ended: %w", err)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Agenda is when there is something to tell; next, when silent hours end in which something
// has happened.
func (n *Notifier) Agenda() db.Agenda {
	return db.Agenda{
		Queries: []string{
			ledger.NoticesDue,
			`SELECT 1 FROM held_alerts WHERE due_at BETWEEN 0 AND $1 LIMIT 1`,
			`SELECT MIN(due_at) FROM held_alerts`,
		},
		Args: func(now int64) []any { return []any{now} },
		When: func(_ int64, found []int64) (isDue bool, next int64) { return found[0] > 0 || found[1] > 0, found[2] },
	}
}

// tellHeld tells an organization what has happened in its silent hours; if that cannot be,
// it waits, and holds up no others.
func (n *Notifier) tellHeld(ctx context.Context, organization string) error {
	err := n.DB.Update(ctx, func(tx *db.Tx) error { return n.sumUp(tx, organization) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	n.Log.Error("nobody is told of silent hours; it is tried again later", "organization", organization, "error", err)
	return n.DB.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE held_alerts SET due_at = $3 WHERE organization = $1 AND due_at BETWEEN 0 AND $2`, organization, tx.Now(), tx.Now()+heldPutOff)
		return err
	})
}

// sumUp tells an organization what has happened in its silent hours, but for what it has
// muted since: everybody what he is to know, in one mail, and each chat in one message.
func (n *Notifier) sumUp(tx *db.Tx, organization string) error {
	all, err := db.All(tx, func(r db.Scanner) (a held, err error) {
		isForAll := int64(0)
		err = r.Scan(&a.id, &a.event, &a.kind, &a.line, &a.users, &isForAll)
		a.isForAll = isForAll != 0
		return a, err
	}, `DELETE FROM held_alerts WHERE organization = $1 AND id IN (SELECT id FROM held_alerts
		WHERE organization = $1 AND due_at <= $2 ORDER BY id LIMIT $3)
		RETURNING id, type, kind, line, users, is_for_all`, organization, tx.Now(), maxHeld)
	if err != nil {
		return fmt.Errorf("take the alerts of silent hours: %w", err)
	}
	s, err := n.Settings(tx, organization)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(a held) bool { return slices.Contains(s.Muted, a.kind) })
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b held) int { return strings.Compare(a.id, b.id) })
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
		said = append(said, webhook.Line{Type: a.event, Text: a.line})
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
			"subject": found.Slug + ": " + counted(len(told), "alert") + " of your silent hours", "text": text,
		})
		if err != nil {
			return err
		}
	}
	return n.Hooks.Say(tx, organization, said...)
}

func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func tooSoon() error {
	return fault.New(fault.Limited, "the alerts were tested less than a minute ago: try again in a minute")
}
