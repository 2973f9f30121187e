package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

// reported is an event of a batch.
func reported(id string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"/cluster/berlin","type":"purser.usage","data":{"sku":"network.egress","quantity":"1.25"}}`
}

const batchType = "application/cloudevents-batch+json"

func (s *stage) report(body, key string) (v api.Verdicts, a raw) {
	s.Helper()
	a = s.send("POST", ws+"/usage-events", body, "Content-Type", batchType, "Idempotency-Key", key)
	if err := json.Unmarshal(a.body, &v); err != nil || a.status != 200 {
		s.Fatalf("%d %.200s %v", a.status, a.body, err)
	}
	return v, a
}

// A large batch is recorded in parts: each event has its verdict, in order; a broken
// one is rejected alone, and one that comes twice counts once, wherever they stand.
func TestALargeBatchIsRecordedInParts(t *testing.T) {
	s := newStage(t)
	s.grant("default", "1000")
	var events []string
	for i := range 1203 {
		events = append(events, reported(fmt.Sprint(i)))
	}
	events[700] = strings.Replace(events[700], "1.25", "-1", 1)
	events[3], events[1100] = `17`, events[2]
	events[800] = strings.Replace(events[1], "1.25", "2", 1)
	body := "[" + strings.Join(events, " , ") + "]"
	v, first := s.report(body, "k")
	if v.Accepted != 1199 || v.Duplicate != 1 || v.Rejected != 3 || len(v.Items) != 1203 {
		t.Fatalf("%d accepted, %d duplicate, %d rejected of %d", v.Accepted, v.Duplicate, v.Rejected, len(v.Items))
	}
	for i, item := range v.Items {
		switch want := fmt.Sprint(i); i {
		case 3:
			if item.Status != "rejected" || item.Reason == "" {
				t.Errorf("no event: %+v", item)
			}
		case 700:
			if item.Status != "rejected" || item.Pointer != "/data/quantity" {
				t.Errorf("broken: %+v", item)
			}
		case 800:
			if item.Status != "rejected" || item.Code != "event_mismatch" || item.ID != "1" {
				t.Errorf("another one under the same id: %+v", item)
			}
		case 1100:
			if item.Status != "duplicate" || item.ID != "2" || item.Charge != v.Items[2].Charge {
				t.Errorf("twin: %+v", item)
			}
		default:
			if item.Status != "accepted" || item.ID != want || item.Amount != "0.0625" || item.Charge == "" {
				t.Fatalf("event %d: %+v", i, item)
			}
		}
	}
	if encoded, err := json.Marshal(v); err != nil || string(encoded) != strings.TrimSpace(string(first.body)) {
		t.Errorf("the answer is not as JSON is written elsewhere: %.300s", first.body)
	}
	s.advance("5")
	if _, again := s.report("[\n"+strings.Join(events, ",\n")+"\n]", "k"); string(again.body) != string(first.body) || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %v %.200s", again.header, again.body)
	}
	for _, other := range []string{"[" + strings.Join(events[:500], ",") + "]", "[" + strings.Join(append(events, events[0]), ",") + "]"} {
		a := s.send("POST", ws+"/usage-events", other, "Content-Type", batchType, "Idempotency-Key", "k")
		if p := s.problem(a); p.Code != "idempotency_mismatch" {
			t.Errorf("another body: %+v", p)
		}
	}
	if v, _ := s.report(body, "other"); v.Accepted != 0 || v.Duplicate != 1200 || v.Rejected != 3 {
		t.Errorf("under another key: %d accepted, %d duplicate", v.Accepted, v.Duplicate)
	}
	if b := s.balance("default"); b.Balance != "925.0625" {
		t.Errorf("balance %s", b.Balance)
	}
	s.verified()
}

// A call that breaks off somewhere between its parts is made whole by the same call,
// which is answered as if it were the first.
func TestABatchThatBrokeOffIsFinished(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100000")
	cut := 0
	for n := range 12 {
		var events []string
		for i := range 3000 {
			events = append(events, reported(fmt.Sprintf("%d-%d", n, i)))
		}
		body, key := "["+strings.Join(events, ",")+"]", fmt.Sprint(n)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+n*15)*time.Millisecond)
		r, _ := http.NewRequestWithContext(ctx, "POST", s.URL+ws+"/usage-events", strings.NewReader(body))
		for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": batchType, "Idempotency-Key": key} {
			r.Header.Set(name, value)
		}
		if a, err := s.HTTP.Do(r); err == nil {
			a.Body.Close()
		} else {
			cut++
		}
		cancel()
		if v, _ := s.report(body, key); v.Accepted != 3000 || len(v.Items) != 3000 {
			t.Errorf("call %d: %d accepted, %d duplicate", n, v.Accepted, v.Duplicate)
		}
	}
	t.Logf("%d of 12 calls broke off", cut)
	if b := s.balance("default"); b.Balance != "97750" {
		t.Errorf("balance %s", b.Balance)
	}
	s.verified()
}

// While a very large batch is recorded, others are served.
func TestALargeBatchLetsOthersThrough(t *testing.T) {
	s := newStage(t)
	s.grant("default", "1000")
	must(s.CreateOrganization(t.Context(), api.NewOrganization{Slug: "other"}))(t)
	s.grant("other", "1000")
	done, served := make(chan struct{}), 0
	go func() {
		defer close(done)
		if a := s.send("POST", ws+"/usage-events", bulk(0), "Content-Type", batchType, "Idempotency-Key", "k"); a.status != 200 {
			t.Errorf("%d %.200s", a.status, a.body)
		}
	}()
	for end := false; !end; {
		select {
		case <-done:
			end = true
		default:
			must(s.CreateHold(t.Context(), "other", api.NewHold{Amount: "0.1", TTLSeconds: 60}))(t)
			served++
		}
	}
	if served < usage.MaxEvents/500/2 {
		t.Errorf("%d holds were made meanwhile", served)
	}
}

// bulk is a batch of the size that a call may have, of events that nobody has seen.
func bulk(n int) string {
	var b strings.Builder
	b.WriteByte('[')
	for i := range usage.MaxEvents {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"specversion":"1.0","id":"%d-%d","source":"/cluster/berlin","type":"purser.usage",`+
			`"data":{"sku":"network.egress","quantity":"1.25","project":"p%d","user":"ann"}}`, n, i, i%7)
	}
	b.WriteByte(']')
	return b.String()
}

