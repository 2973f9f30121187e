package job_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/simulated"
)

// A month of jobs of all kinds on a machine of 32 GPUs, in virtual time: what
// every one is charged is what its run costs, and together it is what left the
// wallet.
// perDay is how many jobs a day brings.
const perDay = 4

func TestMonthOfJobs(t *testing.T) {
	began := time.Now()
	w := newWorld(t, "gpu.h100=32")
	w.grant("20000")
	random := rand.New(rand.NewPCG(11, 22))
	var ids []string
	for day := range 30 {
		for range perDay {
			q := h100(1+random.Int64N(16), "sleep", fmt.Sprint(600+random.Int64N(6*3600)))
			q.Env = map[string]string{simulated.EnvStartup: fmt.Sprint(random.IntN(120))}
			switch random.IntN(6) {
			case 0:
				q.MaxCost = credit.Amount(1 + random.Int64N(int64(20*credit.One)))
			case 1:
				q.MaxRuntime = (300 + random.Int64N(7200)) * second
			case 2:
				q.Env[simulated.EnvExitCode] = "1"
			case 3:
				q.Env[simulated.EnvCheckpoint] = "20"
			}
			ids = append(ids, w.create(q))
		}
		w.advance(24 * hour)
		if day%10 == 4 { // the server dies and comes back
			w.stop()
			w.open(w.clock.Now())
		}
	}
	w.advance(24 * hour)
	var sum credit.Amount
	ends := map[string]int{}
	for _, id := range ids {
		s := w.show(id)
		if !s.Status.Ended() {
			t.Errorf("%s is %s", id, s.Status)
			continue
		}
		ends[string(s.Status)+" "+s.Reason]++
		sum += s.Charged
		if r := s.Runs[0]; r.LateNs != 0 || s.Charged != costOf(s.Items[0].Rate, r.EndedAt-r.StartedAt) {
			t.Errorf("%s ran %s and was charged %s", id, time.Duration(r.EndedAt-r.StartedAt), s.Charged)
		}
	}
	b := w.balance()
	if b.Balance+sum != 20000*credit.One || b.Held != 0 || b.BurnRate != 0 {
		t.Errorf("balance %s and charges %s of 20000; held %s", b.Balance, sum, b.Held)
	}
	t.Logf("%d jobs in 31 days, %s credits, %v: replayed in %s", len(ids), sum, ends, time.Since(began).Round(time.Millisecond))
}

func costOf(rate credit.Rate, dt int64) credit.Amount {
	amount, _, _ := credit.Accrue(rate, dt, credit.Wide{}, credit.Hour)
	return amount
}

// A run of which nothing is left when the server starts is lost, and paid for up
// to when it renewed its lease last: nobody pays for what nobody saw.
func TestRunThatVanishedIsLost(t *testing.T) {
	w := newWorld(t, "")
	w.grant("100")
	id := w.create(h100(8, "train"))
	w.advance(hour)
	w.stop()
	w.check(os.Remove(filepath.Join(w.dir, "jobs", id, "simulated.json")))
	w.open(w.clock.Now() + minute)
	s := w.expect(id, job.StatusFailed, "lost", "18.3552")
	if s.Flow.Status != "lost" {
		t.Errorf("flow %s %s", s.Flow.Status, s.Flow.Reason)
	}
	w.expectBalance("81.6448")
}
