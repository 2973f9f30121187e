package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/sso/ssotest"
)

// # A new member comes through the provider of the organization, and is one from then on,
// with the role that the organization gives; who was put out does not come back by it.
func TestANewMemberComesBySSO(t *testing.T) {
	w := newCampus(t)
	owner := w.owner("acme")
	set := w.setUp(owner, "acme", api.NewSSO{Domains: []string{"ACME.example"}, DefaultRole: "viewer"})
	if set.CallbackURL != w.URL+"/sso/callback" || len(set.Domains) != 1 || set.Domains[0].Domain != "acme.example" || set.Domains[0].ConfirmedAt != nil {
		t.Fatalf("%+v", set)
	}
	ada := w.person("ada@acme.example")
	b := w.walker("192.0.2.1")
	b.turnedAway(b.do("/sso", url.Values{"email": {ada.Email}}), 404, "No single sign-on is set up") // claimed, and confirmed by nobody
	w.confirm("acme", "acme.example")

	page := b.do("/login?next=/device%3Fcode=X", nil)
	if text := string(page.body); !strings.Contains(text, `action="/sso"`) || strings.Contains(text, "Sign in with single sign-on") {
		t.Errorf("the page offers %s", text)
	}
	answer := b.come(ada, "/device?code=X")
	if answer.status != 303 || answer.header.Get("Location") != "/device?code=X" {
		t.Fatalf("came back: %d %v %s", answer.status, answer.header, answer.body)
	}
	cookie := answer.header.Values("Set-Cookie")
	if n := len(cookie); n != 2 || !strings.HasPrefix(cookie[0], "purser-sso=; ") || !strings.Contains(cookie[1], "; HttpOnly; SameSite=Lax") {
		t.Errorf("cookies %q", cookie)
	}
	me := must(b.api().User(t.Context()))(t)
	if me.Email != ada.Email || me.Name != "ADA" || me.VerifiedAt == nil || me.Needs != "" {
		t.Errorf("%+v", me)
	}
	if who := must(b.api().Whoami(t.Context(), api.WhoamiQuery{Workspace: "acme"}))(t); who.Role != "viewer" {
		t.Errorf("%+v", who)
	}
	first := b.cookie()
	if again := b.arrived(ada); must(again.User(t.Context()))(t).ID != me.ID || b.cookie() == first {
		t.Error("another person, or the same session")
	}
	if joined := w.audit("acme", api.AuditFilter{Action: audit.Joined}); len(joined) != 1 || joined[0].Actor != me.ID {
		t.Errorf("joined: %+v", joined)
	}
	must(owner.RemoveMember(t.Context(), "acme", me.ID, api.MemberQuery{}))(t)
	_, err := b.arrived(ada).Balance(t.Context(), "acme")
	refused(t, err, 404, "not_found")
}

// # A command line is signed in by who came through the provider, and enters where that is
// asked for.
func TestACommandLineIsSignedInBySSO(t *testing.T) {
	w := newCampus(t)
	w.enterprise("acme", "acme.example", true)
	ada, line, b := w.person("ada@acme.example"), w.from("192.0.2.3", ""), w.walker("192.0.2.1")
	code := must(line.BeginDevice(t.Context()))(t)
	to := b.do("/device?code="+code.UserCode, nil).header.Get("Location")
	next, err := url.Parse(to)
	if err != nil || next.Path != "/login" {
		t.Fatal(to, err)
	}
	back := b.come(ada, next.Query().Get("next")).header.Get("Location")
	if page := b.do(back, nil); page.status != 200 || !strings.Contains(string(page.body), ada.Email) {
		t.Fatalf("%s: %d %s", back, page.status, page.body)
	}
	b.do("/device", url.Values{"code": {code.UserCode}, "decision": {"approve"}})
	line.Token = must(line.DeviceToken(t.Context(), code.DeviceCode))(t).Token
	must(line.Balance(t.Context(), "acme"))(t)
}

