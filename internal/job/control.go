package job

import (
	"context"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Stop asks a job to end: what waits ends at once, what runs is signalled now
// and killed a grace later (nil: its own). A job that has ended is left as it is.
func (s *Service) Stop(tx *db.Tx, w ledger.ID, id string, grace *int64, reason string) (Shown, error) {
	j, err := one(tx, w, id)
	if err != nil {
		return Shown{}, err
	}
	switch {
	case j.Status.Ended():
		return s.show(tx, j, nil)
	case j.Status == StatusQueued:
		j.Stopped = &Stop{tx.Now(), grace, reason}
		err = s.finish(tx, j, Run{Status: StatusStopped, Reason: ReasonRequest})
	case j.Stopped == nil:
		j.Stopped = &Stop{tx.Now(), grace, reason}
		err = s.keep(tx, j)
	default: // asked again: it can only be sooner
		again := *j.Stopped
		if again.Reason == "" {
			again.Reason = reason
		}
		if grace != nil && (again.Grace == nil || *grace < *again.Grace) {
			again.Grace = grace
		}
		j.Stopped = &again
		err = s.keep(tx, j)
	}
	if err != nil {
		return Shown{}, err
	}
	over := int64(0)
	if run := j.run(); run != nil && j.Stopped != nil {
		wait := run.Grace
		if j.Stopped.Grace != nil {
			wait = *j.Stopped.Grace
		}
		over = tx.Now() + wait
	}
	tx.AfterCommit(func() { s.wake(id, over) })
	return s.show(tx, j, nil)
}

// Change is what to change of a job; what is nil stays.
type Change struct {
	Name       *string
	MaxCost    *credit.Amount
	MaxRuntime *int64
}

// Change moves what bounds a job. Its resources stay: an executor cannot take a
// GPU from a process, so a lower rate would be a fiction.
func (s *Service) Change(tx *db.Tx, w ledger.ID, id string, c Change) (Shown, error) {
	j, err := one(tx, w, id)
	if err != nil {
		return Shown{}, err
	}
	if j.Status.Ended() {
		return Shown{}, fault.New(fault.Conflict, "the job has ended; a landed job can be resumed").WithCode("job_ended")
	}
	if c.Name != nil {
		j.Request.Name = *c.Name
	}
	if c.MaxCost != nil {
		j.Request.MaxCost = *c.MaxCost
	}
	if c.MaxRuntime != nil {
		j.Request.MaxRuntime = *c.MaxRuntime
	}
	j.Request.complete()
	if err := j.Request.check(); err != nil {
		return Shown{}, err
	}
	if c.MaxRuntime != nil {
		if err := s.permitted(tx, j, nil); err != nil {
			return Shown{}, err
		}
	}
	if err := s.bound(tx, j, c); err != nil {
		return Shown{}, err
	}
	if err := s.keep(tx, j); err != nil {
		return Shown{}, err
	}
	result, err := s.Books.Apply(tx, w)
	if err != nil {
		return Shown{}, err
	}
	tx.AfterCommit(func() { s.wake(id, 0) })
	return s.show(tx, j, result.Wallet.View())
}

// bound carries a change over to the hold of a job that waits, or to the flow of
// one that runs.
func (s *Service) bound(tx *db.Tx, j *Job, c Change) error {
	run := j.run()
	if run == nil {
		if c.MaxCost == nil {
			return nil
		}
		items, err := s.quote(tx, j.Wallet.Organization, &j.Request)
		if err != nil {
			return err
		}
		if err := s.release(tx, j); err != nil {
			return err
		}
		_, err = s.setAside(tx, j, items)
		return err
	}
	limit := wallet.Limit{Flow: run.Flow}
	if c.MaxCost != nil {
		if err := s.hasMaxCost(tx, j, run); err != nil {
			return err
		}
		before := *j
		before.Runs = j.Runs[:len(j.Runs)-1]
		spent, err := s.spent(tx, &before)
		if err != nil {
			return err
		}
		most := *c.MaxCost - spent
		if most <= 0 {
			return fault.At("/max_cost", "must be more than the %s credits that earlier runs used", spent)
		}
		limit.MaxCost = &most
	}
	if c.MaxRuntime != nil {
		left, err := j.runtimeLeft()
		if err != nil {
			return fault.At("/max_runtime_seconds", "must be more than earlier runs took")
		}
		until := run.StartedAt + left
		if until <= tx.Now() {
			return fault.At("/max_runtime_seconds", "must be more than the job has run so far")
		}
		limit.Until = &until
	}
	if limit.MaxCost == nil && limit.Until == nil {
		return nil
	}
	_, err := s.Books.Apply(tx, j.Wallet, limit)
	return err
}

// hasMaxCost refuses to bound what a run may cost for which nothing was held.
func (s *Service) hasMaxCost(tx *db.Tx, j *Job, run *Run) error {
	flow, err := s.Books.Flow(tx, j.Wallet, run.Flow)
	if err == nil && flow.Hold == "" {
		err = fault.New(fault.Conflict, "the job was started without a max_cost, and one cannot be added while it runs: "+
			"max_runtime bounds it too").WithCode("no_max_cost")
	}
	return err
}

// Resume runs a landed job again from its checkpoint. A new max_cost or
// max_runtime (0: as before) bounds the job, all its runs together.
func (s *Service) Resume(tx *db.Tx, w ledger.ID, id string, maxCost credit.Amount, maxRuntime int64) (Shown, error) {
	j, err := one(tx, w, id)
	if err != nil {
		return Shown{}, err
	}
	switch until := j.resumableUntil(); {
	case !j.Status.Ended():
		return Shown{}, fault.New(fault.Conflict, "the job is %s: only a job that has ended can be resumed", j.Status).WithCode("job_active")
	case until == 0 && j.Status == StatusSucceeded:
		return Shown{}, fault.New(fault.Conflict, "the job has succeeded: there is nothing to resume").WithCode("not_resumable")
	case until == 0:
		return Shown{}, fault.New(fault.Conflict, "the job cannot be resumed: that needs a checkpoint file, and "+
			"a run that was stopped and then exited 0 or was killed, or that was lost").WithCode("not_resumable")
	case until <= tx.Now():
		return Shown{}, fault.New(fault.Conflict, "the checkpoint was kept for 24 hours, which are over").WithCode("not_resumable")
	}
	if maxCost > 0 {
		j.Request.MaxCost = maxCost
	}
	if maxRuntime > 0 {
		j.Request.MaxRuntime = maxRuntime
	}
	if err := j.Request.check(); err != nil {
		return Shown{}, err
	}
	if _, err := j.runtimeLeft(); err != nil {
		return Shown{}, err
	}
	j.Resumed = true
	return s.enqueue(tx, j)
}

// NextAt is when the queue or the simulated executor has something to do; 0 if
// never. It is for the test clock.
func (s *Service) NextAt(ctx context.Context) (int64, error) {
	var next int64
	for _, j := range s.jobs(isQueued) {
		next = shorter(next, j.HeldUntil-renewBefore)
	}
	if e, ok := s.Executor.(Stepper); ok {
		at, err := e.NextAt(ctx)
		if err != nil {
			return 0, err
		}
		next = shorter(next, at)
	}
	return next, nil
}

// RunDue does everything that is due now, for the test clock. It says whether
// anything happened.
func (s *Service) RunDue(ctx context.Context) (moved bool, err error) {
	for {
		before := len(s.jobs(isQueued))
		if err := s.dispatch(ctx); err != nil {
			return moved, err
		}
		did := len(s.jobs(isQueued)) != before
		if e, ok := s.Executor.(Stepper); ok {
			stepped, err := e.RunDue(ctx)
			if err != nil {
				return moved, err
			}
			did = did || stepped
		}
		if !did {
			return moved, nil
		}
		moved = true
	}
}

// Stepper is an executor whose processes live in the server's own clock.
type Stepper interface {
	// NextAt is when a process does something next; 0 if none does.
	NextAt(ctx context.Context) (int64, error)
	// RunDue does what is due by now, and says whether that was anything.
	RunDue(ctx context.Context) (bool, error)
}
