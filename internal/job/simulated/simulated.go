// Package simulated is an executor whose processes exist in the server's clock
// only: with the test clock, a month of jobs runs in seconds, each doing what
// it does at the exact instant.
//
// What it keeps true: the same jobs, orders and instants give the same
// reports. A process is a file, so it outlives the server like a real one.
package simulated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
)

// Clock is what the executor needs of the server's clock.
type Clock interface{ Now() int64 }

// Executor runs virtual processes; see [job.Executor].
type Executor struct {
	dir   string
	clock Clock
	kick  chan struct{}
	begun chan struct{} // closed by Run, which sets handler before
	mu    sync.Mutex    // held while reports are made: one thing happens after the other

	handler   job.Handler
	processes map[string]*process // those that are not acknowledged
	launches  int64
}

// New takes up the processes kept in dir.
func New(dir string, clock Clock) (*Executor, error) {
	e := &Executor{dir: dir, clock: clock, kick: make(chan struct{}, 1), begun: make(chan struct{}), processes: map[string]*process{}}
	files, err := filepath.Glob(filepath.Join(dir, "*", "simulated.json"))
	if err != nil {
		return nil, fmt.Errorf("simulated: list %s: %w", dir, err)
	}
	sort.Strings(files)
	for _, file := range files {
		p, err := read(file)
		if err != nil {
			return nil, err
		}
		if !p.Acked {
			e.launches++
			p.order = e.launches
			e.processes[p.Spec.Job] = p
		}
	}
	return e, nil
}

func read(file string) (*process, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := &process{}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("simulated: %s: %w", file, err)
	}
	return p, nil
}

func (e *Executor) file(id, name string) string { return filepath.Join(e.dir, id, name) }

