package server_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// bench starts a server on the real clock with a wallet in which something runs.
func bench(b *testing.B) (*api.Client, func(method, path, body string) int) {
	dir := b.TempDir()
	a, err := app.Start(b.Context(), app.Config{
		Data: dir, Listen: "unix:" + filepath.Join(dir, "http.sock"), OperatorToken: token, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { a.Close() })
	c := a.Client()
	c.HTTP.Transport.(*http.Transport).MaxIdleConnsPerHost = 256
	if _, err := c.Grant(b.Context(), "default", api.NewGrant{Amount: "1000000", Kind: "plan"}); err != nil {
		b.Fatal(err)
	}
	for range 100 {
		if _, err := c.StartFlow(b.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}); err != nil {
			b.Fatal(err)
		}
	}
	return c, func(method, path, body string) int {
		r, _ := http.NewRequest(method, c.URL+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := c.HTTP.Do(r)
		if err != nil {
			return 0
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode
	}
}

// How long reading a balance takes while 100 flows run.
func BenchmarkBalance(b *testing.B) {
	_, send := bench(b)
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		if status := send("GET", ws+"/balance", ""); status != 200 {
			b.Fatal(status)
		}
		took = append(took, time.Since(begin))
	}
	report(b, took)
}

// How many holds many callers make on one wallet, each a durable unit of work.
func BenchmarkHoldsOnOneWallet(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			_, send := bench(b)
			b.ResetTimer()
			var all sync.WaitGroup
			took := make([][]time.Duration, callers)
			for i := range callers {
				all.Go(func() {
					for range b.N/callers + 1 {
						begin := time.Now()
						if status := send("POST", ws+"/holds", `{"amount":"0.000001","ttl_seconds":3600}`); status != 201 {
							b.Error(status)
							return
						}
						took[i] = append(took[i], time.Since(begin))
					}
				})
			}
			all.Wait()
			b.StopTimer()
			report(b, slices.Concat(took...))
		})
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
