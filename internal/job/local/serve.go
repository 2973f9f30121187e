package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
)

// talk is the executor's side of the talk with one supervisor.
type talk struct {
	once sync.Mutex // one report of a job at a time goes to the handler

	// guarded by Executor.mu
	woken chan struct{} // closed by Wake
	turn  int64         // number of the latest request; an older one says nothing more
	open  int           // requests under way
	over  int64         // boot time at which the run must have ended unless it reports again; 0 if never
	// boot time at which it was ordered to have ended; 0 if it was not
	ordered int64
	lock    *os.File // the supervisor's, opened while its name is there; nil if it was not
	who     *people  // who runs, as they were read last; nil before
	// the server's instant at which the command of a silent run was seen alive; 0 if it was not
	witnessed int64
	frozen    int64 // boot time since which each look finds the supervisor stopped; 0 if the last did not
}

// talk is the talk with a job's supervisor, begun if there was none.
func (e *Executor) talk(id string) *talk {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.known[id]
	if t == nil {
		t = &talk{woken: make(chan struct{})}
		e.known[id] = t
	}
	t.remember(e, id)
	return t
}

// remember keeps what the job's directory says of the supervisor: the job may
// delete the directory, and is not rid of it by that.
func (t *talk) remember(e *Executor, id string) {
	f, err := e.folder(id)
	if err != nil || t.lock != nil && t.who != nil && t.who.Main.Pid != 0 {
		return
	}
	if t.lock == nil {
		t.lock, _ = os.OpenFile(f.file("lock"), os.O_RDWR, 0) // another time, if it is not there yet
	}
	var who people
	if f.readJSON("process.json", &who) == nil {
		t.who = &who
	}
}

// remembered is what was remembered of a job's supervisor: whether it lives, and who
// runs.
func (e *Executor) remembered(id string) (isAlive bool, who *people, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.known[id]
	if t == nil {
		return false, nil, nil
	}
	t.remember(e, id) // it may have been written since it last reported
	if t.lock == nil {
		return false, t.who, nil
	}
	isAlive, err = isLocked(t.lock)
	return isAlive, t.who, err
}

// Wake ends the waiting of a supervisor for changed orders. If it does not come for
// them, it is held to the instant at which the run must have ended.
func (e *Executor) Wake(id string, over int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.known[id]; t != nil {
		if over != 0 {
			over = later(over, bootTime()-e.config.Now())
			t.ordered = sooner(t.ordered, over)
			t.over = sooner(t.over, over)
		}
		close(t.woken)
		t.woken = make(chan struct{})
	}
}

// Run serves the socket, and looks after supervisors that died.
func (e *Executor) Run(ctx context.Context, handler job.Handler) error {
	listener, err := e.listen()
	if err != nil {
		return fmt.Errorf("listen for supervisors: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs/{job}", func(w http.ResponseWriter, r *http.Request) { e.serve(w, r, handler) })
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: callLimit,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	// Close and not Shutdown: supervisors call again by themselves, and a held
	// request must not hold up the end of the server.
	undo := context.AfterFunc(ctx, func() { server.Close() })
	defer undo()
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		e.lookAfter(ctx, handler)
	}()
	err = server.Serve(listener)
	if ctx.Err() != nil {
		<-watching
		return nil
	}
	return fmt.Errorf("serve supervisors: %w", err)
}

