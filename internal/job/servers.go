package job

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
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

// choose is the server for a new job: this one, or another if this one runs none.
func (s *Service) choose() string {
	self := s.DB.Self()
	if self == "" {
		return ""
	}
	var others []string
	for _, other := range s.DB.Servers() {
		if other.ID == self && other.Does(Role) {
			return self
		}
		if other.Does(Role) {
			others = append(others, other.ID)
		}
	}
	if len(others) == 0 {
		return self
	}
	return others[rand.IntN(len(others))]
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
	for _, server := range s.DB.Servers() {
		if server.ID == j.Server {
			home = server
		}
	}
	return home, nil
}

// deserted is how long a server is dead before others look after its jobs.
const deserted = 60 * second

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

// orphans are the jobs of servers that have been dead for a while.
func (s *Service) orphans(ctx context.Context) (jobs []*Job, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		living, err := tx.Living(deserted)
		if err != nil {
			return err
		}
		if jobs, err = unended(tx); err != nil {
			return err
		}
		jobs = slices.DeleteFunc(jobs, func(j *Job) bool { return slices.Contains(living, j.Server) })
		return nil
	})
	return jobs, err
}

// adopt takes a job over that has not started, or closes one whose flow was lost.
func (s *Service) adopt(tx *db.Tx, orphan *Job) error {
	living, err := tx.Living(deserted)
	if err != nil {
		return err
	}
	j, err := find(tx, orphan.ID)
	if err != nil || j.Status.Ended() || slices.Contains(living, j.Server) {
		return err
	}
	run := j.run()
	if run == nil {
		j.Status, j.Server, j.Resumed = StatusQueued, s.DB.Self(), false
		if orphan.Resumed {
			return s.giveUp(tx, j, fault.New(fault.Unavailable, "the server that has its checkpoint is gone").WithCode(ReasonLost))
		}
		return s.keep(tx, j)
	}
	flow, err := s.Books.Flow(tx, j.Wallet, run.Flow)
	if err != nil || !flow.Status.Ended() {
		return err // its supervisor may live: the lease decides
	}
	j.Server = s.DB.Self()
	closed, err := s.close(tx, j, Report{Job: j.ID, Phase: Ended, StartedAt: run.StartedAt, EndedAt: flow.EndedAt}, flow.Status == wallet.Lost)
	if err != nil {
		return err
	}
	return s.finish(tx, j, closed)
}
