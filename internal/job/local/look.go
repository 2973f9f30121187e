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

// lookAfter finds the runs whose supervisor died, until ctx ends.
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

// silent are the runs without a request under way.
func (e *Executor) silent() map[string]*talk {
	e.mu.Lock()
	defer e.mu.Unlock()
	silent := map[string]*talk{}
	for id, t := range e.known {
		if t.open == 0 {
			silent[id] = t
		}
	}
	return silent
}

// lookAt tells the handler if the run is dead: its end, if it wrote one down
// before, otherwise that it is gone. If we fail, we look again later.
func (e *Executor) lookAt(ctx context.Context, handler job.Handler, id string, t *talk) error {
	state, err := e.Inspect(id)
	if err != nil {
		return err
	}
	if state.Alive {
		return e.endStuck(id, t, state)
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

// endStuck kills a supervisor that neither reports nor has ended its job in
// time, because it is stopped, or stuck in the kernel: the job dies with it.
// Without this it would run on for nothing.
func (e *Executor) endStuck(id string, t *talk, state job.State) error {
	e.mu.Lock()
	stuck := t.open == 0 && t.over != 0 && bootTime() > t.over+int64(e.stuckAfter) && state.End == nil
	e.mu.Unlock()
	if !stuck {
		return nil
	}
	_, who, err := e.remembered(id)
	if err != nil || who == nil {
		return err
	}
	e.config.Log.Error("a supervisor is stuck and is killed, and its job with it", "job", id)
	who.Supervisor.signal(unix.SIGKILL)
	return nil
}
