package api

import "context"

// SSO is the single sign-on of an organization: its OpenID provider, and the mail domains
// for which that speaks. The client's secret is never answered.
type SSO struct {
	Issuer      string      `json:"issuer" example:"https://login.example.org"`
	ClientID    string      `json:"client_id"`
	DefaultRole string      `json:"default_role" enum:"admin,platform,developer,finance,viewer" doc:"Of who comes by it for the first time and is no member yet."`
	Required    bool        `json:"required" doc:"Whether members with an address of its confirmed domains, and who came by it before, can come in no other way; owners can."`
	Domains     []SSODomain `json:"domains"`
	CallbackURL string      `json:"callback_url" doc:"What the provider must be told to send people back to."`
	ChangedAt   Instant     `json:"changed_at" format:"date-time"`
}

// SSODomain is a mail domain that an organization claims.
type SSODomain struct {
	Domain      string   `json:"domain" example:"example.org"`
	ConfirmedAt *Instant `json:"confirmed_at" format:"date-time" doc:"When the operator confirmed that it is the organization's; null until then: nobody comes by it before."`
}

// NewSSO sets up the single sign-on of an organization.
type NewSSO struct {
	Issuer       string   `json:"issuer" minLength:"1" maxLength:"2000" doc:"The provider's address, at which its discovery document is found."`
	ClientID     string   `json:"client_id" minLength:"1" maxLength:"500"`
	ClientSecret string   `json:"client_secret,omitempty" maxLength:"2000" doc:"May be left out if the provider stays the same."`
	Domains      []string `json:"domains" maxItems:"20"`
	DefaultRole  string   `json:"default_role,omitempty" enum:"admin,platform,developer,finance,viewer" doc:"developer if it is left out"`
	Required     bool     `json:"required,omitempty"`
}

// DomainDecision is the operator's word about a domain.
type DomainDecision struct {
	Confirmed bool   `json:"confirmed" doc:"Whether the domain is the organization's, and the issuer speaks for it."`
	Issuer    string `json:"issuer,omitempty" maxLength:"2000" doc:"The issuer that was looked at; needed to confirm. If the organization has another one by now, it is refused."`
}

// SSO reads the single sign-on of an organization.
func (c *Client) SSO(ctx context.Context, organization string) (SSO, error) {
	return ask[SSO](ctx, c, get, at("/organizations/%s/sso", organization), nil, nil)
}

// SetSSO sets up the single sign-on of an organization, in place of what there is.
func (c *Client) SetSSO(ctx context.Context, organization string, n NewSSO) (SSO, error) {
	return ask[SSO](ctx, c, put, at("/organizations/%s/sso", organization), nil, n)
}

// RemoveSSO ends the single sign-on of an organization.
func (c *Client) RemoveSSO(ctx context.Context, organization string) (SSO, error) {
	return ask[SSO](ctx, c, del, at("/organizations/%s/sso", organization), nil, nil)
}

// DecideDomain says whether a domain is the organization's; for the operator.
func (c *Client) DecideDomain(ctx context.Context, organization, domain string, d DomainDecision) (SSO, error) {
	return ask[SSO](ctx, c, put, at("/organizations/%s/sso/domains/%s", organization, domain), nil, d)
}
