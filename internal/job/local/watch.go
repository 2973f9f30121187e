package local

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// watch follows the course until the command has been waited for.
func (s *supervisor) watch() {
	for s.main != 0 {
		s.act()
		select {
		case n := <-s.line.news:
			if !n.unknown { // a server that lost the job renews nothing: the lease decides
				s.take(n.answer)
			}
		case <-s.alarm.ring:
		case <-s.children:
			s.reap()
		case <-s.told:
			s.leaving = true
			s.course.stop(s.clock.now(), job.ReasonShutdown)
		}
	}
	s.end.Landed = s.course.landing
	s.alarm.set(0)
}

// act makes the moves that are due and sets the alarm for the next one.
func (s *supervisor) act() {
	for !s.killed {
		move, at := s.course.next(s.clock.now())
		switch move {
		case land:
			s.tellLanding()
			unix.Kill(-s.main, unix.SIGTERM)
			unix.Kill(-s.main, unix.SIGCONT) // a stopped job is to hear it too
		case delay:
			s.tellLanding()
		case spare:
			os.Remove(s.folder.file("landing"))
		case kill:
			s.kill()
		case stay:
			if at == 0 {
				s.alarm.set(0)
			} else {
				s.alarm.set(s.clock.boot(at))
			}
			return
		}
	}
}

// tellLanding writes the instant of the kill where the job can read it.
func (s *supervisor) tellLanding() {
	at := time.Unix(0, s.course.killAt).UTC().Format(time.RFC3339Nano) + "\n"
	if err := s.folder.replace("landing", []byte(at), false); err != nil {
		complain("write the landing file: %v", err)
	}
}

// kill kills the command, its group and all in its control group. What else
// it has started is killed after it is dead: see killRest. The group cannot
// be a foreign one, because the command has not been waited for yet.
func (s *supervisor) kill() {
	unix.Kill(-s.main, unix.SIGKILL)
	s.group.kill()
	due := s.course.kills()
	s.killed = true
	s.end.Killed, s.end.LateNs = due.reason, max(0, s.clock.now()-due.at)
}

// reap waits for all dead children, which a subreaper gets from everywhere
// below it, and reports whether any living one is left.
func (s *supervisor) reap() (left bool) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return false // ECHILD: there is nobody below us any more
		case pid == 0:
			return true
		case pid == s.main:
			s.ended(status)
		}
	}
}

// ended notes how the command ended, at this very instant.
func (s *supervisor) ended(status unix.WaitStatus) {
	s.end.EndedAt = s.clock.now()
	s.main = 0
	close(s.dead)
	s.end.ExitCode = status.ExitStatus()
	if status.Signaled() {
		s.end.ExitCode = 128 + int(status.Signal())
		s.end.Signal = unix.SignalName(status.Signal())
	}
}

// killRest kills all that the command left behind, until there is nobody.
// The kernel's word for it is that there is no child to wait for.
func (s *supervisor) killRest() {
	s.group.kill()
	self := os.Getpid()
	below := func(all []process) []process { return descendants(self, all) }
	pause := time.NewTicker(huntEvery)
	defer pause.Stop()
	for end := time.Now().Add(killLimit); s.reap(); {
		if _, err := hunt(below); err != nil {
			complain("look for descendants: %v", err)
		}
		if time.Now().After(end) {
			complain("descendants are still there %s after they were killed", killLimit)
			break
		}
		select {
		case <-s.children:
		case <-pause.C:
		}
	}
}

// record makes the end durable, and only then says it.
func (s *supervisor) record() {
	s.end.Phase = job.Ended
	if s.end.EndedAt == 0 {
		s.end.EndedAt = s.clock.now()
	}
	s.end.Checkpoint = s.folder.has("checkpoint")
	os.Remove(s.folder.file("landing"))
	s.line.say(true, func(r *job.Report) {
		s.end.Proof, s.end.Seen = r.Proof, r.Seen
		if err := s.folder.writeJSON("ended.json", s.end); err != nil {
			complain("record the end: %v", err)
		}
		*r = s.end
	})
}

// awaitAck waits until a server has taken the end in. If none does for long,
// the end is on disk for the next one. A machine that shuts down does not wait
// for us.
func (s *supervisor) awaitAck() {
	linger := s.plan.Linger
	if s.leaving {
		linger = min(linger, leaveLimit)
	}
	limit := time.After(linger)
	for {
		select {
		case n := <-s.line.news:
			if n.unknown || n.answer.Orders.Ack {
				return
			}
		case <-s.told:
			return
		case <-limit:
			return
		}
	}
}

// proved passes a proof of life on. If the disk refused it, the server still
// hears of it.
func (s *supervisor) proved(at int64, err error) {
	if err != nil {
		complain("keep the proof of life: %v", err)
	}
	s.line.say(false, func(r *job.Report) {
		if r.Phase == job.Running {
			r.Proof = at
		}
	})
}

// complain writes to supervisor.log, which is our stderr.
func complain(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().UTC().Format(time.RFC3339Nano), fmt.Sprintf(format, args...))
}
