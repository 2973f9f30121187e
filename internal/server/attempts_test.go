package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// # Guessing waits longer and longer, and the owner gets in meanwhile.
func TestGuessingIsSlowedAndTheOwnerGetsIn(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	w.signedIn("192.0.2.1", "ada@example.org", good) // from home
	for range 14 {                                   // who mistypes and then gets it right is not slowed
		_, _, err := w.login("198.51.100.1", "ada@example.org", other, "")
		refused(t, err, 401, "wrong_credentials")
		w.signedIn("198.51.100.1", "ada@example.org", good)
	}
	waits := w.waits("198.51.100.2", "ada@example.org", 18)
	if want := []int64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900}; !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	// Refused attempts do not make it longer.
	_, _, err := w.login("198.51.100.2", "ada@example.org", good, "")
	first := refused(t, err, 429, "too_many_attempts").Values["retry_after_seconds"]
	for range 20 {
		w.login("198.51.100.2", "ada@example.org", good, "")
	}
	_, _, err = w.login("198.51.100.2", "ada@example.org", good, "")
	if again := refused(t, err, 429, "too_many_attempts").Values["retry_after_seconds"]; again != first {
		t.Errorf("hammering changed %v to %v", first, again)
	}
	answer := w.send("POST", "/v1/login", `{"email":"ada@example.org","password":"x"}`, "Authorization", "", "X-Forwarded-For", "198.51.100.2")
	if answer.status != 429 || answer.header.Get("Retry-After") != fmt.Sprint(first) {
		t.Errorf("%d, Retry-After %s", answer.status, answer.header.Get("Retry-After"))
	}
	w.signedIn("192.0.2.1", "ada@example.org", good)   // the owner, at home
	w.signedIn("203.0.113.9", "ada@example.org", good) // and from anywhere else
}

// waits are the waiting times between so many guesses, as far as there are any.
func (w *town) waits(address, email string, guesses int) (waits []int64) {
	w.Helper()
	for range guesses {
		_, _, err := w.login(address, email, other, "")
		if p := problemIn(err); p != nil && p.Status == 429 {
			seconds := int64(p.Values["retry_after_seconds"].(float64))
			waits = append(waits, seconds)
			w.advance(fmt.Sprint(seconds))
			_, _, err = w.login(address, email, other, "")
		}
		refused(w, err, 401, "wrong_credentials")
	}
	return waits
}

// # Guessers with many addresses are slowed together; the owner gets in from where the
// account was used before, and by a mailed link from anywhere.
func TestManyAddressesDoNotLockTheOwnerOut(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	w.signedIn("192.0.2.1", "ada@example.org", good)
	evaluated := 0
	for i := range 200 {
		_, _, err := w.login(fmt.Sprintf("198.51.100.%d", i), "ada@example.org", other, "")
		if p := problemIn(err); p.Status == 401 {
			evaluated++
		}
	}
	if evaluated != 20 {
		t.Errorf("%d guesses were evaluated at one instant", evaluated)
	}
	_, _, err := w.login("203.0.113.9", "ada@example.org", good, "")
	refused(t, err, 429, "too_many_attempts")
	w.signedIn("192.0.2.1", "ada@example.org", good)
	c := w.from("203.0.113.9", "")
	must(c.AskPasswordReset(t.Context(), "ada@example.org"))(t)
	must(c.ConfirmPasswordReset(t.Context(), api.PasswordReset{Token: w.link("ada@example.org", "reset"), Password: other}))(t)
	w.signedIn("203.0.113.9", "ada@example.org", other)
}

// # One address that tries many accounts is slowed too, and its neighbours who are
// known there are not.
func TestSprayingIsSlowed(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	w.signedIn("198.51.100.1", "ada@example.org", good)
	evaluated := 0
	for i := range 100 {
		_, _, err := w.login("198.51.100.1", fmt.Sprintf("p%d@example.org", i), good, "")
		if problemIn(err).Status == 401 {
			evaluated++
		}
	}
	if evaluated != 20 {
		t.Errorf("%d guesses were evaluated at one instant", evaluated)
	}
	w.signedIn("198.51.100.1", "ada@example.org", good)
}

