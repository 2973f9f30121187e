package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/webhook"
)

// Silent hours are those of the clock on the wall of their zone: over midnight, and where
// it is put forward and back.
func TestWhenSilentHoursEnd(t *testing.T) {
	night := func(zone string) Settings { return Settings{SilentFrom: 22 * 60, SilentUntil: 7 * 60, Zone: zone} }
	for _, c := range []struct {
		name     string
		settings Settings
		at, ends string // "" for an instant in none
	}{
		{"before", night(""), "2027-01-13T21:59:59.999999999Z", ""},
		{"at the first instant", night(""), "2027-01-13T22:00:00Z", "2027-01-14T07:00:00Z"},
		{"before midnight", night(""), "2027-01-13T23:30:00Z", "2027-01-14T07:00:00Z"},
		{"after midnight", night(""), "2027-01-14T00:00:00Z", "2027-01-14T07:00:00Z"},
		{"at the last instant", night(""), "2027-01-14T06:59:59.999999999Z", "2027-01-14T07:00:00Z"},
		{"after", night(""), "2027-01-14T07:00:00Z", ""},
		{"by day", Settings{SilentFrom: 9 * 60, SilentUntil: 17*60 + 30}, "2027-01-14T17:29:00Z", "2027-01-14T17:30:00Z"},
		{"not by day", Settings{SilentFrom: 9 * 60, SilentUntil: 17*60 + 30}, "2027-01-14T17:30:00Z", ""},
		{"none", Settings{SilentFrom: 9 * 60, SilentUntil: 9 * 60}, "2027-01-14T09:00:00Z", ""},
		{"all but a minute", Settings{SilentFrom: 1, SilentUntil: 0}, "2027-01-14T00:01:00Z", "2027-01-15T00:00:00Z"},
		{"at the end of a year", night(""), "2027-12-31T22:00:00Z", "2028-01-01T07:00:00Z"},
		{"in Athens in winter", night("Europe/Athens"), "2027-01-13T20:00:00Z", "2027-01-14T05:00:00Z"},
		{"in Athens in summer", night("Europe/Athens"), "2027-07-13T19:00:00Z", "2027-07-14T04:00:00Z"},
		{"not yet in Athens in winter", night("Europe/Athens"), "2027-01-13T19:59:00Z", ""},
		{"in Kathmandu", night("Asia/Kathmandu"), "2027-01-13T16:15:00Z", "2027-01-14T01:15:00Z"},
		{"beyond the date line", night("Pacific/Auckland"), "2027-01-13T09:00:00Z", "2027-01-13T18:00:00Z"},
		{"the night that is an hour shorter", night("Europe/Berlin"), "2027-03-27T21:00:00Z", "2027-03-28T05:00:00Z"},
		{"the night that is an hour longer", night("Europe/Berlin"), "2027-10-30T20:00:00Z", "2027-10-31T06:00:00Z"},
		{"in the hour that comes twice, the first time", night("Europe/Berlin"), "2027-10-31T00:30:00Z", "2027-10-31T06:00:00Z"},
		{"and the second time", night("Europe/Berlin"), "2027-10-31T01:30:00Z", "2027-10-31T06:00:00Z"},
		{"after the shorter night", night("Europe/Berlin"), "2027-03-28T05:00:00Z", ""},
	} {
		at, err := time.Parse(time.RFC3339Nano, c.at)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if ends := c.settings.silence(at.UnixNano()); ends != 0 {
			got = time.Unix(0, ends).UTC().Format(time.RFC3339Nano)
		}
		if got != c.ends {
			t.Errorf("%s: %s ends at %q, not %q", c.name, c.at, got, c.ends)
		}
	}
	for _, zone := range []string{"Europe/Berlin", "Australia/Lord_Howe"} {
		s := Settings{SilentFrom: 2*60 + 30, SilentUntil: 3*60 + 15, Zone: zone}
		silent := int64(0)
		from := time.Date(2027, 3, 20, 0, 0, 0, 0, time.UTC).UnixNano() // both change the clock in the weeks from here
		for at := from; at < from+30*24*int64(time.Hour); at += int64(15 * time.Minute) {
			switch ends := s.silence(at); {
			case ends == 0:
			case ends <= at || ends > at+3*int64(time.Hour):
				t.Fatalf("%s: at %d they end at %d", zone, at, ends)
			default:
				silent += 15
			}
		}
		if silent < 29*45 || silent > 31*45 {
			t.Errorf("%s: %d minutes of a month are silent", zone, silent)
		}
	}
}

// Settings that cannot be are refused, each by its field.
func TestSettingsAreChecked(t *testing.T) {
	s := newStage(t)
	id := s.organization("acme")
	wrong := Settings{Muted: []string{"noise"}, Roles: []org.Role{"king"}, Addresses: []string{"nobody"}, SilentFrom: 24 * 60, SilentUntil: -1}
	for zone, fields := range map[string]int{"": 5, "Local": 6, "Mars/Olympus": 6, "../etc/passwd": 6, strings.Repeat("x", 100): 6} {
		wrong.Zone = zone
		err := s.DB.Update(t.Context(), func(tx *db.Tx) error { _, err := s.Set(tx, id.Organization, wrong); return err })
		if f := fault.Of(err); f == nil || len(f.Fields) != fields {
			t.Errorf("%q: %v", zone, err)
		}
	}
	good := Settings{Muted: []string{"runway"}, Roles: []org.Role{org.Finance}, Addresses: []string{"a@b.example"}, SilentFrom: 1, SilentUntil: 2, Zone: "Europe/Athens"}
	s.settings(id, good)
	s.update(func(tx *db.Tx) error {
		got, err := s.Settings(tx, id.Organization)
		if fmt.Sprint(got) != fmt.Sprint(good) {
			t.Errorf("%+v", got)
		}
		return err
	})
}

