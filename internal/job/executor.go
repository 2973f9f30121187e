package job

import "context"

// An Executor is what really runs jobs. It knows nothing of credits: it
// starts what the service launches, tells the service what became of it, and
// does what the orders say, at the instants they name, even when the service
// is away by then.
//
// The life of one run, seen from both sides:
//
//	service                                   executor
//	Launch(spec)                       ->     prepares, charges nothing
//	                                   <-     Report ready (or at once ended with Error)
//	starts the flow, durably, and only
//	then answers Orders with Go        ->     executes the command
//	                                   <-     Report running, again and again: proof of life;
//	                                          each answer may renew the lease and move Land and Kill
//	Wake(job, over) when orders have changed ->     fetches them at once
//	                                   <-     Report ended, until the answer says Ack
//
// A run that dies without that last report (its supervisor was killed, the
// machine crashed) comes to the service as Gone, or is found by Inspect after
// a start of the service.
type Executor interface {
	// Launch begins a run of the job. It returns when the run is prepared by
	// something that outlives this process, not when the command runs. It
	// fails with a Conflict fault while an earlier run of the job is alive.
	Launch(ctx context.Context, spec Spec) error

	// Wake says that the job may have new orders, so that the executor asks
	// for them now. It never blocks, and unknown jobs are ignored. Call it
	// after the commit that changed them. A run that must have ended by an
	// instant (over, on the server's clock; 0 for none) and does not ask is
	// ended from outside soon after it.
	Wake(job string, over int64)

	// Inspect says what is known of the job's latest run without asking the
	// run itself. It is how a service that starts finds out what happened
	// while there was none.
	Inspect(job string) (State, error)

	// Clear kills what a dead supervisor left running, and nothing else: no
	// process of another job, none that merely got the same number. It does
	// nothing while the supervisor is alive.
	Clear(job string) error

	// Kept are the jobs of which there are files.
	Kept() ([]string, error)

	// Remove removes all files of a job, so that Inspect does not know it any
	// more. It does nothing while a run of it is alive.
	Remove(job string) error

	// Run carries reports to the handler until ctx ends. Jobs go on running
	// after it returned, and a later Run takes them up again.
	Run(ctx context.Context, handler Handler) error
}

// A Handler receives the reports of an executor; the service is the one.
type Handler interface {
	// Report takes in what a run says of itself and answers its present
	// orders. It must not wait for anything but its own commit: waiting for
	// changed orders is the executor's part. It may be called twice within
	// one long poll, and the same report may come again after a crash on
	// either side, so it renews a lease only when a good part of it is used
	// and records an end only once. A run whose report fails keeps the orders
	// it has, and so stops by itself when its lease ends; a NotFound fault
	// tells a run that has not begun to leave.
	Report(ctx context.Context, report Report) (Orders, error)

	// Gone says that the run died without reporting an end, that what it left
	// behind has been killed, and that Inspect now has its last proof of life.
	// It is called once per death that is noticed, and not for runs that died
	// while no Run was under way.
	Gone(ctx context.Context, job string) error
}

// Spec is what to run.
type Spec struct {
	Job        string            // the job's id
	Workspace  string            // for the job's own information
	Command    []string          // program and arguments; the program is looked up in the job's PATH
	Env        map[string]string // added to a small basic environment; names that begin with PURSER_ are ours
	WorkingDir string            // absolute; empty: a directory of the job's own, kept over resumption
	Resumed    bool              // the run continues from the checkpoint of an earlier one
}

// Phase is how far a run has come.
type Phase string

// The phases, in order. A run may go from Ready to Ended without running.
const (
	Ready   Phase = "ready"   // prepared, waiting for Go
	Running Phase = "running" // the command was executed
	Ended   Phase = "ended"   // the command and all its descendants are gone
)

// Why a run was signalled or killed by its supervisor itself; the other
// reasons are the ones that orders name.
const (
	ReasonLease    = "lease"    // the lease ended and was not renewed
	ReasonStop     = "stop"     // ordered to stop, and the orders gave no reason
	ReasonShutdown = "shutdown" // the supervisor itself was told to end (SIGTERM), as when the machine shuts down
)

// Report is what a run says of itself. All instants are on the server's
// clock, Unix nanoseconds, 0 for none.
type Report struct {
	Job   string
	Phase Phase
	Seen  int64 // Orders.Version of the orders it holds; 0 if it has none
	Lease int64 // Orders.LeaseUntil of the orders it holds; 0 if it does not say
	Wait  bool  // it would rather wait a few seconds than be told the same again
	Over  int64 // by when it ends by itself on the orders it has, whoever gave them; 0 if never

	Proof     int64 // the last instant at which the command was seen running
	StartedAt int64 // when the command was executed; 0 if it never was

	// The rest is said by Ended only.
	EndedAt    int64  // taken as soon as the command's main process was waited for
	ExitCode   int    // the command's own; 128 + the signal's number if a signal ended it. With an Error as a shell has it: 127 not found, 126 not executable, or 0
	Signal     string // the signal that ended it, such as SIGKILL; empty if it exited
	Checkpoint bool   // the checkpoint file is there
	Landed     string // why it had been sent SIGTERM, if a landing was under way at the end
	Killed     string // why it was sent SIGKILL, if it was
	LateNs     int64  // how long after the planned instant SIGKILL was sent
	Error      string // why the command could not be executed; for the user
}

// Orders are what a run is to do, whole: what an answer does not say any more
// no longer holds. All instants are on the server's clock, Unix nanoseconds,
// 0 for never.
type Orders struct {
	Version int64 // differs whenever anything below but Now and LeaseUntil differs; never 0
	Now     int64 // the server's instant; the executor sets it, at the last moment before it passes the orders on

	Go         bool   // the flow has started: execute the command, if that was not done yet
	LeaseUntil int64  // without newer orders, SIGTERM at this instant and SIGKILL Grace later
	Land       int64  // SIGTERM at this instant; later or 0 in newer orders cancels a landing
	Kill       int64  // SIGKILL to every descendant at this instant
	Grace      int64  // nanoseconds between SIGTERM and SIGKILL when the lease ends, and when stopped
	Stop       bool   // SIGTERM now, SIGKILL Grace later; cannot be taken back
	Reason     string // why Land, Kill or Stop: credits, budget, max_cost, max_runtime, stop, …
	Ack        bool   // the end is recorded: no more reports are needed
}

// AreNewsTo reports whether the orders are to be answered to a report at once. A
// renewed lease is, because the one in hand may end before a held answer comes; a
// supervisor of an earlier release does not say which it has.
func (o Orders) AreNewsTo(r Report) bool {
	isRenewed := r.Lease != 0 && o.LeaseUntil != r.Lease
	return !r.Wait || o.Ack || o.Version != r.Seen || isRenewed
}

// State is what is known of a job's latest run from outside.
type State struct {
	Launched   bool    // there was a Launch that this executor remembers; if not, all else is zero
	Alive      bool    // its supervisor lives: it will report
	End        *Report // the report of its end, if it came to one, acknowledged or not
	Proof      int64   // its last proof of life, server's clock, Unix nanoseconds; 0 if it never ran
	Checkpoint bool    // the checkpoint file is there
	Log        string  // path of the file with what the command wrote, of all its runs; it may not exist yet
}
