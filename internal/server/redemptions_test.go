package server_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// campaign makes a campaign with so many codes.
func (s *stage) campaign(n api.NewCampaign, count int64) (codes []string) {
	s.Helper()
	n.Name = "The " + n.Slug
	if n.Amount == "" {
		n.Amount = "25"
	}
	must(s.CreateCampaign(s.Context(), n))(s)
	for _, code := range must(s.CreateCodes(s.Context(), n.Slug, api.NewCodes{Count: count}))(s).Items {
		codes = append(codes, code.Code)
	}
	return codes
}

// # A person redeems a code, sees what it gave, and so does the organization.
func TestRedeemACode(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.edu")
	ada := w.signedIn("192.0.2.1", "ada@example.edu", good)
	acme := must(ada.CreateOrganization(t.Context(), api.NewOrganization{Slug: "acme"}))(t)
	codes := w.campaign(api.NewCampaign{Slug: "uni", Domains: []string{"example.edu"}, ExpiresDays: 30, Scope: &api.Scope{SKUs: []string{"gpu.*"}}}, 2)
	r := must(ada.Redeem(t.Context(), "acme", " "+strings.ToLower(codes[0])))(t)
	if r.Amount != "25" || r.Balance != "25" || r.Campaign != "The uni" || *r.ExpiresAt != api.At(start.AddDate(0, 0, 30).UnixNano()) || r.Scope.SKUs[0] != "gpu.*" || r.CodeNo != 1 {
		t.Errorf("%+v", r)
	}
	lots := must(ada.Lots(t.Context(), "acme", api.Page{}))(t).Items
	if len(lots) != 1 || lots[0].ID != r.Lot || lots[0].Source != "code" || lots[0].Reason != "The uni" || lots[0].Kind != "promotional" {
		t.Errorf("%+v", lots)
	}
	_, err := ada.Redeem(t.Context(), "acme", codes[0])
	if again := refused(t, err, 409, "code_redeemed"); again.Values["redemption"] != r.ID {
		t.Errorf("%+v", again)
	}
	_, err = ada.Redeem(t.Context(), "acme", codes[1])
	refused(t, err, 409, "code_refused")
	_, err = w.Redeem(t.Context(), "acme", codes[1]) // the operator has no address
	refused(t, err, 409, "code_refused")
	if list := must(ada.Redemptions(t.Context(), "acme", api.Page{}))(t).Items; len(list) != 1 || list[0].ID != r.ID || list[0].Balance != "" {
		t.Errorf("%+v", list)
	}
	found := must(w.LookUpCode(t.Context(), codes[0]))(t)
	if len(found.Redemptions) != 1 || found.Redemptions[0].Organization != acme.ID || found.Code.Status != "redeemed" || found.Campaign.Redeemed != "25" {
		t.Errorf("%+v", found)
	}
	w.campaignActs("acme", codes)
	w.verified()
}

// campaignActs checks that the audit logs tell what was done, and no code.
func (s *stage) campaignActs(organization string, codes []string) {
	s.Helper()
	var got []string
	for _, e := range append(s.audit(organization, api.AuditFilter{}), s.audit("", api.AuditFilter{})...) {
		got = append(got, e.Action)
		for _, code := range codes {
			if text := strings.ToUpper(fmt.Sprint(e.Target, string(e.After), string(e.Before))); strings.Contains(text, code) {
				s.Errorf("%s tells %s: %s", e.Action, code, text)
			}
		}
	}
	for _, action := range []string{"redeem-code", "create-campaign", "create-codes"} {
		if n := len(slices.DeleteFunc(slices.Clone(got), func(a string) bool { return a != action })); n != 1 {
			s.Errorf("%s stands %d times in %v", action, n, got)
		}
	}
}

// # Nothing of a campaign, a code or a redemption is seen by others, nor may those redeem
// who may not pay.
func TestRedemptionsOfOthers(t *testing.T) {
	s := newRealm(t)
	s.organization("acme", s.user("ada"))
	s.organization("rival", s.user("eve"))
	dev := s.user("dev")
	s.member(must(s.Organization(t.Context(), "acme"))(t).ID, dev, "", "developer")
	must(s.CreateCampaign(t.Context(), api.NewCampaign{Slug: "spring", Name: "Spring", Amount: "25"}))(t)
	codes := must(s.CreateCodes(t.Context(), "spring", api.NewCodes{Count: 2}))(t).Items
	must(s.as("usr_ada").Redeem(t.Context(), "acme", codes[0].Code))(t)
	eve := s.as("usr_eve")
	_, err := eve.Redemptions(t.Context(), "acme", api.Page{})
	s.refused(err, 404, "not_found")
	if list := must(eve.Redemptions(t.Context(), "rival", api.Page{}))(t).Items; len(list) != 0 {
		t.Errorf("%+v", list)
	}
	_, err = eve.Redeem(t.Context(), "acme", codes[1].Code)
	s.refused(err, 404, "not_found")
	_, err = eve.Redeem(t.Context(), "rival", codes[0].Code)
	if p := s.refused(err, 409, "code_refused"); strings.Contains(fmt.Sprint(p.Detail, p.Values), "acme") || p.Values["lot"] != nil {
		t.Errorf("it tells whose it is: %+v", p)
	}
	_, err = s.as(dev).Redeem(t.Context(), "acme", codes[1].Code)
	s.refused(err, 403, "forbidden")
	_, err = eve.Campaigns(t.Context(), api.Page{})
	s.refused(err, 403, "forbidden")
	if list := must(s.CampaignRedemptions(t.Context(), "spring", api.Page{}))(t).Items; len(list) != 1 {
		t.Errorf("%+v", list)
	}
}

