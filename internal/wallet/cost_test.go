package wallet

import (
	"fmt"
	"os"
	"testing"
	"time"

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
	return walletOf(tb, flows, 8, 8, 1_234_567, lots, 1_000_000*credit.One)
}

// walletOf has running flows of so many kinds, each of so many GPUs, that started so
// many nanoseconds apart, and lots of an amount that are used before one that lasts.
func walletOf(tb testing.TB, flows, kinds, gpus int, apart int64, lots int, amount credit.Amount) *Wallet {
	tb.Helper()
	at := 480_000 * hour
	w := New("ws_large", at, DefaultPolicy())
	must := func(_ Effects, err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(w.Apply(at, Grant{Lot: Lot{ID: "lot_last", Kind: Purchased, Amount: 1_000_000_000 * credit.One, Priority: 99}}))
	for i := range lots {
		l := Lot{ID: fmt.Sprintf("lot_%03d", i), Kind: Purchased, Amount: amount, Priority: 50}
		if i%2 == 0 {
			l.Scope = Scope{SKUs: []string{fmt.Sprintf("gpu.k%d*", i%8)}}
		}
		must(w.Apply(at, Grant{Lot: l}))
	}
	for i := range flows {
		at += apart
		must(w.Apply(at, Start{ID: fmt.Sprintf("flow_%05d", i), Items: []Item{quote(fmt.Sprintf("gpu.k%d", i%kinds), fmt.Sprint(gpus), "2.39")}}))
	}
	w.Changes()
	return w
}

// quickest is the least time that something takes in so many tries: what it costs
// on a machine that does other things as well.
func quickest(tries int, prepare func(), run func()) time.Duration {
	least := time.Duration(1<<63 - 1)
	for range tries {
		prepare()
		began := time.Now()
		run()
		least = min(least, time.Since(began))
	}
	return least
}

// A projection and an advance cost by classes and lots: thousands of flows of
// eight kinds cost about what eight flows of the same burn do, and a thousand
// equal flows what one does. The flows are younger than an hour, so that none is
// closed.
func TestCostGoesByClassesAndLots(t *testing.T) {
	flows, lots, tries := 2000, 20, 10
	limit, most := 5*time.Millisecond, 15.0
	if os.Getenv("PURSER_SOAK") != "" {
		flows, lots, tries = 10_000, 50, 50
		limit, most = time.Millisecond, 6
	}
	for _, x := range []struct{ flows, kinds int }{{flows, 8}, {1000, 1}} {
		aMinute := credit.Amount(x.flows) * 2_390_000_000 / 60 // of all flows
		many := walletOf(t, x.flows, x.kinds, 1, 1_234_567, lots, aMinute)
		few := walletOf(t, x.kinds, x.kinds, x.flows/x.kinds, 1_234_567, lots, aMinute)
		ofMany, ofFew := projection(many, tries), projection(few, tries)
		ratio := float64(ofMany) / float64(ofFew)
		t.Logf("projection over %d lots: %v for %d flows, %v for %d of the same burn: %.1f times", lots, ofMany, x.flows, ofFew, x.kinds, ratio)
		if ratio > most {
			t.Errorf("the projection of %d flows of %d kinds costs %.1f times as much as that of %d", x.flows, x.kinds, ratio, x.kinds)
		}
		ofMany, n := advanceOf(t, many)
		ofFew, m := advanceOf(t, few)
		t.Logf("advance over %d lots: %v for each of %d breakpoints of %d flows, %v for each of %d of %d", lots, ofMany, n, x.flows, ofFew, m, x.kinds)
		if ofMany > limit || n < lots/2 {
			t.Errorf("an advance of %d flows takes %v for each of %d breakpoints", x.flows, ofMany, n)
		}
		if ratio := float64(ofMany) / float64(ofFew); ratio > most {
			t.Errorf("a breakpoint of %d flows of %d kinds costs %.1f times as much as one of %d", x.flows, x.kinds, ratio, x.kinds)
		}
	}
}

// Flows that started in one nanosecond are charged in the same ones, and at the end
// of a lot they come in their order. A projection asks who comes first only where it
// matters, at the end of the credits, and not at each lot.
func TestFlowsInStepAreForeseenCheaply(t *testing.T) {
	few := projection(walletOf(t, 2000, 8, 1, 0, 1, 2000*2_390_000_000/60), 10)
	many := projection(walletOf(t, 2000, 8, 1, 0, 41, 2000*2_390_000_000/60), 10)
	t.Logf("2,000 flows in step: %v over 1 lot, %v over 41", few, many)
	if many > 8*few {
		t.Errorf("a projection takes %v over 1 lot and %v over 41", few, many)
	}
}

// Where a thousand small lots run out one after the other near the end of the
// credits, each of them costs what it takes to look at the lots once: the future
// is not worked out anew where nothing but time has passed.
func TestManySmallLotsRunOutCheaply(t *testing.T) {
	lots, limit := 1000, 5*time.Millisecond
	if os.Getenv("PURSER_SOAK") != "" {
		limit = time.Millisecond
	}
	w := walletOf(t, 0, 1, 1, 0, 0, 0)
	at := w.root.At
	if _, err := w.Apply(at, Freeze{Lot: "lot_last"}); err != nil {
		t.Fatal(err)
	}
	for i := range lots {
		if _, err := w.Apply(at, Grant{Lot: Lot{ID: fmt.Sprintf("lot_%04d", i), Kind: Purchased, Amount: 4_000_000, Priority: 50}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Apply(at, Start{ID: "flow_1", Items: []Item{quote("gpu.k0", "1", "2.39")}}); err != nil {
		t.Fatal(err)
	}
	w.Changes()
	each, marks := advanceOf(t, w)
	t.Logf("%v for each of %d lines of the timeline, of %d lots", each, marks, lots)
	if each > limit || marks < lots/2 {
		t.Errorf("%v for each of %d lines of the timeline", each, marks)
	}
}

// projection is how long the wallet's future takes.
func projection(w *Wallet, tries int) time.Duration {
	c := w.buildCourse()
	return quickest(tries, func() {}, func() { c.project() })
}

// advanceOf takes a wallet over its small lots, a few times from the same state,
// and is how long each breakpoint took.
func advanceOf(t *testing.T, w *Wallet) (each time.Duration, breakpoints int) {
	t.Helper()
	var again *Wallet
	took := quickest(5, func() {
		var err error
		if again, err = Load(w.State()); err != nil { // which copies: a wallet works on the rows it was loaded from
			t.Fatal(err)
		}
	}, func() {
		if _, err := again.Apply(480_001*hour-1, Tick{}); err != nil {
			t.Fatal(err)
		}
	})
	breakpoints = len(again.Changes().Marks)
	return took / time.Duration(max(breakpoints, 1)), breakpoints
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
	w.Apply(at, Grant{Lot: Lot{ID: "lot_1", Kind: Purchased, Amount: 1_000_000_000 * credit.One, Priority: 50}})
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
