package e2e

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// Many real jobs at once, each with its supervisor: all are charged exactly
// their run.
func TestManyRealJobs(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(1, 1, "1000")
	n, ids := rounds(20, 200), []string{}
	began := time.Now()
	for range n {
		j, err := s.client.CreateJob(s.ctx, "acme", api.NewJob{Command: []string{"sleep", "2"}, Resources: api.Resources{GPU: "b300"}})
		s.check(err)
		ids = append(ids, j.ID)
	}
	s.within(time.Minute, "the start of all", func() bool {
		jobs, err := s.client.Jobs(s.ctx, "acme", api.JobQuery{Status: "queued", Page: api.Page{Limit: 200}})
		s.check(err)
		return len(jobs.Items) == 0
	})
	launched := time.Since(began)
	largest := memoryOf(t, s.dir)
	var waited, ran []time.Duration
	for _, id := range ids {
		j := s.untilEnded(id, time.Minute)
		d := nano(t, j.EndedAt) - nano(t, j.StartedAt)
		s.expect(j, "succeeded", "", api.NanoCredits(cost(1, d)))
		waited = append(waited, time.Duration(nano(t, j.StartedAt)-nano(t, &j.CreatedAt)))
		ran = append(ran, time.Duration(d))
	}
	slices.Sort(waited)
	slices.Sort(ran)
	t.Logf("%d jobs launched in %s; from request to start median %s, longest %s; charged for 2 s of sleep: median %s, longest %s",
		n, launched.Round(time.Millisecond), waited[n/2].Round(time.Millisecond), waited[n-1].Round(time.Millisecond),
		ran[n/2].Round(time.Millisecond), ran[n-1].Round(time.Millisecond))
	t.Logf("the largest supervisor takes %d KiB of memory of its own", largest)
	s.verify()
}

// memoryOf is the largest private memory of a supervisor, in KiB.
func memoryOf(t *testing.T, dir string) (largest int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if !strings.Contains(string(text), "\x00supervise\x00"+dir) {
			continue
		}
		status, _ := os.ReadFile("/proc/" + e.Name() + "/status")
		for line := range strings.Lines(string(status)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "RssAnon:" {
				kib, _ := strconv.Atoi(fields[1])
				largest = max(largest, kib)
			}
		}
	}
	return largest
}
