package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// wrong is a server that does something wrong, and what the auditor says of it.
type wrong struct {
	name    string
	between func(http.Handler) http.Handler
	forgets bool
	says    []string // any of it
}

var wrongs = []wrong{
	{"carries out some grants twice", everySome("/grants", twice), false, []string{"was never acknowledged so"}},
	{"carries out some holds twice", everySome("/holds", twice), false, []string{"was never acknowledged"}},
	{"acknowledges a grant that it does not keep", everySome("/grants", dropped), false, []string{"was acknowledged and is not there", "with the same key now"}},
	{"forgets keys", everySome("", keyless), false, []string{"with the same key now"}},
	{"forgets commits at a death", nil, true, []string{"with the same key now", "is not there", "was acknowledged before"}},
	{"counts more than was reported", everySome("/usage-events", dearer), false, []string{"is not what event", "and is rejected"}},
	{"answers a wrong balance", everySome("/balance", corrupted), false, []string{"does not add up", "changed the balance"}},
	{"changes something for a broken request", broken, false, []string{"is broken and changed the balance"}},
}

func TestTheAuditorFindsWhatIsWrong(t *testing.T) {
	for _, w := range wrongs {
		r, err := play(t, Config{Seed: 13, Steps: 1000, Between: w.between, forgets: w.forgets})
		var f *Failure
		if !errors.As(err, &f) || !slices.ContainsFunc(w.says, func(says string) bool { return strings.Contains(f.Error(), says) }) || !strings.Contains(f.Error(), "-seed 13") {
			t.Errorf("a server that %s: %v (%+v)", w.name, err, r)
			continue
		}
		t.Logf("a server that %s is found in step %d: %.200s", w.name, f.Step, f.Err)
	}
}

type handle = func(next http.Handler, w http.ResponseWriter, r *http.Request, body []byte)

// everySome has every third request whose path ends so treated wrongly.
func everySome(path string, treat handle) func(http.Handler) http.Handler {
	n := 0
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if strings.HasSuffix(r.URL.Path, path) {
				n++
				if n%3 == 0 {
					treat(next, w, r, body)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// twice carries a request out once more, with another key.
func twice(next http.Handler, w http.ResponseWriter, r *http.Request, body []byte) {
	next.ServeHTTP(w, r)
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	again.Header.Set("Idempotency-Key", "again-"+r.Header.Get("Idempotency-Key"))
	next.ServeHTTP(&reply{header: http.Header{}}, again)
}

// dropped acknowledges a grant without the server.
func dropped(next http.Handler, w http.ResponseWriter, r *http.Request, body []byte) {
	var n api.NewGrant
	if json.Unmarshal(body, &n) != nil || r.Method != http.MethodPost || n.Reason != "" || !strings.HasPrefix(r.Header.Get("Idempotency-Key"), "k") {
		next.ServeHTTP(w, r)
		return
	}
	if amount, err := n.Amount.Nano(); err != nil || amount <= 0 {
		next.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusCreated)
	text, _ := json.Marshal(api.Lot{ID: "lot_" + r.Header.Get("Idempotency-Key"), Amount: n.Amount, Kind: n.Kind})
	_, _ = w.Write(text)
}

// keyless forgets under which key a request came.
func keyless(next http.Handler, w http.ResponseWriter, r *http.Request, _ []byte) {
	r.Header.Del("Idempotency-Key")
	next.ServeHTTP(w, r)
}

// dearer reports more than the client did.
func dearer(next http.Handler, w http.ResponseWriter, r *http.Request, body []byte) {
	body = bytes.ReplaceAll(body, []byte(`"quantity":"`), []byte(`"quantity":"1`))
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	next.ServeHTTP(w, r)
}

// corrupted answers another amount.
func corrupted(next http.Handler, w http.ResponseWriter, r *http.Request, _ []byte) {
	out := &reply{header: w.Header()}
	next.ServeHTTP(out, r)
	w.WriteHeader(out.status)
	_, _ = w.Write(bytes.Replace(out.body.Bytes(), []byte(`"held":"`), []byte(`"held":"1`), 1))
}

// broken has a refused request leave something behind.
func broken(next http.Handler) http.Handler {
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &reply{header: w.Header()}
		next.ServeHTTP(out, r)
		w.WriteHeader(out.status)
		_, _ = w.Write(out.body.Bytes())
		if n++; out.status == 422 && strings.HasSuffix(r.URL.Path, "/grants") {
			grant, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, r.URL.String(), strings.NewReader(`{"amount":"1","kind":"plan"}`))
			grant.Header.Set("Authorization", r.Header.Get("Authorization"))
			grant.Header.Set("Idempotency-Key", "left-"+strconv.Itoa(n))
			next.ServeHTTP(&reply{header: http.Header{}}, grant)
		}
	})
}
