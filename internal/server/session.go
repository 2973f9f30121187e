package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// whatNeedsNothing are the calls that a person may make who has to verify an address,
// or to set up a second factor, first.
var whatNeedsNothing = []string{"GET /v1/user", "GET /v1/whoami", "POST /v1/logout", "GET /v1/sessions", "POST /v1/sessions/{session}/revoke"}

// whatTwoFactorNeeds are those with which a second factor is set up.
var whatTwoFactorNeeds = []string{"POST /v1/user/two-factor", "POST /v1/user/two-factor/confirm"}

// bySession is who sent a request with the token of a session; false if it came with
// none.
func (s *Server) bySession(r *http.Request) (org.Actor, bool, error) {
	v := s.visitor(discard{http.Header{}}, r)
	if v.token == "" {
		return org.Actor{}, false, nil
	}
	a := org.Actor{}
	session, need, err := s.signedIn(r.Context(), v, func(tx *db.Tx, session account.Session) (err error) {
		a.ID = session.User
		if a.Members, err = s.orgs.MembershipsOf(tx, session.User); err != nil {
			return err
		}
		return s.sso.Bar(tx, a.Members, session.User, session.SSO)
	})
	if err != nil {
		return org.Actor{}, false, err
	}
	if err := mayWhile(need, r.Pattern); err != nil {
		return org.Actor{}, false, err
	}
	if session.IsStale(s.now()) {
		err = s.db.Update(r.Context(), func(tx *db.Tx) error { return s.accounts.Touch(tx, session.ID) })
	}
	return a, err == nil, err
}

// signedIn finds the session that a visitor has. also runs on the same snapshot.
func (s *Server) signedIn(ctx context.Context, v visitor, also func(*db.Tx, account.Session) error) (session account.Session, need account.Need, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		if session, need, err = s.accounts.Find(tx, v.token); err != nil {
			return err
		}
		if session.Kind != v.kind { // a cookie is no token, and the other way round
			return fault.New(fault.Unauthorized, "you are not signed in: log in").WithCode("session_ended")
		}
		return also(tx, session)
	})
	return session, need, err
}

func mayWhile(need account.Need, call string) error {
	switch {
	case need == account.NeedsNothing, slices.Contains(whatNeedsNothing, call):
		return nil
	case need == account.NeedsVerification:
		return fault.New(fault.Forbidden, "verify your email address first: follow the link that was mailed to it, or ask for another").
			WithCode("email_unverified")
	case slices.Contains(whatTwoFactorNeeds, call):
		return nil
	}
	return fault.New(fault.Forbidden, "an organization of yours asks for a second factor: set one up first").WithCode("two_factor_required")
}

// me is the session of whoever makes a call about the own account: neither the
// operator's token nor one for programs belongs to a person who is there.
func (s *Server) me(ctx context.Context) (out account.Session, err error) {
	v := visitorOf(ctx)
	if v.token == "" {
		return out, fault.New(fault.Forbidden, "this is about a person's own account, and your token is no person's session: log in").WithCode("no_session")
	}
	out, _, err = s.signedIn(ctx, v, func(*db.Tx, account.Session) error { return nil })
	return out, err
}

// asStranger runs what a stranger asks for: it waits apart from the work of organizations.
func (s *Server) asStranger(ctx context.Context, fn func(*db.Tx) error) error {
	return s.db.Update(db.InLane(ctx, "accounts"), fn)
}

// cookieName is that of the session's cookie. With the prefix a browser takes it over
// an encrypted connection only, and from this host only.
func (s *Server) cookieName() string {
	if s.isSecure() {
		return "__Host-purser-session"
	}
	return "purser-session"
}

func (s *Server) isSecure() bool { return strings.HasPrefix(s.accounts.URL(), "https://") }

// setCookie gives a browser the token of a session; "" takes it away.
func (s *Server) setCookie(h http.Header, token string, session account.Session) {
	cookie := http.Cookie{Name: s.cookieName(), Value: token, Path: "/", HttpOnly: true, Secure: s.isSecure(), SameSite: http.SameSiteLaxMode}
	if token == "" {
		cookie.MaxAge = -1
	} else {
		cookie.Expires = time.Unix(0, session.ExpiresAt)
	}
	h.Add("Set-Cookie", cookie.String())
	h.Set("Cache-Control", "no-store")
}

func sessionOnWire(s account.Session, current string) api.Session {
	return api.Session{
		ID: s.ID, Kind: string(s.Kind), Agent: s.Agent, Address: s.Address, CreatedAt: api.At(s.CreatedAt), UsedAt: api.At(s.UsedAt),
		ExpiresAt: api.At(s.ExpiresAt), Current: s.ID == current,
	}
}

// user is a person on the wire.
func (s *Server) user(tx *db.Tx, id string, need account.Need) (api.User, error) {
	u, err := s.accounts.User(tx, id)
	if err != nil {
		return api.User{}, err
	}
	out := api.User{ID: u.ID, Email: u.Email, Name: u.Name, CreatedAt: api.At(u.CreatedAt), Needs: string(need)}
	if u.VerifiedAt != 0 {
		at := api.At(u.VerifiedAt)
		out.VerifiedAt = &at
	}
	out.TwoFactor, out.RecoveryCodes, err = s.accounts.HasTwoFactor(tx, id)
	return out, err
}
