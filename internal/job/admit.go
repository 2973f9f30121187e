package job

import (
	"context"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// holdTTL is how long the hold for a start lasts, which is as long as a hold
// may; renewBefore is how long before its end that of a waiting job is renewed.
const (
	holdTTL     = 24 * int64(credit.Hour)
	renewBefore = int64(credit.Hour)
)

// Create admits a job: it sets aside what its start needs and puts it into the
// queue. Waiting and starting are not charged.
func (s *Service) Create(tx *db.Tx, w ledger.ID, q Request) (Shown, error) {
	q.complete()
	if err := q.check(); err != nil {
		return Shown{}, err
	}
	home, err := s.choose(q.needs())
	if err != nil {
		return Shown{}, err
	}
	j := &Job{Wallet: w, ID: tx.NewID("job_"), Server: home, Request: q, CreatedAt: tx.Now()}
	return s.enqueue(tx, j)
}

// enqueue sets credits aside for a run and puts the job at the end of the
// queue.
func (s *Service) enqueue(tx *db.Tx, j *Job) (Shown, error) {
	place, err := s.Projects.Enter(tx, j.Wallet, j.Request.Project)
	if err != nil {
		return Shown{}, err
	}
	if !j.Resumed { // else it keeps the tier that it has run on
		j.Request.inTier(place)
	}
	items, err := s.quote(tx, j.Wallet.Organization, &j.Request)
	if err != nil {
		return Shown{}, err
	}
	j.Status, j.QueuedAt, j.EndedAt = StatusQueued, tx.Now(), 0
	j.Reason, j.Detail, j.Unfit, j.Stopped, j.Tries = "", "", 0, nil, 0
	result, err := s.setAside(tx, j, items)
	if err != nil {
		return Shown{}, err
	}
	if err := s.keep(tx, j); err != nil {
		return Shown{}, err
	}
	return s.show(tx, j, result.Wallet.View())
}

// quote prices what the job takes, at this instant.
func (s *Service) quote(tx *db.Tx, organization string, q *Request) ([]wallet.Item, error) {
	prices, err := s.Prices.For(tx, organization)
	if err != nil {
		return nil, err
	}
	var items []wallet.Item
	for _, n := range q.needs() {
		item, err := prices.Quote(price.Ask{SKU: n.sku, Tier: q.Tier, Region: q.Region, Quantity: n.quantity}, tx.Now())
		if err != nil {
			return nil, pointAt(err, n.sku)
		}
		items = append(items, item)
	}
	return items, nil
}

// pointAt makes the pointers of a price's refusal those of a job.
func pointAt(err error, sku string) error {
	f := fault.Of(err)
	if f == nil {
		return err
	}
	name, amount := "/resources/gpu", "/resources/gpu_count"
	switch {
	case sku == "cpu.vcpu":
		name, amount = "/resources/cpu", "/resources/cpu"
	case sku == "memory.gib":
		name, amount = "/resources/memory_gib", "/resources/memory_gib"
	}
	c := *f
	c.Fields = nil
	for _, field := range f.Fields {
		switch field.Pointer {
		case "/sku":
			field.Pointer = name
		case "/quantity":
			field.Pointer = amount
		}
		c.Fields = append(c.Fields, field)
		c.Message = field.Pointer + ": " + strings.TrimPrefix(field.Message, field.Pointer+": ")
	}
	return &c
}

// setAside reserves what the start of the job needs: all of its max_cost, or
// what the gate asks for its own part, and as far as there is so much also what
// its lease will keep, so that whoever is admitted after it does not take its
// place.
func (s *Service) setAside(tx *db.Tx, j *Job, items []wallet.Item) (ledger.Result, error) {
	amount, err := s.costLeft(tx, j)
	if err != nil {
		return ledger.Result{}, err
	}
	if err := s.permitted(tx, j, items); err != nil {
		return ledger.Result{}, err
	}
	result, err := s.Books.Apply(tx, j.Wallet) // what is due by now
	if err != nil {
		return result, err
	}
	if amount == 0 {
		if amount, err = s.gate(result, j, items); err != nil {
			return result, err
		}
	}
	if j.Hold = ""; amount == 0 {
		j.HeldUntil = tx.Now() + holdTTL
		return result, nil
	}
	j.Hold, j.HeldUntil = tx.NewID("hold_"), tx.Now()+holdTTL
	reserve := wallet.Reserve{
		ID: j.Hold, Amount: amount, TTL: holdTTL, Tier: items[0].Tier, Region: j.Request.Region,
		Project: j.Request.Project, User: j.Request.User, Key: j.Request.Key, GPUs: wallet.GPUsOf(items),
	}
	for _, item := range items {
		reserve.SKUs = append(reserve.SKUs, item.SKU)
	}
	return s.Books.Apply(tx, j.Wallet, reserve)
}

// gate passes the gate of a start without a largest cost, and says how much to
// set aside for it.
func (s *Service) gate(result ledger.Result, j *Job, items []wallet.Item) (credit.Amount, error) {
	q := &j.Request
	start := wallet.Start{Project: q.Project, User: q.User, Job: j.ID, Key: q.Key, Items: items}
	if err := result.Wallet.Admits(start); err != nil {
		return 0, err
	}
	policy := result.Wallet.Root().Policy
	own, err := costFor(items, policy.MinRunway)
	if err != nil {
		return 0, err
	}
	warning := grace(q.Grace, policy.Grace, q.MaxRuntime)
	room := result.Wallet.Room(start)
	kept, err := costFor(items, s.leaseFor(room.Runway, q.MaxRuntime, warning)+warning)
	if err != nil {
		return 0, err
	}
	return max(own, min(own+kept, room.Free)), nil
}

// leaseFor is the lease to reserve for a run whose credits last for a runway,
// which lasts at most runtime (0: without end), and is warned so long before it
// is stopped.
func (s *Service) leaseFor(runway, runtime, warning int64) int64 {
	runway = shorter(runway, runtime)
	lease := s.Leases.wanted(runway)
	if runway > 0 {
		lease = max(min(lease, runway-warning), shortestLease)
	}
	return lease
}

// shortestLease is what even a run gets that lands at once.
const shortestLease = db.Second

// costLeft is what is left of max_cost after the runs before, or 0 without one.
func (s *Service) costLeft(tx *db.Tx, j *Job) (credit.Amount, error) {
	if j.Request.MaxCost == 0 {
		return 0, nil
	}
	spent, err := s.spent(tx, j)
	if err != nil {
		return 0, err
	}
	if spent >= j.Request.MaxCost {
		return 0, fault.New(fault.Conflict, "the job has used %s of its max_cost of %s: resume it with a higher max_cost", spent, j.Request.MaxCost).
			WithCode("max_cost_used")
	}
	return j.Request.MaxCost - spent, nil
}

// spent is what all runs were charged by the books, net of refunds.
func (s *Service) spent(tx *db.Tx, j *Job) (sum credit.Amount, err error) {
	for _, r := range j.Runs {
		flow, err := s.Books.Flow(tx, j.Wallet, r.Flow)
		if err != nil {
			return 0, err
		}
		charged, err := s.Books.Charged(tx, j.Wallet, &flow)
		if err != nil {
			return 0, err
		}
		sum += charged
	}
	return sum, nil
}

// runtimeLeft is what is left of max_runtime after the runs before, or 0
// without one.
func (j *Job) runtimeLeft() (int64, error) {
	if j.Request.MaxRuntime == 0 {
		return 0, nil
	}
	left := j.Request.MaxRuntime
	for _, r := range j.Runs {
		if r.EndedAt > 0 {
			left -= r.EndedAt - r.StartedAt
		}
	}
	if left <= 0 {
		return 0, fault.New(fault.Conflict, "the job has used all of its max_runtime: resume it with a longer max_runtime_seconds").
			WithCode("max_runtime_used")
	}
	return left, nil
}

// renewHold replaces the hold of a job that has waited for long. If the credits
// are gone by now the job ends, and says so.
func (s *Service) renewHold(ctx context.Context, old *Job) error {
	return s.DB.Update(db.InLane(ctx, old.Wallet.Organization), func(tx *db.Tx) error {
		j, err := s.findHere(tx, old.ID)
		if err != nil || j.Status != StatusQueued || j.Hold != old.Hold {
			return err
		}
		if err := s.release(tx, j); err != nil {
			return err
		}
		items, err := s.quote(tx, j.Wallet.Organization, &j.Request)
		if err == nil {
			_, err = s.setAside(tx, j, items)
		}
		if isRefusal(err) {
			return s.giveUp(tx, j, err)
		}
		if err != nil {
			return err
		}
		return s.keep(tx, j)
	})
}

// release gives the hold for the start back, if it has not ended.
func (s *Service) release(tx *db.Tx, j *Job) error {
	if j.Hold == "" {
		return nil
	}
	_, err := s.Books.Apply(tx, j.Wallet, wallet.Release{Hold: j.Hold})
	j.Hold, j.HeldUntil = "", 0
	if fault.Of(err) != nil { // it has expired
		return nil
	}
	return err
}

// giveUp ends a job that never began this run, because it was refused.
func (s *Service) giveUp(tx *db.Tx, j *Job, refusal error) error {
	if err := s.release(tx, j); err != nil {
		return err
	}
	f := fault.Of(refusal)
	j.Status, j.Reason, j.Detail, j.EndedAt = StatusFailed, f.Code, inWords(f), tx.Now()
	return s.keep(tx, j)
}

// inWords is a refusal without the places of its fields, which lie in a command
// that the user of a job does not see.
func inWords(f *fault.Fault) string {
	if len(f.Fields) == 0 {
		return f.Message
	}
	var words []string
	for _, field := range f.Fields {
		words = append(words, field.Message)
	}
	return strings.Join(words, "; ")
}
