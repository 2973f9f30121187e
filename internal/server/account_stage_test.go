package server_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/mail"
)

// town is a stage in which people live: they have mailboxes, and come from addresses.
type town struct {
	*stage
	mu       sync.Mutex
	mails    []mail.Message
	database string
}

const (
	good  = "orbit walnut cannot sleep"
	other = "seventeen purple staircases"
)

func newTown(t *testing.T) *town { return newTownWith(t, app.Config{TestClock: start.UnixNano()}) }

func newTownWith(t *testing.T, c app.Config) *town {
	w := &town{database: dbtest.URL(t)}
	c.Database = w.database
	c.Proxies = []string{"unix"}
	c.Mailed = func(m mail.Message) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.mails = append(w.mails, m)
	}
	w.stage = newStageWith(t, c)
	return w
}

// from is a client at an address, with a token.
func (w *town) from(address, token string) *api.Client {
	return &api.Client{URL: w.URL, Token: token, Agent: "test/" + address, Patience: -1, HTTP: &http.Client{Transport: standing{address, w.HTTP.Transport}}}
}

// standing sends requests from an address.
type standing struct {
	address string
	next    http.RoundTripper
}

func (s standing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", s.address)
	return s.next.RoundTrip(r)
}

// mail is the newest mail of a template to somebody.
func (w *town) mail(to, template string) mail.Message {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.mails) - 1; i >= 0; i-- {
		if w.mails[i].To == to && w.mails[i].Template == template {
			return w.mails[i]
		}
	}
	w.Fatalf("there is no mail %s to %s", template, to)
	return mail.Message{}
}

func (w *town) count(to, template string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.mails {
		if m.To == to && m.Template == template {
			n++
		}
	}
	return n
}

// token is that of the newest link of a template.
func (w *town) link(to, template string) string {
	w.Helper()
	u, err := url.Parse(w.mail(to, template).Data["link"])
	if err != nil || u.Query().Get("token") == "" {
		w.Fatalf("no link in %+v", w.mail(to, template))
	}
	return u.Query().Get("token")
}

// citizen signs somebody up and verifies the address.
func (w *town) citizen(email string) {
	w.Helper()
	c := w.from("192.0.2.200", "")
	must(c.SignUp(w.Context(), api.SignUp{Email: email, Password: good, Name: "Ada"}))(w)
	must(c.ConfirmVerification(w.Context(), w.link(email, "verify")))(w)
}

// login signs somebody in from an address.
func (w *town) login(address, email, password, code string) (*api.Client, api.SignedIn, error) {
	c := w.from(address, "")
	in, err := c.Login(w.Context(), api.Login{Email: email, Password: password, Code: code})
	c.Token = in.Token
	return c, in, err
}

func (w *town) signedIn(address, email, password string) *api.Client {
	w.Helper()
	c, _, err := w.login(address, email, password, "")
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// refused checks that an error is a problem of a status and code.
func refused(t testing.TB, err error, status int, code string) *api.Problem {
	t.Helper()
	var p *api.Problem
	if !errors.As(err, &p) || p.Status != status || p.Code != code {
		t.Fatalf("want %d %s, got %v", status, code, err)
	}
	return p
}

// totpAt is the code of an authenticator app some steps from the stage's present.
func (w *town) totpAt(secret string, steps int) string {
	w.Helper()
	now := must(w.TestClock(w.Context()))(w).Now.Time().Add(time.Duration(steps) * 30 * time.Second)
	code, err := totp.GenerateCodeCustom(secret, now, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix})
	if err != nil {
		w.Fatal(err)
	}
	return code
}

// browser keeps cookies, and does not follow redirections.
type browser struct {
	*town
	client *http.Client
	base   *url.URL
}

func (w *town) browser(address string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	base, err := url.Parse(w.URL)
	if err != nil {
		w.Fatal(err)
	}
	return &browser{w, &http.Client{
		Jar: jar, Transport: standing{address, w.HTTP.Transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, base}
}

// do sends a form (or, with none, a GET), as a page of this site does, with headers
// (name, value, …).
func (b *browser) do(path string, form url.Values, header ...string) raw {
	b.Helper()
	method, body := "GET", io.Reader(nil)
	if form != nil {
		method, body = "POST", strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.Context(), method, b.URL+path, body)
	if err != nil {
		b.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := b.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return raw{answer.StatusCode, answer.Header, text}
}

// cookie is the session that the browser has.
func (b *browser) cookie() string {
	for _, c := range b.client.Jar.Cookies(b.base) {
		if c.Name == "purser-session" {
			return c.Value
		}
	}
	return ""
}

func (b *browser) login(email, password, next string) raw {
	b.Helper()
	return b.do("/login", url.Values{"email": {email}, "password": {password}, "next": {next}})
}

var hidden = regexp.MustCompile(`name="token" value="([^"]*)"`)

func problemIn(err error) *api.Problem {
	var p *api.Problem
	errors.As(err, &p)
	return p
}

// files is all that the embedded database has on the disk.
func (w *town) files() (text string) {
	w.Helper()
	path := strings.TrimPrefix(w.database, "sqlite:")
	for _, name := range []string{path, path + "-wal"} {
		part, err := os.ReadFile(name)
		if err != nil {
			w.Fatal(err)
		}
		text += string(part)
	}
	return text
}
