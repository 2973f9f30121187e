package server_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/server"
	"github.com/purserhq/purser/internal/usage"
)

// paced is a server that commits one batch for each token of the test.
type paced struct {
	*testing.T
	*api.Client
	db     *db.DB
	tokens chan struct{}
	free   func() // no batch needs a token any more
}

func newPaced(t *testing.T, batch, queue int) *paced {
	freed := make(chan struct{})
	p := &paced{T: t, tokens: make(chan struct{}, 1), free: sync.OnceFunc(func() { close(freed) })}
	log, metrics := slog.New(slog.DiscardHandler), server.NewMetrics()
	var err error
	p.db, err = db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Log: log, Batch: batch, Queue: queue, Observe: func(c db.Commit) {
		metrics.Commit(c)
		select {
		case <-p.tokens:
		case <-freed:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	go p.pass(1)
	books := ledger.New(p.db, log)
	prices, orgs, projects := price.NewBook(books), org.New(books), project.NewBook(books)
	err = p.db.Update(t.Context(), func(tx *db.Tx) error { return errors.Join(books.Open(tx), prices.Open(tx), orgs.Open(tx)) })
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Parts{
		DB: p.db, Ledger: books, Orgs: orgs, Prices: prices, Projects: projects, Usage: usage.New(books, prices, projects),
		Log: log, OperatorToken: token, Metrics: metrics,
		Accounts: account.New(account.Config{URL: "http://purser"}),
	})
	h := httptest.NewServer(s.HTTP().Handler)
	t.Cleanup(func() {
		p.free()
		h.Close()
		if err := p.db.Close(); err != nil {
			t.Error(err)
		}
	})
	p.Client = &api.Client{URL: h.URL, Token: token, HTTP: h.Client(), Patience: -1}
	return p
}

// pass lets so many batches be committed.
func (p *paced) pass(batches int) {
	for range batches {
		p.tokens <- struct{}{}
	}
}

// done runs a call that takes one batch.
func (p *paced) done(call func() error) {
	p.Helper()
	go p.pass(1)
	if err := call(); err != nil {
		p.Fatal(err)
	}
}

// tenant makes an organization with credits.
func (p *paced) tenant(slug string) {
	p.Helper()
	p.done(func() error {
		_, err := p.CreateOrganization(p.Context(), api.NewOrganization{Slug: slug, Name: slug})
		return err
	})
	p.done(func() error {
		_, err := p.Grant(p.Context(), slug, api.NewGrant{Amount: "1000", Kind: "purchased"})
		return err
	})
}

// post sends a hold; it reports the status and Retry-After.
func (p *paced) post(slug string) (int, string) {
	r, _ := http.NewRequestWithContext(p.Context(), "POST", p.URL+"/v1/workspaces/"+slug+"/holds", strings.NewReader(`{"amount":"0.01","ttl_seconds":3600}`))
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := p.HTTP.Do(r)
	if err != nil {
		p.Error(err)
		return 0, ""
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, answer.Header.Get("Retry-After")
}

func (p *paced) await(waiting int) {
	for p.db.Stats().Waiting < waiting {
		runtime.Gosched()
	}
}

// One organization has more than a thousand requests waiting. Another one's is answered with
// the batch after the one under way; one too many of the first is refused, and told when
// to come again, while the other is admitted.
func TestAFloodOfOneOrganizationIsItsOwn(t *testing.T) {
	const batch, queue = 64, 2400
	p := newPaced(t, batch, queue)
	p.tenant("flood")
	p.tenant("other")
	var all sync.WaitGroup
	held, release := make(chan struct{}), make(chan struct{})
	all.Go(func() {
		p.db.Update(t.Context(), func(*db.Tx) error { close(held); <-release; return nil })
	})
	<-held
	var flood sync.WaitGroup
	for range queue / 2 {
		flood.Go(func() {
			if status, _ := p.post("flood"); status != 201 {
				t.Errorf("one of the flood got %d", status)
			}
		})
	}
	p.await(queue / 2)
	status, after := p.post("flood")
	if seconds, _ := strconv.Atoi(after); status != 503 || seconds < 1 || seconds > 30 {
		t.Errorf("the one too many got %d, Retry-After %q", status, after)
	}
	answered := make(chan int)
	go func() { status, _ := p.post("other"); answered <- status }()
	p.await(queue/2 + 1)
	page, err := p.HTTP.Get(p.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(page.Body)
	page.Body.Close()
	for _, line := range []string{`purser_queue_units{state="waiting"} 1201`, `purser_queue_units{state="running"} 1`, "purser_queue_lanes 2",
		"purser_queue_longest_lane 1200", "purser_units_refused_total 1"} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the metrics have no %s", line)
		}
	}
	close(release)
	p.pass(2) // the one under way, and the next
	select {
	case status := <-answered:
		if status != 201 {
			t.Errorf("the other got %d", status)
		}
	case <-time.After(30 * time.Second):
		t.Error("after two batches the other has no answer")
	}
	if n := p.db.Stats().Waiting; n < queue/2-3*batch {
		t.Errorf("only %d of the flood still wait", n)
	}
	p.free()
	flood.Wait()
	all.Wait()
}
