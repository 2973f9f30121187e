// Package job runs work that spends credits: it admits jobs, queues them,
// starts each through an executor and closes its flow at the very instant at
// which it ended.
//
// What it keeps true: a job runs only while a durable flow pays for it; its
// orders are computed from the wallet and never stored, so there is nothing to
// fall out of step; and whatever dies in between, each run is closed once, at
// its true end or its last proof of life (docs/decisions/001).
package job

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/ledger"
)

// Status is the state of a job.
type Status string

// The states of a job; the last four are final for a run, and only a
// resumption leaves them. Landing is never stored: a running job is landing
// from the instant that its flow's stop, less the grace, has come.
const (
	StatusQueued    Status = "queued"
	StatusStarting  Status = "starting"
	StatusRunning   Status = "running"
	StatusLanding   Status = "landing"
	StatusSucceeded Status = "succeeded"
	StatusFailed    Status = "failed"
	StatusStopped   Status = "stopped"
	StatusExhausted Status = "exhausted"
)

// Ended reports whether the state is final.
func (s Status) Ended() bool {
	return s == StatusSucceeded || s == StatusFailed || s == StatusStopped || s == StatusExhausted
}

// Why a job ended, besides the reasons of flows and of executors, and the code of the
// fault (such as insufficient_credits) for which it could not start or not keep its
// place in the queue.
const (
	ReasonRequest    = "request"     // someone stopped it
	ReasonMaxRuntime = "max_runtime" // the flow's until
	ReasonLost       = "lost"        // its supervisor or its machine died
	ReasonExecutor   = "executor"    // the executor could not run it
)

// Resources is what a job takes.
type Resources struct {
	GPU       string          // without "gpu.": h100
	GPUCount  int64           // whole GPUs
	CPU       credit.Quantity // vCPUs
	MemoryGiB credit.Quantity
}

// Request is what was asked for. MaxCost and MaxRuntime bound the job, all its
// runs together; 0 is no bound.
type Request struct {
	Name       string
	Command    []string
	Env        map[string]string
	WorkingDir string
	Resources  Resources
	Tier       string
	Project    string
	User       string
	Key        string // the credential that asked
	MaxCost    credit.Amount
	MaxRuntime int64
	Grace      *int64 // nanoseconds from the signal to the stop; nil is the wallet's
	Region     string
}

// Run is one attempt at the job, with its own flow.
type Run struct {
	Flow       string
	StartedAt  int64
	EndedAt    int64
	Grace      int64
	Status     Status // how it ended
	Reason     string
	ExitCode   *int
	Signal     string
	Checkpoint bool
	Killed     string // why it was killed, if it was
	LateNs     int64  // how long after its instant the kill was sent
}

// Stop is a request to stop a run.
type Stop struct {
	At     int64
	Grace  *int64 // nanoseconds from the signal to the kill; nil is the run's
	Reason string // in the words of who asked
}

// Job is one job, as its row has it.
type Job struct {
	Wallet  ledger.ID
	ID      string
	Server  string // on which it runs, of several; its files are there
	Request Request
	Status  Status
	Detail  string // for the user: what went wrong
	Unfit   int    // what a shell ends with if it cannot execute the program of this run, which never came to its start
	Hold    string // for its start, while it waits
	Runs    []Run  // the last is the present one, once it has started

	CreatedAt  int64
	QueuedAt   int64 // when it joined the queue, for this run
	HeldUntil  int64
	Stopped    *Stop // a stop that was asked for, for this run
	LaunchedAt int64 // when this run was handed to the executor last
	Tries      int   // how often this run was launched
	Resumed    bool  // the coming or present run continues from a checkpoint
	StartedAt  int64 // of the first run
	EndedAt    int64 // of the last
	Reason     string
}

// run is the present run, or nil before the flow has started.
func (j *Job) run() *Run {
	if len(j.Runs) == 0 {
		return nil
	}
	if r := &j.Runs[len(j.Runs)-1]; r.EndedAt == 0 {
		return r
	}
	return nil
}

// last is the latest run that started, or nil.
func (j *Job) last() *Run {
	if len(j.Runs) == 0 {
		return nil
	}
	return &j.Runs[len(j.Runs)-1]
}

// stale reports whether an end is that of an earlier run, told again because
// the answer was not heard.
func (j *Job) stale(r Report) bool { return r.EndedAt > 0 && r.EndedAt < j.QueuedAt }

// needs is what the job takes of the capacity.
func (q *Request) needs() needs {
	var all needs
	if q.Resources.GPU != "" {
		all = append(all, need{"gpu." + q.Resources.GPU, credit.Quantity(q.Resources.GPUCount) * credit.Units})
	}
	if q.Resources.CPU > 0 {
		all = append(all, need{"cpu.vcpu", q.Resources.CPU})
	}
	if q.Resources.MemoryGiB > 0 {
		all = append(all, need{"memory.gib", q.Resources.MemoryGiB})
	}
	return all
}

// resumeWithin is how long a checkpoint is kept for resumption.
const resumeWithin = 24 * int64(credit.Hour)

// resumableUntil is until when the job may be resumed; 0 if it may not. A run
// that was killed at its stop, or lost, had no say in its exit code. A resumption
// that ended before its run began changes nothing of it.
func (j *Job) resumableUntil() int64 {
	r := j.last()
	if r == nil || !r.Status.Ended() || !r.Checkpoint || !j.Status.Ended() {
		return 0
	}
	switch {
	case r.Reason == ReasonLost: // not the job's fault
	case r.Status != StatusExhausted && r.Status != StatusStopped:
		return 0
	case r.Killed == "" && (r.ExitCode == nil || *r.ExitCode != 0):
		return 0
	}
	return r.EndedAt + resumeWithin
}