// # A retry grants nothing twice, with its key and without, also over a death of the
// server between the commit and the answer.
func TestARetryRedeemsOnce(t *testing.T) {
	c := app.Config{TestClock: start.UnixNano(), Data: t.TempDir(), Database: dbtest.URL(t), OperatorToken: token}
	c.Listen = "unix:" + filepath.Join(c.Data, "http.sock")
	a, err := app.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t, a, a.Client()}
	codes := s.campaign(api.NewCampaign{Slug: "many", Uses: 10, PerOrganization: new(int64)}, 1)
	single := s.campaign(api.NewCampaign{Slug: "single"}, 1)
	key := api.WithKey(t.Context(), "k1")
	first := must(s.Redeem(key, "default", codes[0]))(t)
	must(s.Redeem(t.Context(), "default", single[0]))(t) // and this answer never arrived
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = app.Start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	s = &stage{t, a, a.Client()}
	again := must(s.Redeem(key, "default", codes[0]))(t)
	if again.ID != first.ID || again.Lot != first.Lot {
		t.Errorf("%+v, then %+v", first, again)
	}
	_, err = s.Redeem(t.Context(), "default", single[0])
	refused(t, err, 409, "code_redeemed")
	if b := s.balance("default"); b.Balance != "50" {
		t.Errorf("the balance is %s", b.Balance)
	}
	s.verified()
}

// # The server dies at every commit of a redemption (its files are copied there), and on
// what is left a retry grants once, whether it has the key or not.
func TestDeathsWhileRedeeming(t *testing.T) {
	if dbtest.IsPostgres() {
		t.Log("the files of a PostgreSQL are its own; what dies there is tested by TestARetryRedeemsOnce")
		return
	}
	dir := t.TempDir()
	path, copies := filepath.Join(dir, "purser.db"), 0
	isOn := false
	w := newStageWith(t, app.Config{TestClock: start.UnixNano(), Database: "sqlite:" + path, Committed: func() {
		if isOn {
			for _, end := range []string{"", "-wal"} {
				text, err := os.ReadFile(path + end)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("death-%d.db%s", copies, end)), text, 0o600)
				}
				if err != nil {
					t.Error(err)
				}
			}
			copies++
		}
	}})
	code := w.campaign(api.NewCampaign{Slug: "single"}, 1)[0]
	must(w.CreateOrganization(t.Context(), api.NewOrganization{Slug: "acme"}))(t)
	isOn = true
	w.grant("acme", "1") // a death before it
	must(w.Redeem(api.WithKey(t.Context(), "k"), "acme", code))(t)
	isOn = false
	if copies < 2 {
		t.Fatalf("%d deaths", copies)
	}
	for death := range copies {
		s := newStageWith(t, app.Config{TestClock: start.UnixNano(), Database: fmt.Sprintf("sqlite:%s/death-%d.db", dir, death)})
		r := must(s.Redeem(api.WithKey(t.Context(), "k"), "acme", code))(t)
		_, err := s.Redeem(t.Context(), "acme", code)
		refused(t, err, 409, "code_redeemed")
		if b := s.balance("acme"); b.Balance != "26" || r.Amount != "25" {
			t.Errorf("after death %d the balance is %s", death, b.Balance)
		}
		s.verified()
	}
}

