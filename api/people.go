package api

import (
	"context"
	"net/http"
)

const del = http.MethodDelete

// OrganizationChange changes what it names of an organization.
type OrganizationChange struct {
	Name string `json:"name" doc:"Its name for people." minLength:"1" maxLength:"200"`
}

// OrganizationSettings are what an organization has decided about itself.
type OrganizationSettings struct {
	RequireTwoFactor bool   `json:"require_two_factor" doc:"Whether only members with two-factor authentication are let in."`
	DefaultRole      string `json:"default_role" enum:"admin,platform,developer,finance,viewer" doc:"The role of who joins without an invitation."`
}

// OrganizationSettingsChange changes what it names of the settings.
type OrganizationSettingsChange struct {
	RequireTwoFactor *bool   `json:"require_two_factor,omitempty"`
	DefaultRole      *string `json:"default_role,omitempty" enum:"admin,platform,developer,finance,viewer"`
}

// BillingProfile is to whom the bills of an organization go.
type BillingProfile struct {
	BillingEmail string `json:"billing_email" doc:"Where invoices and alerts go."`
	LegalName    string `json:"legal_name"`
	Address      string `json:"address" doc:"As it stands on invoices; may have several lines."`
	TaxID        string `json:"tax_id" doc:"Where the form of the country's is known: in capitals, without spaces, dots and hyphens."`
	TaxIDState   string `json:"tax_id_state,omitempty" enum:"unchecked,form_checked,verified" doc:"What is known of it. unchecked: any text, of a country whose form is not known here; it reverses no charge. form_checked: it has the form of its country, and the check digits fit. verified: the operator has seen that it is the organization's."`
	VerifiedOn   string `json:"tax_id_verified_on,omitempty" doc:"The day on which the operator verified it." example:"2026-03-01"`
	Verification string `json:"tax_id_verification,omitempty" doc:"What the operator's evidence is."`
	Country      string `json:"country" doc:"In which the organization is taxed: two letters, ISO 3166-1." example:"DE"`
	Reference    string `json:"reference" doc:"What its invoices carry, as the number of a purchase order."`
}

// BillingProfileChange changes what it names of a billing profile.
type BillingProfileChange struct {
	BillingEmail *string `json:"billing_email,omitempty" maxLength:"254"`
	LegalName    *string `json:"legal_name,omitempty" maxLength:"200"`
	Address      *string `json:"address,omitempty" maxLength:"1000"`
	TaxID        *string `json:"tax_id,omitempty" maxLength:"100"`
	Country      *string `json:"country,omitempty" maxLength:"2"`
	Reference    *string `json:"reference,omitempty" maxLength:"100"`
}

// TaxIDVerification is the operator's word that a tax id is an organization's.
type TaxIDVerification struct {
	TaxID      string `json:"tax_id" minLength:"1" maxLength:"100" doc:"The one that was verified: refused if the billing profile has another by now." example:"DE811569869"`
	VerifiedOn string `json:"verified_on" minLength:"10" maxLength:"10" doc:"The day on which it was seen." example:"2026-03-01"`
	Reference  string `json:"reference" minLength:"1" maxLength:"500" doc:"What says so: the consultation number of VIES, or where the document is." example:"VIES consultation WAPIAAAAX3cXy9"`
}

// Member is a person with one of the roles that he has in an organization.
type Member struct {
	User      string  `json:"user" doc:"The id of the person." example:"usr_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Email     string  `json:"email"`
	Name      string  `json:"name"`
	Role      string  `json:"role" enum:"owner,admin,platform,developer,finance,viewer"`
	Workspace string  `json:"workspace,omitempty" doc:"The id of the one that the project is in."`
	Project   string  `json:"project,omitempty" doc:"In which project; missing for all of the organization."`
	CreatedAt Instant `json:"created_at" format:"date-time"`
}

// NewRole gives a member another role, or one in a project.
type NewRole struct {
	Role      string `json:"role" enum:"owner,admin,platform,developer,finance,viewer"`
	Project   string `json:"project,omitempty" maxLength:"200" doc:"In which project; missing for all of the organization."`
	Workspace string `json:"workspace,omitempty" maxLength:"200" doc:"Of the project: an address or id; missing for the default workspace."`
}

// MemberQuery says which role is meant.
type MemberQuery struct {
	Project   string `query:"project" maxLength:"200" doc:"The role in this project only; missing for all that the member has."`
	Workspace string `query:"workspace" maxLength:"200" doc:"Of the project: an address or id; missing for the default workspace."`
}

// HandOver names the next owner.
type HandOver struct {
	User string `json:"user" minLength:"1" maxLength:"60" doc:"The id of a member."`
}

// NewInvitation asks somebody to join.
type NewInvitation struct {
	Email     string `json:"email" minLength:"3" maxLength:"254"`
	Role      string `json:"role" enum:"owner,admin,platform,developer,finance,viewer"`
	Project   string `json:"project,omitempty" maxLength:"200" doc:"In which project; missing for all of the organization."`
	Workspace string `json:"workspace,omitempty" maxLength:"200" doc:"Of the project: an address or id; missing for the default workspace."`
}

// NewInvitations asks several people to join.
type NewInvitations struct {
	Items []NewInvitation `json:"items" minItems:"1" maxItems:"50"`
}

// Invitation asks somebody to join an organization. The secret that accepts it is in
// the mail, and nowhere else.
type Invitation struct {
	ID           string   `json:"id" example:"inv_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Organization string   `json:"organization" doc:"The id of the organization."`
	Email        string   `json:"email"`
	Role         string   `json:"role"`
	Workspace    string   `json:"workspace,omitempty" doc:"The id of the one that the project is in."`
	Project      string   `json:"project,omitempty"`
	Status       string   `json:"status" enum:"pending,accepted,revoked,expired"`
	InvitedBy    string   `json:"invited_by"`
	CreatedAt    Instant  `json:"created_at" format:"date-time"`
	ExpiresAt    Instant  `json:"expires_at" format:"date-time"`
	AcceptedAt   *Instant `json:"accepted_at" format:"date-time"`
}

