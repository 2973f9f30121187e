package price_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/price"
)

// put is one version, as the model remembers it.
type put struct {
	at    int64
	price map[string]credit.Amount // by SKU
}

// priceAt is what running work costs: of the versions in force by then, the one
// made last that names the SKU. The first is in force from the beginning. A
// version is in force if none made later was to begin before it or with it.
func priceAt(puts []put, sku string, at int64) (credit.Amount, bool) {
	for v := len(puts) - 1; v >= 0; v-- {
		overtaken := slices.ContainsFunc(puts[v+1:], func(later put) bool { return later.at <= puts[v].at })
		if p, named := puts[v].price[sku]; named && !overtaken && (v == 0 || puts[v].at <= at) {
			return p, true
		}
	}
	return 0, false
}

// A running flow costs at every instant what the model says, whenever it began
// and whatever versions are made while it runs.
func TestRunningFlowsFollowRandomHistories(t *testing.T) {
	for seed := range uint64(10) {
		s := open(t)
		followRandomHistory(s, rand.New(rand.NewPCG(seed, 7)), seed)
		s.db.Close()
	}
}

func followRandomHistory(s *shop, r *rand.Rand, seed uint64) {
	names := []string{"gpu.a", "gpu.b"}
	s.put(0, sku("gpu.a hour on-demand=1"), sku("gpu.b hour on-demand=1"))
	puts := []put{{start, map[string]credit.Amount{"gpu.a": credit.One, "gpu.b": credit.One}}}
	s.advance(hour)
	flows := map[string]string{} // and their SKU
	for range 15 {
		now := s.clock.Now()
		for _, name := range names {
			if s.history().At(now).Find(name) != nil {
				flows[s.run(price.Ask{SKU: name, Quantity: credit.Units})] = name
			}
		}
		if next, skus := randomPut(r, names, now); len(skus) > 0 {
			s.put(next.at-now, skus...)
			puts = append(puts, next)
		}
		for range 2 * r.IntN(3) {
			s.advance(hour / 2)
			for flow, name := range flows {
				want, _ := priceAt(puts, name, s.clock.Now())
				if got := s.item(flow); got.Price != want || got.Rate != credit.Rate(want)*credit.Rate(credit.Units) {
					s.Fatalf("seed %d: after %d half hours %s costs %s (version %d), want %s",
						seed, (s.clock.Now()-start)*2/hour, name, got.Price, got.Version, want)
				}
			}
		}
	}
}

// randomPut names each SKU more often than not, and takes force in up to three
// hours.
func randomPut(r *rand.Rand, names []string, now int64) (put, []price.SKU) {
	next := put{now + int64(r.IntN(4))*hour, map[string]credit.Amount{}}
	var skus []price.SKU
	for _, name := range names {
		if p := credit.Amount(1+r.IntN(3)) * credit.One; r.IntN(4) > 0 {
			skus = append(skus, sku(name+" hour on-demand="+p.String()))
			next.price[name] = p
		}
	}
	return next, skus
}
