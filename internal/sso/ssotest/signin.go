package ssotest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// SignIn is a person in a browser that was sent here: it does with the page of the provider
// what the page's script does, and is sent back. What it returns is the answer to that, by
// the browser's own rule for redirects, for the caller to close.
//
// The error is the provider's refusal: of the password, or of what the browser came with.
func (p *Provider) SignIn(browser *http.Client, departure string, who Person) (*http.Response, error) {
	page, err := browser.Get(departure)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(page.Body)
	_ = page.Body.Close()
	if err != nil {
		return nil, err
	}
	at := page.Request.URL
	if to, err := page.Location(); err == nil { // it follows no redirects
		at = to
	}
	if !strings.HasSuffix(at.Path, "/login.html") {
		return nil, fmt.Errorf("no page to sign in at: %d %s %.300s", page.StatusCode, at, text)
	}
	asked := at.Query()
	steps := []struct {
		method, path string
		body         any
	}{
		{"POST", "/auth/", object{"username": who.Login, "password": who.Password}},
		{"PUT", "/auth/grant/" + url.PathEscape(asked.Get("client_id")) + "/", object{"scope": asked.Get("scope")}},
	}
	for _, step := range steps {
		answer, err := send(browser, step.method, p.base+"/api"+step.path, step.body)
		if err != nil {
			return nil, err
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s %s: the provider answers %d", step.method, step.path, answer.StatusCode)
		}
	}
	return browser.Get(asked.Get("callback_url") + "&g_continue")
}
