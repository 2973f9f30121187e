package wallet

import (
	"fmt"
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

// quote prices an item as the price book would.
func quote(sku, quantity, price string) Item {
	q, _ := credit.ParseQuantity(quantity)
	p, _ := credit.Parse(price)
	r, err := credit.NewRate(p, q)
	if err != nil {
		panic(err)
	}
	return Item{SKU: sku, Tier: "on-demand", Unit: "hour", Quantity: q, Price: p, Rate: r, Period: credit.Hour, Card: "default", Version: 1}
}

// largeWallet has flows running flows of eight kinds and lots lots, half of them
// scoped.
func largeWallet(tb testing.TB, flows, lots int) *Wallet {
	tb.Helper()
	at := 480_000 * hour
	w := New("ws_large", at, DefaultPolicy())
	must := func(_ Effects, err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	for i := range lots {
		l := Lot{ID: fmt.Sprintf("lot_%03d", i), Kind: Purchased, Amount: 1_000_000 * credit.One, Priority: 50}
		if i%2 == 0 {
			l.Scope = Scope{SKUs: []string{fmt.Sprintf("gpu.k%d*", i%8)}}
		}
		must(w.Apply(at, Grant{l}))
	}
	for i := range flows {
		at += 1_234_567
		must(w.Apply(at, Start{ID: fmt.Sprintf("flow_%05d", i), Items: []Item{quote(fmt.Sprintf("gpu.k%d", i%8), "8", "2.39")}}))
	}
	w.Changes()
	return w
}

func BenchmarkStartStopAmongTenThousand(b *testing.B) {
	w := largeWallet(b, 10_000, 50)
	at := w.root.At
	b.ResetTimer()
	for i := range b.N {
		at += 1_000_003
		id := fmt.Sprintf("flow_x%d", i)
		if _, err := w.Apply(at, Start{ID: id, Items: []Item{quote("gpu.k3", "8", "2.39")}}); err != nil {
			b.Fatal(err)
		}
		w.View()
		w.WakeAt()
		at += 1_000_003
		if _, err := w.Apply(at, Stop{Flow: id}); err != nil {
			b.Fatal(err)
		}
		w.View()
		w.WakeAt()
		c := w.Changes()
		b.ReportMetric(float64(len(c.Lots)+len(c.Flows)+len(c.Holds)+len(c.Marks)), "rows")
	}
}

func BenchmarkProjectTenThousand(b *testing.B) {
	w := largeWallet(b, 10_000, 50)
	c := w.buildCourse()
	b.ResetTimer()
	for range b.N {
		c.project()
	}
	b.ReportMetric(float64(len(c.project().lots)), "lots")
}

func BenchmarkBalanceOfTenThousand(b *testing.B) {
	v := largeWallet(b, 10_000, 50).View()
	at := v.At
	b.ResetTimer()
	for range b.N {
		at += 1_000_003
		v.Balance(at)
	}
}

func BenchmarkAdvanceOverLotsOfTenThousand(b *testing.B) {
	for range b.N {
		b.StopTimer()
		w := largeWallet(b, 10_000, 50)
		empty := w.View().Projection().EmptyAt
		b.StartTimer()
		fx, err := w.Apply(empty-1_000_000, Tick{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(fx.Events)), "µs/event")
		b.ReportMetric(float64(len(fx.Events)), "events")
	}
}

func BenchmarkCapture(b *testing.B) {
	at := 480_000 * hour
	w := New("ws_hot", at, DefaultPolicy())
	w.Apply(at, Grant{Lot{ID: "lot_1", Kind: Purchased, Amount: 1_000_000_000 * credit.One, Priority: 50}})
	b.ResetTimer()
	for i := range b.N {
		id := fmt.Sprint("hold_", i)
		if _, err := w.Apply(at, Reserve{ID: id, Amount: credit.One, TTL: hour}); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Apply(at, Capture{Hold: id, Amount: credit.One / 2}); err != nil {
			b.Fatal(err)
		}
		at += 1000
	}
}
