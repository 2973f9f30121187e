package ledger

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// # Whenever the days are rolled up, they say what the postings say, to the last nano.
func TestDaysEqualThePostings(t *testing.T) {
	for n := range form(4, 40) {
		seed := uint64(900 + n)
		h := newHistory(t, seed, 4)
		for range form(120, 400) {
			h.step()
			if h.IntN(10) == 0 {
				h.must(h.Roll(context.Background()))
			}
			if h.IntN(6) == 0 {
				h.advance(h.Int64N(20 * hour))
			}
		}
		h.expectDays()
		h.must(h.Roll(context.Background()))
		h.expectDays()
		if rolled, all := h.count(`SELECT CAST(SUM(no) AS BIGINT) FROM day_covers`), h.count(`SELECT COUNT(*) FROM postings`); rolled != all {
			t.Errorf("seed %d: the sums cover %d of %d postings", seed, rolled, all)
		}
		h.verified()
	}
}

// expectDays compares the house's days and every wallet's balance with the postings.
func (h *history) expectDays() {
	h.t.Helper()
	now := h.clock.Now()
	h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
		balances, held, after := map[string]credit.Amount{}, map[ID]credit.Amount{}, map[ID]credit.Amount{}
		middle := now - h.Int64N(40*hour)
		from := middle - middle%DayLength
		var sum credit.Amount
		err := tx.Each(func(r db.Scanner) error {
			var id ID
			var p Posting
			err := r.Scan(&id.Organization, &id.Workspace, &p.At, &p.Debit, &p.Credit, &p.Amount)
			change := credit.Amount(InBalance(p.Credit)-InBalance(p.Debit)) * p.Amount
			if p.At < middle {
				held[id] += change
			}
			after[id] += change
			if p.At < from {
				if p.Debit, p.Credit = ofLots(p.Debit), ofLots(p.Credit); p.Debit != p.Credit {
					balances[p.Debit] -= p.Amount
					balances[p.Credit] += p.Amount
				}
			} else {
				sum += p.Amount
			}
			return err
		}, `SELECT organization, workspace, at, debit, credit, amount FROM postings`)
		h.must(err)
		got, err := h.HouseBefore(tx, from)
		h.must(err)
		together := map[string]credit.Amount{}
		for account, amount := range got {
			together[ofLots(account)] += amount
		}
		for account, amount := range balances {
			if together[account] != amount {
				h.t.Errorf("%s holds %s, the postings say %s", account, together[account], amount)
			}
		}
		days, err := h.HouseDays(tx, from, now+DayLength)
		h.must(err)
		for _, amount := range days {
			sum -= amount
		}
		if sum != 0 {
			h.t.Errorf("the days from %d on miss %s", from, sum)
		}
		for _, id := range h.ids {
			for at, want := range map[int64]credit.Amount{middle: held[id], now + 1: after[id]} {
				if got, err := h.BalanceAt(tx, id, at); err != nil || got != want {
					h.t.Errorf("%s at %d: %s, %v; the postings say %s", id, at, got, err, want)
				}
			}
		}
		return nil
	}))
}

// ofLots is an account, with one for all lots.
func ofLots(account string) string {
	if strings.HasPrefix(account, credits) {
		return credits
	}
	return account
}

