package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// sample times a call so many times in each of several rounds. It reports the
// median and the 99th percentile of all, and returns the least of each of any
// round: other work on the machine spoils rounds, and no round is better than what
// is measured.
func (s *server) sample(name string, times int, call func(i int)) (median, p99 time.Duration) {
	s.t.Helper()
	const rounds = 5
	var all []time.Duration
	for r := range rounds {
		took := make([]time.Duration, times/rounds)
		for i := range took {
			began := time.Now()
			call(r*len(took) + i)
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		if r == 0 {
			median, p99 = took[len(took)/2], took[len(took)*99/100]
		}
		median, p99 = min(median, took[len(took)/2]), min(p99, took[len(took)*99/100])
		all = append(all, took...)
	}
	slices.Sort(all)
	s.t.Logf("%-40s median %8s  p99 %8s, in the best of %d rounds %8s %8s  (%d times, one caller)", name,
		all[len(all)/2].Round(time.Microsecond), all[len(all)*99/100].Round(time.Microsecond), rounds,
		median.Round(time.Microsecond), p99.Round(time.Microsecond), len(all))
	return median, p99
}

// bounded fails unless a figure is within its bound: the stated one in the soak, a
// loose one in the short form, which runs wherever and beside whatever.
func bounded[T int64 | float64 | time.Duration](t *testing.T, what string, figure, short, stated T) {
	t.Helper()
	limit := short
	if isSoak {
		limit = stated
	}
	if figure > limit {
		t.Errorf("%s: %v, over %v", what, figure, limit)
	}
}

// inParallel calls once for every number below n, from callers at once.
func inParallel(n, callers int, call func(i int)) {
	var wait sync.WaitGroup
	for c := range callers {
		wait.Go(func() {
			for i := c; i < n; i += callers {
				call(i)
			}
		})
	}
	wait.Wait()
}

// memory is the server's resident memory in MiB.
func (s *server) memory() int64 {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	s.check(err)
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			s.check(err)
			return kib / 1024
		}
	}
	s.t.Fatal("the kernel does not tell the memory")
	return 0
}

