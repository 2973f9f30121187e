package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// SignatureHeader has the instant of a webhook and its signature: t=SECONDS,v1=HEX.
const SignatureHeader = "Sandbox-Signature"

// tolerance is by how much the instant of a webhook may differ from the receiver's clock.
const tolerance = 5 * time.Minute

// message is what a webhook tells, as it is sent.
type message struct {
	ID           string         `json:"id"`
	Kind         pay.NoticeKind `json:"kind"`
	At           int64          `json:"at"`
	Organization string         `json:"organization"`
	Payment      string         `json:"payment,omitempty"`
	Theirs       string         `json:"theirs,omitempty"`
	Dispute      string         `json:"dispute,omitempty"`
	Refund       string         `json:"refund,omitempty"` // the sandbox's own id
	Status       string         `json:"status,omitempty"`
	Code         string         `json:"code,omitempty"`
	Amount       int64          `json:"amount,omitempty"`
	Method       string         `json:"method,omitempty"`
	Customer     string         `json:"customer,omitempty"`
	Card         string         `json:"card,omitempty"`
}

// tellOf writes a webhook about a payment.
func (s *Provider) tellOf(tx *db.Tx, p *payment, kind pay.NoticeKind) error {
	m := message{
		Kind: kind, Organization: p.organization, Payment: p.payment, Theirs: p.id, Status: p.status, Code: p.code, Amount: int64(p.amount),
		Method: p.method, Customer: p.customer, Card: p.card,
	}
	if kind != pay.PaymentMoved {
		m.Dispute = "sbd_" + p.id
	}
	return s.put(tx, m)
}

// put writes a webhook, to be sent when the unit is durable.
func (s *Provider) put(tx *db.Tx, m message) error {
	m.ID, m.At = tx.NewID("sbn_"), tx.Now()
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a webhook: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO sandbox_notices (id, body, due_at, attempts) VALUES ($1, $2, $3, 0)`, m.ID, string(body), tx.Now())
	tx.AfterCommit(func() {
		select {
		case s.news <- struct{}{}:
		default:
		}
	})
	return err
}

// secret is what webhooks are signed with, made at its first use.
func (s *Provider) secret(ctx context.Context) (secret string, err error) {
	if known := s.signs.Load(); known != nil {
		return *known, nil
	}
	defer func() {
		if err == nil {
			s.signs.Store(&secret)
		}
	}()
	read := func(tx *db.Tx) error {
		return ignoreNone(tx.QueryRow(`SELECT secret FROM sandbox_secrets WHERE name = 'webhooks'`).Scan(&secret))
	}
	if err := s.db.View(ctx, read); err != nil || secret != "" {
		return secret, err
	}
	fresh := "sbw_" + rand.Text()
	err = s.update(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO sandbox_secrets (name, secret) VALUES ('webhooks', $1) ON CONFLICT (name) DO NOTHING`, fresh); err != nil {
			return err
		}
		return read(tx)
	})
	return secret, err
}

// Sign is the header of a webhook that is sent at an instant.
func Sign(secret string, body []byte, at int64) http.Header {
	seconds := strconv.FormatInt(at/db.Second, 10)
	return http.Header{SignatureHeader: {"t=" + seconds + ",v1=" + signature(secret, seconds, body)}}
}

