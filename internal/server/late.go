package server

import (
	"strconv"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

// lateSource is the source of the events that a lost flow's true end makes.
const lateSource = "/purser/flows/late"

// stopLost takes in the true end of a flow that was closed at its last proof of
// life (SEMANTICS 13): what it used between the two, at the prices it had last, is
// a late fact, an event for each item that counts once. The flow itself stays as
// it was closed; the answer says what was charged besides.
func (u *unit) stopLost(f *wallet.Flow, end int64) (api.Flow, error) {
	if end < f.EndedAt {
		return api.Flow{}, fault.At("/at", "lies before the flow's last heartbeat, at %s", api.At(f.EndedAt))
	}
	readings, err := lateReadings(f, end)
	if err != nil {
		return api.Flow{}, err
	}
	late, err := u.usage.Reported(u.tx, u.id, lateSource, f.ID) // before, if it is told again
	if err != nil {
		return api.Flow{}, err
	}
	verdicts, err := u.usage.Record(u.tx, u.id, readings)
	if err != nil {
		return api.Flow{}, err
	}
	for _, v := range verdicts {
		late += v.Amount
		if v.Status == usage.Rejected {
			return api.Flow{}, fault.New(fault.Conflict, "the late usage of flow %s cannot be recorded: %s", f.ID, v.Fault.Message).
				WithCode("late_usage_rejected")
		}
	}
	result, err := u.ledger.Apply(u.tx, u.id)
	if err != nil {
		return api.Flow{}, err
	}
	flow, err := u.flow(f.ID, ledger.Result{At: result.At, Wallet: result.Wallet}, 0)
	flow.Late = amountOrNone(late)
	return flow, err
}

// lateReadings are what the flow's items used from its end on: in unit-hours or
// GiB-months, rounded down at the sixth place.
func lateReadings(f *wallet.Flow, end int64) ([]usage.Reading, error) {
	var readings []usage.Reading
	for i, item := range f.Items {
		n := credit.MulWide(uint64(item.Quantity), uint64(end-f.EndedAt)).Big()
		n.Quo(n, credit.MulWide(uint64(item.Period), 1).Big())
		if !n.IsInt64() {
			return nil, fault.At("/at", "is too late: the usage since the last heartbeat does not fit")
		}
		if n.Sign() == 0 {
			continue
		}
		readings = append(readings, usage.Reading{Event: usage.Event{
			Source: lateSource, ID: f.ID + "/" + strconv.Itoa(i), Type: "purser.flow.late", Subject: f.ID, At: f.EndedAt,
			Ask:     price.Ask{SKU: item.SKU, Tier: item.Tier, Region: item.Region, Quantity: credit.Quantity(n.Int64())},
			Project: f.Project, User: f.User, Job: f.Job,
		}, Item: &f.Items[i]})
	}
	return readings, nil
}