// # Codes are told in three forms, whole; none is told twice.
func TestFormsOfCodes(t *testing.T) {
	s := newStage(t)
	must(s.CreateCampaign(t.Context(), api.NewCampaign{Slug: "spring", Name: `<b>"Spring" & co</b>`, Amount: "25", ExpiresDays: 30}))(t)
	seen := map[string]bool{}
	var table, page bytes.Buffer
	if err := s.PrintCodes(t.Context(), "spring", api.NewCodes{Count: 10_000}, api.CodesQuery{Format: "csv"}, &table); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 10_001 || rows[10_000][0] != "10000" || rows[0][1] != "code" {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		seen[row[1]] = true
	}
	if err := s.PrintCodes(t.Context(), "spring", api.NewCodes{Count: 50}, api.CodesQuery{Format: "html"}, &page); err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`class="code">([^<]*)<`).FindAllStringSubmatch(page.String(), -1) {
		seen[found[1]] = true
		if !strings.Contains(page.String(), "/redeem#"+found[1]) {
			t.Errorf("no link for %s", found[1])
		}
	}
	if strings.Contains(page.String(), "<b>") || !strings.Contains(html.UnescapeString(page.String()), `<b>"Spring" & co</b>`) {
		t.Error("the name stands there as it is")
	}
	for _, code := range must(s.CreateCodes(t.Context(), "spring", api.NewCodes{Count: 5}))(t).Items {
		seen[code.Code] = true
		must(s.Redeem(t.Context(), "default", code.Code))(t)
		break
	}
	if len(seen) != 10_051 {
		t.Errorf("%d codes", len(seen))
	}
	if p := s.problem(s.send("POST", "/v1/campaigns/spring/codes", `{"count":10001}`)); p.Status != 422 {
		t.Errorf("%+v", p)
	}
	if p := s.problem(s.send("POST", "/v1/campaigns/spring/codes", `{}`)); p.Status != 422 {
		t.Errorf("%+v", p)
	}
	if list := must(s.Codes(t.Context(), "spring", api.Page{}))(t); len(list.Items) != 50 || list.NextCursor == nil || list.Items[0].Status != "good" {
		t.Errorf("%+v", list)
	}
	if r := must(s.RevokeCodes(t.Context(), "spring", api.CodeRange{From: 1, To: 10_000}))(t); r.Revoked != 10_000 {
		t.Errorf("%+v", r)
	}
}

// # On the page a person redeems a code; the form sent twice redeems once; who is not
// signed in loses no code.
func TestRedeemPage(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.edu")
	ada := w.signedIn("192.0.2.1", "ada@example.edu", good)
	acme := must(ada.CreateOrganization(t.Context(), api.NewOrganization{Slug: "acme"}))(t).DefaultWorkspace.ID
	code := w.campaign(api.NewCampaign{Slug: "many", Uses: 10, PerOrganization: new(int64)}, 1)[0]
	b := w.browser("192.0.2.1")
	page := b.do("/redeem", nil)
	if policy := page.header.Get("Content-Security-Policy"); page.status != 200 || !strings.Contains(string(page.body), `href="/login?next=/redeem"`) ||
		!strings.Contains(policy, "script-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("%d %s %s", page.status, policy, page.body)
	}
	if lost := b.do("/redeem", url.Values{"code": {code}, "workspace": {acme}, "key": {"k"}}); !strings.Contains(string(lost.body), code) || !strings.Contains(string(lost.body), "Sign in first") {
		t.Errorf("%s", lost.body)
	}
	if in := b.login("ada@example.edu", good, "/redeem"); in.header.Get("Location") != "/redeem" {
		t.Fatalf("%d %v", in.status, in.header)
	}
	page = b.do("/redeem", nil)
	key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindSubmatch(page.body)
	if key == nil || !strings.Contains(string(page.body), `<option value="`+acme+`">acme</option>`) {
		t.Fatalf("%s", page.body)
	}
	form := url.Values{"code": {strings.ToLower(code)}, "workspace": {acme}, "key": {string(key[1])}}
	for range 2 {
		if done := b.do("/redeem", form); done.status != 200 || !strings.Contains(string(done.body), "25 credits of The many were added to acme. Its balance is now 25.") {
			t.Errorf("%d %s", done.status, done.body)
		}
	}
	for _, c := range []struct {
		form   url.Values
		status int
		text   string
	}{
		{url.Values{"code": {"BBBBBBBBBBBBBBBBBBBC"}, "workspace": {acme}, "key": {"k2"}}, 422, "mistyped"},
		{url.Values{"code": {"NOSUCH27"}, "workspace": {acme}, "key": {"k3"}}, 422, "cannot be redeemed"},
		{url.Values{"code": {code}, "workspace": {"default"}, "key": {"k4"}}, 404, "no such organization"},
		{url.Values{"code": {code}, "workspace": {acme}}, 422, "open the page again"},
	} {
		if got := b.do("/redeem", c.form); got.status != c.status || !strings.Contains(string(got.body), c.text) || !strings.Contains(string(got.body), `name="code"`) {
			t.Errorf("%v: %d %s", c.form, got.status, got.body)
		}
	}
	if foreign := b.do("/redeem", form, "Sec-Fetch-Site", "cross-site"); foreign.status != 403 {
		t.Errorf("from another site: %d", foreign.status)
	}
	if balance := w.balance("acme"); balance.Balance != "25" {
		t.Errorf("%+v", balance)
	}
}
