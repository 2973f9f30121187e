package api

// NewProject asks for a project of a workspace.
type NewProject struct {
	Slug   string              `json:"slug" doc:"What flows, holds, jobs and usage name it by." minLength:"1" maxLength:"63" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" example:"vision"`
	Name   string              `json:"name,omitempty" doc:"Its name for people; the slug if missing." maxLength:"200"`
	Policy ProjectPolicyChange `json:"policy" required:"false" doc:"What may run in it; anything if missing."`
}

// Project is a slice of a workspace's spending, with a policy.
type Project struct {
	ID         string        `json:"id" example:"prj_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Slug       string        `json:"slug" example:"vision"`
	Name       string        `json:"name"`
	Policy     ProjectPolicy `json:"policy"`
	CreatedAt  Instant       `json:"created_at" format:"date-time"`
	ArchivedAt *Instant      `json:"archived_at" format:"date-time" doc:"Since when nothing new may start in it."`
}

// ProjectChange changes what it names of a project, and leaves the rest.
type ProjectChange struct {
	Name *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
}

// ProjectPolicy is what may run in a project. What is not there is not limited.
type ProjectPolicy struct {
	Tiers             []string `json:"tiers,omitempty" doc:"The tiers that may be used, of gpu.*, cpu.* and memory.*."`
	SKUs              []string `json:"skus,omitempty" doc:"The SKUs that may be used; * stands for anything." example:"gpu.*"`
	RequiredTier      string   `json:"required_tier,omitempty" doc:"The one tier that may be used."`
	DefaultTier       string   `json:"default_tier,omitempty" doc:"What is meant where no tier is named."`
	MaxGPUs           int64    `json:"max_gpus,omitempty" doc:"How many GPUs at once: of running flows, and of jobs that wait."`
	GPUHoursPerMonth  Quantity `json:"gpu_hours_per_month,omitempty" doc:"A month of UTC. Nothing starts that would use them up within the wallet's min_runway; what runs is not stopped by it: a hard budget does that."`
	MaxRuntimeSeconds int64    `json:"max_runtime_seconds,omitempty" doc:"The longest that a flow, or all runs of a job, may last."`
}

// ProjectPolicyChange changes what it names of a policy, and leaves the rest. What is
// empty or 0 is no longer limited. What runs goes on as it was let in.
type ProjectPolicyChange struct {
	Tiers             *[]string `json:"tiers,omitempty" maxItems:"3"`
	SKUs              *[]string `json:"skus,omitempty" maxItems:"50"`
	RequiredTier      *string   `json:"required_tier,omitempty" enum:",spot,on-demand,reserved"`
	DefaultTier       *string   `json:"default_tier,omitempty" enum:",spot,on-demand,reserved"`
	MaxGPUs           *int64    `json:"max_gpus,omitempty" minimum:"0" maximum:"1000000"`
	GPUHoursPerMonth  *Quantity `json:"gpu_hours_per_month,omitempty"`
	MaxRuntimeSeconds *int64    `json:"max_runtime_seconds,omitempty" minimum:"0" maximum:"31536000"`
}

// ProjectRules is what holds for all projects of a workspace.
type ProjectRules struct {
	StrictProjects bool `json:"strict_projects" doc:"Whether what starts must name a project that there is. Else any name may stand for one, and none."`
}
