package job

import (
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/wallet"
)

// obey fills in what the policy of its project says where the request says nothing: the
// tier, and for how long it may run.
func (q *Request) obey(place project.Place) {
	for _, n := range q.needs() { // a job has one tier, and one resource that comes in tiers at least
		q.Tier = place.Tier(q.Tier, n.sku)
	}
	if q.MaxRuntime == 0 {
		q.MaxRuntime = place.Runtime()
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
