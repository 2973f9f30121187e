package usage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
)

// What a line of deductions is of, if not of a job.
const (
	fromJob     = "job"
	fromStorage = "storage"
	fromTokens  = "tokens"
	fromUsage   = "usage" // reported usage, and captures of holds
	fromFlow    = "flow"  // what ran
)

// group is what shares a line of the statement: the charges of a job, or those of no job
// that were recorded on a UTC day, of one sort, for a project and a user.
type group struct {
	from          string
	job           string
	day           int64
	project, user string // of the day; a job has its own
}

func groupOf(job, project, user, sku string, isFlow bool, recordedAt int64) group {
	if job != "" {
		return group{from: fromJob, job: job}
	}
	g := group{from: fromUsage, day: recordedAt - recordedAt%db.Day, project: project, user: user}
	switch family, _, _ := strings.Cut(sku, "."); {
	case family == "storage":
		g.from = fromStorage
	case family == "llm":
		g.from = fromTokens
	case isFlow:
		g.from = fromFlow
	}
	return g
}

func (g group) source() string {
	if g.job != "" {
		return g.job
	}
	return time.Unix(0, g.day).UTC().Format(time.DateOnly)
}

func (g group) String() string {
	if g.job != "" {
		return g.job
	}
	return strings.Join([]string{g.source(), g.from, g.project, g.user}, "_")
}

// headings begin the descriptions of deductions.
var headings = map[string]string{
	fromJob: "Job", fromStorage: "Storage", fromTokens: "Tokens", fromUsage: "Usage", fromFlow: "Resources without a job",
}

// describe says what was used, and what of it nobody pays for.
func (g group) describe(s sum) string {
	what := headings[g.from]
	if len(s.skus) > 0 {
		what += ": " + skuText(s.skus[0])
		for _, sku := range s.skus[1:min(len(s.skus), 3)] {
			what += ", " + sku
		}
	}
	if more := len(s.skus) - 3; more > 0 {
		what += fmt.Sprintf(" and %d more", more)
	}
	if s.overrun > 0 {
		what += fmt.Sprintf("; %s of it was not covered, and is the operator's loss", s.overrun)
	}
	if s.owed > 0 {
		what += fmt.Sprintf("; %s of it is owed for retained storage", s.owed)
	}
	return what
}

// skuText names what was charged: of the capture of an amount that is only known
// to be the amount of a hold.
func skuText(sku string) string {
	if sku == "" {
		return "amounts held"
	}
	return sku
}

// sum is what the charges of a group come to.
type sum struct {
	last          int64 // the number of the last charge that took something
	amount        credit.Amount
	overrun, owed credit.Amount // what of it did not come from the balance
	skus          []string
}

func (s sum) taken() credit.Amount { return s.amount - s.overrun - s.owed }

func (s *sum) join(part sum) {
	s.last = max(s.last, part.last)
	s.amount += part.amount
	s.overrun += part.overrun
	s.owed += part.owed
	s.skus = append(s.skus, part.skus...)
	slices.Sort(s.skus)
	s.skus = slices.Compact(s.skus)
}
