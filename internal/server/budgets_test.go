package server_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
)

// A budget at each level admits exactly as many as it affords, and says which it is.
func TestExactlySoManyInABudget(t *testing.T) {
	const n = 6
	for key, value := range map[string]string{"workspace": "", "project": "vision", "user": "ada", "token": "operator", "job": "train"} {
		t.Run(key, func(t *testing.T) {
			s := newStage(t)
			s.grant("default", "1000000")
			must(s.SetBudgets(t.Context(), "default", api.Budgets{Items: []api.Budget{
				{Key: key, Value: value, Amount: "14.34", Window: "day", Hard: true}, // six times 2.39
			}}))(t)
			flow := flowIn("vision", "gpu.h100", "", "1")
			flow.User, flow.Job = "ada", "train"
			admitted := s.atOnce(4*n, func() error { _, err := s.StartFlow(t.Context(), "default", flow); return err }, 402, "budget_exceeded")
			if admitted != n {
				t.Errorf("%d of %d got in", admitted, n)
			}
			_, err := s.StartFlow(t.Context(), "default", flow)
			p := s.refusedAs(err, 402, "budget_exceeded")
			if p.Values["budget_key"] != key || p.Values["budget_until"] != "2027-01-02T00:00:00Z" || p.Values["budget_left"] != "14.34" ||
				p.Required != "16.73" || !strings.Contains(p.Detail, "14.34 a day for the "+strings.TrimSpace(key+" "+value)) {
				t.Errorf("%+v", p)
			}
			s.advance("3600")
			if b := must(s.Budgets(t.Context(), "default"))(t).Items[0]; b.Spent != "14.34" || b.Remaining != "0" || *b.WindowUntil != "2027-01-02T00:00:00Z" {
				t.Errorf("after an hour: %+v", b)
			}
			s.verified()
		})
	}
}

// So does it where a largest cost or a request's hold is set aside; holds are for no job.
func TestExactlySoManySetAsideInABudget(t *testing.T) {
	const n = 6
	for key, value := range map[string]string{"workspace": "", "project": "vision", "user": "ada", "token": "operator", "job": "train"} {
		flow := flowIn("vision", "gpu.h100", "", "1")
		flow.User, flow.Job, flow.MaxCost = "ada", "train", "2.39"
		kinds := map[string]func(s *stage) error{
			"max_cost": func(s *stage) error { _, err := s.StartFlow(s.Context(), "default", flow); return err },
			"holds": func(s *stage) error {
				_, err := s.CreateHold(s.Context(), "default", api.NewHold{Amount: "2.39", TTLSeconds: 600, Project: "vision", User: "ada"})
				return err
			},
		}
		if key == "job" {
			delete(kinds, "holds")
		}
		for kind, begin := range kinds {
			t.Run(key+" "+kind, func(t *testing.T) {
				s := newStage(t)
				s.grant("default", "1000000")
				must(s.SetBudget(t.Context(), "default", api.Budget{Key: key, Value: value, Amount: "14.34", Window: "day", Hard: true}))(t) // six times 2.39
				if admitted := s.atOnce(4*n, func() error { return begin(s) }, 402, "budget_exceeded"); admitted != n {
					t.Errorf("%d of %d got in", admitted, n)
				}
				if p := s.refusedAs(begin(s), 402, "budget_exceeded"); p.Values["budget_key"] != key {
					t.Errorf("%+v", p)
				}
				s.verified()
			})
		}
	}
}

