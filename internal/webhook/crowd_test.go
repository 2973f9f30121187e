package webhook

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
)

// fill gives an endpoint deliveries of a status, numbered on from one.
func (s *stage) fill(w Webhook, status string, from, n int64) {
	s.Helper()
	ended := start
	if status == Waiting {
		ended = 0
	}
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO deliveries (organization, webhook, id, type, body, status, attempts, code, answer, result, duration, created_at, due_at, ended_at)
			WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2)
			SELECT CAST($3 AS TEXT), CAST($4 AS TEXT), 'msg_' || CAST(i AS TEXT), 'lot.granted', '{}', CAST($5 AS TEXT), 1, 200, '', '', 0,
				CAST($6 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS BIGINT) FROM n`, from, from+n-1, w.Organization, w.ID, status, start, ended)
		return err
	})
}

func (s *stage) count(w Webhook, status string) (n int) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM deliveries WHERE organization = $1 AND webhook = $2 AND status = $3`, w.Organization, w.ID, status).Scan(&n)
	})
	return n
}

// quickest is how long something takes at best.
func quickest(times int, fn func()) time.Duration {
	best := time.Hour
	for range times {
		began := time.Now()
		fn()
		best = min(best, time.Since(began))
	}
	return best
}

// With 200,000 deliveries, nearly all of them of one endpoint, every page of the log, every
// claim, what an attempt that was the last looks for, and what a sweep has the writer do cost
// as where there are few; the sweep leaves as many as are kept.
func TestACrowdedEndpoint(t *testing.T) {
	s := newStage(t)
	crowded, _ := s.hook("http://127.0.0.1:1/crowded")
	small, _ := s.hook("http://127.0.0.1:1/small")
	const more, id = 1_500, 1_000_000_000
	s.fill(crowded, Failed, id, maxKept+more)
	s.fill(crowded, Waiting, 2*id, maxKept+more)
	s.fill(small, Failed, id, 1_600)
	s.fill(small, Waiting, 2*id, 1_600)
	s.update(func(tx *db.Tx) error { _, err := tx.Exec(`ANALYZE`); return err })
	most := func(what string, few, many time.Duration) {
		if many > 8*few+2*time.Millisecond {
			t.Errorf("%s takes %s where there are few, and %s of %d", what, few, many, 2*maxKept)
		}
		t.Logf("%s: %s, %s", what, few, many)
	}
	view := func(fn func(tx *db.Tx) error) {
		if err := s.DB.View(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	for what, fn := range map[string]func(tx *db.Tx, w Webhook) error{
		"a page": func(tx *db.Tx, w Webhook) error { _, err := s.Deliveries(tx, w, "", "", 50); return err },
		"a page of what failed": func(tx *db.Tx, w Webhook) error { // behind all that waits
			all, err := s.Deliveries(tx, w, Failed, "", 50)
			if len(all) != 50 {
				t.Errorf("a page of %d", len(all))
			}
			return err
		},
		"a page of what was delivered": func(tx *db.Tx, w Webhook) error { _, err := s.Deliveries(tx, w, Delivered, "", 50); return err },
		"whether it has taken anything": func(tx *db.Tx, w Webhook) error {
			isTaken, err := s.tookSince(tx, claim{Delivery: Delivery{Organization: w.Organization, Webhook: w.ID, CreatedAt: start}})
			if isTaken {
				t.Error("it has taken something")
			}
			return err
		},
	} {
		measure := func(w Webhook) time.Duration {
			return quickest(5, func() { view(func(tx *db.Tx) error { return fn(tx, w) }) })
		}
		most(what, measure(small), measure(crowded))
	}
	claims := func(w Webhook) time.Duration {
		return quickest(5, func() {
			s.update(func(tx *db.Tx) error {
				taken, err := s.claimOf(tx, address{w.Organization, w.ID}, 8)
				if len(taken) != 8 {
					t.Errorf("%d are taken", len(taken))
				}
				return err
			})
		})
	}
	most("a claim", claims(small), claims(crowded))
	for what, sweep := range map[string]swept{"a batch of what ended": crowdedEnded, "a batch of what waits": crowdedWaiting} {
		took := map[string]time.Duration{}
		for _, w := range []Webhook{small, crowded} {
			var first, last string
			view(func(tx *db.Tx) error {
				found, err := db.All(tx, func(r db.Scanner) (id string, err error) { err = r.Scan(&id); return id, err },
					sweep.find, w.Organization, w.ID, "msg_~", 500)
				first, last = found[0], found[len(found)-1]
				return err
			})
			took[w.ID] = quickest(1, func() {
				s.update(func(tx *db.Tx) error { _, err := tx.Exec(sweep.change, w.Organization, w.ID, first, last); return err })
			})
		}
		most(what, took[small.ID]+5*time.Millisecond, took[crowded.ID])
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if waiting, ended := s.count(crowded, Waiting), s.count(crowded, Failed); waiting != maxKept || ended < maxKept || ended > maxKept+more {
		t.Errorf("%d wait and %d have ended", waiting, ended)
	}
	if err := s.Sweep(t.Context()); err != nil { // what was too much is what ended now
		t.Fatal(err)
	}
	if waiting, ended := s.count(crowded, Waiting), s.count(crowded, Failed); waiting != maxKept || ended != maxKept {
		t.Errorf("in the end %d wait and %d have ended", waiting, ended)
	}
	if waiting, ended := s.count(small, Waiting), s.count(small, Failed); waiting != 1_100 || ended != 1_600 { // less the batches of above
		t.Errorf("where there are few %d wait and %d have ended", waiting, ended)
	}
}

// An endpoint that was removed is sent nothing more, and its deliveries go soon, though the
// hourly sweep is far.
func TestARemovedEndpoint(t *testing.T) {
	s := newStage(t)
	r := s.receiver(func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	removed, _ := s.hook(r.url + "/removed")
	kept, _ := s.hook(r.url + "/kept")
	for range 3 {
		s.raise("lot.granted", nil)
	}
	s.deliver()
	before := len(r.requests())
	s.update(func(tx *db.Tx) error { return s.Remove(tx, removed) })
	s.pass(time.Hour) // of retries
	if before != 6 || len(r.requests()) != before+3*3 {
		t.Errorf("%d requests before, %d after", before, len(r.requests())-before)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Hooks.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); len(s.told(removed)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries are left", len(s.told(removed)))
		}
	}
	stop()
	if err := <-ended; err != nil || len(s.told(kept)) != 3 {
		t.Errorf("%d deliveries of the other are left, %v", len(s.told(kept)), err)
	}
}
