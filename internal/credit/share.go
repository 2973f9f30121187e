package credit

import "math/bits"

// Cent is the smallest amount that is paid or invoiced in money.
const Cent = One / 100

// WholeCents is the whole cents of an amount that is not negative: rounded down.
func (a Amount) WholeCents() Amount { return a - a%Cent }

// Share is amount × part / whole, rounded down, in 128 bits. Nothing may be negative, and
// a part is no more than the whole, which is more than zero: else it panics.
func Share[T ~int64](amount Amount, part, whole T) Amount {
	if amount < 0 || part < 0 || part > whole || whole == 0 {
		panic("credit: no share")
	}
	hi, lo := bits.Mul64(uint64(amount), uint64(part))
	n, _ := bits.Div64(hi, lo, uint64(whole))
	return Amount(n)
}
