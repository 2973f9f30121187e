package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// # From signing up to another address and another password.
func TestAPersonsStory(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	c := w.from("192.0.2.1", "")
	asked := must(c.SignUp(ctx, api.SignUp{Email: "Ada@Example.org", Password: good, Name: "Ada"}))(t)
	if asked.Email != ada || w.count(ada, "verify") != 1 {
		t.Fatalf("signed up: %+v", asked)
	}
	// Unverified, a person can see that and sign out, and nothing else.
	early, in, err := w.login("192.0.2.1", ada, good, "")
	if err != nil || in.User.Needs != "email_unverified" || in.User.VerifiedAt != nil {
		t.Fatalf("%+v %v", in, err)
	}
	if u := must(early.User(ctx))(t); u.Needs != "email_unverified" {
		t.Errorf("user: %+v", u)
	}
	_, err = early.Prices(ctx, api.PriceQuery{})
	refused(t, err, 403, "email_unverified")
	_, err = early.BeginTwoFactor(ctx, api.Confirmation{Password: good})
	refused(t, err, 403, "email_unverified")
	must(c.ConfirmVerification(ctx, w.link(ada, "verify")))(t)
	if u := must(early.User(ctx))(t); u.Needs != "" || u.VerifiedAt == nil {
		t.Errorf("verified: %+v", u)
	}
	must(early.Prices(ctx, api.PriceQuery{}))(t)
	if me := must(early.Whoami(ctx, api.WhoamiQuery{}))(t); me.Email != ada || me.User != in.User.ID || me.Organization != "ada" || me.Role != "owner" {
		t.Errorf("whoami: %+v", me)
	}
	// Nothing of an organization of others.
	_, err = early.Whoami(ctx, api.WhoamiQuery{Workspace: must(w.Workspace(ctx, "default"))(t).ID})
	refused(t, err, 404, "not_found")
	_, err = early.Balance(ctx, "default")
	refused(t, err, 404, "not_found")
	name := "Countess Lovelace"
	if u := must(early.ChangeUser(ctx, api.UserChange{Name: &name}))(t); u.Name != name {
		t.Errorf("renamed: %+v", u)
	}
	// Another password ends the other sessions, and not this one.
	second := w.signedIn("192.0.2.1", ada, good)
	_, err = early.ChangePassword(ctx, api.PasswordChange{Password: other, NewPassword: other})
	refused(t, err, 401, "wrong_credentials")
	must(early.ChangePassword(ctx, api.PasswordChange{Password: good, NewPassword: other}))(t)
	_, err = second.User(ctx)
	refused(t, err, 401, "session_ended")
	must(early.User(ctx))(t)
	// Another address is confirmed from there, and the old one is told.
	before := w.count(ada, "notice")
	must(early.ChangeEmail(ctx, api.EmailChange{Email: "countess@example.org", Password: other}))(t)
	if w.count(ada, "notice") != before+1 {
		t.Error("the old address was not told")
	}
	if u := must(early.User(ctx))(t); u.Email != ada {
		t.Errorf("changed before it was confirmed: %+v", u)
	}
	must(c.ConfirmVerification(ctx, w.link("countess@example.org", "change_email")))(t)
	if u := must(early.User(ctx))(t); u.Email != "countess@example.org" {
		t.Errorf("not changed: %+v", u)
	}
	_, _, err = w.login("192.0.2.9", ada, other, "")
	refused(t, err, 401, "wrong_credentials")
	w.signedIn("192.0.2.9", "countess@example.org", other)
	w.verified()
}

