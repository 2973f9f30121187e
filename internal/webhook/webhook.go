// Package webhook tells programs of organizations what has happened, by the convention of
// Standard Webhooks, and chats in a line of text.
//
// What it keeps true: a delivery is a row of the unit of work that tells of the event, and
// is sent at least once, always under the same webhook-id, or noted as failed; of several
// servers one sends it at a time; nothing that an endpoint does, or fails to do, delays
// those of others; no address leads to this machine's own network unless the operator
// allows it; a secret is told once, when it is made.
package webhook

import (
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/outward"
)

// The formats of what is sent.
const (
	Standard = "standard" // signed, by the convention of Standard Webhooks
	Text     = "text"     // {"text": …}, as chats take it
)

// The limits of an endpoint.
const (
	maxWebhooks    = 20 // of an organization
	maxEvents      = 20 // patterns of one
	maxDescription = 200
	secretBytes    = 32
	maxOverlap     = 7 * db.Day
)

// Overlap is for how long a secret signs beside the one that took its place, unless asked
// otherwise.
const Overlap = db.Day

// Webhook is an endpoint of an organization.
type Webhook struct {
	Organization string
	ID           string
	URL          string
	Format       string
	Events       []string // patterns of types: payment.*
	Description  string
	Disabled     string // why it is told nothing; "" if it is told
	FormerUntil  int64  // until when the secret before signs as well
	CreatedAt    int64

	secret, former string
}

// Config is what webhooks need.
type Config struct {
	DB       *db.DB
	Rules    outward.Rules                       // where addresses may lead
	Disabled func(*db.Tx, Webhook, string) error // told in the unit of work that gives an endpoint up, with the reason
	Now      func() int64                        // for how long an answer took; that of the database's clock if nil
	Log      *slog.Logger
}

// Hooks are the endpoints of all organizations, and what sends to them.
type Hooks struct {
	Config
	client *http.Client
	news   chan struct{} // one token: something is due
	places places
	sends  sync.WaitGroup // and the sweeps beside

	removed chan address // whose deliveries are to go
}

// New returns the webhooks of a database.
func New(c Config) *Hooks {
	h := &Hooks{Config: c, client: c.Rules.Client(), news: make(chan struct{}, 1), places: newPlaces(), removed: make(chan address, maxWebhooks)}
	if h.Now == nil {
		h.Now = c.DB.Clock().Now
	}
	return h
}

const columns = `SELECT organization, id, url, format, events, description, disabled, secret, former_secret, former_until, created_at FROM webhooks`

func scan(r db.Scanner) (w Webhook, err error) {
	events := ""
	err = r.Scan(&w.Organization, &w.ID, &w.URL, &w.Format, &events, &w.Description, &w.Disabled, &w.secret, &w.former, &w.FormerUntil, &w.CreatedAt)
	w.Events = strings.Fields(events)
	return w, err
}

// List returns the endpoints of an organization, the oldest first.
func (h *Hooks) List(tx *db.Tx, organization string) ([]Webhook, error) {
	all, err := db.All(tx, scan, columns+` WHERE organization = $1 ORDER BY id`, organization)
	return all, fault.While("list webhooks", err)
}

// Find finds an endpoint.
func (h *Hooks) Find(tx *db.Tx, organization, id string) (Webhook, error) {
	w, err := scan(tx.QueryRow(columns+` WHERE organization = $1 AND id = $2`, organization, id))
	if errors.Is(err, sql.ErrNoRows) {
		return w, fault.New(fault.NotFound, "there is no webhook %.80q in this organization", id)
	}
	return w, fault.While("find a webhook", err)
}

// Create adds an endpoint. The secret is returned this once; one of text has none.
func (h *Hooks) Create(tx *db.Tx, w Webhook) (made Webhook, secret string, err error) {
	all, err := h.List(tx, w.Organization)
	if err != nil {
		return w, "", err
	}
	if len(all) >= maxWebhooks {
		return w, "", fault.New(fault.Limited, "the organization has %d webhooks, and no more fit: remove one first", len(all))
	}
	if len(w.Events) == 0 {
		w.Events = usual[w.Format]
	}
	if err := h.check(&w); err != nil {
		return w, "", err
	}
	if w.Format == Standard {
		w.secret = newSecret()
	}
	w.ID, w.CreatedAt = tx.NewID("whk_"), tx.Now()
	_, err = tx.Exec(`INSERT INTO webhooks (organization, id, url, format, events, description, disabled, secret, former_secret, former_until, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', 0, $9)`,
		w.Organization, w.ID, w.URL, w.Format, strings.Join(w.Events, " "), w.Description, w.Disabled, w.secret, w.CreatedAt)
	return w, w.secret, fault.While("add a webhook", err)
}

