package ledger

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/wallet"
)

// callers is how many wait for answers at the same time.
const callers = 512

// concurrently runs b.N units from many callers.
func concurrently(b *testing.B, unit func(n int64) error) {
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				if err := unit(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "units/s")
}

// BenchmarkCaptures is the gateway's work: a hold, and then its capture with the
// usage, each with an idempotency key.
func BenchmarkCaptures(b *testing.B) {
	for _, wallets := range []int{1, 1000} {
		b.Run(fmt.Sprintf("wallets=%d", wallets), func(b *testing.B) { benchCaptures(b, wallets) })
	}
}

func benchCaptures(b *testing.B, wallets int) {
	h := open(b)
	ids := h.manyWallets(wallets)
	concurrently(b, func(n int64) error {
		id := ids[n%int64(len(ids))]
		hold := fmt.Sprintf("hold_%d", n)
		if err := h.keyed(id, "POST /holds", hold, wallet.Reserve{ID: hold, Amount: 1000, TTL: hour}); err != nil {
			return err
		}
		return h.keyed(id, "POST /capture", hold, wallet.Capture{Hold: hold, Lines: []wallet.Line{{SKU: "llm.tiny.output", Project: "p", User: "ann",
			Event: hold, Unit: "million", Quantity: credit.Units, Price: 500 * 1_000_000, Card: "default", Version: 1, Amount: 500, At: noon}}})
	})
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

func (h *house) manyWallets(n int) (ids []ID) {
	for i := range n {
		id := ID{fmt.Sprintf("org_%d", i/4), fmt.Sprintf("ws_%d", i)}
		h.create(id)
		h.apply(id, h.grant(id, "lot_1", "1000000"))
		ids = append(ids, id)
	}
	return ids
}

func (h *house) keyed(id ID, route, key string, command wallet.Command) error {
	return h.update(func(tx *db.Tx) error {
		_, err := h.Once(tx, Request{Organization: id.Organization, Workspace: id.Workspace, Route: route, Key: key, Body: []byte(`{"amount":"0.000001"}`)}, func() (int, any, error) {
			_, err := h.Apply(tx, id, command)
			return 200, map[string]string{"id": key}, err
		})
		return err
	})
}

// BenchmarkUse is usage with a key, one event a unit.
func BenchmarkUse(b *testing.B) {
	h := open(b)
	ids := h.manyWallets(1)
	concurrently(b, func(n int64) error {
		key := fmt.Sprint(n)
		return h.keyed(ids[0], "POST /usage", key, wallet.Use{Lines: []wallet.Line{{SKU: "llm.tiny.output", Project: "p", User: "ann",
			Event: key, Unit: "million", Quantity: credit.Units, Price: 500 * 1_000_000, Card: "default", Version: 1, Amount: 500, At: noon}}})
	})
}

// BenchmarkRawInsert is the limit of the machine: the rows that BenchmarkUse
// writes, without a thought, in the batches that it writes them in.
func BenchmarkRawInsert(b *testing.B) {
	h := open(b)
	now := noon
	text := map[*db.Table][]any{}
	for _, t := range []*db.Table{entryRows, postingRows, chargeRows} {
		for _, column := range t.Columns[3:] {
			text[t] = append(text[t], rawValue(column))
		}
	}
	var no atomic.Int64
	b.ResetTimer()
	for done := 0; done < b.N; done += callers {
		h.must(h.update(func(tx *db.Tx) error {
			for t, values := range text {
				var args []any
				for i := range min(callers, b.N-done) {
					args = append(append(args, "org_0", "ws_0", no.Load()+int64(i)), values...)
					if t == entryRows {
						args[len(args)-5] = fmt.Sprint(no.Load() + int64(i)) // the key
					}
				}
				if err := t.Write(tx, args); err != nil {
					return err
				}
			}
			no.Add(callers)
			return nil
		}))
	}
	b.StopTimer()
	_ = now
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "units/s")
}

// rawValue is of the size that a column has.
func rawValue(column string) any {
	switch column {
	case "hash", "prev_hash", "digest":
		return "4cac312309353b2bdf959e60643c4fc10f6b6d8cb54cdec9d148f87e6bb11d2b"
	case "kind", "sku", "unit", "card", "project", "user_id", "debit", "credit", "event", "tier", "route", "key":
		return "house/revenue/llm"[:9]
	case "command":
		return `{"Lines":[{"SKU":"llm.tiny.output","Project":"p","User":"ann","Event":"1","Unit":"million","Quantity":1000000,"Price":500000000,"Card":"default","Version":1,"Amount":500,"At":1780000000000000000}]}`
	case "slices", "answer":
		return `[{"Lot":"lot_1","Amount":500}]`
	case "flow", "hold", "region", "job", "key_id", "transfer", "rem":
		return ""
	}
	return noon
}

// BenchmarkBigWallet starts, captures and stops in a wallet of 10,000 flows and
// 50 lots, one after the other. It reports the rows written and the processor
// time of a command, besides the time that the disk takes.
func BenchmarkBigWallet(b *testing.B) {
	h := open(b)
	h.large(10_000, 50)
	next := 0
	h.pairs(b, "start+stop", func() (wallet.Command, wallet.Command) {
		next++
		id := fmt.Sprintf("flow_b%d", next)
		return wallet.Start{ID: id, Items: gpus(1), Project: "1"}, wallet.Stop{Flow: id}
	})
	h.pairs(b, "hold+capture", func() (wallet.Command, wallet.Command) {
		next++
		id := fmt.Sprintf("hold_b%d", next)
		return wallet.Reserve{ID: id, Amount: 10, TTL: hour}, wallet.Capture{Hold: id, Amount: 5}
	})
	b.Run("balance", func(b *testing.B) {
		for range b.N {
			h.balance(acme)
		}
	})
}

// pairs measures two commands in a row, a millisecond apart, each in a unit.
func (h *house) pairs(b *testing.B, name string, make func() (wallet.Command, wallet.Command)) {
	b.Run(name, func(b *testing.B) {
		began, rows, took := cpu(), h.written(), time.Duration(0)
		for range b.N {
			first, second := make()
			for _, command := range []wallet.Command{first, second} {
				h.must(h.clock.Advance(context.Background(), int64(time.Millisecond)))
				at := time.Now()
				h.apply(acme, command)
				took += time.Since(at)
			}
		}
		commands := float64(2 * b.N)
		b.ReportMetric(float64(h.written()-rows)/commands-1, "rows/command") // one is the clock's
		b.ReportMetric((cpu()-began).Seconds()*1000/commands, "cpu-ms/command")
		b.ReportMetric(took.Seconds()*1000/commands, "ms/command")
	})
}

// written counts the rows that the writer has changed.
func (h *house) written() (n int64) {
	if dbtest.IsPostgres() {
		return 0 // it tells too late; the rows are the same, and SQLite counts them
	}
	h.must(h.update(func(tx *db.Tx) error { return tx.QueryRow(`SELECT total_changes()`).Scan(&n) }))
	return n
}
