package usage_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/usage"
)

// An event counts once, however often it is delivered, and in whatever form.
func TestAnEventCountsOnce(t *testing.T) {
	m := open(t)
	m.grant("10")
	egress := event("1", "2026-11-22T09:00:00Z", "network.egress", "12.5")
	first := m.deliver("[" + egress + "]")[0]
	if first.Status != usage.Accepted || first.Amount.String() != "0.625" || first.Charge != 1 {
		t.Fatalf("the first time: %+v", first)
	}
	for _, again := range []string{
		egress,
		event("1", "2026-11-22T10:00:00.000+01:00", "network.egress", `"12.50"`), // the same, said differently
		strings.Replace(egress, `"type"`, `"traceparent":"00-1","type"`, 1),      // with a further attribute
	} {
		if v := m.deliver("[" + again + "]")[0]; v.Status != usage.Duplicate || v.Charge != 1 {
			t.Errorf("again: %+v", v)
		}
	}
	for _, other := range []string{
		event("1", "2026-11-22T09:00:00Z", "network.egress", "12.6"),
		event("1", "2026-11-22T09:00:01Z", "network.egress", "12.5"),
		event("1", "", "network.egress", "12.5"),
		event("1", "2026-11-22T09:00:00Z", "network.egress", "12.5", `"project":"p"`),
	} {
		if got := m.send(other); got[0] != "rejected /id event_mismatch" {
			t.Errorf("with other contents: %s", got)
		}
	}
	m.advance(40 * day) // what is known stays known, even when it is too old to come anew
	if got := m.send(egress); got[0] != "duplicate" {
		t.Errorf("after 40 days: %s", got)
	}
	if n := len(m.charges()); n != 1 || m.balance() != amount("9.375") {
		t.Errorf("%d charges, balance %s", n, m.balance())
	}
}

