package sso_test

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/outward"
	"github.com/purserhq/purser/internal/sso"
)

// What an honest provider never sends is tried with a liar, that signs whatever a test has it
// say. That honest ones are understood is tried in internal/server, with a real one.

var present = time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)

type claims = map[string]any

// liar is a provider that says what it is told to.
type liar struct {
	*testing.T
	sso    *sso.SSO
	db     *db.DB
	issuer string
	key    *rsa.PrivateKey
	answer func(w http.ResponseWriter, r *http.Request) bool // reports whether it has answered
	token  func(nonce string) string
	person claims // what it says of a person besides
	nonce  string
}

func newLiar(t *testing.T) *liar {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{T: t, key: key}
	l.issuer = dbtest.Endpoint(t, http.HandlerFunc(l.serve))
	clock := db.NewTestClock(present.UnixNano())
	if l.db, err = db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.db.Close() })
	l.sso = sso.New(sso.Config{
		Operator: &sso.Provider{Issuer: l.issuer, ClientID: "purser", Secret: "shared", Speaks: []string{sso.EveryDomain}},
		Outward:  outward.Rules{}, URL: "https://purser.example", Now: clock.Now,
	})
	return l
}

func (l *liar) serve(w http.ResponseWriter, r *http.Request) {
	if l.answer != nil && l.answer(w, r) {
		return
	}
	var out any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		out = claims{"issuer": l.issuer, "authorization_endpoint": l.issuer + "/auth", "token_endpoint": l.issuer + "/token", "jwks_uri": l.issuer + "/keys",
			"userinfo_endpoint": l.issuer + "/person", "id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256"}}
	case "/keys":
		out = claims{"keys": []claims{{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": encode(l.key.N.Bytes()), "e": encode(big.NewInt(int64(l.key.E)).Bytes())}}}
	case "/token":
		out = claims{"access_token": "a", "token_type": "Bearer", "id_token": l.token(l.nonce)}
	case "/person":
		out = l.person
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a token, signed in a way by somebody's key.
func (l *liar) sign(algorithm string, key *rsa.PrivateKey, c claims) string {
	head, _ := json.Marshal(claims{"alg": algorithm, "kid": "1"})
	body, _ := json.Marshal(c)
	text := encode(head) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	switch algorithm {
	case "none":
		return text + "."
	case "HS256":
		mac := hmac.New(sha256.New, []byte("shared"))
		mac.Write([]byte(text))
		return text + "." + encode(mac.Sum(nil))
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		l.Fatal(err)
	}
	return text + "." + encode(signature)
}

// honest is what stands in a token that is good, but for some changes.
func (l *liar) honest(nonce string, changes claims) claims {
	c := claims{"iss": l.issuer, "sub": "1", "aud": "purser", "exp": present.Add(time.Minute).Unix(), "iat": present.Unix(), "nonce": nonce,
		"email": "ada@lab.example", "email_verified": true}
	for name, value := range changes {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

// visit goes to the provider and comes back with a code.
func (l *liar) visit() (sso.Claims, error) {
	l.Helper()
	d, ctx := sso.Leave("/"), context.Background()
	var p sso.Provider
	err := l.db.View(ctx, func(tx *db.Tx) (err error) {
		p, err = l.sso.For(tx, "")
		return err
	})
	if err != nil {
		return sso.Claims{}, err
	}
	address, err := l.sso.Address(ctx, p, d)
	if err != nil {
		return sso.Claims{}, err
	}
	u, err := url.Parse(address)
	if err != nil {
		l.Fatal(err)
	}
	q := u.Query()
	if l.nonce = q.Get("nonce"); l.nonce == "" || q.Get("code_challenge_method") != "S256" || q.Get("state") != d.State || q.Get("scope") != "openid email profile" {
		l.Errorf("sent to %s", address)
	}
	var a sso.Arrival
	err = l.db.Update(ctx, func(tx *db.Tx) error {
		if err := l.sso.Depart(tx, p, d); err != nil {
			return err
		}
		a, err = l.sso.Return(tx, d.State, d.Browser)
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	return l.sso.Ask(ctx, a, "a code")
}

// # A token is good if the provider has signed it, for this server, now, for this sign-in.
func TestForgedTokens(t *testing.T) {
	l := newLiar(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		algorithm string
		key       *rsa.PrivateKey
		changes   claims
	}{
		"another audience":           {"RS256", l.key, claims{"aud": "another"}},
		"an audience of others":      {"RS256", l.key, claims{"aud": []string{"one", "another"}}},
		"no audience":                {"RS256", l.key, claims{"aud": nil}},
		"another issuer":             {"RS256", l.key, claims{"iss": "https://login.example.org"}},
		"expired":                    {"RS256", l.key, claims{"exp": present.Add(-time.Second).Unix()}},
		"without an end":             {"RS256", l.key, claims{"exp": nil}},
		"from the future":            {"RS256", l.key, claims{"nbf": present.Add(time.Hour).Unix()}},
		"another nonce":              {"RS256", l.key, claims{"nonce": "another"}},
		"no nonce":                   {"RS256", l.key, claims{"nonce": nil}},
		"of nobody":                  {"RS256", l.key, claims{"sub": nil}},
		"signed by another":          {"RS256", stranger, nil},
		"not signed":                 {"none", nil, nil},
		"signed with what is shared": {"HS256", nil, nil},
	} {
		l.token = func(nonce string) string { return l.sign(c.algorithm, c.key, l.honest(nonce, c.changes)) }
		if who, err := l.visit(); fault.Of(err) == nil || fault.Of(err).Code != "sso_refused" {
			t.Errorf("%s: %+v %v", name, who, err)
		}
	}
	for _, text := range []string{"", "x", "a.b.c"} {
		l.token = func(string) string { return text }
		if who, err := l.visit(); fault.Of(err) == nil || fault.Of(err).Code != "sso_refused" {
			t.Errorf("%q: %+v %v", text, who, err)
		}
	}
	l.token = func(nonce string) string { return l.sign("RS256", l.key, l.honest(nonce, nil)) }
	if who, err := l.visit(); err != nil || who != (sso.Claims{Subject: "1", Email: "ada@lab.example"}) {
		t.Errorf("a good one: %+v %v", who, err)
	}
}

// # An address is the person's if the provider says that it has made sure.
func TestWhatAProviderSaysOfAPerson(t *testing.T) {
	l := newLiar(t)
	for name, c := range map[string]struct {
		token, person claims
		want          sso.Claims
		isRefused     bool
	}{
		"nothing of verified":     {token: claims{"email_verified": nil}, want: sso.Claims{Subject: "1"}},
		"not verified":            {token: claims{"email_verified": false}, want: sso.Claims{Subject: "1"}},
		"not verified, as a word": {token: claims{"email_verified": "false"}, want: sso.Claims{Subject: "1"}},
		"verified, as a word":     {token: claims{"email_verified": "true"}, want: sso.Claims{Subject: "1", Email: "ada@lab.example"}},
		"no address":              {token: claims{"email": "ada"}, want: sso.Claims{Subject: "1"}},
		"an address in capitals":  {token: claims{"email": "Ada@LAB.example"}, want: sso.Claims{Subject: "1", Email: "ada@lab.example"}},
		"two addresses":           {token: claims{"email": "ada@lab.example, eve@evil.example"}, want: sso.Claims{Subject: "1"}},
		"said when it is asked":   {claims{"email": nil}, claims{"sub": "1", "email": "ada@lab.example", "email_verified": true, "name": "Ada"}, sso.Claims{Subject: "1", Email: "ada@lab.example", Name: "Ada"}, false},
		"said of another":         {claims{"email": nil}, claims{"sub": "2", "email": "ada@lab.example", "email_verified": true}, sso.Claims{}, true},
		"sure of another address": {claims{"email": nil}, claims{"sub": "1", "email": "ada@lab.example"}, sso.Claims{Subject: "1"}, false},
	} {
		l.token = func(nonce string) string { return l.sign("RS256", l.key, l.honest(nonce, c.token)) }
		l.person = c.person
		if who, err := l.visit(); (err != nil) != c.isRefused || err == nil && who != c.want {
			t.Errorf("%s: %+v %v", name, who, err)
		}
	}
}

// # A provider that is none is told of, and nothing that it answers: neither its texts nor
// what a redirect leads to.
func TestWhatIsNoProvider(t *testing.T) {
	const private = "the balance of the internal service"
	for name, answer := range map[string]http.HandlerFunc{
		"an error":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, private, http.StatusTeapot) },
		"a page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(private)) },
		"another's": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"issuer":"` + private + `"}`)) },
		"what never ends": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`"` + strings.Repeat(private, 100_000)))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/inner" {
				t.Error("a redirect was followed")
			}
			http.Redirect(w, r, "/inner", http.StatusFound)
		},
		"no address to sign in at": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"http://` + r.Host + `","authorization_endpoint":":","token_endpoint":"x"}`))
		},
	} {
		l := newLiar(t)
		l.answer = func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }
		_, err := l.visit()
		if f := fault.Of(err); f == nil || f.Code != "sso_unavailable" || strings.Contains(f.Message, private) || !strings.Contains(f.Message, l.issuer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Nor what its other addresses answer.
	l := newLiar(t)
	for _, path := range []string{"/token", "/keys", "/person"} {
		l.answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != path {
				return false
			}
			http.Error(w, `{"error":"`+private+`","error_description":"`+private+`"}`, http.StatusBadRequest)
			return true
		}
		l.token = func(nonce string) string { return l.sign("RS256", l.key, l.honest(nonce, claims{"email": nil})) }
		_, err := l.visit()
		if f := fault.Of(err); f == nil || !strings.HasPrefix(f.Code, "sso_") || strings.Contains(f.Message, private) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
