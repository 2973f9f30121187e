package account

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/mail"
)

// An organization that asks for a second factor lets a person without one set it up,
// and do nothing else.
func TestAnOrganizationMayRequireASecondFactor(t *testing.T) {
	d, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: db.NewTestClock(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	required := map[string]bool{}
	a := New(Config{
		Put:      func(*db.Tx, mail.Message) error { return nil },
		Required: func(_ *db.Tx, user, _ string) (bool, error) { return required[user], nil },
	})
	var token, user string
	must := func(fn func(*db.Tx) error) {
		t.Helper()
		if err := d.Update(context.Background(), fn); err != nil {
			t.Fatal(err)
		}
	}
	need := func() (need Need) {
		t.Helper()
		must(func(tx *db.Tx) (err error) {
			_, need, err = a.Find(tx, token)
			return err
		})
		return need
	}
	must(func(tx *db.Tx) error {
		if err := a.SignUp(tx, Application{Email: "ada@example.org"}, "hash"); err != nil {
			return err
		}
		u, _, err := a.byEmail(tx, "ada@example.org")
		if err != nil {
			return err
		}
		user = u.ID
		token, _, err = a.Enter(tx, user, Bearer, Visitor{})
		return err
	})
	if got := need(); got != NeedsVerification {
		t.Errorf("unverified: %q", got)
	}
	must(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE users SET verified_at = 1`)
		return err
	})
	if got := need(); got != NeedsNothing {
		t.Errorf("verified: %q", got)
	}
	required[user] = true
	if got := need(); got != NeedsTwoFactor {
		t.Errorf("required: %q", got)
	}
	must(func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO authenticators (user_id, secret, step, confirmed_at) VALUES ($1, 'x', 0, 1)`, user)
		return err
	})
	if got := need(); got != NeedsNothing {
		t.Errorf("with a second factor: %q", got)
	}
}

func TestDelaysGrow(t *testing.T) {
	for failures, seconds := range map[int64]int64{0: 0, 4: 0, 5: 1, 6: 2, 10: 32, 14: 512, 15: 900, 1 << 40: 900} {
		if got := perPair.delay(failures); got != seconds*db.Second {
			t.Errorf("after %d failures %d s, want %d", failures, got/db.Second, seconds)
		}
	}
}

func TestPasswords(t *testing.T) {
	for _, good := range []string{"orbit walnut cannot sleep", "T7#kq!vB2z", "zażółć gęślą jaźń", strings.Repeat("wander oyster ", 18)} {
		if err := CheckPassword("/password", good, "ada@example.org", "Ada Lovelace"); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, weak := range []string{"", "ninechars", "Password1!", "letmein2026", "adalovelace", "ada@example.org", "abcdefghijkl", "asdfghjkl;", "1111111111", "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5"} {
		if err := CheckPassword("/password", weak, "ada@example.org", "Ada Lovelace"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", weak, err)
		}
	}
}

func TestUserCodesAreReadHoweverTheyAreTyped(t *testing.T) {
	for range 100 {
		code := newUserCode()
		if len(code) != 9 || userCode(code) != code || userCode(" "+strings.ToLower(strings.Replace(code, "-", "", 1))) != code {
			t.Fatalf("%q is read as %q", code, userCode(code))
		}
	}
	if userCode("BCDF") != "" || userCode("BCDF-GHJK-L") != "" || userCode("") != "" {
		t.Error("what is no code is read as one")
	}
}