// # Any number of guesses at once are no more than one after the other.
func TestGuessesAtOnceAreCounted(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	var all sync.WaitGroup
	var mu sync.Mutex
	evaluated := 0
	for range 40 {
		all.Go(func() {
			_, _, err := w.login("198.51.100.1", "ada@example.org", other, "")
			mu.Lock()
			defer mu.Unlock()
			if problemIn(err).Status == 401 {
				evaluated++
			}
		})
	}
	all.Wait()
	if evaluated != 5 {
		t.Errorf("%d of 40 were evaluated", evaluated)
	}
}

// # What a stuffing attack gets done, and how long the owner waits meanwhile.
func TestCredentialStuffing(t *testing.T) {
	for name, email := range map[string]func(int) string{
		"one account":   func(int) string { return "ada@example.org" },
		"many accounts": func(i int) string { return fmt.Sprintf("p%d@example.org", i) },
	} {
		for from, address := range map[string]func(int) string{
			"one address":    func(int) string { return "198.51.100.1" },
			"many addresses": func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i/65536, i/256%256, i%256) },
		} {
			t.Run(name+" from "+from, func(t *testing.T) { stuff(t, email, address) })
		}
	}
}

// stuff attacks at 100 attempts a second for two seconds, in real time.
func stuff(t *testing.T, email, address func(int) string) {
	w := newTownWith(t, app.Config{})
	w.citizen("ada@example.org")
	w.signedIn("192.0.2.1", "ada@example.org", good)
	w.citizen("bob@example.org") // who comes from where nobody was before
	const attempts = 200
	var mu sync.Mutex
	var attack sync.WaitGroup
	statuses := map[int]int{}
	began := time.Now()
	attack.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := range attempts {
			<-tick.C
			attack.Go(func() {
				_, _, err := w.login(address(i), email(i), other, "")
				mu.Lock()
				defer mu.Unlock()
				if p := problemIn(err); p != nil {
					statuses[p.Status]++
				} else {
					statuses[0]++
				}
			})
		}
	})
	var newcomer time.Duration
	var newcomerErr error
	attack.Go(func() {
		time.Sleep(500 * time.Millisecond) // the attack is under way
		bob, at := w.from("203.0.113.9", ""), time.Now()
		bob.Patience = 20 * time.Second
		_, newcomerErr = bob.Login(t.Context(), api.Login{Email: "bob@example.org", Password: good})
		newcomer = time.Since(at)
	})
	var owner []time.Duration
	for range 10 {
		at := time.Now()
		w.signedIn("192.0.2.1", "ada@example.org", good)
		owner = append(owner, time.Since(at))
	}
	attack.Wait()
	if newcomerErr != nil {
		t.Errorf("the newcomer: %v", newcomerErr)
	}
	took := time.Since(began)
	slices.Sort(owner)
	t.Logf("%d attempts in %s: %d evaluated, %d told to wait, %d turned away as too many at once; the owner signed in in %s (median), %s (longest), a newcomer in %s",
		attempts, took.Round(time.Millisecond), statuses[401], statuses[429], statuses[503], owner[5].Round(time.Millisecond), owner[9].Round(time.Millisecond), newcomer.Round(time.Millisecond))
	if statuses[401]+statuses[429]+statuses[503] != attempts || statuses[401] == 0 {
		t.Errorf("answers: %v", statuses)
	}
	isSpread := email(1) != email(2) && address(1) != address(2)
	if !isSpread && statuses[401] > 30 {
		t.Errorf("%d guesses were evaluated", statuses[401])
	}
	if owner[9] > 5*time.Second {
		t.Errorf("the owner waited %s", owner[9])
	}
}

