package ssotest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
)

// plugin is the name of what speaks OpenID in the provider.
const plugin = "oidc"

// Client is a program that may send people here.
type Client struct {
	ID, Secret string
	Return     string // where they are sent back to
}

// Person is somebody who may sign in.
type Person struct {
	Login, Password string
	Name            string
	Email           string
	IsVerified      bool // whether the provider says that the address is theirs
}

// scopes are what may be asked for.
var scopes = []string{"openid", "email", "profile"}

type object = map[string]any

// establish makes a new provider ready: its key, and the claims that it makes.
func (p *Provider) establish() {
	p.t.Helper()
	p.ask("POST", "/auth/", object{"username": "admin", "password": "password"}) // as a new installation has it
	var users object
	if err := json.Unmarshal(p.ask("GET", "/mod/user/database", nil), &users); err != nil {
		p.t.Fatal(err)
	}
	properties := users["parameters"].(object)["data-format"].(object)
	properties["email-verified"] = object{"multiple": false, "read": true, "write": true, "profile-read": false, "profile-write": false}
	p.ask("PUT", "/mod/user/database", users)
	p.ask("PUT", "/mod/user/database/reset", nil)
	for _, scope := range scopes[1:] {
		p.ask("POST", "/scope/", object{"name": scope, "display_name": scope, "description": scope, "password_required": false, "scheme": object{}})
	}
	private, public := p.key()
	p.ask("POST", "/mod/plugin/", object{"module": plugin, "name": plugin, "display_name": plugin, "enabled": true, "parameters": object{
		"iss": p.Issuer, "jwt-type": "rsa", "jwt-key-size": "256", "key": private, "cert": public, "jwks-show": true, "jwks-x5c": []string{},
		"access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600, "refresh-token-rolling": false,
		"auth-type-code-enabled": true, "auth-type-token-enabled": false, "auth-type-id-token-enabled": true, "auth-type-none-enabled": false,
		"auth-type-password-enabled": false, "auth-type-client-enabled": false, "auth-type-device-enabled": false, "auth-type-refresh-enabled": false,
		"scope": []string{}, "additional-parameters": []string{}, "allowed-scope": scopes, "restrict-scope-client-property": "",
		"name-claim": "mandatory", "name-claim-scope": []string{}, "email-claim": "mandatory", "email-claim-scope": []string{},
		"scope-claim": "no", "scope-claim-scope": []string{}, "address-claim": object{"type": "no"},
		"claims": []object{{"name": "email_verified", "user-property": "email-verified", "type": "boolean",
			"boolean-value-true": "yes", "boolean-value-false": "no", "mandatory": true, "on-demand": false, "scope": []string{}}},
		"allow-non-oidc": false, "subject-type": "public", "request-parameter-allow": false, "request-uri-allow-https-non-secure": false,
		"pkce-allowed": true, "pkce-method-plain-allowed": false, "pkce-required": false, // whoever asks with a challenge is held to it
		"introspection-revocation-allowed": false, "register-client-allowed": false, "session-management-allowed": false,
	}})
}

func (p *Provider) key() (private, public string) {
	p.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		p.t.Fatal(err)
	}
	block := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return string(pem.EncodeToMemory(&block)), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// AddClient lets a program send people here.
func (p *Provider) AddClient(c Client) {
	p.t.Helper()
	p.ask("POST", "/client/", object{
		"client_id": c.ID, "client_secret": c.Secret, "name": c.ID, "confidential": true, "enabled": true, "scope": []string{},
		"redirect_uri": []string{c.Return}, "authorization_type": []string{"code"},
		"token_endpoint_auth_method": []string{"client_secret_basic", "client_secret_post"},
	})
}

// AddPerson lets somebody sign in.
func (p *Provider) AddPerson(who Person) {
	p.t.Helper()
	p.ask("POST", "/user/", who.row())
}

// ChangePerson changes what is said of somebody: who they are stays.
func (p *Provider) ChangePerson(who Person) {
	p.t.Helper()
	p.ask("PUT", "/user/"+url.PathEscape(who.Login), who.row())
}

func (who Person) row() object {
	verified := "no"
	if who.IsVerified {
		verified = "yes"
	}
	return object{"username": who.Login, "password": who.Password, "name": who.Name, "email": who.Email, "email-verified": verified,
		"scope": scopes, "enabled": true}
}

// ask has the operator of the provider do something.
func (p *Provider) ask(method, path string, body any) []byte {
	p.t.Helper()
	answer, err := send(p.admin, method, p.base+"/api"+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("the OpenID provider: %s %s: %d %s %v\n%s", method, path, answer.StatusCode, text, err, p.Log())
	}
	return text
}

func send(client *http.Client, method, address string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	if body == nil {
		text = nil
	}
	r, err := http.NewRequest(method, address, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return client.Do(r)
}
