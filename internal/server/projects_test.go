package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// project makes a project with a policy.
func (s *stage) project(workspace, slug string, policy api.ProjectPolicyChange) api.Project {
	s.Helper()
	return must(s.CreateProject(s.Context(), workspace, api.NewProject{Slug: slug, Policy: policy}))(s)
}

func flowIn(project, sku, tier, quantity string) api.NewFlow {
	return api.NewFlow{Project: project, Items: []api.NewItem{{SKU: sku, Tier: tier, Quantity: api.Quantity(quantity)}}}
}

// refused checks that a policy forbids something by a rule, and says what it allows.
func (s *stage) refused(err error, project, rule, allowed string) {
	s.Helper()
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != 403 || p.Code != "policy_forbids" || p.Values["project"] != project || p.Values["rule"] != rule ||
		fmt.Sprint(p.Values["allowed"]) != allowed || !strings.Contains(p.Detail, "project "+project) {
		s.Errorf("want the rule %s of %s with %s: %+v", rule, project, allowed, p)
	}
}

// refusedAs checks that something is refused with a status and a code.
func (s *stage) refusedAs(err error, status int, code string) *api.Problem {
	s.Helper()
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != status || p.Code != code {
		s.Errorf("want %d %s: %v", status, code, err)
		return &api.Problem{}
	}
	return p
}

func of[T any](value T) *T { return &value }

// Each rule of a policy lets in what lies at its border, and refuses what lies behind it,
// for flows, holds and jobs alike.
func TestEachRuleOfAPolicy(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.grant("default", "1000000")
	start := func(n api.NewFlow) error { _, err := s.StartFlow(ctx, "default", n); return err }
	run := func(n api.NewJob) error {
		n.Command = []string{"sleep", "60"}
		_, err := s.CreateJob(ctx, "default", n)
		return err
	}

	s.project("default", "spotty", api.ProjectPolicyChange{Tiers: &[]string{"spot", "reserved"}, DefaultTier: of("spot")})
	flow := must(s.StartFlow(ctx, "default", flowIn("spotty", "gpu.h100", "", "1")))(t)
	if flow.Items[0].Tier != "spot" {
		t.Errorf("the default tier is not filled in: %+v", flow.Items)
	}
	must(s.StartFlow(ctx, "default", flowIn("spotty", "gpu.h100", "spot", "1")))(t)
	s.refused(start(flowIn("spotty", "gpu.h100", "on-demand", "1")), "spotty", "tiers", "[spot reserved]")
	must(s.StartFlow(ctx, "default", flowIn("spotty", "storage.cluster", "", "1")))(t) // comes in no tiers
	job := must(s.CreateJob(ctx, "default", api.NewJob{Command: []string{"true"}, Project: "spotty", Resources: api.Resources{GPU: "h100"}}))(t)
	if job.Tier != "spot" {
		t.Errorf("a job's default tier is %s", job.Tier)
	}

	s.project("default", "strict", api.ProjectPolicyChange{RequiredTier: of("on-demand"), SKUs: &[]string{"gpu.a*", "cpu.*"}})
	must(s.StartFlow(ctx, "default", flowIn("strict", "gpu.a10", "", "1")))(t)
	s.refused(start(flowIn("strict", "gpu.a10", "spot", "1")), "strict", "required_tier", "[on-demand]")
	s.refused(start(flowIn("strict", "gpu.h100", "", "1")), "strict", "skus", "[gpu.a* cpu.*]")
	s.refused(run(api.NewJob{Project: "strict", Tier: "spot"}), "strict", "required_tier", "[on-demand]")
	s.refused(run(api.NewJob{Project: "strict", Resources: api.Resources{GPU: "h100"}}), "strict", "skus", "[gpu.a* cpu.*]")
	if err := run(api.NewJob{Project: "strict"}); err != nil { // a vCPU
		t.Error(err)
	}
	hold := func(tier string, skus ...string) error {
		_, err := s.CreateHold(ctx, "default", api.NewHold{Amount: "1", TTLSeconds: 60, Project: "strict", Tier: tier, SKUs: skus})
		return err
	}
	if err := hold("", "gpu.a10", "cpu.*"); err != nil {
		t.Error(err)
	}
	s.refused(hold("", "gpu.a10", "gpu.h100"), "strict", "skus", "[gpu.a* cpu.*]")
	s.refused(hold("spot", "gpu.a10"), "strict", "required_tier", "[on-demand]")
	s.refused(hold(""), "strict", "skus", "[gpu.a* cpu.*]")
	s.verified()
}

