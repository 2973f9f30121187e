package webhook

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/outward"
)

// A server that dies after it has sent and before it has noted that leaves the delivery to
// another one, which sends it once more, under the same id.
func TestAServerDiesAfterItHasSent(t *testing.T) {
	s := newStage(t)
	r := s.receiver(nil)
	w, secret := s.hook(r.url)
	s.raise("lot.granted", map[string]any{"amount": "5"})
	claims, err := s.claim(t.Context(), s.places.take([]address{{w.Organization, w.ID}}))
	if err != nil {
		t.Fatal(err)
	}
	mine := claims[address{w.Organization, w.ID}]
	if len(mine) != 1 {
		t.Fatalf("%d claims", len(mine))
	}
	if o := s.send(t.Context(), mine[0]); o.err != nil {
		t.Fatal(o.err)
	}
	s.Hooks = s.server(s.DB, outward.Rules{AllowsPrivate: true}) // the other one
	s.deliver()
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d requests while the first server may still live", n)
	}
	s.pass(time.Duration(claimed))
	all := r.requests()
	if len(all) != 2 || all[0].id != all[1].id || all[0].body != all[1].body || !all[1].isSigned(secret) {
		t.Fatalf("%+v", all)
	}
	if err := s.note(t.Context(), mine[0], outcome{code: 500, err: context.DeadlineExceeded}); err != nil {
		t.Fatal(err) // the first one comes back, and has nothing to say any more
	}
	if d := s.told(w)[0]; d.Status != Delivered || d.Attempts != 2 {
		t.Errorf("%+v", d)
	}
}

// Of 10,000 events those that go to an endpoint that never answers delay no others; two
// servers send each once; and the dead one is said to be so.
func TestADeadEndpointDelaysNoOther(t *testing.T) {
	const events = 10_000
	s := newStage(t)
	end, over := make(chan struct{}), make(chan struct{})
	dead := s.receiver(func(_ int, _ http.ResponseWriter, _ *http.Request) { <-end })
	t.Cleanup(func() { close(end) }) // before the receiver is closed, which waits for its requests
	alive := s.receiver(func(n int, _ http.ResponseWriter, _ *http.Request) {
		if n == events {
			close(over)
		}
	})
	silent, _ := s.hook(dead.url)
	s.hook(alive.url)
	for range events / 1_000 {
		s.update(func(tx *db.Tx) error {
			for range 1_000 {
				if err := s.Raise(tx, "org_acme", "", "lot.granted", tx.Now(), nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	other := s.server(s.DB, outward.Rules{AllowsPrivate: true})
	began := time.Now()
	done := make(chan error, 2)
	for _, h := range []*Hooks{s.Hooks, other} {
		go func() { done <- h.Run(ctx) }()
	}
	select {
	case <-over:
	case <-time.After(4 * time.Minute):
		t.Error("not all events arrived in four minutes")
	}
	t.Logf("%d events in %s beside an endpoint that never answers", len(alive.requests()), time.Since(began).Round(time.Millisecond))
	for range 100 { // until a first attempt has been given up, ten seconds after it began
		if s.told(silent)[0].Result != "" {
			break
		}
		<-time.After(200 * time.Millisecond)
	}
	stop()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	for _, q := range alive.requests() {
		if seen[q.id] {
			t.Errorf("%s came twice", q.id)
		}
		seen[q.id] = true
	}
	if d := s.told(silent)[0]; !strings.Contains(d.Result, "did not answer within") || d.Status != Waiting || len(seen) != events {
		t.Errorf("%d events; the dead endpoint: %+v", len(seen), d)
	}
	rounds := int(time.Since(began)/outward.Timeout) + 1 // after the first, one of each server at a time
	if n := len(dead.requests()); n > 2*maxToOne+2*maxToFailing*rounds {
		t.Errorf("the dead endpoint was asked %d times in %d rounds", n, rounds)
	}
}

// Endpoints take turns, whoever has much to be told.
func TestPlacesAreSharedOut(t *testing.T) {
	p := newPlaces()
	var due []address
	for range 100 {
		due = append(due, address{"org", string(rune('a' + len(due)))})
	}
	given := p.take(due)
	if len(given) != maxSends-maxFailingSends {
		t.Fatalf("%d places", len(given))
	}
	had := map[address]bool{}
	for _, at := range given {
		had[at.address] = true
	}
	for _, at := range given[:10] {
		p.free(at)
	}
	for _, at := range p.take(due) {
		if had[at.address] {
			t.Errorf("%s has a place again, and others had none", at.id)
		}
	}
	failing := []address{{"org", "first"}, {"org", "second"}}
	p.judge(failing[0], true)
	p.judge(failing[1], true)
	more := p.take(failing)
	if len(more) != 2 || !more[0].isWaste {
		t.Errorf("those that fail have %d places of their own", len(more))
	}
	if none := p.take(failing); len(none) != 0 {
		t.Errorf("and %d more", len(none))
	}
}

// What lies long in the past is forgotten, and what belongs to an endpoint that is gone.
func TestOldDeliveriesAreSwept(t *testing.T) {
	s := newStage(t)
	r := s.receiver(nil)
	kept, _ := s.hook(r.url)
	removed, _ := s.hook(r.url)
	s.raise("lot.granted", nil)
	s.deliver()
	s.update(func(tx *db.Tx) error { return s.Remove(tx, removed) })
	s.pass(time.Duration(keptEnded))
	s.raise("lot.granted", nil)
	s.deliver()
	for want := 2; want >= 1; want-- {
		if n := len(s.told(kept)); n != want {
			t.Errorf("%d are kept, not %d", n, want)
		}
		s.pass(1)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.told(removed)); n != 0 {
		t.Errorf("%d of an endpoint that was removed", n)
	}
}

// All since an instant, or what failed of it, is sent again under the same ids.
func TestReplay(t *testing.T) {
	s := newStage(t)
	r := s.receiver(func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 2 {
			w.WriteHeader(http.StatusGone)
		}
	})
	w, _ := s.hook(r.url)
	for range 3 {
		s.raise("lot.granted", nil)
		s.deliver()
		s.pass(time.Minute)
	}
	isOn := true
	for _, c := range []struct {
		since      int64
		onlyFailed bool
		want       int64
	}{{start, true, 1}, {start + int64(time.Minute), false, 1}, {start, false, 2}} {
		s.update(func(tx *db.Tx) (err error) {
			if w, err = s.Change(tx, w, Change{Enabled: &isOn}); err != nil {
				return err
			}
			n, err := s.ReplaySince(tx, w, c.since, c.onlyFailed)
			if n != c.want {
				t.Errorf("%d are sent again, not %d", n, c.want)
			}
			return err
		})
		s.deliver()
	}
	ids := map[string]int{}
	for _, q := range r.requests() {
		ids[q.id]++
	}
	if all := s.told(w); len(all) != 2 || ids[all[0].ID] != 2 || ids[all[1].ID] != 4 {
		t.Errorf("%v for %d deliveries", ids, len(all))
	}
}
