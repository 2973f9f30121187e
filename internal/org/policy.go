package org

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// The bounds of a policy. An amount leaves the sums of a wallet room below
// [credit.Max].
const (
	maxPolicyAmount = 1_000_000_000 * credit.One
	maxRunway       = 365 * 86_400 // seconds
	maxGrace        = 86_400       // seconds
	maxRetention    = 3_650        // days
	maxAlerts       = 20           // of each kind
)

// Patch changes what is not nil of a policy. Durations are in seconds.
type Patch struct {
	Overdraft          *credit.Amount
	BlockBelow         *credit.Amount
	MinRunwaySeconds   *int64
	GraceSeconds       *int64
	RetentionDays      *int64
	AlertPercents      *[]int
	AlertAmounts       *[]credit.Amount
	AlertRunwaySeconds *[]int64
}

// SetPolicy changes the policy of a wallet and returns the whole of it.
func (o *Orgs) SetPolicy(tx *db.Tx, id ledger.ID, p Patch) (wallet.Policy, error) {
	if err := p.check(); err != nil {
		return wallet.Policy{}, err
	}
	present, err := o.books.Apply(tx, id)
	if err != nil {
		return wallet.Policy{}, err
	}
	policy := p.apply(present.Wallet.Root().Policy)
	_, err = o.books.Apply(tx, id, wallet.SetPolicy{Policy: policy})
	return policy, err
}

func (p Patch) apply(to wallet.Policy) wallet.Policy {
	set(&to.Overdraft, p.Overdraft)
	set(&to.BlockBelow, p.BlockBelow)
	if p.MinRunwaySeconds != nil {
		to.MinRunway = *p.MinRunwaySeconds * db.Second
	}
	if p.GraceSeconds != nil {
		to.Grace = *p.GraceSeconds * db.Second
	}
	if p.RetentionDays != nil {
		to.RetentionDays = int(*p.RetentionDays)
	}
	if p.AlertPercents != nil {
		to.AlertPercents = descending(*p.AlertPercents)
	}
	if p.AlertAmounts != nil {
		to.AlertAmounts = descending(*p.AlertAmounts)
	}
	if p.AlertRunwaySeconds != nil {
		to.AlertRunways = descending(*p.AlertRunwaySeconds)
		for i := range to.AlertRunways {
			to.AlertRunways[i] *= db.Second
		}
	}
	return to
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// descending puts alerts into the order in which they come, each once.
func descending[T int | int64 | credit.Amount](values []T) []T {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	slices.Reverse(sorted)
	return sorted
}

// check refuses what is out of bounds, all of it at once.
func (p Patch) check() error {
	var wrong []fault.Field
	refuse := func(pointer, format string, args ...any) {
		wrong = append(wrong, fault.Field{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	money := func(pointer string, a *credit.Amount) {
		if a != nil && (*a < 0 || *a > maxPolicyAmount) {
			refuse(pointer, "must be between 0 and %s, and is %s", maxPolicyAmount, *a)
		}
	}
	number := func(pointer string, n *int64, low, high int64) {
		if n != nil && (*n < low || *n > high) {
			refuse(pointer, "must be between %d and %d, and is %d", low, high, *n)
		}
	}
	money("/overdraft", p.Overdraft)
	money("/block_below", p.BlockBelow)
	number("/min_runway_seconds", p.MinRunwaySeconds, 0, maxRunway)
	number("/grace_seconds", p.GraceSeconds, 0, maxGrace)
	number("/retention_days", p.RetentionDays, 0, maxRetention)
	each("/alert_percents", p.AlertPercents, refuse, func(pointer string, percent int) {
		n := int64(percent)
		number(pointer, &n, 1, 100)
	})
	each("/alert_amounts", p.AlertAmounts, refuse, func(pointer string, a credit.Amount) { money(pointer, &a) })
	each("/alert_runway_seconds", p.AlertRunwaySeconds, refuse, func(pointer string, n int64) { number(pointer, &n, 1, maxRunway) })
	if len(wrong) == 0 {
		return nil
	}
	f := fault.At(wrong[0].Pointer, "%s", wrong[0].Message)
	f.Fields = wrong
	return f
}

func each[T any](pointer string, values *[]T, refuse func(pointer, format string, args ...any), check func(pointer string, value T)) {
	if values == nil {
		return
	}
	if len(*values) > maxAlerts {
		refuse(pointer, "has %d entries; at most %d", len(*values), maxAlerts)
		return
	}
	for i, v := range *values {
		check(fmt.Sprintf("%s/%d", pointer, i), v)
	}
}
