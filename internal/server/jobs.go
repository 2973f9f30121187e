package server

import (
	"maps"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
)

// JobPath names a job.
type JobPath struct {
	WorkspacePath
	Job string `path:"job" maxLength:"60"`
}

func (s *Server) jobCalls() {
	command(s, call{
		id: "create-job", method: "POST", path: "/v1/workspaces/{workspace}/jobs", tag: tagJobs, action: org.Run, status: 201,
		summary: "Run a command", description: "What its start needs is held at once; waiting and starting are not charged.",
	}, createJob)
	query(s, call{
		id: "list-jobs", method: "GET", path: "/v1/workspaces/{workspace}/jobs", tag: tagJobs, action: org.See,
		summary: "List jobs, the newest first",
	}, listJobs)
	query(s, call{
		id: "get-job", method: "GET", path: "/v1/workspaces/{workspace}/jobs/{job}", tag: tagJobs, action: org.See,
		summary: "Get a job, exact at this instant",
	}, func(r *reading, p *JobPath) (api.Job, error) {
		shown, err := r.jobs.Show(r.ctx, r.id, p.Job)
		return r.job(&shown), err
	})
	s.logCalls()
	command(s, call{
		id: "stop-job", method: "POST", path: "/v1/workspaces/{workspace}/jobs/{job}/stop", tag: tagJobs, action: org.Run,
		optional: true, summary: "Stop a job", description: "It is signalled to checkpoint, and killed a grace later.",
	}, func(u *unit, p *JobPath, b *api.JobStop) (api.Job, error) {
		grace := nanoseconds(b.GraceSeconds)
		if b.Now {
			grace = new(int64)
		}
		shown, err := u.jobs.Stop(u.tx, u.id, p.Job, grace, b.Reason)
		return jobOnWire(&shown), err
	})
	command(s, call{
		id: "resume-job", method: "POST", path: "/v1/workspaces/{workspace}/jobs/{job}/resume", tag: tagJobs, action: org.Run,
		optional: true, summary: "Run a landed job again from its checkpoint",
	}, func(u *unit, p *JobPath, b *api.JobResume) (api.Job, error) {
		var f fields
		maxCost := f.limit("/max_cost", b.MaxCost)
		if err := f.Err(); err != nil {
			return api.Job{}, err
		}
		shown, err := u.jobs.Resume(u.tx, u.id, p.Job, maxCost, b.MaxRuntimeSeconds*db.Second)
		return jobOnWire(&shown), err
	})
	command(s, call{
		id: "change-job", method: "PATCH", path: "/v1/workspaces/{workspace}/jobs/{job}", tag: tagJobs, action: org.Run,
		summary: "Change what bounds a job",
	}, changeJob)
}

func createJob(u *unit, _ *WorkspacePath, b *api.NewJob) (api.Job, error) {
	var f fields
	project, user, err := u.countsAs(b.Project, b.User)
	if err != nil {
		return api.Job{}, err
	}
	request := job.Request{
		Name: b.Name, Command: b.Command, Env: b.Env, WorkingDir: b.WorkingDir, Tier: b.Tier, Region: b.Region,
		Project: project, User: user, Key: u.actor.ID, MaxCost: f.limit("/max_cost", b.MaxCost), MaxRuntime: b.MaxRuntimeSeconds * db.Second,
		Grace: nanoseconds(b.GraceSeconds),
		Resources: job.Resources{
			GPU: b.Resources.GPU, GPUCount: b.Resources.GPUCount, CPU: f.amountOf("/resources/cpu", b.Resources.CPU),
			MemoryGiB: f.amountOf("/resources/memory_gib", b.Resources.MemoryGiB),
		},
	}
	if err := f.Err(); err != nil {
		return api.Job{}, err
	}
	shown, err := u.jobs.Create(u.tx, u.id, request)
	return jobOnWire(&shown), err
}

func changeJob(u *unit, p *JobPath, b *api.JobChange) (api.Job, error) {
	var f fields
	change := job.Change{Name: b.Name, MaxRuntime: nanoseconds(b.MaxRuntimeSeconds)}
	if b.MaxCost != nil {
		most := f.positive("/max_cost", *b.MaxCost)
		change.MaxCost = &most
	}
	if err := f.Err(); err != nil {
		return api.Job{}, err
	}
	shown, err := u.jobs.Change(u.tx, u.id, p.Job, change)
	return jobOnWire(&shown), err
}

