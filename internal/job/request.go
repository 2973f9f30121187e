package job

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// The limits of a request.
const (
	maxName     = 200              // bytes
	maxArgs     = 1000             // program and arguments
	maxText     = 100 << 10        // bytes, of the command and of the environment each; Linux takes 128 KiB in one string
	maxEnv      = 500              // variables
	maxPath     = 4000             // bytes
	maxGPUs     = 100_000          // in one job
	maxQuantity = 1_000_000_000    // vCPUs or GiB
	maxRuntime  = 10 * 365 * 86400 // seconds
	maxGrace    = 24 * 3600        // seconds
)

// problems gathers what is wrong with a request, so that all of it is said at
// once.
type problems []fault.Field

func (p *problems) add(pointer, message string) {
	*p = append(*p, fault.Field{Pointer: pointer, Message: message})
}

func (p *problems) when(bad bool, pointer, message string) {
	if bad {
		p.add(pointer, message)
	}
}

func (p problems) fault() error {
	if len(p) == 0 {
		return nil
	}
	f := fault.New(fault.Invalid, "%s: %s", p[0].Pointer, p[0].Message)
	f.Fields = p
	return f
}

// complete fills in what may be left out, in the request itself. A job that
// asks for nothing takes one vCPU: nothing runs silently free.
func (q *Request) complete() {
	q.Resources.GPU = strings.TrimPrefix(q.Resources.GPU, "gpu.")
	if q.Resources.GPU != "" && q.Resources.GPUCount == 0 {
		q.Resources.GPUCount = 1
	}
	if q.Resources == (Resources{}) {
		q.Resources.CPU = credit.Units
	}
	if q.Name == "" && len(q.Command) > 0 {
		q.Name = filepath.Base(q.Command[0])
		if len(q.Name) > maxName {
			q.Name = strings.ToValidUTF8(q.Name[:maxName], "") // a character may have been cut
		}
	}
}

// check says everything that is wrong with the request, or nil.
func (q *Request) check() error {
	var p problems
	p.when(len(q.Name) > maxName, "/name", "is longer than 200 bytes")
	p.when(strings.ContainsFunc(q.Name, unicode.IsControl), "/name", "has control characters")
	q.checkCommand(&p)
	q.checkEnv(&p)
	p.when(q.WorkingDir != "" && !filepath.IsAbs(q.WorkingDir), "/working_dir", "must be an absolute path")
	p.when(len(q.WorkingDir) > maxPath || strings.ContainsRune(q.WorkingDir, 0), "/working_dir", "is too long or has a NUL")
	q.checkResources(&p)
	p.when(q.MaxCost < 0, "/max_cost", "must be more than 0")
	p.when(q.MaxRuntime < 0 || q.MaxRuntime > maxRuntime*db.Second, "/max_runtime_seconds", "must be between 1 second and ten years")
	if q.Grace != nil {
		p.when(*q.Grace < 0 || *q.Grace > maxGrace*db.Second, "/grace_seconds", "must be between 0 and a day")
		p.when(q.MaxRuntime > 0 && *q.Grace >= q.MaxRuntime, "/grace_seconds", "must be less than max_runtime_seconds")
	}
	return p.fault()
}

func (q *Request) checkCommand(p *problems) {
	size := 0
	for _, arg := range q.Command {
		size += len(arg) + 1
	}
	p.when(len(q.Command) == 0 || q.Command[0] == "", "/command", "must name a program")
	p.when(len(q.Command) > maxArgs || size > maxText, "/command", "is too long: at most 1,000 arguments and 100 KiB")
	p.when(slices.ContainsFunc(q.Command, hasNUL), "/command", "has a NUL")
}

func hasNUL(s string) bool { return strings.ContainsRune(s, 0) }

// ours are the variables that Purser sets itself.
var ours = []string{"PURSER_JOB_ID", "PURSER_WORKSPACE", "PURSER_CHECKPOINT_FILE", "PURSER_LANDING_FILE", "PURSER_RESUMED"}

func (q *Request) checkEnv(p *problems) {
	size := 0
	for _, name := range slices.Sorted(maps.Keys(q.Env)) {
		value := q.Env[name]
		size += len(name) + len(value) + 2
		pointer := "/env/" + fault.Escape(name)
		p.when(name == "" || strings.ContainsAny(name, "=\x00") || hasNUL(value), pointer, "is no environment variable: no name, or = or NUL in it")
		p.when(slices.Contains(ours, name), pointer, "is set by purser")
	}
	p.when(len(q.Env) > maxEnv || size > maxText, "/env", "is too large: at most 500 variables and 100 KiB")
}

func (q *Request) checkResources(p *problems) {
	r := q.Resources
	p.when(r.GPU == "" && r.GPUCount != 0, "/resources/gpu", "is missing: gpu_count is set")
	p.when(r.GPUCount < 0 || r.GPUCount > maxGPUs, "/resources/gpu_count", "must be between 1 and 100,000")
	p.when(r.CPU < 0 || r.CPU > maxQuantity*credit.Units, "/resources/cpu", "must be more than 0 and at most 10^9")
	p.when(r.MemoryGiB < 0 || r.MemoryGiB > maxQuantity*credit.Units, "/resources/memory_gib", "must be more than 0 and at most 10^9")
}
