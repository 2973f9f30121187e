package job

import (
	"context"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// A run whose own server does not answer visits another one on the same database
// (docs/decisions/020). That one computes its orders from the rows, as the own server
// would, and remembers nothing: the job, its files and its place stay where they are,
// and when the own server is back there is nothing to hand over.

// visitHold is how long a visitor waits for news at most. Then it looks for its own
// server, which may be back and have been asked to stop it.
const visitHold = 2 * time.Second

// Refuges are the URLs of the servers that runs of one, home, may visit: those that live
// first. One that does not may be about to start again.
func Refuges(servers []db.Server, home string) (urls []string) {
	for _, areAlive := range []bool{true, false} {
		for _, s := range servers {
			if s.IsAlive != areAlive || s.ID == home || s.URL == "" {
				continue
			}
			if s.IsAlive = true; s.Does(Role) {
				urls = append(urls, s.URL)
			}
		}
	}
	return urls[:min(len(urls), maxRefuges)]
}

const maxRefuges = 16

// Visit takes in what a run of another server, home, says of itself, and answers its
// orders: at once if they are news to it, or else when they become news, or after a
// little while.
func (s *Service) Visit(ctx context.Context, home string, r Report) (Orders, error) {
	switch r.Phase {
	case Running:
	case Ended:
		return s.end(ctx, r, home, false)
	default: // its job may be taken over by another server, and start there
		return Orders{}, fault.New(fault.Invalid, "a run that has not started waits for its own server")
	}
	woken, leave := s.await(r.Job)
	defer leave()
	e, err := s.visitor(ctx, home, r.Job)
	if err != nil || e == nil {
		return lostOrders(r), err
	}
	changes, cancel := s.Books.Watch(e.job.Wallet)
	defer cancel()
	hold := time.NewTimer(visitHold)
	defer hold.Stop()
	for {
		orders, err := s.present(db.InLane(ctx, e.job.Wallet.Organization), e)
		if err != nil || orders.AreNewsTo(r) {
			return orders, err
		}
		hold.Reset(max(0, min(visitHold, time.Duration(orders.LeaseUntil-s.DB.Clock().Now())/3)))
		select {
		case <-ctx.Done():
			return Orders{}, ctx.Err()
		case <-hold.C:
			return orders, nil
		case <-changes:
		case <-woken:
		}
		if e, err = s.visitor(ctx, home, r.Job); err != nil || e == nil {
			return lostOrders(r), err
		}
	}
}

// visitor reads a job of another server that runs there; nil if it does not any more.
func (s *Service) visitor(ctx context.Context, home, id string) (e *entry, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		j, err := find(tx, id)
		if err != nil {
			return err
		}
		if e = nil; j.Server != home || j.run() == nil {
			return nil
		}
		lease, err := s.Books.LeaseUntil(tx, j.Wallet, j.ID)
		e = &entry{job: j, lease: lease}
		return err
	})
	return e, err
}

// await gives a channel that holds a token when the job was asked something here, until
// leave is called.
func (s *Service) await(id string) (woken <-chan struct{}, leave func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visitors[id] = append(s.visitors[id], c)
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.visitors[id] = slices.DeleteFunc(s.visitors[id], func(other chan struct{}) bool { return other == c })
		if len(s.visitors[id]) == 0 {
			delete(s.visitors, id)
		}
	}
}

// wake has a run, whether it is here or visits, ask for its orders. Call it after the
// commit that changed them.
func (s *Service) wake(id string, over int64) {
	s.Executor.Wake(id, over)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.visitors[id] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// reopen undoes the end of a run that was closed as lost, for one that can say how it
// ended.
func (s *Service) reopen(tx *db.Tx, j *Job) error {
	if run := j.last(); !j.Status.Ended() || j.Reason != ReasonLost || run == nil || run.Reason != ReasonLost {
		return nil
	}
	flow, err := s.Books.Flow(tx, j.Wallet, j.last().Flow)
	if err != nil || flow.Status != wallet.Lost || flow.Reason == wallet.ReasonLate {
		return err
	}
	j.Status, j.last().EndedAt = StatusRunning, 0
	return nil
}