// A broken event in a batch spoils no other; verdicts come in the order of the
// events, and the whole batch is one command.
func TestABatch(t *testing.T) {
	m := open(t)
	m.grant("100")
	got := m.send(
		event("a", "", "network.egress", "1"),
		`{"specversion":"1.0"}`,
		event("b", "2026-11-22T08:00:00Z", "gpu.h100", `"2.5"`, `"tier":"spot"`, `"job":"train"`),
		event("a", "", "network.egress", "1"),
		event("a", "", "network.egress", "2"),
		event("c", "", "gpu.h1000", "1"),
		event("d", "", "gpu.h100", "1", `"tier":"reserved"`),
		event("e", "2026-10-18T09:29:59.999999999Z", "network.egress", "1"),
		event("f", "2026-10-18T09:30:00Z", "network.egress", "1"),
		event("g", "2026-11-22T09:35:00Z", "network.egress", "1"),
		event("h", "2026-11-22T09:35:00.000000001Z", "network.egress", "1"),
		`17`,
		event("i", "", "storage.object", "100"),
		event("c", "", "network.egress", "1"), // its id is free: the first one was rejected
		event("j", "", "network.egress", "9223372036854"),
		event("k", "", "llm.none", "1"),
	)
	want := []string{
		"accepted", "rejected /id invalid", "accepted", "duplicate", "rejected /id event_mismatch",
		"rejected /data/sku unknown_sku", "rejected /data/tier unknown_tier", "rejected /time event_too_late",
		"accepted", "accepted", "rejected /time event_too_early", "rejected  invalid", "accepted", "accepted",
		"rejected /data/quantity invalid", "rejected /data/sku unknown_sku",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the verdicts are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var sum credit.Amount
	for _, c := range m.charges() {
		sum += c.Amount
	}
	if want := amount("5.6"); sum != want || m.balance() != amount("100")-want { // 4 × 0.05, 2.5 × 0.96, 100 × 0.03
		t.Errorf("charged %s, balance %s", sum, m.balance())
	}
	m.update(func(tx *db.Tx) error {
		r, err := m.books.Apply(tx, acme)
		if r.Version != 3 { // create, grant, use
			t.Errorf("the wallet took %d commands", r.Version)
		}
		return err
	})
}

// A batch that has nothing to accept changes nothing at all.
func TestARejectedBatchChangesNothing(t *testing.T) {
	m := open(t)
	before := m.version()
	if got := m.send(event("1", "", "gpu.nope", "1")); got[0] != "rejected /data/sku unknown_sku" {
		t.Errorf("%s", got)
	}
	if got := m.send(); len(got) != 0 || m.version() != before {
		t.Errorf("%s, version %d, before %d", got, m.version(), before)
	}
}

func (m *meter) version() (version int64) {
	m.update(func(tx *db.Tx) error {
		r, err := m.books.Apply(tx, acme)
		version = r.Version
		return err
	})
	return version
}

// Usage is a fact: what the wallet cannot cover is recorded as overrun.
func TestUsageBeyondTheWallet(t *testing.T) {
	m := open(t)
	m.grant("1")
	if got := m.send(event("1", "", "gpu.h100", "1")); got[0] != "accepted" {
		t.Fatal(got)
	}
	c := m.charges()[0]
	if show(c.Slices[1]) != `{"Lot":"overrun","Amount":1390000000}` || m.balance() != 0 {
		t.Errorf("it took %s, balance %s", show(c.Slices), m.balance())
	}
}

// A late event is priced by the card that was in force when it happened.
func TestALateEventIsPricedByItsTime(t *testing.T) {
	m := open(t)
	m.grant("100")
	m.advance(day)
	m.update(func(tx *db.Tx) error {
		_, err := m.prices.Put(tx, price.Default, []price.SKU{{Name: "network.egress", Unit: price.GiB,
			Prices: map[string]credit.Amount{price.OnDemand: credit.One}}}, 0)
		return err
	})
	m.advance(day)
	for at, want := range map[string]string{
		"2026-11-22T23:00:00Z": "0.05 1", "2026-11-23T09:29:59.999999999Z": "0.05 1", "2026-11-23T09:30:00Z": "1 2", "": "1 2",
	} {
		if got := m.send(event("at "+at, at, "network.egress", "1")); got[0] != "accepted" {
			t.Errorf("at %q: %s", at, got)
			continue
		}
		all := m.charges()
		c := all[len(all)-1]
		if got := fmt.Sprint(c.Amount, " ", c.Version); got != want {
			t.Errorf("at %q: %s, want %s", at, got, want)
		}
	}
	if got := m.send(event("gone", "", "gpu.h100", "1")); got[0] != "rejected /data/sku unknown_sku" {
		t.Errorf("what is no longer sold: %s", got)
	}
	if got := m.send(event("then", "2026-11-22T23:00:00Z", "gpu.h100", "1")); got[0] != "accepted" {
		t.Errorf("when it was sold: %s", got)
	}
}

// The same events from many senders at once count once.
func TestConcurrentSenders(t *testing.T) {
	m := open(t)
	m.grant("100")
	var batch []string
	for i := range 150 {
		batch = append(batch, event(fmt.Sprint(i), "", "network.egress", "1"))
	}
	readings, err := usage.Read(usage.Message{Body: strings.NewReader("[" + strings.Join(batch, ",") + "]")})
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	count := map[usage.Status]int{}
	for range 20 {
		wait.Go(func() {
			var verdicts []usage.Verdict
			err := m.db.Update(t.Context(), func(tx *db.Tx) (err error) {
				verdicts, err = m.usage.Record(tx, acme, readings, nil)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			for i, v := range verdicts {
				count[v.Status]++
				if v.Charge != int64(i+1) {
					t.Errorf("event %d has the charge %d", i, v.Charge)
				}
			}
		})
	}
	wait.Wait()
	if count[usage.Accepted] != 150 || count[usage.Duplicate] != 19*150 || m.balance() != amount("92.5") {
		t.Errorf("%v, balance %s", count, m.balance())
	}
}

// The largest batch, in one unit of work.
func TestTheLargestBatch(t *testing.T) {
	m := open(t)
	m.grant("1000")
	var batch []string
	for i := range usage.MaxEvents {
		batch = append(batch, event(fmt.Sprint(i), "", "network.egress", "1", `"project":"p`+fmt.Sprint(i%7)+`"`))
	}
	for i, v := range m.deliver("[" + strings.Join(batch, ",") + "]") {
		if v.Status != usage.Accepted || v.Charge != int64(i+1) {
			t.Fatalf("event %d: %+v", i, v)
		}
	}
	if m.balance() != amount("500") {
		t.Errorf("balance %s", m.balance())
	}
	_, err := usage.Read(usage.Message{Body: strings.NewReader("[" + strings.Join(append(batch, "{}"), ",") + "]")})
	if err == nil || !strings.Contains(err.Error(), "at most 10000 events") {
		t.Errorf("one more: %v", err)
	}
}

// What was recorded of an event is compared with the journal.
func TestAnEditedEventIsFound(t *testing.T) {
	m := open(t)
	m.grant("10")
	m.send(event("1", "2026-11-22T09:00:00Z", "network.egress", "12.5"), event("2", "", "network.egress", "1"))
	m.send(event("3", "", "network.egress", "1"))
	for _, change := range []string{`digest = (SELECT digest FROM usage_events WHERE id = '3')`, `digest = ''`, `at = at + 1`, `charge = 3`, `charge = 0`, `source = 'other'`} {
		for _, statement := range []string{`CREATE TABLE kept AS SELECT * FROM usage_events`, `UPDATE usage_events SET ` + change + ` WHERE id = '1'`} {
			m.exec(statement)
		}
		report, err := m.books.Verify(t.Context(), ledger.Options{})
		column, _, _ := strings.Cut(change, " ")
		if column == "source" {
			column = ""
		}
		if err != nil || report.IsClean() || report.First.Table != "usage_events" || report.First.Column != column {
			t.Errorf("%s: %v %v", change, report.First, err)
		}
		for _, statement := range []string{`DELETE FROM usage_events`, `INSERT INTO usage_events SELECT * FROM kept`, `DROP TABLE kept`} {
			m.exec(statement)
		}
	}
	if report, err := m.books.Verify(t.Context(), ledger.Options{}); err != nil || !report.IsClean() {
		t.Errorf("%v %v", report.First, err)
	}
}

func (m *meter) exec(statement string) {
	m.Helper()
	m.update(func(tx *db.Tx) error { _, err := tx.Exec(statement); return err })
}

// Why the rows of old events stay (docs/operating.md, retention): an event without a
// time is known again by its row alone, however long ago it came, and verify misses it.
func TestAnOldEventIsKnownByItsRow(t *testing.T) {
	m := open(t)
	m.grant("10")
	m.send(event("timeless", "", "network.egress", "1"))
	m.advance(40 * day)
	if got := m.send(event("timeless", "", "network.egress", "1")); got[0] != "duplicate" {
		t.Errorf("after 40 days: %s", got)
	}
	m.exec(`DELETE FROM usage_events WHERE id = 'timeless'`)
	if report, err := m.books.Verify(t.Context(), ledger.Options{}); err != nil || report.IsClean() || report.First.Table != "usage_events" {
		t.Errorf("without its row: %v %v", report.First, err)
	}
	if got := m.send(event("timeless", "", "network.egress", "1")); got[0] != "accepted" {
		t.Errorf("without its row: %s", got)
	}
}
