package api

import (
	"context"
	"io"
)

// NewCampaign asks for a campaign.
type NewCampaign struct {
	Slug            string   `json:"slug" doc:"What the operator names it by." minLength:"1" maxLength:"63" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" example:"hack-2027"`
	Name            string   `json:"name" doc:"What whoever redeems a code reads of it." minLength:"1" maxLength:"200" example:"Hackathon 2027"`
	Amount          Amount   `json:"amount" doc:"Credits of one redemption." example:"50"`
	Scope           *Scope   `json:"scope,omitempty" doc:"What the credits may pay for; everything if missing."`
	ExpiresAt       Instant  `json:"expires_at,omitempty" format:"date-time" doc:"Until when the credits can be used."`
	ExpiresDays     int64    `json:"expires_days,omitempty" doc:"Or for so many days after redeeming. They never expire if both are missing." minimum:"0" maximum:"36600"`
	Uses            int64    `json:"uses,omitempty" doc:"How often each code can be redeemed: 1 if missing. With more there is one code, and it may be a chosen one." minimum:"0" maximum:"1000000"`
	PerOrganization *int64   `json:"per_organization,omitempty" doc:"How often one organization can redeem codes of it: 1 if missing, 0 for no limit." minimum:"0" maximum:"1000000"`
	Domains         []string `json:"domains,omitempty" doc:"Only for people whose verified email address is at one of these." maxItems:"50"`
	From            Instant  `json:"from,omitempty" format:"date-time" doc:"Codes are good from then on; at once if missing."`
	Until           Instant  `json:"until,omitempty" format:"date-time" doc:"And before then; until it is closed if missing."`
	Budget          Amount   `json:"budget,omitempty" doc:"What all redemptions may sum up to." example:"5000"`
}

// Campaign is credits that are given away by code, on the same terms to everybody.
type Campaign struct {
	ID              string   `json:"id" example:"cmp_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Slug            string   `json:"slug" example:"hack-2027"`
	Name            string   `json:"name"`
	Status          string   `json:"status" enum:"open,pending,ended,spent,closed"`
	Amount          Amount   `json:"amount"`
	Scope           Scope    `json:"scope"`
	ExpiresAt       *Instant `json:"expires_at" format:"date-time"`
	ExpiresDays     int64    `json:"expires_days,omitempty"`
	Uses            int64    `json:"uses"`
	PerOrganization int64    `json:"per_organization" doc:"0 for no limit."`
	Domains         []string `json:"domains"`
	From            *Instant `json:"from" format:"date-time"`
	Until           *Instant `json:"until" format:"date-time"`
	Budget          Amount   `json:"budget,omitempty" doc:"Not there if there is none."`
	Redeemed        Amount   `json:"redeemed" doc:"What was granted so far."`
	Redemptions     int64    `json:"redemptions"`
	Codes           int64    `json:"codes" doc:"How many were made."`
	CreatedAt       Instant  `json:"created_at" format:"date-time"`
	ClosedAt        *Instant `json:"closed_at" format:"date-time"`
}

// NewCodes asks for codes of a campaign: so many that nobody guesses, or one that people
// chose.
type NewCodes struct {
	Count int64  `json:"count,omitempty" minimum:"0" maximum:"10000"`
	Code  string `json:"code,omitempty" doc:"A chosen one, of 6 to 16 letters and digits: for a campaign with several uses of it." maxLength:"200" example:"HACK2027"`
}

// CodesQuery says in which form new codes are wanted.
type CodesQuery struct {
	Format string `query:"format" doc:"html is a page of cards to print." enum:"json,csv,html" default:"json"`
}

// NewCode is a code, told once.
type NewCode struct {
	No   int64  `json:"no" doc:"Its number in the campaign: names it without telling it."`
	Code string `json:"code" example:"BXKQ-7RTN-PMHC-D4WZ-GFLJ"`
}

// MadeCodes are the codes that were made.
type MadeCodes struct {
	Campaign string    `json:"campaign" doc:"The slug."`
	Items    []NewCode `json:"items"`
}

// CampaignCode is what is known of a code. The code itself is not.
type CampaignCode struct {
	No        int64    `json:"no"`
	Status    string   `json:"status" enum:"good,redeemed,revoked" doc:"redeemed: as often as it can be."`
	Uses      int64    `json:"uses" doc:"How often it was redeemed."`
	CreatedAt Instant  `json:"created_at" format:"date-time"`
	RevokedAt *Instant `json:"revoked_at" format:"date-time"`
}

// CodeRange names codes of a campaign by their numbers.
type CodeRange struct {
	From int64 `json:"from" minimum:"1"`
	To   int64 `json:"to,omitempty" doc:"The last one; the same as from if missing." minimum:"0"`
}

// RevokedCodes says how many codes are not good any more that were.
type RevokedCodes struct {
	Revoked int64 `json:"revoked"`
}

// NewRedemption redeems a code.
type NewRedemption struct {
	Code string `json:"code" doc:"In any case, with or without dashes and spaces." minLength:"1" maxLength:"200" example:"BXKQ-7RTN-PMHC-D4WZ-GFLJ"`
}

// Redemption is that a code was redeemed.
type Redemption struct {
	ID           string   `json:"id" example:"red_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Organization string   `json:"organization"`
	Workspace    string   `json:"workspace" doc:"Whose wallet has the credits."`
	Campaign     string   `json:"campaign" doc:"The name of what the code was given out for."`
	CodeNo       int64    `json:"code_no" doc:"The number of the code."`
	Lot          string   `json:"lot"`
	Amount       Amount   `json:"amount"`
	Scope        Scope    `json:"scope"`
	ExpiresAt    *Instant `json:"expires_at" format:"date-time"`
	RedeemedAt   Instant  `json:"redeemed_at" format:"date-time"`
	RedeemedBy   string   `json:"redeemed_by" doc:"The id of the user or token, or operator."`
	Balance      Amount   `json:"balance,omitempty" doc:"Of the wallet right after it; not in lists."`
}

