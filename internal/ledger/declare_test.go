package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db"
)

// # What was there before rows were declared is declared once; what comes by another
// way after that is forged.
func TestDeclaredOnce(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.exec(t, `INSERT INTO organizations (id, slug, name, type, created_at) VALUES ('org_acme', 'acme', 'Ä "cme"', 'company', 5)`)
	h.exec(t, `INSERT INTO workspaces (organization, id, slug, name, created_at) VALUES ('org_acme', 'ws_acme', 'acme', 'Acme', 5)`)
	for version := range 3 {
		h.exec(t, fmt.Sprintf(`INSERT INTO rate_cards (name, version, effective_at, created_at, skus) VALUES ('default', %d, 7, 6, '[{"Name":"gpu.x"}]')`, version+1))
	}
	h.named(t, "rate_cards", "")
	start := func() int64 {
		h.must(h.update(func(tx *db.Tx) error { return h.Open(tx) }))
		return h.verified().Entries
	}
	first := start()
	h.reopen()
	if again := start(); again != first {
		t.Errorf("%d entries, then %d", first, again)
	}
	h.exec(t, `INSERT INTO rate_cards (name, version, effective_at, created_at, skus) VALUES ('default', 4, 7, 6, '[]')`)
	h.must(h.update(func(tx *db.Tx) error { return h.Open(tx) }))
	h.named(t, "rate_cards", "")
}

// # The last declaration of a row counts.
func TestDeclaredAgain(t *testing.T) {
	h := open(t)
	h.declareSome()
	h.create(acme)
	h.create(ID{"org_acme", "ws_other"})
	h.exec(t, `UPDATE organizations SET name = 'Better'`)
	h.named(t, "organizations", "")
	h.must(h.update(func(tx *db.Tx) error {
		return h.Declare(tx, Organizations, "org_acme", "acme", "Better", "company", noon)
	}))
	h.verified()
}

// # The answer to a request that declares stands on the entry of the declaration.
func TestDeclaredWithAKey(t *testing.T) {
	h := open(t)
	put := func() Answer {
		var answer Answer
		h.must(h.update(func(tx *db.Tx) (err error) {
			answer, err = h.Once(tx, Request{Route: "PUT /prices", Key: "k1"}, func() (int, any, error) {
				return 200, "ok", h.declare(tx, RateCards, "default", int64(1), noon, noon, "[]")
			})
			return err
		}))
		return answer
	}
	if first, again := put(), put(); first.Replayed || !again.Replayed {
		t.Errorf("%+v, then %+v", first, again)
	}
	if n := h.verified().Entries; n != 1 {
		t.Errorf("%d entries", n)
	}
}

// # What differs in a long text is shown, and not the whole of it.
func TestAround(t *testing.T) {
	long := strings.Repeat("a", 100)
	for _, c := range []struct{ a, b, wantA, wantB string }{
		{"5", "17", "5", "17"},
		{"ann", "bob", `"ann"`, `"bob"`},
		{long + "x" + long, long + "y" + long, `"…` + long[:40] + "x" + long[:39] + `…"`, `"…` + long[:40] + "y" + long[:39] + `…"`},
		{"", long, `""`, `"` + long[:40] + `…"`},
	} {
		if a, b := around(c.a, c.b); a != c.wantA || b != c.wantB {
			t.Errorf("%s, %s", a, b)
		}
	}
}

// # A wallet's journal that is gone as a whole is missed.
func TestAWholeJournalIsMissed(t *testing.T) {
	h := full(t)
	for _, table := range []string{"journal", "wallets", "lots", "flows", "holds", "budgets", "marks", "postings", "charges", "totals", "events", "usage_events", "leases"} {
		h.exec(t, `DELETE FROM `+table+` WHERE workspace = 'ws_other'`)
	}
	report, err := h.Verify(context.Background(), Options{})
	h.must(err)
	if report.IsClean() || report.First.Table != "journal" || report.First.Book != "org_acme/ws_other" || report.First.Row != "1" {
		t.Errorf("%v", report.First)
	}
}
