package server_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

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

// recorder is a server's worth of books without HTTP.
func inProcess(b *testing.B) func(readings []usage.Reading) error {
	log := slog.New(slog.DiscardHandler)
	database, err := db.Open(b.Context(), db.Config{URL: dbtest.URL(b), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { database.Close() })
	books := ledger.New(database, log)
	prices := price.NewBook(books)
	service, id := usage.New(books, prices), ledger.ID{Organization: "org_acme", Workspace: "ws_acme"}
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
		return database.Update(b.Context(), func(tx *db.Tx) error {
			_, err := service.Record(tx, id, readings)
			return err
		})
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
