package server

import (
	"io"
	"net/http"
	"net/url"

	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
)

// paymentPages are where providers send their webhooks and lead customers back to, and the
// pages of the sandbox. Who uses these has no credential here: a webhook is signed, and a
// page of the sandbox is found by an id that nobody can guess.
func (s *Server) paymentPages(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/webhooks/{provider}", s.takeNotice)
	mux.HandleFunc("GET "+pay.BackPath, func(w http.ResponseWriter, r *http.Request) {
		title, message := backFrom(r.URL.Query())
		s.render(w, r, http.StatusOK, "message", view{Title: title, Message: message})
	})
	if s.sandbox == nil {
		return
	}
	mux.HandleFunc("GET /sandbox/pay/{page}", s.sandboxPage)
	mux.HandleFunc("GET /sandbox/save/{page}", s.sandboxPage)
	mux.HandleFunc("POST /sandbox/pay/{page}", s.form(s.submitSandbox))
}

// backFrom is what somebody reads who comes back from a page of the provider's.
func backFrom(query url.Values) (title, message string) {
	switch {
	case query.Get("method") == "saved":
		return "Payment method", "Thank you. You can close this page: the payment method can be used as soon as the provider says so."
	case query.Get("method") != "":
		return "Payment method", "No payment method was added. You can close this page."
	case query.Get("cancelled") != "":
		return "Payment", "Nothing was paid. You can close this page."
	}
	return "Payment", "Thank you. You can close this page: what was paid can be used as soon as the provider says so."
}

// takeNotice takes a webhook of a provider of payments.
func (s *Server) takeNotice(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, pay.MaxNotice))
	if err != nil {
		s.writeFault(w, r, call{limit: pay.MaxNotice}.cutShort(err))
		return
	}
	noDeadline(w)
	if err := s.pays.Take(r.Context(), r.PathValue("provider"), r.Header, body); err != nil {
		s.writeFault(w, r, err)
		return
	}
	io.WriteString(w, "ok\n")
}

func (s *Server) sandboxPage(w http.ResponseWriter, r *http.Request) {
	page, err := s.sandbox.Open(r.Context(), r.PathValue("page"))
	if page.Wrong == "" && page.Done == "" {
		page.Wrong = sandbox.RefusalOf(r.URL.Query().Get("declined"))
	}
	s.showSandbox(w, r, page, err)
}

// submitSandbox leads on to the page as it is then, so that neither a reload nor the way
// back sends the form again.
func (s *Server) submitSandbox(w http.ResponseWriter, r *http.Request) {
	var page sandbox.Page
	var err error
	id := r.PathValue("page")
	switch r.PostForm.Get("decision") {
	case "confirm":
		page, err = s.sandbox.Confirm(r.Context(), id, true)
	case "refuse":
		page, err = s.sandbox.Confirm(r.Context(), id, false)
	default:
		page, err = s.sandbox.Pay(r.Context(), id, r.PostForm.Get("card"))
	}
	if err != nil {
		s.showSandbox(w, r, page, err)
		return
	}
	next := "/sandbox/save/" + url.PathEscape(page.ID)
	if page.IsPayment {
		next = "/sandbox/pay/" + url.PathEscape(page.ID)
	}
	if page.Declined != "" {
		next += "?declined=" + page.Declined
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Server) showSandbox(w http.ResponseWriter, r *http.Request, page sandbox.Page, err error) {
	if err != nil {
		s.refuse(w, r, "message", view{Title: "Sandbox"}, err)
		return
	}
	v := view{Title: "Sandbox: save a test card", Wrong: page.Wrong, Message: page.Done, Sandbox: &page}
	if page.IsPayment {
		v.Title = "Sandbox: pay " + pay.Dollars(page.Amount)
	}
	s.render(w, r, http.StatusOK, "sandbox", v)
}
