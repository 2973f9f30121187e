package server

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/sso"
)

// DomainPath names a mail domain that an organization claims.
type DomainPath struct {
	OrganizationPath
	Domain string `path:"domain" maxLength:"253"`
}

func (s *Server) ssoCalls() {
	query(s, call{
		id: "get-sso", method: "GET", path: "/v1/organizations/{organization}/sso", tag: tagPeople, action: org.Manage,
		summary: "Get the single sign-on of an organization", description: "Without the client's secret, which is never answered.",
	}, func(r *reading, _ *OrganizationPath) (out api.SSO, err error) {
		err = r.view(func(tx *db.Tx) error {
			found, err := r.sso.Settings(tx, r.id.Organization)
			out = r.ssoOnWire(found)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "set-sso", method: "PUT", path: "/v1/organizations/{organization}/sso", tag: tagPeople, action: org.Manage,
		summary: "Set up the single sign-on of an organization", description: "An OpenID provider speaks for the addresses of mail domains that the " +
			"operator has confirmed. With another issuer or client every domain has to be confirmed again.",
	}, func(u *unit, _ *OrganizationPath, b *api.NewSSO) (api.SSO, error) {
		was, err := u.sso.Settings(u.tx, u.id.Organization)
		switch {
		case err == nil:
			u.before = u.ssoOnWire(was)
		case !fault.Is(err, fault.NotFound):
			return api.SSO{}, err
		}
		set, err := u.sso.Set(u.tx, u.id.Organization, sso.Choice{
			Issuer: b.Issuer, ClientID: b.ClientID, Secret: b.ClientSecret, Domains: b.Domains,
			Role: cmp.Or(org.Role(b.DefaultRole), org.Developer), IsRequired: b.Required,
		})
		return u.ssoOnWire(set), err
	})
	command(s, call{
		id: "remove-sso", method: "DELETE", path: "/v1/organizations/{organization}/sso", tag: tagPeople, action: org.Manage, optional: true,
		summary: "End the single sign-on of an organization", description: "Who came by it keeps the account, and can have a link mailed to choose a password.",
	}, func(u *unit, _ *OrganizationPath, _ *none) (api.SSO, error) {
		was, err := u.sso.Remove(u.tx, u.id.Organization)
		u.before = u.ssoOnWire(was)
		return u.ssoOnWire(was), err
	})
	command(s, call{
		id: "decide-domain", method: "PUT", path: "/v1/organizations/{organization}/sso/domains/{domain}", tag: tagPeople, action: org.Operate,
		summary: "Say whether a mail domain is an organization's", description: "For the operator. A domain is one organization's at most, " +
			"and is confirmed together with the issuer that speaks for it.",
	}, func(u *unit, p *DomainPath, b *api.DomainDecision) (set api.SSO, err error) {
		var found sso.Settings
		if b.Confirmed {
			found, err = u.sso.Confirm(u.tx, u.id.Organization, p.Domain, b.Issuer)
		} else {
			found, err = u.sso.TakeBack(u.tx, u.id.Organization, p.Domain)
		}
		return u.ssoOnWire(found), err
	})
}

func (s *Server) ssoOnWire(f sso.Settings) api.SSO {
	out := api.SSO{
		Issuer: f.Issuer, ClientID: f.ClientID, DefaultRole: string(f.Role), Required: f.IsRequired, Domains: []api.SSODomain{},
		CallbackURL: s.accounts.URL() + sso.CallbackPath, ChangedAt: api.At(f.ChangedAt),
	}
	for _, d := range f.Domains {
		out.Domains = append(out.Domains, api.SSODomain{Domain: d.Name, ConfirmedAt: api.AtOrNull(d.ConfirmedAt)})
	}
	return out
}

func (s *Server) ssoPages(mux *http.ServeMux) {
	mux.HandleFunc("POST /sso", s.form(s.leaveForProvider))
	mux.HandleFunc("GET "+sso.CallbackPath, s.backFromProvider)
	mux.HandleFunc("POST /sso/second", s.form(s.submitSecond))
}

// ssoCookie is the name of the cookie that binds a visit to a provider to its browser.
func (s *Server) ssoCookie() string {
	if s.isSecure() {
		return "__Host-purser-sso"
	}
	return "purser-sso"
}

func (s *Server) setSSOCookie(h http.Header, value string) {
	c := http.Cookie{
		Name: s.ssoCookie(), Value: value, Path: "/", HttpOnly: true, Secure: s.isSecure(), SameSite: http.SameSiteLaxMode,
		MaxAge: int(sso.VisitLife / db.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	h.Add("Set-Cookie", c.String())
}

// leaveForProvider sends a browser to the provider of an address, or without one to that of
// the installation.
func (s *Server) leaveForProvider(w http.ResponseWriter, r *http.Request) {
	next, email := local(r.PostForm.Get("next")), r.PostForm.Get("email")
	address, d, err := s.depart(r.Context(), s.visitor(w, r), email, next)
	if err != nil {
		s.refuse(w, r, "login", s.loginView(view{Next: next, Email: email}), err)
		return
	}
	s.setSSOCookie(w.Header(), d.Browser)
	// A page and no redirect: browsers hold the policy about forms against where a form is led on to.
	s.render(w, r, http.StatusOK, "leave", view{Next: address})
}

func (s *Server) depart(ctx context.Context, v visitor, email, next string) (address string, d sso.Departure, err error) {
	var p sso.Provider
	if email != "" {
		if email, err = account.Address("/email", email); err != nil {
			return "", d, err
		}
	}
	if err := s.slowed(ctx, func(tx *db.Tx) error { return s.accounts.Limit(tx, "sso", v.Address) }); err != nil {
		return "", d, err
	}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		p, err = s.sso.For(tx, email)
		return err
	})
	if err != nil {
		return "", d, err
	}
	d = sso.Leave(next)
	if address, err = s.sso.Address(ctx, p, d); err != nil {
		return "", d, err
	}
	return address, d, s.asStranger(ctx, func(tx *db.Tx) error { return s.sso.Depart(tx, p, d) })
}

// backFromProvider looks at what a browser brings back.
func (s *Server) backFromProvider(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	browser := ""
	if c, err := r.Cookie(s.ssoCookie()); err == nil {
		browser = c.Value
	}
	s.setSSOCookie(w.Header(), "")
	noDeadline(w)
	a, c, err := s.brought(r.Context(), q, browser)
	if err == nil {
		err = s.welcome(w, r, a, c)
	}
	if err != nil {
		s.refuse(w, r, "login", s.loginView(view{Next: "/"}), err)
	}
}

// brought is what the provider says of who came back.
func (s *Server) brought(ctx context.Context, q url.Values, browser string) (a sso.Arrival, c sso.Claims, err error) {
	err = s.asStranger(ctx, func(tx *db.Tx) error {
		a, err = s.sso.Return(tx, q.Get("state"), browser)
		return err
	})
	if err != nil {
		return a, c, err
	}
	if refused := q.Get("error"); refused != "" || q.Get("code") == "" {
		return a, c, fault.New(fault.Unauthorized, "the provider did not sign you in: %.100s", cmp.Or(q.Get("error_description"), refused, "it sent no code")).
			WithCode("sso_refused")
	}
	c, err = s.sso.Ask(ctx, a, q.Get("code"))
	return a, c, err
}

// welcome signs a person in, or asks for the second factor.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request, a sso.Arrival, c sso.Claims) error {
	v := s.visitor(w, r)
	var state, browser, token string
	var session account.Session
	err := s.asStranger(r.Context(), func(tx *db.Tx) error {
		u, isFirst, err := s.sso.Settle(tx, a, c)
		if err == nil && isFirst {
			err = s.joined(tx, v.origin, u.ID)
		}
		if err != nil {
			return err
		}
		needs, err := s.sso.NeedsSecond(tx, a, u.ID)
		if err != nil {
			return err
		}
		if needs {
			browser = sso.Leave("").Browser
			state, err = s.sso.Pause(tx, a, u.ID, browser)
			return err
		}
		token, session, err = s.enterBy(tx, v, a, u.ID)
		return err
	})
	if err != nil {
		return err
	}
	if state != "" {
		s.setSSOCookie(w.Header(), browser)
		s.render(w, r, http.StatusOK, "second", view{Token: state})
		return nil
	}
	s.note(r, v, "login", session.User, map[string]string{"sso": a.Mark()})
	s.setCookie(w.Header(), token, session)
	http.Redirect(w, r, local(a.Next), http.StatusSeeOther)
	return nil
}

// enterBy begins the session of who came from a provider, in place of the one that the
// browser had.
func (s *Server) enterBy(tx *db.Tx, v visitor, a sso.Arrival, user string) (string, account.Session, error) {
	if err := s.accounts.Unlimit(tx, "sso", v.Address); err != nil {
		return "", account.Session{}, err
	}
	if v.token != "" {
		if _, err := s.accounts.RevokeToken(tx, v.token); err != nil {
			return "", account.Session{}, err
		}
	}
	return s.accounts.EnterBy(tx, user, account.Cookie, v.Visitor, a.Mark())
}

func (s *Server) submitSecond(w http.ResponseWriter, r *http.Request) {
	state, code := r.PostForm.Get("token"), r.PostForm.Get("code")
	browser := ""
	if c, err := r.Cookie(s.ssoCookie()); err == nil {
		browser = c.Value
	}
	v := s.visitor(w, r)
	a, token, session, err := s.second(r.Context(), v, state, browser, code)
	if err != nil {
		s.refuse(w, r, "second", view{Token: state}, err)
		return
	}
	s.note(r, v, "login", session.User, map[string]string{"sso": a.Mark()})
	s.setSSOCookie(w.Header(), "")
	s.setCookie(w.Header(), token, session)
	http.Redirect(w, r, local(a.Next), http.StatusSeeOther)
}

func (s *Server) second(ctx context.Context, v visitor, state, browser, code string) (a sso.Arrival, token string, session account.Session, err error) {
	err = s.slowed(ctx, func(tx *db.Tx) error {
		user, err := s.sso.Waiting(tx, state)
		if err != nil {
			return err
		}
		return s.accounts.Limit(tx, "second", user)
	})
	if err != nil {
		return a, "", session, err
	}
	err = s.asStranger(ctx, func(tx *db.Tx) error {
		var user account.User
		if a, user, err = s.sso.Resume(tx, state, browser, code); err != nil {
			return err
		}
		if err := s.accounts.Unlimit(tx, "second", user.ID); err != nil {
			return err
		}
		token, session, err = s.enterBy(tx, v, a, user.ID)
		return err
	})
	return a, token, session, err
}

// loginView is what the page of the login shows besides.
func (s *Server) loginView(v view) view {
	v.OffersSSO, v.HasOperatorsSSO = true, s.sso.HasOperators()
	return v
}
