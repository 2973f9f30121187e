package stripe

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/pay"
)

// thing is an object at Stripe.
type thing = map[string]any

// bank stands in for Stripe where stripe-mock cannot: it remembers. Every request goes to
// stripe-mock first, and fails the test if that refuses it; what that answers is the shape
// that the bank's own answer has.
type bank struct {
	t    *testing.T
	mux  *http.ServeMux
	mu   sync.Mutex
	made int

	intents, sessions, refunds, customers map[string]thing
	cards                                 map[string]string // method → what becomes of a payment with it
	keys                                  map[string]kept
	moved                                 map[string]int // payment → how often money was taken
	seen                                  []string       // METHOD route
	isBehind                              bool           // the index of the search

	fail func(n int, r *http.Request) int  // status to fail the n-th request with, before anything is done
	lose func(n int, r *http.Request) bool // whether the answer to the n-th request is lost
}

// kept is an answer under its idempotency key.
type kept struct {
	request string
	status  int
	body    []byte
}

// refused is an error as Stripe tells it.
type refused struct {
	status                       int
	kind, code, decline, message string
	intent                       thing
}

func newBank(t *testing.T) (*bank, string) {
	b := &bank{
		t: t, mux: http.NewServeMux(), keys: map[string]kept{}, moved: map[string]int{},
		intents: map[string]thing{}, sessions: map[string]thing{}, refunds: map[string]thing{}, customers: map[string]thing{},
		cards: map[string]string{"pm_good": "good", "pm_poor": "insufficient_funds", "pm_stolen": "stolen_card", "pm_3ds": "3ds"},
	}
	b.routes()
	if err := official.start(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(b)
	server.Listener.Close()
	server.Listener = listen(t)
	server.Start()
	t.Cleanup(server.Close)
	return b, server.URL
}

func (b *bank) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Errorf("read a request: %v", err)
		return
	}
	if r.Header.Get("X-Stripe-Client-Telemetry") != "" {
		b.t.Error("telemetry is sent")
	}
	status, shape, err := judge(r, body)
	if err != nil || status != http.StatusOK {
		b.t.Errorf("stripe-mock refuses %s %s %s: %d %s %v", r.Method, r.URL, body, status, shape, err)
	}
	_, route := b.mux.Handler(r)
	b.seen = append(b.seen, route)
	n := len(b.seen)
	if b.fail != nil {
		if status := b.fail(n, r); status != 0 {
			answer(w, status, failure(refused{status: status, kind: "api_error", message: "secret sk_test_123"}))
			return
		}
	}
	status, out := b.once(r, body, shape)
	if b.lose != nil && b.lose(n, r) {
		panic(http.ErrAbortHandler)
	}
	answer(w, status, out)
}

// cut loses every request from the n-th on, before or after it is done.
func (b *bank) cut(n int, isDone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail, b.lose = nil, nil
	if isDone {
		b.lose = func(now int, _ *http.Request) bool { return now >= n }
		return
	}
	b.fail = func(now int, _ *http.Request) int {
		if now >= n {
			return http.StatusServiceUnavailable
		}
		return 0
	}
}

// mend waits for what is still being done, whose asker has gone, and loses no more.
func (b *bank) mend() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail, b.lose = nil, nil
}

// later is what do gives when Stripe has forgotten all keys.
func (b *bank) later(do func() pay.Outcome) pay.Outcome {
	clear(b.keys)
	return do()
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_test")
	w.WriteHeader(status)
	w.Write(body)
}

// once answers as before what was asked before with its key.
func (b *bank) once(r *http.Request, body, shape []byte) (int, []byte) {
	key, request := r.Header.Get("Idempotency-Key"), r.URL.Path+"?"+string(body)
	if before, is := b.keys[key]; is && key != "" {
		if before.request != request {
			return 400, failure(refused{kind: "idempotency_error", message: "Keys for idempotent requests can only be used with the same parameters they were first used with."})
		}
		return before.status, before.body
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		b.t.Errorf("a form that cannot be read: %s", body)
	}
	r.Form = form
	for name, values := range r.URL.Query() {
		r.Form[name] = values
	}
	out := &recorder{shape: thing{}}
	json.Unmarshal(shape, &out.shape)
	b.mux.ServeHTTP(out, r)
	if r.Method == http.MethodPost && key != "" {
		b.keys[key] = kept{request, out.status, out.body}
	}
	return out.status, out.body
}

// recorder gives a route the shape of its answer, and takes the answer.
type recorder struct {
	shape  thing
	status int
	body   []byte
}

func (*recorder) Header() http.Header           { return http.Header{} }
func (o *recorder) WriteHeader(status int)      { o.status = status }
func (o *recorder) Write(b []byte) (int, error) { o.body = append(o.body, b...); return len(b), nil }

func failure(e refused) []byte {
	error := thing{"type": e.kind, "message": e.message}
	for name, value := range map[string]string{"code": e.code, "decline_code": e.decline} {
		if value != "" {
			error[name] = value
		}
	}
	if e.intent != nil {
		error["payment_intent"] = e.intent
	}
	text, _ := json.Marshal(thing{"error": error})
	return text
}

// route answers a request with an object, or refuses it.
func (b *bank) route(pattern string, do func(r *http.Request, shape thing) (thing, *refused)) {
	b.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		out := w.(*recorder)
		got, no := do(r, out.shape)
		if no != nil {
			out.WriteHeader(no.status)
			out.Write(failure(*no))
			return
		}
		text, err := json.Marshal(got)
		if err != nil {
			b.t.Errorf("answer %s: %v", pattern, err)
		}
		out.WriteHeader(200)
		out.Write(text)
	})
}

func (b *bank) id(prefix string) string {
	b.made++
	return fmt.Sprintf("%s_%d", prefix, b.made)
}

// with is the shape with other values in it.
func with(shape, values thing) thing {
	all := maps.Clone(shape)
	maps.Copy(all, values)
	return all
}

// metadata reads prefix[metadata][name] of a form, over what was there.
func metadata(form url.Values, prefix string, before any) thing {
	all := thing{}
	if m, is := before.(thing); is {
		maps.Copy(all, m)
	}
	for name := range form {
		if inner, is := strings.CutPrefix(name, prefix+"["); is {
			all[strings.TrimSuffix(inner, "]")] = form.Get(name)
		}
	}
	return all
}

func list(all map[string]thing, isWanted func(thing) bool) thing {
	data := []thing{}
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(all))) {
		if isWanted(all[id]) {
			data = append(data, all[id])
		}
	}
	return thing{"object": "list", "has_more": false, "data": data, "url": "/v1/list"}
}

var missing = &refused{status: 404, kind: "invalid_request_error", code: "resource_missing", message: "No such object"}
