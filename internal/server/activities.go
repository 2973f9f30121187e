package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/usage"
)

const aboutActivities = "Additions, deductions (one line per job; for what has no job one per day, project and user, of storage, tokens, usage and " +
	"what ran), expiries, transfers, refunds, withdrawals and corrections. The lines of a period and its opening balance come to its closing balance."

func (s *Server) activityCalls() {
	query(s, call{
		id: "list-activities", method: "GET", path: "/v1/workspaces/{workspace}/activities", tag: tagUsage, action: org.Account,
		summary: "List the lines of the account statement, the newest first", description: aboutActivities,
	}, listActivities)
	query(s, call{
		id: "list-organization-activities", method: "GET", path: "/v1/organizations/{organization}/activities", tag: tagUsage, action: org.Account,
		summary:     "List the lines of the account statements of all workspaces",
		description: aboutActivities + " One workspace comes after the other, by their slugs; within each the newest line is first.",
	}, listOrganizationActivities)
	exported(s, call{
		id: "export-activities", method: "GET", path: "/v1/workspaces/{workspace}/activities/export", tag: tagUsage, action: org.Account,
		summary: "Export the account statement", description: "All lines that the list has on its pages. " + aboutExport,
	}, func(r *reading, p *struct {
		WorkspacePath
		api.ActivityExport
	}) (*export[api.Activity], error) {
		return r.activityPages(p.ActivityExport, r.activities)
	})
	exported(s, call{
		id: "export-organization-activities", method: "GET", path: "/v1/organizations/{organization}/activities/export", tag: tagUsage, action: org.Account,
		summary: "Export the account statements of all workspaces", description: "All lines that the list has on its pages. " + aboutExport,
	}, func(r *reading, p *struct {
		OrganizationPath
		api.ActivityExport
	}) (*export[api.Activity], error) {
		return r.activityPages(p.ActivityExport, r.organizationActivities)
	})
}

func listActivities(r *reading, p *struct {
	WorkspacePath
	api.ActivityQuery
}) (out api.Statement, err error) {
	q, err := statementQuery(p.ActivityFilter)
	if err != nil {
		return out, err
	}
	q.Limit, q.Cursor = p.Limit, p.Cursor
	err = r.view(func(tx *db.Tx) error {
		lines, next, err := r.activities(tx, q)
		if err != nil {
			return err
		}
		out = statement(lines, next)
		if q.Cursor != "" {
			return nil
		}
		opening, closing, err := r.usage.Balances(tx, r.id, q.From, q.To)
		before, after := amount(opening), amount(closing)
		out.OpeningBalance, out.ClosingBalance = &before, &after
		return err
	})
	return out, err
}

func listOrganizationActivities(r *reading, p *struct {
	OrganizationPath
	api.ActivityQuery
}) (out api.Statement, err error) {
	q, err := statementQuery(p.ActivityFilter)
	if err != nil {
		return out, err
	}
	q.Limit, q.Cursor = p.Limit, p.Cursor
	err = r.view(func(tx *db.Tx) error {
		lines, next, err := r.organizationActivities(tx, q)
		out = statement(lines, next)
		return err
	})
	return out, err
}

func statement(lines []api.Activity, next string) api.Statement {
	out := api.Statement{Items: lines}
	if out.Items == nil {
		out.Items = []api.Activity{}
	}
	if next != "" {
		out.NextCursor = &next
	}
	return out
}

// statementQuery reads what a request asks for.
func statementQuery(p api.ActivityFilter) (q usage.ActivityQuery, err error) {
	var f fields
	q = usage.ActivityQuery{
		Kind: usage.ActivityKind(p.Kind), Source: p.Source, Project: p.Project, User: p.User, Job: p.Job, Text: p.Text,
		Least: f.bound("min_amount", p.MinAmount), Most: f.bound("max_amount", p.MaxAmount),
		From: f.instant("from", p.From), To: f.instant("to", p.To),
	}
	if p.Month != "" {
		month, wrong := time.Parse("2006-01", p.Month)
		switch {
		case wrong != nil || month.Year() < 1970 || month.Year() > 2261:
			f.Add("month", "is not a month such as 2026-11")
		case q.From != 0 || q.To != 0:
			f.Add("month", "stands for from and to: send it, or them")
		}
		q.From, q.To = month.UnixNano(), month.AddDate(0, 1, 0).UnixNano()
	}
	return q, f.Err()
}

