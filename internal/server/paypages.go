package server

import (
	"io"
	"net/http"

	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
)

// paymentPages are where providers send their webhooks and lead customers back to, and the
// pages of the sandbox. Who uses these has no credential here: a webhook is signed, and a
// page of the sandbox is found by an id that nobody can guess.
func (s *Server) paymentPages(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/webhooks/{provider}", s.takeNotice)
	mux.HandleFunc("GET "+pay.BackPath, func(w http.ResponseWriter, r *http.Request) {
		message := "Thank you. You can close this page: what was paid can be used as soon as the provider says so."
		if r.URL.Query().Get("cancelled") != "" {
			message = "Nothing was paid. You can close this page."
		}
		s.render(w, r, http.StatusOK, "message", view{Title: "Payment", Message: message})
	})
	if s.sandbox == nil {
		return
	}
	mux.HandleFunc("GET /sandbox/pay/{page}", s.sandboxPage)
	mux.HandleFunc("GET /sandbox/save/{page}", s.sandboxPage)
	mux.HandleFunc("POST /sandbox/pay/{page}", s.form(s.submitSandbox))
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
	s.showSandbox(w, r, page, err)
}

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
	s.showSandbox(w, r, page, err)
}

func (s *Server) showSandbox(w http.ResponseWriter, r *http.Request, page sandbox.Page, err error) {
	if err != nil {
		s.refuse(w, r, "message", view{Title: "Sandbox"}, err)
		return
	}
	v := view{Title: "Sandbox: save a test card", Wrong: page.Wrong, Message: page.Done, Sandbox: &page}
	if page.IsPayment {
		v.Title = "Sandbox: pay $" + sandbox.Cents(page.Amount)
	}
	s.render(w, r, http.StatusOK, "sandbox", v)
}
