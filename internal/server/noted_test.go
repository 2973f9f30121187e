package server_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// entries are those of a log (of the installation for ""), by action and actor, that were
// written from an address.
func (w *town) entries(organization, address string) (all []string) {
	w.Helper()
	for e, err := range api.All(api.Page{Limit: api.MaxPage}, func(page api.Page) (api.List[api.AuditEntry], error) {
		return w.Audit(w.Context(), organization, api.AuditQuery{Page: page})
	}) {
		if err != nil {
			w.Fatal(err)
		}
		if text := fmt.Sprint(e.Action, string(e.After), e.Target); strings.Contains(text, good) || strings.Contains(text, other) {
			w.Errorf("a password stands in %s", text)
		}
		if e.Address == address {
			all = append(all, e.Action+" by "+e.Actor)
		}
	}
	slices.Reverse(all)
	return all
}

// # What a person does on a page or by the API about the own account stands in the log of
// the installation, with who and from where.
func TestWhatPeopleDoOnPagesIsAudited(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	must(w.from("192.0.2.9", "").SignUp(ctx, api.SignUp{Email: ada, Password: good}))(t)
	const page, line = "192.0.2.1", "192.0.2.2"
	b := w.browser(page)
	b.do("/verify", url.Values{"token": {w.link(ada, "verify")}})
	b.login(ada, other, "/") // refused
	b.login(ada, good, "/")
	d := must(w.from("192.0.2.9", "").BeginDevice(ctx))(t)
	b.do("/device", url.Values{"code": {d.UserCode}})
	b.do("/device", url.Values{"code": {d.UserCode}, "decision": {"approve"}})
	b.do("/logout", url.Values{})
	must(w.from("192.0.2.9", "").AskPasswordReset(ctx, ada))(t)
	b.do("/reset", url.Values{"token": {w.link(ada, "reset")}, "password": {other}})

	c, in, err := w.login(line, ada, other, "")
	if err != nil {
		t.Fatal(err)
	}
	must(c.ChangePassword(ctx, api.PasswordChange{Password: other, NewPassword: good}))(t)
	made := must(c.BeginTwoFactor(ctx, api.Confirmation{Password: good}))(t)
	must(c.ConfirmTwoFactor(ctx, w.totpAt(made.Secret, 0)))(t)
	must(c.Logout(ctx, false))(t)
	user := " by " + in.User.ID
	want := []string{
		"confirm-verification" + user, "refused by anonymous", "login" + user, "confirm-device" + user, "logout" + user, "confirm-password-reset" + user,
	}
	if got := w.entries("", page); !slices.Equal(got, want) {
		t.Errorf("from the pages %q, not %q", got, want)
	}
	want = []string{"login" + user, "change-password" + user, "begin-two-factor" + user, "confirm-two-factor" + user, "logout" + user}
	if got := w.entries("", line); !slices.Equal(got, want) {
		t.Errorf("by the API %q, not %q", got, want)
	}
	w.verified()
}

// # Who becomes a member, and who leaves, stands in the log of the organization, however
// it came about.
func TestJoiningAndLeavingIsAudited(t *testing.T) {
	w := newTown(t)
	ctx := t.Context()
	w.citizen("ada@example.org")
	w.citizen("bob@example.org")
	ada := w.signedIn("192.0.2.1", "ada@example.org", good)
	must(ada.CreateOrganization(ctx, api.NewOrganization{Slug: "acme"}))(t)
	must(ada.Invite(ctx, "acme", api.NewInvitations{Items: []api.NewInvitation{
		{Email: "bob@example.org", Role: "viewer"}, {Email: "new@example.org", Role: "developer"}, {Email: "late@example.org", Role: "finance"},
	}}))(t)
	const at = "192.0.2.7"
	bob, in, err := w.login(at, "bob@example.org", good, "")
	if err != nil {
		t.Fatal(err)
	}
	must(bob.AcceptInvitation(ctx, api.Acceptance{Secret: w.invited("bob@example.org")}))(t)
	must(bob.LeaveOrganization(ctx, "acme"))(t)

	c := w.from(at, "")
	must(c.SignUp(ctx, api.SignUp{Email: "new@example.org", Password: good}))(t)
	must(c.ConfirmVerification(ctx, w.link("new@example.org", "verify")))(t) // by the API
	must(c.SignUp(ctx, api.SignUp{Email: "late@example.org", Password: good}))(t)
	w.browser(at).do("/verify", url.Values{"token": {w.link("late@example.org", "verify")}}) // on the page
	ids := map[string]string{}
	for _, m := range must(ada.Members(ctx, "acme", api.Page{}))(t).Items {
		ids[m.Email] = m.User
	}
	want := []string{
		"accept-invitation by " + in.User.ID, "leave-organization by " + in.User.ID,
		"join-organization by " + ids["new@example.org"], "join-organization by " + ids["late@example.org"],
	}
	if got := w.entries("acme", at); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
	if got := w.entries("new", at); !slices.Equal(got, []string{"join-organization by " + ids["new@example.org"]}) {
		t.Errorf("of the personal organization: %q", got)
	}
	w.verified()
}

// invited is the secret of the newest invitation that was mailed to somebody.
func (w *town) invited(email string) string {
	w.Helper()
	for _, m := range must(w.Mails(w.Context(), api.MailQuery{}))(w).Items {
		if m.To == email && m.Template == "invitation" {
			text := must(w.Client.Mail(w.Context(), m.ID))(w).Text
			if secret := invitationLink.FindStringSubmatch(text); secret != nil {
				return secret[1]
			}
		}
	}
	w.Fatalf("no invitation was mailed to %s", email)
	return ""
}

var invitationLink = regexp.MustCompile(`/invitation#(pi_[a-z0-9]+)`)
