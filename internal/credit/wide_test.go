package credit_test

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

// FuzzWide holds 128-bit arithmetic against math/big.
func FuzzWide(f *testing.F) {
	f.Add(uint64(0), uint64(0), uint64(0), uint64(0), int64(1))
	f.Add(uint64(1), uint64(0), uint64(0), uint64(math.MaxUint64), int64(credit.Hour))
	f.Add(uint64(math.MaxInt64), uint64(math.MaxUint64), uint64(math.MaxInt64), uint64(math.MaxUint64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, aHi, aLo, bHi, bLo uint64, period int64) {
		// Both below 2^127, as Add asks.
		a, b := credit.Wide{Hi: aHi >> 1, Lo: aLo}, credit.Wide{Hi: bHi >> 1, Lo: bLo}
		equal := func(what string, got credit.Wide, want *big.Int) {
			t.Helper()
			if got.Big().Cmp(want) != 0 {
				t.Fatalf("%s of %s and %s: %s, want %s", what, a, b, got, want)
			}
		}
		equal("sum", a.Add(b), new(big.Int).Add(a.Big(), b.Big()))
		equal("product", credit.MulWide(aLo, bLo), new(big.Int).Mul(
			new(big.Int).SetUint64(aLo), new(big.Int).SetUint64(bLo)))
		if order := a.Big().Cmp(b.Big()); a.Less(b) != (order < 0) {
			t.Fatalf("%s < %s is %v", a, b, a.Less(b))
		} else if order >= 0 {
			equal("difference", a.Sub(b), new(big.Int).Sub(a.Big(), b.Big()))
		}
		if a.IsZero() != (a.Big().Sign() == 0) {
			t.Fatalf("%s is zero: %v", a, a.IsZero())
		}
		if p := credit.Period(period); p > 0 {
			q, r := p.DivMod(a)
			want, rest := new(big.Int).QuoRem(a.Big(), p.Divisor().Big(), new(big.Int))
			equal("quotient", q, want)
			equal("remainder", r, rest)
		}
		if again, err := credit.ParseWide(a.String()); err != nil || again != a {
			t.Fatalf("%s reads back as %s, %v", a, again, err)
		}
	})
}

func TestWideText(t *testing.T) {
	const most = "340282366920938463463374607431768211455"
	for text, fits := range map[string]bool{
		"0": true, "1": true, "18446744073709551616": true, most: true,
		"340282366920938463463374607431768211456": false, most + "0": false,
		"": false, "-1": false, "+1": false, "1.0": false, " 1": false, "1_0": false, "0x1": false,
	} {
		w, err := credit.ParseWide(text)
		if (err == nil) != fits {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if fits && w.String() != text {
			t.Errorf("%q is written %s", text, w)
		}
	}
}

func TestWideJSON(t *testing.T) {
	type row struct{ Rem credit.Wide }
	in := row{credit.Wide{Hi: 3, Lo: 14}}
	body, err := json.Marshal(in)
	if err != nil || string(body) != `{"Rem":"55340232221128654862"}` {
		t.Fatalf("%s, %v", body, err)
	}
	var out row
	if err := json.Unmarshal(body, &out); err != nil || out != in {
		t.Fatalf("%v, %v", out, err)
	}
	for _, bad := range []string{`{"Rem":1}`, `{"Rem":"-1"}`, `{"Rem":""}`} {
		if err := json.Unmarshal([]byte(bad), &out); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if out != in {
		t.Errorf("a refused text left %v", out)
	}
}