// # Who has an account with the address already has it still; who only typed the address
// into a sign-up and never read its mail loses what was prepared there.
func TestSSOLinksWhatIsSafe(t *testing.T) {
	w := newCampus(t)
	w.enterprise("acme", "acme.example", false)
	ada, bob, eve := w.person("ada@acme.example"), w.person("bob@acme.example"), w.person("eve@acme.example")

	w.citizen(ada.Email)
	before := must(w.signedIn("192.0.2.1", ada.Email, good).User(t.Context()))(t)
	if after := must(w.walker("192.0.2.1").arrived(ada).User(t.Context()))(t); after.ID != before.ID || after.Name != "Ada" {
		t.Errorf("linked to %+v", after)
	}
	w.signedIn("192.0.2.1", ada.Email, good)

	squatter := w.from("192.0.2.66", "")
	must(squatter.SignUp(t.Context(), api.SignUp{Email: bob.Email, Password: good, Name: "Mallory"}))(t)
	early := w.signedIn("192.0.2.66", bob.Email, good)
	link := w.link(bob.Email, "verify")
	must(w.walker("192.0.2.1").arrived(bob).Balance(t.Context(), "acme"))(t)
	_, err := early.User(t.Context())
	refused(t, err, 401, "session_ended")
	_, _, err = w.login("192.0.2.66", bob.Email, good, "")
	refused(t, err, 401, "wrong_credentials")
	_, err = squatter.ConfirmVerification(t.Context(), link)
	refused(t, err, 422, "invalid_link")

	// A second factor of the account is asked for: it may be good for other organizations too.
	w.citizen(eve.Email)
	own := w.signedIn("192.0.2.1", eve.Email, good)
	secret := must(own.BeginTwoFactor(t.Context(), api.Confirmation{Password: good}))(t).Secret
	must(own.ConfirmTwoFactor(t.Context(), w.totpAt(secret, 0)))(t)
	b := w.walker("192.0.2.1")
	page := b.come(eve, "/device")
	token := hidden.FindSubmatch(page.body)
	if page.status != 200 || token == nil || b.cookie() != "" {
		t.Fatalf("no code is asked for: %d %s", page.status, page.body)
	}
	form := func(code string) url.Values { return url.Values{"token": {string(token[1])}, "code": {code}} }
	thief := w.walker("192.0.2.66")
	thief.turnedAway(thief.do("/sso/second", form(w.totpAt(secret, 1))), 409, "began in another browser")
	b.turnedAway(b.do("/sso/second", form("000000")), 401, "code")
	if answer := b.do("/sso/second", form(w.totpAt(secret, 1))); answer.status != 303 || answer.header.Get("Location") != "/device" || b.cookie() == "" {
		t.Errorf("with the code: %d %s", answer.status, answer.body)
	}
}

// # What comes back is believed once, in the browser that went, if it is what it went for.
func TestWhatComesBackIsNotBelieved(t *testing.T) {
	w := newCampus(t)
	w.enterprise("acme", "acme.example", false)
	w.known(w.provider, ssotest.Client{ID: "another", Secret: "of another program"})
	ada := w.person("ada@acme.example")
	changed := func(departure, name, value string) string {
		u, err := url.Parse(departure)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set(name, value)
		if value == "" {
			q.Del(name)
		}
		u.RawQuery = q.Encode()
		return u.String()
	}
	for name, c := range map[string]struct {
		back   func(b *walker) string
		status int
		words  string
	}{
		"another nonce": {func(b *walker) string {
			return b.signIn(changed(changed(changed(b.leave(ada.Email, "/"), "nonce", "planted"), "code_challenge", ""), "code_challenge_method", ""), ada)
		}, 401, "of another sign-in"},
		"another challenge": {func(b *walker) string {
			return b.signIn(changed(b.leave(ada.Email, "/"), "code_challenge", strings.Repeat("A", 43)), ada)
		}, 401, "did not take the code"},
		"for another program": {func(b *walker) string {
			return b.signIn(changed(b.leave(ada.Email, "/"), "client_id", "another"), ada)
		}, 401, "did not take the code"},
		"another state": {func(b *walker) string {
			return changed(b.signIn(b.leave(ada.Email, "/"), ada), "state", "made-up")
		}, 409, "began in another browser"},
		"no state": {func(b *walker) string {
			return changed(b.signIn(b.leave(ada.Email, "/"), ada), "state", "")
		}, 409, "began in another browser"},
		"a code that was made up": {func(b *walker) string {
			return changed(b.signIn(b.leave(ada.Email, "/"), ada), "code", "made-up")
		}, 401, "did not take the code"},
		"no code": {func(b *walker) string {
			return changed(b.signIn(b.leave(ada.Email, "/"), ada), "code", "")
		}, 401, "it sent no code"},
		"a refusal": {func(b *walker) string {
			return changed(changed(b.signIn(b.leave(ada.Email, "/"), ada), "code", ""), "error", "access_denied<b>")
		}, 401, "access_denied"},
		"a code of another sign-in": {func(b *walker) string {
			code := b.signIn(b.leave(ada.Email, "/"), ada)
			u, err := url.Parse(code)
			if err != nil {
				t.Fatal(err)
			}
			return changed(b.signIn(b.leave(ada.Email, "/"), ada), "code", u.Query().Get("code"))
		}, 401, "did not take the code"},
		"eleven minutes later": {func(b *walker) string {
			back := b.signIn(b.leave(ada.Email, "/"), ada)
			w.advance("660")
			return back
		}, 409, "has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.walker("192.0.2.1")
			b.turnedAway(b.do(c.back(b), nil), c.status, c.words)
		})
	}
}

