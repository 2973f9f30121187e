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
	"strings"
	"testing"
)

// official is a client of stripe-mock, which runs for all tests of the package.
var official *http.Client

func TestMain(m *testing.M) {
	code, err := withMock(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withMock builds stripe-mock and runs it, behind a socket that nobody else can reach,
// while run does.
func withMock(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "stripe")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program, socket := filepath.Join(dir, "stripe-mock"), filepath.Join(dir, "socket")
	build := exec.Command("go", "build", "-o", program, "github.com/stripe/stripe-mock")
	build.Dir = "../../../test/stripemock"
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build stripe-mock: %w\n%s", err, out)
	}
	mock := exec.Command(program, "-http-unix", socket)
	out, err := mock.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := mock.Start(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, mock.Process.Kill(), ended(mock)) }()
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "Listening") {
	}
	if lines.Err() != nil || !strings.Contains(lines.Text(), "Listening") {
		return 1, fmt.Errorf("stripe-mock does not listen: %w", lines.Err())
	}
	go io.Copy(io.Discard, out)
	official = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	return run(), nil
}

// ended waits for a process that was killed.
func ended(c *exec.Cmd) error {
	if err := c.Wait(); c.ProcessState == nil {
		return err
	}
	return nil
}

// judge has stripe-mock check a request against the description of the API, and answer as
// the description says. Its answer is the shape of ours.
func judge(r *http.Request, body []byte) (status int, answer []byte, err error) {
	asked, err := http.NewRequest(r.Method, "http://stripe"+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	asked.Header = r.Header.Clone()
	got, err := official.Do(asked)
	if err != nil {
		return 0, nil, err
	}
	defer got.Body.Close()
	answer, err = io.ReadAll(got.Body)
	return got.StatusCode, answer, err
}
