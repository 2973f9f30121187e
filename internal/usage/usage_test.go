package usage_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

const (
	second = int64(time.Second)
	hour   = int64(time.Hour)
	day    = 24 * hour
)

// It is a Sunday morning.
var start = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC).UnixNano()

var acme = ledger.ID{Organization: "org_acme", Workspace: "ws_acme"}

// meter is a server's worth of books with one customer, on a clock that stands
// still until it is advanced.
type meter struct {
	*testing.T
	db     *db.DB
	clock  *db.TestClock
	books  *ledger.Ledger
	prices *price.Book
	usage  *usage.Service
}

func open(t *testing.T) *meter {
	t.Helper()
	clock, log := db.NewTestClock(start), slog.New(slog.DiscardHandler)
	database, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	books := ledger.New(database, log)
	prices := price.NewBook(books)
	m := &meter{t, database, clock, books, prices, usage.New(books, prices, project.NewBook(books))}
	m.update(prices.Open)
	m.update(func(tx *db.Tx) error { return books.Create(tx, acme, wallet.Policy{}) })
	return m
}

func (m *meter) update(fn func(tx *db.Tx) error) {
	m.Helper()
	if err := m.db.Update(m.Context(), fn); err != nil {
		m.Fatal(err)
	}
}

func (m *meter) apply(c wallet.Command) (r ledger.Result) {
	m.Helper()
	m.update(func(tx *db.Tx) (err error) {
		r, err = m.books.Apply(tx, acme, c)
		return err
	})
	return r
}

func (m *meter) grant(credits string) string {
	m.Helper()
	id := fmt.Sprintf("lot_%d", time.Now().UnixNano())
	m.apply(wallet.Grant{Lot: wallet.Lot{ID: id, Kind: wallet.Purchased, Amount: amount(credits), Reason: "bought"}})
	return id
}

// run starts a flow: "gpu.h100 8 spot" of a project, user and job.
func (m *meter) run(id, what, project, user, job string) {
	m.Helper()
	if err := m.tryRun(id, what, project, user, job); err != nil {
		m.Fatal(err)
	}
}

func (m *meter) tryRun(id, what, project, user, job string) error {
	return m.db.Update(m.Context(), func(tx *db.Tx) error {
		h, err := m.prices.History(tx, price.Default)
		if err != nil {
			return err
		}
		var asks []price.Ask
		for item := range strings.SplitSeq(what, ",") {
			words := append(strings.Fields(item), "")
			asks = append(asks, price.Ask{SKU: words[0], Quantity: units(words[1]), Tier: words[2]})
		}
		items, err := h.Start(asks, tx.Now())
		if err != nil {
			return err
		}
		_, err = m.books.Apply(tx, acme, wallet.Start{ID: id, Items: items, Project: project, User: user, Job: job})
		return err
	})
}

// advance lets time pass, and what is due on the way happen when it is due.
func (m *meter) advance(by int64) {
	m.Helper()
	for end := m.clock.Now() + by; m.clock.Now() < end; {
		next, err := m.books.NextAt(m.Context())
		if err != nil {
			m.Fatal(err)
		}
		if next <= m.clock.Now() || next > end {
			next = end
		}
		if err := m.clock.Set(m.Context(), next); err != nil {
			m.Fatal(err)
		}
		if err := m.books.RunDue(m.Context()); err != nil {
			m.Fatal(err)
		}
	}
}

// send delivers a batch of events, each a JSON text, and shows the verdicts as
// "accepted", "duplicate" or "rejected /pointer code".
func (m *meter) send(events ...string) (shown []string) {
	m.Helper()
	for _, v := range m.deliver("[" + strings.Join(events, ",") + "]") {
		text := string(v.Status)
		if v.Fault != nil {
			text += " " + v.Fault.Fields[0].Pointer + " " + v.Fault.Code
		}
		shown = append(shown, text)
	}
	return shown
}

func (m *meter) deliver(batch string) (verdicts []usage.Verdict) {
	m.Helper()
	readings, err := usage.Read(usage.Message{ContentType: "application/cloudevents-batch+json", Body: strings.NewReader(batch)})
	if err != nil {
		m.Fatal(err)
	}
	m.update(func(tx *db.Tx) (err error) {
		verdicts, err = m.usage.Record(tx, acme, readings, nil)
		return err
	})
	return verdicts
}

func (m *meter) balance() credit.Amount {
	m.Helper()
	v, err := m.books.View(m.Context(), acme)
	if err != nil {
		m.Fatal(err)
	}
	return v.Balance(m.clock.Now()).Balance
}

func (m *meter) charges() (all []*wallet.Charge) {
	m.Helper()
	err := m.db.View(m.Context(), func(tx *db.Tx) (err error) {
		for page := (ledger.Page{Limit: 200}); ; {
			some, next, err := m.books.Charges(tx, acme, ledger.ChargeFilter{}, page)
			if all = append(all, some...); err != nil || next == "" {
				return err
			}
			page.Cursor = next
		}
	})
	if err != nil {
		m.Fatal(err)
	}
	return all
}

// event makes a CloudEvent; more are members of data such as `"tier":"spot"`.
func event(id, at, sku, quantity string, more ...string) string {
	if at != "" {
		at = `"time":"` + at + `",`
	}
	data := append([]string{`"sku":"` + sku + `"`, `"quantity":` + quantity}, more...)
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/meters/7","type":"purser.usage",%s"data":{%s}}`, id, at, strings.Join(data, ","))
}

func amount(s string) credit.Amount {
	a, err := credit.Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

func units(s string) credit.Quantity {
	q, err := credit.ParseQuantity(s)
	if err != nil {
		panic(err)
	}
	return q
}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}