// # An attacker's sign-in does not begin in a victim's browser, and none begins twice.
func TestACallbackIsGoodOnceAndAtHome(t *testing.T) {
	w := newCampus(t)
	w.enterprise("acme", "acme.example", false)
	ada := w.person("ada@acme.example")
	thief, victim, b := w.walker("192.0.2.66"), w.walker("192.0.2.9"), w.walker("192.0.2.1")
	back := thief.signIn(thief.leave(ada.Email, "/"), ada)
	victim.turnedAway(victim.do(back, nil), 409, "began in another browser")
	victim.leave(ada.Email, "/") // and not if it is away itself
	victim.turnedAway(victim.do(back, nil), 409, "began in another browser")

	back = b.signIn(b.leave(ada.Email, "/"), ada)
	kept := slices.Clone(b.client.Jar.Cookies(b.browser.base))
	if answer := b.do(back, nil); answer.status != 303 {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	replay := w.walker("192.0.2.1")
	replay.client.Jar.SetCookies(replay.browser.base, kept)
	replay.turnedAway(replay.do(back, nil), 409, "was used")

	// A page of another site does not send anybody away.
	if answer := victim.do("/sso", url.Values{"email": {ada.Email}}, "Sec-Fetch-Site", "cross-site"); answer.status != 403 {
		t.Errorf("from another site: %d", answer.status)
	}
	// And the way back leads nowhere else.
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)"} {
		if answer := w.walker("192.0.2.1").come(ada, next); answer.status != 303 || answer.header.Get("Location") != "/" {
			t.Errorf("%q leads to %q", next, answer.header.Get("Location"))
		}
	}
}

// # A token from the past is none: the provider's clock is an hour and more behind.
func TestATokenThatHasExpired(t *testing.T) {
	w := newCampusWith(t, ssotest.New(t), app.Config{TestClock: time.Now().Add(2 * time.Hour).UnixNano(), AllowPrivate: true})
	w.enterprise("acme", "acme.example", false)
	b := w.walker("192.0.2.1")
	b.turnedAway(b.come(w.person("ada@acme.example"), "/"), 401, "has expired")
}

