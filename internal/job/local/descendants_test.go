package local

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// family starts children in all the ways in which they get away from a
// process group: in the background, in a session of their own, twice forked,
// deaf to SIGTERM, and without the job's environment.
const family = `trap '' TERM
sleep 1000 &
setsid sleep 1000 &
(setsid sh -c 'sleep 1000 & exec sleep 1000' &)
`

// disguised has neither the job's environment nor its session.
const disguised = "(env -i setsid sleep 1000.5 &)\n"

// Everything dies with its job, however the job ended and wherever it went.
func TestDescendantsDie(t *testing.T) {
	for _, cgroup := range []bool{true, false} {
		for _, how := range []string{"exit", "kill"} {
			h := newHouse(t, func(c *Config) { c.NoCgroup = !cgroup })
			h.run(family + disguised + "echo up; while [ ! -e go ]; do sleep 0.02; done; exit 4")
			h.said("up")
			h.until("all are up", func() bool { return len(h.crew()) >= 5 })
			all, _ := living()
			before := descendants(h.people().Main.Pid, all)
			if how == "exit" {
				os.WriteFile(h.path("work/go"), nil, 0o600)
			} else {
				h.order(func(o *job.Orders) { o.Kill, o.Reason = 1, "credits" })
			}
			if r := h.end(); (how == "exit") != (r.ExitCode == 4) || (how == "kill") != (r.Killed == "credits") {
				t.Errorf("%+v", r)
			}
			// No waiting here: when the end is said, nobody is left.
			for _, p := range before {
				if now, err := look(p.Pid); err == nil && now.is(p) && !now.dead {
					t.Errorf("cgroup %v, %s: process %d has outlived its job", cgroup, how, p.Pid)
				}
			}
			if crew := h.crew(); len(crew) > 0 {
				t.Errorf("cgroup %v, %s: %d processes have outlived their job", cgroup, how, len(crew))
			}
		}
	}
}

// A job that multiplies as fast as it can is killed nevertheless.
func TestForkBomb(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.NoCgroup = true })
	h.run(`i=0; while [ $i -lt 4 ]; do (while :; do (setsid sleep 0.3 &) ; sleep 0.005; done) & i=$((i+1)); done; echo up; wait`)
	h.said("up")
	h.order(func(o *job.Orders) { o.Kill = in(200 * time.Millisecond) })
	r := h.end()
	t.Logf("SIGKILL %v late", time.Duration(r.LateNs))
	if crew := h.crew(); len(crew) > 0 {
		t.Errorf("%d processes have outlived their job", len(crew))
	}
}

// The supervisor is killed: the command dies at once, what it left behind is
// found and killed, and the handler is told, with the last proof of life. Only
// a control group still names a disguised process then.
func TestSupervisorKilled(t *testing.T) {
	for _, cgroup := range []bool{true, false} {
		h := newHouse(t, func(c *Config) { c.NoCgroup = !cgroup })
		script := family
		if cgroup && ownCgroup() != "" && os.Getuid() == 0 {
			script += disguised
		}
		h.run(script + "echo up; while :; do sleep 0.02; done")
		h.said("up")
		h.until("life is proved", func() bool { s, _ := h.Inspect(h.id); return s.Proof != 0 && len(h.crew()) >= 5 })
		who := h.people()
		all, _ := living()
		before := descendants(who.Supervisor.Pid, all)
		killed := time.Now()
		who.Supervisor.signal(unix.SIGKILL)
		select {
		case id := <-h.desk.gone:
			if id != h.id {
				t.Errorf("gone: %s", id)
			}
		case <-time.After(patience):
			t.Fatal("nobody noticed")
		}
		t.Logf("noticed and cleared after %v", time.Since(killed))
		for _, p := range before {
			if now, err := look(p.Pid); err == nil && now.is(p) && !now.dead {
				t.Errorf("cgroup %v: process %d has outlived its supervisor", cgroup, p.Pid)
			}
		}
		state, err := h.Inspect(h.id)
		if err != nil || state.Alive || state.End != nil || state.Proof < killed.Add(-2*time.Second).UnixNano() || state.Proof > time.Now().UnixNano() {
			t.Errorf("%+v, %v", state, err)
		}
	}
}

// freeze is a job that stops its supervisor whenever it goes on, and sees to it
// that the server hears of nothing.
const freeze = ": > up; while :; do kill -STOP $PPID; sleep 0.001; done"

// freezing waits until the job has begun. What it says nobody carries any more.
func (h *house) freezing() {
	h.t.Helper()
	h.until("the job has begun", func() bool { _, err := os.Stat(h.path("work/up")); return err == nil })
}

