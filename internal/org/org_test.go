package org_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

type town struct {
	*testing.T
	db    *db.DB
	books *ledger.Ledger
	orgs  *org.Orgs
}

func open(t *testing.T) *town {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	clock := db.NewTestClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixNano())
	database, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	books := ledger.New(database, log)
	town := &town{t, database, books, org.New(books)}
	town.update(town.orgs.Open)
	return town
}

func (s *town) try(fn func(tx *db.Tx) error) error { return s.db.Update(s.Context(), fn) }

func (s *town) update(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.try(fn); err != nil {
		s.Fatal(err)
	}
}

func (s *town) create(slug string) (o org.Organization, w org.Workspace) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		o, w, err = s.orgs.Create(tx, org.Organization{Slug: slug})
		return err
	})
	return o, w
}

func (s *town) find(name string) (w org.Workspace, err error) {
	err = s.db.View(s.Context(), func(tx *db.Tx) (err error) {
		w, err = s.orgs.Workspace(tx, name)
		return err
	})
	return w, err
}

func TestAFreshInstallationHasAnOrganization(t *testing.T) {
	s := open(t)
	s.update(s.orgs.Open) // a second start changes nothing
	s.update(func(tx *db.Tx) error {
		all, err := s.orgs.Organizations(tx, "", 10)
		if err != nil || len(all) != 1 || all[0].Slug != "default" || all[0].Type != org.Company {
			t.Errorf("there are %+v, %v", all, err)
		}
		return nil
	})
	w, err := s.find("default")
	if err != nil || w.Slug != "default" || w.Address != "default" {
		t.Errorf("%+v, %v", w, err)
	}
}

// A workspace is found by its id and by its address, and has a wallet.
func TestWorkspaces(t *testing.T) {
	s := open(t)
	acme, first := s.create("acme")
	var vision org.Workspace
	s.update(func(tx *db.Tx) (err error) {
		vision, err = s.orgs.CreateWorkspace(tx, "acme", org.Workspace{Slug: "vision", Name: "Vision group"})
		return err
	})
	for name, want := range map[string]org.Workspace{
		"acme": first, "acme.acme": first, first.ID: first, "acme.vision": vision, vision.ID: vision,
	} {
		if got, err := s.find(name); err != nil || got != want {
			t.Errorf("%s is %+v, %v, want %+v", name, got, err, want)
		}
	}
	if first.Organization != acme.ID || vision.Address != "acme.vision" || vision.Name != "Vision group" || first.Name != "acme" {
		t.Errorf("made %+v and %+v", first, vision)
	}
	for _, unknown := range []string{"", "vision", "acme.", ".vision", "acme.vision.x", "ws_1", "org_1", acme.ID, "nobody", strings.Repeat("x", 300)} {
		if got, err := s.find(unknown); !fault.Is(err, fault.NotFound) {
			t.Errorf("%q is %+v, %v", unknown, got, err)
		}
	}
	s.update(func(tx *db.Tx) error {
		for _, w := range []org.Workspace{first, vision} {
			r, err := s.books.Apply(tx, w.Wallet())
			if err != nil {
				return err
			}
			if got := r.Wallet.Root().Policy; got.MinRunway != int64(credit.Hour) || got.RetentionDays != 30 {
				t.Errorf("%s has the policy %+v", w.Address, got)
			}
		}
		return nil
	})
}

func TestListsGoOnAfterASlug(t *testing.T) {
	s := open(t)
	for _, slug := range []string{"c", "a", "b"} {
		s.create(slug)
	}
	s.update(func(tx *db.Tx) error {
		var got []string
		for after := ""; ; {
			page, err := s.orgs.Organizations(tx, after, 2)
			if err != nil || len(page) == 0 {
				if strings.Join(got, " ") != "a b c default" {
					t.Errorf("the organizations are %v", got)
				}
				return err
			}
			for _, o := range page {
				got = append(got, o.Slug)
			}
			after = got[len(got)-1]
		}
	})
	s.update(func(tx *db.Tx) error {
		for _, slug := range []string{"z", "y"} {
			if _, err := s.orgs.CreateWorkspace(tx, "b", org.Workspace{Slug: slug}); err != nil {
				return err
			}
		}
		all, err := s.orgs.Workspaces(tx, "b", "b", 10)
		if len(all) != 2 || all[0].Slug != "y" || all[1].Address != "b.z" {
			t.Errorf("the workspaces are %+v", all)
		}
		return err
	})
}