// processor is the processor time the server has used.
func (s *server) processor() time.Duration {
	s.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	s.check(err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		s.check(err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// idle reports how much of a core the server uses while nothing is asked of it.
func (s *server) idle(span time.Duration) (percent float64) {
	s.t.Helper()
	before := s.processor()
	time.Sleep(span)
	percent = 100 * float64(s.processor()-before) / float64(span)
	s.t.Logf("idle: %.2f %% of a core over %s, %d MiB resident", percent, span, s.memory())
	return percent
}

var gpus = []string{"gpu.a10", "gpu.l40s", "gpu.a100-80g", "gpu.h100", "gpu.h200", "gpu.b200", "gpu.gb200", "gpu.b300"}

func (s *server) startFlow(space string, i int) api.Flow {
	f, err := s.client.StartFlow(s.ctx, space, api.NewFlow{
		Label: fmt.Sprint("flow ", i), Items: []api.NewItem{{SKU: gpus[i%len(gpus)], Quantity: "8"}},
	})
	if err != nil {
		s.t.Error(err)
	}
	return f
}

// A wallet with thousands of running flows in dozens of lots: starting and
// stopping one more stays quick, and every balance is exact at once.
func TestLargeWallet(t *testing.T) {
	flows, lots := rounds(500, 10_000), rounds(20, 50)
	s := start(t)
	s.space(60, 5, "100000000")
	for i := range lots - 1 {
		scope := &api.Scope{SKUs: []string{gpus[i%len(gpus)]}}
		if i%2 == 0 {
			scope = nil
		}
		_, err := s.client.Grant(s.ctx, "acme", api.NewGrant{Amount: "100000", Kind: "promotional", Scope: scope})
		s.check(err)
	}
	began := time.Now()
	inParallel(flows, 64, func(i int) { s.startFlow("acme", i) })
	t.Logf("%d flows started in %s by 64 callers", flows, time.Since(began).Round(time.Millisecond))

	_, balance := s.sample("balance over HTTP", 2000, func(int) { s.balance() })
	quick := func(name string, call func(i int)) {
		median, _ := s.sample(name+" over HTTP, durable", 100, call)
		bounded(t, name+" at the median", median, 50*time.Millisecond, 2*time.Millisecond)
	}
	var extra []api.Flow
	quick("start one more flow", func(i int) { extra = append(extra, s.startFlow("acme", i)) })
	quick("stop one flow", func(i int) {
		_, err := s.client.StopFlow(s.ctx, "acme", extra[i].ID, api.FlowStop{})
		s.check(err)
	})
	var holds []api.Hold
	quick("hold", func(int) {
		h, err := s.client.CreateHold(s.ctx, "acme", api.NewHold{Amount: "1", TTLSeconds: 60})
		s.check(err)
		holds = append(holds, h)
	})
	quick("capture", func(i int) {
		_, err := s.client.CaptureHold(s.ctx, "acme", holds[i].ID, api.Capture{Amount: "0.5"})
		s.check(err)
	})
	s.idle(time.Duration(rounds(2, 20)) * time.Second)
	bounded(t, "a balance at p99", balance, 20*time.Millisecond, time.Millisecond)
	s.verify()
}

// Many flows in many workspaces cost nothing while nothing changes.
func TestManyFlows(t *testing.T) {
	spaces, each := rounds(20, 1000), rounds(20, 100)
	s := start(t)
	name := func(i int) string { return fmt.Sprintf("acme-%04d", i) }
	inParallel(spaces, 32, func(i int) {
		_, err := s.client.CreateOrganization(s.ctx, api.NewOrganization{Slug: name(i)})
		if err == nil {
			_, err = s.client.Grant(s.ctx, name(i), api.NewGrant{Amount: "1000000", Kind: "purchased"})
		}
		if err != nil {
			t.Error(err)
		}
	})
	before, began := s.memory(), time.Now()
	inParallel(spaces*each, 128, func(i int) { s.startFlow(name(i%spaces), i/spaces) })
	t.Logf("%d flows in %d workspaces started in %s by 128 callers; %d MiB before, %d after", spaces*each, spaces,
		time.Since(began).Round(time.Millisecond), before, s.memory())

	bounded(t, "percent of a core while nothing changes", s.idle(time.Duration(rounds(3, 30))*time.Second), 25, 1)
	_, p99 := s.sample("balance over HTTP", 5000, func(i int) {
		_, err := s.client.Balance(s.ctx, name(i*7919%spaces))
		s.check(err)
	})
	bounded(t, "a balance at p99", p99, 20*time.Millisecond, time.Millisecond)
	s.verify()
}

// A server with a long history starts at once and stays small.
func TestStartWithHistory(t *testing.T) {
	postings, batch := rounds(20_000, 1_000_000), 5000
	s := start(t)
	s.space(60, 5, "100000000")
	events := make([]api.UsageEvent, batch)
	began := time.Now()
	for n := 0; n < postings; n += batch {
		for i := range events {
			events[i] = api.UsageEvent{
				SpecVersion: "1.0", ID: fmt.Sprint(n + i), Source: "/e2e", Type: "purser.usage",
				Data: api.UsageData{SKU: "network.egress", Quantity: "1", Project: fmt.Sprint("p", i%10)},
			}
		}
		_, err := s.client.ReportUsage(s.ctx, "acme", events)
		s.check(err)
	}
	t.Logf("%d events recorded in %s by one caller, %d a call", postings, time.Since(began).Round(time.Millisecond), batch)
	quickest := startLimit
	for range 5 {
		s.end()
		began = time.Now()
		s.run()
		took := time.Since(began)
		t.Logf("started on %d postings in %s", postings, took.Round(time.Millisecond))
		quickest = min(quickest, took)
	}
	bounded(t, "the quickest start", quickest, 5*time.Second, 300*time.Millisecond)
	s.balance()
	s.idle(time.Duration(rounds(2, 10)) * time.Second)
	bounded(t, "MiB resident while idle", s.memory(), 80, 80)
	s.verify()
}
