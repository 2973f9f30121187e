package price_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/price"
)

func TestBadCardsChangeNothing(t *testing.T) {
	s := open(t)
	good := sku("gpu.h100 hour on-demand=2")
	many := make([]price.SKU, price.MaxSKUs+1)
	for i := range many {
		many[i] = sku(fmt.Sprintf("llm.model-%d.input million on-demand=1", i))
	}
	negative, huge := sku("gpu.h100 hour"), sku("gpu.h100 hour")
	negative.Prices["spot"], huge.Prices["spot"] = -1, credit.Max
	long := good
	long.Description = strings.Repeat("x", 501)
	for _, c := range []struct {
		name, card string
		at         int64
		skus       []price.SKU
		pointer    string
		says       string
	}{
		{"in the past", "default", start - 1, []price.SKU{good}, "/effective_at", "in the past"},
		{"empty", "default", 0, nil, "/skus", "at least one"},
		{"too many", "default", 0, many, "/skus", "10001 SKUs"},
		{"twice", "default", 0, []price.SKU{good, good}, "/skus/1/sku", "stands there twice, first at /skus/0"},
		{"unknown unit", "default", 0, []price.SKU{good, sku("gpu.b300 minute on-demand=1")}, "/skus/1/unit", `"minute" is not a unit`},
		{"no unit", "default", 0, []price.SKU{{Name: "gpu.b300", Prices: good.Prices}}, "/skus/0/unit", "one of each, gib,"},
		{"another unit", "default", 0, []price.SKU{sku("gpu.h100 each on-demand=1")}, "/skus/0/unit", "sold by the hour since version 1"},
		{"no price", "default", 0, []price.SKU{sku("gpu.h100 hour")}, "/skus/0/prices", "has no price"},
		{"unknown tier", "default", 0, []price.SKU{sku("gpu.h100 hour cheap=1")}, "/skus/0/prices/cheap", "not a tier"},
		{"a tier with a slash", "default", 0, []price.SKU{sku("gpu.h100 hour a/b~c=1")}, "/skus/0/prices/a~1b~0c", "not a tier"},
		{"negative", "default", 0, []price.SKU{negative}, "/skus/0/prices/spot", "cannot be negative, and is -0.000000001"},
		{"too dear", "default", 0, []price.SKU{huge}, "/skus/0/prices/spot", "too much"},
		{"description", "default", 0, []price.SKU{long}, "/skus/0/description", "longer than 500"},
		{"no name", "default", 0, []price.SKU{{Unit: price.Hour, Prices: good.Prices}}, "/skus/0/sku", "not the name of an SKU"},
		{"upper case", "default", 0, []price.SKU{sku("gpu.H100 hour on-demand=1")}, "/skus/0/sku", "lower-case"},
		{"one word", "default", 0, []price.SKU{sku("gpu hour on-demand=1")}, "/skus/0/sku", "dotted"},
		{"two dots", "default", 0, []price.SKU{sku("gpu..h100 hour on-demand=1")}, "/skus/0/sku", "dotted"},
		{"a glob", "default", 0, []price.SKU{sku("gpu.* hour on-demand=1")}, "/skus/0/sku", "dotted"},
		{"an end of line", "default", 0, []price.SKU{{Name: "gpu.h100\n", Unit: price.Hour, Prices: good.Prices}}, "/skus/0/sku", `"gpu.h100\n"`},
		{"a long name", "default", 0, []price.SKU{sku("gpu." + strings.Repeat("x", 97) + " hour on-demand=1")}, "/skus/0/sku", "at most 100"},
		{"a card's name", "Default Card", 0, []price.SKU{good}, "", "cannot be the name of a rate card"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := s.db.Update(t.Context(), func(tx *db.Tx) error {
				_, err := s.book.Put(tx, c.card, c.skus, c.at)
				return err
			})
			checkFault(t, err, c.pointer, c.says)
			if h := s.history(); h.Latest().Version != 1 {
				t.Errorf("there are %d versions now", h.Latest().Version)
			}
		})
	}
}

func TestEverythingWrongIsToldAtOnce(t *testing.T) {
	s := open(t)
	skus := []price.SKU{sku("gpu.h100 minute cheap=1"), sku("GPU hour on-demand=1")}
	err := s.db.Update(t.Context(), func(tx *db.Tx) error {
		_, err := s.book.Put(tx, price.Default, skus, start-1)
		return err
	})
	f := fault.Of(err)
	if f == nil || len(f.Fields) != 4 || !strings.HasSuffix(f.Message, "(and 3 more)") {
		t.Errorf("%v, %+v", err, f)
	}
}

