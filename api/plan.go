package api

import "context"

// Plan is what an organization can be on.
type Plan struct {
	Name              string   `json:"name"`
	Version           int64    `json:"version" doc:"Counts its changes."`
	Title             string   `json:"title"`
	Description       string   `json:"description"`
	Card              string   `json:"card" doc:"The rate card that its prices come from."`
	DiscountPercent   int64    `json:"discount_percent" doc:"Off the prices of that card, each rounded down to the nano-credit."`
	RateCard          string   `json:"rate_card" doc:"The rate card that charges name."`
	Credits           Amount   `json:"credits" doc:"Each month, at its first instant; 0 for none."`
	CreditsKind       string   `json:"credits_kind" enum:"plan,promotional"`
	CreditsExpireDays int64    `json:"credits_expire_days" doc:"So many days after they came; 0: with the month."`
	Overdraft         Amount   `json:"overdraft" doc:"Of the default workspace, for whoever comes to the plan."`
	Features          []string `json:"features" enum:"sla,sso,support"`
	ByContract        bool     `json:"by_contract" doc:"Whoever wants it talks to sales."`
	Closed            bool     `json:"closed" doc:"Nobody new comes to it."`
}

// NewPlan is what a plan is to be. What is missing stays as it is; of a new plan it is
// nothing.
type NewPlan struct {
	Title             string   `json:"title,omitempty" maxLength:"100"`
	Description       *string  `json:"description,omitempty" maxLength:"2000"`
	Card              string   `json:"card,omitempty" maxLength:"63" doc:"Of a new plan: default if missing."`
	DiscountPercent   *int64   `json:"discount_percent,omitempty" minimum:"0" maximum:"100"`
	Credits           Amount   `json:"credits,omitempty"`
	CreditsKind       string   `json:"credits_kind,omitempty" enum:"plan,promotional" doc:"Of a new plan: plan if missing."`
	CreditsExpireDays *int64   `json:"credits_expire_days,omitempty" minimum:"0" maximum:"3660"`
	Overdraft         Amount   `json:"overdraft,omitempty"`
	Features          []string `json:"features,omitzero" required:"false" maxItems:"10" doc:"Of sla, sso and support: all that it is to have. [] takes all away."`
	ByContract        *bool    `json:"by_contract,omitempty"`
	Closed            *bool    `json:"closed,omitempty"`
}

// CurrentPlan is the plan that an organization is on.
type CurrentPlan struct {
	Plan     Plan     `json:"plan"`
	Since    *Instant `json:"since" format:"date-time" doc:"null: from the beginning."`
	Contract string   `json:"contract,omitempty" doc:"The contract that it is by."`
	Next     string   `json:"next,omitempty" doc:"The plan that a change is scheduled to."`
	NextAt   *Instant `json:"next_at" format:"date-time" doc:"When; null for no change."`
}

// PlanChoice asks for a review of a change of plan.
type PlanChoice struct {
	Plan string `json:"plan" maxLength:"50"`
	When string `json:"when,omitempty" enum:"now,period_end" doc:"At once, or at the end of the month, UTC; now if missing."`
}

// PlanReview is what a change of plan would do.
type PlanReview struct {
	Token         string          `json:"token" doc:"Changes to exactly this, or is refused."`
	From          Plan            `json:"from"`
	To            Plan            `json:"to"`
	When          string          `json:"when" enum:"now,period_end"`
	EffectiveAt   Instant         `json:"effective_at" format:"date-time"`
	Prices        []PriceCompared `json:"prices" doc:"Of what was used in the last 30 days."`
	Amount        Amount          `json:"amount" doc:"What that came to."`
	NewAmount     Amount          `json:"new_amount" doc:"What it would have come to, without what the plan does not sell."`
	Gained        []string        `json:"features_gained"`
	Lost          []string        `json:"features_lost"`
	NextCreditsAt *Instant        `json:"next_credits_at" format:"date-time" doc:"When the first credits of the new plan come; null for never."`
	Overdraft     Amount          `json:"overdraft" doc:"That the default workspace has now."`
	NewOverdraft  Amount          `json:"new_overdraft" doc:"That it has with the change. What runs beyond it ends then, without grace."`
}

// PriceCompared is an SKU at both plans' prices.
type PriceCompared struct {
	SKU       string   `json:"sku"`
	Tier      string   `json:"tier"`
	Unit      string   `json:"unit"`
	Quantity  Quantity `json:"quantity"`
	Price     *Amount  `json:"price" doc:"null if it is not sold any more."`
	NewPrice  *Amount  `json:"new_price" doc:"null if the plan does not sell it."`
	Amount    Amount   `json:"amount"`
	NewAmount Amount   `json:"new_amount"`
}

// PlanChange changes to what a review has shown.
type PlanChange struct {
	PlanChoice
	Token string `json:"token" maxLength:"100" doc:"Of the review."`
}

// Plans lists the plans.
func (c *Client) Plans(ctx context.Context) (List[Plan], error) {
	return ask[List[Plan]](ctx, c, get, at("/plans"), nil, nil)
}

// PutPlan makes or changes a plan.
func (c *Client) PutPlan(ctx context.Context, name string, n NewPlan) (Plan, error) {
	return ask[Plan](ctx, c, put, at("/plans/%s", name), nil, n)
}

// CurrentPlan is the plan that an organization is on.
func (c *Client) CurrentPlan(ctx context.Context, organization string) (CurrentPlan, error) {
	return ask[CurrentPlan](ctx, c, get, at("/organizations/%s/plan", organization), nil, nil)
}

// ReviewPlan tells what a change of plan would do.
func (c *Client) ReviewPlan(ctx context.Context, organization string, n PlanChoice) (PlanReview, error) {
	return ask[PlanReview](ctx, c, post, at("/organizations/%s/plan/review", organization), nil, n)
}

// ChangePlan changes the plan of an organization as a review has shown it.
func (c *Client) ChangePlan(ctx context.Context, organization string, n PlanChange) (CurrentPlan, error) {
	return ask[CurrentPlan](ctx, c, post, at("/organizations/%s/plan", organization), nil, n)
}

// CancelPlanChange calls a scheduled change off.
func (c *Client) CancelPlanChange(ctx context.Context, organization string) (CurrentPlan, error) {
	return ask[CurrentPlan](ctx, c, post, at("/organizations/%s/plan/cancel", organization), nil, nil)
}
