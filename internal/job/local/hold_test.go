package local

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/purserhq/purser/internal/job"
)

// What a supervisor waits for, by what it holds: a lease that was renewed is told
// at once, because the one in hand may end while an answer is held.
func TestHold(t *testing.T) {
	const old, renewed = int64(2), int64(30)
	for name, c := range map[string]struct {
		report job.Report
		waits  time.Duration
	}{
		"nothing new":               {job.Report{Wait: true, Seen: 7, Lease: renewed}, holdLimit},
		"other orders":              {job.Report{Wait: true, Seen: 6, Lease: renewed}, 0},
		"a renewed lease":           {job.Report{Wait: true, Seen: 7, Lease: old}, 0},
		"it does not say its lease": {job.Report{Wait: true, Seen: 7}, holdLimit},
		"it does not want to wait":  {job.Report{Seen: 7, Lease: renewed}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			until := func(seconds int64) int64 { return began.Add(time.Duration(seconds) * time.Second).UnixNano() }
			if c.report.Lease != 0 {
				c.report.Lease = until(c.report.Lease)
			}
			e := New(Config{Dir: t.TempDir()})
			desk := newDesk()
			desk.orders = job.Orders{Version: 7, Go: true, LeaseUntil: until(renewed)}
			orders, err := e.hold(context.Background(), desk, c.report)
			if waited := time.Since(began); err != nil || waited != c.waits || orders.LeaseUntil != until(renewed) {
				t.Errorf("%s: answered after %s: %+v, %v", name, waited, orders, err)
			}
		})
	}
}
