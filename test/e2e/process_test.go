package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// server is a running server and what is left of it when it is killed.
type server struct {
	t       *testing.T
	ctx     context.Context
	dir     string
	address string
	args    []string
	through []string                         // what starts the server, before its own command line; nothing by default
	attach  func(*exec.Cmd) (started func()) // is called before and after it starts; nil for nobody
	token   string                           // no other server answers to it
	process *exec.Cmd
	ended   chan struct{} // closed when the process is gone
	client  *api.Client
}

var ports atomic.Int64

// freeAddress finds a port below those that the kernel gives to connections. It
// is free now; whoever takes it may find it taken.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 2000 {
		port := 20000 + (int64(os.Getpid())*37+ports.Add(1))%12000
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// start starts a server in a new directory, on a port of its own.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	return startFor(t, "pt_e2e_"+rand.Text(), args...)
}

// startFor is start with a token that others know too.
func startFor(t *testing.T, token string, args ...string) *server {
	t.Helper()
	s := &server{t: t, ctx: t.Context(), dir: t.TempDir(), args: args, token: token}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log(0))
			s.supervisors()
		}
		s.end()
	})
	for {
		s.address = freeAddress(t)
		s.client = &api.Client{URL: "http://" + s.address, Token: s.token, Patience: 15 * time.Second}
		why := s.launch()
		if why == "" {
			return s
		}
		if !isTaken(why) {
			t.Fatalf("the server did not start:\n%s", why)
		}
	}
}

// run starts the server again, where its clients expect it.
func (s *server) run() {
	s.t.Helper()
	for limit := time.Now().Add(startLimit); ; time.Sleep(50 * time.Millisecond) {
		why := s.launch()
		if why == "" {
			return
		}
		if !isTaken(why) || time.Now().After(limit) {
			s.t.Fatalf("the server did not start again:\n%s", why)
		}
	}
}

func isTaken(log string) bool { return strings.Contains(log, "is in use: another server runs there") }

// startLimit is for a machine with much else to do: a server that ends is
// noticed at once.
const startLimit = time.Minute

// launch starts the server and waits until it answers. If it ends instead, its
// log says why.
func (s *server) launch() (why string) {
	s.t.Helper()
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.check(err)
	defer log.Close()
	before, err := log.Stat()
	s.check(err)
	line := slices.Concat(s.through, []string{purser, "serve", "--data", s.dir, "--listen", s.address}, s.args)
	process, ended := exec.Command(line[0], line[1:]...), make(chan struct{})
	process.Stdout, process.Stderr = log, log
	process.Env = append(os.Environ(), "PURSER_OPERATOR_TOKEN="+s.token)
	if s.attach != nil {
		defer s.attach(process)()
	}
	s.check(process.Start())
	go func() { process.Wait(); close(ended) }()
	s.process, s.ended = process, ended
	patience := time.After(startLimit)
	for {
		err := s.answers()
		if err == nil {
			return ""
		}
		select {
		case <-ended:
			s.process = nil
			return fmt.Sprintf("%s\n%s", process.ProcessState, s.log(before.Size()))
		case <-patience:
			s.t.Fatalf("the server does not answer: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// answers asks this server, and no other that may have taken its port, whether it
// is ready.
func (s *server) answers() error {
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	asks := api.Client{URL: s.client.URL, Token: s.token, Patience: -1}
	_, err := asks.Whoami(ctx, api.WhoamiQuery{})
	return err
}

func (s *server) logFile() string { return filepath.Join(s.dir, "server.log") }

// log is what the server has written from a place in its log on.
func (s *server) log(from int64) string {
	text, _ := os.ReadFile(s.logFile())
	return string(text[min(from, int64(len(text))):])
}

// supervisors shows what is left of every job: what its supervisor complained of,
// the orders it had and the end it wrote.
func (s *server) supervisors() {
	for _, kind := range []string{"*.log", "*.json"} {
		files, _ := filepath.Glob(filepath.Join(s.dir, "jobs", "*", kind))
		for _, file := range files[:min(len(files), 20)] {
			text, _ := os.ReadFile(file)
			s.t.Logf("%s:\n%s", file, text[:min(len(text), 4000)])
		}
	}
}

// kill kills the server without a word.
func (s *server) kill() {
	s.t.Helper()
	s.check(s.process.Process.Signal(syscall.SIGKILL))
	<-s.ended
	s.process = nil
}

// end ends the server and, through it, all its jobs.
func (s *server) end() {
	if s.process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, space := range []string{"acme", "default"} {
		jobs, err := s.client.Jobs(ctx, space, api.JobQuery{Status: "active"})
		for _, j := range jobs.Items {
			s.client.StopJob(ctx, space, j.ID, api.JobStop{Now: true})
		}
		for limit := time.Now().Add(5 * time.Second); err == nil && len(jobs.Items) > 0 && time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
			jobs, err = s.client.Jobs(ctx, space, api.JobQuery{Status: "active"})
		}
	}
	s.process.Process.Signal(syscall.SIGTERM)
	<-s.ended
	s.process = nil
}

// A server that cannot have its port says so at once, though another answers
// there.
func TestATakenPortIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	first := start(t)
	second := &server{t: t, ctx: t.Context(), dir: t.TempDir(), address: first.address, token: "pt_e2e_" + rand.Text()}
	second.client = &api.Client{URL: first.client.URL, Token: second.token}
	began := time.Now()
	if why := second.launch(); !isTaken(why) {
		second.end()
		t.Errorf("it ended with %q", why)
	}
	t.Logf("noticed after %s", time.Since(began).Round(time.Millisecond))
}