// keep writes the process to disk in one rename, and what it said to its log.
func (e *Executor) keep(p *process) error {
	if err := e.log(p); err != nil {
		return fmt.Errorf("simulated: log of %s: %w", p.Spec.Job, err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	file := e.file(p.Spec.Job, "simulated.json")
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return fmt.Errorf("simulated: keep %s: %w", p.Spec.Job, err)
	}
	return os.Rename(file+".new", file)
}

func (e *Executor) log(p *process) error {
	if len(p.said) == 0 {
		return nil
	}
	file, err := os.OpenFile(e.file(p.Spec.Job, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.Join(p.said, ""))
	p.said = nil
	return errors.Join(err, file.Close())
}

// Launch prepares a virtual process.
func (e *Executor) Launch(_ context.Context, spec job.Spec) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.processes[spec.Job] != nil {
		return fault.New(fault.Conflict, "an earlier run of %s is alive", spec.Job)
	}
	p := &process{Spec: spec, LaunchedAt: e.clock.Now()}
	if err := os.MkdirAll(e.file(spec.Job, ""), 0o700); err != nil {
		return fmt.Errorf("simulated: launch %s: %w", spec.Job, err)
	}
	if spec.Resumed {
		if before, err := read(e.file(spec.Job, "simulated.json")); err == nil {
			p.Worked = max(before.Saved, before.Worked) // it may have ended before it worked on
		}
	}
	if err := e.keep(p); err != nil {
		return err
	}
	e.launches++
	p.order = e.launches
	e.processes[spec.Job] = p
	e.Wake(spec.Job, 0)
	return nil
}

// Wake makes Run look at the processes.
func (e *Executor) Wake(string, int64) {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// Inspect says how the process stands.
func (e *Executor) Inspect(id string) (job.State, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.processes[id]
	if p == nil {
		var err error
		if p, err = read(e.file(id, "simulated.json")); errors.Is(err, os.ErrNotExist) {
			return job.State{Log: e.file(id, "log")}, nil
		} else if err != nil {
			return job.State{}, err
		}
	}
	state := job.State{Launched: true, Alive: p.End == nil, End: p.End, Checkpoint: p.Saved > 0, Log: e.file(id, "log")}
	if p.StartedAt > 0 {
		state.Proof = e.clock.Now()
	}
	if p.End != nil {
		state.Proof = p.End.Proof
	}
	return state, nil
}

// Clear has nothing to kill.
func (e *Executor) Clear(string) error { return nil }

// Kept are the jobs that have a directory.
func (e *Executor) Kept() ([]string, error) {
	files, err := filepath.Glob(e.file("*", ""))
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files, err
}

// Remove removes the directory of a process that was acknowledged.
func (e *Executor) Remove(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.processes[id] != nil {
		return nil
	}
	return os.RemoveAll(e.file(id, ""))
}

// Follow says who hears the reports. Whoever does without Run calls it, once, and
// [Executor.RunDue] when he wants something to happen.
func (e *Executor) Follow(handler job.Handler) {
	e.handler = handler
	close(e.begun)
}

// Run carries reports until ctx ends. On a clock that runs by itself it also
// waits for what is due next; the test clock calls [Executor.RunDue]. It is
// called once.
func (e *Executor) Run(ctx context.Context, handler job.Handler) error {
	e.Follow(handler)
	for {
		wait := time.Second
		if _, err := e.RunDue(ctx); err != nil && ctx.Err() == nil {
			wait = 100 * time.Millisecond // a report failed: the process keeps its orders, and asks again
		} else if next := e.nextDue(); next > 0 {
			wait = min(wait, max(time.Millisecond, time.Duration(next-e.clock.Now())))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.kick:
		case <-time.After(wait):
		}
	}
}

// NextAt is the next instant at which a process does something or its lease
// wants renewal; 0 if none does. Like RunDue it waits for Run to be called: who
// asked earlier would hear of no leases, and let time pass over them.
func (e *Executor) NextAt(ctx context.Context) (int64, error) {
	if err := e.wait(ctx); err != nil {
		return 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.list() {
		if err := e.refresh(ctx, p); err != nil {
			return 0, err
		}
	}
	return e.due(), nil
}

func (e *Executor) wait(ctx context.Context) error {
	select {
	case <-e.begun:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Executor) nextDue() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.due()
}

// due is NextAt under the orders as they were last heard.
func (e *Executor) due() int64 {
	var first int64
	for _, p := range e.processes {
		at := p.LaunchedAt
		if startup, ok := p.seconds(EnvStartup); ok {
			at += startup
		}
		if p.StartedAt > 0 && p.End == nil {
			at = p.next().at
			if renew := p.renewAt(e.clock.Now()); renew > 0 && (at == 0 || renew < at) {
				at = renew
			}
		}
		if at > 0 && (first == 0 || at < first) {
			first = at
		}
	}
	return first
}

// renewAt is when most of what is left of the lease will be used; 0 if it need
// not be renewed, because it reaches to the landing.
func (p *process) renewAt(now int64) int64 {
	left := p.orders.LeaseUntil - now
	if left <= 0 || p.TermAt > 0 || p.orders.Land > 0 && p.orders.LeaseUntil >= p.orders.Land {
		return 0
	}
	return now + left - left/10
}

// list is the processes in the order of their launches.
func (e *Executor) list() []*process {
	all := make([]*process, 0, len(e.processes))
	for _, p := range e.processes {
		all = append(all, p)
	}
	sort.Slice(all, func(i, k int) bool { return all[i].order < all[k].order })
	return all
}

// RunDue does everything that processes do up to now, each thing at its own
// instant. It says whether anything happened.
func (e *Executor) RunDue(ctx context.Context) (bool, error) {
	if err := e.wait(ctx); err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	moved := false
	for _, p := range e.list() {
		for {
			did, err := e.step(ctx, p)
			if err != nil {
				return moved, fmt.Errorf("simulated: %s: %w", p.Spec.Job, err)
			}
			if !did {
				break
			}
			moved = true
		}
	}
	return moved, nil
}

// step takes a process one step further, if one is due.
func (e *Executor) step(ctx context.Context, p *process) (bool, error) {
	now := e.clock.Now()
	if p.Acked {
		return false, nil
	}
	if p.End == nil && p.StartedAt == 0 {
		startup, _ := p.seconds(EnvStartup)
		if p.LaunchedAt+startup > now {
			return false, nil
		}
		return e.begin(ctx, p, now)
	}
	if p.End == nil {
		if err := e.refresh(ctx, p); err != nil {
			return false, err
		}
		do := p.next()
		if do.at == 0 || do.at > now {
			return false, nil
		}
		do.what(p, do.at)
		return true, e.keep(p)
	}
	orders, err := e.handler.Report(ctx, *p.End)
	if err != nil || !orders.Ack {
		return false, err
	}
	return true, e.leave(p)
}

// begin asks for the start and executes the command when told to.
func (e *Executor) begin(ctx context.Context, p *process, now int64) (bool, error) {
	orders, err := e.handler.Report(ctx, job.Report{Job: p.Spec.Job, Phase: job.Ready})
	switch {
	case fault.Is(err, fault.NotFound), err == nil && orders.Ack:
		return true, e.leave(p)
	case err != nil:
		return false, err
	case orders.Stop:
		p.exit(now, sigterm, "SIGTERM")
		p.End.Landed = orders.Reason
		return true, e.keep(p)
	case !orders.Go:
		return false, nil
	}
	p.StartedAt, p.orders = now, orders
	p.say(now, "started")
	return true, e.keep(p)
}

// refresh reports proof of life and takes the orders in.
func (e *Executor) refresh(ctx context.Context, p *process) error {
	if p.StartedAt == 0 || p.End != nil {
		return nil
	}
	now := e.clock.Now()
	orders, err := e.handler.Report(ctx, job.Report{
		Job: p.Spec.Job, Phase: job.Running, Seen: p.orders.Version, Proof: now, StartedAt: p.StartedAt,
	})
	if err != nil {
		return err
	}
	p.obey(orders, now)
	return nil
}

// leave forgets the process; its file stays for Inspect and resumption.
func (e *Executor) leave(p *process) error {
	p.Acked = true
	if p.End == nil {
		p.exit(e.clock.Now(), sigterm, "SIGTERM")
	}
	delete(e.processes, p.Spec.Job)
	return e.keep(p)
}
