package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// The methods below are one call each, in the order of the contract. A
// workspace is an id or an address: org, or org.workspace.

const (
	get   = http.MethodGet
	post  = http.MethodPost
	patch = http.MethodPatch
	put   = http.MethodPut
)

// at joins a path of literal parts and ids, which are escaped.
func at(format string, ids ...string) string {
	escaped := make([]any, len(ids))
	for i, id := range ids {
		escaped[i] = url.PathEscape(id)
	}
	return fmt.Sprintf("/v1"+format, escaped...)
}

// ask is call with an answer of type T.
func ask[T any](ctx context.Context, c *Client, method, path string, query, body any) (T, error) {
	var out T
	err := c.call(ctx, method, path, query, body, &out)
	return out, err
}

// CreateOrganization makes an organization with its default workspace.
func (c *Client) CreateOrganization(ctx context.Context, n NewOrganization) (Organization, error) {
	return ask[Organization](ctx, c, post, at("/organizations"), nil, n)
}

// Organizations lists organizations.
func (c *Client) Organizations(ctx context.Context, p Page) (List[Organization], error) {
	return ask[List[Organization]](ctx, c, get, at("/organizations"), p, nil)
}

// Organization finds an organization by id or slug.
func (c *Client) Organization(ctx context.Context, organization string) (Organization, error) {
	return ask[Organization](ctx, c, get, at("/organizations/%s", organization), nil, nil)
}

// CreateWorkspace makes a further workspace.
func (c *Client) CreateWorkspace(ctx context.Context, organization string, n NewWorkspace) (Workspace, error) {
	return ask[Workspace](ctx, c, post, at("/organizations/%s/workspaces", organization), nil, n)
}

// Workspaces lists the workspaces of an organization.
func (c *Client) Workspaces(ctx context.Context, organization string, p Page) (List[Workspace], error) {
	return ask[List[Workspace]](ctx, c, get, at("/organizations/%s/workspaces", organization), p, nil)
}

// Workspace finds a workspace.
func (c *Client) Workspace(ctx context.Context, workspace string) (Workspace, error) {
	return ask[Workspace](ctx, c, get, at("/workspaces/%s", workspace), nil, nil)
}

// ChangePolicy changes what change names of a workspace's policy.
func (c *Client) ChangePolicy(ctx context.Context, workspace string, change PolicyChange) (Policy, error) {
	return ask[Policy](ctx, c, patch, at("/workspaces/%s/policy", workspace), nil, change)
}

// Balance reads a balance as of this instant.
func (c *Client) Balance(ctx context.Context, workspace string) (Balance, error) {
	return ask[Balance](ctx, c, get, at("/workspaces/%s/balance", workspace), nil, nil)
}

// Grant adds a lot.
func (c *Client) Grant(ctx context.Context, workspace string, n NewGrant) (Lot, error) {
	return ask[Lot](ctx, c, post, at("/workspaces/%s/grants", workspace), nil, n)
}

// Lots lists lots in the order in which they will be used.
func (c *Client) Lots(ctx context.Context, workspace string, p Page) (List[Lot], error) {
	return ask[List[Lot]](ctx, c, get, at("/workspaces/%s/lots", workspace), p, nil)
}

// FreezeLot takes a lot out of use.
func (c *Client) FreezeLot(ctx context.Context, workspace, lot string) (Lot, error) {
	return ask[Lot](ctx, c, post, at("/workspaces/%s/lots/%s/freeze", workspace, lot), nil, nil)
}

// UnfreezeLot puts a frozen lot back into use.
func (c *Client) UnfreezeLot(ctx context.Context, workspace, lot string) (Lot, error) {
	return ask[Lot](ctx, c, post, at("/workspaces/%s/lots/%s/unfreeze", workspace, lot), nil, nil)
}

// StartFlow starts the metering of running resources.
func (c *Client) StartFlow(ctx context.Context, workspace string, n NewFlow) (Flow, error) {
	return ask[Flow](ctx, c, post, at("/workspaces/%s/flows", workspace), nil, n)
}

// Flows lists flows, the newest first.
func (c *Client) Flows(ctx context.Context, workspace string, q FlowQuery) (List[Flow], error) {
	return ask[List[Flow]](ctx, c, get, at("/workspaces/%s/flows", workspace), q, nil)
}