// # Every link works once, and until it expires.
func TestLinksWorkOnceAndExpire(t *testing.T) {
	w := newTown(t)
	ctx, c, ada := t.Context(), w.from("192.0.2.1", ""), "ada@example.org"
	must(c.SignUp(ctx, api.SignUp{Email: ada, Password: good}))(t)
	stale := w.link(ada, "verify")
	w.advance("86400")
	_, err := c.ConfirmVerification(ctx, stale)
	refused(t, err, 422, "invalid_link")
	must(c.ResendVerification(ctx, ada))(t)
	token := w.link(ada, "verify")
	must(c.ConfirmVerification(ctx, token))(t)
	_, err = c.ConfirmVerification(ctx, token)
	refused(t, err, 422, "invalid_link")
	must(c.ResendVerification(ctx, ada))(t)
	if n := w.count(ada, "verify"); n != 2 {
		t.Errorf("%d mails: what is verified is not verified again", n)
	}
	signed := w.signedIn("192.0.2.1", ada, good)
	must(c.AskPasswordReset(ctx, ada))(t)
	stale = w.link(ada, "reset")
	w.advance("3600")
	_, err = c.ConfirmPasswordReset(ctx, api.PasswordReset{Token: stale, Password: other})
	refused(t, err, 422, "invalid_link")
	must(c.AskPasswordReset(ctx, ada))(t)
	token = w.link(ada, "reset")
	_, err = c.ConfirmVerification(ctx, token)
	refused(t, err, 422, "invalid_link") // it is for something else
	_, err = c.ConfirmPasswordReset(ctx, api.PasswordReset{Token: token, Password: "password123"})
	refused(t, err, 422, "weak_password")
	must(c.ConfirmPasswordReset(ctx, api.PasswordReset{Token: token, Password: other}))(t)
	_, err = c.ConfirmPasswordReset(ctx, api.PasswordReset{Token: token, Password: good})
	refused(t, err, 422, "invalid_link")
	_, err = signed.User(ctx)
	refused(t, err, 401, "session_ended")
	signed = w.signedIn("192.0.2.1", ada, other)
	must(signed.ChangeEmail(ctx, api.EmailChange{Email: "new@example.org", Password: other}))(t)
	token = w.link("new@example.org", "change_email")
	w.advance("86400")
	_, err = c.ConfirmVerification(ctx, token)
	refused(t, err, 422, "invalid_link")
}

// # On its page a link that was used says so in a sentence, and offers nothing to press. Whoever
// is signed in and follows a link of a mail is asked for no password.
func TestUsedLinksOnTheirPages(t *testing.T) {
	w := newTown(t)
	ada, b := "ada@example.org", w.browser("192.0.2.1")
	must(w.from("192.0.2.1", "").SignUp(t.Context(), api.SignUp{Email: ada, Password: good}))(t)
	form := url.Values{"token": {w.link(ada, "verify")}}
	if first := b.do("/verify", form); first.status != 200 || !strings.Contains(string(first.body), ada+" is confirmed") {
		t.Fatalf("%d %s", first.status, first.body)
	}
	again := b.do("/verify", form)
	if text := string(again.body); again.status != 422 || !strings.Contains(text, "This link is good no more") || !strings.Contains(text, "purser user resend") || strings.Contains(text, "<button") {
		t.Errorf("%d %s", again.status, again.body)
	}
	if wrong := b.login(ada, "another "+good, "/"); !strings.Contains(string(wrong.body), ">The email address or the password is wrong.<") {
		t.Errorf("%s", wrong.body)
	}
	const next = "/login?next=%2Fv1%2Fuser"
	if out := b.do(next, nil); out.status != 200 {
		t.Errorf("%d, and nobody is signed in", out.status)
	}
	b.login(ada, good, "/")
	if in := b.do(next, nil); in.status != http.StatusSeeOther || in.header.Get("Location") != "/v1/user" {
		t.Errorf("%d %s", in.status, in.header.Get("Location"))
	}
	if in := b.do("/login", nil); in.status != 200 {
		t.Errorf("%d without a place to go to", in.status)
	}
}

// # Weak passwords and wrong addresses are refused with what to do.
func TestWeakPasswordsAreRefused(t *testing.T) {
	w := newTown(t)
	for _, weak := range []string{"short", "password123", "qwertyuiop", "aaaaaaaaaaaa", "ada@example.org", "purser2027", "1234567890", strings.Repeat("x", 300)} {
		_, err := w.from("192.0.2.1", "").SignUp(t.Context(), api.SignUp{Email: "ada@example.org", Password: weak, Name: "Ada"})
		var p *api.Problem
		if p = problemIn(err); p == nil || p.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Pointer != "/password" || len(p.Errors[0].Detail) < 20 {
			t.Errorf("%q: %v", weak, err)
		}
	}
	for _, wrong := range []string{"ada", "ada@", "@example.org", "ada@example", "Ada <ada@example.org>", "a b@example.org"} {
		_, err := w.from("192.0.2.1", "").SignUp(t.Context(), api.SignUp{Email: wrong, Password: good})
		if p := problemIn(err); p == nil || p.Status != 422 {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if len(w.mails) != 0 {
		t.Errorf("%d mails were sent", len(w.mails))
	}
}

// # Of many sign-ups of one address at once there is one account.
func TestConcurrentSignUpsMakeOneAccount(t *testing.T) {
	w := newTown(t)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			_, errs[i] = w.from(fmt.Sprintf("192.0.2.%d", i), "").SignUp(t.Context(), api.SignUp{Email: "ada@example.org", Password: good, Name: fmt.Sprint(i)})
		})
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			refused(t, err, 429, "too_many_attempts") // the mailbox is not flooded
		}
	}
	if made < 1 || w.count("ada@example.org", "verify") != made {
		t.Errorf("%d were answered, %d mails", made, w.count("ada@example.org", "verify"))
	}
	c := w.from("192.0.2.1", "")
	must(c.ConfirmVerification(t.Context(), w.link("ada@example.org", "verify")))(t)
	if made > 1 { // whose password it is to be is not known
		must(c.ConfirmPasswordReset(t.Context(), api.PasswordReset{Token: w.link("ada@example.org", "reset"), Password: good}))(t)
	}
	first, in, err := w.login("192.0.2.1", "ada@example.org", good, "")
	if err != nil {
		t.Fatal(err)
	}
	// Signing up again tells the owner, changes nothing, and is answered as the first was.
	notices := w.count("ada@example.org", "notice")
	again := must(w.from("198.51.100.7", "").SignUp(t.Context(), api.SignUp{Email: "bob@example.org", Password: other}))(t)
	w.advance("901")
	known := must(w.from("198.51.100.7", "").SignUp(t.Context(), api.SignUp{Email: "ada@example.org", Password: other}))(t)
	if known.Detail != again.Detail || w.count("ada@example.org", "notice") != notices+1 {
		t.Errorf("%+v and %+v", known, again)
	}
	if u := must(first.User(t.Context()))(t); u.ID != in.User.ID {
		t.Errorf("another user: %+v", u)
	}
	_, _, err = w.login("192.0.2.1", "ada@example.org", other, "")
	refused(t, err, 401, "wrong_credentials")
}

