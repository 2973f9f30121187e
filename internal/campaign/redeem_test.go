package campaign_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/campaign"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// # A code becomes a lot on the terms of its campaign, once.
func TestACodeBecomesALot(t *testing.T) {
	s := open(t)
	acme := s.organizations(1)[0]
	scope := wallet.Scope{SKUs: []string{"gpu.*"}, Tiers: []string{"spot"}}
	s.campaign("spring", campaign.Campaign{Amount: 40 * credit.One, Scope: scope, ExpiresDays: 30})
	code := s.codes("spring", 1)[0]
	r, err := s.redeem(acme, strings.ToLower(code), "")
	if err != nil || r.Amount != 40*credit.One || r.ExpiresAt != noon+30*day || r.Name != "The spring" {
		t.Fatalf("%+v %v", r, err)
	}
	s.update(func(tx *db.Tx) error {
		now, err := s.books.Apply(tx, acme)
		if err != nil {
			return err
		}
		l := now.Wallet.Lot(r.Lot)
		if l.Kind != wallet.Promotional || l.Priority != 10 || l.Source != "code" || l.Reason != "The spring" || l.ExpiresAt != r.ExpiresAt ||
			fmt.Sprint(l.Scope) != fmt.Sprint(scope) || l.Remaining != 40*credit.One {
			t.Errorf("%+v", l)
		}
		return nil
	})
	again := fault.Of(s.refused(acme, code, "", "code_redeemed"))
	if again.Values["redemption"] != r.ID || again.Values["lot"] != r.Lot {
		t.Errorf("%+v", again)
	}
	s.sums(1, 40*credit.One)
}

// # 1,000 redemptions at once of a code for 10 uses give exactly 10 lots: of many
// organizations, and of one.
func TestParallelRedemptions(t *testing.T) { parallel(t, open(t)) }

// # So they do on two servers of one database.
func TestParallelRedemptionsOnTwoServers(t *testing.T) {
	a := open(t)
	if dbtest.IsPostgres() {
		parallel(t, a, on(t, a.url))
		return
	}
	if _, err := db.Open(t.Context(), db.Config{URL: a.url, Clock: a.clock}); err == nil {
		t.Error("SQLite lets a second server in")
	}
}

func parallel(t *testing.T, servers ...*town) {
	s := servers[0]
	teams := s.organizations(250)
	s.campaign("many", campaign.Campaign{Uses: 10, PerOrganization: 1})
	many := s.codes("many", 1)[0]
	began := time.Now()
	got := rush(servers, 1000, func(i int) (ledger.ID, string) { return teams[i%len(teams)], many })
	t.Logf("1,000 at once on %d servers: %s", len(servers), time.Since(began))
	if got["granted"] != 10 || got["granted"]+got["code_refused"]+got["code_redeemed"] != 1000 {
		t.Errorf("many organizations: %v", got)
	}
	s.sums(10, 25*credit.One)
	s.campaign("one", campaign.Campaign{Uses: 10})
	one := s.codes("one", 1)[0]
	got = rush(servers, 1000, func(int) (ledger.ID, string) { return teams[0], one })
	if want := map[string]int{"granted": 10, "code_redeemed": 990}; !maps.Equal(got, want) {
		t.Errorf("one organization: %v", got)
	}
	s.sums(20, 25*credit.One)
	s.campaign("once", campaign.Campaign{Uses: 10, PerOrganization: 1})
	once := s.codes("once", 1)[0]
	got = rush(servers, 200, func(int) (ledger.ID, string) { return teams[1], once })
	if want := map[string]int{"granted": 1, "code_redeemed": 199}; !maps.Equal(got, want) {
		t.Errorf("one organization, once: %v", got)
	}
	s.sums(21, 25*credit.One)
}

// # A budget holds, whoever redeems at once, and is used as far as it goes.
func TestTheBudgetHolds(t *testing.T) {
	s := open(t)
	servers := []*town{s}
	if dbtest.IsPostgres() {
		servers = append(servers, on(t, s.url))
	}
	teams := s.organizations(50)
	s.campaign("spring", campaign.Campaign{Amount: 7 * credit.One, Budget: 100 * credit.One})
	codes := s.codes("spring", 400)
	got := rush(servers, 400, func(i int) (ledger.ID, string) { return teams[i%len(teams)], codes[i] })
	if want := map[string]int{"granted": 14, "code_refused": 386}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	s.sums(14, 7*credit.One)
}

