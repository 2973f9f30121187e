package credit_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

// A JSON number is written out exactly, whatever its form.
func TestPlain(t *testing.T) {
	for number, want := range map[string]string{
		"5": "5", "-5": "-5", "5.0": "5", "5e1": "50", "5E+1": "50", "50e-1": "5", "-1.5e0": "-1.5", "0.5e1": "5", "1.25e1": "12.5",
		"1e-6": "0.000001", "15e-7": "0.0000015", "0e9": "0", "0.000": "0", "-0.0": "0", "0.10": "0.1", "100e-1": "10", "1e-1": "0.1",
		"9007199254740993.0": "9007199254740993", "123456789.000001e6": "123456789000001", "1e9999999999": "1e9999999999", "1e61": "1e61",
	} {
		if got := credit.Plain(number); got != want {
			t.Errorf("%s is %s, want %s", number, got, want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("12.50e3")
	f.Fuzz(func(t *testing.T, number string) {
		before, ok := new(big.Rat).SetString(number)
		if !ok || strings.Trim(number, "-+.0123456789eE") != "" || strings.HasPrefix(number, "+") || len(number) > 100 {
			return
		}
		plain := credit.Plain(number)
		if after, ok := new(big.Rat).SetString(plain); !ok || before.Cmp(after) != 0 {
			t.Errorf("%s became %s", number, plain)
		}
	})
}
