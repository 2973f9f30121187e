package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// folder is the directory of one job, DATA/jobs/ID. Everything that must
// outlive a process is a file in it:
//
//	spec.json       what to run, and how to supervise it
//	lock            locked while the supervisor lives
//	process.json    who runs: written when the supervisor is ready, and when the command starts
//	proof           last proof of life
//	ended.json      the report of the end; there is none before
//	log             what the command wrote, of all its runs
//	supervisor.log  what went wrong with the supervisor itself
//	checkpoint      touched by the job when a checkpoint is done
//	landing         there while the job is landing: when it will be killed
//	work            the working directory, where the spec names none
type folder string

func (f folder) file(name string) string { return filepath.Join(string(f), name) }

// plan is the content of spec.json.
type plan struct {
	Spec       job.Spec
	Socket     string        // of the executor
	ProofEvery time.Duration // between two proofs of life
	Linger     time.Duration // how long to wait for a server before Go and after the end
	LogLimit   int64         // bytes which this run may add to the log
	Cgroup     bool          // use one where it can be had
}

// people is the content of process.json: whom to look for if the supervisor
// dies. A process is the one meant only if its start is also the same.
type people struct {
	Boot       string // the boot id: after another start of the machine none of them lives
	Supervisor process
	Main       process // its pid is also the session and the process group of the job; none before it runs
	Cgroup     string  // directory; empty if there is none
}

// readJSON reads a file of the folder. A missing file is fs.ErrNotExist.
func (f folder) readJSON(name string, into any) error {
	text, err := os.ReadFile(f.file(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", f.file(name), err)
	}
	return nil
}

// writeJSON replaces a file of the folder: after a crash the old content or
// the new one is there, whole; after a return the new one, for good.
func (f folder) writeJSON(name string, content any) error {
	text, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.replace(name, append(text, '\n'), true)
}

// replace writes a file aside and renames it into place, so that no reader
// sees half of it. If durable, it is on disk on return.
func (f folder) replace(name string, content []byte, durable bool) error {
	aside := f.file(name + ".new")
	file, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil && durable {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(aside, f.file(name)); err != nil || !durable {
		return err
	}
	return syncDir(string(f))
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (f folder) has(name string) bool {
	_, err := os.Stat(f.file(name))
	return err == nil
}

// clear removes what an earlier run said of itself, but not what it made:
// log, checkpoint and work stay.
func (f folder) clear() error {
	for _, name := range []string{"ended.json", "process.json", "proof", "landing"} {
		if err := os.Remove(f.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// lock takes the lock of the supervisor, which lasts until the file is closed
// or the process is dead, however it died. It fails at once if it is taken.
// It is a lock of the open file, because only such a one can be asked about
// without taking it: a lock taken to ask would chase away a supervisor that
// is just starting.
func (f folder) lock() (*os.File, error) {
	file, err := os.OpenFile(f.file("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &whole); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", f.file("lock"), err)
	}
	return file, nil
}

// locked reports whether a supervisor lives.
func (f folder) locked() (bool, error) {
	file, err := os.OpenFile(f.file("lock"), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer file.Close()
	return isLocked(file)
}

// isLocked asks for the lock of an open file, which may have no name any more.
func isLocked(file *os.File) (bool, error) {
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &whole); err != nil {
		return false, fmt.Errorf("ask for the lock %s: %w", file.Name(), err)
	}
	return whole.Type != unix.F_UNLCK, nil
}
