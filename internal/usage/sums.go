package usage

import (
	"encoding/json"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// sums adds charges up by group, and remembers the sums for a page. Only the charges of
// the statement's period count: those from one number on and before another.
type sums struct {
	books       *ledger.Ledger
	tx          *db.Tx
	id          ledger.ID
	first, next int64
	jobs        map[string]sum
	days        map[int64]map[group]sum
}

func (s *sums) of(g group) (sum, error) {
	if g.job != "" {
		return s.ofJob(g.job)
	}
	byGroup, err := s.ofDay(g.day)
	return byGroup[g], err
}

func (s *sums) ofJob(job string) (sum, error) {
	if known, ok := s.jobs[job]; ok {
		return known, nil
	}
	parts, err := s.add(0, s.first, s.next, "job <> '' AND job = $5", job) // the index leaves out charges without a job
	if err != nil {
		return sum{}, fmt.Errorf("sum up job %s: %w", job, err)
	}
	all := sum{}
	for _, part := range parts {
		all.join(part)
	}
	if s.jobs == nil {
		s.jobs = map[string]sum{}
	}
	s.jobs[job] = all
	return all, nil
}

// ofDay adds up what no job used and was recorded on a day, by group.
func (s *sums) ofDay(begin int64) (map[group]sum, error) {
	if known, ok := s.days[begin]; ok {
		return known, nil
	}
	first, err := s.books.FirstCharge(s.tx, s.id, begin)
	if err != nil {
		return nil, err
	}
	next, err := s.books.FirstCharge(s.tx, s.id, begin+db.Day)
	if err != nil {
		return nil, err
	}
	byGroup, err := s.add(begin, max(first, s.first), min(next, s.next), "job = ''")
	if err != nil {
		return nil, fmt.Errorf("sum up a day: %w", err)
	}
	if s.days == nil {
		s.days = map[int64]map[group]sum{}
	}
	s.days[begin] = byGroup
	return byGroup, nil
}

// add sums up the charges that took something, by group: as if all of a job, too, were
// of one day and of none.
func (s *sums) add(day, first, next int64, which string, args ...any) (map[group]sum, error) {
	args = append([]any{s.id.Organization, s.id.Workspace, first, next}, args...)
	where := ` FROM charges WHERE organization = $1 AND workspace = $2 AND no >= $3 AND no < $4 AND amount > 0 AND ` + which
	const by = `project, user_id, sku, CASE WHEN flow = '' THEN 0 ELSE 1 END`
	const hasUncovered = `(slices LIKE '%"` + wallet.OverrunLot + `"%' OR slices LIKE '%"` + wallet.OwedLot + `"%')`
	found, isCovered := map[group]sum{}, true
	add := func(project, user, sku string, isFlow int64, part sum) {
		g := groupOf("", project, user, sku, isFlow == 1, day)
		all := found[g]
		all.join(part)
		found[g] = all
	}
	err := s.tx.Each(func(r db.Scanner) error {
		var part sum
		var project, user, sku string
		var isFlow, isUncovered int64
		err := r.Scan(&project, &user, &sku, &isFlow, &part.last, &part.amount, &isUncovered)
		part.skus, isCovered = []string{sku}, isCovered && isUncovered == 0
		add(project, user, sku, isFlow, part)
		return err
	}, `SELECT `+by+`, MAX(no), CAST(SUM(amount) AS BIGINT), MAX(CASE WHEN `+hasUncovered+` THEN 1 ELSE 0 END)`+where+` GROUP BY 1, 2, 3, 4`, args...)
	if err != nil || isCovered {
		return found, err
	}
	return found, s.tx.Each(func(r db.Scanner) error {
		var project, user, sku, text string
		var isFlow int64
		if err := r.Scan(&project, &user, &sku, &isFlow, &text); err != nil {
			return err
		}
		part, err := uncovered(text)
		add(project, user, sku, isFlow, part)
		return err
	}, `SELECT `+by+`, slices`+where+` AND `+hasUncovered, args...)
}

// uncovered is which slices of a charge did not come from the balance.
func uncovered(text string) (part sum, err error) {
	var taken []wallet.Slice
	err = json.Unmarshal([]byte(text), &taken)
	for _, t := range taken {
		switch t.Lot {
		case wallet.OverrunLot:
			part.overrun += t.Amount
		case wallet.OwedLot:
			part.owed += t.Amount
		}
	}
	return part, err
}
