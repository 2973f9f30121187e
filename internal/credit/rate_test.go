package credit_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

const second = int64(1_000_000_000)

func amount(t testing.TB, s string) credit.Amount {
	t.Helper()
	a, err := credit.Parse(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return a
}

func quantity(t testing.TB, s string) credit.Quantity {
	t.Helper()
	q, err := credit.ParseQuantity(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return q
}

// Worked examples of what is sold by time, settled once, every second, and at a
// thousand random instants.
func TestWorkedExamplesByTime(t *testing.T) {
	for _, c := range []struct {
		name, price, quantity string
		period                credit.Period
		seconds               int64
		want                  string
	}{
		{"8 GPUs for 2 h at 4.00", "4", "8", credit.Hour, 7_200, "64"},
		{"8 GPUs for 30 days at 2.49", "2.49", "8", credit.Hour, 2_592_000, "14342.4"},
		{"one vCPU for 60 s at 0.0128", "0.0128", "1", credit.Hour, 60, "0.000213333"},
		{"500 GiB for a month at 0.20", "0.20", "500", credit.Month, 2_592_000, "100"},
		{"half a GiB for a second at 0.03", "0.03", "0.5", credit.Month, 1, "0.000000005"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rate, err := credit.NewRate(amount(t, c.price), quantity(t, c.quantity))
			if err != nil {
				t.Fatal(err)
			}
			length := c.seconds * second
			check := func(how string, cuts []int64) {
				if got := settle(t, rate, c.period, cuts); got.String() != c.want {
					t.Errorf("settled %s: %s, want %s", how, got, c.want)
				}
			}
			check("once", []int64{length})
			check("every second", each(length, second))
			for seed := range uint64(20) {
				check("at a thousand random instants", randomCuts(seed, length, 1000))
			}
		})
	}
}

// The worked example that is sold by the piece: each line is rounded by itself.
func TestWorkedExampleByPieces(t *testing.T) {
	const million = 1_000_000
	input, err := credit.Cost(amount(t, "2.5"), quantity(t, "1000"), million)
	if err != nil {
		t.Fatal(err)
	}
	output, err := credit.Cost(amount(t, "10"), quantity(t, "500"), million)
	if err != nil {
		t.Fatal(err)
	}
	if sum := input + output; sum.String() != "0.0075" {
		t.Errorf("1,000 in and 500 out cost %s, want 0.0075", sum)
	}
}

// settle charges from 0 to the last cut, carrying the remainder.
func settle(t testing.TB, rate credit.Rate, period credit.Period, cuts []int64) credit.Amount {
	t.Helper()
	var sum credit.Amount
	var rem credit.Wide
	at := int64(0)
	for _, cut := range cuts {
		part, rest, err := credit.Accrue(rate, cut-at, rem, period)
		if err != nil {
			t.Fatal(err)
		}
		if !rest.Less(period.Divisor()) {
			t.Fatalf("the remainder %s is not below the divisor %s", rest, period.Divisor())
		}
		if sum, err = sum.Add(part); err != nil {
			t.Fatal(err)
		}
		at, rem = cut, rest
	}
	return sum
}

func each(length, step int64) []int64 {
	var cuts []int64
	for at := step; at <= length; at += step {
		cuts = append(cuts, at)
	}
	return cuts
}

func randomCuts(seed uint64, length int64, n int) []int64 {
	r := rand.New(rand.NewPCG(seed, 1))
	cuts := make([]int64, n, n+1)
	for i := range cuts {
		cuts[i] = r.Int64N(length + 1)
	}
	cuts = append(cuts, length)
	slices.Sort(cuts)
	return cuts
}

// FuzzAccrue cuts an interval at random and holds the sum of the parts, and
// the remainder, against one division in math/big.
func FuzzAccrue(f *testing.F) {
	f.Add(int64(4_000_000_000), int64(8_000_000), int64(7200)*second, int64(credit.Hour), uint64(1))
	f.Add(int64(12_800_000), int64(1_000_000), 60*second, int64(credit.Hour), uint64(2))
	f.Add(int64(1), int64(1), int64(1), int64(credit.Month), uint64(3))
	f.Add(int64(math.MaxInt64), int64(1), int64(math.MaxInt64), int64(1), uint64(4))
	f.Add(int64(math.MaxInt64), int64(1), int64(math.MaxInt64), int64(math.MaxInt64), uint64(5))
	f.Fuzz(func(t *testing.T, price, quantity, length, period int64, seed uint64) {
		rate, err := credit.NewRate(credit.Amount(price), credit.Quantity(quantity))
		if err != nil || length < 0 || period <= 0 {
			t.Skip("not an interval")
		}
		p := credit.Period(period)
		n := new(big.Int).Mul(big.NewInt(int64(rate)), big.NewInt(length))
		want, rest := new(big.Int).QuoRem(n, p.Divisor().Big(), new(big.Int))
		whole, rem, err := credit.Accrue(rate, length, credit.Wide{}, p)
		checkAmount(t, want, whole, err)
		checkCeil(t, rate, length, p, want, rest)
		if err != nil {
			return
		}
		if rem.Big().Cmp(rest) != 0 {
			t.Fatalf("the remainder is %s, want %s", rem, rest)
		}
		if length < math.MaxInt64 {
			if got := settle(t, rate, p, randomCuts(seed, length, 20)); got != whole {
				t.Fatalf("the parts add up to %d, the whole is %d", got, whole)
			}
		}
	})
}

// checkCeil says that Ceil is the next whole nano-credit, or saturates.
func checkCeil(t *testing.T, rate credit.Rate, length int64, p credit.Period, floor, rest *big.Int) {
	t.Helper()
	want := new(big.Int).Set(floor)
	if rest.Sign() > 0 {
		want.Add(want, big.NewInt(1))
	}
	if !want.IsInt64() {
		want.SetInt64(math.MaxInt64)
	}
	if got := credit.Ceil(rate, length, p); int64(got) != want.Int64() {
		t.Fatalf("rounded up it is %d, want %s", got, want)
	}
}

// FuzzCost holds rates and the cost of pieces against math/big.
func FuzzCost(f *testing.F) {
	for _, per := range []int64{1, 1_000_000} {
		f.Add(int64(2_500_000_000), int64(1_000_000_000), per)
		f.Add(int64(math.MaxInt64), int64(math.MaxInt64), per)
		f.Add(int64(-1), int64(1), per)
		f.Add(int64(1), int64(-1), per)
		f.Add(int64(math.MinInt64), int64(math.MinInt64), per)
	}
	f.Fuzz(func(t *testing.T, price, quantity, per int64) {
		if per <= 0 {
			t.Skip("per is positive")
		}
		product := new(big.Int).Mul(big.NewInt(price), big.NewInt(quantity))
		rate, rateErr := credit.NewRate(credit.Amount(price), credit.Quantity(quantity))
		cost, costErr := credit.Cost(credit.Amount(price), credit.Quantity(quantity), per)
		if price < 0 || quantity < 0 {
			if !errors.Is(rateErr, credit.ErrOverflow) || !errors.Is(costErr, credit.ErrOverflow) {
				t.Fatalf("a negative factor gave %d, %v and %d, %v", rate, rateErr, cost, costErr)
			}
			return
		}
		checkAmount(t, product, credit.Amount(rate), rateErr)
		divisor := new(big.Int).Mul(big.NewInt(int64(credit.Units)), big.NewInt(per))
		checkAmount(t, new(big.Int).Quo(product, divisor), cost, costErr)
	})
}

func TestPerHour(t *testing.T) {
	for _, c := range []struct {
		price, quantity string
		period          credit.Period
		want            string
	}{
		{"2.39", "8", credit.Hour, "19.12"},
		{"0.20", "720", credit.Month, "0.2"},
		{"0.20", "1", credit.Month, "0.000277778"}, // rounded up for display
		{"0", "8", credit.Hour, "0"},
	} {
		rate, err := credit.NewRate(amount(t, c.price), quantity(t, c.quantity))
		if err != nil {
			t.Fatal(err)
		}
		if got := credit.PerHour(rate, c.period); got.String() != c.want {
			t.Errorf("%s × %s is %s an hour, want %s", c.quantity, c.price, got, c.want)
		}
	}
}