// What may not run for longer ends by itself, at the very instant, whether it says so or not.
func TestTheLongestRun(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.grant("default", "1000")
	start := func(n api.NewFlow) error { _, err := s.StartFlow(ctx, "default", n); return err }
	run := func(n api.NewJob) error {
		n.Command = []string{"sleep", "60"}
		_, err := s.CreateJob(ctx, "default", n)
		return err
	}
	s.project("default", "short", api.ProjectPolicyChange{MaxRuntimeSeconds: of(int64(7200))})
	flow := must(s.StartFlow(ctx, "default", flowIn("short", "gpu.a10", "", "1")))(t)
	if flow.StopReason != "until" || *flow.StopAt != "2027-01-01T11:00:00Z" {
		t.Errorf("it stops at %v by %s", *flow.StopAt, flow.StopReason)
	}
	job := must(s.CreateJob(ctx, "default", api.NewJob{Command: []string{"true"}, Project: "short"}))(t)
	if job.MaxRuntimeSeconds != 7200 {
		t.Errorf("a job of the project may run for %d s", job.MaxRuntimeSeconds)
	}
	if err := run(api.NewJob{Project: "short", MaxRuntimeSeconds: 7200}); err != nil {
		t.Error(err)
	}
	s.refused(run(api.NewJob{Project: "short", MaxRuntimeSeconds: 7201}), "short", "max_runtime_seconds", "7200")
	long := must(s.CreateJob(ctx, "default", api.NewJob{Command: []string{"sleep", "99999"}, Project: "short", MaxRuntimeSeconds: 60}))(t)
	_, err := s.ChangeJob(ctx, "default", long.ID, api.JobChange{MaxRuntimeSeconds: of(int64(7201))})
	s.refused(err, "short", "max_runtime_seconds", "7200")
	must(s.ChangeJob(ctx, "default", long.ID, api.JobChange{MaxRuntimeSeconds: of(int64(7200))}))(t)
	past := flowIn("short", "gpu.a10", "", "1")
	past.At = "2027-01-01T07:00:00Z" // two hours ago
	s.refused(start(past), "short", "max_runtime_seconds", "7200")
	past.At = "2027-01-01T07:00:00.000000001Z"
	if err := start(past); err != nil {
		t.Error(err)
	}
	s.advance("7200")
	if ended := must(s.Flow(ctx, "default", flow.ID))(t); ended.Status != "stopped" || *ended.EndedAt != "2027-01-01T11:00:00Z" || ended.Charged != "1.52" {
		t.Errorf("it ran for two hours: %+v", ended)
	}
	s.verified()
}

// A policy that changes decides about what waits, grows and is resumed, and leaves alone
// what runs. An archived project lets nothing new in, until it is restored.
func TestAPolicyThatChanges(t *testing.T) {
	s := newStageWith(t, app.Config{TestClock: start.UnixNano(), Capacity: must(app.ParseCapacity("gpu.h100=1"))(t)})
	ctx := t.Context()
	s.grant("default", "1000")
	s.project("default", "vision", api.ProjectPolicyChange{})
	n := api.NewJob{Command: []string{"sleep", "600"}, Project: "vision", Resources: api.Resources{GPU: "h100", GPUCount: 1}}
	running, waiting := must(s.CreateJob(ctx, "default", n))(t), must(s.CreateJob(ctx, "default", n))(t)
	s.advance("1")
	must(s.ChangeProjectPolicy(ctx, "default", "vision", api.ProjectPolicyChange{RequiredTier: of("spot")}))(t)
	s.advance("300")
	if j := must(s.Job(ctx, "default", running.ID))(t); j.Status != "running" {
		t.Errorf("what ran is %s", j.Status)
	}
	s.advance("600")
	if j := must(s.Job(ctx, "default", waiting.ID))(t); j.Status != "failed" || !strings.HasPrefix(j.Reason, "policy_forbids: the policy of project vision requires the tier spot") {
		t.Errorf("what waited is %s: %s", j.Status, j.Reason)
	}
	if b := s.balance("default"); b.Held != "0" {
		t.Errorf("%s is held for what was refused", b.Held)
	}
	must(s.ChangeProjectPolicy(ctx, "default", "vision", api.ProjectPolicyChange{RequiredTier: of("")}))(t)
	flow := must(s.StartFlow(ctx, "default", flowIn("vision", "cpu.vcpu", "", "2")))(t)
	if p := must(s.ArchiveProject(ctx, "default", "vision"))(t); p.ArchivedAt == nil {
		t.Error("it is not archived")
	}
	_, err := s.CreateJob(ctx, "default", n)
	s.refusedAs(err, 409, "project_archived")
	_, err = s.StartFlow(ctx, "default", flowIn("vision", "cpu.vcpu", "", "2"))
	s.refusedAs(err, 409, "project_archived")
	_, err = s.CreateHold(ctx, "default", api.NewHold{Amount: "1", TTLSeconds: 60, Project: "vision"})
	s.refusedAs(err, 409, "project_archived")
	_, err = s.ChangeFlow(ctx, "default", flow.ID, api.FlowChange{Items: flowIn("", "cpu.vcpu", "", "3").Items})
	s.refusedAs(err, 409, "project_archived")
	must(s.ChangeFlow(ctx, "default", flow.ID, api.FlowChange{Items: flowIn("", "cpu.vcpu", "", "1").Items}))(t)
	must(s.StopFlow(ctx, "default", flow.ID, api.FlowStop{}))(t)
	if p := must(s.RestoreProject(ctx, "default", "vision"))(t); p.ArchivedAt != nil {
		t.Error("it is still archived")
	}
	must(s.CreateJob(ctx, "default", n))(t)
	s.verified()
}