func TestRefusedOrganizationsChangeNothing(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		name    string
		ask     org.Organization
		kind    fault.Kind
		pointer string
	}{
		{"no slug", org.Organization{Name: "x"}, fault.Invalid, "/slug"},
		{"upper case", org.Organization{Slug: "Acme"}, fault.Invalid, "/slug"},
		{"a point", org.Organization{Slug: "a.b"}, fault.Invalid, "/slug"},
		{"an id", org.Organization{Slug: "ws_1"}, fault.Invalid, "/slug"},
		{"a hyphen first", org.Organization{Slug: "-a"}, fault.Invalid, "/slug"},
		{"a hyphen last", org.Organization{Slug: "a-"}, fault.Invalid, "/slug"},
		{"a new line", org.Organization{Slug: "a\n"}, fault.Invalid, "/slug"},
		{"too long", org.Organization{Slug: strings.Repeat("a", 64)}, fault.Invalid, "/slug"},
		{"long name", org.Organization{Slug: "a", Name: strings.Repeat("é", 201)}, fault.Invalid, "/name"},
		{"blank name", org.Organization{Slug: "a", Name: " "}, fault.Invalid, "/name"},
		{"two lines", org.Organization{Slug: "a", Name: "a\nb"}, fault.Invalid, "/name"},
		{"broken name", org.Organization{Slug: "a", Name: "a\xff"}, fault.Invalid, "/name"},
		{"type", org.Organization{Slug: "a", Type: "charity"}, fault.Invalid, "/type"},
		{"taken", org.Organization{Slug: "default"}, fault.Conflict, "/slug"},
	} {
		err := s.try(func(tx *db.Tx) error {
			_, _, err := s.orgs.Create(tx, c.ask)
			return err
		})
		f := fault.Of(err)
		if f == nil || f.Kind != c.kind || f.Fields[0].Pointer != c.pointer {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	err := s.try(func(tx *db.Tx) error {
		_, err := s.orgs.CreateWorkspace(tx, "default", org.Workspace{Slug: "default"})
		return err
	})
	if f := fault.Of(err); f == nil || f.Code != "slug_taken" {
		t.Errorf("a second default workspace: %v", err)
	}
	s.update(func(tx *db.Tx) error {
		if all, err := s.orgs.Organizations(tx, "", 10); err != nil || len(all) != 1 {
			t.Errorf("there are %+v, %v", all, err)
		}
		if _, err := s.orgs.CreateWorkspace(tx, "nobody", org.Workspace{Slug: "x"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("a workspace of nobody: %v", err)
		}
		return nil
	})
}

func pointer[T any](v T) *T { return &v }

func TestPolicy(t *testing.T) {
	s := open(t)
	w, err := s.find("default")
	if err != nil {
		t.Fatal(err)
	}
	var got wallet.Policy
	change := func(p org.Patch) error {
		return s.try(func(tx *db.Tx) (err error) {
			got, err = s.orgs.SetPolicy(tx, w.Wallet(), p)
			return err
		})
	}
	if err := change(org.Patch{MinRunwaySeconds: pointer[int64](10), GraceSeconds: pointer[int64](5)}); err != nil {
		t.Fatal(err)
	}
	if err := change(org.Patch{Overdraft: pointer(5 * credit.One), AlertPercents: &[]int{10, 50, 10}}); err != nil {
		t.Fatal(err)
	}
	if got.MinRunway != 10e9 || got.Grace != 5e9 || got.Overdraft != 5*credit.One || got.RetentionDays != 30 ||
		len(got.AlertPercents) != 2 || got.AlertPercents[0] != 50 || len(got.AlertRunways) != 3 {
		t.Errorf("the policy is %+v", got)
	}
	for name, bad := range map[string]org.Patch{
		"/overdraft":              {Overdraft: pointer[credit.Amount](-1)},
		"/block_below":            {BlockBelow: pointer(credit.Max)},
		"/min_runway_seconds":     {MinRunwaySeconds: pointer[int64](-1)},
		"/grace_seconds":          {GraceSeconds: pointer[int64](86_401)},
		"/retention_days":         {RetentionDays: pointer[int64](3_651)},
		"/alert_percents/1":       {AlertPercents: &[]int{1, 101}},
		"/alert_amounts/0":        {AlertAmounts: &[]credit.Amount{-1}},
		"/alert_runway_seconds/0": {AlertRunwaySeconds: &[]int64{0}},
		"/alert_runway_seconds":   {AlertRunwaySeconds: pointer(make([]int64, 21))},
	} {
		bad.GraceSeconds = cmpOr(bad.GraceSeconds, pointer[int64](7))
		if f := fault.Of(change(bad)); f == nil || f.Fields[0].Pointer != name {
			t.Errorf("%s: %v", name, f)
		}
	}
	s.update(func(tx *db.Tx) error {
		r, err := s.books.Apply(tx, w.Wallet())
		if err == nil && r.Wallet.Root().Policy.Grace != 5e9 {
			t.Errorf("a refused change left %+v", r.Wallet.Root().Policy)
		}
		return err
	})
}

func cmpOr[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// Who owns which wallet is verified: two workspaces cannot change places.
func TestAnEditedWorkspaceIsFound(t *testing.T) {
	s := open(t)
	acme, first := s.create("acme")
	var second org.Workspace
	s.update(func(tx *db.Tx) (err error) {
		second, err = s.orgs.CreateWorkspace(tx, acme.ID, org.Workspace{Slug: "vision"})
		return err
	})
	verify := func() ledger.Report {
		report, err := s.books.Verify(t.Context(), ledger.Options{Count: true})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := verify(); !r.IsClean() {
		t.Fatal(r.First)
	}
	s.update(func(tx *db.Tx) error {
		for _, c := range [][2]string{{"between", first.ID}, {"acme", second.ID}, {"vision", first.ID}} {
			if _, err := tx.Exec(`UPDATE workspaces SET slug = $1 WHERE id = $2`, c[0], c[1]); err != nil {
				return err
			}
		}
		return nil
	})
	if r := verify(); r.Differences != 2 || r.First.Table != "workspaces" || r.First.Column != "slug" {
		t.Errorf("%d differences, %v", r.Differences, r.First)
	}
}

// # Nothing acts any more for an organization that was deleted, and none is deleted whose
// contract has not ended or who owes an invoice: every table that is keyed by organization is looked at.
func TestADeletedOrganizationLeavesNothingLive(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	exec := func(statement string, args ...any) {
		t.Helper()
		s.update(func(tx *db.Tx) error {
			_, err := tx.Exec(statement, args...)
			return err
		})
	}
	exec(`INSERT INTO contracts (organization, id, workspace, request, plan, card, terms, from_at, until_at, ended_at, fee, begun, warned, closed, due_at, created_at)
		VALUES ($1, 'ctr_1', $2, '', 'enterprise', '', '{}', 1, 2, 0, 0, 1, 1, 0, 2, 1)`, o.ID, w.ID)
	exec(`INSERT INTO subscriptions (organization, version, plan, since, next, next_at) VALUES ($1, 1, 'pro', 1, 'core', 9)`, o.ID)
	exec(`INSERT INTO auto_top_ups (organization, workspace, is_on, threshold, target, amount, day_ceiling, month_ceiling, failures, payment, started_at, told_at,
		due_at, changed_at, changed_by, off_reason) VALUES ($1, $2, 1, 1, 1, 1, 1, 1, 0, '', 0, 0, 5, 0, '', '')`, o.ID, w.ID)
	exec(`INSERT INTO webhooks (organization, id, url, format, events, description, disabled, secret, former_secret, former_until, created_at)
		VALUES ($1, 'wh_1', '', 'json', '', '', '', '', '', 0, 0)`, o.ID)
	exec(`INSERT INTO deliveries (organization, webhook, id, type, body, status, attempts, code, answer, result, duration, created_at, due_at, ended_at)
		VALUES ($1, 'wh_1', 'd_1', '', '', 'waiting', 0, 0, '', '', 0, 0, 5, 0)`, o.ID)
	exec(`INSERT INTO alert_settings (organization, muted, roles, addresses, silent_from, silent_until, tested_at) VALUES ($1, '', '', 'x@example.org', 0, 0, 0)`, o.ID)
	exec(`INSERT INTO quote_requests (organization, id, status, ask, quote, quote_no, created_at, created_by, quoted_at, valid_until, decided_at, decided_by, contract)
		VALUES ($1, 'qr_1', 'quoted', '{}', '{}', 1, 0, '', 0, 0, 0, '', '')`, o.ID)
	exec(`INSERT INTO plan_overdrafts (organization, given, own) VALUES ($1, 5, 0)`, o.ID)
	exec(`INSERT INTO lot_reminders (organization, workspace, lot, days, told_at) VALUES ($1, $2, 'lot_1', 7, 0)`, o.ID, w.ID)
	archive := func() error {
		return s.try(func(tx *db.Tx) error {
			_, err := s.orgs.Archive(tx, o.ID)
			return err
		})
	}
	if err := archive(); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "ctr_1") {
		t.Fatalf("with a contract: %v", err)
	}
	exec(`UPDATE contracts SET closed = 1, due_at = 0 WHERE organization = $1`, o.ID)
	exec(`INSERT INTO invoices (organization, id, kind, number, source, at, content, digest) VALUES ($1, 'inv_1', 'invoice', 'INV-2026-000007', 'x', 1, '', '')`, o.ID)
	exec(`INSERT INTO receivables (organization, invoice, workspace, contract, lot, net, tax, paid_net, paid_tax, credited_net, credited_tax, credited_at, withdrawn,
		open_amount, issued_at, due_at, changed_at, told, next_at) VALUES ($1, 'inv_1', $2, 'ctr_1', '', 5, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 1, 0, 2)`, o.ID, w.ID)
	if err := archive(); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "0.000000005 of the invoice INV-2026-000007 are not paid") {
		t.Fatalf("with an open invoice: %v", err)
	}
	exec(`UPDATE receivables SET paid_net = 5, open_amount = 0, next_at = 0 WHERE organization = $1`, o.ID)
	if err := archive(); err != nil {
		t.Fatal(err)
	}
	// What stays is history; of some tables only rows that are over do.
	over := map[string]string{
		"contracts": "closed = 1", "invoices": "", "receivables": "open_amount = 0 AND next_at = 0", "subscriptions": "next_at = 0", "auto_top_ups": "is_on = 0", "quote_requests": "status = 'declined'",
		"profiles": "archived_at > 0", "journal": "", "postings": "", "charges": "", "events": "", "notices": "", "marks": "", "declared": "",
		"lots": "remaining = 0 OR expired = 1 OR kind IN ('overdraft', 'owed')", "wallets": "", "workspaces": "", "heads": "", "audit": "",
	}
	for _, table := range s.tenantTables() {
		is, stays := over[table]
		where := ""
		if stays && is != "" {
			where = " AND NOT (" + is + ")"
		}
		var n int
		s.update(func(tx *db.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM `+table+` WHERE organization = $1`+where, o.ID).Scan(&n)
		})
		if n > 0 && (!stays || is != "") {
			t.Errorf("%s has %d rows that are live", table, n)
		}
	}
}

// tenantTables are the tables whose rows are of an organization.
func (s *town) tenantTables() (names []string) {
	s.Helper()
	query := `SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = 'organization' WHERE m.type = 'table' ORDER BY m.name`
	if dbtest.IsPostgres() {
		query = `SELECT table_name FROM information_schema.columns WHERE table_schema = current_schema() AND column_name = 'organization' ORDER BY table_name`
	}
	s.update(func(tx *db.Tx) error {
		names = nil
		return tx.Each(func(r db.Scanner) error {
			var name string
			err := r.Scan(&name)
			names = append(names, name)
			return err
		}, query)
	})
	if len(names) < 30 {
		s.Fatalf("only %d tables", len(names))
	}
	return names
}