// What happens in silent hours is told when they end, by the clock of their zone, and also
// by a server that was not there meanwhile.
func TestTheMorning(t *testing.T) {
	s := newStage(t)
	id := s.crossing("acme")
	s.listens(id, s.chat, webhook.Text)
	s.settings(id, Settings{SilentFrom: 18 * 60, SilentUntil: 8 * 60, Zone: "Europe/Athens", Addresses: []string{"oncall@acme.example"}})
	s.pass(7 * time.Hour) // 19:00, in Athens 21:00
	equal(t, "at night", s.post.subjects(""), nil)
	s.close()
	s.open()
	s.pass(11*time.Hour - 1)
	equal(t, "before they end", s.post.subjects(""), nil)
	s.chat.take()
	s.pass(1)
	for _, to := range []string{"owner@acme.example", "oncall@acme.example"} {
		l := s.post.take(to)
		if len(l) != 1 || l[0].subject != "acme: 1 alert of your silent hours" ||
			!strings.HasPrefix(l[0].text, "13 January 2027, 17:00 UTC acme: 80 credits are left; you asked to be told at 80.\n") {
			t.Errorf("%s is told %+v", to, l)
		}
	}
	equal(t, "the chat", s.chat.texts(t), []string{"13 January 2027, 17:00 UTC acme: 80 credits are left; you asked to be told at 80."})
}

// A kind that is muted while it waits is not told when silent hours end; the others are.
func TestMutedMeanwhile(t *testing.T) {
	s := newStage(t)
	id := s.crossing("acme")
	s.listens(id, s.chat, webhook.Text)
	night := Settings{SilentFrom: 0, SilentUntil: 23 * 60}
	s.settings(id, night)
	s.cross()
	s.tell()
	s.update(func(tx *db.Tx) error {
		return s.Raise(tx, id.Organization, "", "payment.failed", map[string]string{"payment": "pay_1"})
	})
	night.Muted = []string{"amount"}
	s.settings(id, night)
	s.pass(5 * time.Hour)
	equal(t, "people", s.post.subjects(""), nil)
	equal(t, "the chat", s.chat.texts(t), []string{"13 January 2027, 18:00 UTC acme: payment.failed: payment pay_1"})
	if n := s.number(`SELECT COUNT(*) FROM held_alerts`); n != 0 {
		t.Errorf("%d alerts still wait", n)
	}
}

// The silent hours of an organization that cannot be told hold up neither those of others
// nor what happens meanwhile, and are told once they can be.
func TestSilentHoursThatCannotBeTold(t *testing.T) {
	s := newStage(t)
	for _, slug := range []string{"aaa", "bbb"} {
		s.settings(s.crossing(slug), Settings{SilentFrom: 0, SilentUntil: 23 * 60})
	}
	s.cross()
	s.tell()
	s.put = func(m mail.Message) error {
		if m.To == "owner@aaa.example" {
			return errors.New("no room")
		}
		return nil
	}
	s.pass(5 * time.Hour)
	equal(t, "the other", s.post.subjects(""), []string{"bbb: 1 alert of your silent hours"})
	if !strings.Contains(s.log.String(), "no room") {
		t.Error("the log says nothing")
	}
	id := s.crossing("ccc")
	s.pass(time.Minute)
	s.cross()
	s.tell()
	if got := s.post.subjects("owner@ccc.example"); !slices.Equal(got, []string{"ccc" + lowSubject}) {
		t.Errorf("%s is told %q", id, got)
	}
	s.put = nil
	s.pass(10 * time.Minute)
	equal(t, "it", s.post.subjects("owner@aaa.example"), []string{"aaa: 1 alert of your silent hours"})
}

// A night with more alerts, and longer ones, than a message takes is told in part, and how
// many there were besides.
func TestALongNight(t *testing.T) {
	s := newStage(t)
	id := s.organization("acme")
	s.listens(id, s.chat, webhook.Text)
	s.settings(id, Settings{SilentFrom: 0, SilentUntil: 23 * 60})
	long := strings.Repeat("ż", 2_000)
	s.update(func(tx *db.Tx) error {
		for i := range 90 {
			if err := s.Raise(tx, id.Organization, "", "payment.failed", map[string]string{"payment": fmt.Sprintf("pay_%03d %s", i, long)}); err != nil {
				return err
			}
		}
		return nil
	})
	s.pass(11 * time.Hour)
	got := s.chat.texts(t)
	if len(got) != 1 || strings.Count(got[0], "\n") != 40 || !strings.HasSuffix(got[0], "\nand 50 more") || len(got[0]) > 50_000 ||
		!strings.Contains(got[0], "pay_039") || strings.Contains(got[0], "pay_040") || s.log.Len() > 0 {
		t.Errorf("the chat is told %d messages, %.300s… %s", len(got), got, s.log.String())
	}
}

// What is urgent is told at night as well.
func TestUrgent(t *testing.T) {
	s := newStage(t)
	id := s.organization("acme")
	s.grant(id, 10*credit.One, 0)
	s.policy(id, org.Patch{})
	s.settings(id, Settings{SilentFrom: 0, SilentUntil: 23 * 60})
	s.burn(id, "flow_1", 5, "")
	s.pass(3 * time.Hour)
	equal(t, "at once", s.post.subjects(""), []string{"acme: running work is about to be stopped", "acme: no credits are left"})
}
