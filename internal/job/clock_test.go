package job

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
)

// shifted is the machine's clock, ahead by what a test says.
type shifted struct{ by atomic.Int64 }

func (s *shifted) Now() int64 { return time.Now().UnixNano() + s.by.Load() }

// While the clock of a server is off, a job that waits goes on waiting and one that is
// about to begin asks again: neither is refused for it, and both go on afterwards.
func TestJobsWaitWhileTheClockIsOff(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("on SQLite there is no other clock; this runs with " + dbtest.Variable)
		return
	}
	clock := &shifted{}
	d, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: clock})
	ok(t, err)
	t.Cleanup(func() { d.Close() })
	books := ledger.New(d, nil)
	prices := price.NewBook(books)
	ok(t, d.Update(t.Context(), prices.Open))
	ex := &launches{map[string]int{}, map[string]State{}}
	s := &srv{New(Config{DB: d, Books: books, Prices: prices, Executor: ex}), ex, nil}
	shift := func(by time.Duration) {
		clock.by.Store(int64(by))
		for end := time.Now().Add(10 * time.Second); (d.Admits() != nil) != (by != 0); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the server does not notice")
			}
		}
	}
	s.wallet(t)
	s.grant(t, 1000)
	j, err := s.create(t, 1)
	ok(t, err)
	is := func(want Status) {
		t.Helper()
		if got := s.entry(j.ID).job.Status; got != want {
			t.Errorf("the job is %s, not %s", got, want)
		}
	}

	shift(-10 * time.Minute)
	ok(t, s.dispatch(t.Context()))
	if is(StatusQueued); ex.launched[j.ID] != 0 {
		t.Error("it was launched")
	}
	if _, err := s.create(t, 1); fault.Of(err) == nil || fault.Of(err).Code != "clock_off" {
		t.Errorf("another job: %v", err)
	}
	shift(0)
	ok(t, s.dispatch(t.Context()))
	if is(StatusStarting); ex.launched[j.ID] != 1 {
		t.Errorf("it was launched %d times", ex.launched[j.ID])
	}
	shift(-10 * time.Minute)
	if _, err := s.Report(t.Context(), Report{Job: j.ID, Phase: Ready}); fault.Of(err) == nil || fault.Of(err).Code != "clock_off" {
		t.Errorf("ready: %v", err)
	}
	is(StatusStarting)
	shift(0)
	if orders, err := s.Report(t.Context(), Report{Job: j.ID, Phase: Ready}); err != nil || !orders.Go {
		t.Errorf("ready again: %+v %v", orders, err)
	}
	is(StatusRunning)
}
