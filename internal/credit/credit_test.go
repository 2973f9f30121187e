package credit_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"os"
	"strconv"
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

// decimalCase is a line of testdata/decimals.json, which the web client's tests
// read too.
type decimalCase struct {
	Text, Units, Format, Error string
}

var refusals = map[string]error{
	"": nil, "syntax": credit.ErrSyntax, "length": credit.ErrLength,
	"precision": credit.ErrPrecision, "overflow": credit.ErrOverflow,
}

func decimalCases(t testing.TB) (amounts, quantities []decimalCase) {
	t.Helper()
	body, err := os.ReadFile("testdata/decimals.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Amounts, Quantities []decimalCase }
	if err := json.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Amounts) < 50 || len(file.Quantities) < 10 {
		t.Fatalf("only %d and %d cases were read", len(file.Amounts), len(file.Quantities))
	}
	return file.Amounts, file.Quantities
}

func (c decimalCase) check(t *testing.T, units int64, err error, format func(int64) string) {
	t.Helper()
	want, known := refusals[c.Error]
	if !known {
		t.Fatalf("%q: there is no refusal called %q", c.Text, c.Error)
	}
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%q: got error %v, want %v", c.Text, err, want)
		return
	}
	if want != nil {
		if units != 0 {
			t.Errorf("%q: refused, and yet %d", c.Text, units)
		}
		return
	}
	if got := strconv.FormatInt(units, 10); got != c.Units {
		t.Errorf("%q is %s inside, want %s", c.Text, got, c.Units)
	}
	if got := format(units); got != c.Format {
		t.Errorf("%q is written %q, want %q", c.Text, got, c.Format)
	}
}

func TestDecimals(t *testing.T) {
	amounts, quantities := decimalCases(t)
	for _, c := range amounts {
		n, err := credit.Parse(c.Text)
		c.check(t, int64(n), err, func(n int64) string { return credit.Amount(n).String() })
	}
	for _, c := range quantities {
		n, err := credit.ParseQuantity(c.Text)
		c.check(t, int64(n), err, func(n int64) string { return credit.Quantity(n).String() })
	}
}

// FuzzParse holds Parse against math/big: an accepted text has exactly the
// value that it says, and is written so that it reads back as the same.
func FuzzParse(f *testing.F) {
	amounts, quantities := decimalCases(f)
	for _, c := range append(amounts, quantities...) {
		f.Add(c.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := credit.Parse(text)
		checkParsed(t, text, int64(amount), err, credit.Places)
		if again, e := credit.Parse(amount.String()); err == nil && (e != nil || again != amount) {
			t.Fatalf("%q is %d, written %s, read back as %d, %v", text, amount, amount, again, e)
		}
		quantity, err := credit.ParseQuantity(text)
		checkParsed(t, text, int64(quantity), err, credit.QuantityPlaces)
		if again, e := credit.ParseQuantity(quantity.String()); err == nil && (e != nil || again != quantity) {
			t.Fatalf("%q is %d, written %s, read back as %d, %v", text, quantity, quantity, again, e)
		}
	})
}

func checkParsed(t *testing.T, text string, units int64, err error, places int) {
	t.Helper()
	if err != nil {
		if units != 0 {
			t.Fatalf("%q: refused, and yet %d", text, units)
		}
		return
	}
	want, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is taken as %d, but it is no number", text, units)
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	if got := new(big.Rat).SetFrac(big.NewInt(units), scale); got.Cmp(want) != 0 {
		t.Fatalf("%q is taken as %s", text, got)
	}
}

// FuzzFormat: every number inside has one text, which reads back.
func FuzzFormat(f *testing.F) {
	for _, n := range []int64{0, 1, -1, 999_999_999, math.MaxInt64, math.MinInt64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		if got, err := credit.Parse(credit.Amount(n).String()); err != nil || int64(got) != n {
			t.Fatalf("%d is written %s and read as %d, %v", n, credit.Amount(n), got, err)
		}
		if got, err := credit.ParseQuantity(credit.Quantity(n).String()); err != nil || int64(got) != n {
			t.Fatalf("%d is written %s and read as %d, %v", n, credit.Quantity(n), got, err)
		}
	})
}

// FuzzAdd holds sums against math/big: exact, or refused.
func FuzzAdd(f *testing.F) {
	edges := []int64{0, 1, -1, 5, math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1}
	for _, a := range edges {
		for _, b := range edges {
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		sum, err := credit.Amount(a).Add(credit.Amount(b))
		checkAmount(t, new(big.Int).Add(big.NewInt(a), big.NewInt(b)), sum, err)
	})
}

// checkAmount says that got is want, or refused because want does not fit.
func checkAmount(t *testing.T, want *big.Int, got credit.Amount, err error) {
	t.Helper()
	if !want.IsInt64() {
		if !errors.Is(err, credit.ErrOverflow) {
			t.Fatalf("%s does not fit, got %d, %v", want, int64(got), err)
		}
		return
	}
	if err != nil || int64(got) != want.Int64() {
		t.Fatalf("got %d, %v, want %s", int64(got), err, want)
	}
}
