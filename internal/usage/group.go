package usage

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// group is what shares a line of the statement: the charges of a job, or those
// of no job that were recorded on a UTC day for a project.
type group struct {
	job     string
	day     int64
	project string // of the day; a job has its own
}

func groupOf(job, project string, recordedAt int64) group {
	if job != "" {
		return group{job: job}
	}
	return group{day: recordedAt - recordedAt%day, project: project}
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
	return g.source() + "_" + g.project
}

// describe says what was used, and what of it nobody pays for.
func (g group) describe(s sum) string {
	what := "usage"
	if len(s.skus) > 0 {
		what = skuText(s.skus[0])
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

// sums adds charges up by group, and remembers the sums for a page.
type sums struct {
	books *ledger.Ledger
	tx    *db.Tx
	id    ledger.ID
	jobs  map[string]sum
	days  map[int64]map[string]sum // by project
}

func (s *sums) of(g group) (sum, error) {
	if g.job != "" {
		return s.ofJob(g.job)
	}
	byProject, err := s.ofDay(g.day)
	return byProject[g.project], err
}

func (s *sums) ofJob(job string) (sum, error) {
	if known, ok := s.jobs[job]; ok {
		return known, nil
	}
	byProject, err := s.add("job = $3 AND job <> ''", job) // the index leaves out charges without a job
	if err != nil {
		return sum{}, fmt.Errorf("sum up job %s: %w", job, err)
	}
	all := sum{}
	for _, part := range byProject {
		all.join(part)
	}
	if s.jobs == nil {
		s.jobs = map[string]sum{}
	}
	s.jobs[job] = all
	return all, nil
}

func (s *sum) join(part sum) {
	s.last = max(s.last, part.last)
	s.amount += part.amount
	s.overrun += part.overrun
	s.owed += part.owed
	s.skus = append(s.skus, part.skus...)
	slices.Sort(s.skus)
	s.skus = slices.Compact(s.skus)
}

// ofDay adds up what no job used and was recorded on a day, by project.
func (s *sums) ofDay(begin int64) (map[string]sum, error) {
	if known, ok := s.days[begin]; ok {
		return known, nil
	}
	first, err := s.books.FirstCharge(s.tx, s.id, begin)
	if err != nil {
		return nil, err
	}
	next, err := s.books.FirstCharge(s.tx, s.id, begin+day)
	if err != nil {
		return nil, err
	}
	byProject, err := s.add("job = '' AND no >= $3 AND no < $4", first, next)
	if err != nil {
		return nil, fmt.Errorf("sum up a day: %w", err)
	}
	if s.days == nil {
		s.days = map[int64]map[string]sum{}
	}
	s.days[begin] = byProject
	return byProject, nil
}

// add sums up the charges that took something, by project.
func (s *sums) add(which string, args ...any) (map[string]sum, error) {
	args = append([]any{s.id.Organization, s.id.Workspace}, args...)
	where := ` FROM charges WHERE organization = $1 AND workspace = $2 AND amount > 0 AND ` + which
	found := map[string]sum{}
	err := s.tx.Each(func(r db.Scanner) error {
		var part sum
		var project, sku string
		err := r.Scan(&project, &sku, &part.last, &part.amount)
		part.skus = []string{sku}
		all := found[project]
		all.join(part)
		found[project] = all
		return err
	}, `SELECT project, sku, MAX(no), CAST(SUM(amount) AS BIGINT)`+where+` GROUP BY project, sku ORDER BY sku`, args...)
	if err != nil {
		return nil, err
	}
	return found, s.tx.Each(func(r db.Scanner) error {
		var project, text string
		if err := r.Scan(&project, &text); err != nil {
			return err
		}
		all := found[project]
		err := all.uncover(text)
		found[project] = all
		return err
	}, `SELECT project, slices`+where+` AND (slices LIKE '%"`+wallet.OverrunLot+`"%' OR slices LIKE '%"`+wallet.OwedLot+`"%')`, args...)
}

// uncover notes which slices of a charge did not come from the balance.
func (s *sum) uncover(text string) error {
	var taken []wallet.Slice
	if err := json.Unmarshal([]byte(text), &taken); err != nil {
		return err
	}
	for _, t := range taken {
		switch t.Lot {
		case wallet.OverrunLot:
			s.overrun += t.Amount
		case wallet.OwedLot:
			s.owed += t.Amount
		}
	}
	return nil
}
