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

// crowd is an endpoint with 200,000 deliveries beside one with few.
type crowd struct {
	*stage
	crowded, small Webhook
}

// more is how many are more than are kept, and few is how many there are where there are few.
const more, few = 1_500, 1_600

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	s := &crowd{stage: newStage(t)}
	s.crowded, _ = s.hook("http://127.0.0.1:1/crowded")
	s.small, _ = s.hook("http://127.0.0.1:1/small")
	const id = 1_000_000_000
	s.fill(s.crowded, Failed, id, maxKept+more)
	s.fill(s.crowded, Waiting, 2*id, maxKept+more)
	s.fill(s.small, Failed, id, few)
	s.fill(s.small, Waiting, 2*id, few)
	s.update(func(tx *db.Tx) error { _, err := tx.Exec(`ANALYZE`); return err })
	return s
}

// costsTheSame fails if something takes much longer where there are many than where there
// are few.
func (s *crowd) costsTheSame(what string, times int, least time.Duration, fn func(w Webhook)) {
	s.Helper()
	small, crowded := quickest(times, func() { fn(s.small) }), quickest(times, func() { fn(s.crowded) })
	if s.Logf("%s: %s, %s", what, small, crowded); crowded > 8*max(small, least) {
		s.Errorf("%s takes %s where there are few, and %s of %d", what, small, crowded, 2*maxKept)
	}
}

func (s *crowd) view(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.DB.View(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

// With 200,000 deliveries, nearly all of them of one endpoint, every page of the log, every
// claim, and what an attempt that was the last looks for cost as where there are few.
func TestACrowdedEndpoint(t *testing.T) {
	s := newCrowd(t)
	for status, size := range map[string]int{"": 50, Failed: 50, Waiting: 50, Delivered: 0} {
		s.costsTheSame("a page of "+status, 5, time.Millisecond, func(w Webhook) {
			s.view(func(tx *db.Tx) error {
				all, err := s.Deliveries(tx, w, status, "", 50)
				if len(all) != size {
					t.Errorf("a page of %d %s", len(all), status)
				}
				return err
			})
		})
	}
	s.costsTheSame("whether it has taken anything", 5, time.Millisecond, func(w Webhook) {
		s.view(func(tx *db.Tx) error {
			isTaken, err := s.tookSince(tx, claim{Delivery: Delivery{Organization: w.Organization, Webhook: w.ID, CreatedAt: start}})
			if isTaken {
				t.Error("it has taken something")
			}
			return err
		})
	})
	s.costsTheSame("a claim", 5, time.Millisecond, func(w Webhook) {
		s.update(func(tx *db.Tx) error {
			taken, err := s.claimOf(tx, address{w.Organization, w.ID}, 8)
			if len(taken) != 8 {
				t.Errorf("%d are taken", len(taken))
			}
			return err
		})
	})
}

// What a sweep has the writer do with some deliveries of a crowded endpoint costs as with
// as many of another one; it leaves as many as are kept, and those of the other.
func TestACrowdedEndpointIsSwept(t *testing.T) {
	s := newCrowd(t)
	for what, sweep := range map[string]swept{"some of what ended": crowdedEnded, "some of what waits": crowdedWaiting} {
		s.costsTheSame(what, 1, 10*time.Millisecond, func(w Webhook) {
			var first, last string
			s.view(func(tx *db.Tx) error {
				found, err := db.All(tx, func(r db.Scanner) (id string, err error) { err = r.Scan(&id); return id, err },
					sweep.find, w.Organization, w.ID, "msg_~", 500)
				first, last = found[0], found[len(found)-1]
				return err
			})
			s.update(func(tx *db.Tx) error { _, err := tx.Exec(sweep.change, w.Organization, w.ID, first, last); return err })
		})
	}
	for range 2 { // what was too much of what waits has ended then
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if waiting, ended := s.count(s.crowded, Waiting), s.count(s.crowded, Failed); waiting != maxKept || ended != maxKept {
		t.Errorf("in the end %d wait and %d have ended", waiting, ended)
	}
	if waiting, ended := s.count(s.small, Waiting), s.count(s.small, Failed); waiting != few-500 || ended != few {
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
