package server_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// figure is a number of the metrics page.
func (s *stage) figure(name string) int {
	s.Helper()
	for line := range strings.Lines(string(s.send("GET", "/metrics", "").body)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				s.Fatal(err)
			}
			return int(n)
		}
	}
	s.Fatalf("there is no %s", name)
	return 0
}

// Captures with a key each that share a batch are one trip, however many they are.
func TestABatchOfCapturesIsOneTrip(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite is no trip away; this runs with " + dbtest.Variable)
		return
	}
	const captures = 16 // few enough not to be parted
	p := newPaced(t, 64, 256)
	p.tenant("acme")
	round := func() int64 {
		var holds []string
		for range captures {
			p.done(func() error {
				h, err := p.CreateHold(p.Context(), "acme", api.NewHold{Amount: "0.01", TTLSeconds: 3600})
				holds = append(holds, h.ID)
				return err
			})
		}
		var all sync.WaitGroup
		held, release := make(chan struct{}), make(chan struct{})
		all.Go(func() {
			p.db.Update(t.Context(), func(*db.Tx) error { close(held); <-release; return nil })
		})
		<-held
		for _, id := range holds {
			all.Go(func() {
				if _, err := p.CaptureHold(p.Context(), "acme", id, api.Capture{Amount: "0.01"}); err != nil {
					t.Error(err)
				}
			})
		}
		p.await(captures)
		before := p.db.Stats()
		close(release)
		p.pass(2)
		all.Wait()
		after := p.db.Stats()
		if n := after.Commits - before.Commits; n != 2 { // that of the unit that held the writer
			t.Errorf("%d commits", n)
		}
		return after.Trips - before.Trips
	}
	round() // prepares the statements
	if n := round(); n != 1 {
		t.Errorf("a batch of %d captures is %d trips", captures, n)
	}
}

// How many trips to the database a unit of work waits for, alone in its batch, when its
// wallet is in memory and its statements are prepared.
func TestTripsOfACommand(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite is no trip away; this runs with " + dbtest.Variable)
		return
	}
	s := newStageWith(t, app.Config{Roles: app.Roles{API: true}})
	s.grant("default", "1000")
	no := 0
	held := func() string {
		return must(s.CreateHold(s.Context(), "default", api.NewHold{Amount: "1", TTLSeconds: 3600}))(t).ID
	}
	for _, c := range []struct {
		name    string
		most    int
		prepare func() string
		call    func(id string) (path, body string)
	}{
		{"hold", 1, nil, func(string) (string, string) { return "/holds", `{"amount":"0.01","ttl_seconds":3600}` }},
		{"capture", 1, held, func(id string) (string, string) { return "/holds/" + id + "/capture", `{"amount":"0.5"}` }},
		{"usage event", 1, nil, func(string) (string, string) {
			return "/usage-events", fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"s","type":"usage","data":{"sku":"network.egress","quantity":"1"}}`, no)
		}},
		{"flow start", 1, nil, func(string) (string, string) {
			return "/flows", `{"items":[{"sku":"gpu.h100","quantity":"1"}]}`
		}},
	} {
		trips := 1 << 30
		for range 8 { // the first prepare
			no++
			id := ""
			if c.prepare != nil {
				id = c.prepare()
			}
			path, body := c.call(id)
			for quiet := -1; quiet != s.figure("purser_database_trips_total"); time.Sleep(20 * time.Millisecond) { // until the keeper rests
				quiet = s.figure("purser_database_trips_total")
			}
			before := s.figure("purser_database_trips_total")
			if r := s.send("POST", ws+path, body, "Idempotency-Key", fmt.Sprint(c.name, no)); r.status >= 300 {
				t.Fatalf("%s: %d %s", c.name, r.status, r.body)
			}
			trips = min(trips, s.figure("purser_database_trips_total")-before)
		}
		t.Logf("%s: %d", c.name, trips)
		if trips > c.most {
			t.Errorf("a %s takes %d trips, at most %d are wanted", c.name, trips, c.most)
		}
	}
}
