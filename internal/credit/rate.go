package credit

import (
	"math"
	"math/bits"
)

// Quantity is a number of units × 10^6: eight GPUs are 8,000,000.
type Quantity int64

// QuantityPlaces is the number of decimal places of a quantity.
const QuantityPlaces = 6

// Units is one whole unit.
const Units Quantity = 1_000_000

// ParseQuantity reads a decimal text with at most six places; its errors are
// those of [Parse].
func ParseQuantity(s string) (Quantity, error) {
	n, err := parseDecimal(s, QuantityPlaces)
	return Quantity(n), err
}

// String formats the quantity exactly, without trailing zeros.
func (q Quantity) String() string { return formatDecimal(int64(q), QuantityPlaces) }

// Period is the time, in nanoseconds, for which a price buys one unit.
type Period int64

// Hour and Month are the periods of the catalogue; a month is 30 days.
const (
	Hour  Period = 3_600_000_000_000
	Month Period = 720 * Hour
)

// Rate is what one item costs: nano-credits × 10^6 per [Period].
type Rate int64

// NewRate returns price × quantity, or [ErrOverflow]. Neither may be negative.
func NewRate(price Amount, quantity Quantity) (Rate, error) {
	hi, lo := bits.Mul64(uint64(price), uint64(quantity))
	if price < 0 || quantity < 0 || hi != 0 || lo > math.MaxInt64 {
		return 0, ErrOverflow
	}
	return Rate(lo), nil
}

// Divisor is the exact divisor of rates over this period, the period × 10^6: the
// remainder of an accrual is always below it.
func (p Period) Divisor() Wide { return MulWide(uint64(p), uint64(Units)) }

// DivMod returns n / (p × 10^6) and the remainder. The quotient may need all
// 128 bits; [Accrue] refuses what an amount cannot hold.
func (p Period) DivMod(n Wide) (Wide, Wide) {
	micro, r1 := n.div64(uint64(Units))
	q, r2 := micro.div64(uint64(p))
	return q, MulWide(r2, uint64(Units)).Add(Wide{0, r1})
}

// Accrue charges an interval of dt nanoseconds at rate per period, with the
// remainder of the interval before it: the whole nano-credits of
// (rate*dt + rem) / (period*10^6), rounded down, and the remainder to carry.
// However often an interval is cut, the parts add up to the charge for the
// whole (docs/concepts.md, credits and amounts). It returns [ErrOverflow] if the
// charge does not fit an Amount, and requires dt ≥ 0.
func Accrue(rate Rate, dt int64, rem Wide, period Period) (Amount, Wide, error) {
	q, rest := period.DivMod(MulWide(uint64(rate), uint64(dt)).Add(rem))
	if q.Hi != 0 || q.Lo > math.MaxInt64 {
		return 0, Wide{}, ErrOverflow
	}
	return Amount(q.Lo), rest, nil
}

// Ceil is the cost of an interval rounded up: what must be set aside so that
// the interval can never cost more. It saturates at [Max].
func Ceil(rate Rate, dt int64, period Period) Amount {
	q, rest := period.DivMod(MulWide(uint64(rate), uint64(dt)))
	if q.Hi != 0 || q.Lo >= math.MaxInt64 {
		return Max
	}
	if !rest.IsZero() {
		q.Lo++
	}
	return Amount(q.Lo)
}

// PerHour is the rate in nano-credits per hour, rounded up: for display only.
func PerHour(rate Rate, period Period) Amount { return Ceil(rate, int64(Hour), period) }

// Cost prices one event: price × quantity / per, rounded down once, where
// price buys per pieces (1, or 10^6 for the unit million), per > 0. It returns
// [ErrOverflow] if the cost does not fit, or if a factor is negative.
func Cost(price Amount, quantity Quantity, per int64) (Amount, error) {
	if price < 0 || quantity < 0 {
		return 0, ErrOverflow
	}
	micro, _ := MulWide(uint64(price), uint64(quantity)).div64(uint64(Units))
	q, _ := micro.div64(uint64(per))
	if q.Hi != 0 || q.Lo > math.MaxInt64 {
		return 0, ErrOverflow
	}
	return Amount(q.Lo), nil
}
