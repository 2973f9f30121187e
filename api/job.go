package api

// NewJob asks to run a command.
type NewJob struct {
	Name              string            `json:"name,omitempty" maxLength:"200" example:"train"`
	Command           []string          `json:"command" minItems:"1" maxItems:"1000" doc:"The program and its arguments."`
	Env               map[string]string `json:"env,omitempty" doc:"Added to the environment of the executor."`
	WorkingDir        string            `json:"working_dir,omitempty" maxLength:"4096"`
	Resources         Resources         `json:"resources" required:"false"`
	Tier              string            `json:"tier,omitempty" enum:"spot,on-demand,reserved" doc:"on-demand if missing."`
	Project           string            `json:"project,omitempty" maxLength:"200"`
	User              string            `json:"user,omitempty" maxLength:"200" doc:"Whose it is: you if missing. Only who may govern or manage names another."`
	Region            string            `json:"region,omitempty" maxLength:"100"`
	MaxCost           Amount            `json:"max_cost,omitempty" doc:"Held for this job, which is stopped exactly when it is used up."`
	MaxRuntimeSeconds int64             `json:"max_runtime_seconds,omitempty" minimum:"1" maximum:"31536000" doc:"After which it is stopped."`
	GraceSeconds      *int64            `json:"grace_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long before it is stopped it is signalled to checkpoint; the workspace's policy if missing."`
}

// Resources is what a job needs. Without any it needs one vCPU.
type Resources struct {
	GPU       string   `json:"gpu,omitempty" maxLength:"60" doc:"The model, as in gpu.MODEL." example:"h100"`
	GPUCount  int64    `json:"gpu_count,omitempty" minimum:"1" maximum:"100000" doc:"1 if missing."`
	CPU       Quantity `json:"cpu,omitempty" doc:"vCPUs."`
	MemoryGiB Quantity `json:"memory_gib,omitempty"`
}

// Job is a command that an executor runs and a flow pays.
type Job struct {
	ID                string            `json:"id" example:"job_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Name              string            `json:"name"`
	Status            string            `json:"status" enum:"queued,starting,running,landing,succeeded,failed,stopped,exhausted"`
	Reason            string            `json:"reason,omitempty" doc:"Why it waits, is landing or has ended."`
	Command           []string          `json:"command"`
	Env               map[string]string `json:"env,omitempty" doc:"Whoever may not run in the project sees [redacted] for each value."`
	WorkingDir        string            `json:"working_dir,omitempty"`
	Resources         Resources         `json:"resources"`
	Tier              string            `json:"tier"`
	Project           string            `json:"project,omitempty"`
	User              string            `json:"user,omitempty"`
	Rate              Amount            `json:"rate" doc:"Credits per hour, rounded up at the ninth place; for display."`
	Accrued           Amount            `json:"accrued" doc:"Not yet in a charge."`
	Charged           Amount            `json:"charged" doc:"All of it over all runs, net of refunds: up to as_of, or to the end."`
	MaxCost           Amount            `json:"max_cost,omitempty"`
	MaxRuntimeSeconds int64             `json:"max_runtime_seconds,omitempty"`
	GraceSeconds      int64             `json:"grace_seconds"`
	QueuePosition     int64             `json:"queue_position,omitempty" doc:"While queued: 1 is next."`
	CreatedAt         Instant           `json:"created_at" format:"date-time"`
	StartedAt         *Instant          `json:"started_at" format:"date-time" doc:"Since when it is charged: waiting and starting are free."`
	LandingAt         *Instant          `json:"landing_at" format:"date-time" doc:"When it will be, or was, signalled to checkpoint."`
	StopAt            *Instant          `json:"stop_at" format:"date-time" doc:"When it will be stopped, as things stand."`
	StopReason        string            `json:"stop_reason,omitempty" doc:"What will stop it then: credits, budget, max_cost, max_runtime or request."`
	LeaseUntil        *Instant          `json:"lease_until,omitempty" format:"date-time" doc:"Until when it runs on its own if the server is gone."`
	EndedAt           *Instant          `json:"ended_at" format:"date-time"`
	ExitCode          *int              `json:"exit_code" doc:"Of its last run; 128 and the number of the signal if one ended it, 127 if its program was not found, 126 if it cannot be executed."`
	Signal            string            `json:"signal,omitempty" doc:"The signal that ended it, such as SIGKILL."`
	LateNanoseconds   *int64            `json:"late_nanoseconds,omitempty" doc:"How long after the computed instant the executor's kill came; nobody pays for it."`
	Checkpoint        bool              `json:"checkpoint" doc:"It has said that a checkpoint is done."`
	Resumable         bool              `json:"resumable"`
	ResumableUntil    *Instant          `json:"resumable_until,omitempty" format:"date-time"`
	Run               int               `json:"run" doc:"1, and one more each time it is resumed."`
	Flow              string            `json:"flow,omitempty" doc:"The flow of its last run."`
	AsOf              Instant           `json:"as_of" format:"date-time"`
	Classes           []Class           `json:"classes" doc:"What it costs, for clients that tick by themselves; empty when it does not run."`
}

// Ended reports whether the job is over.
func (j Job) Ended() bool {
	switch j.Status {
	case "succeeded", "failed", "stopped", "exhausted":
		return true
	}
	return false
}

// JobQuery filters jobs, which are listed from the newest on.
type JobQuery struct {
	Status  string `query:"status" enum:"queued,starting,running,landing,succeeded,failed,stopped,exhausted,active" doc:"active is everything that has not ended."`
	Project string `query:"project" maxLength:"200"`
	Page
}

// JobStop ends a job.
type JobStop struct {
	Now          bool   `json:"now,omitempty" doc:"Kill it at once, without letting it checkpoint."`
	GraceSeconds *int64 `json:"grace_seconds,omitempty" minimum:"0" maximum:"86400" doc:"Between the signal and the kill; the job's own if missing."`
	Reason       string `json:"reason,omitempty" maxLength:"200"`
}

// JobChange changes what bounds a job, or what it is called.
type JobChange struct {
	Name              *string `json:"name,omitempty" maxLength:"200"`
	MaxCost           *Amount `json:"max_cost,omitempty" doc:"Only for a job that has one."`
	MaxRuntimeSeconds *int64  `json:"max_runtime_seconds,omitempty" minimum:"1" maximum:"31536000"`
}

// JobResume starts a job again from its checkpoint. Its bounds are those of all
// runs together.
type JobResume struct {
	MaxCost           Amount `json:"max_cost,omitempty" doc:"What all runs together may cost; as before if missing."`
	MaxRuntimeSeconds int64  `json:"max_runtime_seconds,omitempty" minimum:"1" maximum:"31536000" doc:"How long all runs together may take; as before if missing."`
}

// LogQuery asks for the output of a job, as bytes.
type LogQuery struct {
	Follow bool  `query:"follow" doc:"Go on until the job has ended."`
	Offset int64 `query:"offset" minimum:"0" doc:"Begin at this byte."`
	Tail   int64 `query:"tail" minimum:"0" maximum:"100000" doc:"Begin with the last so many lines."`
}

// LogOffset is the header of an answer that says at which byte it begins.
const LogOffset = "Purser-Log-Offset"
