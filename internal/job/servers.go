package job

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// Of several servers on one database, each runs jobs on its own machine. A job belongs
// to the server that admitted it; what others are asked to do with it they write into
// its row, and tell that server to look.

// Role is the role of the servers that run jobs.
const Role = "jobs"

// isHere reports whether a job belongs to this server.
func (s *Service) isHere(j *Job) bool {
	self := s.DB.Self()
	return self == "" || j.Server == self
}

// findHere is find for what this server does with a job of its own: of one that another
// has taken over it is reminded, and finds nothing to do.
func (s *Service) findHere(tx *db.Tx, id string) (*Job, error) {
	j, err := find(tx, id)
	if err == nil && !s.isHere(j) {
		tx.AfterCommit(func() { s.remember(j) })
		return &Job{}, nil
	}
	return j, err
}

// choose is the server for a new job: this one, or if this one runs none, another that
// has room for it.
func (s *Service) choose(n needs) (server string, err error) {
	var others []string
	self := s.DB.Self()
	for _, other := range s.DB.Servers() {
		if !other.Does(Role) {
			continue
		}
		if other.ID == self {
			return self, s.Capacity.admits(n)
		}
		capacity, wrong := ParseCapacity(other.Offers)
		if wrong == nil {
			wrong = capacity.admits(n)
		}
		if wrong == nil {
			others = append(others, other.ID)
		} else {
			err = wrong
		}
	}
	switch {
	case len(others) > 0:
		return others[rand.IntN(len(others))], nil
	case err != nil:
		return "", err
	}
	return self, s.Capacity.admits(n)
}

// Elsewhere is the server at which a job runs; no server if it is this one.
func (s *Service) Elsewhere(ctx context.Context, w ledger.ID, id string) (home db.Server, err error) {
	var j *Job
	err = s.DB.View(ctx, func(tx *db.Tx) (err error) {
		j, err = one(tx, w, id)
		return err
	})
	if err != nil || s.isHere(j) {
		return db.Server{}, err
	}
	home.ID = j.Server
	servers := s.DB.Servers()
	if i := slices.IndexFunc(servers, func(s db.Server) bool { return s.ID == j.Server }); i >= 0 {
		home = servers[i]
	}
	return home, nil
}

// deserted is how long a server is dead before others look after its jobs.
const deserted = db.Minute

// inherit looks after the jobs of servers that have died: those that had not started
// are taken over, and those whose lease has lapsed are closed.
func (s *Service) inherit(ctx context.Context) {
	if s.DB.Self() == "" {
		return
	}
	jobs, err := s.orphans(ctx)
	for _, j := range jobs {
		if err == nil {
			err = s.DB.Update(db.InLane(ctx, j.Wallet.Organization), func(tx *db.Tx) error { return s.adopt(tx, j) })
		}
	}
	if err != nil && ctx.Err() == nil {
		s.Log.Error("the jobs of servers that died are not looked after; it is tried again", "error", err)
	}
}

// orphans are the jobs that have no server any more.
func (s *Service) orphans(ctx context.Context) (jobs []*Job, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		living, err := tx.Living(deserted)
		if err != nil {
			return err
		}
		if jobs, err = unended(tx); err != nil {
			return err
		}
		jobs = slices.DeleteFunc(jobs, func(j *Job) bool { return hasHome(j, living) })
		return nil
	})
	return jobs, err
}

// hasHome reports whether the server of a job lives; for one that has still to start,
// it must start jobs.
func hasHome(j *Job, living []db.Server) bool {
	return slices.ContainsFunc(living, func(s db.Server) bool { return s.ID == j.Server && (j.run() != nil || s.Does(Role)) })
}

// adopt takes a job over that has not started, or closes one whose flow has ended.
func (s *Service) adopt(tx *db.Tx, orphan *Job) error {
	living, err := tx.Living(deserted)
	if err != nil {
		return err
	}
	j, err := find(tx, orphan.ID)
	if err != nil || j.Status.Ended() || hasHome(j, living) {
		return err
	}
	if run := j.run(); run != nil {
		return s.adoptEnd(tx, j, run)
	}
	if s.Capacity.admits(j.Request.needs()) != nil {
		return nil // it waits for a server that can
	}
	if err := tx.Tell(j.Server); err != nil {
		return err
	}
	isResumed := j.Resumed
	j.Status, j.Server, j.Resumed = StatusQueued, s.DB.Self(), false
	if isResumed {
		return s.giveUp(tx, j, fault.New(fault.Unavailable, "the server that has its checkpoint is gone").WithCode(ReasonLost))
	}
	return s.keep(tx, j)
}

// adoptEnd closes a job of which nobody can say how it ended. Its files stay where they
// are, and so does it.
func (s *Service) adoptEnd(tx *db.Tx, j *Job, run *Run) error {
	flow, err := s.Books.Flow(tx, j.Wallet, run.Flow)
	if err != nil || !flow.Status.Ended() || tx.Now()-flow.EndedAt < deserted {
		return err // its supervisor may live: the lease decides, and the end is its to tell
	}
	closed, err := s.close(tx, j, Report{Job: j.ID, Phase: Ended, StartedAt: run.StartedAt, EndedAt: flow.EndedAt}, true)
	if err != nil {
		return err
	}
	return s.finish(tx, j, closed)
}
