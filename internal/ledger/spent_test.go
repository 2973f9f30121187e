package ledger

import (
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// # A new budget counts what was reported ahead in the window it belongs to.
func TestSpentAhead(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.advance(24*hour - h.clock.Now()%(24*hour) - 2*minute) // before midnight
	line := func(cost credit.Amount, at int64) wallet.Use {
		return wallet.Use{Lines: []wallet.Line{{SKU: "llm.tiny.output", Event: "ev", Unit: "each", Quantity: credit.Units, Price: cost,
			Card: "default", Version: 1, Amount: cost, At: at}}}
	}
	h.apply(acme, line(3*credit.One, h.clock.Now()-hour), line(8*credit.One, h.clock.Now()+3*minute))
	budgets := []wallet.Budget{{Window: wallet.Hourly}, {Window: wallet.Daily}, {Window: wallet.Rolling, Hours: 2}, {Window: wallet.AllTime}}
	h.must(h.update(func(tx *db.Tx) error {
		r, err := h.Apply(tx, acme)
		for i := range budgets {
			g := &budgets[i]
			g.ID, g.Key, g.Amount = string(g.Window), wallet.ByWorkspace, 50*credit.One
			if err == nil {
				g.Spent, g.Past, err = h.Spent(tx, acme, r, *g)
			}
		}
		if err == nil {
			_, err = h.Apply(tx, acme, wallet.SetBudgets{Budgets: budgets})
		}
		return err
	}))
	check := func(want ...credit.Amount) {
		t.Helper()
		view, err := h.View(t.Context(), acme)
		h.must(err)
		for i, b := range view.Budgets(h.clock.Now()) {
			if b.Spent != want[i]*credit.One {
				t.Errorf("%s has spent %s, want %d", b.ID, b.Spent, want[i])
			}
		}
	}
	check(0, 3, 3, 11)
	h.advance(2 * minute)
	check(8, 8, 8, 11)
	h.advance(hour)
	check(0, 8, 8, 11)
	h.advance(hour)
	check(0, 8, 0, 11)
	h.verified()
}

// # A new budget counts its window so far, but for one of a token, as the concepts say.
func TestSpentSoFar(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.apply(acme, wallet.Use{Lines: []wallet.Line{{SKU: "llm.tiny.output", Event: "ev", Unit: "each", Quantity: credit.Units, Price: 7 * credit.One,
		Card: "default", Version: 1, Amount: 7 * credit.One, At: h.clock.Now(), Project: "vision", User: "ada", Job: "job_1", Key: "key_1"}}})
	h.must(h.update(func(tx *db.Tx) error {
		r, err := h.Apply(tx, acme)
		h.must(err)
		for _, b := range []struct {
			key   wallet.BudgetKey
			value string
			want  credit.Amount
		}{
			{wallet.ByWorkspace, "", 7}, {wallet.ByProject, "vision", 7}, {wallet.ByUser, "ada", 7}, {wallet.ByJob, "job_1", 7},
			{wallet.ByProject, "other", 0}, {wallet.ByKey, "key_1", 0},
		} {
			spent, _, err := h.Spent(tx, acme, r, wallet.Budget{Key: b.key, Value: b.value, Window: wallet.Daily, Amount: credit.One})
			if err != nil || spent != b.want*credit.One {
				t.Errorf("%s %s has spent %s, want %d: %v", b.key, b.value, spent, b.want, err)
			}
		}
		return nil
	}))
}
