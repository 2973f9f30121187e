package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// Limits of the end of a job.
const (
	killLimit   = 10 * time.Second // after it the end is reported, though the kernel has not yet let go of a killed process
	outputLimit = 2 * time.Second  // for the rest of the output, once all writers are dead
	leaveLimit  = time.Second      // for the acknowledgement, when the supervisor was told to end
	huntEvery   = 10 * time.Millisecond
)

// supervisor runs one job. One goroutine, the one in run, decides and acts;
// beside it are only the line to the server, the prover and the output.
type supervisor struct {
	folder folder
	plan   plan
	course course
	clock  *clock
	line   *line
	alarm  *alarm
	lock   *os.File

	command  command
	pace     *unix.SchedAttr // of the command
	group    cgroup
	output   *output
	prover   *prover
	children chan os.Signal // some child ended
	told     chan os.Signal // the supervisor itself is to end

	main    int           // pid of the command; its session and process group too; 0 if it does not run
	dead    chan struct{} // closed when the command was waited for
	killed  bool
	leaving bool       // told to end
	end     job.Report // what the end will say, as far as it is known
}

// Supervise is the hidden command `purser supervise DIR`: it runs the job
// whose directory an Executor has prepared, and returns its own exit status
// after the end of the job was acknowledged or is safe on disk.
func Supervise(dir string) int {
	s, err := prepare(folder(dir))
	ready(err)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s supervise: %v\n", time.Now().UTC().Format(time.RFC3339), err)
		return 1
	}
	s.run()
	return 0
}

// prepare takes the job over. After it the job belongs to this process.
func prepare(f folder) (*supervisor, error) {
	s := &supervisor{folder: f, clock: newClock(),
		children: make(chan os.Signal, 1), told: make(chan os.Signal, 1), dead: make(chan struct{})}
	var err error
	if s.lock, err = f.lock(); err != nil {
		return nil, err
	}
	if err := f.readJSON("spec.json", &s.plan); err != nil {
		return nil, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper of all descendants: %w", err)
	}
	if s.alarm, err = newAlarm(); err != nil {
		return nil, err
	}
	s.pace = hasten()
	os.WriteFile("/proc/self/comm", []byte("purser-job"), 0)
	signal.Notify(s.children, unix.SIGCHLD)
	signal.Notify(s.told, unix.SIGTERM)
	// Caught and dropped, rather than ignored: what is ignored stays ignored in the job.
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGPIPE)
	s.end = job.Report{Job: s.plan.Spec.Job, Phase: job.Ready, Wait: true}
	s.line = newLine(s.plan.Socket, s.clock, s.end)
	return s, nil
}

// ready tells the launcher, who reads our stdout, that the job is taken over,
// or why not, and lets go of it.
func ready(err error) {
	if err != nil {
		fmt.Print(err)
	} else {
		fmt.Print(readyWord)
	}
	if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
		unix.Dup3(int(null.Fd()), 1, 0)
		null.Close()
	}
}

const readyWord = "ready"

// run is the life of the supervisor. What cannot work, such as a command that
// does not exist, is told as the very first thing, before a flow could be
// started for it.
func (s *supervisor) run() {
	ctx, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	if err := s.equip(); err != nil {
		s.refuse(err)
		s.record()
		go s.line.keep(ctx)
	} else {
		go s.line.keep(ctx)
		if s.awaitGo() && s.start() {
			s.watch()
			s.killRest()
		}
		s.group.remove(time.Second)
		s.output.finish(outputLimit)
		s.record()
	}
	s.awaitAck()
}

// refuse notes why the command is not executed.
func (s *supervisor) refuse(err error) {
	s.end.Error = err.Error()
	var u *unfit
	if errors.As(err, &u) {
		s.end.ExitCode = u.status
	}
}

// equip does all that can be done before Go, so that it is not charged.
func (s *supervisor) equip() (err error) {
	if s.command, err = s.folder.find(s.plan.Spec); err != nil {
		return err
	}
	if s.prover, err = newProver(s.folder); err != nil {
		return fmt.Errorf("keep a proof of life: %w", err)
	}
	if s.output, err = s.folder.openOutput(s.plan.LogLimit); err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	if s.plan.Cgroup {
		s.group = newCgroup(s.plan.Spec.Job)
	}
	s.remember()
	return nil
}

// awaitGo waits for the order to execute the command. It answers false if
// there will be none, and the end then says why.
func (s *supervisor) awaitGo() bool {
	limit := time.After(s.plan.Linger)
	for {
		select {
		case n := <-s.line.news:
			if n.unknown {
				s.end.Error = errUnknown.Error()
				return false
			}
			s.take(n.answer)
			switch kill := s.course.orders.Kill; {
			case s.course.stopAt != 0:
				s.end.Killed = s.course.stopReason
				return false
			case kill != 0 && kill <= s.clock.now():
				s.end.Killed = s.course.orders.Reason
				return false
			case n.answer.Orders.Go:
				return true
			}
		case <-s.told:
			s.leaving = true
			s.end.Killed = job.ReasonShutdown
			return false
		case <-limit:
			s.end.Error = fmt.Sprintf("no server gave the order to start within %s", s.plan.Linger)
			return false
		}
	}
}

// take obeys newer orders from here on. Those of another server are by its clock, and
// are moved to that of this machine, by which the job began and will end. They move by
// no more than that one is ahead: what the request took on its way has them come sooner.
func (s *supervisor) take(a answer) {
	orders := a.Orders
	if a.sent == 0 {
		s.clock.set(reading{server: orders.Now, boot: a.Boot})
	} else {
		orders = shifted(orders, s.clock.at(a.sent+a.Held)-orders.Now)
	}
	s.course.take(s.clock.now(), orders)
	over := later(orders.LeaseUntil, orders.Grace)
	s.line.say(false, func(r *job.Report) { r.Over = over })
}

// start executes the command, and answers whether that worked.
func (s *supervisor) start() bool {
	main, err := s.command.start(s.output.write, s.group, s.pace)
	if err != nil {
		s.refuse(err)
		return false
	}
	s.main, s.end.StartedAt = main, s.clock.now()
	s.output.started()
	s.remember()
	s.line.say(true, func(r *job.Report) {
		r.Phase, r.StartedAt, r.Proof = job.Running, s.end.StartedAt, s.end.StartedAt
	})
	go s.prover.keep(s.plan.ProofEvery, s.dead, s.clock.now, s.proved)
	return true
}

// remember writes down who runs, for the case that we die or are stopped: before
// Go only the supervisor, so that the server knows it before the job can stop it,
// and then the command as well. In the moment before that is written the command
// is still found by its environment and its parent. It need not outlive the
// machine: then nobody named in it lives either.
func (s *supervisor) remember() {
	who := people{Boot: bootID(), Cgroup: string(s.group)}
	var err error
	if who.Supervisor, err = look(os.Getpid()); err == nil && s.main != 0 {
		who.Main, err = look(s.main)
	}
	var text []byte
	if err == nil {
		text, err = json.Marshal(who)
	}
	if err == nil {
		err = s.folder.replace("process.json", text, false)
	}
	if err != nil {
		complain("remember the processes: %v", err)
	}
}