// inProcess is a server's worth of books without HTTP.
func inProcess(b *testing.B) func(readings []usage.Reading) error {
	log := slog.New(slog.DiscardHandler)
	database, err := db.Open(b.Context(), db.Config{URL: dbtest.URL(b), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { database.Close() })
	books := ledger.New(database, log)
	prices := price.NewBook(books)
	service, id := usage.New(books, prices, project.NewBook(books)), ledger.ID{Organization: "org_acme", Workspace: "ws_acme"}
	err = database.Update(b.Context(), func(tx *db.Tx) error {
		if err := prices.Open(tx); err != nil {
			return err
		}
		if err := books.Create(tx, id, wallet.Policy{}); err != nil {
			return err
		}
		_, err := books.Apply(tx, id, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Plan, Amount: 1_000_000 * credit.One}})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return func(readings []usage.Reading) error {
		for part := range slices.Chunk(readings, 500) { // as the server does
			err := database.Update(b.Context(), func(tx *db.Tx) error {
				_, err := service.Record(tx, id, part, nil)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// overHTTP is the same through a socket, with an idempotency key for each call.
func overHTTP(b *testing.B) func(body string, key int64) error {
	dir := b.TempDir()
	a, err := app.Start(b.Context(), app.Config{
		Data: dir, Listen: "unix:" + filepath.Join(dir, "http.sock"), OperatorToken: token, Database: dbtest.URL(b),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.Close() })
	c := a.Client()
	if _, err := c.Grant(b.Context(), "default", api.NewGrant{Amount: "1000000", Kind: "plan"}); err != nil {
		b.Fatal(err)
	}
	return func(body string, key int64) error {
		r, _ := http.NewRequest("POST", c.URL+ws+"/usage-events", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/cloudevents-batch+json")
		r.Header.Set("Idempotency-Key", fmt.Sprint(key))
		answer, err := c.HTTP.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != 200 {
			return fmt.Errorf("status %d: %w", answer.StatusCode, err)
		}
		return nil
	}
}

// How many events are recorded in a second: in the process, decoded before, and over
// HTTP.
func BenchmarkBulk(b *testing.B) {
	for _, callers := range []int{1, 4} {
		b.Run(fmt.Sprintf("in-process/callers=%d", callers), func(b *testing.B) {
			record, next := inProcess(b), atomic.Int64{}
			calls := make([][]usage.Reading, b.N)
			for i := range calls {
				var err error
				if calls[i], err = usage.Read(usage.Message{Body: strings.NewReader(bulk(i))}); err != nil {
					b.Fatal(err)
				}
			}
			inParallel(b, callers, func(i int64) error { return record(calls[i]) }, &next)
		})
		b.Run(fmt.Sprintf("http/callers=%d", callers), func(b *testing.B) {
			send, next := overHTTP(b), atomic.Int64{}
			calls := make([]string, b.N)
			for i := range calls {
				calls[i] = bulk(i)
			}
			inParallel(b, callers, func(i int64) error { return send(calls[i], i) }, &next)
		})
	}
}

func inParallel(b *testing.B, callers int, do func(int64) error, next *atomic.Int64) {
	b.ResetTimer()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)*usage.MaxEvents/b.Elapsed().Seconds(), "events/s")
}