func listJobs(r *reading, p *struct {
	WorkspacePath
	api.JobQuery
}) (list api.List[api.Job], err error) {
	before, err := cursorText(p.Cursor)
	if err != nil {
		return list, err
	}
	q := job.Query{Status: job.Status(p.Status), Project: p.Project, Before: before, Limit: p.Limit}
	if p.Status == "active" {
		q.Status, q.Active = "", true
	}
	shown, next, err := r.jobs.List(r.ctx, r.id, q)
	if err != nil {
		return list, err
	}
	list, err = listed(shown, "", func(j job.Shown) (api.Job, error) { return r.job(&j), nil })
	if next != "" {
		list.NextCursor = cursorOf(next)
	}
	return list, err
}

// job is a job as the actor may see it: of its environment, who may not run in its project
// learns the names alone, for there are secrets among the values.
func (r *reading) job(j *job.Shown) api.Job {
	out := jobOnWire(j)
	in := org.Target{Organization: r.id.Organization, Workspace: r.id.Workspace, Project: j.Request.Project}
	if len(out.Env) > 0 && org.Can(r.actor, org.Run, in) != nil {
		out.Env = maps.Clone(out.Env)
		for name := range out.Env {
			out.Env[name] = audit.Redacted
		}
	}
	return out
}

// limit reads a largest cost, which may be missing but not zero.
func (f *fields) limit(pointer string, text api.Amount) credit.Amount {
	if text == "" {
		return 0
	}
	return f.positive(pointer, text)
}

// amountOf reads a quantity of a resource, which may be missing but not zero.
func (f *fields) amountOf(pointer string, text api.Quantity) credit.Quantity {
	if text == "" {
		return 0
	}
	q := f.quantity(pointer, text)
	if q <= 0 {
		f.Add(pointer, "must be more than 0")
	}
	return q
}

func nanoseconds(seconds *int64) *int64 {
	if seconds == nil {
		return nil
	}
	ns := *seconds * db.Second
	return &ns
}

func jobOnWire(j *job.Shown) api.Job {
	q := &j.Request
	out := api.Job{
		ID: j.ID, Name: q.Name, Status: string(j.Status), Reason: jobReason(j), Command: q.Command, Env: q.Env,
		WorkingDir: q.WorkingDir, Resources: resourcesOnWire(q.Resources), Tier: q.Tier, Project: q.Project, User: q.User,
		Rate: amount(j.Rate), Accrued: amount(j.Accrued), Charged: amount(j.Charged), MaxCost: amountOrNone(q.MaxCost),
		MaxRuntimeSeconds: q.MaxRuntime / db.Second, GraceSeconds: j.Grace / db.Second, QueuePosition: int64(j.Position),
		CreatedAt: api.At(j.CreatedAt), StartedAt: api.AtOrNull(j.StartedAt), LandingAt: api.AtOrNull(j.LandAt),
		StopAt: api.AtOrNull(j.StopAt), StopReason: j.StopReason, LeaseUntil: api.AtOrNull(j.LeaseUntil),
		EndedAt: api.AtOrNull(j.EndedAt), Resumable: j.ResumableUntil > j.At, ResumableUntil: api.AtOrNull(j.ResumableUntil),
		Run: max(len(j.Runs), 1), AsOf: api.At(j.At), Classes: []api.Class{},
	}
	if out.Tier == "" {
		out.Tier = price.OnDemand
	}
	if code := j.ExitCode(); code >= 0 && j.Status.Ended() {
		out.ExitCode = &code
	}
	if n := len(j.Runs); n > 0 {
		run := &j.Runs[n-1]
		out.Flow, out.Signal, out.Checkpoint = run.Flow, run.Signal, run.Checkpoint
		if run.EndedAt > 0 && j.Status.Ended() && run.Killed != "" {
			out.LateNanoseconds = &run.LateNs
		}
	}
	if j.Flow != nil && !j.Flow.Status.Ended() {
		out.Classes = flowClasses(j.Flow)
	}
	return out
}

// jobReason is the reason in a word, and what went wrong behind it.
func jobReason(j *job.Shown) string {
	switch {
	case j.Status == job.StatusQueued && j.Behind != "":
		return "waits for " + j.Behind
	case j.Detail != "" && j.Reason != "":
		return j.Reason + ": " + j.Detail
	case j.Detail != "":
		return j.Detail
	case j.Reason == job.ReasonRequest && j.Stopped != nil && j.Stopped.Reason != "":
		return j.Reason + ": " + j.Stopped.Reason
	}
	return j.Reason
}

func resourcesOnWire(r job.Resources) api.Resources {
	out := api.Resources{GPU: r.GPU, GPUCount: r.GPUCount}
	if r.CPU > 0 {
		out.CPU = quantity(r.CPU)
	}
	if r.MemoryGiB > 0 {
		out.MemoryGiB = quantity(r.MemoryGiB)
	}
	return out
}
