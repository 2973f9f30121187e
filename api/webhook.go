package api

import "context"

// NewWebhook is an endpoint that is to be told of events.
type NewWebhook struct {
	URL         string   `json:"url" minLength:"1" maxLength:"2000" example:"https://example.org/purser" doc:"Where events are posted: https, and reachable from the server."`
	Format      string   `json:"format,omitempty" enum:"standard,text" default:"standard" doc:"standard: signed, by the convention of Standard Webhooks. text: {\"text\": …}, as Slack and others take it."`
	Events      []string `json:"events,omitempty" maxItems:"20" doc:"Types of events, in which * stands for anything. Missing: all, and of text what alerts are about." example:"[\"balance.*\"]"`
	Description string   `json:"description,omitempty" maxLength:"200"`
}

// Webhook is an endpoint that is told of events.
type Webhook struct {
	ID                string   `json:"id" example:"whk_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	URL               string   `json:"url"`
	Format            string   `json:"format" enum:"standard,text"`
	Events            []string `json:"events"`
	Description       string   `json:"description"`
	Enabled           bool     `json:"enabled"`
	DisabledBecause   string   `json:"disabled_because" doc:"Why it is told nothing; empty if it is."`
	FormerSecretUntil *Instant `json:"former_secret_until" format:"date-time" doc:"Until when the secret before signs as well."`
	CreatedAt         Instant  `json:"created_at" format:"date-time"`
}

// FreshWebhook is an endpoint with its secret, which is not shown again.
type FreshWebhook struct {
	Webhook
	Secret string `json:"secret" doc:"What signatures are checked with; empty for text." example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
}

// Webhooks are the endpoints of an organization.
type Webhooks struct {
	Items []Webhook `json:"items"`
	Types []string  `json:"types" doc:"The types of events that there are."`
}

// WebhookChange changes what it names of an endpoint.
type WebhookChange struct {
	URL         *string   `json:"url,omitempty" minLength:"1" maxLength:"2000"`
	Events      *[]string `json:"events,omitempty" minItems:"1" maxItems:"20"`
	Description *string   `json:"description,omitempty" maxLength:"200"`
	Enabled     *bool     `json:"enabled,omitempty" doc:"One that is enabled again is sent what waits for it."`
}

// WebhookRotation says for how long the secret before signs as well.
type WebhookRotation struct {
	OverlapSeconds *int64 `json:"overlap_seconds,omitempty" minimum:"0" maximum:"604800" doc:"A day if it is missing; 0 ends the secret before at once."`
}

// Delivery is what an endpoint was, or is to be, told of an event.
type Delivery struct {
	ID              string   `json:"id" doc:"Its webhook-id: the same however often it is sent." example:"msg_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Webhook         string   `json:"webhook"`
	Type            string   `json:"type" example:"balance.alert"`
	Status          string   `json:"status" enum:"waiting,delivered,failed"`
	Attempts        int64    `json:"attempts"`
	ResponseCode    int64    `json:"response_code" doc:"The status of the last answer; 0 if there was none."`
	Response        string   `json:"response" doc:"How the last answer began: 1,000 bytes at most."`
	Result          string   `json:"result" doc:"Why the last attempt came to nothing."`
	DurationSeconds string   `json:"duration_seconds" doc:"Of the last attempt." example:"0.012"`
	Body            string   `json:"body" doc:"What is posted, to the last byte."`
	CreatedAt       Instant  `json:"created_at" format:"date-time"`
	NextAt          *Instant `json:"next_at" format:"date-time" doc:"When it is tried next; null if it is not tried any more."`
	EndedAt         *Instant `json:"ended_at" format:"date-time"`
}

// DeliveryQuery asks for a page of deliveries.
type DeliveryQuery struct {
	Status string `query:"status" enum:"waiting,delivered,failed" doc:"Only those of which this became."`
	Page
}

// NewReplay asks for everything again since an instant.
type NewReplay struct {
	Since      Instant `json:"since" format:"date-time"`
	OnlyFailed bool    `json:"only_failed,omitempty" doc:"Only what was not delivered."`
}

// Replayed says how much is sent again.
type Replayed struct {
	Deliveries int64 `json:"deliveries"`
}

// CreateWebhook adds an endpoint.
func (c *Client) CreateWebhook(ctx context.Context, organization string, n NewWebhook) (FreshWebhook, error) {
	return ask[FreshWebhook](ctx, c, post, at("/organizations/%s/webhooks", organization), nil, n)
}

// Webhooks lists the endpoints of an organization, the oldest first.
func (c *Client) Webhooks(ctx context.Context, organization string) (Webhooks, error) {
	return ask[Webhooks](ctx, c, get, at("/organizations/%s/webhooks", organization), nil, nil)
}

// Webhook finds an endpoint.
func (c *Client) Webhook(ctx context.Context, organization, webhook string) (Webhook, error) {
	return ask[Webhook](ctx, c, get, at("/organizations/%s/webhooks/%s", organization, webhook), nil, nil)
}

// ChangeWebhook changes what is named of an endpoint.
func (c *Client) ChangeWebhook(ctx context.Context, organization, webhook string, n WebhookChange) (Webhook, error) {
	return ask[Webhook](ctx, c, patch, at("/organizations/%s/webhooks/%s", organization, webhook), nil, n)
}

// RotateWebhook gives an endpoint another secret.
func (c *Client) RotateWebhook(ctx context.Context, organization, webhook string, r WebhookRotation) (FreshWebhook, error) {
	return ask[FreshWebhook](ctx, c, post, at("/organizations/%s/webhooks/%s/rotate", organization, webhook), nil, r)
}

// TestWebhook sends an endpoint an event that tells of nothing.
func (c *Client) TestWebhook(ctx context.Context, organization, webhook string) (Delivery, error) {
	return ask[Delivery](ctx, c, post, at("/organizations/%s/webhooks/%s/test", organization, webhook), nil, nil)
}

// RemoveWebhook removes an endpoint.
func (c *Client) RemoveWebhook(ctx context.Context, organization, webhook string) (Webhook, error) {
	return ask[Webhook](ctx, c, del, at("/organizations/%s/webhooks/%s", organization, webhook), nil, nil)
}

// Deliveries lists what an endpoint was told, the newest first.
func (c *Client) Deliveries(ctx context.Context, organization, webhook string, q DeliveryQuery) (List[Delivery], error) {
	return ask[List[Delivery]](ctx, c, get, at("/organizations/%s/webhooks/%s/deliveries", organization, webhook), q, nil)
}

// Delivery finds a delivery.
func (c *Client) Delivery(ctx context.Context, organization, webhook, delivery string) (Delivery, error) {
	return ask[Delivery](ctx, c, get, at("/organizations/%s/webhooks/%s/deliveries/%s", organization, webhook, delivery), nil, nil)
}

// ReplayDelivery sends a delivery again.
func (c *Client) ReplayDelivery(ctx context.Context, organization, webhook, delivery string) (Delivery, error) {
	return ask[Delivery](ctx, c, post, at("/organizations/%s/webhooks/%s/deliveries/%s/replay", organization, webhook, delivery), nil, nil)
}

// ReplayWebhook sends again what an endpoint was told since an instant.
func (c *Client) ReplayWebhook(ctx context.Context, organization, webhook string, n NewReplay) (Replayed, error) {
	return ask[Replayed](ctx, c, post, at("/organizations/%s/webhooks/%s/replay", organization, webhook), nil, n)
}
