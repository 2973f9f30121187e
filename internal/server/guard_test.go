package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// # A session that was planted before a login is none after it, and none of an attacker.
func TestSessionFixation(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	w.citizen("eve@example.org")
	// A made-up cookie counts for nothing, and the login brings another one.
	b := w.browser("192.0.2.1")
	b.client.Jar.SetCookies(b.base, []*http.Cookie{{Name: "purser-session", Value: "pss_planted", Path: "/"}})
	if answer := b.login("ada@example.org", good, "/device"); answer.status != 303 || answer.header.Get("Location") != "/device" {
		t.Fatalf("login: %d %s", answer.status, answer.body)
	}
	if b.cookie() == "pss_planted" || !strings.HasPrefix(b.cookie(), "pss_") {
		t.Errorf("the cookie is %q", b.cookie())
	}
	// Eve's own session, planted in Ada's browser, ends with Ada's login.
	eve := w.browser("198.51.100.1")
	eve.login("eve@example.org", good, "/")
	planted := eve.cookie()
	victim := w.browser("192.0.2.2")
	victim.client.Jar.SetCookies(victim.base, []*http.Cookie{{Name: "purser-session", Value: planted, Path: "/"}})
	victim.login("ada@example.org", good, "/")
	if victim.cookie() == planted {
		t.Error("the planted session survived")
	}
	if answer := eve.do("/v1/user", nil); answer.status != 401 {
		t.Errorf("the planted session still answers %d", answer.status)
	}
	// A second login rotates the first one's.
	before := victim.cookie()
	victim.login("ada@example.org", good, "/")
	if before == victim.cookie() {
		t.Error("the session was not rotated")
	}
	if answer := w.send("GET", "/v1/user", "", "Authorization", "", "Cookie", "purser-session="+before); answer.status != 401 {
		t.Errorf("the session of before answers %d", answer.status)
	}
	set := victim.login("ada@example.org", good, "/").header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(set, want) {
			t.Errorf("%s is missing in %s", want, set)
		}
	}
}

// # A token counts in a header and in a cookie of its kind, and nowhere else.
func TestATokenInTheAddressIsNotAccepted(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	c := w.signedIn("192.0.2.1", "ada@example.org", good)
	for _, name := range []string{"token", "access_token", "session", "purser-session", "authorization"} {
		if answer := w.send("GET", "/v1/user?"+name+"="+c.Token, "", "Authorization", ""); answer.status != 401 {
			t.Errorf("?%s: %d", name, answer.status)
		}
	}
	if answer := w.send("GET", "/v1/user", "", "Authorization", "", "Cookie", "purser-session="+c.Token); answer.status != 401 {
		t.Errorf("a token as a cookie: %d", answer.status)
	}
	b := w.browser("192.0.2.1")
	b.login("ada@example.org", good, "/")
	if answer := w.send("GET", "/v1/user", "", "Authorization", "Bearer "+b.cookie()); answer.status != 401 {
		t.Errorf("a cookie as a token: %d", answer.status)
	}
	if answer := b.do("/v1/user", nil); answer.status != 200 {
		t.Errorf("the cookie: %d %s", answer.status, answer.body)
	}
	if answer := w.send("GET", "/v1/user", ""); answer.status != 403 { // the operator is no person
		t.Errorf("the operator: %d", answer.status)
	}
}

// # A login leads on within this server alone.
func TestOpenRedirect(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	b := w.browser("192.0.2.1")
	for _, evil := range []string{
		"https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "///evil.example", "/\t/evil.example", "http:evil.example",
		"javascript:alert(1)", "evil.example", "/%5cevil.example", "/%2f/evil.example", " //evil.example", "/\r\nX: y", "",
	} {
		if answer := b.login("ada@example.org", good, evil); answer.status != 303 || answer.header.Get("Location") != "/" {
			t.Errorf("%q leads to %d %q", evil, answer.status, answer.header.Get("Location"))
		}
		page := b.do("/login?next="+url.QueryEscape(evil), nil)
		if !strings.Contains(string(page.body), `name="next" value="/"`) {
			t.Errorf("%q stands in the page", evil)
		}
	}
	if answer := b.login("ada@example.org", good, "/device?code=BCDF-GHJK"); answer.header.Get("Location") != "/device?code=BCDF-GHJK" {
		t.Errorf("its own page: %q", answer.header.Get("Location"))
	}
	if answer := w.browser("192.0.2.1").do("/device?code=BCDF-GHJK", nil); answer.header.Get("Location") != "/login?next=%2Fdevice%3Fcode%3DBCDF-GHJK" {
		t.Errorf("who is not signed in is led to %q", answer.header.Get("Location"))
	}
}

