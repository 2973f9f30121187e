package price_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// A flow that one server starts while another puts a price is told of it, whether the
// first has read the card in this batch or remembers it.
func TestAPriceReachesWhatAnotherServerIsStarting(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	t.Run("read", func(t *testing.T) { aPriceReaches(t, false) })
	t.Run("remembered", func(t *testing.T) { aPriceReaches(t, true) })
}

func aPriceReaches(t *testing.T, isRemembered bool) {
	s := open(t)
	database, err := db.Open(t.Context(), db.Config{URL: s.url, Clock: db.NewTestClock(start), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	books := ledger.New(database, slog.New(slog.DiscardHandler))
	book := price.NewBook(books)
	if isRemembered {
		if err := database.View(t.Context(), func(tx *db.Tx) error { _, err := book.History(tx, price.Default); return err }); err != nil {
			t.Fatal(err)
		}
	}

	priced, started := make(chan struct{}), make(chan error, 1)
	go func() {
		isFirst := true
		started <- database.Update(t.Context(), func(tx *db.Tx) error {
			prices, err := book.History(tx, price.Default)
			if err != nil {
				return err
			}
			items, err := prices.Start([]price.Ask{{SKU: "gpu.h100", Quantity: credit.Units}}, tx.Now())
			if err != nil {
				return err
			}
			if isFirst {
				isFirst = false
				close(priced)
				time.Sleep(300 * time.Millisecond)
			}
			_, err = books.Apply(tx, acme, wallet.Start{ID: "flow_1", Items: items})
			return err
		})
	}()
	<-priced
	cards := price.Catalogue()
	for i := range cards {
		if cards[i].Name == "gpu.h100" {
			cards[i].Prices = map[string]credit.Amount{price.OnDemand: 100 * credit.One}
		}
	}
	s.update(func(tx *db.Tx) error {
		_, err := s.book.Put(tx, price.Default, cards, 0)
		return err
	})
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	var flow wallet.Flow
	if err := s.db.View(t.Context(), func(tx *db.Tx) (err error) {
		flow, err = s.books.Flow(tx, acme, "flow_1")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if flow.Items[0].Price != 100*credit.One || flow.Items[0].Version != 2 {
		t.Errorf("the flow goes on at %s of version %d", flow.Items[0].Price, flow.Items[0].Version)
	}
}
