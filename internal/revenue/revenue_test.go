package revenue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/revenue"
	"github.com/purserhq/purser/internal/wallet"
)

const (
	hour = int64(time.Hour)
	day  = 24 * hour
)

var start = time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC).UnixNano()

var acme, lab = ledger.ID{Organization: "org_acme", Workspace: "ws_acme"}, ledger.ID{Organization: "org_acme", Workspace: "ws_lab"}

// house is books with two wallets of one customer.
type house struct {
	*testing.T
	db    *db.DB
	clock *db.TestClock
	books *ledger.Ledger
	next  int
}

func open(t *testing.T) *house {
	clock, log := db.NewTestClock(start), slog.New(slog.DiscardHandler)
	database, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	h := &house{t, database, clock, ledger.New(database, log), 0}
	for _, id := range []ledger.ID{acme, lab} {
		h.must(h.db.Update(t.Context(), func(tx *db.Tx) error {
			return h.books.Create(tx, id, wallet.Policy{Overdraft: 5 * credit.One, RetentionDays: 1})
		}))
	}
	return h
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) apply(id ledger.ID, commands ...wallet.Command) error {
	return h.db.Update(h.Context(), func(tx *db.Tx) error {
		_, err := h.books.Apply(tx, id, commands...)
		return err
	})
}

func (h *house) advance(by int64) {
	h.Helper()
	h.must(h.clock.Advance(h.Context(), by))
	h.must(h.books.RunDue(h.Context()))
}

func grant(id string, kind wallet.LotKind, whole int64, expires int64) wallet.Grant {
	return wallet.Grant{Lot: wallet.Lot{ID: id, Kind: kind, Amount: credit.Amount(whole) * credit.One, Priority: kind.DefaultPriority(), ExpiresAt: expires}}
}

func (h *house) use(sku string, cents int64) wallet.Use {
	h.next++
	amount := credit.Amount(cents) * credit.One / 100
	return wallet.Use{Lines: []wallet.Line{{SKU: sku, Event: fmt.Sprint("s ", h.next), Unit: "each", Quantity: credit.Units, Price: amount,
		Card: "default", Version: 1, Amount: amount, At: h.clock.Now(), Digest: "d"}}}
}

func (h *house) transfer(from, to ledger.ID, amount credit.Amount) error {
	h.next++
	id := fmt.Sprint("tr_", h.next)
	return h.db.Update(h.Context(), func(tx *db.Tx) error {
		sent, err := h.books.Apply(tx, from, wallet.TransferOut{Amount: amount, ID: id})
		if err != nil {
			return err
		}
		for i := range sent.Effects.Moved {
			sent.Effects.Moved[i].ID = fmt.Sprintf("lot_%s_%d", id, i)
		}
		_, err = h.books.Apply(tx, to, wallet.TransferIn{Lots: sent.Effects.Moved, ID: id})
		return err
	})
}

func (h *house) read(q revenue.Query) (r *revenue.Report) {
	h.Helper()
	h.must(h.db.View(h.Context(), func(tx *db.Tx) (err error) {
		r, err = revenue.Read(h.books, tx, q)
		return err
	}))
	return r
}