// # What a page of another site sends is refused, with a cookie and to sign in.
func TestCrossSitePostsAreRefused(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	b := w.browser("192.0.2.1")
	form := url.Values{"email": {"ada@example.org"}, "password": {good}}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, {"Sec-Fetch-Site", "", "Origin", "null"}} {
		if answer := b.do("/login", form, header...); answer.status != 403 || b.cookie() != "" {
			t.Errorf("a login of another site %v: %d", header, answer.status)
		}
	}
	b.do("/login", form)
	cookie := b.cookie()
	for _, path := range []string{"/v1/logout", "/v1/user/password", "/device", "/logout", "/v1/device-codes/confirm"} {
		answer := w.send("POST", path, "{}", "Authorization", "", "Cookie", "purser-session="+cookie, "Sec-Fetch-Site", "cross-site")
		if p := w.problem(answer); p.Status != 403 || p.Code != "cross_origin" {
			t.Errorf("%s: %d %s", path, p.Status, p.Code)
		}
	}
	if answer := b.do("/v1/user", nil); answer.status != 200 {
		t.Errorf("the session is gone: %d", answer.status)
	}
	if answer := w.send("POST", "/v1/logout", "{}", "Authorization", "", "Cookie", "purser-session="+cookie, "Sec-Fetch-Site", "same-origin"); answer.status != 200 {
		t.Errorf("the own page: %d %s", answer.status, answer.body)
	}
}

// # Opening a mailed link does nothing; pages have a strict policy and tell nobody
// where they were.
func TestMailScannersUseNothingUp(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	must(w.from("192.0.2.1", "").SignUp(ctx, api.SignUp{Email: ada, Password: good}))(t)
	b := w.browser("192.0.2.1")
	open := func(template string) (path, token string) {
		t.Helper()
		u, err := url.Parse(w.mail(ada, template).Data["link"])
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			page := b.do(u.RequestURI(), nil)
			policy := page.header.Get("Content-Security-Policy")
			if page.status != 200 || page.header.Get("Referrer-Policy") != "no-referrer" || page.header.Get("Cache-Control") != "no-store" ||
				!strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'self'") || strings.Contains(policy, "unsafe") {
				t.Errorf("%s: %d %v", u.Path, page.status, page.header)
			}
			if strings.Contains(string(page.body), "<script") || strings.Contains(string(page.body), "http://") {
				t.Errorf("%s needs something: %s", u.Path, page.body)
			}
			token = hidden.FindStringSubmatch(string(page.body))[1]
		}
		return u.Path, token
	}
	path, token := open("verify")
	// Over a connection that is not encrypted a browser says no more than this of a page without referrer.
	if answer := b.do(path, url.Values{"token": {token}}, "Sec-Fetch-Site", "", "Origin", "null"); answer.status != 200 {
		t.Fatalf("verify: %d %s", answer.status, answer.body)
	}
	if answer := b.do(path, url.Values{"token": {token}}); answer.status != 422 {
		t.Errorf("verify again: %d", answer.status)
	}
	must(w.from("192.0.2.1", "").AskPasswordReset(ctx, ada))(t)
	path, token = open("reset")
	if answer := b.do(path, url.Values{"token": {token}, "password": {"password123"}}); answer.status != 422 || !strings.Contains(string(answer.body), "too easy to guess") {
		t.Errorf("a weak one: %d %s", answer.status, answer.body)
	}
	if answer := b.do(path, url.Values{"token": {token}, "password": {other}}); answer.status != 200 {
		t.Errorf("reset: %d %s", answer.status, answer.body)
	}
	w.signedIn("192.0.2.1", ada, other)
}

// # A page escapes what others chose.
func TestPagesEscape(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	c := w.from("198.51.100.1", "")
	c.Agent = `<script>alert(1)</script>`
	d := must(c.BeginDevice(t.Context()))(t)
	b := w.browser("192.0.2.1")
	b.login("ada@example.org", good, "/")
	page := b.do("/device", url.Values{"code": {strings.ToLower(d.UserCode)}})
	if page.status != 200 || strings.Contains(string(page.body), "<script>") || !strings.Contains(string(page.body), "&lt;script&gt;") ||
		!strings.Contains(string(page.body), "198.51.100.1") {
		t.Errorf("%d %s", page.status, page.body)
	}
}

