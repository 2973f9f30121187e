package webhook

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/outward"
)

// start is when the stories begin.
const start = int64(1_800_000_000_000_000_000)

// stage is a database with webhooks, under a test clock.
type stage struct {
	*testing.T
	*Hooks
	clock   *db.TestClock
	givenUp []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{T: t, clock: db.NewTestClock(start)}
	d, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: s.clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Hooks = s.server(d, outward.Rules{AllowsPrivate: true})
	return s
}

// server is another server on the same database.
func (s *stage) server(d *db.DB, rules outward.Rules) *Hooks {
	return New(Config{DB: d, Rules: rules, Log: slog.New(slog.DiscardHandler), Disabled: func(_ *db.Tx, w Webhook, why string) error {
		s.givenUp = append(s.givenUp, w.ID+" "+why)
		return nil
	}})
}

func (s *stage) update(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.DB.Update(context.Background(), fn); err != nil {
		s.Fatal(err)
	}
}

// hook adds an endpoint of an organization.
func (s *stage) hook(url string, events ...string) (made Webhook, secret string) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		made, secret, err = s.Create(tx, Webhook{Organization: "org_acme", URL: url, Format: Standard, Events: events})
		return err
	})
	return made, secret
}

func (s *stage) raise(kind string, data map[string]any) {
	s.Helper()
	s.update(func(tx *db.Tx) error { return s.Raise(tx, "org_acme", "ws_acme", kind, tx.Now(), data) })
}

func (s *stage) deliver() {
	s.Helper()
	if err := s.DeliverDue(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// pass lets time pass, and sends what comes due meanwhile, each when it is.
func (s *stage) pass(d time.Duration) {
	s.Helper()
	for end := s.clock.Now() + int64(d); ; {
		next, err := s.DB.NextAt(s.Context(), s.Agenda())
		if next == 0 || next > end {
			next = end
		}
		if err := errors.Join(err, s.clock.Set(s.Context(), max(next, s.clock.Now()))); err != nil {
			s.Fatal(err)
		}
		s.deliver()
		if s.clock.Now() == end {
			return
		}
	}
}

// told is what an endpoint was told, the oldest first.
func (s *stage) told(w Webhook) (all []Delivery) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		newest, err := s.Deliveries(tx, w, "", "", 20_000)
		for i := range newest {
			all = append(all, newest[len(newest)-1-i])
		}
		return err
	})
	return all
}

// request is what a receiver was sent.
type request struct {
	id, body string
	header   http.Header
	at       int64
}

// receiver is an endpoint on this machine.
type receiver struct {
	*stage
	url    string
	mu     sync.Mutex
	got    []request
	answer func(n int, w http.ResponseWriter, r *http.Request) // to the n-th request, from 1; 204 if nil
}

func (s *stage) receiver(answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	s.Helper()
	r := &receiver{stage: s, answer: answer}
	r.url = dbtest.Endpoint(s.T, r)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.Error(err)
	}
	r.mu.Lock()
	r.got = append(r.got, request{req.Header.Get(standard.HeaderWebhookID), string(body), req.Header, r.clock.Now()})
	n := len(r.got)
	r.mu.Unlock()
	if r.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.answer(n, w, req)
}

// requests are what came, in that order.
func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request{}, r.got...)
}

// isSigned reports whether a request was signed with a secret.
func (q request) isSigned(secret string) bool {
	w, err := standard.NewWebhook(secret)
	return err == nil && w.VerifyIgnoringTimestamp([]byte(q.body), q.header) == nil
}
