package job

import (
	"context"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// maxTries is how often a run is launched that never came to its start.
const maxTries = 3

// Gone closes a run that died without a word, at its last proof of life.
func (s *Service) Gone(ctx context.Context, id string) error {
	state, err := s.Executor.Inspect(id)
	if err != nil {
		return err
	}
	if state.End != nil {
		_, err = s.end(ctx, *state.End, s.DB.Self(), false)
		return err
	}
	return s.endLost(ctx, id, state)
}

// endLost closes a run of which nobody can say how it ended, at its last proof of
// life: the one that its executor keeps, or one that reached us, which is nothing
// that a job could delete.
func (s *Service) endLost(ctx context.Context, id string, state State) error {
	proof := state.Proof
	if e := s.entry(id); e != nil {
		proof = max(proof, e.proof)
	}
	_, err := s.end(ctx, Report{Job: id, Phase: Ended, EndedAt: proof, Checkpoint: state.Checkpoint}, s.DB.Self(), true)
	return err
}

// end records how a run of a server, home, ended, once: the flow is closed at that
// instant in the same unit as the job's row. Told again, it is only acknowledged. A
// run that was closed as lost, and lived to tell its end, is made right by it.
func (s *Service) end(ctx context.Context, r Report, home string, lost bool) (Orders, error) {
	err := s.DB.Update(s.inLane(ctx, r.Job), func(tx *db.Tx) error {
		j, err := find(tx, r.Job)
		if err == nil && !lost && j.Server == home {
			err = s.reopen(tx, j)
		}
		switch {
		case err != nil:
			return err
		case j.Status.Ended(), j.Status == StatusQueued, home != "" && j.Server != home, !lost && j.stale(r):
			return nil
		case j.run() == nil:
			return s.endUnstarted(tx, j, r)
		}
		run, err := s.close(tx, j, r, lost)
		if err != nil {
			return err
		}
		return s.finish(tx, j, run)
	})
	if err != nil {
		return Orders{}, err
	}
	return Orders{Version: 1, Ack: true}, nil
}

// endUnstarted ends a run that never came to its start: as it was asked to, or
// because it cannot be executed. Otherwise it is tried again.
func (s *Service) endUnstarted(tx *db.Tx, j *Job, r Report) error {
	if j.Stopped != nil {
		return s.finish(tx, j, Run{Status: StatusStopped, Reason: ReasonRequest})
	}
	if r.Error == "" && j.Tries < maxTries {
		j.Status = StatusQueued
		return s.keep(tx, j)
	}
	run := Run{Status: StatusFailed, Reason: ReasonExecutor}
	j.Detail, j.Unfit = r.Error, r.ExitCode
	if r.Error == "" {
		j.Detail = fmt.Sprintf("it was launched %d times and did not come up", j.Tries)
	}
	return s.finish(tx, j, run)
}

// finish makes the end of the job's present run its end.
func (s *Service) finish(tx *db.Tx, j *Job, run Run) error {
	if err := s.release(tx, j); err != nil {
		return err
	}
	j.Status, j.Reason, j.EndedAt = run.Status, run.Reason, run.EndedAt
	if run.Flow != "" {
		j.Runs[len(j.Runs)-1] = run
	} else {
		j.EndedAt = tx.Now()
	}
	return s.keep(tx, j)
}

// close closes the flow of the present run at the instant at which its process
// ended, and says how the run ended.
func (s *Service) close(tx *db.Tx, j *Job, r Report, lost bool) (Run, error) {
	run := *j.run()
	result, err := s.Books.Apply(tx, j.Wallet) // what is due by now
	if err != nil {
		return run, err
	}
	if lost {
		renewed, err := s.Books.Proof(tx, j.Wallet, j.ID)
		if err != nil {
			return run, err
		}
		r.EndedAt = max(r.EndedAt, renewed)
	}
	end := max(run.StartedAt, min(r.EndedAt, result.At))
	if r.StartedAt == 0 && !lost {
		end = run.StartedAt // it was never executed
	}
	flow, err := s.Books.Flow(tx, j.Wallet, run.Flow)
	if err != nil {
		return run, err
	}
	run.describe(r, end, lost)
	if run.Status, run.Reason = verdict(r, &flow); lost {
		run.Status, run.Reason = StatusFailed, ReasonLost
	}
	if r.Error != "" {
		j.Detail = r.Error
	}
	if flow.Status.Ended() {
		return run, s.correct(tx, j, &flow, end)
	}
	_, err = s.Books.Apply(tx, j.Wallet, wallet.Stop{
		Flow: run.Flow, At: max(end, flow.ChangedAt), Status: flowStatus(run.Status, run.Reason), Reason: flowReason(&run),
		Note: j.noteOf(&run),
	})
	return run, err
}

// noteOf is what whoever stopped the run gave as their reason.
func (j *Job) noteOf(run *Run) string {
	if run.Reason != ReasonRequest || j.Stopped == nil {
		return ""
	}
	return j.Stopped.Reason
}

// describe takes over what the report says.
func (run *Run) describe(r Report, end int64, lost bool) {
	run.EndedAt, run.Signal, run.Checkpoint, run.Killed, run.LateNs = end, r.Signal, r.Checkpoint, r.Killed, r.LateNs
	if (r.StartedAt > 0 || r.ExitCode != 0) && !lost {
		run.ExitCode = &r.ExitCode
	}
}

// flowReason is what the flow says of its end.
func flowReason(run *Run) string {
	if run.Reason == "" || run.Reason == reasonExit {
		return string(run.Status)
	}
	return run.Reason
}

// correct makes a flow that the engine has ended by itself right by the true
// end. What ran on after its stop is the operator's loss, down to the
// milliseconds of a late kill; what ran on after a lease that had lapsed is a late
// fact, unless its true end was told before; what did not run any more is given
// back.
func (s *Service) correct(tx *db.Tx, j *Job, flow *wallet.Flow, end int64) (err error) {
	var truth wallet.Command
	switch {
	case end == flow.EndedAt:
		return nil
	case end < flow.EndedAt:
		truth = wallet.Early{Flow: *flow, Until: end}
	case flow.Status == wallet.Lost && flow.Reason != wallet.ReasonLate:
		if truth, err = s.late(tx, j, flow, end); err != nil {
			return err
		}
	default:
		truth = wallet.Overrun{Flow: *flow, Until: end}
	}
	_, err = s.Books.Apply(tx, j.Wallet, truth)
	if f := fault.Of(err); f != nil {
		return fmt.Errorf("correct flow %s to its true end: %s", flow.ID, f.Message)
	}
	return err
}

// late is the true end of a run that was closed as lost.
func (s *Service) late(tx *db.Tx, j *Job, flow *wallet.Flow, end int64) (late wallet.Late, err error) {
	prices, err := s.Prices.For(tx, j.Wallet.Organization)
	if err != nil {
		return late, err
	}
	late = wallet.Late{Flow: *flow, Until: end}
	if late.Flow.Items, err = prices.Resume(flow.Items, flow.Since, flow.EndedAt); err != nil {
		return late, err
	}
	if j.Request.MaxCost > 0 {
		spent, err := s.spent(tx, j)
		if err != nil {
			return late, err
		}
		late.Most = max(1, j.Request.MaxCost-spent)
	}
	return late, nil
}