// # An organization's provider speaks for confirmed domains of it, of addresses that are
// verified, and for nobody else.
func TestAnOrganizationsProviderSpeaksForItsDomains(t *testing.T) {
	w := newCampus(t)
	w.enterprise("acme", "acme.example", false)
	w.citizen("victim@rival.example")
	unverified := w.person("ada@acme.example")
	unverified.IsVerified = false
	w.provider.ChangePerson(unverified)
	for who, words := range map[ssotest.Person]string{
		unverified:                       "not say that your email address is verified",
		w.person("victim@rival.example"): "does not speak for victim@rival.example",
		w.person("bob@sub.acme.example"): "does not speak for bob@sub.acme.example",
		w.person("cyd@acme.example.org"): "does not speak for cyd@acme.example.org",
	} {
		b := w.walker("192.0.2.1")
		answer := b.do(b.signIn(b.leave("somebody@acme.example", "/"), who), nil)
		b.turnedAway(answer, answer.status, words)
		if answer.status != 401 && answer.status != 403 {
			t.Errorf("%s: %d", who.Email, answer.status)
		}
	}

	// Who is known keeps to it too: an address of another domain is not the provider's any more.
	dan := w.person("dan@acme.example")
	must(w.walker("192.0.2.1").arrived(dan).Balance(t.Context(), "acme"))(t)
	must(w.DecideDomain(t.Context(), "acme", "acme.example", api.DomainDecision{}))(t)
	b := w.walker("192.0.2.1")
	b.turnedAway(b.do("/sso", url.Values{"email": {dan.Email}}), 404, "No single sign-on is set up")
}

// # Nobody claims what is another's, and what the operator has judged is confirmed: another
// issuer in its place has to be judged again.
func TestDomainsAreConfirmed(t *testing.T) {
	w := newCampus(t)
	acme, rival := w.enterprise("acme", "acme.example", false), w.owner("rival")
	set := w.setUp(rival, "rival", api.NewSSO{Domains: []string{"acme.example", "rival.example"}})
	if set.Domains[0].ConfirmedAt != nil {
		t.Error("claimed what is another's")
	}
	decide := func(organization, domain, issuer string) error {
		_, err := w.DecideDomain(t.Context(), organization, domain, api.DomainDecision{Confirmed: true, Issuer: issuer})
		return err
	}
	refused(t, decide("rival", "acme.example", w.provider.Issuer), 409, "sso_domain_taken")
	refused(t, decide("rival", "rival.example", "https://login.rival.example"), 409, "sso_other_issuer")
	refused(t, decide("rival", "other.example", w.provider.Issuer), 404, "not_found")
	_, err := rival.DecideDomain(t.Context(), "rival", "rival.example", api.DomainDecision{Confirmed: true, Issuer: w.provider.Issuer})
	refused(t, err, 403, "forbidden")

	ada := w.person("ada@acme.example")
	me := must(w.walker("192.0.2.1").arrived(ada).User(t.Context()))(t)
	confirmed := func(n api.NewSSO) bool {
		n.ClientID, n.Domains = purser.ID, []string{"acme.example"}
		return must(acme.SetSSO(t.Context(), "acme", n))(t).Domains[0].ConfirmedAt != nil
	}
	if !confirmed(api.NewSSO{Issuer: w.provider.Issuer}) {
		t.Error("a change of what the issuer has no part in takes the confirmation away")
	}
	_, err = acme.SetSSO(t.Context(), "acme", api.NewSSO{Issuer: "https://login.acme.example", ClientID: purser.ID, Domains: []string{"acme.example"}})
	refused(t, err, 422, "invalid") // the secret is not sent to another
	second := ssotest.New(t)
	if confirmed(api.NewSSO{Issuer: second.Issuer, ClientSecret: "another"}) {
		t.Error("another issuer, which nobody has judged")
	}
	w.provider = second
	w.known(second, ssotest.Client{ID: purser.ID, Secret: "another"})
	w.confirm("acme", "acme.example")
	ada = w.person(ada.Email)
	if again := must(w.walker("192.0.2.1").arrived(ada).User(t.Context()))(t); again.ID != me.ID {
		t.Errorf("by the new issuer another person: %+v", again)
	}
	must(acme.RemoveSSO(t.Context(), "acme"))(t)
	_, err = acme.SSO(t.Context(), "acme")
	refused(t, err, 404, "no_sso")
}

