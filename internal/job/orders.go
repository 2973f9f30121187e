package job

import (
	"encoding/json"
	"hash/fnv"
	"math"
	"math/big"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// stand is what the orders of a running job follow from.
type stand struct {
	run     Run
	stopped *Stop
	ended   int64 // when the engine ended the flow; 0 while it runs
	stopAt  int64 // when the wallet will end the flow; 0 never
	reason  string
	lease   int64 // until when the lease is granted
}

// landAt is when the run is signalled; 0 never.
func (s stand) landAt() int64 {
	if s.stopAt == 0 {
		return 0
	}
	return max(s.run.StartedAt, s.stopAt-s.run.Grace)
}

// orders says what the executor is to do. They are whole each time: nothing is
// remembered but the facts they follow from.
func (s stand) orders() Orders {
	o := Orders{Go: true, Land: s.landAt(), Kill: s.stopAt, Grace: s.run.Grace, LeaseUntil: s.lease, Reason: reasonOf(s.reason)}
	switch {
	case s.ended > 0: // whatever still runs is over the line
		o.Land, o.Kill = s.ended, s.ended
	case s.stopped != nil:
		o.Stop, o.Reason = true, ReasonStop
		if s.stopped.Grace != nil {
			o.Grace = *s.stopped.Grace
		}
	}
	o.Version = o.version()
	return o
}

// version is a digest of all that the executor must hear of at once.
func (o Orders) version() int64 {
	o.Version, o.Now, o.LeaseUntil = 0, 0, 0
	text, err := json.Marshal(o)
	if err != nil {
		panic("orders are plain numbers and texts: " + err.Error())
	}
	h := fnv.New64a()
	h.Write(text)
	return int64(h.Sum64()&math.MaxInt64) | 1
}

// reasonOf is the flow's reason in the words of jobs.
func reasonOf(reason string) string {
	if reason == wallet.ReasonUntil {
		return ReasonMaxRuntime
	}
	return reason
}

// near is how close a change must lie to be worth waking an executor for: what
// lies further off is heard with the next report, a few seconds later.
const near = 30 * db.Second

// matters reports whether an executor that holds these orders should hear of
// the others at once.
func (o Orders) matters(next Orders, now int64) bool {
	if o.Version == next.Version {
		return false
	}
	o.Land, o.Kill, next.Land, next.Kill = soon(o.Land, now), soon(o.Kill, now), soon(next.Land, now), soon(next.Kill, now)
	return o.version() != next.version()
}

func soon(at, now int64) int64 {
	if at > now+near {
		return 0
	}
	return at
}

// Leases says how long leases are.
type Leases struct{ Shortest, Longest int64 }

// DefaultLeases are between 30 s and an hour (docs/jobs.md).
func DefaultLeases() Leases { return Leases{30 * db.Second, db.Hour} }

// wanted is the lease for a runway (0: without end): a tenth of it, within the
// settings. It is rounded down to the shortest lease times a power of two: jobs
// with equal leases burn as one class, and a runway that moves a little moves no
// reservation.
func (l Leases) wanted(runway int64) int64 {
	if runway == 0 || runway/10 >= l.Longest {
		return l.Longest
	}
	lease := l.Shortest
	for lease*2 <= runway/10 {
		lease *= 2
	}
	return lease
}

// granted is how far a reserved lease may reach from now: lease and grace never
// pass the stop. Once the job is landing only the stop itself is left.
func granted(reserved, now, stop, grace int64) int64 {
	switch {
	case stop == 0:
		return reserved
	case stop-grace > now:
		return min(reserved, stop-grace-now)
	}
	return max(0, stop-now)
}

// grace is how long before its stop a run is signalled: as the job says, at most
// the longest run (0: without end), or as the wallet does, at most a quarter of
// that, so that a short job is not signalled at its first second.
func grace(asked *int64, policy, longest int64) int64 {
	g := policy
	if asked != nil {
		g = *asked
		if longest > 0 {
			g = min(g, longest)
		}
	} else if longest > 0 {
		g = min(g, longest/4)
	}
	return max(g, 1) // 0 would mean the wallet's
}

// lasts is how long an amount lasts at a rate per hour; 0 is without end.
func lasts(amount, perHour credit.Amount) int64 {
	if amount <= 0 || perHour <= 0 {
		return 0
	}
	n := credit.MulWide(uint64(amount), uint64(credit.Hour)).Big()
	if n.Quo(n, big.NewInt(int64(perHour))); !n.IsInt64() {
		return 0
	}
	return n.Int64()
}

// perHour is what items cost in an hour, each rounded up.
func perHour(items []wallet.Item) (sum credit.Amount, err error) {
	for _, item := range items {
		if sum, err = sum.Add(credit.PerHour(item.Rate, item.Period)); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// costFor is what items cost in a time, each rounded up.
func costFor(items []wallet.Item, dt int64) (sum credit.Amount, err error) {
	for _, item := range items {
		if sum, err = sum.Add(credit.Ceil(item.Rate, dt, item.Period)); err != nil {
			return 0, err
		}
	}
	return sum, nil
}