// A hard budget of a month lands a project's job at the computed instant and the exact
// amount, reports 80 and 100 %, and lets the project on in the next month.
func TestAMonthlyBudgetLandsAJob(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.grant("default", "1000")
	s.project("default", "vision", api.ProjectPolicyChange{})
	must(s.SetBudgets(ctx, "default", api.Budgets{Items: []api.Budget{
		{Key: "project", Value: "vision", Amount: "23.9", Window: "month", Hard: true},
	}}))(t)
	n := api.NewJob{Command: []string{"sleep", "36000"}, Project: "vision", Resources: api.Resources{GPU: "h100", GPUCount: 2}}
	n.Command = []string{"sh", "-c", "trap '' TERM; sleep 36000"} // works on until it is killed
	job := must(s.CreateJob(ctx, "default", n))(t)
	s.advance("1")
	job = must(s.Job(ctx, "default", job.ID))(t)
	if job.Status != "running" || job.StopReason != "budget" {
		t.Errorf("%s, stops by %s", job.Status, job.StopReason)
	}
	s.advance("36000") // five hours would do
	job = must(s.Job(ctx, "default", job.ID))(t)
	flow := must(s.Flow(ctx, "default", job.Flow))(t)
	if job.Status != "exhausted" || job.Charged != "23.9" || flow.Reason != "budget" {
		t.Errorf("%s by %s at %s", job.Status, flow.Reason, job.Charged)
	}
	started, ended := must(job.StartedAt.UnixNano())(t), must(job.EndedAt.UnixNano())(t)
	if ended-started != 5*3600*1e9 {
		t.Errorf("it ran for %d ns", ended-started)
	}
	var percents []string
	for _, e := range must(s.Events(ctx, "default", api.EventQuery{}))(t).Items {
		if e.Kind == "budget.reached" {
			percents = append(percents, e.Data["percent"])
		}
	}
	if fmt.Sprint(percents) != "[80 100]" {
		t.Errorf("reported at %v %%", percents)
	}
	_, err := s.CreateJob(ctx, "default", n)
	if p := s.refusedAs(err, 402, "budget_exceeded"); p.Values["budget_until"] != "2027-02-01T00:00:00Z" || p.Values["budget_left"] != "0" {
		t.Errorf("%+v", p.Values)
	}
	must(s.AdvanceClock(ctx, api.Advance{To: "2027-02-01T00:00:00Z"}))(t)
	must(s.CreateJob(ctx, "default", n))(t)
	s.verified()
}

// A budget that is set while something runs, and nothing else happened since, has counted
// it up to this very instant.
func TestANewBudgetCountsWhatRuns(t *testing.T) {
	s := newStage(t)
	s.grant("default", "1000")
	must(s.StartFlow(t.Context(), "default", flowIn("vision", "gpu.h100", "", "2")))(t)
	s.advance("1800")
	set := must(s.SetBudgets(t.Context(), "default", api.Budgets{Items: []api.Budget{
		{Key: "project", Value: "vision", Amount: "4.78", Window: "day", Hard: true},
	}}))(t)
	if b := set.Items[0]; b.Spent != "2.39" || b.Remaining != "2.39" {
		t.Errorf("%+v", b)
	}
	s.advance("36000")
	if f := must(s.Flows(t.Context(), "default", api.FlowQuery{}))(t).Items[0]; f.Charged != "4.78" || f.Reason != "budget" {
		t.Errorf("%s by %s", f.Charged, f.Reason)
	}
	s.verified()
}

// Budgets that are set and removed one by one, all at once, do not get into each other's
// way, and what one has spent stays with it.
func TestBudgetsAreSetOneByOne(t *testing.T) {
	const n = 12
	s, ctx := newStage(t), t.Context()
	s.grant("default", "1000")
	must(s.StartFlow(ctx, "default", flowIn("vision", "gpu.h100", "", "1")))(t)
	first := must(s.SetBudget(ctx, "default", api.Budget{Key: "project", Value: "vision", Amount: "10", Window: "day"}))(t)
	gone := must(s.SetBudget(ctx, "default", api.Budget{Key: "project", Value: "gone", Amount: "10", Window: "day"}))(t)
	s.advance("3600")
	var all sync.WaitGroup
	errs := make([]error, n+2)
	for i := range n {
		all.Go(func() {
			_, errs[i] = s.SetBudget(ctx, "default", api.Budget{Key: "user", Value: fmt.Sprint("u", i), Amount: "5", Window: "month", Hard: true})
		})
	}
	all.Go(func() {
		_, errs[n] = s.SetBudget(ctx, "default", api.Budget{Key: "project", Value: "vision", Amount: "20", Window: "day", Hard: true})
	})
	all.Go(func() { _, errs[n+1] = s.RemoveBudget(ctx, "default", gone.ID) })
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	items := must(s.Budgets(ctx, "default"))(t).Items
	if len(items) != n+1 {
		t.Errorf("%d budgets, not %d", len(items), n+1)
	}
	if b := items[0]; b.ID != first.ID || b.Amount != "20" || b.Spent != "2.39" || !b.Hard {
		t.Errorf("%+v", b)
	}
	_, err := s.RemoveBudget(ctx, "default", gone.ID)
	s.refusedAs(err, 404, "not_found")
	_, err = s.SetBudget(ctx, "default", api.Budget{ID: gone.ID, Key: "project", Value: "gone", Amount: "10", Window: "day"})
	s.refusedAs(err, 422, "invalid")
	s.verified()
}