// # An organization that requires it is entered by its provider alone; a password is still
// good for the account, and for its owner, who has to mend what is set up wrongly.
func TestAnOrganizationRequiresSSO(t *testing.T) {
	w := newCampus(t)
	owner := w.enterprise("acme", "acme.example", false)
	ada := w.person("ada@acme.example")
	w.citizen(ada.Email)
	by := w.signedIn("192.0.2.1", ada.Email, good)
	came := w.walker("192.0.2.1").arrived(ada)
	must(by.Balance(t.Context(), "acme"))(t)

	w.setUp(owner, "acme", api.NewSSO{Domains: []string{"acme.example"}, Required: true})
	_, err := by.Balance(t.Context(), "acme")
	refused(t, err, 403, "sso_required")
	must(by.User(t.Context()))(t)
	must(by.Balance(t.Context(), "ada"))(t) // the own organization
	must(came.Balance(t.Context(), "acme"))(t)
	must(owner.Balance(t.Context(), "acme"))(t)

	// Another address is no way round it.
	_, err = by.ChangeEmail(t.Context(), api.EmailChange{Email: "ada@private.example", Password: good})
	refused(t, err, 403, "sso_required")
	must(came.ChangeEmail(t.Context(), api.EmailChange{Email: "ada@private.example", Password: good}))(t)
	must(came.ConfirmVerification(t.Context(), w.link("ada@private.example", "change_email")))(t)
	_, err = w.signedIn("192.0.2.1", "ada@private.example", good).Balance(t.Context(), "acme")
	refused(t, err, 403, "sso_required")

	// Where no domain is confirmed nobody could come, so nobody has to.
	must(w.DecideDomain(t.Context(), "acme", "acme.example", api.DomainDecision{}))(t)
	must(by.Balance(t.Context(), "acme"))(t)
}

// # The operator's provider speaks for the domains that the operator names, or all.
func TestTheOperatorsProvider(t *testing.T) {
	p := ssotest.New(t)
	operators := app.SSO{Issuer: p.Issuer, ClientID: purser.ID, Secret: purser.Secret, Domains: "lab.example, inst.example", Organization: "default", Role: "viewer"}
	w := newCampusWith(t, p, app.Config{TestClock: time.Now().UnixNano(), SSO: operators}) // and needs no leave to be on this machine
	ada, eve := w.person("ada@lab.example"), w.person("eve@evil.example")
	b := w.walker("192.0.2.1")
	if page := b.do("/login", nil); !strings.Contains(string(page.body), "Sign in with single sign-on") {
		t.Errorf("not offered: %s", page.body)
	}
	b.turnedAway(b.do("/sso", url.Values{"email": {eve.Email}}), 404, "No single sign-on is set up")
	b.turnedAway(b.do(b.signIn(b.leave("", "/"), eve), nil), 403, "does not speak for eve@evil.example")
	if answer := b.do(b.signIn(b.leave("", "/"), ada), nil); answer.status != 303 {
		t.Fatalf("%d %s", answer.status, answer.body)
	}
	if who := must(b.api().Whoami(t.Context(), api.WhoamiQuery{Workspace: "default"}))(t); who.Role != "viewer" || who.Email != ada.Email {
		t.Errorf("%+v", who)
	}

	operators.Domains = "*"
	q := ssotest.New(t)
	operators.Issuer = q.Issuer
	all := newCampusWith(t, q, app.Config{TestClock: time.Now().UnixNano(), SSO: operators})
	all.walker("192.0.2.1").arrived(all.person("eve@evil.example"))
}

// # A second factor that an organization asks for is its own provider's business there, and
// the account's elsewhere.
func TestTheProvidersWordForTheSecondFactor(t *testing.T) {
	w := newCampus(t)
	acme, yes := w.enterprise("acme", "acme.example", false), true
	must(acme.ChangeOrganizationSettings(t.Context(), "acme", api.OrganizationSettingsChange{RequireTwoFactor: &yes}))(t)
	ada := w.person("ada@acme.example")
	came := w.walker("192.0.2.1").arrived(ada)
	must(came.Balance(t.Context(), "acme"))(t)
	must(came.CreateOrganization(t.Context(), api.NewOrganization{Slug: "own"}))(t)
	must(came.ChangeOrganizationSettings(t.Context(), "own", api.OrganizationSettingsChange{RequireTwoFactor: &yes}))(t)
	_, err := came.Balance(t.Context(), "acme")
	refused(t, err, 403, "two_factor_required")
}