// listen opens the socket for the server's user only. The data directory
// belongs to this server, so a socket that is there is one of a dead server.
func (e *Executor) listen() (net.Listener, error) {
	path, err := e.socket()
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var listener *net.UnixListener
	err = inDirectory(path, func(short string) error {
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // by its short name, which is gone
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// serve takes one report and answers the orders.
func (e *Executor) serve(w http.ResponseWriter, r *http.Request, handler job.Handler) {
	var report job.Report
	if err := json.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(&report); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if report.Job != r.PathValue("job") || !validID.MatchString(report.Job) {
		http.Error(w, "the report is about another job", http.StatusBadRequest)
		return
	}
	orders, err := e.hold(r.Context(), handler, report)
	switch {
	case r.Context().Err() != nil || errors.Is(err, errOvertaken): // nobody hears us
	case fault.Is(err, fault.NotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		e.config.Log.Warn("a report could not be taken", "job", report.Job, "error", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(e.stamp(report.Job, orders))
	}
}

// stamp reads both clocks in the same moment, the last before answering, and
// notes until when the orders let the run live by itself.
func (e *Executor) stamp(id string, orders job.Orders) answer {
	r := readClocks(e.config.Now)
	orders.Now = r.server
	over := later(orders.LeaseUntil, orders.Grace)
	if over != 0 {
		over = later(over, r.boot-r.server)
	}
	e.mu.Lock()
	if t := e.known[id]; t != nil {
		t.over = sooner(over, t.ordered)
	}
	e.mu.Unlock()
	a := answer{Orders: orders, Boot: r.boot}
	if e.config.Home != "" {
		a.Refuge = &refuge{Home: e.config.Home, Key: e.config.Key(id), URLs: e.config.Others(e.config.Home)}
	}
	return a
}

// hold passes the report on and gives the answer, at once if it is news to the
// supervisor, otherwise when it becomes news, or when it is time to prove
// life and renew the lease again.
func (e *Executor) hold(ctx context.Context, handler job.Handler, report job.Report) (job.Orders, error) {
	t := e.talk(report.Job)
	e.mu.Lock()
	t.turn++
	t.open++
	turn, woken := t.turn, t.woken
	if t.over != 0 && report.Over != 0 { // another server may have let it live longer
		t.over = sooner(max(t.over, later(report.Over, bootTime()-e.config.Now())), t.ordered)
	}
	e.mu.Unlock()
	defer e.closed(ctx, t)

	orders, err := e.pass(ctx, handler, t, turn, report)
	if err != nil || orders.AreNewsTo(report) {
		return orders, err
	}
	timer := time.NewTimer(e.holdFor(orders))
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	case <-ctx.Done():
		return orders, ctx.Err()
	}
	return e.pass(ctx, handler, t, turn, report)
}

// holdFor keeps the time between two renewals well below the lease.
func (e *Executor) holdFor(orders job.Orders) time.Duration {
	if orders.LeaseUntil == 0 {
		return holdLimit
	}
	third := time.Duration(orders.LeaseUntil-e.config.Now()) / 3
	return max(50*time.Millisecond, min(holdLimit, third))
}

// errOvertaken ends a request whose supervisor has called again meanwhile.
var errOvertaken = errors.New("overtaken by a newer report")

// pass gives the report to the handler unless a newer one has come: so the
// reports of a job reach it one by one and in their order.
func (e *Executor) pass(ctx context.Context, handler job.Handler, t *talk, turn int64, report job.Report) (job.Orders, error) {
	t.once.Lock()
	defer t.once.Unlock()
	e.mu.Lock()
	overtaken := t.turn != turn
	e.mu.Unlock()
	if overtaken {
		return job.Orders{}, errOvertaken
	}
	orders, err := handler.Report(ctx, report)
	if err == nil && orders.Ack || fault.Is(err, fault.NotFound) {
		e.forget(report.Job, t)
	}
	return orders, err
}

// closed ends a request. One that was given up may mean that its supervisor is dead.
func (e *Executor) closed(ctx context.Context, t *talk) {
	e.mu.Lock()
	t.open--
	e.mu.Unlock()
	if ctx.Err() != nil {
		e.lookNow()
	}
}

// hangUp ends the talk about an earlier run, whose processes are not those of the next.
func (e *Executor) hangUp(id string) {
	e.mu.Lock()
	t := e.known[id]
	e.mu.Unlock()
	if t != nil {
		e.forget(id, t)
	}
}

// forget ends the talk about a job.
func (e *Executor) forget(id string, t *talk) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known[id] == t {
		delete(e.known, id)
	}
	if t.lock != nil {
		t.lock.Close()
		t.lock = nil
	}
}
