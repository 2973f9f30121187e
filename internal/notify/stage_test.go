package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/outward"
	"github.com/purserhq/purser/internal/wallet"
	"github.com/purserhq/purser/internal/webhook"
)

// start is when the stories begin: a Wednesday noon in winter.
var start = time.Date(2027, 1, 13, 12, 0, 0, 0, time.UTC)

// stage is a program that tells people, under a test clock, with a mail server, a chat and
// an endpoint of a program on this machine.
type stage struct {
	*testing.T
	*Notifier
	url      string
	clock    *db.TestClock
	mails    *mail.Outbox
	post     *postbox
	chat     *receiver
	programs *receiver
	put      func(mail.Message) error // asked before a mail is written; nil takes all
	log      bytes.Buffer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, url: dbtest.URL(t), clock: db.NewTestClock(start.UnixNano()), post: newPostbox(t), chat: newReceiver(t), programs: newReceiver(t)}
	s.open()
	t.Cleanup(func() { s.close() })
	return s
}

// open opens the database, as after a start.
func (s *stage) open() {
	s.Helper()
	s.Notifier, s.mails = s.server()
}

// server is a server on the database.
func (s *stage) server() (*Notifier, *mail.Outbox) {
	s.Helper()
	d, err := db.Open(context.Background(), db.Config{URL: s.url, Clock: s.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.Fatal(err)
	}
	books := ledger.New(d, slog.New(slog.DiscardHandler))
	orgs := org.New(books)
	n := New(Config{DB: d, Books: books, Orgs: orgs, URL: "https://purser.example", Log: slog.New(slog.NewTextHandler(&s.log, nil))})
	mails := s.outbox(n)
	if err := d.Update(s.Context(), func(tx *db.Tx) error { return errors.Join(books.Open(tx), orgs.Open(tx)) }); err != nil {
		s.Fatal(err)
	}
	return n, mails
}

// outbox gives a server mails and webhooks.
func (s *stage) outbox(n *Notifier) *mail.Outbox {
	s.Helper()
	server, err := mail.ParseSMTP("smtp://"+s.post.address+"?tls=none", "Purser <billing@purser.example>")
	if err != nil {
		s.Fatal(err)
	}
	mails := mail.New(n.DB, server, slog.New(slog.DiscardHandler))
	n.Hooks = webhook.New(webhook.Config{DB: n.DB, Rules: outward.Rules{AllowsPrivate: true}, Log: slog.New(slog.DiscardHandler), Disabled: n.GivenUp})
	n.Put = func(tx *db.Tx, m mail.Message) error {
		if s.put != nil {
			if err := s.put(m); err != nil {
				return err
			}
		}
		return mails.Put(tx, m)
	}
	return mails
}

func (s *stage) close() {
	if err := s.DB.Close(); err != nil {
		s.Error(err)
	}
}

func (s *stage) update(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.DB.Update(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

// exec changes rows behind the program's back.
func (s *stage) exec(query string, args ...any) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			err = fmt.Errorf("%s changed nothing", query)
		}
		return err
	})
}

func (s *stage) number(query string, args ...any) (n int64) {
	s.Helper()
	s.update(func(tx *db.Tx) error { return tx.QueryRow(query, args...).Scan(&n) })
	return n
}

// organization makes one with an owner, owner@SLUG.example, and a wallet.
func (s *stage) organization(slug string) ledger.ID {
	s.Helper()
	var id ledger.ID
	s.update(func(tx *db.Tx) error {
		o, w, err := s.Orgs.Create(tx, org.Organization{Slug: slug})
		id = w.Wallet()
		if err != nil {
			return err
		}
		return s.member(tx, o.ID, "owner", "owner@"+slug+".example", org.Owner)
	})
	return id
}

