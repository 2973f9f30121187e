package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// host is a town in which Ada owns acme and invites people.
type host struct {
	*town
	ada *api.Client
	log lines
}

func newHost(t *testing.T) *host {
	h := &host{}
	logger := slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.town = newTownWith(t, app.Config{TestClock: start.UnixNano(), Log: logger})
	h.citizen("ada@example.org")
	h.citizen("bob@example.org")
	h.ada = h.signedIn("192.0.2.1", "ada@example.org", good)
	must(h.ada.CreateOrganization(t.Context(), api.NewOrganization{Slug: "acme", Name: `Acme <b>"AI"</b>`}))(t)
	return h
}

func (h *host) invite(email, role string) (secret string) {
	h.Helper()
	must(h.ada.Invite(h.Context(), "acme", api.NewInvitations{Items: []api.NewInvitation{{Email: email, Role: role}}}))(h)
	return h.invited(email)
}

// member is the id and role of somebody in acme.
func (h *host) member(email string) (id, role string) {
	h.Helper()
	for _, m := range must(h.ada.Members(h.Context(), "acme", api.Page{}))(h).Items {
		if m.Email == email {
			return m.User, m.Role
		}
	}
	return "", ""
}

// decide sends the form of the page, with more fields (name, value, …).
func (b *browser) decide(secret, decision string, more ...string) raw {
	b.Helper()
	form := url.Values{"secret": {secret}, "decision": {decision}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return b.do("/invitation", form)
}

func (h *host) says(page raw, status int, parts ...string) {
	h.Helper()
	for _, part := range parts {
		if page.status != status || !strings.Contains(string(page.body), part) {
			h.Errorf("%d without %q: %s", page.status, part, page.body)
		}
	}
}

// audited checks what stands in a log of what came from an address.
func (h *host) audited(log, from string, want ...string) {
	h.Helper()
	if got := h.entries(log, from); !slices.Equal(got, want) {
		h.Errorf("from %s in the log of %q: %q, not %q", from, log, got, want)
	}
}

var script = regexp.MustCompile(`(?s)<script>(.*)</script>`)

// # The page takes the secret from behind the # of the link into the body of a form, by
// the one script that its policy allows; so it is in no address.
func TestThePageOfInvitationsSendsTheSecretInABody(t *testing.T) {
	h := newHost(t)
	page := h.browser("192.0.2.7").do("/invitation", nil)
	h.says(page, 200, `<form id="open" method="post" action="/invitation">`, `name="secret"`, "location.hash", "replaceState")
	sum := sha256.Sum256([]byte(script.FindStringSubmatch(string(page.body))[1]))
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || strings.Contains(policy, "unsafe") ||
		page.header.Get("Cache-Control") != "no-store" || page.header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%v", page.header)
	}
	secret := h.invite("bob@example.org", "developer")
	if answer := h.browser("192.0.2.7").do("/invitation?secret="+secret, nil); strings.Contains(string(answer.body), "asks you to join") {
		t.Error("a secret in the address is taken")
	}
	h.says(h.browser("192.0.2.7").decide("pi_nothing", ""), 404, "The invitation is not known", `<form id="open"`)
}

// # Who has an account signs in on the page and joins, once, and nobody else does.
func TestAnInvitationIsAcceptedOnItsPage(t *testing.T) {
	h := newHost(t)
	h.citizen("eve@example.org")
	secret, b := h.invite("bob@example.org", "developer"), h.browser("192.0.2.7")
	h.says(b.decide(h.URL+"/invitation#"+secret, ""), 200, "Ada &lt;ada@example.org&gt; asks you to join",
		"Acme &lt;b&gt;&#34;AI&#34;&lt;/b&gt;", "as developer", "bob@example.org", `value="sign-in"`, `value="sign-up"`)
	h.says(b.decide(secret, "accept"), 401, "not signed in")
	h.says(b.decide(secret, "sign-in", "password", other), 401, "The email address or the password is wrong")
	h.says(b.decide(secret, "sign-in", "password", good), 200, `value="accept"`)
	if _, role := h.member("bob@example.org"); b.cookie() == "" || role != "" {
		t.Error("signing in did more, or less, than that")
	}
	if answer := b.do("/invitation", url.Values{"secret": {secret}, "decision": {"accept"}}, "Sec-Fetch-Site", "cross-site"); answer.status != 403 {
		t.Errorf("from another site: %d", answer.status)
	}
	eve := h.browser("192.0.2.8")
	eve.login("eve@example.org", good, "/")
	h.says(eve.decide(secret, ""), 200, "You are signed in as eve@example.org")
	h.says(eve.decide(secret, "accept"), 404, "not to your address")

	h.says(b.decide(secret, "accept"), 200, "You are a member of Acme")
	bob, role := h.member("bob@example.org")
	if role != "developer" {
		t.Errorf("bob is %q", role)
	}
	h.says(b.decide(secret, "accept"), 409, "The invitation is accepted")
	h.audited("acme", "192.0.2.7", "accept-invitation by "+bob)
	h.audited("", "192.0.2.7", "refused by anonymous", "refused by anonymous", "login by "+bob)
	if text := h.log.String(); !strings.Contains(text, "path=/invitation") || strings.Contains(text, "pi_") {
		t.Error("the secret stands in the log")
	}
	h.verified()
}

// # Who is new signs up on the page, and is a member when the address is verified.
func TestSomebodyNewSignsUpByAnInvitation(t *testing.T) {
	h := newHost(t)
	secret, b := h.invite("new@example.org", "viewer"), h.browser("192.0.2.9")
	h.says(b.decide(secret, "sign-up", "password", "password123"), 422, "too easy to guess")
	h.says(b.decide(secret, "sign-up", "password", good, "name", "New"), 200, "A mail was sent to new@example.org")
	if _, role := h.member("new@example.org"); role != "" {
		t.Error("a member before the address is verified")
	}
	b.do("/verify", url.Values{"token": {h.link("new@example.org", "verify")}})
	id, role := h.member("new@example.org")
	if role != "viewer" {
		t.Errorf("new is %q", role)
	}
	h.audited("acme", "192.0.2.9", "join-organization by "+id)
	h.audited("", "192.0.2.9", "sign-up by anonymous", "confirm-verification by "+id)
}
