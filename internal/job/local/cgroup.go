package local

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup is a control group (version 2) of one job, the directory of it. The
// kernel kills everything in it in one step, whatever its processes do. It is
// a second string to the hunt over /proc, never the only one: where none may
// be made, all is empty, and every method does nothing.
type cgroup string

// newCgroup makes a group below the one of this process, or answers the empty
// one where the machine does not have or does not allow it.
func newCgroup(job string) cgroup {
	own := ownCgroup()
	if own == "" {
		return ""
	}
	g := cgroup(filepath.Join(own, "purser-"+job))
	err := os.Mkdir(string(g), 0o755)
	if errors.Is(err, fs.ErrExist) { // of a run whose end was not clean
		g.kill()
		g.remove(time.Second)
		err = os.Mkdir(string(g), 0o755)
	}
	if err != nil {
		return ""
	}
	if _, err := os.Stat(g.file("cgroup.kill")); err != nil { // a kernel before 5.14
		g.remove(0)
		return ""
	}
	return g
}

// ownCgroup is the directory of the group in which this process is.
func ownCgroup() string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(text), "\n") {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			if mount := cgroupMount(); mount != "" {
				return filepath.Join(mount, path)
			}
		}
	}
	return ""
}

// cgroupMount is where version 2 is mounted.
func cgroupMount() string {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		place, kind, _ := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(place)
		if strings.HasPrefix(kind, "cgroup2 ") && len(fields) > 4 {
			return fields[4]
		}
	}
	return ""
}

func (g cgroup) file(name string) string { return filepath.Join(string(g), name) }

// open gives a descriptor of the group, to start a process in it.
func (g cgroup) open() (int, error) {
	return unix.Open(string(g), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// kill kills everything in the group.
func (g cgroup) kill() {
	if g != "" {
		os.WriteFile(g.file("cgroup.kill"), []byte("1"), 0)
	}
}

// remove takes the group away, waiting up to limit until it is empty.
func (g cgroup) remove(limit time.Duration) {
	if g == "" {
		return
	}
	for end := time.Now().Add(limit); ; time.Sleep(2 * time.Millisecond) {
		if err := os.Remove(string(g)); !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return
		}
	}
}
