package invoice

import (
	"math/big"

	"github.com/purserhq/purser/internal/credit"
)

// quantity adds up how much was used of a SKU: pieces, or for what is sold by time,
// unit-nanoseconds. It is exact, and rounded down only when it is written.
type quantity struct {
	period *big.Int
	sum    big.Int // micro-units × the period
}

func newQuantity(period int64) *quantity { return &quantity{period: big.NewInt(max(1, period))} }

// addPieces adds the same quantity a number of times.
func (q *quantity) addPieces(each, times int64) {
	part := new(big.Int).Mul(big.NewInt(each), big.NewInt(times))
	q.sum.Add(&q.sum, part.Mul(part, q.period))
}

// addTime adds a quantity that ran for a number of nanoseconds.
func (q *quantity) addTime(each, elapsed int64) {
	q.sum.Add(&q.sum, new(big.Int).Mul(big.NewInt(each), big.NewInt(elapsed)))
}

// String is the quantity in its unit, with six places at most, rounded down.
func (q *quantity) String() string {
	n := new(big.Int).Quo(&q.sum, q.period)
	if !n.IsInt64() {
		return ""
	}
	return credit.Quantity(n.Int64()).String()
}

// addQuantities adds two quantities as they are written.
func addQuantities(a, b string) string {
	x, _ := credit.ParseQuantity(a) // "" is none
	y, _ := credit.ParseQuantity(b)
	if x+y == 0 && a == "" && b == "" {
		return ""
	}
	return (x + y).String()
}