// Change is what is to be different about an endpoint; nil is left as it is.
type Change struct {
	URL         *string
	Events      *[]string
	Description *string
	Enabled     *bool
}

// Change changes an endpoint. One that is enabled again is sent what waits for it.
func (h *Hooks) Change(tx *db.Tx, w Webhook, c Change) (Webhook, error) {
	if c.URL != nil {
		w.URL = *c.URL
	}
	if c.Events != nil {
		w.Events = *c.Events
	}
	if c.Description != nil {
		w.Description = *c.Description
	}
	switch {
	case c.Enabled == nil:
	case *c.Enabled:
		w.Disabled = ""
		tx.AfterCommit(h.ring)
	case w.Disabled == "":
		w.Disabled = byHand
	}
	if err := h.check(&w); err != nil {
		return w, err
	}
	_, err := tx.Exec(`UPDATE webhooks SET url = $3, events = $4, description = $5, disabled = $6 WHERE organization = $1 AND id = $2`,
		w.Organization, w.ID, w.URL, strings.Join(w.Events, " "), w.Description, w.Disabled)
	return w, fault.While("change a webhook", err)
}

// byHand is why an endpoint is told nothing that somebody has switched off.
const byHand = "it was switched off"

// Rotate gives an endpoint another secret, which is returned this once. The one before
// signs as well for overlap nanoseconds; one that still did so from a time before ends.
func (h *Hooks) Rotate(tx *db.Tx, w Webhook, overlap int64) (Webhook, string, error) {
	switch {
	case w.Format != Standard:
		return w, "", fault.New(fault.Conflict, "what is sent to a chat is not signed, so there is no secret; if its address is known to others, make another there")
	case overlap < 0 || overlap > maxOverlap:
		return w, "", fault.At("/overlap_seconds", "must be between 0 and %d", maxOverlap/int64(time.Second))
	}
	w.former, w.secret, w.FormerUntil = w.secret, newSecret(), tx.Now()+overlap
	if overlap == 0 {
		w.former, w.FormerUntil = "", 0
	}
	_, err := tx.Exec(`UPDATE webhooks SET secret = $3, former_secret = $4, former_until = $5 WHERE organization = $1 AND id = $2`,
		w.Organization, w.ID, w.secret, w.former, w.FormerUntil)
	return w, w.secret, fault.While("rotate the secret of a webhook", err)
}

// Remove removes an endpoint: it is told nothing more from then on, and the deliveries go
// in units of work of their own, soon, or with the next sweep if the server ends before.
func (h *Hooks) Remove(tx *db.Tx, w Webhook) error {
	tx.AfterCommit(func() {
		select {
		case h.removed <- address{w.Organization, w.ID}:
		default:
		}
	})
	_, err := tx.Exec(`DELETE FROM webhooks WHERE organization = $1 AND id = $2`, w.Organization, w.ID)
	return fault.While("remove a webhook", err)
}

// check refuses what is wrong with an endpoint.
func (h *Hooks) check(w *Webhook) error {
	var wrong fault.Fields
	if f := fault.Of(h.Rules.Check("/url", w.URL)); f != nil {
		wrong = append(wrong, f.Fields...)
	}
	if w.Format != Standard && w.Format != Text {
		wrong.Add("/format", "must be standard or text")
	}
	if len(w.Description) > maxDescription {
		wrong.Add("/description", fmt.Sprintf("has more than %d bytes", maxDescription))
	}
	if len(w.Events) == 0 || len(w.Events) > maxEvents {
		wrong.Add("/events", fmt.Sprintf("must have between 1 and %d entries", maxEvents))
	}
	for i, pattern := range w.Events {
		if !matchesSome(pattern) {
			wrong.Add(fmt.Sprintf("/events/%d", i), "is no type of event, and no pattern of one such as payment.*: the types are "+strings.Join(Types(), ", "))
		}
	}
	return wrong.Err()
}

func newSecret() string {
	raw := make([]byte, secretBytes)
	rand.Read(raw)
	return "whsec_" + base64.StdEncoding.EncodeToString(raw)
}

func (h *Hooks) ring() {
	select {
	case h.news <- struct{}{}:
	default:
	}
}
