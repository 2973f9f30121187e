package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/purserhq/purser/internal/app"
)

// token is the operator's.
const token = "simulated-operator-token"

// host is the machine on which the server runs and dies. A death is a copy of the
// files as they are at a commit: what a killed process leaves behind. The server
// that it was taken from goes on for nobody until it is put away. One whose database
// is elsewhere does not go on: see remote.
type host struct {
	dir     string // of this life
	root    string // of all lives
	life    int
	between func(http.Handler) http.Handler
	remote  *remote // nil where the database is a file
	app     *app.App
	handler http.Handler
	commits int64 // since the start of the simulation
	log     int64 // bytes of the database's log at the last commit
	plan    *death
	seen    error // what went wrong at a planned death
}

// death is one that comes in the middle of what the server does.
type death struct {
	after int     // commits until then
	torn  bool    // in the middle of writing the last of them
	part  float64 // how much of that was written
	into  string  // the directory that the files were copied to; "" if it did not come
}

func newHost(c Config) *host {
	h := &host{root: c.Dir, between: c.Between}
	if c.Database != nil {
		h.remote = &remote{Database: *c.Database}
	}
	return h
}

// start starts the server on the files that are there, with its clock at least at
// an instant.
func (h *host) start(ctx context.Context, clock int64) (err error) {
	if h.dir == "" {
		h.dir = h.nextDir()
	}
	c := app.Config{Data: h.dir, TestClock: clock, OperatorToken: token, Committed: h.committed}
	if h.remote != nil {
		c.Database = h.remote.URL
		h.remote.begin()
	}
	h.app, err = app.Open(ctx, c)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	h.handler = h.app.Handler()
	if h.between != nil {
		h.handler = h.between(h.handler)
	}
	return nil
}

func (h *host) nextDir() string {
	h.life++
	return filepath.Join(h.root, strconv.Itoa(h.life))
}

const database = "purser.db"

// committed runs after every commit, and dies where it was planned.
func (h *host) committed() {
	h.commits++
	before := h.log
	h.log = h.logSize()
	if h.plan == nil || h.plan.into != "" {
		return
	}
	if h.plan.after--; h.plan.after > 0 {
		return
	}
	h.plan.into = h.nextDir()
	if h.seen = h.copyTo(h.plan.into); h.remote != nil {
		h.remote.stand()
		return
	}
	if h.seen != nil || !h.plan.torn || h.log <= before {
		return // a log that began anew cannot be cut where it was
	}
	keep := before + int64(float64(h.log-before)*h.plan.part)
	h.seen = os.Truncate(filepath.Join(h.plan.into, database+"-wal"), keep)
}

func (h *host) logSize() int64 {
	info, err := os.Stat(filepath.Join(h.dir, database+"-wal"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// copyTo copies what a killed server leaves behind: the database, its log, and the
// files of the jobs.
func (h *host) copyTo(dir string) error {
	return filepath.WalkDir(h.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(h.dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, name)
		switch {
		case entry.IsDir():
			return os.MkdirAll(to, 0o700)
		case name == database+"-shm" || name == database+".lock":
			return nil
		}
		return copyFile(path, to)
	})
}

// copyFile has the system copy a file: what the log was grown to is large.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// die kills the server where it stands: between two commits, unless a death that
// was planned has come before.
func (h *host) die() error {
	into := ""
	if h.plan != nil {
		into = h.plan.into
	}
	if into == "" {
		into = h.nextDir()
		if err := h.copyTo(into); err != nil {
			return fmt.Errorf("kill the server: %w", err)
		}
	}
	h.plan = nil
	return errors.Join(h.seen, h.moveTo(into))
}

// moveTo goes on with the files of another directory.
func (h *host) moveTo(dir string) error {
	end := h.close
	if h.remote != nil {
		end = func() error { return h.remote.kill(h.close) }
	}
	err := errors.Join(end(), os.RemoveAll(h.dir))
	h.dir, h.log = dir, 0
	return err
}

func (h *host) close() error {
	if h.app == nil {
		return nil
	}
	err := h.app.Close()
	h.app = nil
	return err
}

// answer is what a server answered.
type answer struct {
	status   int
	replayed bool
	body     []byte
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// reply is an http.ResponseWriter that keeps the answer.
type reply struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *reply) Header() http.Header { return r.header }

func (r *reply) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *reply) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

// ask sends one request and waits for its answer.
func (h *host) ask(ctx context.Context, r *request) (answer, error) {
	q, err := http.NewRequestWithContext(ctx, r.method, "http://purser"+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("X-Request-Id", "sim")
	if len(r.body) > 0 {
		q.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		q.Header.Set("Idempotency-Key", r.key)
	}
	for name, value := range r.header {
		q.Header.Set(name, value)
	}
	out := &reply{header: http.Header{}}
	h.handler.ServeHTTP(out, q)
	return answer{out.status, out.header.Get("Idempotent-Replayed") == "true", out.body.Bytes()}, nil
}

// exchange sends requests and returns their answers, in order; empty ones if the
// server dies meanwhile and nobody can wait for them.
func (h *host) exchange(ctx context.Context, requests []*request) (answers []answer, err error) {
	if h.remote == nil {
		return h.together(ctx, requests)
	}
	if !h.remote.outlives(func() { answers, err = h.together(ctx, requests) }) {
		return make([]answer, len(requests)), nil
	}
	return answers, err
}

// together sends requests. Several share a commit: each waits in the server's queue
// before the next one is sent.
func (h *host) together(ctx context.Context, requests []*request) ([]answer, error) {
	answers, errs := make([]answer, len(requests)), make([]error, len(requests))
	if len(requests) == 1 {
		answers[0], errs[0] = h.ask(ctx, requests[0])
		return answers, errs[0]
	}
	ended := make([]chan struct{}, len(requests))
	var stuck error
	err := h.app.Together(ctx, func(waiting func() int) {
		for i, r := range requests {
			before := waiting()
			ended[i] = make(chan struct{})
			go func() {
				defer close(ended[i])
				answers[i], errs[i] = h.ask(ctx, r)
			}()
			stuck = errors.Join(stuck, untilQueued(r, ended[i], func() bool { return waiting() > before }))
		}
	})
	if err != nil {
		return nil, err
	}
	for _, e := range ended {
		<-e
	}
	return answers, errors.Join(append(errs, stuck)...)
}

// read asks for something and returns the body of the answer, which must be a
// success.
func (h *host) read(ctx context.Context, path string) ([]byte, error) {
	a, err := h.ask(ctx, &request{method: http.MethodGet, path: path})
	if err == nil && !a.ok() {
		err = fmt.Errorf("GET %s: %d %s", path, a.status, a.body)
	}
	return a.body, err
}

var _ io.Writer = (*reply)(nil)
