package app_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// # A server does not start with a provider that is set up by halves, and says what is missing.
func TestAProviderByHalves(t *testing.T) {
	whole := app.SSO{Issuer: "https://login.example.org", ClientID: "purser", Secret: "x", Domains: "example.org"}
	for says, change := range map[string]func(*app.SSO){
		"--sso-issuer:":                        func(s *app.SSO) { s.Issuer = "login.example.org" },
		"--sso-client-id":                      func(s *app.SSO) { s.ClientID = "" },
		"PURSER_SSO_CLIENT_SECRET":             func(s *app.SSO) { s.Secret = "" },
		"asks for --sso-domains":               func(s *app.SSO) { s.Domains = " , " },
		"--sso-role":                           func(s *app.SSO) { s.Role = "owner" },
		"there is no organization \"nowhere\"": func(s *app.SSO) { s.Organization = "nowhere" },
	} {
		s, data := whole, t.TempDir()
		change(&s)
		a, err := app.Start(t.Context(), app.Config{Listen: "unix:" + data + "/http.sock", Data: data, Database: dbtest.URL(t), TestClock: 1, SSO: s})
		if !app.IsWrongSetting(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("want %s, got %v", says, err)
		}
		if err == nil {
			_ = a.Close()
		}
	}
}
