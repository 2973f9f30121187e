package ssotest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// What the tests rely on is what the provider does: each of these would go wrong with one
// that lets everything pass.

var (
	purser = Client{ID: "purser", Secret: "secret-of-purser", Return: "http://127.0.0.1:1/sso/callback"}
	other  = Client{ID: "other", Secret: "secret-of-another", Return: "http://127.0.0.1:1/other"}
	ada    = Person{Login: "ada", Password: "correct horse", Name: "Ada", Email: "ada@lab.example", IsVerified: true}
)

const verifier = "0123456789012345678901234567890123456789012345678901234567"

func TestAPersonSignsIn(t *testing.T) {
	p := New(t)
	p.AddClient(purser)
	p.AddClient(other)
	p.AddPerson(ada)
	for name, c := range map[string]struct {
		code     func() string
		client   Client
		verifier string
	}{
		"another verifier":              {func() string { return p.code(t, ada) }, purser, verifier + "x"},
		"no verifier":                   {func() string { return p.code(t, ada) }, purser, ""},
		"another program's code":        {func() string { return p.code(t, ada) }, other, verifier},
		"another secret":                {func() string { return p.code(t, ada) }, Client{purser.ID, "guessed", purser.Return}, verifier},
		"another address to go back to": {func() string { return p.code(t, ada) }, Client{purser.ID, purser.Secret, other.Return}, verifier},
		"a code that it never gave":     {func() string { return "made up" }, purser, verifier},
	} {
		if status, _ := p.exchange(t, c.client, c.code(), c.verifier); status < 400 {
			t.Errorf("%s: %d", name, status)
		}
	}
	code := p.code(t, ada)
	status, said := p.exchange(t, purser, code, verifier)
	if status != 200 || said["iss"] != p.Issuer || said["aud"] != purser.ID || said["nonce"] != "a nonce" ||
		said["email"] != ada.Email || said["email_verified"] != true || said["name"] != "Ada" || said["sub"] == "" {
		t.Errorf("%d %v", status, said)
	}
	if status, _ := p.exchange(t, purser, code, verifier); status < 400 {
		t.Errorf("a code is good twice: %d", status)
	}
}

func TestNobodyElseSignsIn(t *testing.T) {
	p := New(t)
	p.AddClient(purser)
	p.AddPerson(ada)
	for name, c := range map[string]struct {
		departure string
		who       Person
	}{
		"another password":              {p.departure(purser), Person{Login: ada.Login, Password: "guessed"}},
		"nobody it knows":               {p.departure(purser), Person{Login: "eve", Password: ada.Password}},
		"a program that it does not":    {p.departure(other), ada},
		"another address to go back to": {p.departure(Client{purser.ID, purser.Secret, "https://evil.example/"}), ada},
	} {
		answer, err := p.SignIn(browser(t), c.departure, c.who)
		if err == nil {
			t.Errorf("%s: %d %s", name, answer.StatusCode, answer.Header.Get("Location"))
			_ = answer.Body.Close()
		}
	}
}

// # A person is the same after the provider was away, whatever is said of them by then.
func TestAwayAndBack(t *testing.T) {
	p := New(t)
	p.AddClient(purser)
	p.AddPerson(ada)
	_, before := p.exchange(t, purser, p.code(t, ada), verifier)
	p.Stop()
	if answer, err := http.Get(p.Issuer + "/.well-known/openid-configuration"); err == nil {
		t.Errorf("it answers while it is away: %d", answer.StatusCode)
		_ = answer.Body.Close()
	}
	p.Start()
	married := ada
	married.Email, married.IsVerified = "ada.l@lab.example", false
	p.ChangePerson(married)
	_, after := p.exchange(t, purser, p.code(t, ada), verifier)
	if after["sub"] != before["sub"] || after["email"] != married.Email || after["email_verified"] != false {
		t.Errorf("before %v, after %v", before, after)
	}
}

func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (p *Provider) departure(c Client) string {
	sum := sha256.Sum256([]byte(verifier))
	return p.Issuer + "/auth?" + url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.Return}, "scope": {"openid email profile"}, "state": {"a state"},
		"nonce": {"a nonce"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// code is what a browser brings back.
func (p *Provider) code(t *testing.T, who Person) string {
	t.Helper()
	answer, err := p.SignIn(browser(t), p.departure(purser), who)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	back, err := answer.Location()
	if err != nil || !strings.HasPrefix(back.String(), purser.Return+"?") || back.Query().Get("state") != "a state" {
		t.Fatalf("sent back to %s: %v", back, err)
	}
	return back.Query().Get("code")
}

// exchange is what the provider gives a program for a code: what stands in the token.
func (p *Provider) exchange(t *testing.T, c Client, code, verifier string) (status int, said object) {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.Return}, "code_verifier": {verifier}}
	r, err := http.NewRequest("POST", p.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(c.ID, c.Secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		Token string `json:"id_token"`
	}
	if answer.StatusCode != http.StatusOK {
		return answer.StatusCode, nil
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	middle, _, _ := strings.Cut(got.Token[strings.IndexByte(got.Token, '.')+1:], ".")
	text, err := base64.RawURLEncoding.DecodeString(middle)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, said
}