// # Who signs up somebody else's address first has no way into the owner's account.
func TestAnAddressIsNotTakenInAdvance(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	must(w.from("198.51.100.1", "").SignUp(ctx, api.SignUp{Email: ada, Password: other}))(t)
	thief := w.signedIn("198.51.100.1", ada, other)
	owner := w.from("192.0.2.1", "")
	must(owner.SignUp(ctx, api.SignUp{Email: ada, Password: good}))(t)
	must(owner.ConfirmVerification(ctx, w.link(ada, "verify")))(t)
	_, err := thief.User(ctx)
	refused(t, err, 401, "session_ended")
	for _, password := range []string{other, good} { // whose link it was is not known
		_, _, err = w.login("198.51.100.1", ada, password, "")
		refused(t, err, 401, "wrong_credentials")
	}
	must(owner.ConfirmPasswordReset(ctx, api.PasswordReset{Token: w.link(ada, "reset"), Password: good}))(t)
	w.signedIn("192.0.2.1", ada, good)
}

// # Nor if it is his link that the owner follows, or one that was asked for again.
func TestAnAddressIsNotTakenByTheLinkOfAnother(t *testing.T) {
	for _, isResent := range []bool{false, true} {
		w := newTown(t)
		ctx, ada := t.Context(), "ada@example.org"
		thiefs := w.from("198.51.100.1", "")
		must(thiefs.SignUp(ctx, api.SignUp{Email: ada, Password: other}))(t)
		thief, link := w.signedIn("198.51.100.1", ada, other), w.link(ada, "verify")
		owner := w.from("192.0.2.1", "")
		must(owner.SignUp(ctx, api.SignUp{Email: ada, Password: good}))(t)
		if isResent {
			must(owner.ResendVerification(ctx, ada))(t)
			link = w.link(ada, "verify")
		}
		must(owner.ConfirmVerification(ctx, link))(t)
		_, err := thief.User(ctx)
		refused(t, err, 401, "session_ended")
		_, _, err = w.login("198.51.100.1", ada, other, "")
		refused(t, err, 401, "wrong_credentials")
		must(owner.ConfirmPasswordReset(ctx, api.PasswordReset{Token: w.link(ada, "reset"), Password: good}))(t)
		w.signedIn("192.0.2.1", ada, good)
	}
}

// # Neither passwords nor tokens nor codes stand in the database.
func TestSecretsAreNotKept(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	c := w.signedIn("192.0.2.1", "ada@example.org", good)
	d := must(c.BeginDevice(t.Context()))(t)
	secret := must(c.BeginTwoFactor(t.Context(), api.Confirmation{Password: good}))(t).Secret
	codes := must(c.ConfirmTwoFactor(t.Context(), w.totpAt(secret, 0)))(t).Codes
	if dbtest.IsPostgres() {
		return // the file is looked through on SQLite, and the rows are the same
	}
	text := w.files()
	for _, secret := range append(codes, good, c.Token, d.DeviceCode) {
		if strings.Contains(text, secret) {
			t.Errorf("%.6s… stands in the database", secret)
		}
	}
	if !strings.Contains(text, "$argon2id$v=19$m=19456,t=2,p=1$") || !strings.Contains(text, d.UserCode) {
		t.Error("the database that was looked through is another")
	}
}
