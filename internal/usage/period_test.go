package usage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

// Every kind of posting of the chart has its place in the statement, or is said to have
// none; and what is not shown leaves the balance as it is.
func TestEveryKindOfPostingIsInTheStatement(t *testing.T) {
	chart, shown := ledger.PostingKinds(), usage.PostingsShown()
	for _, kind := range chart {
		if _, isSaid := shown[kind]; !isSaid {
			t.Errorf("nothing is said of %s", kind)
		}
	}
	if len(shown) != len(chart) {
		t.Errorf("%d kinds of postings, and %d in the statement", len(chart), len(shown))
	}
}

// pages turns all pages of a query.
func (m *meter) pages(q usage.ActivityQuery) (all []usage.Activity) {
	m.Helper()
	for range 10_000 {
		some, next := m.activities(q)
		if all = append(all, some...); next == "" {
			return all
		}
		q.Cursor = next
	}
	m.Fatal("the pages do not end")
	return nil
}

// held is what the wallet held just before an instant, posting by posting.
func (m *meter) held(at int64) (sum credit.Amount) {
	m.Helper()
	err := m.db.View(m.Context(), func(tx *db.Tx) error {
		err := tx.Each(func(r db.Scanner) error {
			var debit, to string
			var amount credit.Amount
			err := r.Scan(&debit, &to, &amount)
			for account, sign := range map[string]credit.Amount{debit: -1, to: 1} {
				if strings.HasPrefix(account, "credits/") || account == "receivable/overdraft" {
					sum += sign * amount
				}
			}
			return err
		}, `SELECT debit, credit, amount FROM postings WHERE at < $1`, at)
		if err != nil {
			return err
		}
		return tx.Each(func(r db.Scanner) error {
			var amount credit.Amount
			err := r.Scan(&amount)
			sum -= amount
			return err
		}, `SELECT amount FROM lots WHERE effective_at > created_at AND created_at < $1 AND effective_at >= $1`, at)
	})
	if err != nil {
		m.Fatal(err)
	}
	return sum
}

// adds checks that a period adds up: its opening balance and its lines come to its
// closing balance, and both are what the postings say.
func (m *meter) adds(from, to int64, limit int) {
	m.Helper()
	var opening, closing credit.Amount
	err := m.db.View(m.Context(), func(tx *db.Tx) (err error) {
		opening, closing, err = m.usage.Balances(tx, acme, from, to)
		return err
	})
	if err != nil || opening != m.held(from) || to <= m.clock.Now() && closing != m.held(to) || to > m.clock.Now() && closing != m.balance() {
		m.Fatalf("%d to %d opens with %s and closes with %s, %v; by the postings %s and %s", from, to, opening, closing, err, m.held(from), m.held(to))
	}
	all := m.pages(usage.ActivityQuery{From: from, To: to, Limit: limit})
	balance := closing
	for _, a := range all {
		if a.BalanceAfter != balance || a.At < from || a.At >= to {
			m.Fatalf("after %s of %s the balance is %s, want %s; the statement is\n%s", a.Amount, a.Source, a.BalanceAfter, balance, shown(all))
		}
		balance -= a.Amount
	}
	if balance != opening {
		m.Fatalf("below the lines stands %s, and the opening balance is %s; the statement is\n%s", balance, opening, shown(all))
	}
}

// Whatever happens to a wallet, the lines of every period add up between what the
// postings say that it held before and after.
func TestPeriodsOfRandomHistories(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m, r := open(t), rand.New(rand.NewPCG(seed, 17))
			m.apply(wallet.SetPolicy{Policy: wallet.Policy{Overdraft: credit.Amount(r.Int64N(5e9)), RetentionDays: 2}})
			m.grant(fmt.Sprint(5 + r.IntN(100)))
			var running []string
			for i := range 40 {
				if r.IntN(3) == 0 {
					moneyStep(m, r, i)
				} else {
					randomStep(m, r, i, &running)
				}
				if r.IntN(8) == 0 {
					if err := m.books.Roll(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				m.advance(r.Int64N(9 * hour))
			}
			now := m.clock.Now()
			for range 25 {
				from := start + r.Int64N(now-start)
				to := from + r.Int64N(now+hour-from) + 1
				if r.IntN(2) == 0 {
					from -= from % day
				}
				m.adds(from, to, 1+r.IntN(40))
			}
			for at := start - start%day; at < now; at += day { // every day by itself
				m.adds(at, min(at+day, now+1), 200)
			}
		})
	}
}

// What is recorded while pages are turned does not move what is on them.
func TestPagesStandStill(t *testing.T) {
	m, r := open(t), rand.New(rand.NewPCG(5, 5))
	m.grant("500")
	var running []string
	for i := range 30 {
		randomStep(m, r, i, &running)
		m.advance(r.Int64N(5 * hour))
	}
	before := m.pages(usage.ActivityQuery{Limit: 200})
	first, next := m.activities(usage.ActivityQuery{Limit: 5})
	for i := range 20 {
		randomStep(m, r, 100+i, &running)
		m.send(event(fmt.Sprint("late ", i), "", "gpu.h100", "0.1", `"job":"b"`))
		m.advance(r.Int64N(5 * hour))
	}
	after := slices.Concat(first, m.pages(usage.ActivityQuery{Limit: 5, Cursor: next}))
	for i := range before {
		before[i].Open = false
	}
	for i := range after {
		after[i].Open = false // whether it still grows is said of now
	}
	if !slices.Equal(before, after) {
		t.Errorf("before it was\n%s\nafter\n%s", shown(before), shown(after))
	}
}