// Invitations are the invitations that were sent.
type Invitations struct {
	Items []Invitation `json:"items"`
}

// Acceptance holds the secret of an invitation.
type Acceptance struct {
	Secret string `json:"secret" minLength:"1" maxLength:"200" doc:"What stands behind the # of the mailed link."`
}

// NewToken asks for an API token.
type NewToken struct {
	Name      string       `json:"name" minLength:"1" maxLength:"200" doc:"What it is for."`
	Scopes    []string     `json:"scopes" minItems:"1" maxItems:"7" doc:"What it may do, at most what you may: own, manage, pay, account, govern, run, see."`
	ExpiresAt Instant      `json:"expires_at,omitempty" format:"date-time" doc:"Never if missing."`
	Networks  []string     `json:"networks,omitempty" maxItems:"50" doc:"From where it is taken, as CIDR; from everywhere if missing." example:"[\"10.0.0.0/8\"]"`
	Project   string       `json:"project,omitempty" maxLength:"200" doc:"For this project only; what it starts counts as it."`
	Workspace string       `json:"workspace,omitempty" maxLength:"200" doc:"For this workspace only: an address or id. One with a project or a budget is for the default workspace if none is named."`
	Budget    *TokenBudget `json:"budget,omitempty" doc:"What it may spend."`
}

// TokenBudget caps what a token spends.
type TokenBudget struct {
	Amount      Amount `json:"amount"`
	Window      string `json:"window" enum:"hour,day,week,month,total,rolling"`
	WindowHours int    `json:"window_hours,omitempty" minimum:"0" maximum:"744" doc:"For rolling: how many hours."`
	Hard        bool   `json:"hard" required:"false" doc:"Whether work is stopped at the cap, or only reported."`
}

// Token is an API token, without its secret.
type Token struct {
	ID         string   `json:"id" example:"key_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	User       string   `json:"user" doc:"Whose it is."`
	Name       string   `json:"name"`
	Scopes     []string `json:"scopes"`
	Networks   []string `json:"networks"`
	Project    string   `json:"project,omitempty"`
	Workspace  string   `json:"workspace,omitempty" doc:"The id of the one workspace that it is for."`
	CreatedAt  Instant  `json:"created_at" format:"date-time"`
	ExpiresAt  *Instant `json:"expires_at" format:"date-time"`
	LastUsedAt *Instant `json:"last_used_at" format:"date-time" doc:"To the minute."`
}

// FreshToken is a token with its secret, which is shown this once.
type FreshToken struct {
	Token
	Secret string `json:"secret" doc:"Send it as Authorization: Bearer. It cannot be had again."`
}

// Rotation says for how long the secrets before stay good.
type Rotation struct {
	OverlapSeconds int64 `json:"overlap_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"0 ends them at once."`
}

// TokenQuery says whose tokens are listed.
type TokenQuery struct {
	Page
	User    string `query:"user" maxLength:"60" doc:"Your own if missing; of others, or everybody's (all), for who manages the organization."`
	Project string `query:"project" maxLength:"200" doc:"Asks as a member of this project."`
}

// RenameOrganization gives an organization another name.
func (c *Client) RenameOrganization(ctx context.Context, organization string, change OrganizationChange) (Organization, error) {
	return ask[Organization](ctx, c, patch, at("/organizations/%s", organization), nil, change)
}

// DeleteOrganization deletes an organization in which nothing runs and no credits are left.
func (c *Client) DeleteOrganization(ctx context.Context, organization string) (Organization, error) {
	return ask[Organization](ctx, c, del, at("/organizations/%s", organization), nil, nil)
}

// LeaveOrganization ends the caller's membership.
func (c *Client) LeaveOrganization(ctx context.Context, organization string) (Member, error) {
	return ask[Member](ctx, c, post, at("/organizations/%s/leave", organization), nil, nil)
}

