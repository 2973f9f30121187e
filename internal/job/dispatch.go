package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

func isQueued(j *Job) bool { return j.Status == StatusQueued }
func occupies(j *Job) bool { return !isQueued(j) }

// dispatch renews the holds of those that wait long, and starts what fits. What
// goes wrong with one job does not hold up the others. While nothing is admitted all
// wait where they are: a run that was launched would not be told to go.
func (s *Service) dispatch(ctx context.Context) error {
	if s.DB.Admits() != nil {
		return nil
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	var errs []error
	for _, j := range s.jobs(isQueued) {
		if j.HeldUntil-renewBefore <= s.DB.Clock().Now() {
			if err := s.renewHold(ctx, j); err != nil {
				errs = append(errs, fmt.Errorf("renew the hold of job %s: %w", j.ID, err))
			}
		}
	}
	return errors.Join(append(errs, s.launchAll(ctx, s.place()))...)
}

// launchers is how many jobs are launched at the same time.
const launchers = 4

// launchAll launches the jobs that may start; in a clock that does not run by
// itself one after the other, so that the same story happens again.
func (s *Service) launchAll(ctx context.Context, places []place) error {
	most := launchers
	if _, ok := s.Executor.(Stepper); ok {
		most = 1
	}
	var (
		all    sync.WaitGroup
		failed = make(chan error, len(places))
		turns  = make(chan struct{}, most)
	)
	for _, p := range places {
		if p.position > 0 {
			continue
		}
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			if err := s.launch(ctx, p.id); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	var errs []error
	for err := range failed {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// place finds every waiting job its place.
func (s *Service) place() []place {
	used := map[string]credit.Quantity{}
	for _, j := range s.jobs(occupies) {
		for _, n := range j.Request.needs() {
			used[n.sku] += n.quantity
		}
	}
	var queue []waiting
	for _, j := range s.jobs(isQueued) {
		queue = append(queue, waiting{j.ID, j.Request.needs()})
	}
	places := s.Capacity.schedule(used, queue)
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.places)
	for _, p := range places {
		s.places[p.id] = p
	}
	return places
}

// launch hands a job to the executor. If we die between the row and the
// launch, reconcile finds a starting job that nothing runs, and it is launched
// again.
func (s *Service) launch(ctx context.Context, id string) error {
	if state, err := s.Executor.Inspect(id); err != nil || state.Alive { // the last run is still leaving
		time.AfterFunc(50*time.Millisecond, s.nudge)
		return err
	}
	var j *Job
	err := s.DB.Update(s.inLane(ctx, id), func(tx *db.Tx) (err error) {
		if j, err = s.findHere(tx, id); err != nil || j.Status != StatusQueued {
			j = nil
			return err
		}
		j.Status, j.LaunchedAt = StatusStarting, tx.Now()
		j.Tries++
		return s.keep(tx, j)
	})
	if err != nil || j == nil {
		return err
	}
	err = s.Executor.Launch(ctx, Spec{
		Job: j.ID, Workspace: j.Wallet.Workspace, Command: j.Request.Command, Env: j.Request.Env,
		WorkingDir: j.Request.WorkingDir, Resumed: j.Resumed,
	})
	switch {
	case err == nil:
		return nil
	case fault.Is(err, fault.Conflict):
		return s.requeue(ctx, id)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	s.Log.Error("a job could not be launched", "job", id, "error", err)
	_, err = s.end(ctx, Report{Job: id, Phase: Ended, EndedAt: s.DB.Clock().Now(), Error: "it could not be launched: " + err.Error()}, s.DB.Self(), false)
	return err
}

// requeue puts a job that was to start back to its place.
func (s *Service) requeue(ctx context.Context, id string) error {
	return s.DB.Update(s.inLane(ctx, id), func(tx *db.Tx) error {
		j, err := s.findHere(tx, id)
		if err != nil || j.Status != StatusStarting {
			return err
		}
		j.Status = StatusQueued
		return s.keep(tx, j)
	})
}

// reconcile compares a job with what its executor knows of it.
func (s *Service) reconcile(ctx context.Context, j *Job) error {
	if j.Status == StatusQueued {
		return nil
	}
	state, err := s.Executor.Inspect(j.ID)
	if err != nil || state.Alive {
		return err
	}
	if state.End != nil && !j.stale(*state.End) {
		_, err := s.end(ctx, *state.End, s.DB.Self(), false)
		return err
	}
	if err := s.Executor.Clear(j.ID); err != nil {
		return err
	}
	return s.endLost(ctx, j.ID, state) // an end that is there is one of an earlier run
}

// How often, and after how long a silence, the executor is asked what became of
// a job that should have said so by itself.
const (
	sweepEvery   = 10 * time.Second
	sweepOverdue = db.Minute
	sweepUnready = 900 * db.Second
)

// sweep asks after jobs whose flow has ended and that do not, and after those
// that do not come to their start.
func (s *Service) sweep(ctx context.Context) {
	now := s.DB.Clock().Now()
	for _, j := range s.jobs(occupies) {
		overdue := j.Status == StatusStarting && now-j.LaunchedAt > sweepUnready
		if e := s.entry(j.ID); e != nil && e.job.run() != nil {
			st, _, err := s.stand(ctx, e)
			overdue = err == nil && st.ended > 0 && now-st.ended > sweepOverdue
		}
		if !overdue {
			continue
		}
		if err := s.reconcile(ctx, j); err != nil && ctx.Err() == nil {
			s.Log.Error("what became of a job is not known", "job", j.ID, "error", err)
		}
	}
}
