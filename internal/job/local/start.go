package local

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// basics are the variables that a job gets from the server's environment.
// Nothing else of it goes to jobs: it may hold the operator's secrets.
var basics = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"}

func basicEnv() []string {
	var env []string
	for _, name := range basics {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// environment is what the command is started with: the basics, then what the
// spec adds or replaces, then what Purser tells it.
func (f folder) environment(spec job.Spec) []string {
	values := map[string]string{}
	for _, entry := range basicEnv() {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	for name, value := range spec.Env {
		if !strings.HasPrefix(name, "PURSER_") {
			values[name] = value
		}
	}
	values["PURSER_JOB_ID"] = spec.Job
	values["PURSER_WORKSPACE"] = spec.Workspace
	values["PURSER_CHECKPOINT_FILE"] = f.file("checkpoint")
	values["PURSER_LANDING_FILE"] = f.file("landing")
	if spec.Resumed {
		values["PURSER_RESUMED"] = "1"
	}
	var env []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		env = append(env, name+"="+values[name])
	}
	return env
}

// command is a command that was looked up and can be started.
type command struct {
	program string
	args    []string
	env     []string
	dir     string
}

// What a shell ends with if it cannot execute a program.
const (
	statusNotExecutable = 126
	statusNotFound      = 127
)

// unfit is why a program cannot be executed, for the user, and the status that a
// shell would end with.
type unfit struct {
	status  int
	message string
}

func (u *unfit) Error() string { return u.message }

func cannot(status int, format string, args ...any) error {
	return &unfit{status, fmt.Sprintf(format, args...)}
}

// find looks the command up before anything is charged. Its errors are for
// the user.
func (f folder) find(spec job.Spec) (command, error) {
	c := command{args: spec.Command, env: f.environment(spec), dir: spec.WorkingDir}
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		return c, errors.New("there is no command")
	}
	if c.dir == "" {
		c.dir = f.file("work")
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return c, fmt.Errorf("make the working directory: %w", err)
		}
	}
	if info, err := os.Stat(c.dir); err != nil || !info.IsDir() {
		return c, fmt.Errorf("the working directory %q does not exist", c.dir)
	}
	var err error
	c.program, err = lookUp(spec.Command[0], c.dir, c.env)
	return c, err
}

// lookUp finds the program as a shell would.
func lookUp(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if _, err := os.Stat(path); err != nil {
			return "", cannot(statusNotFound, "the command %q does not exist", name)
		}
		if !executable(path) {
			return "", cannot(statusNotExecutable, "the command %q is not an executable file", name)
		}
		return path, nil
	}
	var search string
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			search = value
		}
	}
	for _, place := range filepath.SplitList(search) {
		if !filepath.IsAbs(place) {
			place = filepath.Join(dir, place)
		}
		if path := filepath.Join(place, name); executable(path) {
			return path, nil
		}
	}
	return "", cannot(statusNotFound, "the command %q was not found in PATH=%s", name, search)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

// start executes the command in a session of its own, and returns its pid
// once the kernel has replaced the program.
//
// It is called only after Go. A stage that is started before and waits for Go
// on a pipe would save the one or two milliseconds between the start of the
// flow and the first instruction of the command, at the price of a process
// that must be told apart from the command everywhere; a vfork and an exec
// are cheap enough.
//
// The command dies with the thread that started it (PDEATHSIG goes by
// threads), so that thread is kept until the supervisor ends. It takes the
// given pace, not the supervisor's.
func (c command) start(out *os.File, group cgroup, pace *unix.SchedAttr) (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	attr := &syscall.ProcAttr{
		Dir:   c.dir,
		Env:   c.env,
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	if group != "" {
		if fd, err := group.open(); err == nil {
			defer unix.Close(fd)
			attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, fd
		}
	}
	type answer struct {
		pid int
		err error
	}
	started := make(chan answer)
	go func() {
		runtime.LockOSThread()
		relax(pace)
		pid, err := syscall.ForkExec(c.program, c.args, attr)
		if err != nil && attr.Sys.UseCgroupFD { // clone3 may be forbidden; nothing was executed
			attr.Sys.UseCgroupFD = false
			pid, err = syscall.ForkExec(c.program, c.args, attr)
		}
		started <- answer{pid, err}
		if err == nil {
			select {}
		}
	}()
	a := <-started
	return a.pid, c.explain(a.err)
}

// explain words an error of the start for the user.
func (c command) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOEXEC):
		return cannot(statusNotExecutable, "the command %q is no program this machine can execute (a script needs a first line such as #!/bin/sh)", c.args[0])
	case errors.Is(err, syscall.ENOENT):
		return cannot(statusNotExecutable, "the command %q could not be started: its interpreter does not exist", c.args[0])
	}
	return cannot(statusNotExecutable, "the command %q could not be started: %v", c.args[0], err)
}
