package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// Limits of the talk between a supervisor and the server.
const (
	holdLimit  = 5 * time.Second        // how long the server holds a request when there is nothing new
	callLimit  = 10 * time.Second       // how long a supervisor waits for an answer
	retryAfter = 200 * time.Millisecond // between two calls while the server is away
	bodyLimit  = 64 << 10
)

// answer is the body of a response: the orders, and the boot time at which
// their Now was read. Both processes are on one machine and share that clock,
// so the supervisor knows the server's instants to the microsecond, however
// long the answer was under way.
//
// Another server has a boot time of its own. It says for how long it held the request
// instead, and the supervisor adds that to the boot time at which it sent it.
type answer struct {
	Orders job.Orders
	Boot   int64
	Held   int64   `json:",omitempty"`
	Refuge *refuge `json:",omitempty"`

	sent int64 // boot time; 0 if its own server answered
}

// errUnknown is the server's word that it knows of no such job.
var errUnknown = errors.New("the server does not know this job")

// line is a supervisor's connection to whatever server is there. It says the
// present report again and again; each answer, or errUnknown, goes to news.
type line struct {
	socket string
	client *http.Client
	clock  *clock
	news   chan news

	away   *http.Client // to other servers
	refuge refuge       // where they are, as was told last
	isAway bool         // another server answered last

	mu     sync.Mutex
	report job.Report
	hangUp context.CancelFunc // ends the call under way
	turn   chan struct{}      // closed when there is something new to say
}

// news is what one call brought.
type news struct {
	answer  answer
	unknown bool
}

func newLine(socket string, clock *clock, first job.Report) *line {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, socket) }
	return &line{
		socket: socket,
		client: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 1}},
		clock:  clock,
		news:   make(chan news),
		away:   newAway(),
		report: first,
		turn:   make(chan struct{}),
	}
}

// dialSocket connects through a descriptor of the directory, because the
// address of a unix socket may not be longer than 107 bytes.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	var conn net.Conn
	err := inDirectory(path, func(short string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", short)
		return err
	})
	return conn, err
}

// inDirectory calls do with a short path of the same file.
func inDirectory(path string, do func(short string) error) error {
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Dir(path), err)
	}
	defer unix.Close(fd)
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path)))
}

// say changes the report. If urgent, the server hears of it at once: a call
// that is being held for the old one is given up.
func (l *line) say(urgent bool, change func(*job.Report)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.report)
	if !urgent {
		return
	}
	if l.hangUp != nil {
		l.hangUp()
	}
	close(l.turn)
	l.turn = make(chan struct{})
}

// keep talks until ctx ends.
func (l *line) keep(ctx context.Context) {
	for ctx.Err() == nil {
		call, cancel := context.WithCancel(ctx)
		l.mu.Lock()
		report, turn := l.report, l.turn
		l.hangUp = cancel
		l.mu.Unlock()
		a, err := l.ask(call, report)
		cancel()
		if err == nil || errors.Is(err, errUnknown) {
			l.heard(ctx, a, err)
		}
		if err == nil {
			continue
		}
		select {
		case <-turn:
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
	}
}

// heard passes an answer on.
func (l *line) heard(ctx context.Context, a answer, err error) {
	if err == nil {
		l.mu.Lock()
		l.report.Seen, l.report.Lease = a.Orders.Version, a.Orders.LeaseUntil
		l.mu.Unlock()
	}
	select {
	case l.news <- news{a, err != nil}:
	case <-ctx.Done():
	}
}

func (l *line) post(ctx context.Context, report job.Report) (answer, error) {
	body, err := json.Marshal(report)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://purser/jobs/"+report.Job, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	switch {
	case err != nil:
		return answer{}, err
	case response.StatusCode == http.StatusNotFound:
		return answer{}, errUnknown
	case response.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("the server answered %s", response.Status)
	}
	var a answer
	err = json.Unmarshal(text, &a)
	return a, err
}
