package cli

import (
	"slices"
	"strings"
	"testing"
)

// The commands about people say what was asked for, to the right organization.
func TestCommandsAboutPeople(t *testing.T) {
	const member = `{"user":"usr_1","email":"ada@example.org","name":"Ada","role":"owner","created_at":"2026-11-01T00:00:00Z"}`
	const invited = `{"id":"inv_1","email":"bob@example.org","role":"finance","status":"pending","expires_at":"2026-11-08T00:00:00Z"}`
	const key = `"id":"key_1","user":"usr_1","name":"ci","scopes":["run"],"networks":[],"created_at":"2026-11-01T00:00:00Z","expires_at":null,"last_used_at":null`
	c := serve(t, map[string]any{
		"GET /v1/organizations/acme/members":                `{"items":[` + member + `],"next_cursor":null}`,
		"PATCH /v1/organizations/acme/members/usr_1":        member,
		"DELETE /v1/organizations/acme/members/usr_1":       member,
		"POST /v1/organizations/acme/invitations":           `{"items":[` + invited + `]}`,
		"POST /v1/invitations/accept":                       invited,
		"POST /v1/organizations/acme/tokens":                `{` + key + `,"secret":"pt_secret"}`,
		"GET /v1/organizations/acme/tokens":                 `{"items":[{` + key + `}],"next_cursor":null}`,
		"POST /v1/organizations/acme/tokens/key_1/rotate":   `{` + key + `,"secret":"pt_other"}`,
		"DELETE /v1/organizations/acme/tokens/key_1":        `{` + key + `}`,
		"PATCH /v1/organizations/acme/billing-profile":      `{"billing_email":"f@acme.example","legal_name":"","address":"","tax_id":""}`,
		"PUT /v1/organizations/acme/tax-id-verification":    `{"tax_id":"DE811569869","tax_id_state":"verified","tax_id_verification":"VIES"}`,
		"DELETE /v1/organizations/acme/tax-id-verification": `{"tax_id":"DE811569869","tax_id_state":"form_checked"}`,
		"POST /v1/organizations/acme/transfer-ownership":    member,
		"POST /v1/organizations/acme/leave":                 member,
		"GET /v1/whoami":                                    `{"user":"usr_1","role":"developer","token":"key_1","organization":"acme","workspace":"acme"}`,
	})
	for _, test := range []struct{ args, says, asked, body string }{
		{"member ls", "usr_1  ada@example.org  Ada   owner", "GET /v1/organizations/acme/members?limit=50", ""},
		{"member role ada@example.org platform", "ada@example.org", "PATCH /v1/organizations/acme/members/usr_1", `{"role":"platform"}`},
		{"member rm usr_1 --in-project vision", "usr_1", "DELETE /v1/organizations/acme/members/usr_1?project=vision", ""},
		{"member invite ada@x.org bob@example.org=finance --role viewer", "inv_1", "POST /v1/organizations/acme/invitations",
			`{"items":[{"email":"ada@x.org","role":"viewer"},{"email":"bob@example.org","role":"finance"}]}`},
		{"member accept https://p.example/invitation#pi_x", "pending", "POST /v1/invitations/accept", `{"secret":"pi_x"}`},
		{"token create ci --scope run --budget 5", "pt_secret", "POST /v1/organizations/acme/tokens",
			`{"name":"ci","scopes":["run"],"budget":{"amount":"5","window":"total","hard":true}}`},
		{"token ls", "key_1  ci    usr_1  run", "GET /v1/organizations/acme/tokens?limit=50", ""},
		{"token rotate key_1 --overlap 1h", "pt_other", "POST /v1/organizations/acme/tokens/key_1/rotate", `{"overlap_seconds":3600}`},
		{"token revoke key_1", "key_1", "DELETE /v1/organizations/acme/tokens/key_1", ""},
		{"org set --billing-email f@acme.example", "f@acme.example", "PATCH /v1/organizations/acme/billing-profile", `{"billing_email":"f@acme.example"}`},
		{"org tax-id verify acme DE811569869 --on 2026-11-27 --reference VIES", "verified", "PUT /v1/organizations/acme/tax-id-verification",
			`{"tax_id":"DE811569869","verified_on":"2026-11-27","reference":"VIES"}`},
		{"org tax-id unverify acme", "form_checked", "DELETE /v1/organizations/acme/tax-id-verification", ""},
		{"org leave acme", "owner", "POST /v1/organizations/acme/leave", ""},
		{"org leave acme --hand-over ada@example.org", "owner", "POST /v1/organizations/acme/transfer-ownership", `{"user":"usr_1"}`},
	} {
		got := command(t, c, map[string]string{"PURSER_ORG": "acme"}, strings.Fields(test.args)...)
		last := len(c.asked) - 1
		if got.status != 0 || !strings.Contains(got.out, test.says) || last < 0 || c.asked[last] != test.asked || c.bodies[last] != test.body {
			t.Errorf("purser %s: %d\n%s%s\nasked %q with %q", test.args, got.status, got.out, got.err, c.asked, c.bodies)
		}
	}
	// Who pays is the server's to say where nobody has said it.
	got := command(t, c, nil, "whoami")
	if !strings.Contains(got.out, "acme") || !strings.Contains(got.out, "key_1") || !slices.Contains(c.asked, "GET /v1/whoami") {
		t.Errorf("%s%s asked %q", got.out, got.err, c.asked)
	}
}
