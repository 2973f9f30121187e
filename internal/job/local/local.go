// Package local runs jobs as processes of this machine.
//
// Every job has a small supervisor process of its own, which outlives the
// server: it executes the command when told to, renews the job's lease,
// signals and kills at the instants it was told, and does so by itself when
// the server is gone. What it keeps true:
//
//   - no work runs before its flow is durable, and none after the instants
//     that the last orders name;
//   - when the command's main process has ended, nothing of it lives on;
//   - when the supervisor dies, its command dies with it;
//   - an end is on disk before it is said, and said until it is acknowledged;
//   - no process is ever signalled that the job did not start.
//
// The supervisor is this same program, started as `purser supervise DIR`. It
// talks to whatever server listens on DATA/supervisor.sock, and while none does
// there, to another one on the same database (docs/decisions/020).
//
// It is no sandbox: jobs run as the user of the server, and a job that means
// harm can reach whatever that user can.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
)

// The defaults of Config.
const (
	DefaultProofEvery = time.Second
	DefaultLinger     = 10 * time.Minute
	DefaultLogLimit   = 256 << 20
)

const (
	launchLimit = 20 * time.Second // how long a supervisor may take to come up
	stuckAfter  = 5 * time.Second  // how long after its lease and grace a silent one is taken for stuck, if it is not stopped
)

// Config says where and how jobs run. Zero values mean the defaults.
type Config struct {
	Dir        string        // the data directory: jobs/ID and supervisor.sock are in it
	Now        func() int64  // the server's clock, Unix nanoseconds; by default the machine's
	Log        *slog.Logger  //
	Command    []string      // what starts a supervisor, before the job's directory; by default this program with "supervise"
	ProofEvery time.Duration // between two proofs of life on disk
	Linger     time.Duration // how long a supervisor without a server waits before Go and after the end
	LogLimit   int64         // bytes that one run may add to its log
	NoCgroup   bool          // do without a control group even where one can be had

	// Where several servers use one database, what supervisors are told of the others.
	Home   string                     // this server; empty if it has the database to itself
	Key    func(job string) []byte    // of a job
	Others func(home string) []string // the URLs at which supervisors of a server are heard
}

// Executor is the job.Executor of this machine.
type Executor struct {
	config     Config
	stuckAfter time.Duration

	mu    sync.Mutex
	known map[string]*talk // the runs that are alive, as far as we know
	look  chan struct{}    // a supervisor of ours has died: look after it now
}

var _ job.Executor = (*Executor)(nil)

// New makes the executor of a data directory. It does nothing until it is
// told to; there may be only one Run on a directory at a time.
func New(config Config) *Executor {
	if config.Now == nil {
		config.Now = func() int64 { return time.Now().UnixNano() }
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if len(config.Command) == 0 {
		// Not the path of the program: that may have been replaced by a newer one.
		config.Command = []string{"/proc/self/exe", "supervise"}
	}
	if config.ProofEvery == 0 {
		config.ProofEvery = DefaultProofEvery
	}
	if config.Linger == 0 {
		config.Linger = DefaultLinger
	}
	if config.LogLimit == 0 {
		config.LogLimit = DefaultLogLimit
	}
	return &Executor{config: config, stuckAfter: stuckAfter, known: map[string]*talk{}, look: make(chan struct{}, 1)}
}

// validID keeps ids from being paths.
var validID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,100}$`)

// folder is the directory of a job, as an absolute path.
func (e *Executor) folder(id string) (folder, error) {
	if !validID.MatchString(id) {
		return "", fault.New(fault.Invalid, "%q is not the id of a job", id)
	}
	dir, err := filepath.Abs(e.config.Dir)
	return folder(filepath.Join(dir, "jobs", id)), err
}

func (e *Executor) socket() (string, error) {
	return filepath.Abs(filepath.Join(e.config.Dir, "supervisor.sock"))
}

// Launch starts the supervisor of a run, and returns when it has taken over.
func (e *Executor) Launch(ctx context.Context, spec job.Spec) error {
	f, err := e.folder(spec.Job)
	if err != nil {
		return err
	}
	alive, err := f.locked()
	if err != nil {
		return err
	}
	if alive {
		return fault.New(fault.Conflict, "job %s is still running", spec.Job)
	}
	if err := e.Clear(spec.Job); err != nil {
		return err
	}
	e.hangUp(spec.Job)
	if err := e.write(f, spec); err != nil {
		return fmt.Errorf("prepare job %s: %w", spec.Job, err)
	}
	if err := e.supervise(ctx, f); err != nil {
		return fmt.Errorf("start the supervisor of job %s: %w", spec.Job, err)
	}
	e.talk(spec.Job)
	return nil
}

// write makes the directory of a new run.
func (e *Executor) write(f folder, spec job.Spec) error {
	socket, err := e.socket()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	if err := f.clear(); err != nil {
		return err
	}
	return f.writeJSON("spec.json", plan{
		Spec: spec, Socket: socket, ProofEvery: e.config.ProofEvery,
		Linger: e.config.Linger, LogLimit: e.config.LogLimit, Cgroup: !e.config.NoCgroup,
	})
}

// supervise starts the process. Its own session keeps it clear of the
// server's terminal and process group, its own files of the server's pipes;
// so it outlives the server, whose death leaves it to init. A second fork
// would add nothing but a process more to start. Only its exit has to be
// waited for, by whoever is its parent then.
func (e *Executor) supervise(ctx context.Context, f folder) error {
	complaints, err := os.OpenFile(f.file("supervisor.log"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer complaints.Close()
	hear, speak, err := os.Pipe()
	if err != nil {
		return err
	}
	defer hear.Close()
	argv := append(e.config.Command[1:len(e.config.Command):len(e.config.Command)], string(f))
	cmd := exec.Command(e.config.Command[0], argv...)
	cmd.Dir, cmd.Env = string(f), basicEnv()
	cmd.Stdout, cmd.Stderr = speak, complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	speak.Close()
	if err != nil {
		return err
	}
	go func() {
		cmd.Wait()
		e.lookNow()
	}()
	return e.hear(ctx, hear, cmd.Process)
}

// hear waits for the word that the supervisor has taken over.
func (e *Executor) hear(ctx context.Context, hear *os.File, supervisor *os.Process) error {
	limit := time.Now().Add(launchLimit)
	if at, ok := ctx.Deadline(); ok && at.Before(limit) {
		limit = at
	}
	hear.SetReadDeadline(limit)
	undo := context.AfterFunc(ctx, func() { hear.SetReadDeadline(time.Unix(1, 0)) })
	defer undo()
	said, err := io.ReadAll(io.LimitReader(hear, 4096))
	switch {
	case err != nil: // it has executed nothing yet, for nobody has told it Go
		supervisor.Kill()
		return errors.Join(err, ctx.Err())
	case string(said) == readyWord:
		return nil
	case len(said) == 0:
		return errors.New("it ended without a word; see supervisor.log in the job's directory")
	}
	return errors.New(string(said))
}