// A job that goes beyond a period is cut at its bounds.
func TestAJobOfTwoPeriods(t *testing.T) {
	m := open(t)
	m.grant("500")
	m.run("flow_1", "gpu.h100 1", "vision", "ann", "job_a")
	m.advance(48 * hour)
	midnight := start - start%day + day
	var got []string
	for _, q := range []usage.ActivityQuery{{To: midnight, Job: "job_a"}, {From: midnight, To: midnight + day, Job: "job_a"}} {
		for _, a := range m.pages(q) {
			got = append(got, fmt.Sprintf("%s %s %s by %s", a.Amount, a.BalanceAfter, a.Project, a.User))
		}
	}
	if want := "-32.265 467.735 vision by ann, -57.36 410.375 vision by ann"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}

// Purchases have their source, and are taken back: without their tax.
func TestTheStatementOfPurchases(t *testing.T) {
	m := open(t)
	buy := func(id, source, reason string) {
		m.apply(wallet.Grant{Lot: wallet.Lot{ID: id, Kind: wallet.Purchased, Amount: amount("20"), Source: source, Reason: reason}, Tax: amount("4.8")})
	}
	buy("lot_a", wallet.SourceManual, "pay_1")
	buy("lot_b", wallet.SourceAuto, "pay_2")
	m.apply(wallet.Grant{Lot: wallet.Lot{ID: "lot_c", Kind: wallet.Promotional, Amount: amount("5"), Source: wallet.SourceCode + " code_1", Reason: "hackathon"}})
	m.apply(wallet.Grant{Lot: wallet.Lot{ID: "lot_d", Kind: wallet.Plan, Amount: amount("1"), Source: wallet.SourcePlan, EffectiveAt: start + hour}})
	m.apply(wallet.Withdraw{Lot: "lot_d", Amount: amount("0.5")})
	m.send(event("1", "", "llm.m.input", "1", `"user":"ann"`))
	m.apply(wallet.Withdraw{Lot: "lot_a", Amount: amount("15"), Tax: amount("4"), Loss: amount("2")})
	m.apply(wallet.Withdraw{Lot: "lot_b", Amount: amount("20"), Tax: amount("4.8")})
	m.apply(wallet.Withdraw{Lot: "lot_b", Loss: amount("1")})
	m.apply(wallet.Recover{Lot: "lot_b", Loss: amount("1"), Tax: amount("0.24")})
	m.advance(2 * hour)
	m.expectStatement(`
		22T10:30 addition lot_d 1 10.5 (Credits of the plan: plan credits)
		22T09:30 withdrawal  0 9.5 (Payment that came back; 1 of it had been used, and is the operator's loss no more)
		22T09:30 withdrawal  0 9.5 (Payment that went back; 1 more went back though it was used, and is the operator's loss)
		22T09:30 withdrawal lot_b -20 9.5 (Taken back: purchased credits (pay_2))
		22T09:30 withdrawal lot_a -15 29.5 (Taken back: purchased credits (pay_1); 2 more went back though it was used, and is the operator's loss)
		22T09:30 withdrawal lot_d -0.5 44.5 (Taken back: plan credits)
		22T09:30 addition lot_c 5 45 (Redeemed code: promotional credits (hackathon))
		22T09:30 addition lot_b 20 40 (Automatic top-up: purchased credits (pay_2))
		22T09:30 addition lot_a 20 20 (Top-up: purchased credits (pay_1))`)
	for _, c := range []struct {
		q    usage.ActivityQuery
		want int
	}{
		{usage.ActivityQuery{Source: "auto"}, 2}, {usage.ActivityQuery{Source: "lot_b"}, 2}, {usage.ActivityQuery{Source: "code"}, 1},
		{usage.ActivityQuery{Text: "HACKATHON"}, 1}, {usage.ActivityQuery{Text: "went back"}, 2}, {usage.ActivityQuery{Least: amount("15"), Most: amount("19")}, 1},
		{usage.ActivityQuery{Kind: usage.Withdrawal}, 5}, {usage.ActivityQuery{User: "bob"}, 0}, {usage.ActivityQuery{Most: amount("0.5")}, 3},
	} {
		if got := m.pages(c.q); len(got) != c.want {
			t.Errorf("%+v: %d lines, want %d\n%s", c.q, len(got), c.want, shown(got))
		}
	}
}

// A page reads postings and charges by their numbers, and by the job.
func TestStatementsAreIndexed(t *testing.T) {
	if dbtest.IsPostgres() {
		t.Log("the plan of PostgreSQL depends on what it knows of the table")
		return
	}
	m := open(t)
	m.grant("10")
	m.send(event("1", "", "gpu.h100", "1", `"job":"job_a"`), event("2", "", "gpu.h100", "1"))
	var texts []string
	err := m.db.View(t.Context(), func(tx *db.Tx) error {
		_, _, err := m.usage.Activities(tx, acme, usage.ActivityQuery{From: start - 1, To: start + 1})
		texts = tx.Statements()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, text := range texts {
		if !strings.Contains(text, "FROM charges") && !strings.Contains(text, "FROM postings") {
			continue
		}
		found++
		err := m.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.Each(func(r db.Scanner) error {
				var n int
				var detail string
				err := r.Scan(&n, &n, &n, &detail)
				isOwn := detail == "SCAN p" || detail == "SCAN span" // rows of the statement's own, and no table
				if strings.HasPrefix(detail, "SCAN") && !isOwn && !strings.Contains(detail, "CONSTANT") {
					t.Errorf("%s: %s", detail, text)
				}
				return err
			}, "EXPLAIN QUERY PLAN "+text, make([]any, strings.Count(text, "$"))...)
		})
		if err != nil {
			t.Error(err)
		}
	}
	if found < 4 {
		t.Errorf("%d statements were explained", found)
	}
}
