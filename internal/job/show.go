package job

import (
	"context"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Shown is a job as it stands at an instant.
type Shown struct {
	Job
	At             int64
	Items          []wallet.Item // what it takes, at the prices of its run or, before, of now
	Rate           credit.Amount // per hour, rounded up; for display
	Accrued        credit.Amount // not yet in a charge
	Charged        credit.Amount // all of it, over all runs
	Flow           *wallet.Flow  // of the last run; nil before the first
	Grace          int64
	LandAt         int64 // when it is, or was, signalled; 0 never
	StopAt         int64 // when the wallet will stop it, as things stand; 0 never
	StopReason     string
	LeaseUntil     int64
	Position       int    // in the queue, from 1; 0 if it does not wait
	Behind         string // the SKU it waits for
	ResumableUntil int64
}

// Show finds a job.
func (s *Service) Show(ctx context.Context, w ledger.ID, id string) (Shown, error) {
	var shown Shown
	view, err := s.Books.View(ctx, w)
	if err != nil {
		return Shown{}, err
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		j, err := one(tx, w, id)
		if err == nil {
			shown, err = s.show(tx, j, view)
		}
		return err
	})
	return shown, err
}

// maxList is the largest number of jobs in a list.
const maxList = 200

// List reads jobs of a wallet, newest first, and the id after which the next
// page begins ("" if there is none). A page may have fewer jobs than its limit, and
// still not be the last.
func (s *Service) List(ctx context.Context, w ledger.ID, q Query) (jobs []Shown, next string, err error) {
	if q.Limit < 1 || q.Limit > maxList {
		return nil, "", fault.At("/limit", "must be between 1 and %d", maxList)
	}
	view, err := s.Books.View(ctx, w)
	if err != nil {
		return nil, "", err
	}
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		jobs, next = nil, ""
		more := q
		more.Limit = q.Limit + 1
		found, walked, err := more.read(tx, w)
		if err != nil {
			return err
		}
		next = walked
		for i, j := range found {
			if i == q.Limit {
				next = found[i-1].ID
				break
			}
			shown, err := s.show(tx, j, view)
			if err != nil {
				return err
			}
			if q.Status == "" || shown.Status == q.Status {
				jobs = append(jobs, shown)
			}
		}
		return nil
	})
	return jobs, next, err
}

// show adds to a job's row what follows from its wallet. Without a view it shows
// the wallet as of its last commit.
func (s *Service) show(tx *db.Tx, j *Job, view *wallet.View) (Shown, error) {
	now := tx.Now()
	shown := Shown{Job: *j, At: now, ResumableUntil: j.resumableUntil()}
	var err error
	if view == nil {
		if view, err = s.Books.View(tx.Context(), j.Wallet); err != nil {
			return shown, err
		}
	}
	if shown.Charged, err = s.spent(tx, j); err != nil {
		return shown, err
	}
	shown.Grace = view.Policy().Grace
	if j.Request.Grace != nil {
		shown.Grace = *j.Request.Grace
	}
	if j.last() != nil {
		err = shown.addFlow(tx, s, view, now)
	} else {
		err = shown.addPlace(tx, s)
	}
	if err != nil {
		return shown, err
	}
	shown.Rate, err = perHour(shown.Items)
	return shown, err
}

// addPlace adds what is known of a job that has not run yet.
func (shown *Shown) addPlace(tx *db.Tx, s *Service) error {
	items, err := s.quote(tx, shown.Wallet.Organization, &shown.Request)
	if err != nil && fault.Of(err) == nil {
		return err
	}
	shown.Items = items // none if it is no longer sold
	shown.place(s)
	return nil
}

func (shown *Shown) place(s *Service) {
	if shown.Status != StatusQueued {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.places[shown.ID]
	shown.Position, shown.Behind = p.position, p.behind
}

// addFlow adds the flow of the last run and how it stands.
func (shown *Shown) addFlow(tx *db.Tx, s *Service, view *wallet.View, now int64) error {
	flow, err := s.Books.Flow(tx, shown.Wallet, shown.last().Flow)
	if err != nil {
		return err
	}
	shown.Flow, shown.Items, shown.Grace = &flow, flow.Items, shown.last().Grace
	shown.place(s)
	run := shown.run()
	if run == nil {
		return nil
	}
	st := stand{run: *run}
	if flow.Status.Ended() {
		st.stopAt, st.reason = flow.EndedAt, flow.Reason
	} else {
		if !tx.IsUpdate() {
			if view, err = s.Books.Matching(tx, shown.Wallet, view, &flow); err != nil {
				return err
			}
		}
		st.stopAt, st.reason = view.StopAt(&flow)
		shown.Accrued = view.Accrued(&flow, now)
		shown.Charged += shown.Accrued
	}
	shown.StopAt, shown.StopReason, shown.LandAt = st.stopAt, reasonOf(st.reason), st.landAt()
	if st.stopAt > 0 && st.landAt() <= now {
		shown.Status, shown.Reason = StatusLanding, shown.StopReason
	}
	if stop := shown.Stopped; stop != nil {
		shown.Status, shown.Reason, shown.LandAt = StatusLanding, ReasonRequest, shorter(shown.LandAt, stop.At)
		grace := run.Grace
		if stop.Grace != nil {
			grace = *stop.Grace
		}
		if killAt := max(stop.At, run.StartedAt) + grace; shown.StopAt == 0 || killAt < shown.StopAt {
			shown.StopAt, shown.StopReason = killAt, ReasonRequest
		}
	}
	shown.LeaseUntil, err = s.Books.LeaseUntil(tx, shown.Wallet, shown.ID)
	return err
}

// ExitCode is the exit code of the last run; -1 if its command has none. Of one
// that cannot be executed it is what a shell would say.
func (shown *Shown) ExitCode() int {
	if shown.Unfit != 0 {
		return shown.Unfit
	}
	if r := shown.last(); r != nil && r.ExitCode != nil {
		return *r.ExitCode
	}
	return -1
}
