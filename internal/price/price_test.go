package price_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// The catalogue once more, so that no price of it changes by a slip.
const defaults = `
gpu.a10                   hour      0.76  0.3
gpu.l40s                  hour      1.8   0.72
gpu.a100-80g              hour      1.8   0.72
gpu.h100                  hour      2.39  0.96
gpu.h200                  hour      3.6   1.44
gpu.b200                  hour      5.5   2.2
gpu.gb200                 hour      6.5   2.6
gpu.b300                  hour      7.5   3
cpu.vcpu                  hour      0.02  0.008
memory.gib                gib_hour  0.003 0.0012
storage.cluster           gib_month 0.2
storage.object            gib_month 0.03
storage.object.operations million   0.5
network.egress            gib       0.05`

func TestAFreshInstallationSellsTheCatalogue(t *testing.T) {
	s := open(t)
	s.update(s.book.Open) // a second start changes nothing
	h := s.history()
	if h.Latest().Version != 1 || h.Latest().EffectiveAt != start {
		t.Fatalf("%d versions, the last from %d", h.Latest().Version, h.Latest().EffectiveAt)
	}
	var got []string
	for _, s := range h.Latest().SKUs {
		line := s.Name + " " + string(s.Unit) + " " + s.Prices[price.OnDemand].String()
		if p, ok := s.Prices[price.Spot]; ok {
			line += " " + p.String()
		}
		got = append(got, line)
	}
	var want []string
	for line := range strings.Lines(strings.TrimSpace(defaults)) {
		want = append(want, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the catalogue is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The worked examples, with the SKUs and prices that they need.
func TestWorkedExamples(t *testing.T) {
	s := open(t)
	s.put(0, sku("gpu.x hour on-demand=4"), sku("gpu.y hour on-demand=2.49"), sku("cpu.small hour on-demand=0.0128"),
		sku("llm.tiny.input million on-demand=2.5"), sku("llm.tiny.output million on-demand=10"))
	h := s.history()
	for _, c := range []struct {
		sku, quantity string
		seconds       int64
		want          string
	}{
		{"gpu.x", "8", 7200, "64"},
		{"gpu.y", "8", 30 * 86400, "14342.4"},
		{"cpu.small", "1", 60, "0.000213333"},
	} {
		item, err := h.Quote(price.Ask{SKU: c.sku, Quantity: units(c.quantity)}, start)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := credit.Accrue(item.Rate, c.seconds*1e9, credit.Wide{}, item.Period)
		if err != nil || got.String() != c.want {
			t.Errorf("%s × %s for %d s costs %s, %v, want %s", c.quantity, c.sku, c.seconds, got, err, c.want)
		}
	}
	var sum credit.Amount
	for name, tokens := range map[string]string{"llm.tiny.input": "1000", "llm.tiny.output": "500"} {
		line, err := h.Rate(price.Ask{SKU: name, Quantity: units(tokens)}, start)
		if err != nil {
			t.Fatal(err)
		}
		sum += line.Amount
	}
	if sum.String() != "0.0075" {
		t.Errorf("1,000 tokens in and 500 out cost %s, want 0.0075", sum)
	}
}

func TestRateByUnit(t *testing.T) {
	h := open(t).history()
	for _, c := range []struct{ sku, tier, quantity, want string }{
		{"gpu.h100", "", "2.5", "5.975"},
		{"gpu.h100", "spot", "2.5", "2.4"},
		{"storage.object", "", "100", "3"},               // GiB-months
		{"memory.gib", "", "0.000001", "0.000000003"},    // rounded down once
		{"network.egress", "on-demand", "12.5", "0.625"}, // a tier for what has none
		{"storage.object.operations", "", "1", "0.0000005"},
		{"storage.object.operations", "", "1000000", "0.5"},
	} {
		line, err := h.Rate(price.Ask{SKU: c.sku, Tier: c.tier, Region: "eu", Quantity: units(c.quantity)}, start)
		if err != nil {
			t.Errorf("%s: %v", c.sku, err)
			continue
		}
		if line.Amount.String() != c.want || line.Version != 1 || line.Card != "default" || line.At != start || line.Region != "eu" {
			t.Errorf("%s of %s: %+v, want %s", c.quantity, c.sku, line, c.want)
		}
	}
}

// An old version keeps pricing what it priced, and the first one everything
// before it.
func TestAVersionPricesFromItsInstant(t *testing.T) {
	s := open(t)
	s.put(hour, sku("gpu.h100 hour on-demand=3"))
	s.advance(3 * hour)
	s.put(0, sku("gpu.h100 hour on-demand=2 spot=1"))
	h := s.history()
	for _, c := range []struct {
		at      int64
		want    string
		version int
	}{
		{start - 30*24*hour, "2.39", 1}, {start, "2.39", 1}, {start + hour - 1, "2.39", 1},
		{start + hour, "3", 2}, {start + 3*hour - 1, "3", 2}, {start + 3*hour, "2", 3}, {start + 999*hour, "2", 3},
	} {
		line, err := h.Rate(price.Ask{SKU: "gpu.h100", Quantity: credit.Units}, c.at)
		if err != nil || line.Price.String() != c.want || line.Version != c.version {
			t.Errorf("after %d h: %s by version %d, %v; want %s by %d", (c.at-start)/hour, line.Price, line.Version, err, c.want, c.version)
		}
	}
}

func TestAQuoteKnowsScheduledPrices(t *testing.T) {
	s := open(t)
	s.put(hour, sku("gpu.h100 hour on-demand=3"), sku("gpu.b300 hour on-demand=7.5"))
	s.put(2*hour, sku("gpu.b300 hour on-demand=8"))
	s.put(3*hour, sku("gpu.h100 hour on-demand=4"), sku("gpu.b300 hour on-demand=8"))
	h := s.history()
	item, err := h.Quote(price.Ask{SKU: "gpu.h100", Quantity: units("8")}, start)
	if err != nil {
		t.Fatal(err)
	}
	want := []wallet.Step{ // not sold from the second hour on: it keeps its price until it is sold again
		{At: start + hour, Price: amount("3"), Card: "default", Version: 2, Rate: 24e15},
		{At: start + 3*hour, Price: amount("4"), Card: "default", Version: 4, Rate: 32e15},
	}
	if !slices.Equal(item.Next, want) || item.Rate != 1912e13 || item.Version != 1 || item.Period != credit.Hour {
		t.Errorf("quoted %+v, want the steps %+v", item, want)
	}
	if item, err = h.Quote(price.Ask{SKU: "gpu.b300", Quantity: units("1")}, start); err != nil || len(item.Next) != 1 || item.Next[0].Version != 3 {
		t.Errorf("an unchanged price is a step: %+v, %v", item.Next, err)
	}
}

// The caller keeps its own map of prices.
func TestACardIsACopy(t *testing.T) {
	s := open(t)
	mine := sku("gpu.h100 hour on-demand=2")
	s.put(0, mine)
	mine.Prices["on-demand"] = 1
	if got := s.history().Latest().Find("gpu.h100").Prices["on-demand"]; got != amount("2") {
		t.Errorf("the card says %s", got)
	}
}

// A price that is more than a running flow can carry leaves that flow alone; no
// new one of that size can be had.
func TestAPriceTooMuchForAFlow(t *testing.T) {
	s := open(t)
	large, small := s.run(price.Ask{SKU: "gpu.h100", Quantity: units("10")}), s.run(price.Ask{SKU: "gpu.h100", Quantity: units("1")})
	s.put(0, sku("gpu.h100 hour on-demand=1000"))
	if got := s.item(large); got.Price.String() != "2.39" || got.Rate != 239e14 || got.Version != 1 {
		t.Errorf("the large flow costs %+v", got)
	}
	if got := s.item(small); got.Price.String() != "1000" || got.Rate != 1e18 {
		t.Errorf("the small flow costs %+v", got)
	}
	if _, err := s.history().Quote(price.Ask{SKU: "gpu.h100", Quantity: units("10")}, start); !fault.Is(err, fault.Invalid) {
		t.Errorf("a new flow of that size: %v", err)
	}
}

// What a later version overtakes never takes force.
func TestALaterVersionOvertakesScheduledOnes(t *testing.T) {
	s := open(t)
	flow := s.run(price.Ask{SKU: "gpu.h100", Quantity: credit.Units})
	s.put(2*hour, sku("gpu.h100 hour on-demand=3"))
	s.put(4*hour, sku("gpu.h100 hour on-demand=4"))
	if steps := s.item(flow).Next; len(steps) != 2 || steps[1].Version != 3 {
		t.Errorf("the running flow is told %+v", steps)
	}
	s.put(hour, sku("gpu.h100 hour on-demand=2.39"))
	if steps := s.item(flow).Next; len(steps) != 1 || steps[0].Version != 4 || steps[0].At != start+hour {
		t.Errorf("the running flow is told %+v", steps)
	}
	h := s.history()
	if cards := h.Scheduled(start); len(cards) != 1 || cards[0].Version != 4 {
		t.Errorf("%d versions are scheduled", len(cards))
	}
	if c := h.At(start + 5*hour); c.Version != 4 {
		t.Errorf("version %d is in force", c.Version)
	}
	if h.Latest().Version != 4 || h.Version(2).EffectiveAt != start+2*hour {
		t.Errorf("the overtaken versions are forgotten")
	}
}

func TestRunningWorkKeepsWhatIsNoLongerSold(t *testing.T) {
	s := open(t)
	h := s.history()
	items, err := h.Start([]price.Ask{{SKU: "gpu.h100", Quantity: units("8")}, {SKU: "cpu.vcpu", Quantity: units("4")}}, start)
	if err != nil {
		t.Fatal(err)
	}
	gpu, cpu := s.run(price.Ask{SKU: "gpu.h100", Quantity: units("8")}), s.run(price.Ask{SKU: "cpu.vcpu", Quantity: units("4")})
	s.put(0, sku("cpu.vcpu hour on-demand=0.03"))
	if got := s.item(gpu); got.Price.String() != "2.39" || len(got.Next) != 0 {
		t.Errorf("what is no longer sold costs %+v", got)
	}
	if got := s.item(cpu); got.Price.String() != "0.03" || got.Version != 2 || got.Rate != 12e13 {
		t.Errorf("what is still sold costs %+v", got)
	}
	h = s.history()
	less := []price.Ask{{SKU: "gpu.h100", Quantity: units("4")}, {SKU: "cpu.vcpu", Quantity: units("4")}}
	if _, err := h.Start(less, start); !strings.Contains(err.Error(), "no longer sold since 2026-11-22T09:00:00Z") {
		t.Errorf("a new flow gets what is no longer sold: %v", err)
	}
	changed, err := h.Change(items, less, start)
	if err != nil {
		t.Fatal(err)
	}
	if got := changed[0]; got.Price.String() != "2.39" || got.Version != 1 || got.Quantity != units("4") {
		t.Errorf("the running flow gets %+v", got)
	}
	if got := changed[1]; got.Price.String() != "0.03" || got.Version != 2 {
		t.Errorf("the running flow gets %+v", got)
	}
}

// Two different second versions are written; the first is undone.
func TestAnUndoneVersionIsForgotten(t *testing.T) {
	s := open(t)
	undone := fault.New(fault.Conflict, "no")
	err := s.db.Update(t.Context(), func(tx *db.Tx) error {
		if _, err := s.book.Put(tx, price.Default, []price.SKU{sku("gpu.ghost hour on-demand=1")}, 0); err != nil {
			return err
		}
		if h, err := s.book.History(tx, price.Default); err != nil || h.Latest().Find("gpu.ghost") == nil {
			t.Errorf("the unit does not see its own version: %v", err)
		}
		return undone
	})
	if err != undone {
		t.Fatal(err)
	}
	if h := s.history(); h.Latest().Version != 1 {
		t.Fatalf("%d versions", h.Latest().Version)
	}
	s.put(0, sku("gpu.real hour on-demand=2"))
	if h := s.history(); h.Latest().Find("gpu.real") == nil || h.Latest().Version != 2 {
		t.Errorf("version %d sells %+v", h.Latest().Version, h.Latest().SKUs)
	}
}

// After a restart a card is read once, also if nobody writes.
func TestAViewRemembersWhatItRead(t *testing.T) {
	s := open(t)
	book := price.NewBook(s.books)
	var read [2]*price.History
	for i := range read {
		err := s.db.View(t.Context(), func(tx *db.Tx) (err error) {
			read[i], err = book.History(tx, price.Default)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read[0] != read[1] {
		t.Error("the card was read twice")
	}
}

func TestCards(t *testing.T) {
	s := open(t)
	flow := s.run(price.Ask{SKU: "gpu.h100", Quantity: units("8")})
	for _, p := range []string{"1", "2"} {
		s.update(func(tx *db.Tx) error {
			_, err := s.book.Put(tx, "academic", []price.SKU{sku("gpu.h100 hour on-demand=" + p)}, 0)
			return err
		})
	}
	if got := s.item(flow); got.Price.String() != "2.39" || got.Card != "default" {
		t.Errorf("another card reprices %+v", got)
	}
	err := s.db.View(t.Context(), func(tx *db.Tx) error {
		names, err := db.All(tx, db.Value[string], `SELECT name FROM rate_cards WHERE version = 1 ORDER BY name`)
		if !slices.Equal(names, []string{"academic", "default"}) {
			t.Errorf("the cards are %v", names)
		}
		if _, unknown := s.book.History(tx, "nobody"); !fault.Is(unknown, fault.NotFound) {
			t.Errorf("the card of nobody: %v", unknown)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
