package campaign_test

import (
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/campaign"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// # A campaign that is closed grants nothing until it is reopened, and a code that is
// revoked grants nothing any more.
func TestCloseAndRevoke(t *testing.T) {
	s := open(t)
	acme := s.organizations(1)[0]
	c := s.campaign("spring", campaign.Campaign{})
	codes := s.codes("spring", 5)
	s.update(func(tx *db.Tx) error { _, err := s.Close(tx, "spring"); return err })
	s.refused(acme, codes[0], "", "code_refused")
	s.update(func(tx *db.Tx) error { _, err := s.Reopen(tx, c.ID); return err })
	s.granted(acme, codes[0])
	s.update(func(tx *db.Tx) error {
		_, n, err := s.Revoke(tx, "spring", 1, 3)
		if n != 3 {
			t.Errorf("%d were revoked", n)
		}
		return err
	})
	s.refused(acme, codes[2], "", "code_refused")
	s.refused(acme, codes[0], "", "code_redeemed")
	s.granted(acme, codes[3])
	s.update(func(tx *db.Tx) error {
		for _, wrong := range [][2]int64{{0, 1}, {3, 2}, {1, 6}} {
			if _, _, err := s.Revoke(tx, "spring", wrong[0], wrong[1]); !fault.Is(err, fault.Invalid) {
				t.Errorf("%v: %v", wrong, err)
			}
		}
		_, p, by, err := s.LookUp(tx, strings.ToLower(codes[0]), 10)
		if p.No != 1 || p.Uses != 1 || p.RevokedAt != noon || len(by) != 1 || by[0].Organization != acme.Organization || by[0].By != "usr_1" {
			t.Errorf("%+v %+v", p, by)
		}
		return err
	})
	s.sums(2, 25*credit.One)
}

// # Of a code that people chose a guesser learns only by redeeming it: used up, closed,
// revoked, early and not his it is answered as one that there is not.
func TestChosenCodesLookAlike(t *testing.T) {
	s := open(t)
	teams := s.organizations(3)
	choose := func(slug, code string) error {
		return s.try(func(tx *db.Tx) error { _, _, err := s.Choose(tx, slug, code); return err })
	}
	for slug, terms := range map[string]campaign.Campaign{
		"used": {Uses: 2}, "closed": {Uses: 2}, "revoked": {Uses: 2}, "early": {Uses: 2, From: noon + 1},
		"foreign": {Uses: 2, Domains: []string{"example.edu"}}, "spent": {Uses: 2, Budget: 30 * credit.One},
	} {
		s.campaign(slug, terms)
		if err := choose(slug, slug+"-2027"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		s.granted(teams[i], "USED2027")
	}
	s.granted(teams[0], "spent-2027")
	s.update(func(tx *db.Tx) error {
		_, err := s.Close(tx, "closed")
		if err == nil {
			_, _, err = s.Revoke(tx, "revoked", 1, 1)
		}
		return err
	})
	want := s.refused(teams[2], "NOSUCH2027", "", "unknown_code").Error()
	for _, slug := range []string{"used", "closed", "revoked", "early", "foreign", "spent"} {
		if err := s.refused(teams[2], slug+"2027", "", "unknown_code"); err.Error() != want {
			t.Errorf("%s: %s", slug, err)
		}
	}
	s.refused(teams[0], "used-2027", "", "code_redeemed") // who has redeemed it knows it
	if err := choose("closed", "used2027"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a code of two campaigns: %v", err)
	}
	if err := choose("used", "used2028"); !fault.Is(err, fault.Conflict) {
		t.Errorf("two codes: %v", err)
	}
	if err := choose("revoked", "anew-2027"); err != nil {
		t.Error(err)
	}
	s.campaign("single", campaign.Campaign{})
	if err := choose("single", "single27"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a code for one use that can be guessed: %v", err)
	}
	s.sums(3, 25*credit.One)
}

// # No code stands in the database.
func TestCodesAreNotKept(t *testing.T) {
	s := open(t)
	s.campaign("spring", campaign.Campaign{})
	s.campaign("hack", campaign.Campaign{Uses: 5})
	codes := s.codes("spring", 3)
	s.update(func(tx *db.Tx) error { _, _, err := s.Choose(tx, "hack", "HACK2027"); return err })
	s.update(func(tx *db.Tx) error {
		return tx.Each(func(r db.Scanner) error {
			var digest string
			err := r.Scan(&digest)
			for _, code := range append(codes, "HACK2027") {
				if text := strings.ReplaceAll(code, "-", ""); strings.Contains(strings.ToUpper(digest), text) || len(digest) != 64 {
					t.Errorf("%s stands there as %s", code, digest)
				}
			}
			return err
		}, `SELECT digest FROM codes`)
	})
}

// # Terms that cannot be meant are refused, all at once.
func TestTerms(t *testing.T) {
	s := open(t)
	whole := campaign.Campaign{Slug: "ok", Name: "OK", Amount: credit.One, Uses: 1}
	for pointer, spoil := range map[string]func(*campaign.Campaign){
		"/slug":             func(c *campaign.Campaign) { c.Slug = "Not OK" },
		"/name":             func(c *campaign.Campaign) { c.Name = "two\nlines" },
		"/amount":           func(c *campaign.Campaign) { c.Amount = campaign.MaxAmount + 1 },
		"/uses":             func(c *campaign.Campaign) { c.Uses = 0 },
		"/per_organization": func(c *campaign.Campaign) { c.PerOrganization = -1 },
		"/budget":           func(c *campaign.Campaign) { c.Budget = credit.One - 1 },
		"/until":            func(c *campaign.Campaign) { c.Until = noon },
		"/expires_at":       func(c *campaign.Campaign) { c.ExpiresAt = noon },
		"/expires_days":     func(c *campaign.Campaign) { c.ExpiresDays, c.ExpiresAt = 3, noon+1 },
		"/domains/0":        func(c *campaign.Campaign) { c.Domains = []string{"edu"} },
		"/domains":          func(c *campaign.Campaign) { c.Domains = make([]string, campaign.MaxDomains+1) },
	} {
		c := whole
		spoil(&c)
		err := s.try(func(tx *db.Tx) error { _, err := s.Create(tx, c); return err })
		if f := fault.Of(err); f == nil || len(f.Fields) != 1 || f.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v", pointer, err)
		}
	}
	s.campaign("ok", whole)
	err := s.try(func(tx *db.Tx) error { _, err := s.Create(tx, whole); return err })
	if f := fault.Of(err); f == nil || f.Code != "slug_taken" {
		t.Error(err)
	}
}

// # 10,000 codes are made at once, with numbers that go on, and listed page by page.
func TestCodesInBulk(t *testing.T) {
	s := open(t)
	s.campaign("spring", campaign.Campaign{})
	began := time.Now()
	n := len(s.codes("spring", campaign.MaxMade))
	if t.Logf("%d codes in %s", n, time.Since(began)); n != campaign.MaxMade {
		t.Errorf("%d codes", n)
	}
	s.codes("spring", 2)
	s.update(func(tx *db.Tx) error {
		c, codes, err := s.Codes(tx, "spring", campaign.MaxMade-1, 10)
		if c.Codes != campaign.MaxMade+2 || len(codes) != 3 || codes[2].No != c.Codes {
			t.Errorf("%+v %+v", c, codes)
		}
		_, _, tooMany := s.Make(tx, "spring", campaign.MaxMade+1)
		if !fault.Is(tooMany, fault.Invalid) {
			t.Error(tooMany)
		}
		return err
	})
}
