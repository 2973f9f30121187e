package api

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Amount is a number of credits as decimal text with at most nine places, such
// as "12.5" or "-0.000000001". One credit is one US dollar.
type Amount string

// Nano returns the amount in nano-credits, exactly. The empty text is 0.
func (a Amount) Nano() (int64, error) {
	if a == "" {
		return 0, nil
	}
	return parseDecimal(string(a), 9)
}

// NanoCredits is the Amount of n nano-credits.
func NanoCredits(n int64) Amount { return Amount(formatDecimal(n, 9)) }

// Quantity is a number of units as decimal text with at most six places. In
// requests it may also be a JSON number, of which the digits are kept as they
// stand.
type Quantity string

// UnmarshalJSON takes a string or a number and keeps its text.
func (q *Quantity) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		return nil
	}
	if strings.HasPrefix(text, `"`) {
		unquoted, err := strconv.Unquote(text)
		if err != nil {
			return errors.New("a quantity is a decimal number")
		}
		text = unquoted
	}
	*q = Quantity(text)
	return nil
}

// Micro returns the quantity × 10^6, exactly. The empty text is 0.
func (q Quantity) Micro() (int64, error) {
	if q == "" {
		return 0, nil
	}
	return parseDecimal(string(q), 6)
}

// MicroUnits is the Quantity of n millionths of a unit.
func MicroUnits(n int64) Quantity { return Quantity(formatDecimal(n, 6)) }

// Instant is a point of time: RFC 3339 with at most nine fractional digits,
// always answered in UTC and without trailing zeros.
type Instant string

// UnixNano returns the instant in nanoseconds since 1970. The empty text is 0,
// which stands for no instant.
func (i Instant) UnixNano() (int64, error) {
	if i == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339Nano, string(i))
	if err != nil {
		return 0, errors.New(`is not an instant such as "2026-11-22T09:00:00.5Z"`)
	}
	if _, fraction, _ := strings.Cut(string(i), "."); digits(fraction) > 9 {
		return 0, errors.New("has more than nine fractional digits")
	}
	if t.Year() < 1970 || t.Year() > 2261 {
		return 0, errors.New("is not between the years 1970 and 2261")
	}
	return t.UnixNano(), nil
}

// digits counts the digits a text begins with.
func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// At is the Instant of Unix nanoseconds; 0 is the empty text.
func At(unixNano int64) Instant {
	if unixNano == 0 {
		return ""
	}
	return Instant(time.Unix(0, unixNano).UTC().Format(time.RFC3339Nano))
}

// AtOrNull is At for fields that are null when there is no instant.
func AtOrNull(unixNano int64) *Instant {
	if unixNano == 0 {
		return nil
	}
	i := At(unixNano)
	return &i
}

// Time returns the instant as a time; the zero time for none or a broken text.
func (i Instant) Time() time.Time {
	n, err := i.UnixNano()
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// parseDecimal reads a decimal text with at most the given places × 10^places.
func parseDecimal(s string, places int) (int64, error) {
	magnitude, negative := strings.CutPrefix(s, "-")
	whole, fraction, pointed := strings.Cut(magnitude, ".")
	if whole == "" || len(s) > 40 || pointed && fraction == "" {
		return 0, errors.New("is not a decimal number")
	}
	if len(fraction) > places {
		return 0, errors.New("has more than " + strconv.Itoa(places) + " decimal places")
	}
	var n uint64
	for _, c := range whole + fraction + strings.Repeat("0", places-len(fraction)) {
		if c < '0' || c > '9' {
			return 0, errors.New("is not a decimal number")
		}
		hi, lo := bits.Mul64(n, 10)
		n = lo + uint64(c-'0')
		if hi != 0 || n < uint64(c-'0') {
			return 0, errors.New("is too large")
		}
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), nil
	case !negative && n <= math.MaxInt64:
		return int64(n), nil
	}
	return 0, errors.New("is too large")
}

// formatDecimal writes n / 10^places without trailing zeros.
func formatDecimal(n int64, places int) string {
	magnitude, sign := uint64(n), ""
	if n < 0 {
		magnitude, sign = -uint64(n), "-"
	}
	text := strconv.FormatUint(magnitude, 10)
	if len(text) <= places {
		text = strings.Repeat("0", places+1-len(text)) + text
	}
	whole, fraction := text[:len(text)-places], strings.TrimRight(text[len(text)-places:], "0")
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}
