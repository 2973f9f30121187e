package db

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// wire is the network connection below one to a PostgreSQL. It can be ended from
// outside while somebody waits on it.
type wire struct {
	net.Conn
	server *server
	limit  atomic.Int64 // ns without a byte of an answer to the writer; 0 for readers, who may wait
	asked  atomic.Bool  // something was sent of which nothing is answered yet
	isShut atomic.Bool
}

// keepAlive is how a connection notices that the other end is gone: after some
// seconds without an answer, not after the hours that the system would wait.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

func (s *server) dialWire(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: c, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wires[w] = true
	return w, nil
}

func (w *wire) Write(b []byte) (int, error) {
	w.asked.Store(true)
	return w.Conn.Write(b)
}

// Read waits for bytes no longer than the limit. The first after something was sent
// ends a trip.
func (w *wire) Read(b []byte) (int, error) {
	if limit := w.limit.Load(); limit > 0 {
		if w.asked.Swap(false) {
			w.server.trips.Add(1)
		}
		if err := w.SetReadDeadline(after(limit)); err != nil {
			return 0, err
		}
	}
	return w.Conn.Read(b)
}

// Close ends the connection.
func (w *wire) Close() error {
	w.isShut.Store(true)
	w.server.mu.Lock()
	delete(w.server.wires, w)
	w.server.mu.Unlock()
	return w.Conn.Close()
}

// cut ends all connections: those who wait for an answer get an error.
func (s *server) cut() {
	s.mu.Lock()
	wires := make([]*wire, 0, len(s.wires))
	for w := range s.wires {
		wires = append(wires, w)
	}
	s.mu.Unlock()
	for _, w := range wires {
		_ = w.Close() // who uses it finds out
	}
}

// wireOf is what is below a driver's connection.
func wireOf(driver any) *wire {
	c := driver.(*stdlib.Conn).Conn().PgConn().Conn()
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	return c.(*wire)
}

// hostsOf splits what a URL says into a configuration for each host. One host may
// have two entries, with TLS and without.
func hostsOf(config *pgx.ConnConfig) []*pgx.ConnConfig {
	hosts := []*pgx.ConnConfig{config.Copy()}
	hosts[0].Fallbacks = nil
	for _, f := range config.Fallbacks {
		last := hosts[len(hosts)-1]
		if f.Host == last.Host && f.Port == last.Port {
			last.Fallbacks = append(last.Fallbacks, f)
			continue
		}
		next := config.Copy()
		next.Host, next.Port, next.TLSConfig, next.Fallbacks = f.Host, f.Port, f.TLSConfig, nil
		hosts = append(hosts, next)
	}
	return hosts
}