// # No secret stands in the log, however much is logged.
func TestSecretsAreNotLogged(t *testing.T) {
	var log lines
	w := newTownWith(t, app.Config{TestClock: start.UnixNano(), Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	w.citizen("ada@example.org")
	b := w.browser("192.0.2.1")
	must(w.from("192.0.2.1", "").AskPasswordReset(t.Context(), "ada@example.org"))(t)
	token := w.link("ada@example.org", "reset")
	b.do("/reset?token="+token, nil)
	b.login("ada@example.org", good, "/")
	d := must(w.from("192.0.2.1", "").BeginDevice(t.Context()))(t)
	b.do("/device?code="+d.UserCode, nil)
	b.do("/device", url.Values{"code": {d.UserCode}, "decision": {"approve"}})
	in := must(w.from("192.0.2.1", "").DeviceToken(t.Context(), d.DeviceCode))(t)
	text := log.String()
	if !strings.Contains(text, "path=/reset") || !strings.Contains(text, "path=/v1/device-codes/token") || !strings.Contains(text, "a command line was decided about") {
		t.Fatalf("the log is another:\n%s", text)
	}
	for _, secret := range []string{token, good, b.cookie(), d.DeviceCode, d.UserCode, in.Token, w.link("ada@example.org", "verify")} {
		if strings.Contains(text, secret) {
			t.Errorf("%.8s… stands in the log", secret)
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// # An address is the sender's, unless a trusted proxy tells another.
func TestOnlyTrustedProxiesTellAddresses(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	for told, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "evil, 192.0.2.7": "192.0.2.7", "198.51.100.9, 192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
		"::ffff:192.0.2.7": "192.0.2.7", "192.0.2.7:443": "192.0.2.7", "nonsense": "local", "": "local",
	} {
		_, in, err := w.login(told, "ada@example.org", good, "")
		if err != nil || in.Session.Address != want {
			t.Errorf("%q is %q, want %q (%v)", told, in.Session.Address, want, err)
		}
	}
	s := newStage(t) // trusts nobody
	p := s.problem(s.send("POST", "/v1/login", `{"email":"ada@example.org","password":"x"}`, "Authorization", "", "X-Forwarded-For", "192.0.2.1"))
	for i := range 4 {
		p = s.problem(s.send("POST", "/v1/login", `{"email":"ada@example.org","password":"x"}`, "Authorization", "", "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i)))
	}
	if p.Status != 401 {
		t.Errorf("%+v", p)
	}
	p = s.problem(s.send("POST", "/v1/login", `{"email":"ada@example.org","password":"x"}`, "Authorization", "", "X-Forwarded-For", "203.0.113.1"))
	if p.Code != "too_many_attempts" {
		t.Errorf("an address that was made up was believed: %+v", p)
	}
}

// # What is known and what is not takes the same time, and is answered the same.
func TestEnumeration(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	w.advance("1000")
	n := 0
	// Each attempt comes from an address of its own and at an instant of its own, so
	// that none is slowed.
	measure := func(email string, do func(*api.Client, string) error) (time.Duration, string) {
		n++
		w.advance("61")
		c := w.from(fmt.Sprintf("10.0.%d.%d", n/256, n%256), "")
		began := time.Now()
		err := do(c, email)
		took := time.Since(began)
		if p := problemIn(err); p != nil {
			return took, p.Code + " " + p.Detail
		}
		if err != nil {
			t.Fatal(err)
		}
		return took, "done"
	}
	calls := map[string]func(*api.Client, string) error{
		"login": func(c *api.Client, email string) error {
			_, err := c.Login(t.Context(), api.Login{Email: email, Password: other})
			return err
		},
		"signup": func(c *api.Client, email string) error {
			_, err := c.SignUp(t.Context(), api.SignUp{Email: email, Password: good})
			return err
		},
		"reset": func(c *api.Client, email string) error {
			_, err := c.AskPasswordReset(t.Context(), email)
			return err
		},
		"resend": func(c *api.Client, email string) error {
			_, err := c.ResendVerification(t.Context(), email)
			return err
		},
	}
	for name, do := range calls {
		// A machine that is busy with other things may tell two equal things apart once,
		// but not three times.
		for try := 1; ; try++ {
			known, unknown := w.medians(t, name, 15, do, measure)
			ratio := float64(known) / float64(unknown)
			t.Logf("%s: medians %s known, %s unknown, ratio %.2f", name, known, unknown, ratio)
			if ratio > 0.7 && ratio < 1.43 {
				break
			}
			if try == 3 {
				t.Errorf("%s tells by its time whether there is an account: %s and %s", name, known, unknown)
				break
			}
		}
	}
}

// medians are how long a call takes for an address with an account and for addresses
// without one, in turn; the answers must be the same.
func (w *town) medians(t *testing.T, name string, rounds int, do func(*api.Client, string) error,
	measure func(string, func(*api.Client, string) error) (time.Duration, string)) (time.Duration, time.Duration) {
	var known, unknown []time.Duration
	for i := range rounds {
		if i%4 == 0 {
			w.advance("90000") // attempts are forgotten
		}
		var answers [2]string
		for turn := range 2 {
			took := time.Duration(0)
			if (turn+i)%2 == 0 { // each is the first as often as the other
				took, answers[turn] = measure("ada@example.org", do)
				known = append(known, took)
			} else {
				took, answers[turn] = measure(fmt.Sprintf("nobody-%s%d@example.org", name, i), do)
				unknown = append(unknown, took)
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("%s: %q and %q", name, answers[0], answers[1])
		}
	}
	slices.Sort(known)
	slices.Sort(unknown)
	return known[rounds/2], unknown[rounds/2]
}