// # A second factor: no code twice, recovery codes once each, and off again.
func TestTwoFactor(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	w.citizen(ada)
	c, early := w.signedIn("192.0.2.1", ada, good), w.signedIn("192.0.2.1", ada, good)
	_, err := c.BeginTwoFactor(ctx, api.Confirmation{Password: other})
	refused(t, err, 401, "wrong_credentials")
	made := must(c.BeginTwoFactor(ctx, api.Confirmation{Password: good}))(t)
	if !strings.HasPrefix(made.URL, "otpauth://totp/Purser:ada@example.org?") {
		t.Errorf("url %s", made.URL)
	}
	w.signedIn("192.0.2.1", ada, good) // not on yet
	_, err = c.ConfirmTwoFactor(ctx, "000000")
	refused(t, err, 401, "wrong_code")
	first := w.totpAt(made.Secret, 0)
	codes := must(c.ConfirmTwoFactor(ctx, first))(t).Codes
	_, err = early.User(ctx)
	refused(t, err, 401, "session_ended")
	if u := must(c.User(ctx))(t); !u.TwoFactor || u.RecoveryCodes != 10 || len(codes) != 10 {
		t.Errorf("%+v %v", u, codes)
	}
	_, _, err = w.login("192.0.2.1", ada, good, "")
	refused(t, err, 401, "two_factor_needed")
	_, _, err = w.login("192.0.2.1", ada, good, first)
	refused(t, err, 401, "wrong_code") // it was used to confirm
	w.advance("30")
	code := w.totpAt(made.Secret, 0)
	if _, _, err = w.login("192.0.2.1", ada, good, code[:3]+" "+code[3:]); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.login("192.0.2.1", ada, good, code)
	refused(t, err, 401, "wrong_code")
	w.advance("3600")
	_, _, err = w.login("192.0.2.1", ada, good, code)
	refused(t, err, 401, "wrong_code")
	if _, _, err = w.login("192.0.2.1", ada, good, strings.ToUpper(codes[0])); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.login("192.0.2.1", ada, good, codes[0])
	refused(t, err, 401, "wrong_code")
	if u := must(c.User(ctx))(t); u.RecoveryCodes != 9 {
		t.Errorf("%d codes are left", u.RecoveryCodes)
	}
	fresh := must(c.RenewRecoveryCodes(ctx, api.Confirmation{Password: good, Code: codes[1]}))(t).Codes
	w.advance("3600")
	_, _, err = w.login("192.0.2.1", ada, good, codes[2])
	refused(t, err, 401, "wrong_code")
	// A new password by mail does not go round the second factor.
	must(c.AskPasswordReset(ctx, ada))(t)
	must(c.ConfirmPasswordReset(ctx, api.PasswordReset{Token: w.link(ada, "reset"), Password: other}))(t)
	_, _, err = w.login("192.0.2.1", ada, other, "")
	refused(t, err, 401, "two_factor_needed")
	c, _, err = w.login("192.0.2.1", ada, other, fresh[0])
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.EndTwoFactor(ctx, api.Confirmation{Password: other})
	refused(t, err, 401, "two_factor_needed")
	must(c.EndTwoFactor(ctx, api.Confirmation{Password: other, Code: fresh[1]}))(t)
	w.signedIn("192.0.2.1", ada, other)
}

// # Guessing codes with the right password is slowed as guessing passwords is.
func TestGuessingCodesIsSlowed(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	c := w.signedIn("192.0.2.1", "ada@example.org", good)
	secret := must(c.BeginTwoFactor(t.Context(), api.Confirmation{Password: good}))(t).Secret
	must(c.ConfirmTwoFactor(t.Context(), w.totpAt(secret, 0)))(t)
	evaluated := 0
	for i := range 50 {
		_, _, err := w.login("198.51.100.1", "ada@example.org", good, fmt.Sprintf("%06d", i))
		if problemIn(err).Code == "wrong_code" {
			evaluated++
		}
	}
	if evaluated != 5 {
		t.Errorf("%d codes were tried at one instant", evaluated)
	}
}

