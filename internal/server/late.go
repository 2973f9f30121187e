package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// stopLost takes in the true end of a flow that was closed at its last proof of
// life (docs/concepts.md, leases): what it used between the two is a late fact, charged to the
// flow. Telling the same end again changes nothing.
func (u *unit) stopLost(f *wallet.Flow, end int64) (api.Flow, error) {
	switch {
	case f.Reason == wallet.ReasonLate && end != f.EndedAt:
		return api.Flow{}, flowEnded(f)
	case end < f.EndedAt:
		return api.Flow{}, fault.At("/at", "lies before the flow's last heartbeat, at %s", api.At(f.EndedAt))
	}
	var commands []wallet.Command
	if end > f.EndedAt {
		prices, err := u.prices.For(u.tx, u.id.Organization)
		if err != nil {
			return api.Flow{}, err
		}
		late := wallet.Late{Flow: *f, Until: end}
		if late.Flow.Items, err = prices.Resume(f.Items, f.Since, f.EndedAt); err != nil {
			return api.Flow{}, err
		}
		if late.Most, err = u.costLeft(f); err != nil {
			return api.Flow{}, err
		}
		commands = append(commands, late)
	}
	result, err := u.ledger.Apply(u.tx, u.id, commands...)
	if err != nil {
		return api.Flow{}, err
	}
	return u.flow(f.ID, result, 0)
}

// costLeft is what a flow with a largest cost may still be charged, at least a
// nano-credit; 0 for a flow without one.
func (u *unit) costLeft(f *wallet.Flow) (credit.Amount, error) {
	if f.Hold == "" {
		return 0, nil
	}
	h, err := u.ledger.Hold(u.tx, u.id, f.Hold)
	if err != nil {
		return 0, err
	}
	charged, err := u.ledger.Charged(u.tx, u.id, f)
	return max(1, h.Original-charged), err
}