// vanishes waits until the handler is told that the run is gone, with nobody left,
// and returns how long that took and how long before that life was proved last.
func (h *house) vanishes(since time.Time) (took, unproved time.Duration) {
	h.t.Helper()
	select {
	case <-h.desk.gone:
	case <-time.After(patience):
		h.t.Fatal("it goes on")
	}
	gone := time.Now()
	if crew := h.crew(); len(crew) > 0 || h.desk.left.Proof > gone.UnixNano() {
		h.t.Errorf("%d processes have outlived their supervisor; %+v", len(crew), h.desk.left)
	}
	return gone.Sub(since), time.Duration(gone.UnixNano() - h.desk.left.Proof)
}

// A supervisor that its job keeps stopped, so that it neither reports nor kills,
// does not let the job run on: both are killed, and that the job lived until then
// is known.
func TestAJobThatFreezesItsSupervisor(t *testing.T) {
	h := newHouse(t)
	h.desk.lease = time.Hour
	h.run(freeze)
	h.freezing()
	h.order(func(o *job.Orders) { o.Kill = in(time.Hour) }) // no request is held any more
	took, unproved := h.vanishes(time.Now())
	t.Logf("gone after %v, %v after the last proof of life", took, unproved)
	if took > frozenLimit+3*lookEvery || unproved > 2*lookEvery {
		t.Errorf("gone after %v, %v after the last proof of life", took, unproved)
	}
}

// A supervisor that was stopped once is continued, and its job does not notice.
func TestAFrozenSupervisorIsContinued(t *testing.T) {
	h := newHouse(t)
	h.desk.lease = time.Hour
	h.run(worker("exit 3"))
	h.said("up")
	supervisor := h.people().Supervisor
	for range 2 { // a second time is no continuation of the first
		supervisor.signal(unix.SIGSTOP)
		h.order(func(o *job.Orders) { o.Kill = in(time.Hour) })
		time.Sleep(10 * time.Millisecond) // until the kernel has stopped it
		h.until("it goes on", func() bool { now, ok := supervisor.now(); return ok && !now.stopped })
	}
	h.order(func(o *job.Orders) { o.Stop = true })
	if r := h.end(); r.ExitCode != 3 || r.Killed != "" {
		t.Errorf("%+v", r)
	}
}

// A supervisor that has not ended its job in time is killed without waiting.
func TestStuckSupervisor(t *testing.T) {
	h := newHouse(t)
	h.stuckAfter = 100 * time.Millisecond
	h.desk.lease, h.desk.orders.Grace = 500*time.Millisecond, int64(10*time.Millisecond)
	h.run(freeze)
	h.freezing()
	if took, _ := h.vanishes(time.Now()); took > frozenLimit {
		t.Errorf("gone after %v", took)
	}
}

func (h *house) people() people {
	h.t.Helper()
	var who people
	f, _ := h.folder(h.id)
	h.until("the processes are remembered", func() bool { return f.readJSON("process.json", &who) == nil && who.Main.Pid != 0 })
	return who
}

// A number that was given to another process is never hit.
func TestForeignProcessesAreSpared(t *testing.T) {
	self, err := look(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	other := process{Pid: self.Pid, Start: self.Start - 1}
	other.signal(unix.SIGKILL) // we would not come back from it
	who := people{Main: process{Pid: self.session, Start: self.Start - 1}}
	all, err := living()
	if err != nil {
		t.Fatal(err)
	}
	// The job's session had the number of ours, and its last proof of life was
	// before anything of ours was started.
	if found := leftovers("job_of_another_time", who, 1, all); len(found) != 0 {
		t.Errorf("%d foreign processes are taken for leftovers", len(found))
	}
}

// A job that deletes its directory is still supervised, and its end is reported.
func TestAJobThatDeletesItsDirectory(t *testing.T) {
	h := newHouse(t)
	h.run(`rm -rf "$(dirname "$PURSER_CHECKPOINT_FILE")"; sleep 3; exit 7`)
	select {
	case r := <-h.desk.ends:
		if ran := r.EndedAt - r.StartedAt; r.ExitCode != 7 || ran < int64(2900*time.Millisecond) {
			t.Errorf("%+v, ran %s", r, time.Duration(ran))
		}
	case <-h.desk.gone:
		t.Error("it was given up while it ran")
	case <-time.After(patience):
		t.Error("no end was reported")
	}
}

// A supervisor that is stopped does not keep its job from being stopped.
func TestStopOfAStuckSupervisor(t *testing.T) {
	h := newHouse(t)
	h.stuckAfter = 100 * time.Millisecond
	h.desk.lease = time.Hour
	h.run(freeze)
	h.freezing()
	time.Sleep(50 * time.Millisecond) // its last request may still be under way
	h.Wake(h.id, time.Now().Add(200*time.Millisecond).UnixNano())
	if took, _ := h.vanishes(time.Now()); took > frozenLimit {
		t.Errorf("gone after %v", took)
	}
}
