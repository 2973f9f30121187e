package e2e

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// A month with hundreds of jobs, through the API, on the test clock: every job
// is charged what its run costs, and all of them what left the wallet.
func TestMonthOnTheTestClock(t *testing.T) {
	t.Parallel()
	s := start(t, "--test-clock", "2026-12-01T00:00:00Z", "--capacity", "gpu.b300=64")
	s.space(3600, 120, "200000")
	random := rand.New(rand.NewPCG(2026, 12))
	began, perDay := time.Now(), 10
	var ids []string
	for range 30 {
		for range perDay {
			n := api.NewJob{
				Command:   []string{"sleep", fmt.Sprint(600 + random.IntN(8*3600))},
				Resources: api.Resources{GPU: "b300", GPUCount: 1 + random.Int64N(16)},
			}
			switch random.IntN(4) {
			case 0:
				n.MaxCost = api.NanoCredits(1 + random.Int64N(50_000_000_000))
			case 1:
				n.MaxRuntimeSeconds = 60 + random.Int64N(7200)
			}
			j, err := s.client.CreateJob(s.ctx, "acme", n)
			s.check(err)
			ids = append(ids, j.ID)
		}
		_, err := s.client.AdvanceClock(s.ctx, api.Advance{BySeconds: "86400"})
		s.check(err)
	}
	_, err := s.client.AdvanceClock(s.ctx, api.Advance{BySeconds: "172800"})
	s.check(err)
	took := time.Since(began)
	var sum int64
	ends := map[string]int{}
	for _, id := range ids {
		j := s.job(id)
		if !j.Ended() {
			t.Fatalf("%s is %s", id, j.Status)
		}
		ran := nano(t, j.EndedAt) - nano(t, j.StartedAt)
		if want := api.NanoCredits(cost(j.Resources.GPUCount, ran)); j.Charged != want {
			t.Errorf("%s ran %s and was charged %s, not %s", id, time.Duration(ran), j.Charged, want)
		}
		sum += credits(t, j.Charged)
		ends[j.Status]++
	}
	b := s.balance()
	if got := sum + credits(t, b.Balance); got != 200_000_000_000_000 || b.Held != "0" {
		t.Errorf("balance %s and %d of charges, held %s", b.Balance, sum, b.Held)
	}
	t.Logf("%d jobs in 32 days, %s credits, %v: in %s", len(ids), api.NanoCredits(sum), ends, took.Round(time.Millisecond))
	s.verify()
}

// A hundred jobs at once, in a wallet that covers the max_cost of ten: exactly
// ten are admitted.
func TestHundredJobsWhereTenFit(t *testing.T) {
	t.Parallel()
	s := start(t, "--capacity", "gpu.b300=1")
	s.space(1, 1, "10")
	for round := range rounds(2, 20) {
		admitted := make(chan string, 100)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				j, err := s.client.CreateJob(s.ctx, "acme", api.NewJob{
					Command: []string{"sleep", "60"}, Resources: api.Resources{GPU: "b300"}, MaxCost: "1",
				})
				if err == nil {
					admitted <- j.ID
				} else if p, ok := err.(*api.Problem); !ok || p.Code != "insufficient_credits" {
					t.Errorf("refused for another reason: %v", err)
				}
			})
		}
		all.Wait()
		close(admitted)
		if len(admitted) != 10 {
			t.Errorf("round %d: %d admitted", round, len(admitted))
		}
		spent := int64(0)
		for id := range admitted {
			_, err := s.client.StopJob(s.ctx, "acme", id, api.JobStop{Now: true})
			s.check(err)
			end := s.job(id)
			if !end.Ended() {
				end = s.untilEnded(id, 15*time.Second)
			}
			spent += credits(t, end.Charged)
		}
		s.grant(api.NanoCredits(max(spent, 1))) // ten fit again, and not eleven
	}
	t.Logf("%d rounds of 100 jobs at once: 10 admitted in each", rounds(2, 20))
	s.verify()
}
