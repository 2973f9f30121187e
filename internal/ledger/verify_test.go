package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// full is a ledger that has rows in every table of the books.
func full(t *testing.T) *house {
	h := open(t)
	h.must(h.update(func(tx *db.Tx) error { return h.Open(tx) }))
	h.create(acme)
	h.create(ID{"org_acme", "ws_other"})
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	scoped := wallet.Lot{ID: "lot_2", Kind: wallet.Promotional, Amount: 2 * credit.One, Scope: wallet.Scope{SKUs: []string{"gpu.*"}}, Source: "campaign", Reason: "welcome"}
	h.apply(acme, wallet.Grant{Lot: scoped})
	h.apply(acme, wallet.SetBudgets{Budgets: []wallet.Budget{{ID: "b_1", Key: wallet.ByWorkspace, Amount: 100 * credit.One, Window: wallet.Rolling, Hours: 5}}})
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1), Project: "p", User: "ann", Job: "job_1", Lease: hour, Holder: "slurm"})
	h.apply(acme, wallet.Start{ID: "flow_2", Items: gpus(2)})
	h.apply(acme, wallet.Start{ID: "flow_3", Items: gpus(1), MaxCost: 5 * credit.One})
	h.advance(30 * minute)
	h.must(h.update(func(tx *db.Tx) error { _, err := h.Renew(tx, acme, "slurm", 10*hour); return err }))
	h.apply(acme, wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: minute})
	h.apply(acme, wallet.Reserve{ID: "hold_2", Amount: credit.One, TTL: 10 * hour, GPUs: 2 * credit.Units})
	h.apply(acme, wallet.Capture{Hold: "hold_1", Amount: credit.One / 2})
	h.must(h.update(func(tx *db.Tx) error {
		_, err := h.Once(tx, Request{Organization: "org_acme", Workspace: "ws_acme", Route: "POST /usage", Key: "k1", Body: []byte(`{"a":1}`)}, func() (int, any, error) {
			r, err := h.Apply(tx, acme, wallet.Use{Lines: []wallet.Line{{SKU: "llm.m.input", Event: "src ev_1", Unit: "each", Quantity: credit.Units,
				Price: credit.One, Card: "default", Version: 1, Amount: credit.One, At: tx.Now(), Digest: "d"}}})
			if err != nil {
				return 0, nil, err
			}
			_, err = tx.Exec(`INSERT INTO usage_events (organization, workspace, source, id, at, digest, charge) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				"org_acme", "ws_acme", "src", "ev_1", tx.Now(), "d", r.Effects.Charges[0].No)
			return 200, map[string]int{"n": 1}, err
		})
		return err
	}))
	h.must(h.update(func(tx *db.Tx) error {
		_, err := h.Once(tx, Request{Organization: "org_acme", Route: "POST /members", Key: "k1"}, func() (int, any, error) { return 201, "ok", nil })
		return err
	}))
	h.must(h.update(func(tx *db.Tx) error {
		return errors.Join(
			h.Record(tx, "org_acme", Act{Actor: "usr_ann", Action: "set-budgets", Target: "ws_acme", Before: `[]`, After: `[{"amount":"5"}]`, Address: "10.0.0.7", Agent: "purser/1"}),
			h.Record(tx, "", Act{Actor: "operator", Action: "put-rate-card", Target: "default", After: `{"skus":[]}`, Address: "10.0.0.8"}),
			h.Record(tx, "org_acme", Act{Actor: "usr_bob", Action: "change-policy", Target: "ws_other", After: `{}`}),
		)
	}))
	h.advance(3 * hour)
	h.apply(acme, wallet.Stop{Flow: "flow_2", At: h.clock.Now() - 2*hour})
	h.apply(acme, wallet.Refund{Charge: wallet.Charge{No: 1}, Amount: 1})
	h.advance(minute)
	h.declareSome()
	h.advance(hour)
	h.apply(acme, wallet.Start{ID: "flow_4", Items: gpus(1)}, wallet.Stop{Flow: "flow_4"})
	h.apply(ID{"org_acme", "ws_other"}, h.grant(ID{"org_acme", "ws_other"}, "lot_1", "3"))
	h.must(h.Roll(context.Background()))
	h.verified()
	return h
}

// declareSome writes rows that other packages keep.
func (h *house) declareSome() {
	h.t.Helper()
	h.must(h.update(func(tx *db.Tx) error {
		return errors.Join(
			h.declare(tx, Organizations, "org_acme", "acme", "Acme", "company", noon),
			h.declare(tx, Workspaces, "org_acme", "ws_acme", "acme", "Acme", noon),
			h.declare(tx, Workspaces, "org_acme", "ws_other", "other", "Other", noon),
			h.declare(tx, Projects, "org_acme", "ws_acme", "speech", "prj_1", "Speech", `{}`, noon, int64(0)),
			h.declare(tx, Projects, "org_acme", "ws_acme", "vision", "prj_2", "Vision", `{"MaxGPUs":8}`, noon+1, noon+2),
			h.declare(tx, ProjectRules, "org_acme", "ws_acme", int64(3), int64(0)),
			h.declare(tx, ProjectRules, "org_acme", "ws_other", int64(1), int64(1)),
			h.declare(tx, PricedBy, "org_acme", int64(1), "plan-pro", noon+hour, noon),
			h.declare(tx, PricedBy, "org_acme", int64(2), "default", noon+2*hour, noon+1),
			h.declare(tx, RateCards, "default", int64(1), noon, noon, `[{"Name":"gpu.h100","Prices":{"on-demand":2390000000}}]`),
			h.declare(tx, RateCards, "default", int64(2), noon+hour, noon, `[{"Name":"gpu.h100","Prices":{"on-demand":2500000000}}]`),
			h.declare(tx, RateCards, "unused", int64(1), noon, noon, `[]`),
		)
	}))
}

// declare writes a row, and declares it.
func (h *house) declare(tx *db.Tx, t *Declared, row ...any) error {
	_, err := tx.Exec(`INSERT INTO `+t.name+` (`+strings.Join(t.columns, ", ")+`) VALUES `+db.Tuples(1, len(row), 1), row...)
	return errors.Join(err, h.Declare(tx, t, row...))
}

// # All differences can be counted.
func TestCount(t *testing.T) {
	h := full(t)
	h.exec(t, `UPDATE postings SET amount = amount + 1`)
	report, err := h.Verify(context.Background(), Options{Count: true})
	h.must(err)
	if n := h.count(`SELECT COUNT(*) FROM postings`); report.Differences < n {
		t.Errorf("%d differences in %d postings", report.Differences, n)
	}
}

// # A verification beside busy writers sees one instant.
// Money in a difference is in credits, as everywhere else.
func TestDifferencesAreInCredits(t *testing.T) {
	for want, got := range map[string]string{
		"0.500000001": showIn("amount", int64(500_000_001)), "500000001": showIn("quantity", int64(500_000_001)),
		`"held"`: showIn("status", "held"),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func TestVerifyBesideWriters(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000"))
	var (
		wg   sync.WaitGroup
		stop atomic.Bool
	)
	for caller := range 8 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("%d_%d", caller, n)
				_, err := h.try(acme, wallet.Reserve{ID: "hold_" + id, Amount: 10, TTL: hour}, wallet.Capture{Hold: "hold_" + id, Amount: 5})
				if err == nil {
					_, err = h.try(acme, wallet.Start{ID: "flow_" + id, Items: gpus(1)}, wallet.Stop{Flow: "flow_" + id})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	last, end := int64(0), time.Now().Add(time.Minute)
	for n := 0; n < 10 || last < 20 && time.Now().Before(end); n++ {
		report := h.verified()
		if report.Entries < last {
			t.Errorf("%d entries after %d", report.Entries, last)
		}
		last = report.Entries
	}
	stop.Store(true)
	wg.Wait()
	if last < 20 {
		t.Errorf("only %d entries were written meanwhile", last)
	}
}

// # Storage that was released in debt is written off, and the books verify, also
// after what it was charged is refunded.
func TestReleasedStorageVerifies(t *testing.T) {
	h := open(t)
	policy := wallet.DefaultPolicy()
	policy.MinRunway, policy.RetentionDays = 0, 1
	h.must(h.update(func(tx *db.Tx) error { return h.Create(tx, acme, policy) }))
	price := 2 * credit.One
	rate, err := credit.NewRate(price, credit.Units)
	h.must(err)
	disk := wallet.Item{SKU: "storage.cluster", Tier: "on-demand", Unit: "hour", Quantity: credit.Units, Price: price, Card: "default", Version: 1, Rate: rate, Period: credit.Hour}
	h.apply(acme, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Promotional, Amount: 3 * credit.One}})
	h.apply(acme, wallet.Start{ID: "flow_1", Items: []wallet.Item{disk}})
	h.advance(60 * hour)
	if n := h.count(`SELECT COUNT(*) FROM postings WHERE kind = 'write_off' AND amount = 48000000000`); n != 1 {
		t.Errorf("%d write-offs of the day's 48 credits", n)
	}
	h.verified()
	for no := range h.count(`SELECT COUNT(*) FROM charges`) {
		h.apply(acme, wallet.Refund{Charge: wallet.Charge{No: no + 1}})
	}
	h.verified()
	if left := h.count(`SELECT SUM(free) FROM lots WHERE id = 'lot_1'`); left != 3e9 {
		t.Errorf("%d nano-credits are back", left)
	}
	if lent := h.count(`SELECT free FROM lots WHERE id = 'overdraft'`); lent != 0 {
		t.Errorf("the customer was given %d nano-credits for what the operator had written off", lent)
	}
}
