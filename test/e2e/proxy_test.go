package e2e

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// proxy stands between a server and its database, and loses what it is told to.
type proxy struct {
	address string
	target  string
	mu      sync.Mutex
	pairs   []*pair
	cut     [2]bool       // what is lost: questions, answers
	delay   time.Duration // of each answer
}

const (
	questions = iota // what the server sends
	answers          // what the database sends
)

// pair is a connection through the proxy.
type pair struct {
	near, far net.Conn
	gates     [2]chan struct{} // closed when the direction is open
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), target: target}
	t.Cleanup(func() { l.Close(); p.end() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			p.join(near)
		}
	}()
	return p
}

// join carries a connection to the other side. One that is made while questions are
// lost gets no answer, and never will.
func (p *proxy) join(near net.Conn) {
	far, err := net.Dial("tcp", p.target)
	if err != nil {
		near.Close()
		return
	}
	c := &pair{near: near, far: far}
	p.mu.Lock()
	defer p.mu.Unlock()
	for way := range c.gates {
		c.gates[way] = make(chan struct{})
		if !p.cut[way] {
			close(c.gates[way])
		}
	}
	p.pairs = append(p.pairs, c)
	go p.carry(c, questions, near, far)
	go p.carry(c, answers, far, near)
}

// carry copies one direction while it is open, and else keeps what it has.
func (p *proxy) carry(c *pair, way int, from io.Reader, to net.Conn) {
	defer to.Close()
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		if way == answers {
			time.Sleep(p.delayed())
		}
		p.mu.Lock()
		gate := c.gates[way]
		p.mu.Unlock()
		<-gate
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// slow has each answer take a while.
func (p *proxy) slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

func (p *proxy) delayed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay
}

// lose keeps what goes these ways from now on. Nobody's connection is closed.
func (p *proxy) lose(ways ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, way := range ways {
		p.cut[way] = true
		for _, c := range p.pairs {
			if isOpen(c.gates[way]) {
				c.gates[way] = make(chan struct{})
			}
		}
	}
}

// heal lets new connections through, and old ones too, with what was kept of them,
// unless they are to stay half open: the database never hears that they are over.
func (p *proxy) heal(halfOpen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = [2]bool{}
	if !halfOpen {
		p.open()
	}
}

func (p *proxy) open() {
	for _, c := range p.pairs {
		for _, gate := range c.gates {
			if !isOpen(gate) {
				close(gate)
			}
		}
	}
}

func isOpen(gate chan struct{}) bool {
	select {
	case <-gate:
		return true
	default:
		return false
	}
}

func (p *proxy) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open()
	for _, c := range p.pairs {
		c.near.Close()
		c.far.Close()
	}
}

// said is what a server answered to one attempt.
type said struct {
	status int
	text   string
	retry  string
	took   time.Duration
}

// try sends a request once, as it is. A key is for what changes something.
func (s *server) try(method, path, key, body string) said {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.ctx, method, s.client.URL+path, strings.NewReader(body))
	s.check(err)
	r.Header.Set("Authorization", "Bearer "+s.token)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
		r.Header.Set("Content-Type", "application/json")
	}
	began := time.Now()
	answer, err := http.DefaultClient.Do(r)
	s.check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	s.check(err)
	return said{answer.StatusCode, string(text), answer.Header.Get("Retry-After"), time.Since(began)}
}

// isReady reports whether the server says that requests may be sent.
func (s *server) isReady() bool {
	s.t.Helper()
	return s.try("GET", "/readyz", "", "").status == http.StatusOK
}

// unavailable holds an answer to a 503 in time that says when to try again.
func (s *server) unavailable(what string, got said, limit time.Duration) {
	s.t.Helper()
	if got.status != http.StatusServiceUnavailable || got.retry == "" || got.took > limit {
		s.t.Errorf("%s was answered %d after %s, to be tried again after %q s: %s", what, got.status, got.took, got.retry, got.text)
	}
}

// lots counts the lots of that reason.
func (s *server) lots(reason string) (n int) {
	s.t.Helper()
	all(s, func(p api.Page) (api.List[api.Lot], error) { return s.client.Lots(s.ctx, "acme", p) }, func(l api.Lot) {
		if l.Reason == reason {
			n++
		}
	})
	return n
}