// # A code of one use goes to one of those who redeem it at once.
func TestASingleCodeGoesToOne(t *testing.T) {
	s := open(t)
	teams := s.organizations(20)
	s.campaign("spring", campaign.Campaign{})
	codes := s.codes("spring", 20)
	got := rush([]*town{s}, 400, func(i int) (ledger.ID, string) { return teams[i%20], codes[i/20] })
	if got["granted"] != 20 {
		t.Errorf("%v", got)
	}
	s.sums(20, 25*credit.One)
}

// # What comes after the grant in a unit fails, and nothing was granted: the code is good
// still, and grants once.
func TestAUnitThatFailsGrantsNothing(t *testing.T) {
	s := open(t)
	acme := s.organizations(1)[0]
	s.campaign("spring", campaign.Campaign{})
	code := s.codes("spring", 1)[0]
	died := errors.New("the server dies here")
	err := s.try(func(tx *db.Tx) error {
		if _, _, err := s.Redeem(tx, campaign.Redeemer{Actor: "usr_1"}, acme, code); err != nil {
			return err
		}
		return died
	})
	if !errors.Is(err, died) {
		t.Fatal(err)
	}
	s.sums(0, 25*credit.One)
	if _, err := s.redeem(acme, code, ""); err != nil {
		t.Fatal(err)
	}
	s.refused(acme, code, "", "code_redeemed")
	s.sums(1, 25*credit.One)
}

// # An organization redeems as many codes of a campaign as it may.
func TestALimitPerOrganization(t *testing.T) {
	s := open(t)
	teams := s.organizations(2)
	s.campaign("two", campaign.Campaign{PerOrganization: 2})
	codes := s.codes("two", 4)
	for i := range 2 {
		if _, err := s.redeem(teams[0], codes[i], ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.refused(teams[0], codes[2], "", "code_refused"); !strings.Contains(err.Error(), "no more are for it") {
		t.Error(err)
	}
	if _, err := s.redeem(teams[1], codes[2], ""); err != nil {
		t.Error(err)
	}
	got := rush([]*town{s}, 100, func(int) (ledger.ID, string) { return teams[0], codes[3] })
	if got["code_refused"] != 100 {
		t.Errorf("%v", got)
	}
	s.sums(3, 25*credit.One)
}

// # A code for some domains takes a verified address at one of them and no other.
func TestDomains(t *testing.T) {
	s := open(t)
	acme := s.organizations(1)[0]
	c := s.campaign("uni", campaign.Campaign{Domains: []string{"@Example.EDU", "uni.example.org"}})
	if strings.Join(c.Domains, " ") != "example.edu uni.example.org" {
		t.Errorf("%v", c.Domains)
	}
	codes := s.codes("uni", 2)
	for _, email := range []string{"", "ada@example.com", "ada@mail.example.edu", "ada@notexample.edu", "example.edu", "example.edu@example.com"} {
		if err := s.refused(acme, codes[0], email, "code_refused"); !strings.Contains(err.Error(), "example.edu or uni.example.org") {
			t.Error(err)
		}
	}
	for i, email := range []string{"ada@example.edu", "ada@UNI.example.org"} {
		if _, err := s.redeem(acme, codes[i], email); err != nil {
			t.Error(email, err)
		}
	}
	s.sums(2, 25*credit.One)
}

// # A window begins and ends at its instants, to the nanosecond, and a lot is not granted
// that has expired.
func TestWindows(t *testing.T) {
	s := open(t)
	acme := s.organizations(1)[0]
	s.campaign("window", campaign.Campaign{From: noon + 10, Until: noon + 20})
	s.campaign("stale", campaign.Campaign{ExpiresAt: noon + 15})
	window, stale := s.codes("window", 4), s.codes("stale", 2)
	at := func(ns int64) {
		if err := s.clock.Set(t.Context(), noon+ns); err != nil {
			t.Fatal(err)
		}
	}
	at(9)
	s.refused(acme, window[0], "", "code_refused")
	at(10)
	s.granted(acme, window[0])
	at(14)
	if r := s.granted(acme, stale[0]); r.ExpiresAt != noon+15 {
		t.Errorf("%+v", r)
	}
	at(15)
	s.refused(acme, stale[1], "", "code_refused")
	at(19)
	s.granted(acme, window[1])
	at(20)
	s.refused(acme, window[2], "", "code_refused")
	s.sums(3, 25*credit.One)
}

func (s *town) granted(id ledger.ID, code string) campaign.Redemption {
	s.Helper()
	r, err := s.redeem(id, code, "")
	if err != nil {
		s.Fatal(err)
	}
	return r
}