// FoundCode is a code that somebody has: of which campaign it is, and whose it became.
type FoundCode struct {
	Campaign    Campaign     `json:"campaign"`
	Code        CampaignCode `json:"code"`
	Redemptions []Redemption `json:"redemptions" doc:"The first 100."`
}

// CreateCampaign makes a campaign, without codes yet.
func (c *Client) CreateCampaign(ctx context.Context, n NewCampaign) (Campaign, error) {
	return ask[Campaign](ctx, c, post, at("/campaigns"), nil, n)
}

// Campaigns lists campaigns, the newest first.
func (c *Client) Campaigns(ctx context.Context, p Page) (List[Campaign], error) {
	return ask[List[Campaign]](ctx, c, get, at("/campaigns"), p, nil)
}

// Campaign finds a campaign by id or slug.
func (c *Client) Campaign(ctx context.Context, campaign string) (Campaign, error) {
	return ask[Campaign](ctx, c, get, at("/campaigns/%s", campaign), nil, nil)
}

// CloseCampaign ends a campaign: its codes are not redeemed any more.
func (c *Client) CloseCampaign(ctx context.Context, campaign string) (Campaign, error) {
	return ask[Campaign](ctx, c, post, at("/campaigns/%s/close", campaign), nil, nil)
}

// ReopenCampaign undoes a close.
func (c *Client) ReopenCampaign(ctx context.Context, campaign string) (Campaign, error) {
	return ask[Campaign](ctx, c, post, at("/campaigns/%s/reopen", campaign), nil, nil)
}

// CreateCodes makes codes of a campaign and returns them; they are kept nowhere.
func (c *Client) CreateCodes(ctx context.Context, campaign string, n NewCodes) (MadeCodes, error) {
	return ask[MadeCodes](ctx, c, post, at("/campaigns/%s/codes", campaign), nil, n)
}

// PrintCodes makes codes of a campaign and writes them in a form: csv, json, or html for
// cards to print.
func (c *Client) PrintCodes(ctx context.Context, campaign string, n NewCodes, q CodesQuery, to io.Writer) error {
	return c.write(ctx, post, at("/campaigns/%s/codes", campaign), q, n, to)
}

// Codes lists what is known of the codes of a campaign.
func (c *Client) Codes(ctx context.Context, campaign string, p Page) (List[CampaignCode], error) {
	return ask[List[CampaignCode]](ctx, c, get, at("/campaigns/%s/codes", campaign), p, nil)
}

// RevokeCodes takes codes of a campaign out of use.
func (c *Client) RevokeCodes(ctx context.Context, campaign string, r CodeRange) (RevokedCodes, error) {
	return ask[RevokedCodes](ctx, c, post, at("/campaigns/%s/codes/revoke", campaign), nil, r)
}

// CampaignRedemptions lists who redeemed codes of a campaign, the newest first.
func (c *Client) CampaignRedemptions(ctx context.Context, campaign string, p Page) (List[Redemption], error) {
	return ask[List[Redemption]](ctx, c, get, at("/campaigns/%s/redemptions", campaign), p, nil)
}

// LookUpCode finds a code that somebody has.
func (c *Client) LookUpCode(ctx context.Context, code string) (FoundCode, error) {
	return ask[FoundCode](ctx, c, post, at("/codes/look-up"), nil, NewRedemption{code})
}

// Redeem adds the credits of a code to a wallet.
func (c *Client) Redeem(ctx context.Context, workspace, code string) (Redemption, error) {
	return ask[Redemption](ctx, c, post, at("/workspaces/%s/redemptions", workspace), nil, NewRedemption{code})
}

// Redemptions lists what an organization has redeemed, the newest first.
func (c *Client) Redemptions(ctx context.Context, organization string, p Page) (List[Redemption], error) {
	return ask[List[Redemption]](ctx, c, get, at("/organizations/%s/redemptions", organization), p, nil)
}
