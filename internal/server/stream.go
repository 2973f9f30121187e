package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// The limits of streams. A reader that takes nothing for writeTimeout is cut
// off; what changed meanwhile is one event when it comes back, for an event is
// the state and not a difference.
const (
	maxStreams   = 2000             // open at the same time
	heartbeat    = 15 * time.Second // between comments, when nothing happens
	streamPace   = 50 * time.Millisecond
	writeTimeout = 10 * time.Second
)

var streamCall = call{
	id: "stream-balance", method: "GET", path: "/v1/workspaces/{workspace}/stream", tag: tagCredits, action: org.See,
	summary: "Follow the balance",
	description: "Server-sent events: the balance object at every change, with the running classes, so that a client ticks it by " +
		"itself, exactly up to 100 items and within a nano-credit per item beyond. It ends within seconds when the credential or the role does.",
}

func isStream(route string) bool {
	return route == "GET "+streamCall.path || route == "GET "+logCall.path
}

func (s *Server) streamCalls() {
	op := streamCall.operation()
	op.Middlewares = huma.Middlewares{s.admit(streamCall)}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events whose data is a BalanceEvent.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: schemaOf[api.BalanceEvent](s)}},
	}}
	huma.Register(s.api, op, func(ctx context.Context, p *WorkspacePath) (*huma.StreamResponse, error) {
		r, err := s.enter(ctx, streamCall, p)
		if err == nil {
			err = s.takeStream()
		}
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			defer s.releaseStream()
			request, w := humago.Unwrap(hctx)
			ctx, cancel := s.whileAllowed(r.ctx, request, streamCall, p)
			defer cancel()
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-store")
			noDeadline(w)
			w.WriteHeader(http.StatusOK)
			out := &pipe{w: w, control: http.NewResponseController(w)}
			defer out.end()
			s.follow(ctx, r.id, out)
		}}, nil
	})
}

func (s *Server) takeStream() error {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return fault.New(fault.Limited, "there are %d streams open, and no more fit; try again", maxStreams)
	}
	s.metrics.streams.Inc()
	return nil
}

func (s *Server) releaseStream() {
	s.streams.Add(-1)
	s.metrics.streams.Dec()
}

// pipe writes to a reader that may be slow or gone.
type pipe struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *pipe) Write(b []byte) (int, error) {
	p.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := p.w.Write(b)
	if err == nil {
		err = p.control.Flush()
	}
	return n, err
}

// end lifts the deadline: the connection may carry other answers.
func (p *pipe) end() { p.control.SetWriteDeadline(time.Time{}) }

// follow sends the balance now and at every change, until the reader, the right to
// read or the server goes. Changes that come faster than the pace are sent as one.
func (s *Server) follow(ctx context.Context, id ledger.ID, out io.Writer) {
	changes, cancel := s.ledger.Watch(id)
	defer cancel()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		moved := s.clockMoved() // before the balance is read: nothing is missed in between
		if err := s.sendBalance(ctx, id, out); err != nil {
			return
		}
		if !s.waitForChange(ctx, changes, moved, beat.C, out) {
			return
		}
	}
}

// clockMoved is closed when a test clock is advanced; a real clock has none.
func (s *Server) clockMoved() <-chan struct{} {
	if clock, ok := s.db.Clock().(*db.TestClock); ok {
		return clock.Changed()
	}
	return nil
}

// waitForChange returns true when there is something new to send.
func (s *Server) waitForChange(ctx context.Context, changes, moved <-chan struct{}, beat <-chan time.Time, out io.Writer) bool {
	for {
		select {
		case <-changes:
			return s.pause(ctx)
		case <-moved:
			return s.pause(ctx)
		case <-beat:
			if _, err := io.WriteString(out, ": still here\n\n"); err != nil {
				return false
			}
		case <-ctx.Done():
			return false
		case <-s.closed:
			return false
		}
	}
}

func (s *Server) pause(ctx context.Context) bool {
	select {
	case <-time.After(streamPace):
		return true
	case <-ctx.Done():
	case <-s.closed:
	}
	return false
}

func (s *Server) sendBalance(ctx context.Context, id ledger.ID, out io.Writer) error {
	snapshot, err := s.ledger.Snapshot(ctx, id)
	if err != nil {
		return err
	}
	data, err := json.Marshal(s.balanceEvent(id, snapshot))
	if err != nil {
		return fmt.Errorf("encode a balance: %w", err)
	}
	var event bytes.Buffer
	fmt.Fprintf(&event, "id: %d\ndata: %s\n\n", snapshot.Version, data)
	_, err = out.Write(event.Bytes())
	return err
}

func (s *Server) balanceEvent(id ledger.ID, snapshot ledger.Snapshot) api.BalanceEvent {
	at := s.instant(snapshot.View)
	return api.BalanceEvent{
		Balance: balanceOnWire(id, snapshot, at), Classes: classesOnWire(snapshot.View.Classes(at)),
		NextAt: api.AtOrNull(nextOf(snapshot.View, at)), Clock: s.clockKind(),
	}
}

// nextOf is when something but the passing of time changes the balance, as far
// as the wallet itself knows: work runs out, or a lot comes or goes.
func nextOf(v *wallet.View, now int64) int64 {
	var next int64
	consider := func(at int64) {
		if at > now && (next == 0 || at < next) {
			next = at
		}
	}
	p := v.Projection()
	consider(p.LandingAt)
	consider(p.EmptyAt)
	for _, l := range v.Lots(now) {
		if !l.Expired {
			consider(l.EffectiveAt)
			consider(l.ExpiresAt)
		}
	}
	return next
}