// # In the accounts of the days a lot is known by its kind, and a charge by its SKU.
func TestDaysKnowKindsAndSKUs(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.apply(acme, wallet.Grant{Lot: wallet.Lot{ID: "lot_2", Kind: wallet.Promotional, Amount: credit.One, Priority: 10}})
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1)})
	h.advance(hour)
	h.apply(acme, wallet.Stop{Flow: "flow_1"}, wallet.Refund{Charge: wallet.Charge{No: 1}, Amount: 1})
	h.must(h.Roll(context.Background()))
	var got []string
	h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
		days, err := h.HouseDays(tx, 0, h.clock.Now()+DayLength)
		for _, k := range days.Keys() {
			got = append(got, strings.Join([]string{string(k.Kind), k.Debit, k.Credit, k.SKU, days[k].String()}, " "))
		}
		return err
	}))
	want := `charge credits/promotional house/revenue/gpu gpu.h100 1
charge credits/purchased house/revenue/gpu gpu.h100 1.39
grant house/cash credits/purchased  100
grant house/promotions credits/promotional  1
refund house/revenue/gpu credits/purchased gpu.h100 0.000000001`
	if strings.Join(got, "\n") != want {
		t.Errorf("the days are\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

// # A roll, and what is asked of the days, reads postings by their numbers.
func TestDaysAreIndexed(t *testing.T) {
	if dbtest.IsPostgres() {
		t.Log("the plan of PostgreSQL depends on what it knows of the table")
		return
	}
	h := open(t)
	h.must(h.db.View(t.Context(), func(tx *db.Tx) error {
		plan, err := db.All(tx, func(r db.Scanner) (detail string, err error) {
			var n int
			return detail, r.Scan(&n, &n, &n, &detail)
		}, `EXPLAIN QUERY PLAN `+daySumsOf, "org", "ws", int64(1), int64(2))
		all := strings.Join(plan, "\n")
		for _, part := range []string{"SEARCH p USING INDEX sqlite_autoindex_postings_1 (organization=? AND workspace=? AND no>? AND no<?)",
			"SEARCH c USING INDEX sqlite_autoindex_charges_1 (organization=? AND workspace=? AND no=?)",
			"SEARCH l USING INDEX sqlite_autoindex_lots_1 (organization=? AND workspace=? AND id=?)"} {
			if !strings.Contains(all, part) {
				t.Errorf("%q is not in the plan\n%s", part, all)
			}
		}
		return err
	}))
}

// # The loop rolls what it finds at once, and ends with its context.
func TestTheLoopOfDays(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- h.KeepDays(ctx) }()
	for h.count(`SELECT COUNT(*) FROM day_covers WHERE no = 1`) == 0 {
		runtime.Gosched()
	}
	stop()
	h.must(<-ended)
	h.verified()
}

// # What is booked in a day may be more than an amount can say: it is summed up exactly all
// the same, a balance and other days are told, and of the day itself that it is too much.
func TestADayOfMoreThanAnAmount(t *testing.T) {
	h := open(t)
	for i := range 5 {
		id := ID{acme.Organization, fmt.Sprintf("ws_%d", i)}
		h.create(id)
		h.apply(id, h.grant(id, "lot_1", "2300000000")) // a wallet holds not much more
	}
	h.must(h.Roll(context.Background()))
	acme := ID{acme.Organization, "ws_0"}
	h.apply(acme, h.grant(acme, "lot_2", "1"))
	day := h.clock.Now() - h.clock.Now()%DayLength
	h.advance(DayLength)
	h.apply(acme, h.grant(acme, "lot_3", "2"))
	for _, isRolled := range []bool{false, true} {
		if isRolled {
			h.must(h.Roll(context.Background()))
		}
		h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
			if _, err := h.HouseDays(tx, day, day+DayLength); fault.Of(err) == nil || fault.Of(err).Code != "sum_too_large" {
				t.Errorf("rolled %t: the day: %v", isRolled, err)
			}
			if _, err := h.HouseBefore(tx, day+DayLength); fault.Of(err) == nil || fault.Of(err).Code != "sum_too_large" {
				t.Errorf("rolled %t: the accounts after it: %v", isRolled, err)
			}
			days, err := h.HouseDays(tx, day+DayLength, day+2*DayLength)
			if k := days.Keys(); err != nil || len(k) != 1 || days[k[0]] != 2*credit.One {
				t.Errorf("rolled %t: the next day: %v %v", isRolled, days, err)
			}
			got, err := h.BalanceAt(tx, acme, h.clock.Now())
			if want := 2_300_000_001 * credit.One; err != nil || got != want {
				t.Errorf("rolled %t: the balance was %s, not %s: %v", isRolled, got, want, err)
			}
			return nil
		}))
		h.verified()
	}
}
