package server_test

import (
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// GPUs at once are those of running flows and of jobs that wait; a change may go down,
// and up to the border.
func TestGPUsAtOnce(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.grant("default", "1000000")
	s.project("default", "vision", api.ProjectPolicyChange{MaxGPUs: of(int64(8))})
	first := must(s.StartFlow(ctx, "default", flowIn("vision", "gpu.h100", "", "5")))(t)
	must(s.StartFlow(ctx, "default", flowIn("vision", "gpu.a10", "spot", "2.5")))(t)
	_, err := s.StartFlow(ctx, "default", flowIn("vision", "gpu.h100", "", "0.500001"))
	s.refused(err, "vision", "max_gpus", "0.5")
	must(s.StartFlow(ctx, "default", flowIn("vision", "gpu.h100", "", "0.5")))(t)
	must(s.StartFlow(ctx, "default", flowIn("vision", "cpu.vcpu", "", "64")))(t) // are no GPUs
	must(s.StartFlow(ctx, "default", flowIn("other", "gpu.h100", "", "64")))(t)

	change := func(quantity string) error {
		_, err := s.ChangeFlow(ctx, "default", first.ID, api.FlowChange{Items: flowIn("", "gpu.h100", "", quantity).Items})
		return err
	}
	s.refused(change("6"), "vision", "max_gpus", "0")
	must(s.ChangeProjectPolicy(ctx, "default", "vision", api.ProjectPolicyChange{MaxGPUs: of(int64(2))}))(t)
	s.refused(change("5.1"), "vision", "max_gpus", "0")
	for _, quantity := range []string{"5", "4"} { // what runs goes on, and less is never refused
		if err := change(quantity); err != nil {
			t.Error(err)
		}
	}
	must(s.ChangeProjectPolicy(ctx, "default", "vision", api.ProjectPolicyChange{MaxGPUs: of(int64(0))}))(t)
	if err := change("50"); err != nil {
		t.Error(err)
	}
	s.verified()
}

// Of four times as many jobs and flows as there may be, exactly as many get in, whether
// they run or wait for a GPU.
func TestExactlySoManyGPUs(t *testing.T) {
	const n = 8
	s := newStageWith(t, app.Config{TestClock: start.UnixNano(), Capacity: must(app.ParseCapacity("gpu.h100=3"))(t)})
	s.grant("default", "1000000")
	s.project("default", "vision", api.ProjectPolicyChange{MaxGPUs: of(int64(n))})
	s.project("default", "flows", api.ProjectPolicyChange{MaxGPUs: of(int64(n))})
	jobs := s.atOnce(4*n, func() error {
		_, err := s.CreateJob(s.Context(), "default", api.NewJob{
			Command: []string{"sleep", "600"}, Project: "vision", Resources: api.Resources{GPU: "h100", GPUCount: 1},
		})
		return err
	}, 403, "policy_forbids")
	flows := s.atOnce(4*n, func() error {
		_, err := s.StartFlow(s.Context(), "default", flowIn("flows", "gpu.h100", "", "1"))
		return err
	}, 403, "policy_forbids")
	if jobs != n || flows != n {
		t.Errorf("%d jobs and %d flows of %d got in", jobs, flows, n)
	}
	s.advance("1") // three of them run now
	_, err := s.CreateJob(s.Context(), "default", api.NewJob{Command: []string{"true"}, Project: "vision", Resources: api.Resources{GPU: "h100"}})
	s.refused(err, "vision", "max_gpus", "0")
	s.advance("1800")
	three := api.NewJob{Command: []string{"sleep", "600"}, Project: "vision", Resources: api.Resources{GPU: "h100", GPUCount: 3}}
	must(s.CreateJob(s.Context(), "default", three))(s)
	must(s.CreateJob(s.Context(), "default", three))(s)
	_, err = s.CreateJob(s.Context(), "default", three)
	s.refused(err, "vision", "max_gpus", "2")
	s.verified()
}

// atOnce does something so many times in parallel, and counts what was not refused.
func (s *stage) atOnce(times int, do func() error, status int, code string) (done int) {
	s.Helper()
	var wait sync.WaitGroup
	results := make(chan error, times)
	for range times {
		wait.Go(func() { results <- do() })
	}
	wait.Wait()
	close(results)
	for err := range results {
		if err == nil {
			done++
			continue
		}
		s.refusedAs(err, status, code)
	}
	return done
}

// The GPU-hours of a month count what ran and what runs, up to this very instant, in one
// project of one workspace; a start, a change and a new month are judged by them.
func TestGPUHoursOfAMonth(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.grant("default", "1000000")
	s.project("default", "vision", api.ProjectPolicyChange{GPUHoursPerMonth: of(api.Quantity("10"))})
	start := func(quantity string) (api.Flow, error) {
		return s.StartFlow(ctx, "default", flowIn("vision", "gpu.h100", "", quantity))
	}
	_, err := start("10.000001") // an hour of it is more
	s.refused(err, "vision", "gpu_hours_per_month", "10")
	flow := must(start("4"))(t)
	s.advance("3600")
	_, err = start("2.000001") // six are left, and an hour of both is more than that
	s.refused(err, "vision", "gpu_hours_per_month", "6")
	grown := func(quantity string) error {
		_, err := s.ChangeFlow(ctx, "default", flow.ID, api.FlowChange{Items: flowIn("", "gpu.h100", "", quantity).Items})
		return err
	}
	s.refused(grown("6.000001"), "vision", "gpu_hours_per_month", "6")
	if err := grown("6"); err != nil {
		t.Error(err)
	}
	s.advance("1800")
	must(s.StopFlow(ctx, "default", flow.ID, api.FlowStop{}))(t)
	s.advance("600")
	late := flowIn("vision", "gpu.h100", "", "2")
	late.At = "2027-01-01T10:09:59Z" // half an hour and a second ago: an hour more is too much
	_, err = s.StartFlow(ctx, "default", late)
	s.refused(err, "vision", "gpu_hours_per_month", "1.999444")
	late.At = "2027-01-01T10:10:00Z"
	must(s.StartFlow(ctx, "default", late))(t)
	s.advance("7200") // it has used them up, and goes on: this limit stops nothing
	if b := must(s.Flows(ctx, "default", api.FlowQuery{Status: "running"}))(t); len(b.Items) != 1 {
		t.Errorf("%d flows run", len(b.Items))
	}
	_, err = start("0.000001")
	s.refused(err, "vision", "gpu_hours_per_month", "0")
	job := api.NewJob{Command: []string{"sleep", "60"}, Project: "vision", Resources: api.Resources{GPU: "h100", GPUCount: 1}}
	_, err = s.CreateJob(ctx, "default", job)
	s.refused(err, "vision", "gpu_hours_per_month", "0")
	must(s.StartFlow(ctx, "default", flowIn("vision", "cpu.vcpu", "", "1")))(t)
	must(s.StopFlow(ctx, "default", must(s.Flows(ctx, "default", api.FlowQuery{Status: "running", Project: "vision"}))(t).Items[1].ID, api.FlowStop{}))(t)
	must(s.AdvanceClock(ctx, api.Advance{To: "2027-01-31T23:30:00Z"}))(t)
	must(s.AdvanceClock(ctx, api.Advance{To: "2027-02-01T00:00:00Z"}))(t)
	must(s.CreateJob(ctx, "default", job))(t)
	must(start("9"))(t)
	_, err = start("0.000001")
	s.refused(err, "vision", "gpu_hours_per_month", "10")
	s.verified()
}
