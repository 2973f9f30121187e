package price_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
)

// A price that was edited behind the books' back is named when they are verified.
func TestAnEditedPriceIsFound(t *testing.T) {
	s := open(t)
	s.put(0, sku("gpu.x hour on-demand=1 spot=0.5"), sku("gpu.y hour on-demand=3"))
	s.run(price.Ask{SKU: "gpu.x", Quantity: units("2")})
	s.put(hour/2, sku("gpu.x hour on-demand=2"))
	s.advance(3 * hour)
	s.put(0, sku("gpu.y hour on-demand=3")) // gpu.x keeps its last price
	s.advance(3 * hour)
	verify := func() ledger.Report {
		report, err := s.books.Verify(t.Context(), ledger.Options{Count: true, Price: price.Audit()})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := verify(); !r.IsClean() || r.Charges < 6 {
		t.Fatalf("%d charges, %v", r.Charges, r.First)
	}
	for _, c := range []struct{ change, want string }{
		{`skus = replace(skus, '1000000000', '1000000001')`,
			`rate_cards default 2, skus: the database holds "gpu.x on-demand at 1.000000001", the replay gives "gpu.x on-demand at 1, by charge 1 of org_acme/ws_acme"`},
		{`skus = '[]'`, `gpu.x on-demand at nothing`},
		{`skus = skus || 'x'`, `gpu.x on-demand at nothing`},
		{`version = 7`, `gpu.x on-demand at nothing`},
	} {
		s.update(func(tx *db.Tx) error {
			_, err := tx.Exec(`CREATE TABLE kept AS SELECT version, skus FROM rate_cards WHERE version = 2`)
			if err == nil {
				_, err = tx.Exec(`UPDATE rate_cards SET ` + c.change + ` WHERE version = 2`)
			}
			return err
		})
		if r := verify(); r.IsClean() || r.Differences != 1 || !strings.Contains(strings.ReplaceAll(r.First.String(), `"`, ""), strings.ReplaceAll(c.want, `"`, "")) {
			t.Errorf("%s: %d differences, %v", c.change, r.Differences, r.First)
		}
		s.update(func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE rate_cards SET version = 2, skus = (SELECT skus FROM kept) WHERE version IN (2, 7)`)
			if err == nil {
				_, err = tx.Exec(`DROP TABLE kept`)
			}
			return err
		})
	}
}
