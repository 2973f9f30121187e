package e2e

import (
	"context"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/purserhq/purser/api"
)

// auditor gives commands and keeps its own books of what was answered: every answer
// must stand, each command must have been done once, and the balance must be what its
// own arithmetic makes of it.
type auditor struct {
	s       *server
	start   int64 // balance in nano-credits
	mu      sync.Mutex
	told    map[string]fact
	last    time.Time     // of an answer
	gap     time.Duration // the longest time in which nobody was answered
	longest time.Duration // that one command waited for its answer
}

// fact is what was answered to a command.
type fact struct {
	lot, flow string // the id of what it made
	amount    int64  // what it did to the balance, in nano-credits
}

func (s *server) audit() *auditor {
	s.t.Helper()
	return &auditor{s: s, start: credits(s.t, s.balance().Balance), told: map[string]fact{}, last: time.Now()}
}

// load has many clients give commands until it is told to stop; then each has the
// answer to its last.
func (a *auditor) load(name string, clients int) (stop func()) {
	a.s.t.Helper()
	var all sync.WaitGroup
	stopped := make(chan struct{})
	for c := range clients {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stopped:
					return
				default:
				}
				if err := a.give(fmt.Sprintf("%s, client %d, command %d", name, c, n), n); err != nil {
					a.s.t.Error("a command failed:", err)
					return
				}
			}
		})
	}
	return func() { close(stopped); all.Wait() }
}

// give gives one command under a key of its own, until it is answered.
func (a *auditor) give(name string, n int) error {
	began := time.Now()
	for {
		f, err := a.command(name, n)
		if err == nil {
			a.note(name, f, time.Since(began))
			return nil
		}
		if time.Since(began) > 2*time.Minute {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
}

func (a *auditor) note(name string, f fact, waited time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told[name] = f
	a.longest = max(a.longest, waited)
	a.gap = max(a.gap, time.Since(a.last))
	a.last = time.Now()
}

func (a *auditor) command(name string, n int) (fact, error) {
	s, ctx := a.s, api.WithKey(a.s.ctx, name)
	switch n % 3 {
	case 0:
		amount := int64(1 + n%7)
		l, err := s.client.Grant(ctx, "acme", api.NewGrant{Amount: api.NanoCredits(amount), Kind: "promotional", Reason: name})
		return fact{lot: l.ID, amount: amount}, err
	case 1:
		quantity := int64(1 + n%5) // millionths of a GiB of 0.05
		v, err := s.client.ReportUsage(ctx, "acme", []api.UsageEvent{{
			SpecVersion: "1.0", ID: name, Source: "/e2e", Type: "purser.usage",
			Data: api.UsageData{SKU: "network.egress", Quantity: api.Quantity(fmt.Sprintf("0.%06d", quantity))},
		}})
		if err == nil && v.Rejected > 0 {
			err = fmt.Errorf("rejected: %+v", v.Items)
		}
		return fact{amount: -50 * quantity}, err
	}
	return a.flow(ctx, name)
}

// flow starts a flow and stops it.
func (a *auditor) flow(ctx context.Context, name string) (fact, error) {
	f, err := a.s.client.StartFlow(ctx, "acme", api.NewFlow{Items: []api.NewItem{{SKU: "cpu.vcpu", Quantity: "1"}}, Label: name})
	if err != nil {
		return fact{}, err
	}
	end, err := a.s.client.StopFlow(api.WithKey(a.s.ctx, name+", its end"), "acme", f.ID, api.FlowStop{})
	if err != nil {
		return fact{}, err
	}
	ran := nano(a.s.t, end.EndedAt) - nano(a.s.t, &f.StartedAt)
	cost := new(big.Int).Mul(big.NewInt(20_000_000), big.NewInt(ran)) // 0.02 an hour
	return fact{flow: f.ID, amount: -cost.Quo(cost, big.NewInt(3_600_000_000_000)).Int64()}, nil
}

// answered is how many commands have been.
func (a *auditor) answered() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.told)
}

// silence is the longest time in which nobody was answered, patience that which one
// command took.
func (a *auditor) silence() time.Duration  { a.mu.Lock(); defer a.mu.Unlock(); return a.gap }
func (a *auditor) patience() time.Duration { a.mu.Lock(); defer a.mu.Unlock(); return a.longest }

// check compares the books with what was told, when nothing is under way; others is
// what else has been charged, in nano-credits.
func (a *auditor) check(others int64) {
	a.s.t.Helper()
	seen, want := map[string]int{}, a.start-others
	all(a.s, func(p api.Page) (api.List[api.Lot], error) { return a.s.client.Lots(a.s.ctx, "acme", p) }, func(l api.Lot) {
		seen[l.ID]++
		seen[l.Reason]++
	})
	all(a.s, func(p api.Page) (api.List[api.Flow], error) {
		return a.s.client.Flows(a.s.ctx, "acme", api.FlowQuery{Page: p})
	}, func(f api.Flow) {
		seen[f.ID]++
		seen[f.Label]++
	})
	for name, f := range a.told {
		want += f.amount
		if id := f.lot + f.flow; id != "" && (seen[id] != 1 || seen[name] != 1) {
			a.s.t.Errorf("%q was answered with %s, which is there %d times, and was done %d times", name, id, seen[id], seen[name])
		}
	}
	if got := credits(a.s.t, a.s.balance().Balance); got != want {
		a.s.t.Errorf("the balance is %d and by the auditor's books %d", got, want)
	}
}
