package notify

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the machine may know no time zones

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// Kinds are the kinds of alerts that can be muted.
var Kinds = []string{"amount", "budget", "empty", "expiry", "landing", "payment", "percent", "runway"}

// The limits of settings.
const (
	maxAddresses = 10
	maxZone      = 60
	minutesOfDay = 24 * 60
	testEvery    = int64(time.Minute) // so that a test is no way to fill somebody's mailbox
)

// Settings are whom an organization wants told of alerts, and when not.
type Settings struct {
	Muted       []string   // kinds that nobody is told of
	Roles       []org.Role // who is told; none for those whom it concerns by what they may do
	Addresses   []string   // who is told besides
	SilentFrom  int        // minutes of the day; the same twice for no silent hours
	SilentUntil int
	Zone        string // the IANA name of the time zone of these; "" is UTC
}

// Settings are those of an organization; one that has set nothing has all of it by default.
func (n *Notifier) Settings(tx *db.Tx, organization string) (s Settings, err error) {
	var muted, roles, addresses string
	err = tx.QueryRow(`SELECT muted, roles, addresses, silent_from, silent_until, zone FROM alert_settings WHERE organization = $1`, organization).
		Scan(&muted, &roles, &addresses, &s.SilentFrom, &s.SilentUntil, &s.Zone)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("read the alert settings of %s: %w", organization, err)
	}
	s.Muted, s.Addresses = strings.Fields(muted), strings.Fields(addresses)
	for _, r := range strings.Fields(roles) {
		s.Roles = append(s.Roles, org.Role(r))
	}
	return s, nil
}

// Set sets the settings of an organization. What waits for the end of silent hours waits
// for that of the new ones, if these are now.
func (n *Notifier) Set(tx *db.Tx, organization string, s Settings) (Settings, error) {
	if err := s.check(); err != nil {
		return s, err
	}
	roles := make([]string, len(s.Roles))
	for i, r := range s.Roles {
		roles[i] = string(r)
	}
	_, err := tx.Exec(`INSERT INTO alert_settings (organization, muted, roles, addresses, silent_from, silent_until, zone, tested_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (organization) DO UPDATE SET muted = excluded.muted, roles = excluded.roles,
		addresses = excluded.addresses, silent_from = excluded.silent_from, silent_until = excluded.silent_until, zone = excluded.zone`,
		organization, strings.Join(s.Muted, " "), strings.Join(roles, " "), strings.Join(s.Addresses, " "), s.SilentFrom, s.SilentUntil, s.Zone)
	if err != nil {
		return s, fmt.Errorf("write the alert settings of %s: %w", organization, err)
	}
	due := tx.Now()
	if until := s.silence(due); until != 0 {
		due = until
	}
	_, err = tx.Exec(`UPDATE held_alerts SET due_at = $2 WHERE organization = $1 AND due_at BETWEEN 0 AND $3`, organization, due, int64(math.MaxInt64))
	return s, err
}

// check refuses what is wrong with settings, and brings the rest into its form.
func (s *Settings) check() error {
	var wrong fault.Fields
	for i, kind := range s.Muted {
		if !slices.Contains(Kinds, kind) {
			wrong.Add(fmt.Sprintf("/muted/%d", i), "is no kind of alert: the kinds are "+strings.Join(Kinds, ", "))
		}
	}
	for i, r := range s.Roles {
		if !slices.Contains(org.Roles, r) {
			wrong.Add(fmt.Sprintf("/roles/%d", i), "is no role")
		}
	}
	if len(s.Addresses) > maxAddresses {
		wrong.Add("/addresses", fmt.Sprintf("has more than %d entries", maxAddresses))
	}
	for i, text := range s.Addresses {
		address, err := mail.Address("", text)
		if err != nil {
			wrong.Add(fmt.Sprintf("/addresses/%d", i), "is no mail address")
			continue
		}
		s.Addresses[i] = address
	}
	for pointer, minute := range map[string]int{"/silent_from": s.SilentFrom, "/silent_until": s.SilentUntil} {
		if minute < 0 || minute >= minutesOfDay {
			wrong.Add(pointer, "is no time of the day")
		}
	}
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "Local" || len(s.Zone) > maxZone {
		wrong.Add("/silent_zone", "must be the IANA name of a time zone, as Europe/Athens")
	}
	return wrong.Err()
}

// silence is when the silent hours end in which an instant lies; 0 if it lies in none.
// They are those of the clock on the wall: where the clock is put forward or back in one
// of them, they are shorter or longer by as much.
func (s *Settings) silence(at int64) int64 {
	if s.SilentFrom == s.SilentUntil {
		return 0
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		zone = time.UTC // it was one when it was set
	}
	year, month, day := time.Unix(0, at).In(zone).Date()
	for _, begun := range []int{day - 1, day} {
		ends := begun
		if s.SilentUntil < s.SilentFrom {
			ends++
		}
		from := time.Date(year, month, begun, 0, s.SilentFrom, 0, 0, zone).UnixNano()
		until := time.Date(year, month, ends, 0, s.SilentUntil, 0, 0, zone).UnixNano()
		if from <= at && at < until {
			return until
		}
	}
	return 0
}