// Flow finds a flow.
func (c *Client) Flow(ctx context.Context, workspace, flow string) (Flow, error) {
	return ask[Flow](ctx, c, get, at("/workspaces/%s/flows/%s", workspace, flow), nil, nil)
}

// ChangeFlow gives a flow other items from now on.
func (c *Client) ChangeFlow(ctx context.Context, workspace, flow string, change FlowChange) (Flow, error) {
	return ask[Flow](ctx, c, patch, at("/workspaces/%s/flows/%s", workspace, flow), nil, change)
}

// Heartbeat renews the lease of a flow.
func (c *Client) Heartbeat(ctx context.Context, workspace, flow string, h Heartbeat) (Flow, error) {
	return ask[Flow](ctx, c, post, at("/workspaces/%s/flows/%s/heartbeat", workspace, flow), nil, h)
}

// StopFlow ends a flow.
func (c *Client) StopFlow(ctx context.Context, workspace, flow string, stop FlowStop) (Flow, error) {
	return ask[Flow](ctx, c, post, at("/workspaces/%s/flows/%s/stop", workspace, flow), nil, stop)
}

// CreateHold sets credits aside.
func (c *Client) CreateHold(ctx context.Context, workspace string, n NewHold) (Hold, error) {
	return ask[Hold](ctx, c, post, at("/workspaces/%s/holds", workspace), nil, n)
}

// Holds lists holds, the newest first.
func (c *Client) Holds(ctx context.Context, workspace string, q HoldQuery) (List[Hold], error) {
	return ask[List[Hold]](ctx, c, get, at("/workspaces/%s/holds", workspace), q, nil)
}

// Hold finds a hold.
func (c *Client) Hold(ctx context.Context, workspace, hold string) (Hold, error) {
	return ask[Hold](ctx, c, get, at("/workspaces/%s/holds/%s", workspace, hold), nil, nil)
}

// CaptureHold takes from a hold and gives the rest of it back.
func (c *Client) CaptureHold(ctx context.Context, workspace, hold string, capture Capture) (Captured, error) {
	return ask[Captured](ctx, c, post, at("/workspaces/%s/holds/%s/capture", workspace, hold), nil, capture)
}

// ReleaseHold gives a hold back.
func (c *Client) ReleaseHold(ctx context.Context, workspace, hold string) (Hold, error) {
	return ask[Hold](ctx, c, post, at("/workspaces/%s/holds/%s/release", workspace, hold), nil, nil)
}

// ReportUsage reports usage events, and says what became of each.
func (c *Client) ReportUsage(ctx context.Context, workspace string, events []UsageEvent) (Verdicts, error) {
	body, err := json.Marshal(events)
	if err != nil {
		return Verdicts{}, fmt.Errorf("encode the events: %w", err)
	}
	r := request{
		method: post, path: at("/workspaces/%s/usage-events", workspace), accept: jsonType,
		contentType: "application/cloudevents-batch+json", body: body,
	}
	var out Verdicts
	return out, c.exchange(ctx, r, &out)
}

// Usage breaks spending down.
func (c *Client) Usage(ctx context.Context, workspace string, q UsageQuery) (UsageReport, error) {
	return ask[UsageReport](ctx, c, get, at("/workspaces/%s/usage", workspace), q, nil)
}

// Charges lists charges, the newest first.
func (c *Client) Charges(ctx context.Context, workspace string, q ChargeQuery) (List[Charge], error) {
	return ask[List[Charge]](ctx, c, get, at("/workspaces/%s/charges", workspace), q, nil)
}

// Charge finds a charge.
func (c *Client) Charge(ctx context.Context, workspace, charge string) (Charge, error) {
	return ask[Charge](ctx, c, get, at("/workspaces/%s/charges/%s", workspace, charge), nil, nil)
}

// RefundCharge gives back a charge, or a part of it.
func (c *Client) RefundCharge(ctx context.Context, workspace, charge string, n NewRefund) (Refund, error) {
	return ask[Refund](ctx, c, post, at("/workspaces/%s/charges/%s/refund", workspace, charge), nil, n)
}

