package api

import (
	"fmt"
	"math"
	"math/big"
)

// Meter ticks what accrues by itself, between two answers of the server. It
// computes as the server does: for every class the whole nano-credits that it
// has accrued, and their sum, so that no time a reading differs from what the
// server would have answered then by more than [Class] says.
type Meter struct {
	asOf, until int64
	classes     []meterClass
}

type meterClass struct {
	rate, remainder, divisor *big.Int
	since                    int64
	before                   *big.Int // accrued at asOf
}

// NewMeter makes a meter of classes as they were at asOf. It stands still from
// until on, if that is not 0.
func NewMeter(classes []Class, asOf, until int64) (*Meter, error) {
	m := &Meter{asOf: asOf, until: until}
	for i, c := range classes {
		rate, okRate := new(big.Int).SetString(c.Rate, 10)
		rem, okRem := new(big.Int).SetString(c.Remainder, 10)
		since, err := c.Since.UnixNano()
		if !okRate || !okRem || err != nil || c.Per <= 0 {
			return nil, fmt.Errorf("class %d cannot be read: %+v", i, c)
		}
		divisor := new(big.Int).Mul(big.NewInt(c.Per), big.NewInt(1_000_000))
		class := meterClass{rate: rate, remainder: rem, divisor: divisor, since: since}
		class.before = class.accrued(asOf)
		m.classes = append(m.classes, class)
	}
	return m, nil
}

// accrued is the whole nano-credits from since to at.
func (c meterClass) accrued(at int64) *big.Int {
	n := new(big.Int).Mul(c.rate, big.NewInt(max(at-c.since, 0)))
	n.Add(n, c.remainder)
	return n.Quo(n, c.divisor)
}

// Since is how many nano-credits have accrued from asOf to at; 0 before asOf.
func (m *Meter) Since(at int64) int64 {
	if m.until != 0 {
		at = min(at, m.until)
	}
	at = max(at, m.asOf)
	sum := new(big.Int)
	for _, c := range m.classes {
		sum.Add(sum, c.accrued(at))
		sum.Sub(sum, c.before)
	}
	if !sum.IsInt64() {
		return math.MaxInt64
	}
	return sum.Int64()
}

// Ticker ticks a balance by itself until the next event of its stream.
type Ticker struct {
	meter   *Meter
	balance int64
	asOf    int64
	stands  bool
	lowest  int64
}

// NewTicker makes a ticker of an event.
func NewTicker(e BalanceEvent) (*Ticker, error) {
	asOf, err := e.AsOf.UnixNano()
	if err != nil {
		return nil, fmt.Errorf("as_of %w", err)
	}
	balance, err := e.Balance.Balance.Nano()
	if err != nil {
		return nil, fmt.Errorf("balance %w", err)
	}
	overdraft, err := e.Overdraft.Nano()
	if err != nil {
		return nil, fmt.Errorf("overdraft %w", err)
	}
	var until int64
	if e.EmptyAt != nil {
		if until, err = e.EmptyAt.UnixNano(); err != nil {
			return nil, fmt.Errorf("empty_at %w", err)
		}
	}
	meter, err := NewMeter(e.Classes, asOf, until)
	lowest := min(balance, -overdraft)
	return &Ticker{meter, balance, asOf, e.Clock == "test", lowest}, err
}

// Balance is the balance, in nano-credits, elapsed nanoseconds after the event.
// It never falls below the overdraft, and stands still under a test clock.
func (t *Ticker) Balance(elapsed int64) int64 {
	if t.stands {
		elapsed = 0
	}
	return max(t.balance-t.meter.Since(t.asOf+elapsed), t.lowest)
}
