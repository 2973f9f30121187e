package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"github.com/purserhq/purser/internal/account"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/simulated"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/notify"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/server"
	"github.com/purserhq/purser/internal/sso"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/webhook"
)

// realm is a server in which people are signed in by a header of the test.
type realm struct {
	*testing.T
	*api.Client // the operator's
	db          *db.DB
	clock       *db.TestClock
	orgs        *org.Orgs
	invoices    *invoice.Desk
}

// asUser is the header in which a test says who is signed in.
const asUser = "Test-User"

func newRealm(t *testing.T) *realm { return newRealmOn(t, dbtest.URL(t)) }

func newRealmOn(t *testing.T, url string) *realm {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &realm{T: t, clock: db.NewTestClock(start.UnixNano())}
	var err error
	if s.db, err = db.Open(t.Context(), db.Config{URL: url, Clock: s.clock, Log: log}); err != nil {
		t.Fatal(err)
	}
	books := ledger.New(s.db, log)
	prices := price.NewBook(books)
	s.orgs = org.New(books)
	mails, used := mail.New(s.db, nil, log), usage.New(books, prices, project.NewBook(books))
	plans := plan.New(plan.Config{DB: s.db, Books: books, Prices: prices, Orgs: s.orgs, Usage: used, Put: mails.Put, URL: "https://purser.example", Operator: "op@purser.example"})
	err = s.db.Update(t.Context(), func(tx *db.Tx) error {
		return errors.Join(books.Open(tx), prices.Open(tx), plans.Open(tx), s.orgs.Open(tx))
	})
	if err != nil {
		t.Fatal(err)
	}
	executor, err := simulated.New(filepath.Join(t.TempDir(), "jobs"), s.clock)
	if err != nil {
		t.Fatal(err)
	}
	projects := project.NewBook(books)
	jobs := job.New(job.Config{DB: s.db, Books: books, Prices: prices, Projects: projects, Executor: executor, Log: log})
	till := sandbox.New(sandbox.Config{DB: s.db, URL: "https://purser.example"})
	pays := pay.New(pay.Config{DB: s.db, Books: books, Orgs: s.orgs, Provider: till, URL: "https://purser.example"})
	till.DeliverTo(func(ctx context.Context, h http.Header, body []byte) error {
		return pays.Take(ctx, sandbox.Name, h, body)
	})
	accounts := account.New(account.Config{URL: "https://purser.example"})
	s.invoices = invoice.New(invoice.Config{DB: s.db, Books: books, Orgs: s.orgs})
	hooks := webhook.New(webhook.Config{DB: s.db, Log: log})
	told := notify.New(notify.Config{DB: s.db, Books: books, Orgs: s.orgs, Hooks: hooks, Put: mails.Put, URL: "https://purser.example", Log: log})
	made := server.New(server.Parts{
		Payments: pays, Sandbox: till, Invoices: s.invoices,
		DB: s.db, Ledger: books, Orgs: s.orgs, Prices: prices, Projects: projects, Usage: used, Jobs: jobs, Plans: plans,
		Mails: mails, Notifier: told, Hooks: hooks, Accounts: accounts, Log: log, OperatorToken: token, Metrics: server.NewMetrics(),
		SSO: sso.New(sso.Config{Accounts: accounts, Orgs: s.orgs, URL: "https://purser.example", Now: s.clock.Now}),
	})
	made.LetIn(func(r *http.Request) (a org.Actor, ok bool, err error) {
		if a.ID = r.Header.Get(asUser); a.ID == "" {
			return a, false, nil
		}
		err = s.db.View(r.Context(), func(tx *db.Tx) error {
			a.Members, err = s.orgs.MembershipsOf(tx, a.ID)
			return err
		})
		return a, true, err
	})
	h := httptest.NewServer(made.HTTP().Handler)
	t.Cleanup(func() {
		h.Close()
		if err := s.db.Close(); err != nil {
			t.Error(err)
		}
	})
	s.Client = &api.Client{URL: h.URL, Token: token, HTTP: h.Client(), Patience: -1}
	return s
}

// user makes a person with a verified address.
func (s *realm) user(name string) string {
	s.Helper()
	id := "usr_" + name
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ($1, $2, $3, '', 1, 1)`,
			id, name+"@example.org", name)
		return err
	})
	return id
}

// member gives a person a role, whatever he had there: in the organization, or in a
// project of its default workspace.
func (s *realm) member(organization, user, project string, role org.Role) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		workspace := ""
		if project != "" {
			o, err := s.orgs.Organization(tx, organization)
			if err != nil {
				return err
			}
			w, err := s.orgs.DefaultWorkspace(tx, o)
			if err != nil {
				return err
			}
			workspace = w.ID
		}
		_, err := tx.Exec(`INSERT INTO memberships (organization, user_id, workspace, project, role, created_at) VALUES ($1, $2, $3, $4, $5, 1)
			ON CONFLICT (organization, user_id, workspace, project) DO UPDATE SET role = excluded.role`, organization, user, workspace, project, string(role))
		return err
	})
}

func (s *realm) update(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.db.Update(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

// pass has nanoseconds pass.
func (s *realm) pass(ns int64) {
	s.Helper()
	if err := s.clock.Advance(s.Context(), ns); err != nil {
		s.Fatal(err)
	}
}

// as is a client of a person who is signed in.
func (s *realm) as(user string) *api.Client {
	return &api.Client{URL: s.URL, Patience: -1, HTTP: &http.Client{Transport: header{asUser, user}}}
}

// by is a client with an API token.
func (s *realm) by(secret string) *api.Client {
	return &api.Client{URL: s.URL, Patience: -1, Token: secret}
}

// header is a transport that adds a header.
type header struct{ name, value string }

func (h header) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set(h.name, h.value)
	return http.DefaultTransport.RoundTrip(r)
}

// organization makes one with an owner and credits.
func (s *realm) organization(slug, owner string) api.Organization {
	s.Helper()
	o := must(s.as(owner).CreateOrganization(s.Context(), api.NewOrganization{Slug: slug}))(s)
	must(s.Grant(s.Context(), slug, api.NewGrant{Amount: "1000", Kind: "purchased"}))(s)
	return o
}

// refused checks that an error is a problem with a status and code.
func (s *realm) refused(err error, status int, code string) *api.Problem {
	s.Helper()
	var p *api.Problem
	if !errors.As(err, &p) {
		s.Fatalf("%v is not the problem %d %s", err, status, code)
	}
	if p.Status != status || p.Code != code {
		s.Errorf("refused with %d %s (%s), not %d %s", p.Status, p.Code, p.Detail, status, code)
	}
	return p
}

// try sends a request as a person (usr_), with a token, or as the operator, and reads
// its answer; of a stream only how it begins.
func (s *realm) try(who, method, path, media, body string) raw {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	if strings.HasPrefix(who, "usr_") {
		r.Header.Set(asUser, who)
	} else {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/") {
		return raw{answer.StatusCode, answer.Header, nil}
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return raw{answer.StatusCode, answer.Header, text}
}

// mailed are the secrets that were mailed to an address, the oldest first.
func (s *realm) mailed(address string) (secrets []string) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		return tx.Each(func(r db.Scanner) error {
			var text string
			var data map[string]string
			if err := r.Scan(&text); err != nil {
				return err
			}
			err := json.Unmarshal([]byte(text), &data)
			_, secret, _ := strings.Cut(data["link"], "https://purser.example/invitation#")
			secrets = append(secrets, secret)
			return err
		}, `SELECT data FROM mails WHERE recipient = $1 AND template = 'invitation' ORDER BY id`, address)
	})
	return secrets
}