// In a strict workspace what starts names a project that there is, and usage none that
// there is not. A project is one of its workspace, and of no other.
func TestStrictProjectsAndTenants(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	must(s.CreateOrganization(ctx, api.NewOrganization{Slug: "acme"}))(t)
	s.grant("default", "1000")
	s.grant("acme", "1000")
	made := s.project("acme", "vision", api.ProjectPolicyChange{MaxGPUs: of(int64(1))})
	for _, name := range []string{made.ID, made.Slug} {
		if p := must(s.Project(ctx, "acme", name))(t); p.ID != made.ID || p.Policy.MaxGPUs != 1 {
			t.Errorf("%s: %+v", name, p)
		}
		_, err := s.Project(ctx, "default", name)
		s.refusedAs(err, 404, "not_found")
		_, err = s.ChangeProjectPolicy(ctx, "default", name, api.ProjectPolicyChange{MaxGPUs: of(int64(9))})
		s.refusedAs(err, 404, "not_found")
		_, err = s.ArchiveProject(ctx, "default", name)
		s.refusedAs(err, 404, "not_found")
	}
	must(s.StartFlow(ctx, "default", flowIn("vision", "gpu.h100", "", "9")))(t) // any name may stand for a project here
	_, err := s.CreateProject(ctx, "acme", api.NewProject{Slug: "vision"})
	s.refusedAs(err, 409, "slug_taken")
	s.project("default", "vision", api.ProjectPolicyChange{})
	if rules := must(s.SetProjectRules(ctx, "acme", api.ProjectRules{StrictProjects: true}))(t); !rules.StrictProjects || must(s.ProjectRules(ctx, "default"))(t).StrictProjects {
		t.Error("strict there and not here")
	}
	event := func(workspace, id, project string) api.Verdict {
		if project != "" {
			project = fmt.Sprintf(`,"project":%q`, project)
		}
		text := fmt.Sprintf(`[{"specversion":"1.0","id":%q,"source":"/m","type":"t","data":{"sku":"network.egress","quantity":1%s}}]`, id, project)
		answer := s.send("POST", "/v1/workspaces/"+workspace+"/usage-events", text, "Content-Type", batchType)
		var got api.Verdicts
		if err := json.Unmarshal(answer.body, &got); err != nil || len(got.Items) != 1 {
			t.Fatalf("%s: %v", answer.body, err)
		}
		return got.Items[0]
	}
	for _, name := range []string{"nothing", ""} {
		_, err = s.StartFlow(ctx, "acme", flowIn(name, "gpu.h100", "", "1"))
		if p := s.refusedAs(err, 422, "unknown_project"); len(p.Errors) != 1 || p.Errors[0].Pointer != "/project" {
			t.Errorf("%+v", p)
		}
		_, err = s.CreateJob(ctx, "acme", api.NewJob{Command: []string{"true"}, Project: name})
		s.refusedAs(err, 422, "unknown_project")
		_, err = s.CreateHold(ctx, "acme", api.NewHold{Amount: "1", TTLSeconds: 60, Project: name})
		s.refusedAs(err, 422, "unknown_project")
		must(s.StartFlow(ctx, "default", flowIn(name, "gpu.h100", "", "1")))(t)
	}
	if v := event("acme", "1", "nothing"); v.Status != "rejected" || v.Code != "unknown_project" {
		t.Errorf("%+v", v)
	}
	for id, name := range map[string]string{"2": "vision", "3": ""} {
		if v := event("acme", id, name); v.Status != "accepted" {
			t.Errorf("%q: %+v", name, v)
		}
	}
	if v := event("default", "1", "nothing"); v.Status != "accepted" {
		t.Errorf("%+v", v)
	}
	must(s.SetProjectRules(ctx, "default", api.ProjectRules{StrictProjects: true}))(t)
	if v := event("default", "1", "nothing"); v.Status != "duplicate" { // it was recorded before
		t.Errorf("%+v", v)
	}
	must(s.StartFlow(ctx, "acme", flowIn("vision", "gpu.h100", "", "1")))(t)
	s.verified()
}

