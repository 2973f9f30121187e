package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/purserhq/purser/api"
)

// The limits of the server's start and end.
const (
	startLimit = 15 * time.Second
	stopLimit  = 10 * time.Second
)

// server is a Purser server of our own, in a directory that is thrown away.
type server struct {
	dir, url, token string
	process         *os.Process
	ended           chan struct{}
	began           time.Time
	readyAfter      time.Duration
}

// startServer starts one on a free port. It is a process of its own, in a
// session of its own: Ctrl-C reaches only us. It ends with us, however we end,
// unless it is to stay.
func startServer(program string, stays bool) (*server, error) {
	dir, err := os.MkdirTemp("", "purser-demo-")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, url: "http://" + address, ended: make(chan struct{}), began: time.Now()}
	log, err := os.Create(s.logFile())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	attributes := &syscall.SysProcAttr{Setsid: true}
	if !stays {
		attributes.Pdeathsig = syscall.SIGTERM
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal comes when the starting thread ends, so that one waits
		s.process, err = os.StartProcess(program, []string{program, "serve", "--data", dir, "--listen", address}, &os.ProcAttr{
			Files: []*os.File{nil, log, log}, Env: environment(), Sys: attributes,
		})
		started <- err
		if err == nil {
			s.process.Wait()
			close(s.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return s, nil
}

// environment is ours without the settings of other servers.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PURSER_") {
			env = append(env, entry)
		}
	}
	return env
}

// The ports among which a free one is looked for lie below those that the
// kernel gives to connections.
const firstPort, lastPort = 18080, 18980

func freeAddress() (string, error) {
	for port := firstPort + os.Getpid()%(lastPort-firstPort); port < lastPort+100; port++ {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("there is no free port for the server")
}

func (s *server) logFile() string { return filepath.Join(s.dir, "server.log") }

// ready waits until the server answers, and returns a client of it.
func (s *server) ready(ctx context.Context) (*api.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return nil, err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the server does not answer: %w", ctx.Err())
		case <-s.ended:
			text, _ := os.ReadFile(s.logFile())
			return nil, fmt.Errorf("the server ended: %s", text)
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.readyAfter = time.Since(s.began)
	token, err := os.ReadFile(filepath.Join(s.dir, "operator-token"))
	if err != nil {
		return nil, err
	}
	s.token = strings.TrimSpace(string(token))
	return &api.Client{URL: s.url, Token: s.token, Agent: "purser-demo"}, nil
}

// stop ends the server in good order and removes its directory.
func (s *server) stop() error {
	if err := s.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(stopLimit):
		s.process.Kill()
		<-s.ended
	}
	return os.RemoveAll(s.dir)
}
