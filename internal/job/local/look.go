package local

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
)

// lookEvery is how often the executor looks after runs that do not report.
const lookEvery = time.Second

// lookNow makes it look at once.
func (e *Executor) lookNow() {
	select {
	case e.look <- struct{}{}:
	default:
	}
}

// lookAfter finds the runs whose supervisor died or was stopped, until ctx ends.
func (e *Executor) lookAfter(ctx context.Context, handler job.Handler) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for id, t := range e.silent() {
			if err := e.lookAt(ctx, handler, id, t); err != nil && ctx.Err() == nil {
				e.config.Log.Error("a run that died could not be reported", "job", id, "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-e.look:
		case <-ctx.Done():
			return
		}
	}
}

// silent are the runs without a request under way, or whose supervisor was stopped
// when it was looked at last.
func (e *Executor) silent() map[string]*talk {
	e.mu.Lock()
	defer e.mu.Unlock()
	silent := map[string]*talk{}
	for id, t := range e.known {
		if t.open == 0 || t.frozen != 0 {
			silent[id] = t
		}
	}
	return silent
}

// lookAt sees to a run that does not report. It tells the handler if the run is
// dead: its end, if it wrote one down before, otherwise that it is gone. If we
// fail, we look again later.
func (e *Executor) lookAt(ctx context.Context, handler job.Handler, id string, t *talk) error {
	state, err := e.Inspect(id)
	if state.Alive { // whether or not the job lets us read what it keeps
		return e.attend(id, t, state)
	}
	if err != nil {
		return err
	}
	if state.End != nil {
		t.once.Lock()
		_, err = handler.Report(ctx, *state.End)
		t.once.Unlock()
	} else if err = e.Clear(id); err == nil {
		err = handler.Gone(ctx, id)
	}
	if err == nil || fault.Is(err, fault.NotFound) {
		e.forget(id, t)
		return nil
	}
	return err
}

// frozenLimit is how long a supervisor may be found stopped. It is continued
// each time before that.
const frozenLimit = 2 * time.Second

// attend sees to a run that lives and says nothing. That its command lives is
// seen from here too, and counts as a proof of life: a job that stops its
// supervisor is not free. A supervisor that is stopped is continued; one that
// does not stay so is killed, and its job with it. So is one that has not ended
// its job in time, because it is stuck in the kernel.
func (e *Executor) attend(id string, t *talk, state job.State) error {
	_, who, err := e.remembered(id)
	if err != nil || who == nil {
		return err
	}
	e.witness(t, who)
	frozen := e.frozenFor(t, who.Supervisor)
	switch {
	case frozen > frozenLimit, e.isStuck(t) && state.End == nil:
		e.config.Log.Error("a supervisor is stuck and is killed, and its job with it", "job", id, "stopped_for", frozen)
		who.Supervisor.signal(unix.SIGKILL)
	case frozen > 0:
		e.config.Log.Warn("a supervisor was stopped and is continued", "job", id)
		who.Supervisor.signal(unix.SIGCONT)
	}
	return nil
}

// witness notes this instant if the command is alive.
func (e *Executor) witness(t *talk, who *people) {
	at, command := e.config.Now(), who.Main
	if command.Pid == 0 { // its supervisor did not come to write it down
		command = commandOf(who.Supervisor)
	}
	if _, ok := command.now(); !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	t.witnessed = at
}

// witnessed is the last instant at which a silent run was seen alive; 0 if never.
func (e *Executor) witnessed(id string) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.known[id]; t != nil {
		return t.witnessed
	}
	return 0
}

// frozenFor is for how long each look has found the supervisor stopped; 0 if it is
// not stopped now.
func (e *Executor) frozenFor(t *talk, supervisor process) time.Duration {
	now, ok := supervisor.now()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !ok || !now.stopped:
		t.frozen = 0
		return 0
	case t.frozen == 0:
		t.frozen = bootTime()
	}
	return max(1, time.Duration(bootTime()-t.frozen))
}

// isStuck reports whether the run must have ended by now.
func (e *Executor) isStuck(t *talk) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return t.open == 0 && t.over != 0 && bootTime() > t.over+int64(e.stuckAfter)
}
