package api

import (
	"context"
	"io"
)

// Activity is one line of the account statement.
type Activity struct {
	ID           string  `json:"id"`
	At           Instant `json:"at" format:"date-time" doc:"When the last of it was recorded; for what is still growing, now."`
	Kind         string  `json:"kind" enum:"addition,deduction,expiry,transfer,refund,withdrawal,correction,overrun"`
	Description  string  `json:"description"`
	Origin       string  `json:"origin" enum:"manual,auto,code,plan,contract,transfer,operator,refund,job,storage,tokens,usage,flow" doc:"Where credits came from, or what deductions are of."`
	Source       string  `json:"source" doc:"What it is from: the id of a lot, job, charge or transfer, or a day."`
	Workspace    string  `json:"workspace" doc:"The id of the workspace whose balance it moved."`
	Project      string  `json:"project,omitempty"`
	User         string  `json:"user,omitempty"`
	Job          string  `json:"job,omitempty"`
	Amount       Amount  `json:"amount" doc:"Negative for what was taken."`
	BalanceAfter Amount  `json:"balance_after" doc:"That of the line below plus the amount; below the last line of a period lies its opening balance."`
	Open         bool    `json:"open,omitempty" doc:"Still growing."`
}

// Statement is a page of activities.
type Statement struct {
	Items          []Activity `json:"items"`
	NextCursor     *string    `json:"next_cursor"`
	OpeningBalance *Amount    `json:"opening_balance,omitempty" doc:"On the first page of a workspace: what it held when the period began."`
	ClosingBalance *Amount    `json:"closing_balance,omitempty" doc:"On the first page of a workspace: what it held when the period ended, or now. All lines of the period, also those that a filter leaves out, come to the difference."`
}

// ActivityFilter narrows activities.
type ActivityFilter struct {
	Kind      string  `query:"kind" enum:"addition,deduction,expiry,transfer,refund,withdrawal,correction,overrun"`
	Source    string  `query:"source" maxLength:"200" doc:"A word as in origin, or an id as in source."`
	Project   string  `query:"project" maxLength:"200"`
	User      string  `query:"user" maxLength:"200"`
	Job       string  `query:"job" maxLength:"200"`
	Text      string  `query:"q" maxLength:"200" doc:"In the description, source, project, user or job; in any case."`
	MinAmount Amount  `query:"min_amount" doc:"At least so much, taken or added."`
	MaxAmount Amount  `query:"max_amount" doc:"At most so much, taken or added."`
	From      Instant `query:"from" doc:"Recorded from then on. A job that goes beyond the period is cut."`
	To        Instant `query:"to" doc:"Recorded before then."`
	Month     string  `query:"month" pattern:"^[0-9]{4}-[0-9]{2}$" doc:"A UTC month, instead of from and to." example:"2026-11"`
}

// ActivityQuery asks for a page of activities.
type ActivityQuery struct {
	ActivityFilter
	Page
}

// ActivityExport asks for all activities of a period.
type ActivityExport struct {
	ActivityFilter
	Format string `query:"format" doc:"JSON lines, or CSV." enum:"jsonl,csv" default:"jsonl"`
}

// Activities lists the lines of the account statement, the newest first.
func (c *Client) Activities(ctx context.Context, workspace string, q ActivityQuery) (List[Activity], error) {
	return ask[List[Activity]](ctx, c, get, at("/workspaces/%s/activities", workspace), q, nil)
}

// Statement is a page of the lines of the account statement, the first one with what the
// wallet held before and after.
func (c *Client) Statement(ctx context.Context, workspace string, q ActivityQuery) (Statement, error) {
	return ask[Statement](ctx, c, get, at("/workspaces/%s/activities", workspace), q, nil)
}

// OrganizationActivities lists the lines of the statements of all workspaces of an
// organization, one workspace after the other.
func (c *Client) OrganizationActivities(ctx context.Context, organization string, q ActivityQuery) (List[Activity], error) {
	return ask[List[Activity]](ctx, c, get, at("/organizations/%s/activities", organization), q, nil)
}

// ExportActivities writes all lines of a workspace's statement.
func (c *Client) ExportActivities(ctx context.Context, workspace string, q ActivityExport, w io.Writer) error {
	return c.export(ctx, at("/workspaces/%s/activities/export", workspace), q, w)
}

// ExportOrganizationActivities writes all lines of the statements of an organization.
func (c *Client) ExportOrganizationActivities(ctx context.Context, organization string, q ActivityExport, w io.Writer) error {
	return c.export(ctx, at("/organizations/%s/activities/export", organization), q, w)
}

// export writes an export; one that is cut short is an error.
func (c *Client) export(ctx context.Context, path string, query any, w io.Writer) error {
	answer, err := c.send(ctx, request{method: get, path: path, query: encodeQuery(query), accept: "*/*"})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(w, answer.Body); err != nil {
		return &Unreachable{c.URL, reason(err)}
	}
	return nil
}
