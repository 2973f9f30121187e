package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// types are the types of events that webhooks can be told of; docs/webhooks.md says what
// each carries.
var types = []string{
	"balance.alert", "balance.empty", "budget.reached", "flow.ended", "flow.landing", "invoice.issued", "invoice.overdue", "invoice.paid",
	"lot.expired", "lot.expiring", "lot.frozen", "lot.granted", "lot.recovered", "lot.withdrawn", "payment.failed", "payment.succeeded",
	"topup.disabled", "transfer.received", "transfer.sent",
}

// test is the type of an event that tells of nothing: whoever asks for it gets it.
const test = "webhook.test"

// usual are the events of an endpoint for which none were named, by its format.
var usual = map[string][]string{
	Standard: {"*"},
	Text:     {"balance.*", "budget.*", "flow.landing", "lot.expired", "lot.expiring", "payment.failed", "topup.disabled"},
}

// maxBody bounds what is sent.
const maxBody = 64 << 10

// Types are the types of events, in the order of the alphabet.
func Types() []string { return slices.Clone(types) }

// matchesSome reports whether a pattern can be one: letters, dots, underscores and *, and
// there is a type that it matches.
func matchesSome(pattern string) bool {
	isForeign := func(r rune) bool { return (r < 'a' || r > 'z') && r != '.' && r != '_' && r != '*' }
	return !strings.ContainsFunc(pattern, isForeign) && slices.ContainsFunc(types, func(kind string) bool { return matches(pattern, kind) })
}

// matches reports whether a type is one of a pattern, in which * stands for any characters.
func matches(pattern, kind string) bool {
	ok, err := path.Match(pattern, kind)
	return ok && err == nil
}

// wants reports whether an endpoint is to be told of an event.
func (w *Webhook) wants(kind string) bool {
	return w.Disabled == "" && slices.ContainsFunc(w.Events, func(pattern string) bool { return matches(pattern, kind) })
}

// Raise tells the signed endpoints of an organization of an event that happens in this
// unit of work, at an instant. The data is what its type says; the organization and, if
// it is of one, the workspace stand in it as well.
func (h *Hooks) Raise(tx *db.Tx, organization, workspace, kind string, at int64, data map[string]any) error {
	if !slices.Contains(types, kind) {
		return fmt.Errorf("tell webhooks of %s: there is no such type of event", kind)
	}
	to, err := h.wanting(tx, organization, Standard, kind)
	if err != nil || len(to) == 0 {
		return err
	}
	body, err := bodyOf(organization, workspace, kind, at, data)
	if err != nil {
		return err
	}
	id := tx.NewID("msg_")
	for i := range to {
		if err := h.put(tx, &to[i], id, kind, body); err != nil {
			return err
		}
	}
	return nil
}

// Line is what chats are told of an event.
type Line struct{ Type, Text string }

// The limits of a message to a chat.
const (
	maxLines = 40    // of the others it says how many there are
	maxLine  = 1_000 // bytes of one
)

// Say tells the chats of an organization of events, each in one message of those that it
// wants.
func (h *Hooks) Say(tx *db.Tx, organization string, lines ...Line) error {
	all, err := h.List(tx, organization)
	if err != nil {
		return err
	}
	for i := range all {
		var wanted []Line
		for _, l := range lines {
			if all[i].Format == Text && all[i].wants(l.Type) {
				wanted = append(wanted, l)
			}
		}
		if len(wanted) > 0 {
			if err := h.say(tx, &all[i], wanted); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Hooks) say(tx *db.Tx, w *Webhook, lines []Line) error {
	var texts []string
	for _, l := range lines[:min(len(lines), maxLines)] {
		texts = append(texts, escapes.Replace(cut(strings.Map(inLine, l.Text), maxLine)))
	}
	if more := len(lines) - maxLines; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	body, err := encode(map[string]string{"text": strings.Join(texts, "\n")})
	if err != nil {
		return err
	}
	return h.put(tx, w, tx.NewID("msg_"), lines[0].Type, body)
}

// inLine has a blank stand for what would begin another line, or is no text.
func inLine(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
		return ' '
	}
	return r
}

// escapes are what chats take for more than text: a name cannot call a whole channel.
var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// Test sends an endpoint an event that tells of nothing, also if it wants no other.
func (h *Hooks) Test(tx *db.Tx, w Webhook) (Delivery, error) {
	id := tx.NewID("msg_")
	body, err := bodyOf(w.Organization, "", test, tx.Now(), map[string]any{"webhook": w.ID})
	if w.Format == Text {
		body, err = encode(map[string]string{"text": "This is a test of Purser's alerts: what happens to your credits is told here."})
	}
	if err != nil {
		return Delivery{}, err
	}
	if err := h.put(tx, &w, id, test, body); err != nil {
		return Delivery{}, err
	}
	return h.Delivery(tx, w, id)
}

// wanting are the endpoints of a format that are to be told of an event.
func (h *Hooks) wanting(tx *db.Tx, organization, format, kind string) ([]Webhook, error) {
	all, err := h.List(tx, organization)
	return slices.DeleteFunc(all, func(w Webhook) bool { return w.Format != format || !w.wants(kind) }), err
}

// bodyOf is an event as it is sent.
func bodyOf(organization, workspace, kind string, at int64, data map[string]any) (string, error) {
	own := map[string]any{"organization": organization}
	if workspace != "" {
		own["workspace"] = workspace
	}
	maps.Copy(own, data)
	return encode(struct {
		Type      string         `json:"type"`
		Timestamp string         `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}{kind, time.Unix(0, at).UTC().Format(time.RFC3339Nano), own})
}

func encode(value any) (string, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", fmt.Errorf("encode an event for webhooks: %w", err)
	}
	if out.Len() > maxBody {
		return "", fmt.Errorf("encode an event for webhooks: it has %d bytes", out.Len())
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

func (h *Hooks) put(tx *db.Tx, w *Webhook, id, kind, body string) error {
	_, err := tx.Exec(`INSERT INTO deliveries (organization, webhook, id, type, body, status, attempts, code, answer, result, duration, created_at, due_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, 'waiting', 0, 0, '', '', 0, $6, $6, 0)`, w.Organization, w.ID, id, kind, body, tx.Now())
	tx.AfterCommit(h.ring)
	return fault.While("write what a webhook is told", err)
}
