package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is one process of the machine. Its number alone may be given to
// another one after its end; number and start together name it.
type process struct {
	Pid   int
	Start uint64 // clock ticks (1/100 s) after the start of the machine

	parent, session int
	dead            bool // a zombie: nothing runs any more, someone has yet to wait for it
	stopped         bool // by a signal or a tracer: it does nothing until it is continued
}

// is reports whether both are the same process.
func (p process) is(other process) bool { return p.Pid == other.Pid && p.Start == other.Start }

// look reads what a process is now.
func look(pid int) (process, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, err
	}
	return parseStat(pid, text)
}

// now is what became of the process: ok is false if it is gone.
func (p process) now() (now process, ok bool) {
	now, err := look(p.Pid)
	return now, err == nil && now.is(p) && !now.dead
}

// parseStat reads a line of /proc/PID/stat. The name in parentheses may hold
// anything, so the fields are counted from the last parenthesis on.
func parseStat(pid int, text []byte) (process, error) {
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) < 20 {
		return process{}, fmt.Errorf("unknown form of /proc/%d/stat", pid)
	}
	parent, err1 := strconv.Atoi(fields[1])
	session, err2 := strconv.Atoi(fields[3])
	start, err3 := strconv.ParseUint(fields[19], 10, 64)
	dead := fields[0] == "Z" || fields[0] == "X"
	stopped := fields[0] == "T" || fields[0] == "t"
	return process{pid, start, parent, session, dead, stopped}, errors.Join(err1, err2, err3)
}

// living lists the processes of the machine that are not dead.
func living() ([]process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	all := make([]process, 0, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := look(pid); err == nil && !p.dead { // an error: gone meanwhile
			all = append(all, p)
		}
	}
	return all, nil
}

// under adds to the chosen ones all their descendants.
func under(chosen map[int]bool, all []process) {
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if chosen[p.parent] && !chosen[p.Pid] {
				chosen[p.Pid], grown = true, true
			}
		}
	}
}

// descendants are the living processes below one, without itself. Below a
// subreaper that is everything it ever started, daemons too.
func descendants(of int, all []process) []process {
	chosen := map[int]bool{of: true}
	under(chosen, all)
	var found []process
	for _, p := range all {
		if chosen[p.Pid] && p.Pid != of {
			found = append(found, p)
		}
	}
	return found
}

// commandOf is the first living child of a supervisor that leads a session; the
// zero process if there is none.
func commandOf(supervisor process) (command process) {
	all, _ := living()
	for _, p := range all {
		isFirst := command.Pid == 0 || p.Start < command.Start
		if p.parent == supervisor.Pid && p.session == p.Pid && isFirst {
			command = p
		}
	}
	return command
}

// leftovers are the living processes of a job whose supervisor is dead:
//   - those that carry the job's id in the environment they were started with,
//   - those of its session that started before the last proof of life: until
//     then the supervisor had not waited for the main process, so its number,
//     which names the session, cannot have been given away,
//   - and their descendants.
func leftovers(id string, who people, proofBoot int64, all []process) []process {
	mark := []byte("\x00PURSER_JOB_ID=" + id + "\x00")
	chosen := map[int]bool{}
	for _, p := range all {
		ours := p.session == who.Main.Pid && who.Main.Pid > 1 && int64(p.Start)*int64(time.Second/100) <= proofBoot
		if ours || p.is(who.Main) || carries(p.Pid, mark) {
			chosen[p.Pid] = true
		}
	}
	delete(chosen, os.Getpid())
	delete(chosen, 1)
	under(chosen, all)
	var found []process
	for _, p := range all {
		if chosen[p.Pid] && p.Pid != os.Getpid() {
			found = append(found, p)
		}
	}
	return found
}

// carries reports whether a process was started with the entry in its environment.
func carries(pid int, entry []byte) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && bytes.Contains(append([]byte{0}, text...), entry)
}

// signal sends a signal to exactly this process, or to none if it is gone and
// its number belongs to another one now: the number is bound by a descriptor
// first, and then compared.
func (p process) signal(sig unix.Signal) {
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if err != nil && !errors.Is(err, unix.ENOSYS) {
		return // gone
	}
	now, lookErr := look(p.Pid)
	if err != nil { // a kernel before 5.3
		if lookErr == nil && now.is(p) {
			unix.Kill(p.Pid, sig)
		}
		return
	}
	defer unix.Close(fd)
	if lookErr == nil && now.is(p) {
		unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

// stopRounds bounds how often one round of hunt looks for processes that
// were started while it was stopping the others.
const stopRounds = 100

// hunt kills the processes which pick finds, once: first it stops them, and
// looks again until there is none that is not stopped, so that nothing that
// multiplies gets away; then it kills them all. It returns how many there were.
func hunt(pick func(all []process) []process) (int, error) {
	stopped := map[process]bool{}
	for range stopRounds {
		all, err := living()
		if err != nil {
			return 0, err
		}
		fresh := false
		for _, p := range pick(all) {
			key := process{Pid: p.Pid, Start: p.Start}
			if !stopped[key] {
				stopped[key], fresh = true, true
				p.signal(unix.SIGSTOP)
			}
		}
		if !fresh {
			break
		}
	}
	for p := range stopped {
		p.signal(unix.SIGKILL)
	}
	return len(stopped), nil
}