// What ran past the end of its credits is told apart: the breakdown says what was
// charged, as the job, the balance and a budget do, and what of it nobody pays.
func TestABreakdownTellsOverrunApart(t *testing.T) {
	s, ctx := newStage(t), t.Context()
	s.grant("default", "2")
	got := must(s.ReportUsage(ctx, "default", []api.UsageEvent{{
		SpecVersion: "1.0", ID: "1", Source: "test", Type: "usage", Data: api.UsageData{SKU: "network.egress", Quantity: "50", Project: "vision"},
	}}))(t)
	report := must(s.Usage(ctx, "default", api.UsageQuery{GroupBy: "project"}))(t)
	if report.Total != "2" || report.Overrun != "0.5" || report.Items[0].Amount != "2" || report.Items[0].Overrun != "0.5" {
		t.Errorf("%+v", report)
	}
	charge := must(s.Charge(ctx, "default", got.Items[0].Charge))(t)
	if charge.Amount != "2.5" || charge.Overrun != "0.5" {
		t.Errorf("%+v", charge)
	}
	b := must(s.SetBudget(ctx, "default", api.Budget{Key: "project", Value: "vision", Amount: "10", Window: "day"}))(t)
	if b.Spent != "2" {
		t.Errorf("a new budget has %s spent", b.Spent)
	}
	must(s.RefundCharge(ctx, "default", charge.ID, api.NewRefund{Amount: "1"}))(t)
	report = must(s.Usage(ctx, "default", api.UsageQuery{}))(t)
	if report.Total != "1.5" || report.Overrun != "0" || s.balance("default").Balance != "0.5" {
		t.Errorf("after a refund %+v", report)
	}
	s.verified()
}

// Two budgets at once: the narrower admits, whichever came first, and at exactly as many
// as it affords; starts, holds and max_cost alike. The workspaces of an organization do
// not count for each other.
func TestExactlySoManyInTheNarrowerOfTwoBudgets(t *testing.T) {
	const n = 5
	for kind, start := range map[string]func(s *stage, workspace string) error{
		"starts": func(s *stage, workspace string) error {
			flow := flowIn("vision", "gpu.h100", "", "1")
			flow.User = "ada"
			_, err := s.StartFlow(s.Context(), workspace, flow)
			return err
		},
		"max_cost": func(s *stage, workspace string) error {
			flow := flowIn("vision", "gpu.h100", "", "1")
			flow.User, flow.MaxCost = "ada", "2.39"
			_, err := s.StartFlow(s.Context(), workspace, flow)
			return err
		},
		"holds": func(s *stage, workspace string) error {
			_, err := s.CreateHold(s.Context(), workspace, api.NewHold{Amount: "2.39", TTLSeconds: 600, Project: "vision", User: "ada"})
			return err
		},
	} {
		for _, narrow := range []string{"project", "user"} {
			t.Run(kind+" by "+narrow, func(t *testing.T) {
				s, ctx := newStage(t), t.Context()
				must(s.CreateWorkspace(ctx, "default", api.NewWorkspace{Slug: "lab"}))(t)
				for _, workspace := range []string{"default", "default.lab"} {
					s.grant(workspace, "100000")
					amounts := map[string]api.Amount{"project": "23.9", "user": "23.9"}
					amounts[narrow] = "11.95" // five times 2.39
					for key, value := range map[string]string{"project": "vision", "user": "ada"} {
						must(s.SetBudget(ctx, workspace, api.Budget{Key: key, Value: value, Amount: amounts[key], Window: "day", Hard: true}))(t)
					}
				}
				for _, workspace := range []string{"default", "default.lab"} {
					admitted := s.atOnce(4*n, func() error { return start(s, workspace) }, 402, "budget_exceeded")
					if admitted != n {
						t.Errorf("%d of %d got into %s, not %d", admitted, 4*n, workspace, n)
					}
				}
				p := s.refusedAs(start(s, "default"), 402, "budget_exceeded")
				if p.Values["budget_key"] != narrow {
					t.Errorf("refused by the budget of the %v", p.Values["budget_key"])
				}
				s.verified()
			})
		}
	}
}