// Projects are listed page by page; what a policy cannot be is refused at its place.
func TestProjectsAreListedAndChecked(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	for _, slug := range []string{"c", "a", "b"} {
		s.project("default", slug, api.ProjectPolicyChange{})
	}
	var slugs []string
	for p, err := range api.All(api.Page{Limit: 2}, func(p api.Page) (api.List[api.Project], error) { return s.Projects(ctx, "default", p) }) {
		if err != nil {
			t.Fatal(err)
		}
		slugs = append(slugs, p.Slug)
	}
	if fmt.Sprint(slugs) != "[a b c]" {
		t.Errorf("%v", slugs)
	}
	if p := must(s.ChangeProject(ctx, "default", "a", api.ProjectChange{Name: of("Alpha")}))(t); p.Name != "Alpha" || p.Slug != "a" {
		t.Errorf("%+v", p)
	}
	for pointer, change := range map[string]api.ProjectPolicyChange{
		"/tiers/1":             {Tiers: &[]string{"spot", "gold"}},
		"/required_tier":       {Tiers: &[]string{"spot"}, RequiredTier: of("reserved")},
		"/default_tier":        {RequiredTier: of("spot"), DefaultTier: of("on-demand")},
		"/skus/0":              {SKUs: &[]string{""}},
		"/max_gpus":            {MaxGPUs: of(int64(-1))},
		"/gpu_hours_per_month": {GPUHoursPerMonth: of(api.Quantity("-1"))},
		"/max_runtime_seconds": {MaxRuntimeSeconds: of(int64(31536001))},
	} {
		_, err := s.ChangeProjectPolicy(ctx, "default", "a", change)
		if p := s.refusedAs(err, 422, "invalid"); len(p.Errors) == 0 || p.Errors[0].Pointer != pointer {
			t.Errorf("%s: %+v", pointer, p.Errors)
		}
		_, err = s.CreateProject(ctx, "default", api.NewProject{Slug: "d", Policy: change})
		if p := s.refusedAs(err, 422, "invalid"); len(p.Errors) == 0 || !strings.HasSuffix(p.Errors[0].Pointer, pointer) {
			t.Errorf("new, %s: %+v", pointer, p.Errors)
		}
	}
	if p := must(s.Project(ctx, "default", "a"))(t); fmt.Sprint(p.Policy) != fmt.Sprint(api.ProjectPolicy{}) {
		t.Errorf("a refused policy left %+v", p.Policy)
	}
	s.verified()
}

// A job that is resumed is judged as one that is new.
func TestAResumedJobIsJudged(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.grant("default", "1000")
	s.project("default", "vision", api.ProjectPolicyChange{MaxGPUs: of(int64(2))})
	n := api.NewJob{
		Command: []string{"sleep", "36000"}, Project: "vision", Resources: api.Resources{GPU: "h100", GPUCount: 2},
		MaxRuntimeSeconds: 3600, Env: map[string]string{"PURSER_SIM_CHECKPOINT": "1"},
	}
	landed := must(s.CreateJob(ctx, "default", n))(t)
	s.advance("4000")
	if j := must(s.Job(ctx, "default", landed.ID))(t); !j.Resumable {
		t.Fatalf("%s %s cannot be resumed", j.Status, j.Reason)
	}
	resume := func(seconds int64) error {
		_, err := s.ResumeJob(ctx, "default", landed.ID, api.JobResume{MaxRuntimeSeconds: seconds})
		return err
	}
	other := must(s.StartFlow(ctx, "default", flowIn("vision", "gpu.h100", "", "1")))(t)
	s.refused(resume(7200), "vision", "max_gpus", "1")
	must(s.StopFlow(ctx, "default", other.ID, api.FlowStop{}))(t)
	must(s.ChangeProjectPolicy(ctx, "default", "vision", api.ProjectPolicyChange{MaxRuntimeSeconds: of(int64(7200))}))(t)
	s.refused(resume(7201), "vision", "max_runtime_seconds", "7200")
	must(s.ChangeProjectPolicy(ctx, "default", "vision", api.ProjectPolicyChange{RequiredTier: of("spot")}))(t)
	s.refused(resume(7200), "vision", "required_tier", "[spot]")
	must(s.ChangeProjectPolicy(ctx, "default", "vision", api.ProjectPolicyChange{RequiredTier: of("")}))(t)
	if err := resume(7200); err != nil {
		t.Error(err)
	}
	s.advance("10000")
	if j := must(s.Job(ctx, "default", landed.ID))(t); j.Reason != "max_runtime" || j.Run != 2 || j.Charged != "9.401994444" { // 3,481 s and 3,600 s: each was warned two minutes before its end
		t.Errorf("%+v", j)
	}
	s.verified()
}