// # Sessions are listed, end at once, and by themselves.
func TestSessionsEnd(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	w.citizen(ada)
	w.citizen("eve@example.org")
	eve := w.signedIn("198.51.100.1", "eve@example.org", good)
	a, b, c := w.signedIn("192.0.2.1", ada, good), w.signedIn("192.0.2.1", ada, good), w.signedIn("192.0.2.2", ada, good)
	page := must(a.Sessions(ctx, api.Page{Limit: 2}))(t)
	rest := must(a.Sessions(ctx, api.Page{Limit: 2, Cursor: *page.NextCursor}))(t)
	all := append(page.Items, rest.Items...)
	if len(all) != 3 || all[0].Address != "192.0.2.2" || all[0].Current || !all[2].Current || all[0].Agent != "test/192.0.2.2" || rest.NextCursor != nil {
		t.Errorf("%+v", all)
	}
	_, err := eve.RevokeSession(ctx, all[0].ID) // another's looks like none
	refused(t, err, 404, "not_found")
	must(a.RevokeSession(ctx, all[0].ID))(t)
	_, err = c.User(ctx)
	refused(t, err, 401, "session_ended")
	must(b.Logout(ctx, false))(t)
	_, err = b.User(ctx)
	refused(t, err, 401, "session_ended")
	b, c = w.signedIn("192.0.2.1", ada, good), w.signedIn("192.0.2.2", ada, good)
	must(b.Logout(ctx, true))(t)
	for _, client := range []*api.Client{a, b, c} {
		_, err = client.User(ctx)
		refused(t, err, 401, "session_ended")
	}
	must(eve.User(ctx))(t)
	// Unused for 30 days a session ends; used, it lives 90 days, and not longer.
	idle, used := w.signedIn("192.0.2.1", ada, good), w.signedIn("192.0.2.1", ada, good)
	for range 4 {
		w.advance("1728000") // 20 days
		must(used.User(ctx))(t)
	}
	_, err = idle.User(ctx)
	refused(t, err, 401, "session_ended")
	w.advance("864000")
	_, err = used.User(ctx)
	refused(t, err, 401, "session_ended")
}

// # A command line is signed in by a code that is confirmed elsewhere.
func TestDeviceFlow(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	w.citizen(ada)
	line := w.from("203.0.113.5", "")
	begin := func() api.DeviceCode { return must(line.BeginDevice(ctx))(t) }
	d := begin()
	_, err := line.DeviceToken(ctx, d.DeviceCode)
	refused(t, err, 409, "authorization_pending")
	me := w.signedIn("192.0.2.1", ada, good)
	_, err = me.DecideDevice(ctx, api.DeviceDecision{UserCode: "BBBB-BBBB"})
	refused(t, err, 422, "invalid_user_code")
	if got := must(me.DecideDevice(ctx, api.DeviceDecision{UserCode: strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " "))}))(t); got.Address != "203.0.113.5" {
		t.Errorf("%+v", got)
	}
	in := must(line.DeviceToken(ctx, d.DeviceCode))(t)
	line.Token = in.Token
	if u := must(line.User(ctx))(t); u.Email != ada {
		t.Errorf("%+v", u)
	}
	line.Token = ""
	_, err = line.DeviceToken(ctx, d.DeviceCode)
	refused(t, err, 409, "expired_device_code")
	_, err = me.DecideDevice(ctx, api.DeviceDecision{UserCode: d.UserCode})
	refused(t, err, 422, "invalid_user_code")
	d = begin()
	must(me.DecideDevice(ctx, api.DeviceDecision{UserCode: d.UserCode, Refuse: true}))(t)
	_, err = line.DeviceToken(ctx, d.DeviceCode)
	refused(t, err, 403, "access_denied")
	d = begin()
	w.advance("600")
	_, err = me.DecideDevice(ctx, api.DeviceDecision{UserCode: d.UserCode})
	refused(t, err, 422, "invalid_user_code")
	_, err = line.DeviceToken(ctx, d.DeviceCode)
	refused(t, err, 409, "expired_device_code")
	// The same on the pages, without a script.
	d = begin()
	b := w.browser("192.0.2.1")
	u, err := url.Parse(d.VerificationURL)
	if err != nil {
		t.Fatal(err)
	}
	to := b.do(u.RequestURI(), nil).header.Get("Location")
	if next := b.login(ada, good, u.RequestURI()).header.Get("Location"); to == "" || next != u.RequestURI() {
		t.Errorf("led to %q and %q", to, next)
	}
	page := b.do(u.RequestURI(), nil)
	if !strings.Contains(string(page.body), d.UserCode) || page.header.Get("Referrer-Policy") != "same-origin" {
		t.Errorf("%v %s", page.header, page.body)
	}
	_, err = line.DeviceToken(ctx, d.DeviceCode)
	refused(t, err, 409, "authorization_pending") // looking confirms nothing
	b.do("/device", url.Values{"code": {d.UserCode}})
	if done := b.do("/device", url.Values{"code": {d.UserCode}, "decision": {"approve"}}); done.status != 200 || !strings.Contains(string(done.body), "is signed in as "+ada) {
		t.Errorf("%d %s", done.status, done.body)
	}
	must(line.DeviceToken(ctx, d.DeviceCode))(t)
	b.do("/logout", url.Values{})
	if answer := b.do("/device", nil); answer.status != 303 {
		t.Errorf("after signing out: %d", answer.status)
	}
	w.verified()
}

