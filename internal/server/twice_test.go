package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// tally is what was answered about each event, by its id and what it said.
type tally struct {
	sync.Mutex
	of map[string]map[string]*answered
}

type answered struct {
	accepted, duplicate, mismatch int
	charges                       map[string]bool
}

func (y *tally) add(text string, v api.Verdict) {
	y.Lock()
	defer y.Unlock()
	if y.of[v.ID] == nil {
		y.of[v.ID] = map[string]*answered{}
	}
	a := y.of[v.ID][text]
	if a == nil {
		a = &answered{charges: map[string]bool{}}
		y.of[v.ID][text] = a
	}
	switch {
	case v.Status == "accepted":
		a.accepted++
		a.charges[v.Charge] = true
	case v.Status == "duplicate":
		a.duplicate++
		a.charges[v.Charge] = true
	case v.Code == "event_mismatch":
		a.mismatch++
	}
}

// report sends events, each a JSON text, through a server and counts what it is answered.
func (y *tally) report(s *stage, events []string) {
	body, media := "["+strings.Join(events, ",")+"]", batchType
	if len(events) == 1 {
		body, media = events[0], "application/cloudevents+json"
	}
	a := s.send("POST", ws+"/usage-events", body, "Content-Type", media)
	var got api.Verdicts
	if err := json.Unmarshal(a.body, &got); a.status != 200 || err != nil || len(got.Items) != len(events) {
		s.Errorf("%d events: %d %v %s", len(events), a.status, err, a.body)
		return
	}
	for i, v := range got.Items {
		y.add(events[i], v)
	}
}

// egress is an event that costs 0.05 for each of its quantity.
func egress(id string, quantity int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/m","type":"t","data":{"sku":"network.egress","quantity":%d}}`, id, quantity)
}

// The same events reach two servers on one database at the same instant, one by one and
// in batches that overlap, with the same contents and with others: each counts once.
func TestTwoServersCountAnEventOnce(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	const singles, batches, batch, disputed = 300, 12, 600, 60 // a batch is more than one unit of work
	url := dbtest.URL(t)
	servers := []*stage{newStageWith(t, app.Config{Database: url}), newStageWith(t, app.Config{Database: url})}
	servers[0].grant("default", "10000")
	y := &tally{of: map[string]map[string]*answered{}}
	atOnce := func(of ...[]string) { // through both servers, twice
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range 2 * len(servers) {
			events := of[i%len(of)]
			all.Go(func() { <-start; y.report(servers[i/2], events) })
		}
		close(start)
		all.Wait()
	}
	for i := range singles {
		atOnce([]string{egress(fmt.Sprint("single", i), 1)})
	}
	for i := range batches {
		var first, second []string // by halves the same, in other orders
		for n := range batch {
			first = append(first, egress(fmt.Sprint("batch", i*batch+n), 1))
			second = append(second, egress(fmt.Sprint("batch", i*batch+(batch/2+7*n)%batch+batch/2), 1))
		}
		atOnce(first, second)
	}
	for i := range disputed {
		id := fmt.Sprint("disputed", i)
		atOnce([]string{egress(id, 1)}, []string{egress(id, 2)})
	}
	var charged int
	for id, texts := range y.of {
		accepted := 0
		for text, a := range texts {
			accepted += a.accepted
			counts := a.accepted == 1 && a.duplicate > 0 && a.mismatch == 0 && len(a.charges) == 1
			isRefused := a.accepted == 0 && a.duplicate == 0 && a.mismatch == 2 && len(texts) == 2
			if !counts && !isRefused {
				t.Errorf("%s was answered %+v", text, *a)
			}
			if a.accepted == 1 && strings.Contains(text, `:2}`) {
				charged++
			}
		}
		if charged++; accepted != 1 {
			t.Errorf("%s was accepted %d times", id, accepted)
		}
	}
	want := singles + batches*batch + batch/2 + disputed
	if len(y.of) != want {
		t.Errorf("%d events, not %d", len(y.of), want)
	}
	for _, s := range servers {
		if left := 10_000*credit.One - credit.Amount(charged)*credit.One/20; string(s.balance("default").Balance) != left.String() {
			t.Errorf("the balance is %s after %d units of 0.05, not %s", s.balance("default").Balance, charged, left)
		}
		s.verified()
	}
	t.Logf("%d events, %d units", len(y.of), charged)
}