func (s *stage) member(tx *db.Tx, organization, name, email string, role org.Role) error {
	user := "usr_" + name + "_" + organization
	_, err := tx.Exec(`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ($1, $2, $3, '', 1, 1)`, user, email, name)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO memberships (organization, user_id, workspace, project, role, created_at) VALUES ($1, $2, '', '', $3, 1)`,
		organization, user, string(role))
	return err
}

// listens adds the chat, or the program, to an organization.
func (s *stage) listens(id ledger.ID, r *receiver, format string) (w webhook.Webhook) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		w, _, err = s.Hooks.Create(tx, webhook.Webhook{Organization: id.Organization, URL: r.url, Format: format})
		return err
	})
	return w
}

func (s *stage) apply(id ledger.ID, commands ...wallet.Command) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, err := s.Books.Apply(tx, id, commands...)
		return err
	})
}

func (s *stage) grant(id ledger.ID, amount credit.Amount, life time.Duration) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		lot := wallet.Lot{ID: tx.NewID("lot_"), Kind: wallet.Promotional, Amount: amount, Priority: 10, Source: "test"}
		if life > 0 {
			lot.ExpiresAt = tx.Now() + int64(life)
		}
		_, err := s.Books.Apply(tx, id, wallet.Grant{Lot: lot})
		return err
	})
}

// burn starts a flow that takes whole credits an hour.
func (s *stage) burn(id ledger.ID, flow string, perHour int64, project string) {
	s.Helper()
	s.burnAs(id, flow, perHour, project, "usr_owner_"+id.Organization)
}

func (s *stage) burnAs(id ledger.ID, flow string, perHour int64, project, user string) {
	s.Helper()
	price := credit.Amount(perHour) * credit.One
	rate, err := credit.NewRate(price, credit.Units)
	if err != nil {
		s.Fatal(err)
	}
	s.apply(id, wallet.Start{ID: flow, Project: project, User: user, Items: []wallet.Item{{
		SKU: "gpu.x", Tier: "on-demand", Unit: "hour", Quantity: credit.Units, Price: price, Card: "default", Version: 1, Rate: rate, Period: credit.Hour}}})
}

// settings sets the alert settings of an organization.
func (s *stage) settings(id ledger.ID, set Settings) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, err := s.Set(tx, id.Organization, set)
		return err
	})
}

// policy has alerts come at some thresholds and no others.
func (s *stage) policy(id ledger.ID, p org.Patch) {
	s.Helper()
	none := []int{}
	if p.AlertPercents == nil {
		p.AlertPercents = &none
	}
	if p.AlertAmounts == nil {
		p.AlertAmounts = &[]credit.Amount{}
	}
	if p.AlertRunwaySeconds == nil {
		p.AlertRunwaySeconds = &[]int64{}
	}
	short := int64(0)
	p.MinRunwaySeconds = &short
	s.update(func(tx *db.Tx) error {
		_, err := s.Orgs.SetPolicy(tx, id, p)
		return err
	})
}

// tell tells of everything that is due.
func (s *stage) tell() {
	s.Helper()
	if err := errors.Join(s.TellDue(s.Context()), s.mails.SendDue(s.Context()), s.Hooks.DeliverDue(s.Context())); err != nil {
		s.Fatal(err)
	}
}

// pass lets time pass, with everything that is due meanwhile done at its instant.
func (s *stage) pass(by time.Duration) {
	s.Helper()
	for end := s.clock.Now() + int64(by); ; {
		if err := s.Books.RunDue(s.Context()); err != nil {
			s.Fatal(err)
		}
		s.tell()
		now, next := s.clock.Now(), end
		for _, agenda := range []db.Agenda{s.Books.Agenda(), s.Agenda(), s.Hooks.Agenda()} {
			at, err := s.DB.NextAt(s.Context(), agenda)
			if err != nil {
				s.Fatal(err)
			}
			if at > now && at < next {
				next = at
			}
		}
		if now == end {
			return
		}
		if err := s.clock.Set(s.Context(), next); err != nil {
			s.Fatal(err)
		}
	}
}

// postbox is a mail server on this machine.
type postbox struct {
	*testing.T
	address string
	mu      sync.Mutex
	got     []letter
}

type letter struct{ to, subject, text string }

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	p := &postbox{T: t}
	port, err := dbtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p.address = fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &visit{postbox: p}, nil }))
	server.Domain = "localhost"
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return p
}

type visit struct {
	*postbox
	to string
}

func (v *visit) Reset()                                    {}
func (v *visit) Logout() error                             { return nil }
func (v *visit) Mail(string, *smtp.MailOptions) error      { return nil }
func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error { v.to = to; return nil }

func decoded(r io.Reader) (string, error) {
	text, err := io.ReadAll(quotedprintable.NewReader(r))
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}

func (v *visit) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	l := letter{to: v.to}
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	plain, err := multipart.NewReader(m.Body, params["boundary"]).NextRawPart() // the text stands before the HTML
	if err != nil {
		return err
	}
	if l.text, err = decoded(plain); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got = append(v.got, l)
	return nil
}

// take is what came to somebody, or to anybody, since it was asked for last.
func (p *postbox) take(to string) (all []letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []letter
	for _, l := range p.got {
		if to == "" || l.to == to {
			all = append(all, l)
		} else {
			rest = append(rest, l)
		}
	}
	p.got = rest
	return all
}

// subjects are those of what came to somebody.
func (p *postbox) subjects(to string) (all []string) {
	for _, l := range p.take(to) {
		all = append(all, l.subject)
	}
	return all
}

// receiver is an endpoint on this machine.
type receiver struct {
	url string
	mu  sync.Mutex
	got []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.url = dbtest.Endpoint(t, http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, string(body))
	}))
	return r
}

// take is what it was told since it was asked last.
func (r *receiver) take() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, r.got = r.got, nil
	return all
}

// texts are the messages that a chat was told.
func (r *receiver) texts(t *testing.T) (all []string) {
	t.Helper()
	for _, body := range r.take() {
		var m map[string]string
		if err := json.Unmarshal([]byte(body), &m); err != nil || len(m) != 1 {
			t.Fatalf("a chat is told %q: %v", body, err)
		}
		all = append(all, m["text"])
	}
	return all
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, not %q", what, got, want)
	}
}
