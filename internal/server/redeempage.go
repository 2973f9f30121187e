package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// The page on which a person redeems a code. A link to it has the code behind the #, which
// browsers send to nobody; the one script of these pages puts it into the form, and keeps
// it in the tab while somebody signs in. Without the script the code is typed.

//go:embed redeem.js
var redeemScript string

// redeemPolicy is pagePolicy with that script.
var redeemPolicy = func() string {
	sum := sha256.Sum256([]byte(redeemScript))
	return pagePolicy + "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

// maxChoices is how many workspaces a page offers.
const maxChoices = 200

// choices is what a form to redeem a code has.
type choices struct {
	Workspaces []org.Workspace // for which the person may pay
	Chosen     string          // the id of one
	Key        string          // sent with the form: twice is once
	Script     template.JS
	IsDone     bool // the code was redeemed
}

func (s *Server) redeemPages(mux *http.ServeMux) {
	mux.HandleFunc("GET /redeem", func(w http.ResponseWriter, r *http.Request) {
		s.redeemPage(w, r, view{})
	})
	mux.HandleFunc("POST /redeem", s.form(s.submitRedeem))
}

// redeemPage shows the form. Who is not signed in is asked to, and loses no code by it.
func (s *Server) redeemPage(w http.ResponseWriter, r *http.Request, v view) {
	_, payer, user, err := s.payer(w, r)
	v.Redeem = choices{Key: rand.Text(), Script: template.JS(redeemScript)}
	if err == nil {
		v.User = user.Email
		v.Redeem.Workspaces, err = s.payable(r.Context(), payer)
	}
	if err != nil && !fault.Is(err, fault.Unauthorized) {
		s.refuse(w, r, "message", view{Title: pageTitles["redeem"]}, err)
		return
	}
	s.render(w, r, http.StatusOK, "redeem", v)
}

// payer is the person whose cookie a request has, as an actor.
func (s *Server) payer(w http.ResponseWriter, r *http.Request) (v visitor, a org.Actor, user api.User, err error) {
	v, me, user, err := s.cookied(w, r)
	if err != nil {
		return v, a, user, err
	}
	a.ID = me.User
	err = s.db.View(r.Context(), func(tx *db.Tx) error {
		a.Members, err = s.orgs.MembershipsOf(tx, me.User)
		return err
	})
	return v, a, user, err
}

// payable are the workspaces for which somebody may pay.
func (s *Server) payable(ctx context.Context, a org.Actor) (all []org.Workspace, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		for _, m := range a.Members {
			if m.Project != "" || org.Can(a, org.Pay, org.Target{Organization: m.Organization}) != nil || len(all) >= maxChoices {
				continue
			}
			found, err := s.orgs.Workspaces(tx, m.Organization, "", maxChoices-len(all))
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	})
	return all, err
}

// submitRedeem does what the call of the API does, under the key of the form.
func (s *Server) submitRedeem(w http.ResponseWriter, r *http.Request) {
	code, workspace, key := r.PostForm.Get("code"), r.PostForm.Get("workspace"), r.PostForm.Get("key")
	v, a, user, err := s.payer(w, r)
	if fault.Is(err, fault.Unauthorized) {
		s.redeemPage(w, r, view{Code: code, Wrong: "You are not signed in. Sign in first."})
		return
	}
	var done api.Redemption
	if err == nil {
		ctx := context.WithValue(context.WithValue(r.Context(), actorKey{}, a), visitorKey{}, v)
		done, err = s.redeemForm(ctx, workspace, code, key)
	}
	again := view{Code: code, User: user.Email, Redeem: choices{Chosen: workspace, Key: rand.Text(), Script: template.JS(redeemScript)}}
	again.Redeem.Workspaces, _ = s.payable(r.Context(), a) // without it the page says why, and offers none
	if err == nil {
		again.Message, again.Redeem.IsDone = redeemedText(done, again.Redeem.address(workspace)), true
		s.render(w, r, http.StatusOK, "redeem", again)
		return
	}
	s.refuse(w, r, "redeem", again, err)
}

func (s *Server) redeemForm(ctx context.Context, workspace, code, key string) (done api.Redemption, err error) {
	if key == "" || len(key) > maxKey || strings.IndexFunc(key, unprintable) >= 0 {
		return done, fault.New(fault.Invalid, "the form is not whole: open the page again")
	}
	body, err := json.Marshal(api.NewRedemption{Code: code})
	if err != nil {
		return done, fmt.Errorf("encode a form: %w", err)
	}
	answer, err := s.redeem(ctx, &WorkspacePath{workspace}, code, ledger.Request{
		Route: redeemCall.method + " " + redeemCall.path, Key: key, Body: body, Digest: ledger.BodyDigest(body),
	})
	if err != nil {
		return done, err
	}
	return done, json.Unmarshal(answer.Body, &done)
}

// address is how people call a workspace of the choices: its id if it is none of them.
func (c choices) address(id string) string {
	for _, w := range c.Workspaces {
		if w.ID == id {
			return w.Address
		}
	}
	return id
}

// redeemedText says what was got, and where.
func redeemedText(r api.Redemption, workspace string) string {
	text := fmt.Sprintf("%s credits of %s were added to %s.", r.Amount, r.Campaign, workspace)
	if r.ExpiresAt != nil {
		text += " They can be used before " + mail.Instant(r.ExpiresAt.Time().UnixNano()) + "."
	}
	var only []string
	for _, part := range [][]string{r.Scope.SKUs, r.Scope.Tiers, r.Scope.Regions, r.Scope.Projects} {
		if len(part) > 0 {
			only = append(only, strings.Join(part, " or "))
		}
	}
	if len(only) > 0 {
		text += " They pay for " + strings.Join(only, ", ") + " only."
	}
	return text + fmt.Sprintf(" Its balance is now %s.", r.Balance)
}

// cookied is the session of a request's cookie, of a person who may go on.
func (s *Server) cookied(w http.ResponseWriter, r *http.Request) (v visitor, me account.Session, user api.User, err error) {
	v = s.visitor(w, r)
	if v.token == "" {
		return v, me, user, fault.New(fault.Unauthorized, "log in first")
	}
	me, need, err := s.signedIn(r.Context(), v, func(tx *db.Tx, session account.Session) (err error) {
		user, err = s.user(tx, session.User, account.NeedsNothing)
		return err
	})
	if err == nil {
		err = mayWhile(need, "")
	}
	return v, me, user, err
}
