package job

import (
	"context"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// unheard is how long after the start of its flow a run that has heard nothing
// may ask again and still be told to go with the same flow. One that asks later
// has not run in between, and does not pay for it. One that has heard an answer
// may be executing the command already, though it has not said so yet.
const unheard = db.Second

// begin starts the flow of a run that is ready, and only then tells it to go.
func (s *Service) begin(ctx context.Context, r Report) (Orders, error) {
	leave := fault.New(fault.NotFound, "job %s is not to run", r.Job)
	var j *Job
	err := s.DB.Update(s.inLane(ctx, r.Job), func(tx *db.Tx) (err error) {
		if j, err = find(tx, r.Job); err != nil {
			return err
		}
		switch run := j.run(); {
		case !s.isHere(j): // another server has taken it over
			j = &Job{}
		case j.Status == StatusStarting && j.Stopped != nil:
			return s.finish(tx, j, Run{Status: StatusStopped, Reason: ReasonRequest})
		case j.Status == StatusStarting:
			return s.start(tx, j)
		case j.Status == StatusRunning && run != nil && r.Seen == 0 && tx.Now()-run.StartedAt > unheard:
			return s.restart(tx, j)
		}
		return nil
	})
	if err != nil {
		return Orders{}, err
	}
	if j.Status != StatusRunning {
		return Orders{}, leave
	}
	return s.proceed(ctx, r)
}

// start starts the flow. A refusal ends the job.
func (s *Service) start(tx *db.Tx, j *Job) error {
	var started ledger.Result
	command, err := s.startOf(tx, j)
	if err == nil {
		started, err = s.Books.Apply(tx, j.Wallet, command)
	}
	if isRefusal(err) {
		return s.giveUp(tx, j, err)
	}
	if err != nil {
		return err
	}
	j.Runs = append(j.Runs, Run{Flow: command.ID, StartedAt: started.At, Grace: command.Grace})
	j.Status, j.Hold, j.HeldUntil = StatusRunning, "", 0
	if j.StartedAt == 0 {
		j.StartedAt = started.At
	}
	if err := s.keep(tx, j); err != nil {
		return err
	}
	id, until := j.ID, started.At+command.Lease
	tx.AfterCommit(func() { s.granted(id, until) })
	return nil
}

// isRefusal reports whether a job is refused. What passes by itself refuses nothing: the
// job waits, and asks again.
func isRefusal(err error) bool { return fault.Of(err) != nil && !fault.Is(err, fault.Unavailable) }

// granted notes the lease of a run.
func (s *Service) granted(id string, until int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.active[id]; e != nil {
		e.lease = until
	}
}

// restart closes a flow for which nothing ran, at its start, and starts another.
func (s *Service) restart(tx *db.Tx, j *Job) error {
	run := j.run()
	_, err := s.Books.Apply(tx, j.Wallet, wallet.Stop{Flow: run.Flow, At: run.StartedAt, Reason: "unheard"})
	if err != nil && fault.Of(err) == nil {
		return err
	}
	if flow, other := s.Books.Flow(tx, j.Wallet, run.Flow); other != nil {
		return other
	} else if !flow.Status.Ended() { // else its lease has lapsed, at its start
		return err
	}
	if j.StartedAt == run.StartedAt {
		j.StartedAt = 0
	}
	j.Runs, j.Status = j.Runs[:len(j.Runs)-1], StatusStarting
	return s.start(tx, j)
}

// startOf is the command that starts the flow of a run, at this instant.
func (s *Service) startOf(tx *db.Tx, j *Job) (wallet.Start, error) {
	q := &j.Request
	items, err := s.quote(tx, j.Wallet.Organization, q)
	if err != nil {
		return wallet.Start{}, err
	}
	if err := s.permitted(tx, j, items); err != nil { // by now: its policy may have changed while it waited
		return wallet.Start{}, err
	}
	cost, err := s.costLeft(tx, j)
	if err != nil {
		return wallet.Start{}, err
	}
	runtime, err := j.runtimeLeft()
	if err != nil {
		return wallet.Start{}, err
	}
	rate, err := perHour(items)
	if err != nil {
		return wallet.Start{}, err
	}
	result, err := s.Books.Apply(tx, j.Wallet) // what is due by now
	if err != nil {
		return wallet.Start{}, err
	}
	command := wallet.Start{
		ID: tx.NewID("flow_"), Project: q.Project, User: q.User, Job: j.ID, Key: q.Key, Label: q.Name,
		Items: items, MaxCost: cost, From: j.Hold, Holder: j.ID,
		Grace: grace(q.Grace, result.Wallet.Root().Policy.Grace, shorter(runtime, lasts(cost, rate))),
	}
	if runtime > 0 {
		command.Until = result.At + runtime
	}
	runway := lasts(cost, rate)
	if cost == 0 {
		runway = result.Wallet.Room(command).Runway
	}
	command.Lease = s.leaseFor(runway, runtime, command.Grace)
	return command, nil
}

// shorter is the shorter of two times, of which 0 is without end.
func shorter(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
