package server

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A body that does not arrive holds its connection no longer than the time there
// is for reading.
func TestABodyThatDoesNotArriveIsNotWaitedFor(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	server := &http.Server{ReadTimeout: 50 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := (call{}).read(w, r); err == nil {
			t.Error("there is a body")
		}
	})}
	defer server.Close()
	go server.Serve(&single{conn: far})
	near.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(near, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nshort")
	if answer, err := io.ReadAll(near); err != nil || !strings.Contains(string(answer), "Connection: close") {
		t.Errorf("%v: %s", err, answer)
	}
}

// single is a listener to which one connection is made.
type single struct {
	conn net.Conn
}

func (s *single) Accept() (net.Conn, error) {
	if s.conn == nil {
		return nil, net.ErrClosed
	}
	conn := s.conn
	s.conn = nil
	return conn, nil
}

func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
