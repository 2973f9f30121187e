package webhook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/outward"
)

// The document says of each type, and of no other, when it comes and what it carries; types
// stand in the order of the alphabet.
func TestTheDocumentHasEachType(t *testing.T) {
	text, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n## Types of events\n"))
	var said []string
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") && len(cells) == 3 && strings.Contains(cells[2], "`{") {
			for kind := range strings.SplitSeq(strings.Trim(cells[0], "| "), ", ") {
				said = append(said, strings.Trim(kind, "`"))
			}
		}
	}
	slices.Sort(said)
	if want := append(Types(), test); !slices.Equal(said, want) {
		t.Errorf("the document says %q, there are %q", said, want)
	}
	if !slices.IsSorted(Types()) {
		t.Errorf("%q", Types())
	}
}

// An event goes to whom it concerns, signed, and what became of it is noted.
func TestAnEventIsTold(t *testing.T) {
	s := newStage(t)
	r := s.receiver(func(_ int, w http.ResponseWriter, _ *http.Request) { w.Write([]byte("thank you")) })
	w, secret := s.hook(r.url, "balance.*", "lot.granted")
	_, other := s.hook(r.url+"/other", "payment.*")
	s.raise("balance.alert", map[string]any{"percent": "40", "note": "a < b"})
	s.raise("flow.ended", nil)
	s.deliver()
	all := r.requests()
	if len(all) != 1 {
		t.Fatalf("%d requests", len(all))
	}
	if q := all[0]; !q.isSigned(secret) || q.isSigned(other) || !strings.HasPrefix(q.id, "msg_") || q.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", q)
	}
	var body struct {
		Type, Timestamp string
		Data            map[string]string
	}
	if err := json.Unmarshal([]byte(all[0].body), &body); err != nil {
		t.Fatal(err)
	}
	if body.Type != "balance.alert" || body.Timestamp != "2027-01-15T08:00:00Z" || body.Data["percent"] != "40" || body.Data["workspace"] != "ws_acme" || body.Data["note"] != "a < b" {
		t.Errorf("%+v", body)
	}
	told := s.told(w)
	if len(told) != 1 || told[0].Status != Delivered || told[0].Code != 200 || told[0].Answer != "thank you" || told[0].Attempts != 1 || told[0].EndedAt != start {
		t.Errorf("%+v", told)
	}
	s.pass(time.Hour)
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d requests after an hour", n)
	}
}

// What is not taken is tried at the instants that are documented, for three days; then
// the endpoint is given up, its owners are told once, and what it missed can be had again.
func TestRetriesGoOnForThreeDays(t *testing.T) {
	s := newStage(t)
	isBack := false
	r := s.receiver(func(_ int, w http.ResponseWriter, _ *http.Request) {
		if !isBack {
			http.Error(w, "out of order", http.StatusInternalServerError)
		}
	})
	w, secret := s.hook(r.url)
	s.raise("lot.granted", map[string]any{"amount": "5"})
	s.deliver()
	s.pass(90 * time.Hour)
	all := r.requests()
	documented := []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 16 * time.Hour, 24 * time.Hour,
	}
	if len(all) != len(documented)+1 {
		t.Fatalf("%d attempts", len(all))
	}
	for i, pause := range documented {
		if is := time.Duration(all[i+1].at - all[i].at); is > pause || is < pause*9/10 {
			t.Errorf("attempt %d comes %s after the one before, not up to %s", i+2, is, pause)
		}
		if q := all[i+1]; q.id != all[0].id || q.body != all[0].body || !q.isSigned(secret) {
			t.Errorf("attempt %d: %+v", i+2, q)
		}
	}
	if d := s.told(w)[0]; d.Status != Failed || d.Code != 500 || d.Answer != "out of order\n" || d.Attempts != 10 {
		t.Errorf("%+v", d)
	}
	if len(s.givenUp) != 1 || s.givenUp[0] != w.ID+" "+givenUp {
		t.Fatalf("given up: %q", s.givenUp)
	}
	s.raise("lot.granted", map[string]any{"amount": "6"}) // nobody listens
	s.again(w, all[0].id)
	isBack = true
	s.deliver()
	if d := s.told(w); len(d) != 1 || d[0].Status != Delivered || d[0].Attempts != 1 || d[0].ID != all[0].id {
		t.Errorf("%+v", d)
	}
	if n := len(r.requests()); n != 11 {
		t.Errorf("%d requests", n)
	}
}

// again enables an endpoint that was given up, and asks for a delivery again.
func (s *stage) again(w Webhook, id string) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		now, err := s.Find(tx, w.Organization, w.ID)
		if err != nil {
			return err
		}
		if _, err := s.Replay(tx, now, id); !fault.Is(err, fault.Conflict) {
			s.Errorf("a replay to a disabled endpoint: %v", err)
		}
		isOn := true
		if now, err = s.Change(tx, now, Change{Enabled: &isOn}); err != nil {
			return err
		}
		_, err = s.Replay(tx, now, id)
		return err
	})
}

