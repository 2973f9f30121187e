package server_test

import (
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/sso"
	"github.com/purserhq/purser/internal/sso/ssotest"
)

// campus is a town whose people can also sign in at a real OpenID provider.
type campus struct {
	*town
	provider *ssotest.Provider
}

// purser is what the providers of tests know the server as.
var purser = ssotest.Client{ID: "purser", Secret: "hush-3f9a1c"}

// newCampus has a clock that agrees with the provider's, and may ask it, though it is on
// this machine.
func newCampus(t *testing.T) *campus {
	return newCampusWith(t, ssotest.New(t), app.Config{TestClock: time.Now().UnixNano(), AllowPrivate: true})
}

func newCampusWith(t *testing.T, p *ssotest.Provider, c app.Config) *campus {
	t.Helper()
	w := &campus{newTownWith(t, c), p}
	w.known(p, purser)
	return w
}

// known lets the server send people to a provider, as a client.
func (w *campus) known(p *ssotest.Provider, c ssotest.Client) {
	c.Return = w.URL + sso.CallbackPath
	p.AddClient(c)
}

// person is somebody whom the provider knows, with a verified address.
func (w *campus) person(email string) ssotest.Person {
	w.Helper()
	login, _, _ := strings.Cut(email, "@")
	who := ssotest.Person{Login: login, Password: "at the provider", Name: strings.ToUpper(login), Email: email, IsVerified: true}
	w.provider.AddPerson(who)
	return who
}

// enterprise is an organization with an owner, whose session is returned, and the provider
// for a domain that the operator has confirmed.
func (w *campus) enterprise(slug, domain string, isRequired bool) *api.Client {
	w.Helper()
	owner := w.owner(slug)
	w.setUp(owner, slug, api.NewSSO{Domains: []string{domain}, Required: isRequired})
	w.confirm(slug, domain)
	return owner
}

func (w *campus) owner(slug string) *api.Client {
	w.Helper()
	email := "owner@" + slug + ".example"
	w.citizen(email)
	owner := w.signedIn("192.0.2.77", email, good)
	must(owner.CreateOrganization(w.Context(), api.NewOrganization{Slug: slug}))(w)
	return owner
}

func (w *campus) setUp(owner *api.Client, slug string, n api.NewSSO) api.SSO {
	w.Helper()
	n.Issuer, n.ClientID, n.ClientSecret = w.provider.Issuer, purser.ID, purser.Secret
	return must(owner.SetSSO(w.Context(), slug, n))(w)
}

func (w *campus) confirm(slug, domain string) {
	w.Helper()
	must(w.DecideDomain(w.Context(), slug, domain, api.DomainDecision{Confirmed: true, Issuer: w.provider.Issuer}))(w)
}

// walker is a browser that also reaches the provider.
type walker struct {
	*browser
	campus *campus
}

func (w *campus) walker(address string) *walker {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	b := w.browser(address)
	b.client.Jar, b.client.Transport = jar, fork{w.base(), b.client.Transport}
	return &walker{b, w}
}

func (w *campus) base() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		w.Fatal(err)
	}
	return u.Host
}

// fork sends what is for the server one way and everything else into the world.
type fork struct {
	host   string
	server http.RoundTripper
}

func (f fork) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == f.host {
		return f.server.RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

var departure = regexp.MustCompile(`<a href="([^"]+)">Go on`)

// leave asks to be sent to the provider of an address ("" for the installation's), and is
// told where that is.
func (b *walker) leave(email, next string) string {
	b.Helper()
	answer := b.do("/sso", url.Values{"email": {email}, "next": {next}})
	found := departure.FindSubmatch(answer.body)
	if answer.status != 200 || found == nil {
		b.Fatalf("leave as %s: %d %s", email, answer.status, answer.body)
	}
	return html.UnescapeString(string(found[1]))
}

// signIn signs in at the provider, and says with what it sends the browser back.
func (b *walker) signIn(departure string, who ssotest.Person) string {
	b.Helper()
	answer, err := b.campus.provider.SignIn(b.client, departure, who)
	if err != nil {
		b.Fatal(err)
	}
	_ = answer.Body.Close()
	back := answer.Header.Get("Location")
	if !strings.HasPrefix(back, b.URL+sso.CallbackPath+"?") {
		b.Fatalf("sent back to %q (%d)", back, answer.StatusCode)
	}
	return strings.TrimPrefix(back, b.URL)
}

// come is the whole walk, and its last answer.
func (b *walker) come(who ssotest.Person, next string) raw {
	b.Helper()
	return b.do(b.signIn(b.leave(who.Email, next), who), nil)
}

// arrived is the walk of somebody who is let in, and a client with the browser's cookie.
func (b *walker) arrived(who ssotest.Person) *api.Client {
	b.Helper()
	if answer := b.come(who, "/"); answer.status != 303 || b.cookie() == "" {
		b.Fatalf("%s was not let in: %d %s", who.Email, answer.status, answer.body)
	}
	return b.api()
}

// api is a client that asks as the browser's page would.
func (b *walker) api() *api.Client {
	return &api.Client{URL: b.URL, Patience: -1, HTTP: b.client}
}

// turnedAway checks that a page refuses, with words in it, and that nobody was signed in.
func (b *walker) turnedAway(answer raw, status int, words string) {
	b.Helper()
	text := html.UnescapeString(string(answer.body))
	if answer.status != status || !strings.Contains(text, words) || !strings.Contains(text, `role="alert"`) || b.cookie() != "" {
		b.Errorf("want %d with %q, got %d and cookie %q: %s", status, words, answer.status, b.cookie(), text)
	}
}
