package usage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

// statement turns all pages of the statement, and checks that it adds up: from
// the balance of now at the top down to zero.
func (m *meter) statement(limit int) (all []usage.Activity) {
	m.Helper()
	q := usage.ActivityQuery{Limit: limit}
	for pages := 0; ; pages++ {
		some, next := m.activities(q)
		if all = append(all, some...); next == "" {
			break
		}
		if q.Cursor = next; pages > 1000 {
			m.Fatal("the pages do not end")
		}
	}
	want := m.balance()
	ids := map[string]bool{}
	for _, a := range all {
		if a.BalanceAfter != want {
			m.Fatalf("after %s of %s the balance is %s, want %s; the statement is\n%s", a.Amount, a.Source, a.BalanceAfter, want, shown(all))
		}
		if want -= a.Amount; ids[a.ID] {
			m.Fatalf("%s comes twice", a.ID)
		}
		ids[a.ID] = true
	}
	if want != 0 {
		m.Fatalf("before everything the balance is %s; the statement is\n%s", want, shown(all))
	}
	return all
}

func (m *meter) activities(q usage.ActivityQuery) (some []usage.Activity, next string) {
	m.Helper()
	err := m.db.View(m.Context(), func(tx *db.Tx) (err error) {
		some, next, err = m.usage.Activities(tx, acme, q)
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	return some, next
}

// shown shows a statement, one line each: when, what, from where, how much.
func shown(all []usage.Activity) string {
	var b strings.Builder
	for _, a := range all {
		open := ""
		if a.Open {
			open = " open"
		}
		if strings.HasPrefix(a.Source, "lot_") && len(a.Source) > 8 {
			a.Source = "lot"
		}
		fmt.Fprintf(&b, "%s %s %s %s %s (%s)%s\n", time.Unix(0, a.At).UTC().Format("02T15:04"), a.Kind, a.Source, a.Amount, a.BalanceAfter, a.Description, open)
	}
	return strings.TrimSpace(b.String())
}

func (m *meter) expectStatement(want string) {
	m.Helper()
	var trimmed []string
	for line := range strings.Lines(strings.TrimSpace(want)) {
		trimmed = append(trimmed, strings.TrimSpace(line))
	}
	for _, limit := range []int{2, 3, 200} {
		if got := shown(m.statement(limit)); got != strings.Join(trimmed, "\n") {
			m.Fatalf("%d lines a page, the statement is\n%s\nwant\n%s", limit, got, strings.Join(trimmed, "\n"))
		}
	}
}

// Jobs and days have a line each, which grows while something runs.
func TestTheStatementOfADay(t *testing.T) {
	m := open(t)
	m.expectStatement(``)
	m.grant("100")
	m.run("flow_1", "gpu.h100 1, cpu.vcpu 8", "vision", "", "job_a")
	m.run("flow_2", "cpu.vcpu 10", "", "", "")
	m.advance(hour)
	m.send(event("1", "", "network.egress", "20"), event("2", "", "network.egress", "40", `"project":"vision"`),
		event("3", "", "gpu.h100", "1", `"job":"job_b"`))
	m.advance(hour)
	m.expectStatement(`
		22T11:30 deduction 2026-11-22 -0.3 89.11 (Resources without a job: cpu.vcpu; not charged yet) open
		22T11:30 deduction job_a -3.825 89.41 (Job: cpu.vcpu, gpu.h100; not charged yet) open
		22T10:49 deduction 2026-11-22 -0.1 93.235 (Resources without a job: cpu.vcpu) open
		22T10:49 deduction job_a -1.275 93.335 (Job: cpu.vcpu, gpu.h100) open
		22T10:30 deduction job_b -2.39 94.61 (Job: gpu.h100)
		22T10:30 deduction 2026-11-22 -2 97 (Usage: network.egress)
		22T10:30 deduction 2026-11-22 -1 99 (Usage: network.egress)
		22T09:30 addition lot 100 100 (Granted by the operator: purchased credits (bought))`)
	m.apply(wallet.Stop{Flow: "flow_1"})
	m.advance(24 * hour)
	m.expectStatement(`
		23T11:30 deduction 2026-11-23 -0.3 84.31 (Resources without a job: cpu.vcpu; not charged yet) open
		23T10:49 deduction 2026-11-23 -2.2 84.61 (Resources without a job: cpu.vcpu) open
		22T23:49 deduction 2026-11-22 -2.7 86.81 (Resources without a job: cpu.vcpu)
		22T11:30 deduction job_a -5.1 89.51 (Job: cpu.vcpu, gpu.h100)
		22T10:30 deduction job_b -2.39 94.61 (Job: gpu.h100)
		22T10:30 deduction 2026-11-22 -2 97 (Usage: network.egress)
		22T10:30 deduction 2026-11-22 -1 99 (Usage: network.egress)
		22T09:30 addition lot 100 100 (Granted by the operator: purchased credits (bought))`)
}

// Everything else that moves the balance has lines, too.
func TestTheStatementOfALife(t *testing.T) {
	m := open(t)
	grant := func(id string, kind wallet.LotKind, credits string, effective, expires int64) {
		m.apply(wallet.Grant{Lot: wallet.Lot{ID: id, Kind: kind, Amount: amount(credits), EffectiveAt: effective, ExpiresAt: expires}})
	}
	m.apply(wallet.SetPolicy{Policy: wallet.Policy{Overdraft: amount("5"), RetentionDays: 30}})
	grant("lot_p", wallet.Promotional, "10", 0, start+2*hour)
	grant("lot_f", wallet.Plan, "7", start+3*hour, 0)
	grant("lot_n", wallet.Plan, "7", start+999*day, 0)
	m.send(event("1", "", "gpu.h100", "1", `"job":"job_a"`))
	m.advance(4 * hour)
	m.send(event("2", "", "gpu.h100", "2", `"job":"job_b"`))
	m.send(event("3", "", "gpu.b300", "1", `"job":"job_c"`))
	m.send(event("4", "", "gpu.b300", "1", `"job":"job_d"`))
	all := m.charges()
	m.apply(wallet.Refund{Charge: *all[0], Amount: amount("1")}) // returns, and expires at once
	m.apply(wallet.Refund{Charge: *all[2]})                      // to a lot and the overdraft
	grant("lot_a", wallet.Adjustment, "20", 0, 0)
	m.update(func(tx *db.Tx) error {
		_, err := m.books.Apply(tx, acme, wallet.TransferOut{Amount: amount("3"), ID: "tr_1"})
		return err
	})
	m.expectStatement(`
		22T13:30 transfer tr_1 -3 19.22 (Transfer to another workspace)
		22T13:30 correction lot_a 20 22.22 (Correction by the operator: adjustment credits)
		22T13:30 refund chg_acme_3 7.22 2.22 (Refund of gpu.b300)
		22T13:30 expiry lot_p -1 -5 (Expired: promotional credits)
		22T13:30 refund chg_acme_1 1 -4 (Refund of gpu.h100)
		22T13:30 overrun job_d 0 -5 (Job: gpu.b300; 7.5 of it was not covered, and is the operator's loss)
		22T13:30 deduction job_c -7.22 -5 (Job: gpu.b300; 0.28 of it was not covered, and is the operator's loss)
		22T13:30 deduction job_b -4.78 2.22 (Job: gpu.h100)
		22T12:30 addition lot_f 7 7 (Granted by the operator: plan credits)
		22T11:30 expiry lot_p -7.61 0 (Expired: promotional credits)
		22T09:30 deduction job_a -2.39 7.61 (Job: gpu.h100)
		22T09:30 addition lot_p 10 10 (Granted by the operator: promotional credits)`)
}

func TestStatementsAreFiltered(t *testing.T) {
	m := open(t)
	m.grant("100")
	m.send(event("1", "", "network.egress", "1", `"project":"p"`))
	m.advance(day)
	m.send(event("2", "", "network.egress", "1", `"project":"p"`), event("3", "", "network.egress", "1", `"project":"q"`))
	for _, c := range []struct {
		q    usage.ActivityQuery
		want string
	}{
		{usage.ActivityQuery{}, "99.85 99.9 99.95 100"},
		{usage.ActivityQuery{Kind: usage.Addition}, "100"},
		{usage.ActivityQuery{Kind: usage.Deduction, Project: "p"}, "99.9 99.95"},
		{usage.ActivityQuery{From: start + 1}, "99.85 99.9"},
		{usage.ActivityQuery{To: start + 1}, "99.95 100"},
		{usage.ActivityQuery{Kind: usage.Expiry}, ""},
	} {
		some, next := m.activities(c.q)
		var got []string
		for _, a := range some {
			got = append(got, a.BalanceAfter.String())
		}
		if strings.Join(got, " ") != c.want || next != "" {
			t.Errorf("%+v: %v, %q, want %s", c.q, got, next, c.want)
		}
	}
	for pointer, q := range map[string]usage.ActivityQuery{"/kind": {Kind: "gift"}, "/limit": {Limit: -1}, "/cursor": {Cursor: "e30x"}} {
		err := m.db.View(t.Context(), func(tx *db.Tx) error {
			_, _, err := m.usage.Activities(tx, acme, q)
			return err
		})
		if f := fault.Of(err); f == nil || f.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v", pointer, err)
		}
	}
}

// Whatever happens to a wallet, its statement adds up, on pages of any size.
func TestStatementsOfRandomHistories(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m, r := open(t), rand.New(rand.NewPCG(seed, 13))
			m.apply(wallet.SetPolicy{Policy: wallet.Policy{Overdraft: credit.Amount(r.Int64N(5e9)), RetentionDays: 2}})
			m.grant(fmt.Sprint(5 + r.IntN(100)))
			var running []string
			for i := range 30 {
				switch r.IntN(3) {
				case 0:
					moneyStep(m, r, i)
				default:
					randomStep(m, r, i, &running)
				}
				m.advance(r.Int64N(5 * hour))
				m.statement(1 + r.IntN(30))
			}
			one, many := m.statement(1), m.statement(200)
			isOpen := func(a usage.Activity) bool { return strings.Contains(a.ID, "_open") } // those share a line if a page is short
			if one, many := slices.DeleteFunc(slices.Clone(one), isOpen), slices.DeleteFunc(slices.Clone(many), isOpen); !slices.Equal(one, many) {
				t.Errorf("one line a page it is\n%s\nelse\n%s", shown(one), shown(many))
			}
		})
	}
}

