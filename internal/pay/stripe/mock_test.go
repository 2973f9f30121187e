package stripe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// official is stripe-mock, which the first test that needs it builds and starts.
var official mock

// mock is stripe-mock behind a socket that nobody else can reach.
type mock struct {
	once   sync.Once
	err    error
	dir    string
	client *http.Client
	stop   chan struct{} // closed when no test needs it any more
	done   chan error    // how its end went
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := official.end(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// start builds and starts it once.
func (m *mock) start() error {
	m.once.Do(func() { m.err = m.build() })
	return m.err
}

func (m *mock) build() (err error) {
	if m.dir, err = os.MkdirTemp("", "stripe"); err != nil {
		return err
	}
	program, socket := filepath.Join(m.dir, "stripe-mock"), filepath.Join(m.dir, "socket")
	build := exec.Command("go", "build", "-o", program, "github.com/stripe/stripe-mock")
	build.Dir = "../../../test/stripemock"
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build stripe-mock: %w\n%s", err, out)
	}
	m.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	m.stop, m.done = make(chan struct{}), make(chan error, 1)
	started := make(chan error, 1)
	go m.run(exec.Command(program, "-http-unix", socket), started)
	return <-started
}

// run is the life of the process. The kernel ends it with the thread that started it, so
// it does not outlive tests that are killed.
func (m *mock) run(c *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.StdoutPipe()
	if err = errors.Join(err, c.Start()); err != nil {
		started <- err
		m.done <- nil
		return
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "Listening") {
	}
	if !strings.Contains(lines.Text(), "Listening") {
		err = errors.New("stripe-mock does not listen")
	}
	started <- err
	go io.Copy(io.Discard, out)
	<-m.stop
	err = c.Process.Kill()
	c.Wait() // it was killed: that is no news
	m.done <- err
}

// end stops it, if it was started, and leaves nothing.
func (m *mock) end() error {
	if m.stop == nil {
		return os.RemoveAll(m.dir)
	}
	close(m.stop)
	return errors.Join(<-m.done, os.RemoveAll(m.dir))
}

// judge has stripe-mock check a request against the description of the API, and answer as
// the description says. Its answer is the shape of ours.
func judge(r *http.Request, body []byte) (status int, answer []byte, err error) {
	if err := official.start(); err != nil {
		return 0, nil, err
	}
	asked, err := http.NewRequest(r.Method, "http://stripe"+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	asked.Header = r.Header.Clone()
	got, err := official.client.Do(asked)
	if err != nil {
		return 0, nil, err
	}
	defer got.Body.Close()
	answer, err = io.ReadAll(got.Body)
	return got.StatusCode, answer, err
}
