package job

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// seen is a flow as of a version of its wallet.
type seen struct {
	version int64
	flow    *wallet.Flow
}

// Report takes in what a run says of itself and answers its present orders.
func (s *Service) Report(ctx context.Context, r Report) (Orders, error) {
	switch r.Phase {
	case Ready:
		return s.begin(ctx, r)
	case Running:
		return s.proceed(ctx, r)
	case Ended:
		return s.end(ctx, r, s.DB.Self(), false)
	}
	return Orders{}, fault.New(fault.Invalid, "%q is no phase of a run", r.Phase)
}

// proceed answers the orders of a run, and renews its lease when a good part of
// that is used.
func (s *Service) proceed(ctx context.Context, r Report) (Orders, error) {
	e := s.entry(r.Job)
	if e == nil || e.job.run() == nil {
		return s.strayed(ctx, r)
	}
	orders, err := s.present(ctx, e)
	if err != nil {
		return Orders{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if live := s.active[r.Job]; live != nil {
		live.heard, live.lease, live.proof = orders, orders.LeaseUntil, max(live.proof, r.Proof)
	}
	return orders, nil
}

// present are the orders of a run as its wallet stands, with as much of a lease as
// that allows.
func (s *Service) present(ctx context.Context, e *entry) (Orders, error) {
	now := s.DB.Clock().Now()
	st, flow, err := s.stand(ctx, e)
	if err != nil {
		return Orders{}, err
	}
	if st.ended == 0 {
		if st.lease, err = s.renew(ctx, e, st, flow, now); err != nil {
			return Orders{}, err
		}
	}
	return st.orders(), nil
}

// strayed answers a run of which we know nothing any more: its job was closed
// as lost, say. It is over.
func (s *Service) strayed(ctx context.Context, r Report) (Orders, error) {
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		_, err := find(tx, r.Job)
		return err
	})
	if err != nil {
		return Orders{}, err
	}
	return lostOrders(r), nil
}

// lostOrders end a run that nothing pays for any more.
func lostOrders(r Report) Orders {
	o := Orders{Go: r.Phase == Running, Kill: 1, Reason: ReasonLost}
	o.Version = o.version()
	return o
}

// entry is a copy of the entry of an active job, or nil.
func (s *Service) entry(id string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.active[id]; e != nil {
		c := *e
		return &c
	}
	return nil
}

// inLane lets what is done for a job wait with the rest of its organization.
func (s *Service) inLane(ctx context.Context, id string) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.active[id]; e != nil {
		return db.InLane(ctx, e.job.Wallet.Organization)
	}
	return ctx
}

// stand finds out how the present run of a job stands with its wallet. The flow
// is read again only if it cannot be the one that was seen: when the view, which
// knows running flows by their terms, does not know it.
func (s *Service) stand(ctx context.Context, e *entry) (stand, *wallet.Flow, error) {
	j, run, flow := e.job, e.job.run(), e.flow.flow
	snapshot, err := s.Books.Snapshot(ctx, j.Wallet)
	if err != nil {
		return stand{}, nil, err
	}
	st := stand{run: *run, stopped: j.Stopped, lease: e.lease}
	if flow != nil && !flow.Status.Ended() {
		st.stopAt, st.reason = snapshot.View.StopAt(flow)
	}
	if flow == nil || st.stopAt == 0 && e.flow.version != snapshot.Version {
		view := snapshot.View
		if flow, view, err = s.flow(ctx, j.Wallet, run.Flow, view); err != nil {
			return stand{}, nil, err
		}
		st.stopAt, st.reason = view.StopAt(flow)
		s.mu.Lock()
		if live := s.active[j.ID]; live != nil && live.runs(run.Flow) {
			live.flow = seen{snapshot.Version, flow}
		}
		s.mu.Unlock()
	}
	if flow.Status.Ended() {
		st.ended, st.stopAt, st.reason = flow.EndedAt, 0, flow.Reason
	}
	return st, flow, nil
}

// flow reads a flow, with a view of its time.
func (s *Service) flow(ctx context.Context, w ledger.ID, id string, view *wallet.View) (*wallet.Flow, *wallet.View, error) {
	var flow wallet.Flow
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		if flow, err = s.Books.Flow(tx, w, id); err == nil {
			view, err = s.Books.Matching(tx, w, view, &flow)
		}
		return err
	})
	return &flow, view, err
}

// renew grants the run as much of a lease as its wallet allows, if that is a
// good deal more than it has. The lease that the wallet reserves follows the
// runway; it is lowered only here, when what was granted before is shorter.
func (s *Service) renew(ctx context.Context, e *entry, st stand, flow *wallet.Flow, now int64) (int64, error) {
	runway := int64(0)
	if st.stopAt > 0 {
		runway = st.stopAt - now
	}
	wanted := s.Leases.wanted(runway)
	lease := granted(wanted, now, st.stopAt, st.run.Grace)
	if lease <= 0 || now+lease-e.lease < lease/3+1 {
		return e.lease, nil
	}
	var until int64
	err := s.DB.Update(s.inLane(ctx, e.job.ID), func(tx *db.Tx) (err error) {
		lands := st.stopAt > 0 && st.stopAt-st.run.Grace <= now
		if wanted != flow.Lease && !lands {
			_, err := s.Books.Apply(tx, e.job.Wallet, wallet.Limit{Flow: flow.ID, Lease: &wanted})
			if fault.Of(err) != nil { // it is more than there is: the old one stands
				lease = min(lease, flow.Lease)
			} else if err != nil {
				return err
			}
		}
		until, err = s.Books.Renew(tx, e.job.Wallet, e.job.ID, lease)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return cmp.Or(e.lease, now), nil // it has lapsed: the flow is closed, and the next orders say so
	}
	if wanted != flow.Lease {
		s.forget(e.job.ID)
	}
	return until, err
}

// forget has the flow of a job read again.
func (s *Service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.active[id]; e != nil {
		e.flow = seen{}
	}
}

// watch follows a wallet with running jobs, until the last of them has ended.
// The caller holds mu.
func (s *Service) watch(w ledger.ID) {
	cancel, running := s.watchers[w], len(s.running[w]) > 0
	switch {
	case s.ctx == nil || running == (cancel != nil):
	case running:
		ctx, cancel := context.WithCancel(s.ctx)
		s.watchers[w] = cancel
		go s.watcher(ctx, w)
	default:
		cancel()
		delete(s.watchers, w)
	}
}

// watcher wakes the executor for every job whose orders a change of the wallet
// has moved.
func (s *Service) watcher(ctx context.Context, w ledger.ID) {
	changes, cancel := s.Books.Watch(w)
	defer cancel()
	for { // first what changed before we watched
		now := s.DB.Clock().Now()
		for _, id := range s.runningIn(w) {
			s.tell(ctx, id, now)
		}
		select {
		case <-ctx.Done():
			return
		case <-changes:
		}
	}
}

func (s *Service) runningIn(w ledger.ID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.running[w]))
}

// tell wakes the executor of a job if its orders have changed.
func (s *Service) tell(ctx context.Context, id string, now int64) {
	e := s.entry(id)
	if e == nil || e.job.run() == nil {
		return
	}
	st, _, err := s.stand(ctx, e)
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Error("the orders of a job cannot be told", "job", id, "error", err)
		}
		return
	}
	if e.heard.matters(st.orders(), now) {
		s.Executor.Wake(id, 0)
	}
}