// # Who had a link sent too often can still ask for another kind of it, and is told when
// to ask for the first again.
func TestMailsOfEachKindAreCountedByThemselves(t *testing.T) {
	w := newTown(t)
	ctx, ada := t.Context(), "ada@example.org"
	c := w.from("192.0.2.1", "")
	must(c.SignUp(ctx, api.SignUp{Email: ada, Password: good}))(t)
	limited := func(do func() error) (sent int) {
		t.Helper()
		for range 30 {
			err := do()
			if err != nil {
				if refused(t, err, 429, "too_many_attempts").Values["retry_after_seconds"] == nil {
					t.Errorf("%v does not say when again", err)
				}
				return sent
			}
			sent++
		}
		t.Error("mails are not limited")
		return sent
	}
	for name, do := range map[string]func() error{
		"resend":  func() error { _, err := c.ResendVerification(ctx, ada); return err },
		"reset":   func() error { _, err := c.AskPasswordReset(ctx, ada); return err },
		"sign-up": func() error { _, err := c.SignUp(ctx, api.SignUp{Email: ada, Password: good}); return err },
	} {
		if sent := limited(do); sent < 4 || sent > 5 {
			t.Errorf("%s: %d were sent", name, sent)
		}
	}
	// Nor does one address have mails sent to many.
	n := 0
	sent := limited(func() error {
		n++
		_, err := c.SignUp(ctx, api.SignUp{Email: fmt.Sprintf("p%d@example.org", n), Password: good})
		return err
	})
	if sent > 20 {
		t.Errorf("%d sign-ups of one address", sent)
	}
	must(c.AskPasswordReset(ctx, "bob@example.org"))(t)
}

// # Who tries too often to change a password is refused before anything is hashed.
func TestALimitedPasswordChangeCostsNoHashing(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	c := w.signedIn("192.0.2.1", "ada@example.org", good)
	change := func() error {
		_, err := c.ChangePassword(t.Context(), api.PasswordChange{Password: other, NewPassword: "marble onion telescope drift"})
		return err
	}
	began := time.Now()
	for range 5 {
		refused(t, change(), 401, "wrong_credentials")
	}
	each := time.Since(began) / 5 // two are hashed
	began = time.Now()
	for range 20 {
		refused(t, change(), 429, "too_many_attempts")
	}
	t.Logf("a change takes %s, a refusal %s", each, time.Since(began)/20)
	if took := time.Since(began) / 20; took > each/3 {
		t.Errorf("a change takes %s and a refusal %s: something was hashed for it", each, took)
	}
}
