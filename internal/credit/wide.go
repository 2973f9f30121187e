package credit

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/bits"
)

// Wide is an unsigned 128-bit number. It carries the products and remainders
// of rate arithmetic; on the wire and in the database it is a decimal text.
type Wide struct{ Hi, Lo uint64 }

// MulWide returns a*b. It cannot overflow.
func MulWide(a, b uint64) Wide {
	hi, lo := bits.Mul64(a, b)
	return Wide{hi, lo}
}

// Add returns w+v; the caller keeps both below 2^127, so it does not wrap.
func (w Wide) Add(v Wide) Wide {
	lo, carry := bits.Add64(w.Lo, v.Lo, 0)
	hi, _ := bits.Add64(w.Hi, v.Hi, carry)
	return Wide{hi, lo}
}

// Sub returns w-v for w ≥ v.
func (w Wide) Sub(v Wide) Wide {
	lo, borrow := bits.Sub64(w.Lo, v.Lo, 0)
	hi, _ := bits.Sub64(w.Hi, v.Hi, borrow)
	return Wide{hi, lo}
}

// Less reports whether w < v.
func (w Wide) Less(v Wide) bool { return w.Hi < v.Hi || w.Hi == v.Hi && w.Lo < v.Lo }

// IsZero reports whether w is 0.
func (w Wide) IsZero() bool { return w.Hi == 0 && w.Lo == 0 }

// div64 returns w/d and w%d for d > 0.
func (w Wide) div64(d uint64) (Wide, uint64) {
	hi, rest := w.Hi/d, w.Hi%d
	lo, rest := bits.Div64(rest, w.Lo, d)
	return Wide{hi, lo}, rest
}

// Big returns w as a big.Int.
func (w Wide) Big() *big.Int {
	n := new(big.Int).SetUint64(w.Hi)
	return n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(w.Lo))
}

// String formats w in decimal.
func (w Wide) String() string { return w.Big().String() }

var errWide = errors.New("is not an unsigned 128-bit number")

// ParseWide reads the decimal text of a Wide: digits and nothing else.
func ParseWide(s string) (Wide, error) {
	if s == "" {
		return Wide{}, errWide
	}
	var w Wide
	for _, c := range []byte(s) {
		digit := uint64(c) - '0'
		high, shifted := bits.Mul64(w.Hi, 10)
		low := MulWide(w.Lo, 10)
		lo, carry := bits.Add64(low.Lo, digit, 0)
		hi, over := bits.Add64(shifted, low.Hi, carry)
		if digit > 9 || high != 0 || over != 0 {
			return Wide{}, errWide
		}
		w = Wide{hi, lo}
	}
	return w, nil
}

// MarshalJSON writes w as a decimal string.
func (w Wide) MarshalJSON() ([]byte, error) { return json.Marshal(w.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (w *Wide) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := ParseWide(s)
	if err == nil {
		*w = v
	}
	return err
}
