package price_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

const hour = int64(credit.Hour)

var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC).UnixNano()

// shop is a database with a book of rate cards on a clock that stands still.
type shop struct {
	*testing.T
	url   string
	db    *db.DB
	clock *db.TestClock
	books *ledger.Ledger
	book  *price.Book
}

// acme is a customer with a million credits.
var acme = ledger.ID{Organization: "org_acme", Workspace: "ws_acme"}

func open(t *testing.T) *shop {
	t.Helper()
	clock, url := db.NewTestClock(start), dbtest.URL(t)
	database, err := db.Open(t.Context(), db.Config{
		URL: url, Clock: clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	books := ledger.New(database, slog.New(slog.DiscardHandler))
	s := &shop{t, url, database, clock, books, price.NewBook(books)}
	s.update(s.book.Open)
	s.update(func(tx *db.Tx) error {
		if err := books.Create(tx, acme, wallet.Policy{}); err != nil {
			return err
		}
		_, err := books.Apply(tx, acme, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 1_000_000 * credit.One}})
		return err
	})
	return s
}

func (s *shop) update(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.db.Update(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

func (s *shop) advance(by int64) {
	s.Helper()
	if err := s.clock.Advance(s.Context(), by); err != nil {
		s.Fatal(err)
	}
	if err := s.books.RunDue(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// put makes the next version of the default card, in so much time.
func (s *shop) put(in int64, skus ...price.SKU) (card *price.Card) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		card, err = s.book.Put(tx, price.Default, skus, tx.Now()+in)
		return err
	})
	return card
}

// run starts a flow of one item and returns its id.
func (s *shop) run(ask price.Ask) (id string) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		h, err := s.book.History(tx, price.Default)
		if err != nil {
			return err
		}
		items, err := h.Start([]price.Ask{ask}, tx.Now())
		if err != nil {
			return err
		}
		id = tx.NewID("flow_")
		_, err = s.books.Apply(tx, acme, wallet.Start{ID: id, Items: items})
		return err
	})
	return id
}

// item is what a flow runs, as the books have it.
func (s *shop) item(flow string) (item wallet.Item) {
	s.Helper()
	err := s.db.View(s.Context(), func(tx *db.Tx) error {
		f, err := s.books.Flow(tx, acme, flow)
		item = f.Items[0]
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return item
}

func (s *shop) history() (h *price.History) {
	s.Helper()
	err := s.db.View(s.Context(), func(tx *db.Tx) (err error) {
		h, err = s.book.History(tx, price.Default)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return h
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

// sku reads "gpu.h100 hour on-demand=2.39 spot=0.96".
func sku(text string) price.SKU {
	words := strings.Fields(text)
	s := price.SKU{Name: words[0], Unit: price.Unit(words[1]), Prices: map[string]credit.Amount{}}
	for _, w := range words[2:] {
		tier, p, _ := strings.Cut(w, "=")
		s.Prices[tier] = amount(p)
	}
	return s
}
