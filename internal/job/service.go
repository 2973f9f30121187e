package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
)

// Config is what a service works with.
type Config struct {
	DB       *db.DB
	Books    *ledger.Ledger
	Prices   *price.Book
	Projects *project.Book // of the workspaces of Books; one of its own if nil
	Executor Executor
	Capacity Capacity // nil: no limit
	Leases   Leases   // the default if zero
	Log      *slog.Logger
}

// Service runs jobs. It is the [Handler] of its executor.
type Service struct {
	Config
	kick chan struct{}
	turn sync.Mutex // one dispatch at a time

	mu       sync.Mutex
	active   map[string]*entry             // jobs that have not ended
	places   map[string]place              // of those that wait
	running  map[ledger.ID]map[string]bool // ids of running jobs, by wallet
	watchers map[ledger.ID]context.CancelFunc
	visitors map[string][]chan struct{} // by job: requests of runs of other servers that wait for news
	ctx      context.Context            // of Run
}

// entry is a job that has not ended, as it was committed last. The job is
// replaced, never changed.
type entry struct {
	job   *Job
	lease int64  // until when it is granted
	heard Orders // the last that were answered
	proof int64  // the last proof of life that was reported
	flow  seen
}

// runs reports whether the flow is that of the job's present run.
func (e *entry) runs(flow string) bool {
	run := e.job.run()
	return run != nil && run.Flow == flow
}

// New returns a service; it does nothing by itself before [Service.Run].
func New(c Config) *Service {
	if c.Leases == (Leases{}) {
		c.Leases = DefaultLeases()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Projects == nil {
		c.Projects = project.NewBook(c.Books)
	}
	return &Service{
		Config: c, kick: make(chan struct{}, 1),
		active: map[string]*entry{}, places: map[string]place{},
		running: map[ledger.ID]map[string]bool{}, watchers: map[ledger.ID]context.CancelFunc{},
		visitors: map[string][]chan struct{}{},
	}
}

// Open reads the jobs that have not ended and finds out what became of them
// while there was no server. It comes before anything looks at leases: the
// executor knows more of a run than its lease does.
func (s *Service) Open(ctx context.Context) error {
	var jobs []*Job
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		jobs, err = unended(tx)
		return err
	})
	if err != nil {
		return err
	}
	jobs = slices.DeleteFunc(jobs, func(j *Job) bool { return !s.isHere(j) })
	for _, j := range jobs {
		s.remember(j)
	}
	for _, j := range jobs {
		if err := s.reconcile(ctx, j); err != nil && ctx.Err() == nil {
			// The others must not suffer: its lease ends its charge, and sweep tries again.
			s.Log.Error("what became of a job is not known", "job", j.ID, "error", err)
		}
	}
	return ctx.Err()
}

// Run starts what waits, follows what runs, and carries reports, until ctx
// ends. Jobs run on after it.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var cleaner sync.WaitGroup
	defer func() { cancel(); cleaner.Wait() }()
	cleaner.Go(func() { s.keepClean(ctx) })
	s.follow(ctx)
	reports := make(chan error, 1)
	go func() { reports <- s.Executor.Run(ctx, s) }()
	sweeps := time.NewTicker(sweepEvery) // of its own: a queue that is nudged all the time does not hold it up
	defer sweeps.Stop()
	for isStale := false; ; {
		var again <-chan time.Time
		var err error
		if isStale {
			err = s.reread(ctx)
			isStale = err != nil
		}
		if err == nil {
			err = s.dispatch(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Error("jobs cannot be started", "error", err)
			again = time.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), <-reports)
		case err := <-reports:
			return fmt.Errorf("the executor ended: %w", err)
		case <-s.kick:
		case <-again:
		case <-s.DB.News():
			isStale = true
		case <-s.DB.Returned():
			isStale = true
		case <-sweeps.C:
			s.sweep(ctx)
			s.inherit(ctx)
		}
	}
}

// reread takes in the jobs as their rows are, after a commit of which nobody was told
// whether it happened, and after another server has asked something of them. It is a
// unit of work, and so in the order of the commits.
func (s *Service) reread(ctx context.Context) error {
	return s.DB.Update(ctx, func(tx *db.Tx) error {
		jobs, err := unended(tx)
		if err != nil {
			return err
		}
		there := map[string]bool{}
		for _, j := range jobs {
			there[j.ID] = true
		}
		for _, known := range s.jobs(func(j *Job) bool { return !there[j.ID] }) {
			j, err := find(tx, known.ID)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			if err == nil {
				jobs = append(jobs, j)
			}
		}
		tx.AfterCommit(func() {
			for _, j := range jobs {
				s.remember(j)
				s.wake(j.ID, 0)
			}
		})
		return nil
	})
}

// nudge makes Run look at the queue.
func (s *Service) nudge() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// remember takes in a job as it was committed. It is called after commits, in
// their order.
func (s *Service) remember(j *Job) {
	c := *j
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.Status.Ended() || !s.isHere(j) {
		delete(s.active, j.ID)
		delete(s.places, j.ID)
	} else if e := s.active[j.ID]; e != nil {
		e.job, e.flow = &c, seen{}
	} else {
		s.active[j.ID] = &entry{job: &c}
	}
	if s.running[j.Wallet] == nil {
		s.running[j.Wallet] = map[string]bool{}
	}
	if j.Status == StatusRunning && s.isHere(j) {
		s.running[j.Wallet][j.ID] = true
	} else if delete(s.running[j.Wallet], j.ID); len(s.running[j.Wallet]) == 0 {
		delete(s.running, j.Wallet)
	}
	s.watch(j.Wallet)
	s.nudge()
}

// follow watches the wallets of all running jobs from now on.
func (s *Service) follow(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx = ctx
	for w := range s.running {
		s.watch(w)
	}
}

// keep writes the job's row and takes it in once that is durable; of a job of another
// server, that one is told.
func (s *Service) keep(tx *db.Tx, j *Job) error {
	if err := j.save(tx); err != nil {
		return err
	}
	if !s.isHere(j) {
		return tx.Tell(j.Server)
	}
	c := *j
	tx.AfterCommit(func() { s.remember(&c) })
	return nil
}

// jobs returns the active jobs for which want is true, by their place in the
// queue.
func (s *Service) jobs(want func(*Job) bool) []*Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Job
	for _, e := range s.active {
		if want(e.job) {
			all = append(all, e.job)
		}
	}
	slices.SortFunc(all, func(a, b *Job) int { return cmp.Or(cmp.Compare(a.QueuedAt, b.QueuedAt), cmp.Compare(a.ID, b.ID)) })
	return all
}
