package job

import (
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/wallet"
)

// inTier fills in the tier that its project means where a new request names none. All
// resources of a job come in tiers.
func (q *Request) inTier(place project.Place) {
	for _, n := range q.needs() {
		q.Tier = place.Tier(q.Tier, n.sku)
	}
}

// permitted refuses what the policy of the job's project forbids at this instant, and
// bounds a job that nothing bounded when it was admitted. All runs of a job together may
// last as long as anything may. What it holds for its start it has already.
func (s *Service) permitted(tx *db.Tx, j *Job, items []wallet.Item) error {
	place, err := s.Projects.At(tx, j.Wallet, j.Request.Project)
	if err != nil {
		return err
	}
	if j.Request.MaxRuntime == 0 {
		j.Request.MaxRuntime = place.Runtime()
	}
	return place.Admit(tx, project.Work{Items: items, Hold: j.Hold, Runtime: j.Request.MaxRuntime})
}