func TestRefusedAsks(t *testing.T) {
	s := open(t)
	s.put(0, append(price.Catalogue(), sku("gpu.left hour spot=1"))...)
	h := s.history()
	for _, c := range []struct {
		ask     price.Ask
		pointer string
		code    string
		says    string
	}{
		{price.Ask{SKU: "gpu.h1000", Quantity: credit.Units}, "/sku", "unknown_sku", `"gpu.h1000" is not sold; did you mean gpu.h100`},
		{price.Ask{SKU: "h100", Quantity: credit.Units}, "/sku", "unknown_sku", "did you mean gpu.h100?"},
		{price.Ask{SKU: "GPU.B300", Quantity: credit.Units}, "/sku", "unknown_sku", "did you mean gpu.b300"},
		{price.Ask{SKU: "", Quantity: credit.Units}, "/sku", "unknown_sku", `"" is not sold`},
		{price.Ask{SKU: strings.Repeat("é", 500), Quantity: credit.Units}, "/sku", "unknown_sku", "is not sold"},
		{price.Ask{SKU: "gpu.h100", Tier: "spott", Quantity: credit.Units}, "/tier", "unknown_tier", "did you mean spot?"},
		{price.Ask{SKU: "gpu.h100", Tier: "reserved", Quantity: credit.Units}, "/tier", "unknown_tier", "gpu.h100 has no reserved price on the rate card default, and is sold as on-demand or spot"},
		{price.Ask{SKU: "gpu.left", Quantity: credit.Units}, "/tier", "unknown_tier", "not sold as on-demand, only as spot"},
		{price.Ask{SKU: "storage.object", Tier: "spot", Quantity: credit.Units}, "/tier", "unknown_tier", "only as on-demand"},
		{price.Ask{SKU: "gpu.h100"}, "/quantity", "invalid", "must be more than 0"},
		{price.Ask{SKU: "gpu.h100", Quantity: -1}, "/quantity", "invalid", "-0.000001"},
		{price.Ask{SKU: "gpu.h100", Quantity: math.MaxInt64}, "/quantity", "invalid", "split it"},
		{price.Ask{SKU: "gpu.h100", Quantity: credit.Units, Region: strings.Repeat("x", 101)}, "/region", "invalid", "longer than 100"},
		{price.Ask{SKU: "network.egress", Quantity: credit.Units}, "/sku", "invalid", "report it as usage events"},
	} {
		_, err := h.Quote(c.ask, start)
		checkFault(t, err, c.pointer, c.says)
		if f := fault.Of(err); f != nil && f.Code != c.code {
			t.Errorf("%q has the code %s, want %s", c.says, f.Code, c.code)
		}
	}
	for sku, quantity := range map[string]string{
		"gpu.h100": "418411", "network.egress": "20000001", "storage.object": "38581", "storage.object.operations": "100000000001",
	} {
		ask := price.Ask{SKU: sku, Quantity: units(quantity)}
		_, err := h.Rate(ask, start)
		checkFault(t, err, "/quantity", "split it")
		ask.Quantity -= 1_000_000
		if _, err := h.Rate(ask, start); err != nil {
			t.Errorf("%s of %s: %v", ask.Quantity, sku, err)
		}
	}
	_, err := h.Rate(price.Ask{SKU: "gpu.h100", Quantity: math.MaxInt64}, start)
	checkFault(t, err, "/quantity", "split it")
}

func TestRefusedFlows(t *testing.T) {
	h := open(t).history()
	gpu, disk := price.Ask{SKU: "gpu.h100", Quantity: credit.Units}, price.Ask{SKU: "storage.cluster", Quantity: credit.Units}
	_, err := h.Start(nil, start)
	checkFault(t, err, "/items", "has 0 items")
	_, err = h.Start(make([]price.Ask, 101), start)
	checkFault(t, err, "/items", "has 101 items")
	_, err = h.Start([]price.Ask{gpu, {SKU: "gpu.h1", Quantity: 1}}, start)
	checkFault(t, err, "/items/1/sku", "/items/1/sku: \"gpu.h1\" is not sold")
	_, err = h.Start([]price.Ask{gpu, {SKU: "gpu.h100", Tier: "on-demand", Quantity: 1}}, start)
	checkFault(t, err, "/items/1/sku", "stands there twice")
	_, err = h.Start([]price.Ask{gpu, disk}, start)
	checkFault(t, err, "/items/1/sku", "all storage or none")
	if _, err = h.Start([]price.Ask{disk}, start); err != nil {
		t.Error(err)
	}
	if _, err = h.Start([]price.Ask{gpu, {SKU: "gpu.h100", Tier: "spot", Quantity: 1}}, start); err != nil {
		t.Error(err)
	}
}

func checkFault(t *testing.T, err error, pointer, says string) {
	t.Helper()
	f := fault.Of(err)
	if f == nil || f.Kind != fault.Invalid {
		t.Errorf("want a fault that says %q, got %v", says, err)
		return
	}
	if pointer != "" && (len(f.Fields) == 0 || f.Fields[0].Pointer != pointer) {
		t.Errorf("%q points at %+v, want %s", f.Message, f.Fields, pointer)
	}
	if !strings.Contains(f.Message, says) {
		t.Errorf("it says %q, want %q", f.Message, says)
	}
}
