package server

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"

	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// The page that the link of an invitation leads to. The secret stands behind the #, which
// browsers send to nobody; a script puts it into a form, whose body brings it here, so that
// it is in no address that is logged or told to others. Without the script the link is
// pasted.

//go:embed invitation.js
var invitationScript string

// invitationPolicy is pagePolicy with that script.
var invitationPolicy = func() string {
	sum := sha256.Sum256([]byte(invitationScript))
	return pagePolicy + "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

// invited is what the page shows of an invitation.
type invited struct {
	org.Invitation
	Name    string // of the organization
	Inviter string
	Secret  string
	IsYours bool // of whoever is signed in
	Script  template.JS
}

func (s *Server) invitationPages(mux *http.ServeMux) {
	mux.HandleFunc("GET /invitation", func(w http.ResponseWriter, r *http.Request) {
		s.render(w, r, http.StatusOK, "invitation", view{Invited: invited{Script: template.JS(invitationScript)}})
	})
	mux.HandleFunc("POST /invitation", s.form(s.submitInvitation))
}

// submitInvitation shows the invitation of a secret, and does what was decided: signs its
// person in or up, or accepts it.
func (s *Server) submitInvitation(w http.ResponseWriter, r *http.Request) {
	secret := r.PostForm.Get("secret")
	secret = strings.TrimSpace(secret[strings.LastIndex(secret, "#")+1:])
	page, v := view{Invited: invited{Script: template.JS(invitationScript)}}, s.visitor(w, r)
	found, err := s.invitation(r.Context(), secret)
	if err != nil {
		s.refuse(w, r, "invitation", page, err)
		return
	}
	page.Invited, page.User = found, s.isSignedInAs(r.Context(), v)
	switch r.PostForm.Get("decision") {
	case "accept":
		err = s.acceptOnPage(r.Context(), v, found)
		page.Message = "You are a member of " + found.Name + " now."
	case "sign-up":
		err = s.signUp(r.Context(), v, found.Email, r.PostForm.Get("name"), r.PostForm.Get("password"))
		page.Message = "A mail was sent to " + found.Email + ". Follow its link, and you are a member of " + found.Name + "."
		if err == nil {
			s.note(r, v, "sign-up", "", map[string]string{"email": found.Email})
		}
	case "sign-in":
		var token string
		var session account.Session
		token, session, err = s.logIn(r.Context(), v, found.Email, r.PostForm.Get("password"), r.PostForm.Get("code"), account.Cookie)
		if err == nil {
			s.note(r, v, "login", session.User, map[string]string{"email": found.Email})
			s.setCookie(w.Header(), token, session)
			page.User = found.Email
		}
	}
	page.Invited.IsYours = page.User == found.Email
	switch {
	case err != nil:
		page.Message = ""
		s.refuse(w, r, "invitation", page, err)
	case page.Message != "":
		s.render(w, r, http.StatusOK, "message", view{Title: pageTitles["invitation"], Message: page.Message})
	default:
		s.render(w, r, http.StatusOK, "invitation", page)
	}
}

// invitation finds what the secret of an invitation is for, while it waits.
func (s *Server) invitation(ctx context.Context, secret string) (found invited, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		i, err := s.orgs.Invited(tx, secret)
		if err != nil {
			return err
		}
		o, err := s.orgs.Organization(tx, i.Organization)
		found = invited{Invitation: i, Name: o.Name, Inviter: "The operator", Secret: secret, Script: template.JS(invitationScript)}
		if err != nil || i.InvitedBy == org.Operator.ID {
			return err
		}
		user, err := s.orgs.InviterOf(tx, i)
		if err != nil {
			return err
		}
		u, err := s.accounts.User(tx, user)
		if fault.Is(err, fault.NotFound) { // has gone since
			found.Inviter = "Somebody"
			return nil
		}
		found.Inviter = strings.TrimSpace(u.Name + " <" + u.Email + ">")
		return err
	})
	return found, err
}

// isSignedInAs is the address of whose cookie a request has; "" if it has none that is good.
func (s *Server) isSignedInAs(ctx context.Context, v visitor) (email string) {
	if v.token == "" {
		return ""
	}
	_, _, err := s.signedIn(ctx, v, func(tx *db.Tx, session account.Session) error {
		u, err := s.accounts.User(tx, session.User)
		email = u.Email
		return err
	})
	if err != nil {
		return ""
	}
	return email
}

// acceptOnPage accepts an invitation for the person of the cookie, as the call of the API does.
func (s *Server) acceptOnPage(ctx context.Context, v visitor, found invited) error {
	me, need, err := s.signedIn(ctx, v, func(*db.Tx, account.Session) error { return nil })
	if err == nil {
		err = mayWhile(need, "")
	}
	if err != nil {
		return err
	}
	return s.db.Update(db.InLane(ctx, found.Organization), func(tx *db.Tx) error {
		i, err := s.orgs.Accept(tx, me.User, found.Secret)
		if err != nil {
			return err
		}
		return s.audit.Record(tx, audit.Entry{
			Organization: i.Organization, Actor: me.User, Action: "accept-invitation", Target: i.ID, Address: v.origin.address, Agent: v.origin.agent,
		})
	})
}