// A month's end, with the figures computed by hand.
func TestTheRevenueOfTwoMonths(t *testing.T) {
	h := open(t)
	h.must(h.apply(acme, grant("lot_1", wallet.Purchased, 10, 0), grant("lot_2", wallet.Promotional, 3, start+day)))
	h.must(h.apply(acme, h.use("gpu.h100", 200)))                                                  // promotional
	h.must(h.transfer(acme, lab, 4*credit.One))                                                    // 1 promotional, 3 purchased
	h.must(h.apply(lab, h.use("llm.m.input", 150)))                                                // 1 promotional, 0.5 purchased
	h.advance(2 * day)                                                                             // the first of December, nothing was left to expire
	h.must(h.apply(acme, h.use("gpu.h100", 1300)))                                                 // 7 purchased, 5 overdraft, 1 of nobody's
	h.must(h.apply(acme, wallet.Refund{Charge: wallet.Charge{No: 2}, Amount: credit.One * 3 / 2})) // of nobody's, and of the overdraft
	r := h.read(revenue.Query{From: start - 40*day, Bucket: revenue.Monthly})
	var got []string
	for _, p := range r.Periods {
		got = append(got, fmt.Sprintf("%s: cash %s granted %s/%s revenue %s breakage %s outstanding %s receivable %s transit %s",
			time.Unix(0, p.Begin).UTC().Format(time.DateOnly), p.CashReceived, p.Granted[wallet.Purchased], p.Granted[wallet.Promotional],
			parts(p.Revenue), parts(p.Breakage), parts(p.Outstanding), p.Receivable, p.Transit))
		for _, s := range p.SKUs {
			got = append(got, fmt.Sprintf("  %s %s %s", s.Family, s.SKU, parts(s.Parts)))
		}
	}
	want := `2026-10-20: cash 0 granted 0/0 revenue 0/0/0/0/0 breakage 0/0/0/0/0 outstanding 0/0/0/0/0 receivable 0 transit 0
2026-11-01: cash 10 granted 10/3 revenue 0.5/3/0/0/0 breakage 0/0/0/0/0 outstanding 9.5/0/0/0/0 receivable 0 transit 0
  gpu gpu.h100 0/2/0/0/0
  llm llm.m.input 0.5/1/0/0/0
2026-12-01: cash 0 granted 0/0 revenue 7/0/0/4.5/0 breakage 0/0/0/0/0 outstanding 2.5/0/0/0/0 receivable 4.5 transit 0
  gpu gpu.h100 7/0/0/4.5/0`
	if strings.Join(got, "\n") != want {
		t.Errorf("the months are\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	names, err := revenue.ParseNames("credits/purchased = 2000 Deferred revenue; house/revenue/=4000;house/cash=1000 Bank")
	h.must(err)
	var lines []string
	h.must(r.Journal(names, func(l revenue.Line) error {
		lines = append(lines, fmt.Sprintf("%s|%s|%s|%s|%s", l.Date, l.Account, l.Debit, l.Credit, l.Memo))
		return nil
	}))
	for _, line := range []string{"2026-11-30|1000 Bank|10|0|Credits granted, purchased credits", "2026-11-30|2000 Deferred revenue|0|10|Credits granted, purchased credits",
		"2026-12-01|2000 Deferred revenue|7|0|Usage, purchased credits, gpu", "2026-12-01|4000|0|7|Usage, purchased credits, gpu",
		"2026-12-01|receivable/overdraft|5|0|Usage on overdraft, gpu"} {
		if !slices.Contains(lines, line) {
			t.Errorf("%s is not in the journal:\n%s", line, strings.Join(lines, "\n"))
		}
	}
}

func parts(p revenue.Parts) string {
	return fmt.Sprintf("%s/%s/%s/%s/%s", p.Paid, p.Promotional, p.Financed, p.Receivable, p.Overrun)
}

// Whatever happens, every figure is the sum of the postings, and every day balances.
func TestRevenueEqualsThePostings(t *testing.T) {
	for seed := range uint64(6) {
		h, r := open(t), rand.New(rand.NewPCG(seed, 7))
		for range 150 {
			h.step(r)
		}
		for _, bucket := range []revenue.Bucket{revenue.Daily, revenue.Monthly} {
			from := start - day + r.Int64N(10)*day
			h.agrees(h.read(revenue.Query{From: from, To: max(from+1, h.clock.Now()-r.Int64N(3)*day), Bucket: bucket}))
		}
	}
}

func (h *house) step(r *rand.Rand) {
	h.Helper()
	id, other := acme, lab
	if r.IntN(2) == 0 {
		id, other = lab, acme
	}
	h.next++
	var err error
	switch r.IntN(8) {
	case 0, 1:
		tax := credit.Amount(r.Int64N(1e9))
		kinds := []wallet.LotKind{wallet.Purchased, wallet.Promotional, wallet.Plan, wallet.Financed, wallet.Commitment, wallet.Adjustment}
		g := grant(fmt.Sprint("lot_", h.next), kinds[r.IntN(len(kinds))], 1+r.Int64N(9), h.clock.Now()+hour+r.Int64N(3*day))
		g.Tax = tax
		err = h.apply(id, g)
	case 2, 3, 4:
		err = h.apply(id, h.use([]string{"gpu.h100", "llm.m.input", "network.egress"}[r.IntN(3)], 1+r.Int64N(500)))
	case 5:
		err = h.transfer(id, other, credit.Amount(1+r.Int64N(2e9)))
	case 6:
		err = h.apply(id, wallet.Withdraw{Lot: fmt.Sprint("lot_", 1+r.IntN(h.next)), Amount: credit.Amount(r.Int64N(2e9)), Tax: credit.Amount(r.Int64N(1e9)), Loss: credit.Amount(r.Int64N(1e9))})
		if err != nil && fault.Of(err) == nil {
			break
		}
		err = h.apply(id, wallet.Recover{Lot: fmt.Sprint("lot_", 1+r.IntN(h.next)), Loss: credit.Amount(r.Int64N(1e9)), Tax: credit.Amount(r.Int64N(1e9))})
		if err != nil && fault.Of(err) == nil {
			break
		}
		err = h.apply(id, wallet.Refund{Charge: wallet.Charge{No: 1 + r.Int64N(20)}})
	default:
		h.advance(r.Int64N(12 * hour))
		if r.IntN(3) == 0 {
			err = h.books.Roll(context.Background())
		}
	}
	if err != nil && fault.Of(err) == nil {
		h.Fatal(err)
	}
}

// truth is what the postings come to, read one by one.
type truth struct {
	opening, closing map[string]credit.Amount // debits less credits, by account
	moved            map[string]credit.Amount // in the period, by what they are
}

func (h *house) truth(from, to int64) truth {
	h.Helper()
	t := truth{map[string]credit.Amount{}, map[string]credit.Amount{}, map[string]credit.Amount{}}
	h.must(h.db.View(h.Context(), func(tx *db.Tx) error {
		return tx.Each(func(s db.Scanner) error {
			var at int64
			var debit, credited string
			var amount credit.Amount
			err := s.Scan(&at, &debit, &credited, &amount)
			if at < from {
				t.opening[debit] += amount
				t.opening[credited] -= amount
			}
			if at < to {
				t.closing[debit] += amount
				t.closing[credited] -= amount
			}
			if at >= from && at < to {
				t.move(debit, credited, amount)
			}
			return err
		}, `SELECT p.at, CASE WHEN p.debit LIKE 'credits/%' THEN 'credits/' || (SELECT kind FROM lots l WHERE l.workspace = p.workspace AND 'credits/' || l.id = p.debit) ELSE p.debit END,
			CASE WHEN p.credit LIKE 'credits/%' THEN 'credits/' || (SELECT kind FROM lots l WHERE l.workspace = p.workspace AND 'credits/' || l.id = p.credit) ELSE p.credit END,
			p.amount FROM postings p`)
	}))
	return t
}

func (t *truth) move(from, to string, amount credit.Amount) {
	fromLot, toLot := strings.HasPrefix(from, "credits/"), strings.HasPrefix(to, "credits/")
	switch {
	case from == "house/cash" && toLot:
		t.moved["cash"] += amount
	case to == "house/cash" && fromLot:
		t.moved["returned"] += amount
	case to == "house/tax":
		t.moved["tax"] += amount
	case from == "house/tax":
		t.moved["tax"] -= amount
	case from == "house/losses" && to == "house/cash":
		t.moved["lost"] += amount
	case from == "house/cash" && to == "house/losses":
		t.moved["lost"] -= amount
	case to == "house/breakage":
		t.moved["breakage"] += amount
	case strings.HasPrefix(to, "house/revenue/"):
		t.moved["revenue"] += amount
	case strings.HasPrefix(from, "house/revenue/"):
		t.moved["revenue"] -= amount
	}
}

// agrees compares a report with the postings, and its journal with itself.
func (h *house) agrees(r *revenue.Report) {
	h.Helper()
	t := h.truth(r.From, r.To)
	var opening, closing credit.Amount
	for _, b := range r.Accounts {
		if b.Opening != t.opening[b.Account] || b.Closing != t.closing[b.Account] || b.Opening+b.Debit-b.Credit != b.Closing {
			h.Errorf("%+v; the postings open with %s and close with %s", b, t.opening[b.Account], t.closing[b.Account])
		}
		opening, closing = opening+b.Opening, closing+b.Closing
		delete(t.closing, b.Account)
	}
	if opening != 0 || closing != 0 || len(t.closing) != 0 {
		h.Errorf("all accounts open with %s and close with %s; missing: %v", opening, closing, t.closing)
	}
	for _, p := range r.Periods {
		for what, amount := range map[string]credit.Amount{"cash": p.CashReceived, "returned": p.CashReturned, "tax": p.TaxCollected,
			"lost": p.ChargedBack, "breakage": p.Breakage.Total(), "revenue": p.Revenue.Total()} {
			t.moved[what] -= amount
		}
		skus := p.Revenue.Total()
		for _, s := range p.SKUs {
			skus -= s.Total()
		}
		if skus != 0 || p.Transit != 0 {
			h.Errorf("SKUs miss %s, in transit %s", skus, p.Transit)
		}
	}
	for what, missed := range t.moved {
		if missed != 0 {
			h.Errorf("the periods miss %s of %s", missed, what)
		}
	}
	h.balances(r)
}

// balances checks that the lines of every date come to zero.
func (h *house) balances(r *revenue.Report) {
	h.Helper()
	byDate := map[string]credit.Amount{}
	h.must(r.Journal(nil, func(l revenue.Line) error {
		byDate[l.Date] += l.Debit - l.Credit
		if (l.Debit == 0) == (l.Credit == 0) || l.Debit < 0 || l.Credit < 0 {
			return fmt.Errorf("%+v", l)
		}
		return nil
	}))
	for date, left := range byDate {
		if left != 0 {
			h.Errorf("%s is out of balance by %s", date, left)
		}
	}
}

func TestQueriesAndNamesAreChecked(t *testing.T) {
	h := open(t)
	for pointer, q := range map[string]revenue.Query{"/bucket": {Bucket: "week"}, "/from": {From: start, To: start}} {
		h.refuses(pointer, q)
	}
	h.refuses("/from", revenue.Query{From: start - 401*day, To: start})
	for _, text := range []string{"house/cash", "bank=1", "house/cash=", "house/cash=1;house/cash=2"} {
		if _, err := revenue.ParseNames(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
	wrong := errors.New("the reader has gone")
	h.must(h.apply(acme, grant("lot_1", wallet.Purchased, 10, 0)))
	if err := h.read(revenue.Query{}).Journal(nil, func(revenue.Line) error { return wrong }); err != wrong {
		t.Errorf("%v", err)
	}
}

func (h *house) refuses(pointer string, q revenue.Query) {
	h.Helper()
	err := h.db.View(h.Context(), func(tx *db.Tx) error {
		_, err := revenue.Read(h.books, tx, q)
		return err
	})
	if f := fault.Of(err); f == nil || len(f.Fields) == 0 || f.Fields[0].Pointer != pointer {
		h.Errorf("%+v: %v", q, err)
	}
}
