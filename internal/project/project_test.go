package project_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/wallet"
)

var (
	start = time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC).UnixNano()
	acme  = ledger.ID{Organization: "org_acme", Workspace: "ws_acme"}
)

// house is a server without its edges.
type house struct {
	testing.TB
	url   string
	db    *db.DB
	books *ledger.Ledger
	*project.Book
}

// open is a house on a database of its own, with a rich wallet.
func open(t testing.TB) *house {
	t.Helper()
	h := enter(t, dbtest.URL(t))
	h.update(func(tx *db.Tx) error {
		if err := errors.Join(h.books.Open(tx), h.books.Create(tx, acme, wallet.DefaultPolicy())); err != nil {
			return err
		}
		lot := wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 1_000_000 * credit.One, Priority: 50}
		_, err := h.books.Apply(tx, acme, wallet.Grant{Lot: lot})
		return err
	})
	return h
}

func enter(t testing.TB, url string) *house {
	t.Helper()
	database, err := db.Open(t.Context(), db.Config{URL: url, Clock: db.NewTestClock(start), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	books := ledger.New(database, slog.New(slog.DiscardHandler))
	return &house{t, url, database, books, project.NewBook(books)}
}

// servers are two on one PostgreSQL; SQLite has one, which is both.
func servers(t testing.TB) [2]*house {
	a := open(t)
	if !dbtest.IsPostgres() {
		return [2]*house{a, a}
	}
	return [2]*house{a, enter(t, a.url)}
}

func (h *house) update(do func(*db.Tx) error) {
	h.Helper()
	if err := h.db.Update(context.Background(), do); err != nil {
		h.Fatal(err)
	}
}

func (h *house) create(p project.Project) {
	h.Helper()
	h.update(func(tx *db.Tx) error { _, err := h.Create(tx, acme, p); return err })
}

func (h *house) limit(slug string, gpus int64) {
	h.Helper()
	h.update(func(tx *db.Tx) error {
		_, err := h.Change(tx, acme, slug, func(p *project.Project) error { p.Policy.MaxGPUs = gpus; return nil })
		return err
	})
}

// try starts a flow of GPUs in a project, through its policy and the wallet's gate.
func (h *house) try(name string, gpus int64) error {
	return h.db.Update(context.Background(), func(tx *db.Tx) error {
		quantity := credit.Quantity(gpus) * credit.Units
		rate, err := credit.NewRate(credit.One, quantity)
		if err != nil {
			return err
		}
		items := []wallet.Item{{SKU: "gpu.h100", Tier: "on-demand", Unit: "hour", Quantity: quantity, Price: credit.One,
			Card: "default", Version: 1, Rate: rate, Period: credit.Hour}}
		place, err := h.Enter(tx, acme, name)
		if err == nil {
			err = place.Admit(tx, project.Work{Items: items})
		}
		if err != nil {
			return err
		}
		_, err = h.books.Apply(tx, acme, wallet.Start{ID: tx.NewID("flow_"), Project: name, Items: items})
		return err
	})
}

func (h *house) forbidden(err error, rule string) {
	h.Helper()
	if f := fault.Of(err); f == nil || f.Kind != fault.Forbidden || f.Code != "policy_forbids" || f.Values["rule"] != rule {
		h.Errorf("want the rule %s: %v", rule, err)
	}
}

func (h *house) verified() {
	h.Helper()
	report, err := h.books.Verify(context.Background(), ledger.Options{})
	if err != nil || !report.IsClean() {
		h.Fatalf("%+v %v", report.First, err)
	}
}

// Of four times as many starts as there may be GPUs, at two servers at once, exactly as
// many get in; others of the same wallet are in nobody's way.
func TestExactlySoManyAtTwoServers(t *testing.T) {
	const n = 8
	s := servers(t)
	s[0].create(project.Project{Slug: "vision", Policy: project.Policy{MaxGPUs: n}})
	var wait sync.WaitGroup
	results, others := make(chan error, 4*n), make(chan error, 4*n)
	for i := range 4 * n {
		wait.Go(func() { results <- s[i%2].try("vision", 1) })
		wait.Go(func() { others <- s[i%2].try("", 1) })
	}
	wait.Wait()
	admitted := 0
	for range 4 * n {
		if err := <-results; err == nil {
			admitted++
		} else {
			s[0].forbidden(err, "max_gpus")
		}
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
	if admitted != n {
		t.Errorf("%d got in", admitted)
	}
	s[0].verified()
}

// What one server remembers of a policy that another has changed neither lets in nor
// keeps out.
func TestAPolicyIsThatOfAllServers(t *testing.T) {
	s := servers(t)
	s[0].create(project.Project{Slug: "vision", Policy: project.Policy{MaxGPUs: 2}})
	for i, h := range s { // both remember it
		if err := h.try("vision", 1); err != nil {
			t.Fatal(i, err)
		}
	}
	for i := range int64(6) {
		here, there := s[i%2], s[(i+1)%2]
		here.forbidden(here.try("vision", 1), "max_gpus")
		there.limit("vision", 3+i)
		if err := here.try("vision", 1); err != nil {
			t.Fatal(err)
		}
		there.limit("vision", 1)
		here.forbidden(here.try("vision", 1), "max_gpus")
		there.limit("vision", 3+i)
	}
	s[1].update(func(tx *db.Tx) error { return s[1].SetStrict(tx, acme, true) })
	if f := fault.Of(s[0].try("speech", 1)); f == nil || f.Code != "unknown_project" {
		t.Error(f)
	}
	s[1].create(project.Project{Slug: "speech"})
	if err := s[0].try("speech", 1); err != nil {
		t.Error(err)
	}
	s[0].verified()
}

// Two servers change projects of one workspace at once, and nothing is lost.
func TestChangesAtTwoServers(t *testing.T) {
	const n = 12
	s := servers(t)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { s[i%2].create(project.Project{Slug: fmt.Sprint("p", i)}) })
		wait.Go(func() {
			if err := s[i%2].try("", 1); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, h := range s {
		var rules *project.Rules
		h.update(func(tx *db.Tx) (err error) { rules, err = h.Rules(tx, acme); return err })
		for i := range n {
			if err := h.db.View(t.Context(), func(tx *db.Tx) error { _, err := h.Find(tx, acme, fmt.Sprint("p", i)); return err }); err != nil {
				t.Error(err)
			}
		}
		if rules.IsStrict {
			t.Error("nobody asked for that")
		}
	}
	s[0].verified()
}

// A unit that fails after it has changed a policy leaves the one that was.
func TestAChangeThatFails(t *testing.T) {
	h := open(t)
	h.create(project.Project{Slug: "vision", Policy: project.Policy{MaxGPUs: 1}})
	no := errors.New("no")
	err := h.db.Update(t.Context(), func(tx *db.Tx) error {
		_, err := h.Change(tx, acme, "vision", func(p *project.Project) error { p.Policy.MaxGPUs = 9; return nil })
		return errors.Join(err, no)
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	h.forbidden(h.try("vision", 2), "max_gpus")
	if err := h.try("vision", 1); err != nil {
		t.Error(err)
	}
	h.verified()
}

// A hand in a policy is seen.
func TestAnEditedPolicyIsFound(t *testing.T) {
	h := open(t)
	h.create(project.Project{Slug: "vision", Policy: project.Policy{MaxGPUs: 1}})
	h.verified()
	h.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE projects SET policy = '{"MaxGPUs":100}' WHERE slug = 'vision'`)
		return err
	})
	report, err := h.books.Verify(t.Context(), ledger.Options{})
	if err != nil || report.IsClean() || report.First.Table != "projects" || report.First.Column != "policy" {
		t.Errorf("%+v %v", report.First, err)
	}
}