// # A provider that is away, or does not know the server, is told of in words that help, and
// nothing that it answers is passed on.
func TestAProviderThatIsAway(t *testing.T) {
	w := newCampus(t)
	owner := w.enterprise("acme", "acme.example", false)
	ada, b := w.person("ada@acme.example"), w.walker("192.0.2.1")
	must(owner.SetSSO(t.Context(), "acme", api.NewSSO{Issuer: w.provider.Issuer, ClientID: purser.ID, ClientSecret: "wrong", Domains: []string{"acme.example"}}))(t)
	b.turnedAway(b.come(ada, "/"), 401, "(unauthorized_client): whoever set it up must look at the client and its secret")
	back := b.signIn(b.leave(ada.Email, "/"), ada)
	w.provider.Stop()
	b.turnedAway(b.do(back, nil), 503, "cannot be reached")
	w.advance("601") // what it said of itself is forgotten
	b.turnedAway(b.do("/sso", url.Values{"email": {ada.Email}}), 503, "cannot be reached")
	w.provider.Start()

	must(owner.SetSSO(t.Context(), "acme", api.NewSSO{
		Issuer: w.provider.Issuer + "/jwks", ClientID: purser.ID, ClientSecret: "wrong", Domains: []string{"acme.example"},
	}))(t)
	must(w.DecideDomain(t.Context(), "acme", "acme.example", api.DomainDecision{Confirmed: true, Issuer: w.provider.Issuer + "/jwks"}))(t)
	b.turnedAway(b.do("/sso", url.Values{"email": {ada.Email}}), 503, "does not answer as an OpenID provider")
}

// # An organization's provider is not a way into the server's own network.
func TestSSOLeadsNowhereInside(t *testing.T) {
	w := newCampusWith(t, ssotest.New(t), app.Config{TestClock: time.Now().UnixNano()})
	owner := w.owner("acme")
	set := func(issuer string) error {
		_, err := owner.SetSSO(t.Context(), "acme", api.NewSSO{Issuer: issuer, ClientID: "x", ClientSecret: "y", Domains: []string{"acme.example"}})
		return err
	}
	for _, issuer := range []string{w.provider.Issuer, "http://login.acme.example", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest"} {
		refused(t, set(issuer), 422, "invalid")
	}
	inside := "https://localhost:" + w.provider.Issuer[strings.LastIndexByte(w.provider.Issuer, ':')+1:]
	if err := set(inside); err != nil {
		t.Fatal(err)
	}
	must(w.DecideDomain(t.Context(), "acme", "acme.example", api.DomainDecision{Confirmed: true, Issuer: inside}))(t)
	b := w.walker("192.0.2.1")
	b.turnedAway(b.do("/sso", url.Values{"email": {"ada@acme.example"}}), 403, "which the operator has not allowed")
}

// # The secret of a client is answered to nobody, and stands in no journal.
func TestTheSecretIsNotShown(t *testing.T) {
	w := newCampus(t)
	owner := w.enterprise("acme", "acme.example", false)
	w.walker("192.0.2.1").arrived(w.person("ada@acme.example"))
	must(owner.RemoveSSO(t.Context(), "acme"))(t)
	w.setUp(owner, "acme", api.NewSSO{Domains: []string{"acme.example"}})
	var shown strings.Builder
	for _, path := range []string{"/v1/organizations/acme/sso", "/v1/audit?limit=1000", "/v1/organizations/acme/audit?limit=1000"} {
		answer := w.send("GET", path, "")
		shown.Write(answer.body)
	}
	entries := w.audit("acme", api.AuditFilter{Action: "set-sso"})
	for _, e := range entries {
		shown.Write(append(e.Before, e.After...))
	}
	answers := shown.String()
	if len(entries) != 2 || strings.Count(answers, `"client_secret":"[redacted]"`) < 2 {
		t.Errorf("%d entries: %s", len(entries), answers)
	}
	if strings.Contains(answers, purser.Secret) {
		t.Error("the secret is shown")
	}
	if !strings.Contains(answers, w.provider.Issuer) {
		t.Error("what was looked through is something else")
	}
}