// Postings lists postings, the newest first.
func (c *Client) Postings(ctx context.Context, workspace string, q PostingQuery) (List[Posting], error) {
	return ask[List[Posting]](ctx, c, get, at("/workspaces/%s/postings", workspace), q, nil)
}

// CreateJob asks to run a command.
func (c *Client) CreateJob(ctx context.Context, workspace string, n NewJob) (Job, error) {
	return ask[Job](ctx, c, post, at("/workspaces/%s/jobs", workspace), nil, n)
}

// Jobs lists jobs, the newest first.
func (c *Client) Jobs(ctx context.Context, workspace string, q JobQuery) (List[Job], error) {
	return ask[List[Job]](ctx, c, get, at("/workspaces/%s/jobs", workspace), q, nil)
}

// Job finds a job.
func (c *Client) Job(ctx context.Context, workspace, job string) (Job, error) {
	return ask[Job](ctx, c, get, at("/workspaces/%s/jobs/%s", workspace, job), nil, nil)
}

// StopJob ends a job.
func (c *Client) StopJob(ctx context.Context, workspace, job string, stop JobStop) (Job, error) {
	return ask[Job](ctx, c, post, at("/workspaces/%s/jobs/%s/stop", workspace, job), nil, stop)
}

// ResumeJob starts a job again from its checkpoint.
func (c *Client) ResumeJob(ctx context.Context, workspace, job string, resume JobResume) (Job, error) {
	return ask[Job](ctx, c, post, at("/workspaces/%s/jobs/%s/resume", workspace, job), nil, resume)
}

// ChangeJob changes what bounds a job.
func (c *Client) ChangeJob(ctx context.Context, workspace, job string, change JobChange) (Job, error) {
	return ask[Job](ctx, c, patch, at("/workspaces/%s/jobs/%s", workspace, job), nil, change)
}

// Transfer moves credits to another workspace of the organization.
func (c *Client) Transfer(ctx context.Context, workspace string, n NewTransfer) (Transfer, error) {
	return ask[Transfer](ctx, c, post, at("/workspaces/%s/transfers", workspace), nil, n)
}

// Budgets reads all budgets of a workspace.
func (c *Client) Budgets(ctx context.Context, workspace string) (Budgets, error) {
	return ask[Budgets](ctx, c, get, at("/workspaces/%s/budgets", workspace), nil, nil)
}

// SetBudgets replaces all budgets of a workspace.
func (c *Client) SetBudgets(ctx context.Context, workspace string, b Budgets) (Budgets, error) {
	return ask[Budgets](ctx, c, put, at("/workspaces/%s/budgets", workspace), nil, b)
}

// SetBudget sets one budget, and leaves all others as they are.
func (c *Client) SetBudget(ctx context.Context, workspace string, b Budget) (Budget, error) {
	return ask[Budget](ctx, c, post, at("/workspaces/%s/budgets", workspace), nil, b)
}

// RemoveBudget removes one budget.
func (c *Client) RemoveBudget(ctx context.Context, workspace, budget string) (Budget, error) {
	return ask[Budget](ctx, c, del, at("/workspaces/%s/budgets/%s", workspace, budget), nil, nil)
}

// CreateProject makes a project of a workspace.
func (c *Client) CreateProject(ctx context.Context, workspace string, n NewProject) (Project, error) {
	return ask[Project](ctx, c, post, at("/workspaces/%s/projects", workspace), nil, n)
}

// Projects lists the projects of a workspace.
func (c *Client) Projects(ctx context.Context, workspace string, p Page) (List[Project], error) {
	return ask[List[Project]](ctx, c, get, at("/workspaces/%s/projects", workspace), p, nil)
}

// Project finds a project by id or slug.
func (c *Client) Project(ctx context.Context, workspace, project string) (Project, error) {
	return ask[Project](ctx, c, get, at("/workspaces/%s/projects/%s", workspace, project), nil, nil)
}

// ChangeProject changes what change names of a project.
func (c *Client) ChangeProject(ctx context.Context, workspace, project string, change ProjectChange) (Project, error) {
	return ask[Project](ctx, c, patch, at("/workspaces/%s/projects/%s", workspace, project), nil, change)
}

