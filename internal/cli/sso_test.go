package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// # The commands about single sign-on say what was asked for, take the secret from where no
// list of processes shows it, and show what the provider must be told.
func TestCommandsAboutSSO(t *testing.T) {
	const set = `{"issuer":"https://login.acme.example","client_id":"purser","default_role":"viewer","required":true,` +
		`"domains":[{"domain":"acme.example","confirmed_at":"2026-11-01T00:00:00Z"},{"domain":"acme.test","confirmed_at":null}],` +
		`"callback_url":"https://purser.example/sso/callback","changed_at":"2026-11-01T00:00:00Z"}`
	c := serve(t, map[string]any{
		"GET /v1/organizations/acme/sso": set, "PUT /v1/organizations/acme/sso": set, "DELETE /v1/organizations/acme/sso": set,
		"PUT /v1/organizations/acme/sso/domains/acme.example": set,
	})
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const sent = `{"issuer":"https://login.acme.example","client_id":"purser","client_secret":"%","domains":["acme.example","acme.test"],"default_role":"viewer","required":true}`
	const asked = "org sso set --issuer https://login.acme.example --client-id purser --domain acme.example,acme.test --default-role viewer --required"
	for _, test := range []struct{ args, says, asked, body string }{
		{"org sso show", "https://purser.example/sso/callback", "GET /v1/organizations/acme/sso", ""},
		{asked, "acme.example (confirmed), acme.test (not confirmed)", "PUT /v1/organizations/acme/sso", strings.Replace(sent, "%", "of the environment", 1)},
		{asked + " --secret-file " + file, "viewer", "PUT /v1/organizations/acme/sso", strings.Replace(sent, "%", "of the file", 1)},
		{"org sso remove", "purser", "DELETE /v1/organizations/acme/sso", ""},
		{"org sso confirm acme.example https://login.acme.example", "confirmed", "PUT /v1/organizations/acme/sso/domains/acme.example",
			`{"confirmed":true,"issuer":"https://login.acme.example"}`},
		{"org sso confirm acme.example --take-back", "confirmed", "PUT /v1/organizations/acme/sso/domains/acme.example", `{"confirmed":false}`},
	} {
		got := command(t, c, map[string]string{"PURSER_ORG": "acme", ssoSecretEnv: "of the environment"}, strings.Fields(test.args)...)
		last := len(c.asked) - 1
		if got.status != 0 || !strings.Contains(got.out, test.says) || last < 0 || c.asked[last] != test.asked || c.bodies[last] != test.body {
			t.Errorf("purser %s: %d\n%s%s\nasked %q with %q", test.args, got.status, got.out, got.err, c.asked, c.bodies)
		}
	}
	for _, wrong := range []string{"org sso set --issuer https://login.acme.example", "org sso confirm acme.example", "org sso confirm acme.example https://a.example --take-back"} {
		before := len(c.asked)
		if got := command(t, c, map[string]string{"PURSER_ORG": "acme"}, strings.Fields(wrong)...); got.status != 2 || len(c.asked) != before {
			t.Errorf("purser %s: %d %s", wrong, got.status, got.err)
		}
	}
}

// # The installation's provider is all there or not at all.
func TestSettingsOfTheInstallationsProvider(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(env map[string]string) *settings {
		return serverSettings(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	}
	p, err := providerOf(with(map[string]string{"PURSER_SSO_ISSUER": "https://a.example", "PURSER_SSO_DOMAINS": "a.example", "PURSER_SSO_CLIENT_SECRET_FILE": file}))
	if err != nil || p.Secret != "of the file" || p.Domains != "a.example" {
		t.Errorf("%+v %v", p, err)
	}
	if p, err := providerOf(with(nil)); err != nil || p.Issuer != "" || p.Role != "" {
		t.Errorf("none: %+v %v", p, err)
	}
	for _, env := range []map[string]string{
		{"PURSER_SSO_ISSUER": "https://a.example", "PURSER_SSO_CLIENT_SECRET": "x", "PURSER_SSO_CLIENT_SECRET_FILE": file},
		{"PURSER_SSO_ISSUER": "https://a.example", "PURSER_SSO_CLIENT_SECRET_FILE": file + ".gone"},
	} {
		if p, err := providerOf(with(env)); err == nil {
			t.Errorf("%v: %+v", env, p)
		}
	}
}