// An endpoint that fails at first, drops connections, or leads elsewhere is asked again,
// with the same id; one that has taken an event although its answer was lost hears it twice.
func TestAnEndpointThatFailsAtFirst(t *testing.T) {
	s := newStage(t)
	r := s.receiver(func(n int, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			http.Error(w, "", http.StatusBadGateway)
		case 2:
			panic(http.ErrAbortHandler) // taken, and no answer
		case 3:
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	})
	w, _ := s.hook(r.url)
	s.raise("payment.failed", nil)
	s.deliver()
	for _, want := range []struct {
		after time.Duration
		code  int64
	}{{5 * time.Second, 0}, {5 * time.Minute, 307}, {30 * time.Minute, 200}} {
		s.pass(want.after)
		if d := s.told(w)[0]; d.Code != want.code {
			t.Errorf("after %s: %+v", want.after, d)
		}
	}
	all := r.requests()
	for _, q := range all {
		if q.id != all[0].id {
			t.Errorf("another id: %+v", q)
		}
	}
	if d := s.told(w)[0]; len(all) != 4 || d.Status != Delivered || d.Attempts != 4 {
		t.Errorf("%d requests, %+v", len(all), d)
	}
}

// One that says it is gone is given up at once.
func TestGone(t *testing.T) {
	s := newStage(t)
	r := s.receiver(func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	w, _ := s.hook(r.url)
	s.raise("lot.expired", nil)
	s.deliver()
	s.pass(100 * time.Hour)
	if d := s.told(w)[0]; d.Status != Failed || d.Attempts != 1 || len(r.requests()) != 1 || len(s.givenUp) != 1 || s.givenUp[0] != w.ID+" "+gone {
		t.Errorf("%+v, given up: %q", d, s.givenUp)
	}
}

// An answer without end is cut: its status says enough.
func TestAnAnswerWithoutEnd(t *testing.T) {
	s := newStage(t)
	r := s.receiver(func(_ int, w http.ResponseWriter, r *http.Request) {
		for line := []byte(strings.Repeat("x", 999) + "\x00"); ; {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	})
	w, _ := s.hook(r.url)
	s.raise("lot.expired", nil)
	s.deliver()
	if d := s.told(w)[0]; d.Status != Delivered || d.Answer != strings.Repeat("x", 999)+"�" {
		t.Errorf("%s, %d bytes of the answer", d.Status, len(d.Answer))
	}
}

// Both secrets sign while one takes the place of the other, and then the new one alone.
func TestASecretIsRotated(t *testing.T) {
	s := newStage(t)
	r := s.receiver(nil)
	w, first := s.hook(r.url)
	var second, third string
	rotate := func(overlap int64) (secret string) {
		s.update(func(tx *db.Tx) (err error) {
			w, secret, err = s.Rotate(tx, w, overlap)
			return err
		})
		return secret
	}
	expect := func(when string, isSigned ...bool) {
		s.raise("lot.granted", nil)
		s.deliver()
		all := r.requests()
		for i, secret := range []string{first, second, third} {
			if is := secret != "" && all[len(all)-1].isSigned(secret); is != isSigned[i] {
				t.Errorf("%s: signed with secret %d: %v", when, i+1, is)
			}
		}
	}
	expect("at first", true, false, false)
	second = rotate(Overlap)
	expect("in the overlap", true, true, false)
	s.pass(24*time.Hour - 1)
	expect("at its end", true, true, false)
	s.pass(1)
	expect("after it", false, true, false)
	third = rotate(0)
	expect("without overlap", false, false, true)
}

// A name that leads into this machine's own network is not followed, and neither an
// address nor one without encryption taken, unless the operator allows it.
func TestNoWayInside(t *testing.T) {
	s := newStage(t)
	r := s.receiver(nil)
	s.Hooks = s.server(s.DB, outward.Rules{})
	w, _ := s.hook(strings.Replace(r.url, "http://127.0.0.1", "https://localhost", 1))
	s.raise("lot.granted", nil)
	s.deliver()
	if d := s.told(w)[0]; d.Status != Waiting || d.Code != 0 || !strings.Contains(d.Result, "its own network") || len(r.requests()) != 0 {
		t.Errorf("%+v", d)
	}
	for _, url := range []string{r.url, "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1/", "http://example.org/", "https://ann:secret@example.org/", "nonsense"} {
		err := s.DB.Update(t.Context(), func(tx *db.Tx) error {
			_, _, err := s.Create(tx, Webhook{Organization: "org_acme", URL: url, Format: Standard})
			return err
		})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
