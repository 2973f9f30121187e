package sso

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/fault"
)

// Claims is who a provider says somebody is.
type Claims struct {
	Subject string
	Email   string // verified by the provider; "" if it says no such address
	Name    string
}

// said is what stands in a token, or in what the provider says of a person.
type said struct {
	Email      string `json:"email"`
	IsVerified truth  `json:"email_verified"`
	Name       string `json:"name"`
}

// truth is true as some providers write it: as a word.
type truth bool

func (t *truth) UnmarshalJSON(text []byte) error {
	var word string
	if json.Unmarshal(text, &word) == nil {
		*t = word == "true"
		return nil
	}
	return json.Unmarshal(text, (*bool)(t))
}

// Ask exchanges the code that a browser brought for what the provider says of the person.
// The token must be signed by the provider, for us, now, and for this visit.
func (s *SSO) Ask(ctx context.Context, a Arrival, code string) (c Claims, err error) {
	found, ctx, err := s.discover(ctx, a.Provider)
	if err != nil {
		return c, err
	}
	token, err := s.oauth(a.Provider, found).Exchange(ctx, code, oauth2.VerifierOption(a.proof))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 {
			return c, refusedBy(a.Provider, "it did not take the code"+because(refused.ErrorCode))
		}
		return c, away(a.Provider, err)
	}
	raw, _ := token.Extra("id_token").(string)
	verifier := found.Verifier(&oidc.Config{ClientID: a.Provider.ClientID, Now: func() time.Time { return time.Unix(0, s.config.Now()) }})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		var expired *oidc.TokenExpiredError
		if errors.As(err, &expired) {
			return c, refusedBy(a.Provider, "its token has expired")
		}
		return c, refusedBy(a.Provider, "its token is not signed by it, or is not for this server")
	}
	if id.Subject == "" || id.Nonce == "" || id.Nonce != a.nonce {
		return c, refusedBy(a.Provider, "its token is of another sign-in")
	}
	var who said
	if err := id.Claims(&who); err != nil {
		return c, refusedBy(a.Provider, "its token cannot be read")
	}
	if who.Email == "" {
		if who, err = s.moreOf(ctx, found, token, id.Subject, who); err != nil {
			return c, refusedBy(a.Provider, err.Error())
		}
	}
	c = Claims{Subject: id.Subject, Name: who.Name}
	if who.IsVerified {
		c.Email, _ = account.Address("/email", who.Email) // what is no address is none
	}
	return c, nil
}

// moreOf asks for what does not stand in the token.
func (s *SSO) moreOf(ctx context.Context, found *oidc.Provider, token *oauth2.Token, subject string, who said) (said, error) {
	if found.UserInfoEndpoint() == "" {
		return who, nil
	}
	info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return who, errors.New("it does not say who it is")
	}
	if info.Subject != subject {
		return who, errors.New("it names two persons")
	}
	more := said{Name: who.Name}
	return more, info.Claims(&more)
}

// because is the reason of a provider if it is one of those that there are (RFC 6749,
// section 5.2): whoever set it up needs it, and any other text is not passed on.
func because(code string) string {
	switch code {
	case "invalid_client", "unauthorized_client":
		return " (" + code + "): whoever set it up must look at the client and its secret"
	case "invalid_request", "invalid_grant", "unsupported_grant_type", "invalid_scope":
		return " (" + code + ")"
	}
	return ""
}

func refusedBy(p Provider, why string) error {
	return fault.New(fault.Unauthorized, "the sign-in at %s was not accepted: %.300s", p.Issuer, why).WithCode("sso_refused")
}
