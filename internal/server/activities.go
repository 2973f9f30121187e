package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/usage"
)

func (s *Server) activityCalls() {
	query(s, call{
		id: "list-activities", method: "GET", path: "/v1/workspaces/{workspace}/activities", tag: tagUsage, action: org.Account,
		summary:     "List the lines of the account statement, the newest first",
		description: "Additions, deductions (one line per job, or per day for what has no job), expiries, transfers and refunds.",
	}, listActivities)
}

func listActivities(r *reading, p *struct {
	WorkspacePath
	api.ActivityQuery
}) (list api.List[api.Activity], err error) {
	var f fields
	q := usage.ActivityQuery{
		Kind: usage.ActivityKind(p.Kind), From: f.instant("from", p.From), To: f.instant("to", p.To), Limit: p.Limit, Cursor: p.Cursor,
	}
	if err := f.Err(); err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		lines, next, err := r.usage.Activities(tx, r.id, q)
		if err != nil {
			return err
		}
		list, err = listed(lines, next, activityOnWire)
		return err
	})
	return list, err
}

func activityOnWire(a usage.Activity) (api.Activity, error) {
	return api.Activity{
		ID: a.ID, At: api.At(a.At), Kind: string(a.Kind), Description: a.Description, Source: a.Source, Project: a.Project,
		Amount: amount(a.Amount), BalanceAfter: amount(a.BalanceAfter), Open: a.Open,
	}, nil
}
