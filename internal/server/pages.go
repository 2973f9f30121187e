package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay/sandbox"
)

// The pages that need no script: where mailed links lead, and where a command line is
// signed in. Nothing is done by opening one; a form does it.

//go:embed pages.html
var pagesText string

//go:embed pages.css
var pagesStyle string

var pageTemplates = template.Must(template.New("pages").Parse(pagesText))

// pagePolicy lets a page have its own style and forms to this server, and nothing else.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pagesStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// maxForm bounds a form.
const maxForm = 16 << 10

// mailedPages are those with the token of a mailed link in their address: they tell no
// other page where they were. The others have a browser say to this server alone which
// page a form is from.
var mailedPages = []string{"/verify", "/reset"}

func isMailedPage(path string) bool { return slices.Contains(mailedPages, path) }

// view is what a page shows.
type view struct {
	Style                template.CSS
	Title                string
	Message, Wrong       string
	Email, Token, Next   string
	Code                 string
	Device               *account.Device
	User                 string
	Redeem               choices
	Sandbox              *sandbox.Page
	Invited              invited
	ShowsForm, ShowsCode bool
	OffersSSO            bool // by the address of one's organization
	HasOperatorsSSO      bool // and by a provider for all
}

func (s *Server) accountPages(mux *http.ServeMux) {
	mux.HandleFunc("GET /login", s.loginPage)
	mux.HandleFunc("POST /login", s.form(s.submitLogin))
	mux.HandleFunc("POST /logout", s.form(s.submitLogout))
	mux.HandleFunc("GET /device", s.devicePage)
	mux.HandleFunc("POST /device", s.form(s.submitDevice))
	for _, path := range mailedPages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			s.render(w, r, http.StatusOK, path[1:], view{Token: r.URL.Query().Get("token"), ShowsForm: r.URL.Query().Get("token") != ""})
		})
	}
	mux.HandleFunc("POST /verify", s.form(s.submitVerify))
	mux.HandleFunc("POST /reset", s.form(s.submitReset))
	s.ssoPages(mux)
}

// form reads the fields of a form from the body alone.
func (s *Server) form(submit http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			s.writeFault(w, r, malformed("the form cannot be read"))
			return
		}
		noDeadline(w)
		submit(w, r)
	}
}

var pageTitles = map[string]string{
	"login": "Sign in", "device": "Sign a command line in", "verify": "Confirm your email address", "reset": "Choose a new password", "redeem": "Redeem a code",
	"message": "Purser", "invitation": "Join an organization",
	"second": "One more step", "leave": "Single sign-on",
}

func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, page string, v view) {
	v.Style = template.CSS(pagesStyle)
	if v.Title == "" {
		v.Title = pageTitles[page]
	}
	var text bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&text, page, v); err != nil {
		s.writeFault(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	if page == "redeem" {
		h.Set("Content-Security-Policy", redeemPolicy)
	}
	if page == "invitation" {
		h.Set("Content-Security-Policy", invitationPolicy)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	if isMailedPage(r.URL.Path) {
		h.Set("Referrer-Policy", "no-referrer")
	}
	w.WriteHeader(status)
	w.Write(text.Bytes())
}

// refuse shows a page again, with what was wrong.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, page string, v view, err error) {
	if id := pageCalls[page]; id != "" {
		s.noteRefusal(r.Context(), s.visitor(discard{http.Header{}}, r).origin, call{id: id}, &reading{Server: s}, err)
	}
	p := s.problem(r.Context(), err)
	v.Wrong, v.ShowsForm = sentence(p.Detail), true
	switch f := fault.Of(err); {
	case f != nil && f.Code == "invalid_link":
		v.Wrong, v.ShowsForm = "This link is good no more: a link works once, and not for long.", false
	case f != nil && len(f.Fields) > 0:
		v.Wrong = sentence("the " + strings.ReplaceAll(strings.TrimPrefix(f.Fields[0].Pointer, "/"), "_", " ") + " " + f.Fields[0].Message)
	}
	if seconds, known := p.Values[db.RetryAfter].(int64); known {
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	s.render(w, r, p.Status, page, v)
}

// sentence is a message as it stands on a page.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// local is a place on this server that a form may lead on to; / for any other. What a
// browser could take for an address of another site is none.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsAny(next, "\\\r\n\t") || hasControls(next, "") || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, "\\") {
		return "/"
	}
	return next
}

// loginPage asks who somebody is. Whoever is known and on the way to somewhere goes on.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) {
	if next := local(r.URL.Query().Get("next")); next != "/" {
		if _, _, _, err := s.cookied(w, r); err == nil {
			http.Redirect(w, r, next, http.StatusSeeOther)
			return
		}
	}
	s.render(w, r, http.StatusOK, "login", s.loginView(view{Next: local(r.URL.Query().Get("next"))}))
}