// bound is an amount without a sign; 0 if there is none.
func (f *fields) bound(pointer string, text api.Amount) credit.Amount {
	if text == "" {
		return 0
	}
	return f.natural(pointer, text)
}

// activities is a page of the statement of the workspace that the path names.
func (r *reading) activities(tx *db.Tx, q usage.ActivityQuery) (out []api.Activity, next string, err error) {
	lines, next, err := r.usage.Activities(tx, r.id, q)
	for _, a := range lines {
		out = append(out, activityOnWire(r.id.Workspace, a))
	}
	return out, next, err
}

// maxWorkspaces is how many workspaces one page looks at: it may have fewer lines than
// its limit, or none, and still not be the last.
const maxWorkspaces = 100

// organizationActivities is a page of the statements of an organization. Its cursor is
// the slug and the id of the workspace that it ended in, and the place there, or "" behind
// its last line.
func (r *reading) organizationActivities(tx *db.Tx, q usage.ActivityQuery) (out []api.Activity, next string, err error) {
	text, err := cursorText(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	place := append(strings.SplitN(text, " ", 3), "", "", "")
	slug, id, inside := place[0], place[1], place[2]
	limit := q.Limit
	if inside != "" {
		q.Cursor = inside
		if out, next, err = r.in(id).activities(tx, q); err != nil || next != "" || q.IsExported {
			return out, *cursorOf(strings.Join([]string{slug, id, next}, " ")), err
		}
	}
	workspaces, err := r.orgs.Workspaces(tx, r.id.Organization, slug, maxWorkspaces+1)
	if err != nil {
		return nil, "", err
	}
	for i, w := range workspaces {
		if i == maxWorkspaces || len(out) > 0 && (q.IsExported || len(out) >= limit) {
			return out, *cursorOf(slug + " " + id + " "), nil
		}
		q.Cursor, q.Limit, slug, id = "", max(limit-len(out), 1), w.Slug, w.ID
		lines, more, err := r.in(id).activities(tx, q)
		if err != nil {
			return nil, "", err
		}
		out = append(out, lines...)
		if more != "" {
			return out, *cursorOf(slug + " " + id + " " + more), nil
		}
	}
	return out, "", nil
}

// in is the reading of a workspace of the organization.
func (r *reading) in(workspace string) *reading {
	there := *r
	there.id.Workspace = workspace
	return &there
}

// activityPages are all pages of a statement, each in a snapshot of its own: what is
// recorded meanwhile moves nothing.
func (r *reading) activityPages(p api.ActivityExport, read func(*db.Tx, usage.ActivityQuery) ([]api.Activity, string, error)) (*export[api.Activity], error) {
	q, err := statementQuery(p.ActivityFilter)
	q.IsExported = true
	return &export[api.Activity]{format: p.Format, columns: activityColumns, cells: activityCells, next: func() (lines []api.Activity, isMore bool, err error) {
		err = r.view(func(tx *db.Tx) error {
			lines, q.Cursor, err = read(tx, q)
			return err
		})
		return lines, q.Cursor != "", err
	}}, err
}

var activityColumns = strings.Fields(`at kind description origin source workspace project user job amount balance_after open id`)

func activityCells(a api.Activity) []string {
	return []string{string(a.At), a.Kind, a.Description, a.Origin, a.Source, a.Workspace, a.Project, a.User, a.Job,
		string(a.Amount), string(a.BalanceAfter), strconv.FormatBool(a.Open), a.ID}
}

func activityOnWire(workspace string, a usage.Activity) api.Activity {
	return api.Activity{
		ID: a.ID, At: api.At(a.At), Kind: string(a.Kind), Description: a.Description, Origin: a.From, Source: a.Source, Workspace: workspace,
		Project: a.Project, User: a.User, Job: a.Job, Amount: amount(a.Amount), BalanceAfter: amount(a.BalanceAfter), Open: a.Open,
	}
}
