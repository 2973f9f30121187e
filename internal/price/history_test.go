package price_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
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

// A flow that is told of every version as it is made costs at every instant what
// the model says, whenever it began.
func TestRunningFlowsFollowRandomHistories(t *testing.T) {
	names := []string{"gpu.a", "gpu.b"}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := open(t)
		s.put(0, sku("gpu.a hour on-demand=1"), sku("gpu.b hour on-demand=1"))
		puts := []put{{start, map[string]credit.Amount{"gpu.a": credit.One, "gpu.b": credit.One}}}
		s.advance(hour)
		var flows []wallet.Item
		var began []int64
		for range 15 {
			now := s.clock.Now()
			for _, name := range names {
				if item, err := s.history().Quote(price.Ask{SKU: name, Quantity: credit.Units}, now); err == nil {
					flows, began = append(flows, item), append(began, now)
				}
			}
			in := int64(r.IntN(4)) * hour
			var skus []price.SKU
			next := put{now + in, map[string]credit.Amount{}}
			for _, name := range names {
				if p := credit.Amount(1+r.IntN(3)) * credit.One; r.IntN(4) > 0 {
					skus = append(skus, sku(name+" hour on-demand="+p.String()))
					next.price[name] = p
				}
			}
			if len(skus) > 0 {
				_, commands := s.put(in, skus...)
				puts = append(puts, next)
				for i := range flows {
					tell(&flows[i], commands)
				}
			}
			s.advance(int64(r.IntN(3)) * hour)
		}
		for i, f := range flows {
			for at := began[i]; at < s.clock.Now()+6*hour; at += hour / 2 {
				want, _ := priceAt(puts, f.SKU, at)
				// Several versions within one instant: the flow began between them.
				if got := costs(f, at); got != want && at != began[i] {
					t.Fatalf("seed %d: flow %d of %s costs %s after %d half hours, want %s", seed, i, f.SKU, got, (at-start)*2/hour, want)
				}
			}
		}
		s.db.Close()
	}
}

// tell does what the wallet does with a Reprice: its step replaces those from
// its instant on.
func tell(item *wallet.Item, commands []wallet.Reprice) {
	for _, c := range commands {
		if c.SKU == item.SKU && c.Tier == item.Tier {
			later := slices.IndexFunc(item.Next, func(s wallet.Step) bool { return s.At >= c.Step.At })
			if later >= 0 {
				item.Next = item.Next[:later:later]
			}
			item.Next = append(item.Next, c.Step)
		}
	}
}

func costs(item wallet.Item, at int64) credit.Amount {
	p := item.Price
	for _, s := range item.Next {
		if s.At <= at {
			p = s.Price
		}
	}
	return p
}
