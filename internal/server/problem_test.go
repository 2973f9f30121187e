package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

func bare() (*Server, *bytes.Buffer) {
	var log bytes.Buffer
	return &Server{log: slog.New(slog.NewJSONHandler(&log, nil)), metrics: NewMetrics(), topUpURL: "http://x/top-up"}, &log
}

func TestEveryKindHasItsStatus(t *testing.T) {
	want := map[fault.Kind]int{
		fault.Insufficient: 402, fault.Conflict: 409, fault.NotFound: 404, fault.Invalid: 422, fault.Unauthorized: 401,
		fault.Forbidden: 403, fault.Limited: 429, fault.Unavailable: 503, fault.Internal: 500, "from the future": 500,
	}
	s, _ := bare()
	for kind, status := range want {
		w := httptest.NewRecorder()
		s.writeFault(w, httptest.NewRequest("GET", "/", nil), fmt.Errorf("doing it: %w", fault.New(kind, "no")))
		if w.Code != status {
			t.Errorf("%s: %d, want %d", kind, w.Code, status)
		}
		if (status == 503 || status == 429) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%s: Retry-After %q", kind, w.Header().Get("Retry-After"))
		}
	}
}

// What is not meant for the user stays in the log.
func TestInternalErrorsAreNotTold(t *testing.T) {
	s, log := bare()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), requestIDKey{}, "req_7"))
	s.writeFault(w, r, errors.New("disk sda1 at /secret is broken"))
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !strings.Contains(w.Body.String(), "req_7") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "/secret") || !strings.Contains(log.String(), "req_7") {
		t.Errorf("the log has %s", log)
	}
}

func TestAPanicIsAProblem(t *testing.T) {
	s, log := bare()
	h := s.edge(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != 500 || p.Code != "internal" || p.RequestID == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "problem_test.go") {
		t.Errorf("the log has no stack: %s", log)
	}
}

func TestADrainingServerIsNotReady(t *testing.T) {
	s, _ := bare()
	s.closed = make(chan struct{})
	s.Drain()
	s.Drain()
	w := httptest.NewRecorder()
	s.readyz(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 503 {
		t.Errorf("%d", w.Code)
	}
}

func TestNumbersKeepTheirNames(t *testing.T) {
	p := problemOf(fault.New(fault.Insufficient, "no").WithCode("budget_exceeded").With("balance", credit.One).
		With("shortfall", credit.Amount(1)).With("runway_seconds", int64(7)).With("budget_left", 2*credit.One).With("budget", "bdg_1"))
	if p.Balance != "1" || p.Shortfall != "0.000000001" || *p.RunwaySeconds != 7 || p.Values["budget_left"] != api.Amount("2") ||
		p.Values["budget"] != "bdg_1" || p.Type != problemType+"budget_exceeded" {
		t.Errorf("%+v", p)
	}
}

func TestPointersAreOfRFC6901(t *testing.T) {
	tree, err := parseTree([]byte(`{"a/b":[{"m~n":1}]}`))
	if err != nil || tree == nil {
		t.Fatal(err)
	}
	_, err = parseTree([]byte(`{"a/b":[{"m~n":1,"m~n":2}]}`))
	if f := fault.Of(err); f == nil || f.Fields[0].Pointer != "/a~1b/0/m~0n" {
		t.Errorf("%v", err)
	}
}

func FuzzABodyIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{`{"amount":"1","kind":"plan"}`, `{"items":[{"sku":"x","quantity":1e3}]}`, `[[[`, "\xff", `{"a":1,"a":2}`, `1 2`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := parseTree(body); err != nil && fault.Of(err) == nil {
			t.Errorf("not a fault: %v", err)
		}
		if _, err := parseTree(body); err == nil && !json.Valid(body) {
			t.Errorf("%q was taken for JSON", body)
		}
	})
}
