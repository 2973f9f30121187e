package api

import (
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
)

const hour = 3_600_000_000_000

// A wallet that is ticked for a while reads as if it had been computed anew.
func TestTickingIsExact(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 500 {
		since := int64(1_795_338_000_000_000_000)
		asOf := since + random.Int64N(10*hour)
		var classes []Class
		naive := func(at int64) *big.Int {
			sum := new(big.Int)
			for _, c := range classes {
				rate, _ := new(big.Int).SetString(c.Rate, 10)
				rem, _ := new(big.Int).SetString(c.Remainder, 10)
				n := rate.Mul(rate, big.NewInt(at-since))
				sum.Add(sum, n.Add(n, rem).Div(n, new(big.Int).Mul(big.NewInt(c.Per), big.NewInt(1e6))))
			}
			return sum
		}
		for range 1 + random.IntN(5) {
			per := int64(hour)
			if random.IntN(2) == 0 {
				per *= 720
			}
			classes = append(classes, Class{
				Rate: strconv.FormatInt(random.Int64(), 10), Per: per, Since: At(since),
				Remainder: strconv.FormatInt(random.Int64N(hour), 10) + "000000", Items: 1,
			})
		}
		m, err := NewMeter(classes, asOf, 0)
		if err != nil {
			t.Fatal(err)
		}
		at := asOf + random.Int64N(hour)
		want := new(big.Int).Sub(naive(at), naive(asOf))
		if got := m.Since(at); want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("accrued %d, want %s", got, want)
		}
	}
}

// 8 × B300 at 7.50 burn a nano-credit every 60 nanoseconds.
func TestTickerStopsWhenTheWalletIsEmpty(t *testing.T) {
	begin := int64(1_795_338_000_000_000_000)
	e := BalanceEvent{
		Balance: Balance{Balance: "0.5", Overdraft: "0", AsOf: At(begin), EmptyAt: AtOrNull(begin + 30_000_000_000)},
		Classes: []Class{{Rate: "60000000000000000", Per: hour, Since: At(begin), Remainder: "0", Items: 8}},
		Clock:   "system",
	}
	ticker, err := NewTicker(e)
	if err != nil {
		t.Fatal(err)
	}
	for elapsed, want := range map[int64]int64{
		0: 500_000_000, 59: 500_000_000, 60: 499_999_999, 15_000_000_000: 250_000_000,
		30_000_000_000: 0, 31_000_000_000: 0,
	} {
		if got := ticker.Balance(elapsed); got != want {
			t.Errorf("after %d ns the balance is %d, want %d", elapsed, got, want)
		}
	}
	e.Clock = "test"
	if ticker, _ = NewTicker(e); ticker.Balance(15_000_000_000) != 500_000_000 {
		t.Error("the balance moved under a test clock")
	}
}
