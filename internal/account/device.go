package account

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// DeviceLife is for how long a command line waits to be signed in, in nanoseconds.
const DeviceLife = 10 * db.Minute

const refusedDevice = "-"

// letters of a code that a person types: no vowels, so that it is no word, and none
// that look alike. Eight of them are 2^34 codes, of which a person may try few.
const letters = "BCDFGHJKLMNPQRSTVWXZ"

// Device is a command line that waits to be signed in.
type Device struct {
	UserCode  string // shown to the person: ABCD-EFGH
	Agent     string
	Address   string
	ExpiresAt int64
}

// BeginDevice makes the two codes of a command line: the one that a person confirms,
// and the secret one with which it asks what became of it.
func (a *Accounts) BeginDevice(tx *db.Tx, v Visitor) (secret string, d Device, err error) {
	if _, err := tx.Exec(`DELETE FROM device_codes WHERE expires_at < $1`, tx.Now()); err != nil {
		return "", d, fmt.Errorf("forget device codes: %w", err)
	}
	secret, d = newSecret("pdc_"), Device{UserCode: newUserCode(), Agent: v.agent(), Address: v.Address, ExpiresAt: tx.Now() + DeviceLife}
	_, err = tx.Exec(`INSERT INTO device_codes (digest, user_code, user_id, agent, address, expires_at) VALUES ($1, $2, '', $3, $4, $5)`,
		digest(secret), d.UserCode, d.Agent, d.Address, d.ExpiresAt)
	if err != nil {
		return "", d, fmt.Errorf("keep a device code: %w", err)
	}
	return secret, d, nil
}

func newUserCode() string {
	var code []byte
	for len(code) < 8 {
		var b [1]byte
		rand.Read(b[:])                          // never fails
		if n := int(b[0]); n < 12*len(letters) { // every letter as likely as another
			code = append(code, letters[n%len(letters)])
		}
	}
	return string(code[:4]) + "-" + string(code[4:])
}

// userCode is a code in the form in which it is kept, however it was typed.
func userCode(typed string) string {
	var code []rune
	for _, r := range strings.ToUpper(typed) {
		if strings.ContainsRune(letters, r) {
			code = append(code, r)
		}
	}
	if len(code) != 8 {
		return ""
	}
	return string(code[:4]) + "-" + string(code[4:])
}

// Device finds the command line that waits with a code, for a person who may confirm
// it. Trying codes is slowed like trying passwords: see [Accounts.Limit].
func (a *Accounts) Device(tx *db.Tx, typed string) (Device, error) {
	var d Device
	var user string
	err := tx.QueryRow(`SELECT user_code, user_id, agent, address, expires_at FROM device_codes WHERE user_code = $1`+tx.ForUpdate(), userCode(typed)).
		Scan(&d.UserCode, &user, &d.Agent, &d.Address, &d.ExpiresAt)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (tx.Now() >= d.ExpiresAt || user != "") {
		return Device{}, fault.At("/user_code", "is the code of no command line that waits: compare it, or begin again there").WithCode("invalid_user_code")
	}
	if err != nil {
		return Device{}, fmt.Errorf("find a device code: %w", err)
	}
	return d, nil
}

// Decide signs a command line in as a person, or refuses it.
func (a *Accounts) Decide(tx *db.Tx, me Session, typed string, isApproved bool) (Device, error) {
	d, err := a.Device(tx, typed)
	if err != nil {
		return Device{}, err
	}
	user := me.User
	if !isApproved {
		user = refusedDevice
	}
	if _, err := tx.Exec(`UPDATE device_codes SET user_id = $2, sso = $3 WHERE user_code = $1`, d.UserCode, user, me.SSO); err != nil {
		return Device{}, fmt.Errorf("decide about a device code: %w", err)
	}
	return d, nil
}

// Poll is what became of a command line: a fault that says to wait, or that it was
// refused, or nothing once a person has confirmed it.
func (a *Accounts) Poll(tx *db.Tx, secret string) error {
	_, _, err := a.decided(tx, secret)
	return err
}

func (a *Accounts) decided(tx *db.Tx, secret string) (user, sso string, err error) {
	var expires int64
	err = tx.QueryRow(`SELECT user_id, sso, expires_at FROM device_codes WHERE digest = $1`+tx.ForUpdate(), digest(secret)).Scan(&user, &sso, &expires)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && tx.Now() >= expires:
		return "", "", fault.New(fault.Conflict, "the code has expired or was used: begin again").WithCode("expired_device_code")
	case err != nil:
		return "", "", fmt.Errorf("find a device code: %w", err)
	case user == "":
		return "", "", fault.New(fault.Conflict, "nobody has confirmed the code yet: ask again in a moment").WithCode("authorization_pending")
	case user == refusedDevice:
		return "", "", fault.New(fault.Forbidden, "the code was refused").WithCode("access_denied")
	}
	return user, sso, nil
}

// EnterDevice begins the session of a command line that was confirmed, once.
func (a *Accounts) EnterDevice(tx *db.Tx, secret string, v Visitor) (token string, s Session, err error) {
	user, sso, err := a.decided(tx, secret)
	if err != nil {
		return "", s, err
	}
	if _, err := tx.Exec(`DELETE FROM device_codes WHERE digest = $1`, digest(secret)); err != nil {
		return "", s, fmt.Errorf("use up a device code: %w", err)
	}
	return a.EnterBy(tx, user, Bearer, v, sso)
}