// moneyStep does something to the lots, if it can be done.
func moneyStep(m *meter, r *rand.Rand, i int) {
	now := m.clock.Now()
	var c wallet.Command = wallet.Grant{Lot: wallet.Lot{ID: fmt.Sprintf("lot_%02d", i), Kind: wallet.Promotional, Amount: credit.Amount(1 + r.Int64N(20e9)),
		EffectiveAt: now + r.Int64N(2)*r.Int64N(10*hour), ExpiresAt: now + 11*hour + r.Int64N(20*hour)}}
	all := m.charges()
	switch r.IntN(4) {
	case 0:
		if len(all) > 0 {
			c = wallet.Refund{Charge: *all[r.IntN(len(all))], Amount: credit.Amount(r.Int64N(2) * r.Int64N(1e9))}
		}
	case 1:
		c = wallet.TransferOut{Amount: credit.Amount(1 + r.Int64N(3e9)), ID: fmt.Sprintf("tr_%02d", i)}
	}
	err := m.db.Update(m.Context(), func(tx *db.Tx) error {
		_, err := m.books.Apply(tx, acme, c)
		return err
	})
	if err != nil && fault.Of(err) == nil {
		m.Fatal(err)
	}
}

// A page reads what it needs, not the whole history.
func TestAPageOfALongStatement(t *testing.T) {
	m := open(t)
	m.grant("1000000")
	for d := range 30 {
		var events []string
		for i := range 1000 {
			events = append(events, event(fmt.Sprint(d, "-", i), "", "network.egress", "1", fmt.Sprintf(`"job":"job %d"`, i%400)))
		}
		m.send(events...)
		m.advance(day)
	}
	began := time.Now()
	some, next := m.activities(usage.ActivityQuery{})
	if len(some) != 50 || next == "" {
		t.Errorf("%d lines, %q", len(some), next)
	}
	t.Logf("the first page of 30,000 charges of 400 jobs: %s", time.Since(began))
	if n := len(m.statement(200)); n != 401 {
		t.Errorf("%d lines", n)
	}
}

// What was captured of a hold by its amount has no SKU, and still has a name.
func TestTheStatementNamesWhatHasNoSKU(t *testing.T) {
	m := open(t)
	m.grant("100")
	m.apply(wallet.Reserve{ID: "hold_1", Amount: amount("5"), TTL: day})
	m.apply(wallet.Capture{Hold: "hold_1", Amount: amount("2")})
	m.send(event("1", "", "gpu.h100", "1"))
	m.apply(wallet.Refund{Charge: *m.charges()[0], Amount: amount("1")})
	m.expectStatement(`
		22T09:30 refund chg_acme_1 1 96.61 (Refund of amounts held)
		22T09:30 deduction 2026-11-22 -4.39 95.61 (Usage: amounts held, gpu.h100)
		22T09:30 addition lot 100 100 (Granted by the operator: purchased credits (bought))`)
}
