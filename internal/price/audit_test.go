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
	verify := func(o ledger.Options) ledger.Report {
		report, err := s.books.Verify(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := verify(ledger.Options{Price: price.Audit()}); !r.IsClean() || r.Charges < 6 {
		t.Fatalf("%d charges, %v", r.Charges, r.First)
	}
	for _, c := range []struct{ change, want, ofCharge string }{
		{`skus = replace(skus, '1000000000', '1000000001')`, `rate_cards default 2, skus: the database holds …":"hour","Prices":{"on-demand":1000000001,`,
			`rate_cards default 2, skus: the database holds gpu.x on-demand at 1.000000001, the replay gives gpu.x on-demand at 1, by charge 1 of org_acme/ws_acme`},
		{`skus = '[]'`, `default 2, skus: the database holds []`, `gpu.x on-demand at nothing`},
		{`skus = skus || 'x'`, `]x, the replay gives`, `gpu.x on-demand at nothing`},
		{`version = 7`, `default 7: the database holds a row, the replay gives none`, `gpu.x on-demand at nothing`},
		{`effective_at = effective_at + 1`, `default 2, effective_at: the database holds`, ``},
		{`created_at = created_at - 1`, `default 2, created_at: the database holds`, ``},
	} {
		s.update(func(tx *db.Tx) error {
			_, err := tx.Exec(`CREATE TABLE kept AS SELECT version, effective_at, created_at, skus FROM rate_cards WHERE version = 2`)
			if err == nil {
				_, err = tx.Exec(`UPDATE rate_cards SET ` + c.change + ` WHERE version = 2`)
			}
			return err
		})
		if found := shown(verify(ledger.Options{Count: true, Price: price.Audit()})); !strings.Contains(found, strings.ReplaceAll(c.want, `"`, "")) {
			t.Errorf("%s: %s", c.change, found)
		}
		only := ledger.Options{Only: ledger.ID{Organization: "org_acme", Workspace: "ws_acme"}, Price: price.Audit()}
		if found := shown(verify(only)); !strings.Contains(found, c.ofCharge) || found != "" && c.ofCharge == "" {
			t.Errorf("%s, in one workspace: %s", c.change, found)
		}
		s.update(func(tx *db.Tx) error {
			_, err := tx.Exec(`UPDATE rate_cards SET version = 2, effective_at = (SELECT effective_at FROM kept),
				created_at = (SELECT created_at FROM kept), skus = (SELECT skus FROM kept) WHERE version IN (2, 7)`)
			if err == nil {
				_, err = tx.Exec(`DROP TABLE kept`)
			}
			return err
		})
	}
}

// shown is the first difference, without the quotes that lie in quotes.
func shown(r ledger.Report) string {
	if r.IsClean() {
		return ""
	}
	return strings.NewReplacer(`\"`, "", `"`, "").Replace(r.First.String())
}
