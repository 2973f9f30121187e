package account

import (
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

const (
	period        = 30 // seconds of a code
	skew          = 1  // steps by which a clock may be off
	recoveryCodes = 10
)

// Authenticator is what an authenticator app is set up with. It is shown once.
type Authenticator struct {
	Secret string
	URL    string // otpauth, for a QR code
}

// second factor of a person, as kept.
type factor struct {
	secret      string
	step        int64
	confirmedAt int64
}

func factorOf(tx *db.Tx, user string) (f factor, found bool, err error) {
	err = tx.QueryRow(`SELECT secret, step, confirmed_at FROM authenticators WHERE user_id = $1`+tx.ForUpdate(), user).
		Scan(&f.secret, &f.step, &f.confirmedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return f, false, nil
	}
	if err != nil {
		return f, false, fmt.Errorf("find the second factor: %w", err)
	}
	return f, true, nil
}

// HasTwoFactor reports whether a person signs in with a second factor, and how many
// recovery codes are left.
func (a *Accounts) HasTwoFactor(tx *db.Tx, user string) (has bool, codes int, err error) {
	f, found, err := factorOf(tx, user)
	if err == nil {
		err = tx.QueryRow(`SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1`, user).Scan(&codes)
	}
	return found && f.confirmedAt != 0, codes, err
}

// BeginTwoFactor makes the secret of an authenticator. It counts for nothing until
// a code of it was confirmed.
func (a *Accounts) BeginTwoFactor(tx *db.Tx, user string) (Authenticator, error) {
	u, err := a.User(tx, user)
	if err != nil {
		return Authenticator{}, err
	}
	f, found, err := factorOf(tx, user)
	if err != nil {
		return Authenticator{}, err
	}
	if found && f.confirmedAt != 0 {
		return Authenticator{}, fault.New(fault.Conflict, "there is a second factor already: switch it off first").WithCode("two_factor_on")
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Purser", AccountName: u.Email, Period: period})
	if err != nil {
		return Authenticator{}, fmt.Errorf("make an authenticator: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO authenticators (user_id, secret, step, confirmed_at) VALUES ($1, $2, 0, 0)
		ON CONFLICT (user_id) DO UPDATE SET secret = $2, step = 0, confirmed_at = 0`, user, key.Secret())
	if err != nil {
		return Authenticator{}, fmt.Errorf("keep an authenticator: %w", err)
	}
	return Authenticator{key.Secret(), key.URL()}, nil
}

// ConfirmTwoFactor switches the second factor on with a first code, ends all other
// sessions, and returns the recovery codes, which are shown once.
func (a *Accounts) ConfirmTwoFactor(tx *db.Tx, user, code, session string) ([]string, error) {
	f, found, err := factorOf(tx, user)
	if err != nil {
		return nil, err
	}
	if !found || f.confirmedAt != 0 {
		return nil, fault.New(fault.Conflict, "there is no second factor to confirm: begin with a new secret").WithCode("two_factor_not_begun")
	}
	if err := takeCode(tx, user, f, code); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(`UPDATE authenticators SET confirmed_at = $2 WHERE user_id = $1`, user, tx.Now()); err != nil {
		return nil, fmt.Errorf("switch the second factor on: %w", err)
	}
	if err := a.RevokeAll(tx, user, session); err != nil {
		return nil, err
	}
	if err := a.tell(tx, user, "Two-factor sign-in was switched on", "From now on your account asks for a code of your authenticator app."); err != nil {
		return nil, err
	}
	return a.RenewRecoveryCodes(tx, user)
}

// RenewRecoveryCodes replaces the recovery codes.
func (a *Accounts) RenewRecoveryCodes(tx *db.Tx, user string) ([]string, error) {
	if has, _, err := a.HasTwoFactor(tx, user); err != nil {
		return nil, err
	} else if !has {
		return nil, fault.New(fault.Conflict, "there is no second factor: switch it on first").WithCode("two_factor_off")
	}
	if _, err := tx.Exec(`DELETE FROM recovery_codes WHERE user_id = $1`, user); err != nil {
		return nil, fmt.Errorf("forget recovery codes: %w", err)
	}
	codes := make([]string, recoveryCodes)
	for i := range codes {
		text := strings.ToLower(rand.Text())
		codes[i] = text[:5] + "-" + text[5:10] + "-" + text[10:15]
		if _, err := tx.Exec(`INSERT INTO recovery_codes (user_id, digest) VALUES ($1, $2)`, user, recoveryDigest(codes[i])); err != nil {
			return nil, fmt.Errorf("keep a recovery code: %w", err)
		}
	}
	return codes, nil
}

// EndTwoFactor switches the second factor off for a person who said the password and
// a code.
func (a *Accounts) EndTwoFactor(tx *db.Tx, user string) error {
	for _, query := range []string{`DELETE FROM authenticators WHERE user_id = $1`, `DELETE FROM recovery_codes WHERE user_id = $1`} {
		if _, err := tx.Exec(query, user); err != nil {
			return fmt.Errorf("switch the second factor off: %w", err)
		}
	}
	return a.tell(tx, user, "Two-factor sign-in was switched off", "Your account asks for the password alone. If it was not you, choose a new password now.")
}

func (a *Accounts) tell(tx *db.Tx, user, subject, text string) error {
	u, err := a.User(tx, user)
	if err != nil {
		return err
	}
	return a.notice(tx, u, subject, text, a.config.URL+"/login")
}

// checkSecond takes a code of the second factor, if the person has one.
func (a *Accounts) checkSecond(tx *db.Tx, user, code string) error {
	f, found, err := factorOf(tx, user)
	if err != nil || !found || f.confirmedAt == 0 {
		return err
	}
	code = strings.TrimSpace(code)
	if code == "" {
		return fault.New(fault.Unauthorized, "this account has a second factor: send a code of the authenticator app, or a recovery code").
			WithCode("two_factor_needed")
	}
	if len(code) <= 7 { // six digits, perhaps with a space
		return takeCode(tx, user, f, code)
	}
	taken, err := tx.Exec(`DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2`, user, recoveryDigest(code))
	if err != nil {
		return fmt.Errorf("use a recovery code: %w", err)
	}
	if taken == 0 {
		return wrongCode()
	}
	return a.tell(tx, user, "A recovery code was used", "Somebody signed in to your account with a recovery code. It cannot be used again.")
}

// takeCode takes a code of the authenticator, and none of its step or an earlier one
// afterwards.
func takeCode(tx *db.Tx, user string, f factor, code string) error {
	code = strings.ReplaceAll(code, " ", "")
	present := tx.Now() / db.Second / period
	for step := present - skew; step <= present+skew; step++ {
		right, err := totp.GenerateCodeCustom(f.secret, time.Unix(step*period, 0), totp.ValidateOpts{Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return fmt.Errorf("compute a code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(right), []byte(code)) == 0 || step <= f.step {
			continue
		}
		if _, err := tx.Exec(`UPDATE authenticators SET step = $2 WHERE user_id = $1`, user, step); err != nil {
			return fmt.Errorf("note a code: %w", err)
		}
		return nil
	}
	return wrongCode()
}

func wrongCode() error {
	return fault.New(fault.Unauthorized, "the code is wrong, or was used before: wait for the next one").WithCode("wrong_code")
}

func recoveryDigest(code string) string {
	return digest("recovery " + strings.ReplaceAll(strings.ToLower(strings.TrimSpace(code)), "-", ""))
}
