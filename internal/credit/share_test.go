package credit

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// A share is what integers of any size say, up to the largest amounts.
func TestShare(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		amount := Amount(random.Int64() >> random.IntN(63))
		whole := 1 + (random.Int64N(math.MaxInt64-1) >> random.IntN(62))
		part := random.Int64N(whole + 1)
		n := new(big.Int).Mul(big.NewInt(int64(amount)), big.NewInt(part))
		if got, want := Share(amount, part, whole), n.Quo(n, big.NewInt(whole)).Int64(); int64(got) != want {
			t.Fatalf("%d × %d / %d is %d, not %d", amount, part, whole, got, want)
		}
	}
	if got := Share[int64](math.MaxInt64, math.MaxInt64, math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("all of the largest: %d", got)
	}
}

func TestShareOfNothing(t *testing.T) {
	for name, share := range map[string]func(){
		"more than the whole": func() { Share[int64](1, 3, 2) },
		"of nothing":          func() { Share[int64](1, 0, 0) },
		"negative amount":     func() { Share[int64](-1, 1, 2) },
		"negative part":       func() { Share[int64](1, -1, 2) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			share()
		}()
	}
}

func TestWhole(t *testing.T) {
	for a, want := range map[Amount]Amount{0: 0, 1: 0, Cent - 1: 0, Cent: Cent, 3*Cent + 7: 3 * Cent} {
		if got := a.WholeCents(); got != want {
			t.Errorf("the whole cents of %s are %s", a, got)
		}
	}
}
