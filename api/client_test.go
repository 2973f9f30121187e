package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve answers a client with handler, over a unix socket.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	server.Start()
	t.Cleanup(server.Close)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{URL: "http://purser", Token: "secret", HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// A POST that meets a dead connection, then an overloaded server, then an
// answer that is cut short, is sent again with the same key.
func TestPostsAreRepeatedWithTheSameKey(t *testing.T) {
	var keys, bodies []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(body))
		switch len(keys) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"id":"lot_`)
		default:
			io.WriteString(w, `{"id":"lot_1","amount":"100"}`)
		}
	})
	lot, err := c.Grant(t.Context(), "acme", NewGrant{Amount: "100", Kind: "purchased"})
	if err != nil || lot.ID != "lot_1" {
		t.Fatalf("got %+v, %v", lot, err)
	}
	for i := range keys {
		if keys[i] == "" || keys[i] != keys[0] || bodies[i] != `{"amount":"100","kind":"purchased"}` {
			t.Errorf("attempt %d had the key %q and the body %s", i, keys[i], bodies[i])
		}
	}
}

func TestTheKeyOfTheCallerIsUsed(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(Lot{ID: r.Header.Get("Idempotency-Key")})
	})
	lot, err := c.FreezeLot(WithKey(t.Context(), "mine"), "acme", "lot_1")
	if err != nil || lot.ID != "mine" {
		t.Fatalf("got %+v, %v", lot, err)
	}
	// A PUT has one too: sent again after a lost answer, it makes no second version.
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(RateCard{Name: r.Header.Get("Idempotency-Key")})
	})
	if card, err := c.PutRateCard(t.Context(), "default", NewRateCard{}); err != nil || card.Name == "" {
		t.Fatalf("got %+v, %v", card, err)
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	calls := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusPaymentRequired)
		io.WriteString(w, `{"title":"Payment Required","status":402,"code":"insufficient_credits","detail":"too little","available":"1","required":"19.12","runway_seconds":188}`)
	})
	_, err := c.CreateHold(t.Context(), "acme", NewHold{Amount: "5", TTLSeconds: 10})
	var p *Problem
	if !errors.As(err, &p) || p.Code != "insufficient_credits" || p.Required != "19.12" || *p.RunwaySeconds != 188 || calls != 1 {
		t.Fatalf("%d calls gave %#v", calls, err)
	}
}

func TestRetryAfterIsKept(t *testing.T) {
	var times []time.Time
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if times = append(times, time.Now()); len(times) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		io.WriteString(w, `{}`)
	})
	if _, err := c.Balance(t.Context(), "acme"); err != nil || times[1].Sub(times[0]) < time.Second {
		t.Fatalf("%v after %v", err, times[1].Sub(times[0]))
	}
	times, c.Patience = nil, 500*time.Millisecond
	var p *Problem
	if _, err := c.Balance(t.Context(), "acme"); !errors.As(err, &p) || p.Status != http.StatusTooManyRequests {
		t.Fatalf("without patience: %v", err)
	}
}

func TestNoServerIsUnreachable(t *testing.T) {
	c := &Client{URL: "http://127.0.0.1:1", Patience: -1}
	var gone *Unreachable
	if _, err := c.Whoami(t.Context(), WhoamiQuery{}); !errors.As(err, &gone) {
		t.Fatalf("got %v", err)
	}
}

func TestAllGoesThroughThePages(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		next := "2"
		page := List[Event]{Items: []Event{{ID: "a" + r.URL.Query().Get("cursor")}, {ID: "b"}}, NextCursor: &next}
		if r.URL.Query().Get("cursor") == "2" {
			page.NextCursor = nil
		}
		if r.URL.Query().Get("kind") != "flow.*" || r.URL.Query().Get("limit") != "2" {
			t.Errorf("asked for %s", r.URL.RawQuery)
		}
		json.NewEncoder(w).Encode(page)
	})
	q := EventQuery{Kind: "flow.*"}
	var ids []string
	for e, err := range All(Page{Limit: 2}, func(p Page) (List[Event], error) { q.Page = p; return c.Events(t.Context(), "acme", q) }) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	if got := strings.Join(ids, " "); got != "a b a2 b" {
		t.Fatalf("got %s", got)
	}
}

// A stream hands over every event, says when the connection was lost, and goes
// on when asked to.
func TestStreamConnectsAgain(t *testing.T) {
	connections := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		connections++
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, ": hello\n\nevent: balance\ndata: {\"balance\":\"%d\",\ndata: \"version\":1}\n\n", connections)
	})
	var seen []string
	for e, err := range c.Stream(t.Context(), "acme") {
		if err != nil {
			seen = append(seen, "lost")
			continue
		}
		if seen = append(seen, string(e.Balance.Balance)); connections == 2 {
			break
		}
	}
	if got := strings.Join(seen, " "); got != "1 lost 2" {
		t.Fatalf("got %s", got)
	}
}

// A log that is followed over two lost connections has every byte once.
func TestLogsAreFollowedWithoutGaps(t *testing.T) {
	const log = "one\ntwo\nthree\nfour\n"
	ended, parts := false, 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/logs") {
			ended = true
			json.NewEncoder(w).Encode(Job{Status: "succeeded"})
			return
		}
		var offset int
		fmt.Sscan(r.URL.Query().Get("offset"), &offset)
		w.Header().Set(LogOffset, fmt.Sprint(offset))
		if parts++; parts < 3 {
			io.WriteString(w, log[offset:offset+5])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		if !ended {
			io.WriteString(w, log[offset:len(log)-2])
			return
		}
		io.WriteString(w, log[offset:])
	})
	var out strings.Builder
	if err := c.CopyLogs(t.Context(), "acme", "job_1", LogQuery{Follow: true}, &out); err != nil || out.String() != log {
		t.Fatalf("got %q, %v", out.String(), err)
	}
}

// A problem is written as it was answered: a 402 with its runway, even if that is
// null, any other without.
func TestAProblemIsWrittenAsItWasAnswered(t *testing.T) {
	for _, text := range []string{
		`{"type":"/docs#problem-x","title":"","status":402,"detail":"a < b","code":"x","request_id":"r","balance":"1","runway_seconds":null}`,
		`{"type":"/docs#problem-x","title":"","status":402,"detail":"","code":"x","request_id":"r","runway_seconds":7}`,
		`{"type":"/docs#problem-x","title":"","status":422,"detail":"","code":"x","request_id":"r"}`,
	} {
		var p Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(&p); err != nil || strings.TrimSpace(out.String()) != text {
			t.Errorf("%s became %s %v", text, out.String(), err)
		}
	}
}
