package api

import "context"

// AlertSettings are whom an organization wants told of alerts, and when not.
type AlertSettings struct {
	Muted       []string `json:"muted" doc:"Kinds of alerts that nobody is told of: amount, budget, empty, expiry, landing, payment, percent, runway."`
	Roles       []string `json:"roles" doc:"Who is told. None: who may pay or set budgets, as it concerns them."`
	Addresses   []string `json:"addresses" doc:"Who is told besides, and where bills go."`
	SilentFrom  string   `json:"silent_from" doc:"When silent hours begin each day, by the clock of the time zone; empty for none." example:"22:00"`
	SilentUntil string   `json:"silent_until" doc:"When they end. What happened in them is told then, all in one; that work is about to be stopped, or was, is told at once." example:"07:00"`
	SilentZone  string   `json:"silent_zone" doc:"The time zone of these by its IANA name; empty is UTC." example:"Europe/Athens"`
}

// AlertSettingsChange changes what it names of the settings.
type AlertSettingsChange struct {
	Muted       *[]string `json:"muted,omitempty" maxItems:"20"`
	Roles       *[]string `json:"roles,omitempty" maxItems:"10"`
	Addresses   *[]string `json:"addresses,omitempty" maxItems:"10"`
	SilentFrom  *string   `json:"silent_from,omitempty" maxLength:"5"`
	SilentUntil *string   `json:"silent_until,omitempty" maxLength:"5"`
	SilentZone  *string   `json:"silent_zone,omitempty" maxLength:"60"`
}

// AlertThresholds are at what a workspace is told that its credits run low: each once
// when it is crossed, and again after the balance has recovered.
type AlertThresholds struct {
	Percents      []int    `json:"alert_percents" doc:"Of the balance after credits were added last."`
	Amounts       []Amount `json:"alert_amounts" doc:"Of the balance."`
	RunwaySeconds []int64  `json:"alert_runway_seconds" doc:"Before the credits are used up, as it runs then."`
}

// AlertThresholdsChange changes what it names of the thresholds.
type AlertThresholdsChange struct {
	Percents      *[]int    `json:"alert_percents,omitempty" maxItems:"20"`
	Amounts       *[]Amount `json:"alert_amounts,omitempty" maxItems:"20"`
	RunwaySeconds *[]int64  `json:"alert_runway_seconds,omitempty" maxItems:"20"`
}

// AlertTest says who is told that alerts are tested.
type AlertTest struct {
	Mails int `json:"mails" doc:"How many people are mailed. Chats are told too."`
}

// AlertSettings are those of an organization.
func (c *Client) AlertSettings(ctx context.Context, organization string) (AlertSettings, error) {
	return ask[AlertSettings](ctx, c, get, at("/organizations/%s/alerts", organization), nil, nil)
}

// ChangeAlertSettings changes what is named of them.
func (c *Client) ChangeAlertSettings(ctx context.Context, organization string, n AlertSettingsChange) (AlertSettings, error) {
	return ask[AlertSettings](ctx, c, patch, at("/organizations/%s/alerts", organization), nil, n)
}

// TestAlerts tells everybody who is told of alerts that this is a test.
func (c *Client) TestAlerts(ctx context.Context, organization string) (AlertTest, error) {
	return ask[AlertTest](ctx, c, post, at("/organizations/%s/alerts/test", organization), nil, nil)
}

// AlertThresholds are those of a workspace.
func (c *Client) AlertThresholds(ctx context.Context, workspace string) (AlertThresholds, error) {
	return ask[AlertThresholds](ctx, c, get, at("/workspaces/%s/alerts", workspace), nil, nil)
}

// ChangeAlertThresholds changes what is named of them.
func (c *Client) ChangeAlertThresholds(ctx context.Context, workspace string, n AlertThresholdsChange) (AlertThresholds, error) {
	return ask[AlertThresholds](ctx, c, patch, at("/workspaces/%s/alerts", workspace), nil, n)
}