func (s *Server) submitLogin(w http.ResponseWriter, r *http.Request) {
	next := local(r.PostForm.Get("next"))
	v := s.visitor(w, r)
	token, session, err := s.logIn(r.Context(), v, r.PostForm.Get("email"), r.PostForm.Get("password"), r.PostForm.Get("code"), account.Cookie)
	if err != nil {
		f := fault.Of(err)
		s.refuse(w, r, "login", s.loginView(view{Next: next, Email: r.PostForm.Get("email"), ShowsCode: f != nil && f.Code == "two_factor_needed"}), err)
		return
	}
	s.note(r, v, "login", session.User, map[string]string{"email": r.PostForm.Get("email")})
	s.setCookie(w.Header(), token, session)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Server) submitLogout(w http.ResponseWriter, r *http.Request) {
	v := s.visitor(w, r)
	if v.kind == account.Cookie {
		var user string
		err := s.db.Update(r.Context(), func(tx *db.Tx) (err error) {
			user, err = s.accounts.RevokeToken(tx, v.token)
			return err
		})
		if err != nil {
			s.refuse(w, r, "message", view{}, err)
			return
		}
		if user != "" {
			s.note(r, v, "logout", user, nil)
		}
	}
	s.setCookie(w.Header(), "", account.Session{})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// reader is the person whose cookie a request has. Who has none is led to the login
// and back; false then.
func (s *Server) reader(w http.ResponseWriter, r *http.Request, code string) (v visitor, me account.Session, user api.User, ok bool) {
	v, me, user, err := s.cookied(w, r)
	switch {
	case err == nil:
		return v, me, user, true
	case fault.Is(err, fault.Unauthorized):
		back := "/device"
		if code != "" {
			back += "?code=" + url.QueryEscape(code)
		}
		http.Redirect(w, r, "/login?next="+url.QueryEscape(back), http.StatusSeeOther)
	default:
		s.refuse(w, r, "message", view{}, err)
	}
	return v, me, user, false
}

func (s *Server) devicePage(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	if _, _, user, ok := s.reader(w, r, code); ok {
		s.render(w, r, http.StatusOK, "device", view{Code: code, User: user.Email, ShowsForm: true})
	}
}

// submitDevice shows which command line has a code, and then does what was decided.
func (s *Server) submitDevice(w http.ResponseWriter, r *http.Request) {
	code := r.PostForm.Get("code")
	v, me, user, ok := s.reader(w, r, code)
	if !ok {
		return
	}
	var d account.Device
	var err error
	decision := r.PostForm.Get("decision")
	switch decision {
	case "approve", "refuse":
		d, err = s.decideDevice(r.Context(), v, me, code, decision == "approve")
	case "":
		d, err = s.findDevice(r.Context(), me, code)
	default:
		err = fault.New(fault.Invalid, "a command line is signed in or refused, nothing else")
	}
	if err == nil && decision != "" {
		s.note(r, v, "confirm-device", me.User, map[string]any{"refuse": decision == "refuse"})
	}
	switch {
	case err != nil:
		s.refuse(w, r, "device", view{Code: code, User: user.Email}, err)
	case decision == "approve":
		s.render(w, r, http.StatusOK, "message", view{Message: "The command line is signed in as " + user.Email + ". You can close this page."})
	case decision == "refuse":
		s.render(w, r, http.StatusOK, "message", view{Message: "The command line was refused."})
	default:
		s.render(w, r, http.StatusOK, "device", view{Code: d.UserCode, User: user.Email, Device: &d})
	}
}

func (s *Server) submitVerify(w http.ResponseWriter, r *http.Request) {
	token, v := r.PostForm.Get("token"), s.visitor(w, r)
	u, err := s.confirmAddress(r.Context(), v, token)
	if err != nil {
		s.refuse(w, r, "verify", view{Token: token}, err)
		return
	}
	s.note(r, v, "confirm-verification", u.ID, nil)
	s.render(w, r, http.StatusOK, "message", view{Message: u.Email + " is confirmed. You can log in."})
}

func (s *Server) submitReset(w http.ResponseWriter, r *http.Request) {
	token, v := r.PostForm.Get("token"), s.visitor(w, r)
	u, err := s.resetPassword(r.Context(), v, token, r.PostForm.Get("password"))
	if err != nil {
		s.refuse(w, r, "reset", view{Token: token}, err)
		return
	}
	s.note(r, v, "confirm-password-reset", u.ID, nil)
	s.render(w, r, http.StatusOK, "message", view{Message: "The password of " + u.Email + " was changed. Log in with it."})
}

// originOfURL is the scheme and host of an address.
func originOfURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