// HandOverOrganization makes another member owner in place of the caller.
func (c *Client) HandOverOrganization(ctx context.Context, organization string, to HandOver) (Member, error) {
	return ask[Member](ctx, c, post, at("/organizations/%s/transfer-ownership", organization), nil, to)
}

// OrganizationSettings reads the settings of an organization.
func (c *Client) OrganizationSettings(ctx context.Context, organization string) (OrganizationSettings, error) {
	return ask[OrganizationSettings](ctx, c, get, at("/organizations/%s/settings", organization), nil, nil)
}

// ChangeOrganizationSettings changes what change names of the settings.
func (c *Client) ChangeOrganizationSettings(ctx context.Context, organization string, change OrganizationSettingsChange) (OrganizationSettings, error) {
	return ask[OrganizationSettings](ctx, c, patch, at("/organizations/%s/settings", organization), nil, change)
}

// BillingProfile reads the billing profile of an organization.
func (c *Client) BillingProfile(ctx context.Context, organization string) (BillingProfile, error) {
	return ask[BillingProfile](ctx, c, get, at("/organizations/%s/billing-profile", organization), nil, nil)
}

// ChangeBillingProfile changes what change names of the billing profile.
func (c *Client) ChangeBillingProfile(ctx context.Context, organization string, change BillingProfileChange) (BillingProfile, error) {
	return ask[BillingProfile](ctx, c, patch, at("/organizations/%s/billing-profile", organization), nil, change)
}

// VerifyTaxID says that the operator has verified the tax id of an organization.
func (c *Client) VerifyTaxID(ctx context.Context, organization string, v TaxIDVerification) (BillingProfile, error) {
	return ask[BillingProfile](ctx, c, put, at("/organizations/%s/tax-id-verification", organization), nil, v)
}

// UnverifyTaxID takes that back.
func (c *Client) UnverifyTaxID(ctx context.Context, organization string) (BillingProfile, error) {
	return ask[BillingProfile](ctx, c, del, at("/organizations/%s/tax-id-verification", organization), nil, nil)
}

// Members lists who belongs to an organization, with each of their roles.
func (c *Client) Members(ctx context.Context, organization string, p Page) (List[Member], error) {
	return ask[List[Member]](ctx, c, get, at("/organizations/%s/members", organization), p, nil)
}

// ChangeRole gives a member another role, or one in a project.
func (c *Client) ChangeRole(ctx context.Context, organization, user string, n NewRole) (Member, error) {
	return ask[Member](ctx, c, patch, at("/organizations/%s/members/%s", organization, user), nil, n)
}

// RemoveMember takes a member out of an organization, or out of one project.
func (c *Client) RemoveMember(ctx context.Context, organization, user string, q MemberQuery) (Member, error) {
	return ask[Member](ctx, c, del, at("/organizations/%s/members/%s", organization, user), q, nil)
}

// Invite asks people to join an organization.
func (c *Client) Invite(ctx context.Context, organization string, n NewInvitations) (Invitations, error) {
	return ask[Invitations](ctx, c, post, at("/organizations/%s/invitations", organization), nil, n)
}

// Invitations lists the invitations of an organization, the oldest first.
func (c *Client) Invitations(ctx context.Context, organization string, p Page) (List[Invitation], error) {
	return ask[List[Invitation]](ctx, c, get, at("/organizations/%s/invitations", organization), p, nil)
}

// ResendInvitation mails an invitation again, with another link.
func (c *Client) ResendInvitation(ctx context.Context, organization, invitation string) (Invitation, error) {
	return ask[Invitation](ctx, c, post, at("/organizations/%s/invitations/%s/resend", organization, invitation), nil, nil)
}

// RevokeInvitation takes an invitation back.
func (c *Client) RevokeInvitation(ctx context.Context, organization, invitation string) (Invitation, error) {
	return ask[Invitation](ctx, c, del, at("/organizations/%s/invitations/%s", organization, invitation), nil, nil)
}

// AcceptInvitation makes the caller a member.
func (c *Client) AcceptInvitation(ctx context.Context, a Acceptance) (Invitation, error) {
	return ask[Invitation](ctx, c, post, at("/invitations/accept"), nil, a)
}

// CreateToken makes an API token.
func (c *Client) CreateToken(ctx context.Context, organization string, n NewToken) (FreshToken, error) {
	return ask[FreshToken](ctx, c, post, at("/organizations/%s/tokens", organization), nil, n)
}

// Tokens lists API tokens, the oldest first.
func (c *Client) Tokens(ctx context.Context, organization string, q TokenQuery) (List[Token], error) {
	return ask[List[Token]](ctx, c, get, at("/organizations/%s/tokens", organization), q, nil)
}

// RotateToken gives a token another secret.
func (c *Client) RotateToken(ctx context.Context, organization, token string, r Rotation) (FreshToken, error) {
	return ask[FreshToken](ctx, c, post, at("/organizations/%s/tokens/%s/rotate", organization, token), nil, r)
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, organization, token string) (Token, error) {
	return ask[Token](ctx, c, del, at("/organizations/%s/tokens/%s", organization, token), nil, nil)
}
