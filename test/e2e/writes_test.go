package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// toll asks before every write of a server to its files whether it may be done, and kills
// the server at one of them: no other instant makes a difference to what is on the disk.
type toll struct {
	*server
	mu     sync.Mutex
	left   int  // steps until the kill; 0 for none
	killed bool // at the step that was asked for
	fresh  bool // nothing has been written since the last flush
}

// withToll is this test as a program that runs another one, and has whoever holds the
// other end of its file 3 asked before every write to a file and every flush of one.
const withToll = "with-toll"

// atToll starts a server again, as one that can be killed at a write.
func (s *server) atToll() *toll {
	s.t.Helper()
	s.kill()
	k := &toll{server: s}
	s.through, s.attach = []string{self, withToll}, k.attach
	s.run()
	return k
}

// attach has a program that is about to start ask here. The function that it returns is
// called once it has started.
func (k *toll) attach(c *exec.Cmd) (started func()) {
	k.t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	k.check(err)
	theirs := os.NewFile(uintptr(ends[1]), "toll")
	c.ExtraFiles = []*os.File{theirs}
	go func() {
		defer unix.Close(ends[0])
		listener, err := receive(ends[0])
		if err != nil {
			return // it ended before it was what it is to become; launch says so
		}
		defer unix.Close(listener)
		if err := k.serve(c, listener); err != nil {
			k.t.Error("the toll:", err)
		}
	}()
	return func() { theirs.Close() }
}

// receive takes the file that is sent through a socket.
func receive(socket int) (int, error) {
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, make([]byte, 1), control, 0)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) == 0 {
		return 0, errors.Join(err, errors.New("nothing was sent"))
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	return files[0], nil
}

// A question of the system and the answer to it: struct seccomp_notif and
// struct seccomp_notif_resp of linux/seccomp.h.
type question struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	at         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	value int64
	error int32
	flags uint32
}

// serve answers until the program is gone.
func (k *toll) serve(c *exec.Cmd, listener int) error {
	for {
		wait := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(wait, -1); err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for a write: %w", err)
		}
		if wait[0].Revents&unix.POLLIN == 0 {
			if wait[0].Revents != 0 { // nobody is left who could ask
				return nil
			}
			continue
		}
		var q question
		if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&q)); err != nil {
			if err == unix.ENOENT || err == unix.EINTR { // it was killed while it asked
				continue
			}
			return fmt.Errorf("hear of a write: %w", err)
		}
		if k.isDue(q.number) {
			if err := c.Process.Kill(); err != nil {
				return err
			}
			continue
		}
		a := answer{id: q.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)); err != nil && err != unix.ENOENT {
			return fmt.Errorf("let a write be done: %w", err)
		}
	}
}

func control(file int, request uint, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(file), uintptr(request), uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

// isDue counts the steps: the first write after a flush, before which nothing of a commit
// is in a file, and each flush, before which all of it is and nobody knows of it.
func (k *toll) isDue(number int32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.killed { // the others of the same moment
		return true
	}
	isFlush := number != unix.SYS_PWRITE64
	isStep := isFlush || k.fresh
	k.fresh = isFlush
	if k.left == 0 || !isStep {
		return false
	}
	k.left--
	k.killed = k.left == 0
	return k.killed
}

// during does something, and kills the server at a step of that. The server starts
// again, and what was begun goes on. It reports whether there was such a step.
func (k *toll) during(step int, do func() error) (wasKilled bool) {
	k.t.Helper()
	k.count(step)
	done := make(chan error, 1)
	go func() { done <- do() }()
	for {
		select {
		case <-k.ended:
			if !k.rest() {
				k.t.Fatal("it ended by itself")
			}
			k.count(0)
			k.run()
			if wasKilled = true; done == nil {
				return true
			}
		case err := <-done:
			k.check(err)
			if done = nil; !k.rest() {
				return wasKilled
			}
		}
	}
}

// count has so many steps come before the kill; 0 for none.
func (k *toll) count(steps int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left, k.killed, k.fresh = steps, false, true
}

// rest ends the counting, and reports whether the server was killed.
func (k *toll) rest() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left = 0
	return k.killed
}

// askAtWrites becomes the program, whose writes wait for an answer.
func askAtWrites(line []string) error {
	runtime.LockOSThread()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PWRITE64, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FSYNC, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up further rights: %w", err)
	}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("filter system calls: %w", errno)
	}
	const toll = 3
	if err := unix.Sendmsg(toll, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("say where to ask: %w", err)
	}
	unix.CloseOnExec(toll)
	return syscall.Exec(line[0], line, os.Environ())
}