func signature(secret, seconds string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", seconds, body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Read checks a webhook.
func (s *Provider) Read(header http.Header, body []byte, now int64) ([]pay.Notice, error) {
	secret, err := s.secret(context.Background())
	if err != nil {
		return nil, err
	}
	stamp, given, _ := strings.Cut(header.Get(SignatureHeader), ",v1=")
	seconds := strings.TrimPrefix(stamp, "t=")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || !hmac.Equal([]byte(given), []byte(signature(secret, seconds, body))) {
		return nil, fault.New(fault.Unauthorized, "the signature of the webhook is wrong")
	}
	if off := time.Duration(now/db.Second-at) * time.Second; off > tolerance || off < -tolerance {
		return nil, fault.New(fault.Unauthorized, "the webhook was signed %s ago: too old, or the clocks differ", off)
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fault.New(fault.Invalid, "the webhook cannot be read: %s", err)
	}
	return []pay.Notice{s.notice(&m)}, nil
}

func (s *Provider) notice(m *message) pay.Notice {
	n := pay.Notice{ID: m.ID, Kind: m.Kind, At: m.At, Organization: m.Organization, Payment: m.Payment, Dispute: m.Dispute}
	switch m.Kind {
	case pay.MethodSaved:
		n.Outcome.Method = shown(m.Method, m.Customer, m.Card)
	case pay.PaymentMoved:
		n.Outcome = s.outcome(&payment{
			id: m.Theirs, status: m.Status, code: m.Code, amount: credit.Amount(m.Amount), method: m.Method, customer: m.Customer, card: m.Card,
		})
	case pay.RefundMoved:
		n.Theirs, n.Outcome = m.Theirs, pay.Outcome{State: pay.State(m.Status), Theirs: m.Refund, Amount: credit.Amount(m.Amount)}
	default:
		n.Theirs = m.Theirs
	}
	return n
}

// Run lets happen what is due, and sends webhooks, until ctx ends.
func (s *Provider) Run(ctx context.Context) error {
	for {
		next, err := int64(0), error(nil)
		if _, err = s.RunDue(ctx); err == nil {
			next, err = s.db.NextAt(ctx, s.Agenda())
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("the sandbox waits; it tries again", "error", err)
		}
		timer := time.NewTimer(nap(next, s.db.Clock().Now(), err != nil || s.db.IsShared()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.news:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// nap is how long to sleep until something is due, if no news come before. It is short where
// that is not known: other servers' news are not heard, and a look may have failed.
func nap(next, now int64, isUnsure bool) time.Duration {
	switch {
	case isUnsure:
		return shortestNap
	case next == 0:
		return longestNap
	}
	return min(max(time.Duration(next-now), shortestNap), longestNap)
}

// RunDue does what is due now, and reports whether there was anything.
func (s *Provider) RunDue(ctx context.Context) (moved bool, err error) {
	for _, do := range []func(context.Context) (bool, error){s.pass, s.send} {
		did, err := do(ctx)
		if err != nil {
			return moved, err
		}
		moved = moved || did
	}
	return moved, nil
}

// Agenda is when the sandbox has something to do.
func (s *Provider) Agenda() db.Agenda {
	return db.Agenda{
		Queries: []string{`SELECT MIN(due_at) FROM (SELECT MIN(due_at) AS due_at FROM sandbox_payments WHERE due_at <> 0
			UNION ALL SELECT MIN(due_at) FROM sandbox_notices) AS due`},
		When: func(now int64, found []int64) (isDue bool, next int64) {
			return found[0] != 0 && found[0] <= now, found[0]
		},
	}
}

// pass lets happen what happens to payments by itself.
func (s *Provider) pass(ctx context.Context) (moved bool, err error) {
	due := 0
	if err := s.db.Glance(ctx, func(tx *db.Tx) error {
		return ignoreNone(tx.QueryRow(`SELECT 1 FROM sandbox_payments WHERE due_at <> 0 AND due_at <= $1 LIMIT 1`, tx.Now()).Scan(&due))
	}); err != nil || due == 0 {
		return false, fault.While("sandbox: look up what is due", err)
	}
	err = s.update(ctx, func(tx *db.Tx) error {
		all, err := db.All(tx, scan, `SELECT `+columns+` FROM sandbox_payments WHERE due_at <> 0 AND due_at <= $1 ORDER BY due_at, id LIMIT $2`+tx.ForUpdate(),
			tx.Now(), dueBatch)
		if err != nil {
			return err
		}
		for i := range all {
			if err := s.happen(tx, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return err == nil, fault.While("sandbox: let happen what is due", err)
}

func (s *Provider) happen(tx *db.Tx, p *payment) error {
	p.dueAt = 0
	switch p.status {
	case pending:
		p.status = succeeded
		return s.settled(tx, p)
	case confirm:
		p.status, p.code = declined, "authentication_expired"
		return s.settled(tx, p)
	case succeeded:
		if p.dispute == "" || p.dispute == "to come" {
			p.dispute = "open"
			if err := update(tx, p); err != nil {
				return err
			}
			return s.tellOf(tx, p, pay.DisputeOpened)
		}
	}
	return update(tx, p) // a page that expired
}

// webhook is one that waits to be taken.
type webhook struct {
	id, body string
	at       int64
	attempts int64
}

// send delivers the webhooks that are due. One that is not taken comes again.
func (s *Provider) send(ctx context.Context) (moved bool, err error) {
	if s.deliver == nil {
		return false, nil
	}
	var all []webhook
	err = s.db.Glance(ctx, func(tx *db.Tx) error {
		all, err = db.All(tx, func(r db.Scanner) (w webhook, err error) {
			err = r.Scan(&w.id, &w.body, &w.at, &w.attempts)
			return w, err
		}, `SELECT id, body, due_at, attempts FROM sandbox_notices WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2`, tx.Now(), dueBatch)
		return err
	})
	if err != nil || len(all) == 0 {
		return false, fault.While("sandbox: look up webhooks", err)
	}
	secret, err := s.secret(ctx)
	if err != nil {
		return false, fault.While("sandbox: sign webhooks", err)
	}
	for _, w := range all {
		taken := s.deliver(ctx, Sign(secret, []byte(w.body), s.db.Clock().Now()), []byte(w.body))
		if err := s.update(ctx, func(tx *db.Tx) error { return s.sent(tx, w, taken) }); err != nil {
			return moved, fault.While("sandbox: note that a webhook was sent", err)
		}
		moved = true
	}
	return moved, nil
}

func (s *Provider) sent(tx *db.Tx, w webhook, taken error) error {
	if taken == nil || (w.attempts+1)*retryTime > keepTrying {
		_, err := tx.Exec(`DELETE FROM sandbox_notices WHERE id = $1`, w.id)
		return err
	}
	s.log.Warn("a webhook of the sandbox was not taken; it comes again", "error", taken)
	_, err := tx.Exec(`UPDATE sandbox_notices SET due_at = $2, attempts = attempts + 1 WHERE id = $1`, w.id, tx.Now()+retryTime)
	return err
}