// ChangeProjectPolicy changes what change names of a project's policy.
func (c *Client) ChangeProjectPolicy(ctx context.Context, workspace, project string, change ProjectPolicyChange) (Project, error) {
	return ask[Project](ctx, c, patch, at("/workspaces/%s/projects/%s/policy", workspace, project), nil, change)
}

// ArchiveProject closes a project for whatever is new.
func (c *Client) ArchiveProject(ctx context.Context, workspace, project string) (Project, error) {
	return ask[Project](ctx, c, post, at("/workspaces/%s/projects/%s/archive", workspace, project), nil, nil)
}

// RestoreProject opens an archived project again.
func (c *Client) RestoreProject(ctx context.Context, workspace, project string) (Project, error) {
	return ask[Project](ctx, c, post, at("/workspaces/%s/projects/%s/restore", workspace, project), nil, nil)
}

// ProjectRules reads what holds for all projects of a workspace.
func (c *Client) ProjectRules(ctx context.Context, workspace string) (ProjectRules, error) {
	return ask[ProjectRules](ctx, c, get, at("/workspaces/%s/project-rules", workspace), nil, nil)
}

// SetProjectRules sets what holds for all projects of a workspace.
func (c *Client) SetProjectRules(ctx context.Context, workspace string, r ProjectRules) (ProjectRules, error) {
	return ask[ProjectRules](ctx, c, put, at("/workspaces/%s/project-rules", workspace), nil, r)
}

// Events lists events, the oldest first.
func (c *Client) Events(ctx context.Context, workspace string, q EventQuery) (List[Event], error) {
	return ask[List[Event]](ctx, c, get, at("/workspaces/%s/events", workspace), q, nil)
}

// Prices reads what everything costs.
func (c *Client) Prices(ctx context.Context, q PriceQuery) (Prices, error) {
	return ask[Prices](ctx, c, get, at("/prices"), q, nil)
}

// RateCard reads a version of a rate card.
func (c *Client) RateCard(ctx context.Context, name string, q RateCardQuery) (RateCard, error) {
	return ask[RateCard](ctx, c, get, at("/rate-cards/%s", name), q, nil)
}

// RateCardVersions lists the versions of a rate card, the newest first.
func (c *Client) RateCardVersions(ctx context.Context, name string, p Page) (List[RateCard], error) {
	return ask[List[RateCard]](ctx, c, get, at("/rate-cards/%s/versions", name), p, nil)
}

// PutRateCard makes the next version of a rate card.
func (c *Client) PutRateCard(ctx context.Context, name string, n NewRateCard) (RateCard, error) {
	return ask[RateCard](ctx, c, put, at("/rate-cards/%s", name), nil, n)
}

// TestClock reads the test clock.
func (c *Client) TestClock(ctx context.Context) (Clock, error) {
	return ask[Clock](ctx, c, get, at("/test-clock"), nil, nil)
}

// AdvanceClock moves the test clock on, and returns when everything that is
// due by then has been done.
func (c *Client) AdvanceClock(ctx context.Context, a Advance) (Clock, error) {
	return ask[Clock](ctx, c, post, at("/test-clock/advance"), nil, a)
}

// Verify replays the books and compares everything with them.
func (c *Client) Verify(ctx context.Context, v VerifyRequest) (VerifyReport, error) {
	return ask[VerifyReport](ctx, c, post, at("/verify"), nil, v)
}

// Whoami says as whom, and on whose account, requests are made.
func (c *Client) Whoami(ctx context.Context, q WhoamiQuery) (Whoami, error) {
	return ask[Whoami](ctx, c, get, at("/whoami"), q, nil)
}

// Version says what the server is; it needs no token.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return ask[Version](ctx, c, get, at("/version"), nil, nil)
}

// Audit lists the audit log of an organization, or of the installation (""), the newest
// entry first.
func (c *Client) Audit(ctx context.Context, organization string, q AuditQuery) (List[AuditEntry], error) {
	path := at("/audit")
	if organization != "" {
		path = at("/organizations/%s/audit", organization)
	}
	return ask[List[AuditEntry]](ctx, c, get, path, q, nil)
}
