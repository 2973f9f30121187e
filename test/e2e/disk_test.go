package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// endsBecause waits until the server has ended by itself, and holds it to saying why.
func (s *server) endsBecause(why string) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		s.t.Fatal("it goes on")
	}
	if log := s.log(0); s.process.ProcessState.ExitCode() != 1 || !strings.Contains(log, why) || strings.Contains(log, "goroutine ") {
		s.t.Errorf("it ended with %s, and does not say that %s:\n%s", s.process.ProcessState, why, log)
	}
	s.process = nil
}

// The disk that the database is on fills up under a load. The server ends and says
// why; with more room it starts, all that it answered is there, and what was refused
// is done once when it is repeated.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Without the right to mount, the same is shown by a file that may not grow, below.
	if err := unix.Mount("purser-e2e", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Logf("no file system can be mounted (%v): only TestAFileThatMayNotGrow shows what happens", err)
		return
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	s := start(t, "--database", "sqlite:"+filepath.Join(dir, "purser.db"))
	s.outlives("the disk is full: make room", func() {}, func() {
		s.check(unix.Mount("purser-e2e", dir, "tmpfs", unix.MS_REMOUNT, "size=256m"))
	})
}

// The system lets no file grow beyond what it has by now: writes fail.
func TestAFileThatMayNotGrow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.outlives("the disk", func() {
		limit := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		s.check(unix.Prlimit(s.process.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil))
	}, func() {})
}

// outlives holds a server, under a load, to ending for a reason after something was
// broken, and to losing nothing when it starts again after that was mended.
func (s *server) outlives(why string, breaks, mend func()) {
	s.t.Helper()
	s.client.Patience = time.Minute
	s.space(1, 1, "1000")
	a := s.audit()
	breaks()
	stop := a.load("load", 4)
	s.endsBecause(why)
	before := a.answered()
	mend()
	s.run()
	s.within(time.Minute, "the load", func() bool { return a.answered() > before+50 })
	stop()
	a.check(0)
	s.t.Logf("%d commands were answered before it ended, %d after; each was done once", before, a.answered()-before)
	s.verify()
}

// A flush of the disk fails. What is not flushed is not answered: the server ends, and
// a start on a disk that works again finds all that was answered.
func TestAFlushThatFails(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.client.Patience = time.Minute
	s.space(1, 1, "1000")
	const clients = 4
	a := s.audit()
	stop := a.load("load", clients)
	s.within(time.Minute, "the load", func() bool { return a.answered() > 50 })
	s.kill()
	time.Sleep(100 * time.Millisecond) // the last answers are read
	before := a.answered()
	s.through = []string{self, withoutSync}
	if why := s.launch(); why != "" {
		t.Fatalf("it ended before anything was to be flushed: %s", why)
	}
	s.endsBecause("the disk does not read or write: look at it")
	// What each client had under way at the kill may have been done and not answered: then
	// it is answered now, and nothing is written for it.
	if n := a.answered(); n > before+clients {
		t.Errorf("%d commands were answered though none could be flushed", n-before)
	}
	s.through = nil
	s.run()
	s.within(time.Minute, "the load", func() bool { return a.answered() > before+50 })
	stop()
	a.check(0)
	s.verify()
}

// withoutSync is this test as a program that runs another one, for which every flush
// of a file fails.
const withoutSync = "without-sync"

// failSync becomes the program, behind a filter of system calls.
func failSync(line []string) error {
	runtime.LockOSThread()
	const number, fails = 0, unix.SECCOMP_RET_ERRNO | uint32(syscall.EIO)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FSYNC, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: fails},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up further rights: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	return syscall.Exec(line[0], line, os.Environ())
}
