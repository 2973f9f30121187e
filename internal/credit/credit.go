// Package credit holds amounts of credits and the exact arithmetic of rates.
//
// One credit is one US dollar. An [Amount] counts nano-credits in an int64, so
// the largest amount is 9,223,372,036.854775807 credits. No operation rounds
// except [Accrue] and [Cost], which round down once and, for a rate, hand the
// remainder back to be carried; nothing here wraps: what does not fit is
// [ErrOverflow].
package credit

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Amount is a number of nano-credits: 1 credit = 1,000,000,000.
type Amount int64

// One is one credit; Max is the largest amount.
const (
	One Amount = 1_000_000_000
	Max Amount = math.MaxInt64
)

// Places is the number of decimal places of an amount.
const Places = 9

// The ways in which a decimal text or a sum can be refused.
var (
	ErrSyntax    = errors.New("is not a decimal number")
	ErrLength    = errors.New("is too long")
	ErrPrecision = errors.New("has too many decimal places")
	ErrOverflow  = errors.New("is too large")
)

// Parse reads a decimal text such as "12.5" or "-0.000000001" exactly. It
// refuses more than nine places with [ErrPrecision] (even if they are zeros),
// what does not fit with [ErrOverflow], a text of more than 40 bytes with
// [ErrLength], and everything else that is not plain decimal digits (exponents,
// signs other than a leading minus, spaces) with [ErrSyntax].
func Parse(s string) (Amount, error) {
	n, err := parseDecimal(s, Places)
	return Amount(n), err
}

// String formats the amount exactly, without trailing zeros.
func (a Amount) String() string { return formatDecimal(int64(a), Places) }

// Add returns a+b, or [ErrOverflow].
func (a Amount) Add(b Amount) (Amount, error) {
	c := a + b
	if (c > a) != (b > 0) && b != 0 {
		return 0, ErrOverflow
	}
	return c, nil
}

// maxDecimal bounds the length of a decimal text: 19 digits, a sign, a point,
// and room for leading zeros that people paste.
const maxDecimal = 40

func parseDecimal(s string, places int) (int64, error) {
	if len(s) > maxDecimal {
		return 0, ErrLength
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, pointed := strings.Cut(digits, ".")
	if whole == "" || pointed && fraction == "" {
		return 0, ErrSyntax
	}
	for i := 0; i < len(digits); i++ {
		if c := digits[i]; (c < '0' || c > '9') && c != '.' {
			return 0, ErrSyntax
		}
	}
	if strings.Contains(fraction, ".") {
		return 0, ErrSyntax
	}
	if len(fraction) > places {
		return 0, ErrPrecision
	}
	var n uint64
	for _, c := range whole + fraction + strings.Repeat("0", places-len(fraction)) {
		hi, lo := bits.Mul64(n, 10)
		n = lo + uint64(c-'0')
		if hi != 0 || n < lo {
			return 0, ErrOverflow
		}
	}
	if negative {
		if n > 1<<63 {
			return 0, ErrOverflow
		}
		return -int64(n), nil
	}
	if n > math.MaxInt64 {
		return 0, ErrOverflow
	}
	return int64(n), nil
}

func formatDecimal(n int64, places int) string {
	u, sign := uint64(n), ""
	if n < 0 {
		u, sign = -uint64(n), "-"
	}
	unit := uint64(1)
	for range places {
		unit *= 10
	}
	whole, part := strconv.FormatUint(u/unit, 10), u%unit
	if part == 0 {
		return sign + whole
	}
	digits := strconv.FormatUint(part+unit, 10)[1:] // with leading zeros
	return sign + whole + "." + strings.TrimRight(digits, "0")
}
