package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

func (s *realm) token(user, organization string, n api.NewToken) api.FreshToken {
	s.Helper()
	if n.Name == "" {
		n.Name = "ci"
	}
	if n.Scopes == nil {
		n.Scopes = []string{"run", "see"}
	}
	return must(s.as(user).CreateToken(s.Context(), organization, n))(s)
}

// A token does what its scopes name, and what whose it is may do at that instant.
func TestATokenMayWhatItsMakerMay(t *testing.T) {
	s := newRealm(t)
	ada, dev := s.user("ada"), s.user("dev")
	o := s.organization("acme", ada)
	s.organization("adas", ada)
	s.member(o.ID, dev, "", org.Developer)
	ctx := t.Context()
	_, err := s.as(dev).CreateToken(ctx, "acme", api.NewToken{Name: "x", Scopes: []string{"run", "govern"}})
	if p := s.refused(err, 422, "invalid"); p.Errors[0].Pointer != "/scopes/1" {
		t.Errorf("%+v", p.Errors)
	}
	_, err = s.as(dev).CreateToken(ctx, "acme", api.NewToken{Name: "x", Scopes: []string{"operate"}})
	s.refused(err, 422, "invalid")
	_, err = s.CreateToken(ctx, "acme", api.NewToken{Name: "x", Scopes: []string{"run"}})
	s.refused(err, 403, "forbidden")

	made := s.token(dev, "acme", api.NewToken{})
	by := s.by(made.Secret)
	flow := must(by.StartFlow(ctx, "acme", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	if flow.User != dev {
		t.Errorf("the flow is of %q", flow.User)
	}
	if me := must(by.Whoami(ctx, api.WhoamiQuery{}))(t); me.User != dev || me.Token != made.ID || me.Role != "developer" || me.Organization != "acme" {
		t.Errorf("%+v", me)
	}
	_, err = by.CreateToken(ctx, "acme", api.NewToken{Name: "child", Scopes: []string{"run"}})
	s.refused(err, 403, "forbidden")
	s.member(o.ID, dev, "", org.Viewer)
	must(by.Balance(ctx, "acme"))(t)
	_, err = by.StopFlow(ctx, "acme", flow.ID, api.FlowStop{})
	s.refused(err, 403, "forbidden")
	s.member(o.ID, dev, "", org.Owner) // more than it was made for
	must(by.StopFlow(ctx, "acme", flow.ID, api.FlowStop{}))(t)
	_, err = by.Members(ctx, "acme", api.Page{})
	s.refused(err, 403, "forbidden")

	adas := s.token(ada, "acme", api.NewToken{Scopes: []string{"own", "manage", "pay", "account", "govern", "run", "see"}})
	_, err = s.by(adas.Secret).Balance(ctx, "adas") // his too, and not what the token is for
	s.refused(err, 404, "not_found")
	if got := must(s.by(adas.Secret).Organizations(ctx, api.Page{}))(t); len(got.Items) != 1 || got.Items[0].Slug != "acme" {
		t.Errorf("%+v", got.Items)
	}
}

// A token's secret is nowhere but in the answer, and no list has it.
func TestTheSecretOfATokenIsKeptNowhere(t *testing.T) {
	s := newRealm(t)
	ada, dev := s.user("ada"), s.user("dev")
	o := s.organization("acme", ada)
	s.member(o.ID, dev, "", org.Developer)
	made := s.token(ada, "acme", api.NewToken{Networks: []string{"127.0.0.1/8", "::1/128"}})
	rotated := must(s.as(ada).RotateToken(t.Context(), "acme", made.ID, api.Rotation{OverlapSeconds: 60}))(t)
	if !strings.HasPrefix(made.Secret, org.TokenPrefix) || rotated.Secret == made.Secret || made.Networks[0] != "127.0.0.0/8" {
		t.Errorf("%+v", made)
	}
	var kept []string
	s.update(func(tx *db.Tx) error {
		for _, query := range []string{
			`SELECT hash FROM token_hashes`, `SELECT name || scopes || networks FROM tokens`,
			`SELECT COALESCE(command, '') || COALESCE(answer, '') || COALESCE(key, '') FROM journal`,
		} {
			all, err := db.All(tx, db.Value[string], query)
			if err != nil {
				return err
			}
			kept = append(kept, all...)
		}
		return nil
	})
	list := s.try(ada, "GET", "/v1/organizations/acme/tokens", "", "")
	all := fmt.Sprint(kept, string(list.body))
	if len(kept) < 4 || strings.Contains(all, made.Secret[3:]) || strings.Contains(all, rotated.Secret[3:]) || strings.Contains(string(list.body), "secret") {
		t.Errorf("a secret is in %s", all)
	}
	if got := must(s.as(dev).Tokens(t.Context(), "acme", api.TokenQuery{}))(t); len(got.Items) != 0 {
		t.Errorf("the tokens of others: %+v", got.Items)
	}
	_, err := s.as(dev).Tokens(t.Context(), "acme", api.TokenQuery{User: ada})
	s.refused(err, 403, "forbidden")
	_, err = s.as(dev).RevokeToken(t.Context(), "acme", made.ID)
	s.refused(err, 404, "not_found")
	_, err = s.as(dev).RotateToken(t.Context(), "acme", made.ID, api.Rotation{})
	s.refused(err, 404, "not_found")
	devs := s.token(dev, "acme", api.NewToken{})
	_, err = s.as(ada).RotateToken(t.Context(), "acme", devs.ID, api.Rotation{}) // would make him known as another
	s.refused(err, 404, "not_found")
	if got := must(s.as(ada).Tokens(t.Context(), "acme", api.TokenQuery{User: "all"}))(t); len(got.Items) != 2 {
		t.Errorf("%+v", got.Items)
	}
	must(s.as(ada).RevokeToken(t.Context(), "acme", devs.ID))(t)
}

// A revoked token is taken by no server any more, from the answer on; a rotated one
// has two secrets for as long as was said.
func TestRevocationAndRotation(t *testing.T) {
	s := servers(t)
	ada := s[0].user("ada")
	s[0].organization("acme", ada)
	ctx := t.Context()
	good := func(secret string) (errs []error) {
		for _, server := range s {
			_, err := server.by(secret).Balance(ctx, "acme")
			errs = append(errs, err)
		}
		return errs
	}
	for range 5 {
		made := s[0].token(ada, "acme", api.NewToken{})
		for _, err := range good(made.Secret) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s[0].as(ada).RevokeToken(ctx, "acme", made.ID))(t)
		for _, err := range good(made.Secret) {
			s[0].refused(err, 401, "unauthorized")
		}
	}
	made := s[0].token(ada, "acme", api.NewToken{})
	next := must(s[0].as(ada).RotateToken(ctx, "acme", made.ID, api.Rotation{OverlapSeconds: 60}))(t)
	if next.ID != made.ID {
		t.Errorf("%s became %s", made.ID, next.ID)
	}
	for _, err := range append(good(made.Secret), good(next.Secret)...) {
		if err != nil {
			t.Fatal(err)
		}
	}
	s[0].pass(int64(time.Minute))
	_, err := s[0].by(made.Secret).Balance(ctx, "acme")
	s[0].refused(err, 401, "unauthorized")
	last := must(s[0].by(next.Secret).RotateToken(ctx, "acme", made.ID, api.Rotation{}))(t) // by itself
	for _, err := range good(next.Secret) {
		s[0].refused(err, 401, "unauthorized")
	}
	must(s[0].by(last.Secret).Balance(ctx, "acme"))(t)
}

// A token ends when it says, and is taken from where it says.
func TestATokenIsTakenWhenAndFromWhereItSays(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	s.organization("acme", ada)
	ctx, at := t.Context(), api.At(s.clock.Now()+int64(time.Hour))
	hour := s.by(s.token(ada, "acme", api.NewToken{ExpiresAt: at}).Secret)
	here := s.by(s.token(ada, "acme", api.NewToken{Networks: []string{"127.0.0.0/8", "::1/128"}}).Secret)
	there := s.by(s.token(ada, "acme", api.NewToken{Networks: []string{"203.0.113.0/24"}}).Secret)
	must(hour.Balance(ctx, "acme"))(t)
	must(here.Balance(ctx, "acme"))(t)
	_, err := there.Balance(ctx, "acme")
	s.refused(err, 401, "unauthorized")
	there.HTTP = s.as(ada).HTTP
	there.HTTP.Transport = header{"X-Forwarded-For", "203.0.113.7"} // anybody can say so
	_, err = there.Balance(ctx, "acme")
	s.refused(err, 401, "unauthorized")
	s.pass(int64(time.Hour))
	_, err = hour.Balance(ctx, "acme")
	s.refused(err, 401, "unauthorized")
	_, err = s.as(ada).CreateToken(ctx, "acme", api.NewToken{Name: "x", Scopes: []string{"see"}, ExpiresAt: at})
	s.refused(err, 422, "invalid")
	_, err = s.as(ada).CreateToken(ctx, "acme", api.NewToken{Name: "x", Scopes: []string{"see"}, Networks: []string{"10.0.0.1"}})
	s.refused(err, 422, "invalid")
}

// The last use is seen, and written once a minute at most.
func TestTheLastUseIsSeen(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	s.organization("acme", ada)
	by := s.by(s.token(ada, "acme", api.NewToken{}).Secret)
	last := func() string {
		item := must(s.as(ada).Tokens(t.Context(), "acme", api.TokenQuery{}))(t).Items[0]
		if item.LastUsedAt == nil {
			return "never"
		}
		return string(*item.LastUsedAt)
	}
	if last() != "never" {
		t.Error(last())
	}
	first := string(api.At(s.clock.Now()))
	for _, want := range []string{first, first, string(api.At(s.clock.Now() + int64(80*time.Second)))} {
		must(by.Balance(t.Context(), "acme"))(t)
		if got := last(); got != want {
			t.Errorf("last used at %s, not %s", got, want)
		}
		s.pass(int64(40 * time.Second))
	}
}

// A token of a project starts what counts as that project, and nothing else; its own
// budget ends what it started, whichever way it spends.
func TestATokenOfAProjectWithABudget(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	s.organization("acme", ada)
	must(s.as(ada).CreateWorkspace(t.Context(), "acme", api.NewWorkspace{Slug: "lab"}))(t)
	ctx, one := t.Context(), []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}
	vision := s.by(s.token(ada, "acme", api.NewToken{Project: "vision"}).Secret)
	flow := must(vision.StartFlow(ctx, "acme", api.NewFlow{Items: one}))(t)
	if flow.Project != "vision" {
		t.Errorf("counts as %q", flow.Project)
	}
	_, err := vision.StartFlow(ctx, "acme", api.NewFlow{Project: "speech", Items: one})
	s.refused(err, 403, "forbidden")
	must(s.as(ada).StopFlow(ctx, "acme", flow.ID, api.FlowStop{}))(t)

	capped := s.token(ada, "acme", api.NewToken{Budget: &api.TokenBudget{Amount: "10", Window: "total", Hard: true}})
	budgets := must(s.Budgets(ctx, "acme"))(t).Items
	if len(budgets) != 1 || budgets[0].Key != "token" || budgets[0].Value != capped.ID || !budgets[0].Hard {
		t.Fatalf("%+v", budgets)
	}
	by := s.by(capped.Secret)
	_, err = by.Balance(ctx, "acme.lab")
	s.refused(err, 403, "forbidden")
	must(by.ReportUsage(ctx, "acme", []api.UsageEvent{{
		SpecVersion: "1.0", ID: "1", Source: "test", Type: "usage", Data: api.UsageData{SKU: "network.egress", Quantity: "20"},
	}}))(t)
	held := must(by.CreateHold(ctx, "acme", api.NewHold{Amount: "1", TTLSeconds: 60}))(t)
	must(by.CaptureHold(ctx, "acme", held.ID, api.Capture{Amount: "1"}))(t)
	if got := must(s.Budgets(ctx, "acme"))(t).Items[0]; got.Spent != "2" {
		t.Errorf("spent %s of the token's budget", got.Spent)
	}
	flow = must(by.StartFlow(ctx, "acme", api.NewFlow{Items: one}))(t)
	_, err = by.CreateHold(ctx, "acme", api.NewHold{Amount: "9", TTLSeconds: 60})
	s.refused(err, 402, "budget_exceeded")
	must(s.as(ada).CreateHold(ctx, "acme", api.NewHold{Amount: "9", TTLSeconds: 60}))(t) // the budget is the token's alone
	s.pass(int64(10 * time.Hour))
	flow = must(s.Flow(ctx, "acme", flow.ID))(t)
	if flow.Charged != "8" || flow.StopReason != "budget" {
		text, _ := json.Marshal(flow)
		t.Errorf("under the budget: %s", text)
	}
}

// # Who manages one project manages no more by a token of that project.
func TestAProjectsAdminStaysOne(t *testing.T) {
	s := newRealm(t)
	ada, mole, bob := s.user("ada"), s.user("mole"), s.user("bob")
	acme := s.organization("acme", ada)
	s.member(acme.ID, mole, "", org.Developer)
	s.member(acme.ID, mole, "vision", org.Admin)
	s.member(acme.ID, bob, "", org.Viewer)
	ctx := t.Context()
	by := s.by(s.token(mole, "acme", api.NewToken{Project: "vision", Scopes: []string{"manage"}}).Secret)
	for _, user := range []string{mole, bob} {
		_, err := by.ChangeRole(ctx, "acme", user, api.NewRole{Role: "admin"})
		s.refused(err, 403, "forbidden")
	}
	_, err := by.RemoveMember(ctx, "acme", bob, api.MemberQuery{})
	s.refused(err, 403, "forbidden")
	must(by.ChangeRole(ctx, "acme", bob, api.NewRole{Role: "developer", Project: "vision"}))(t)
	for _, m := range must(s.as(ada).Members(ctx, "acme", api.Page{}))(t).Items {
		if m.Project == "" && m.User != ada && m.Role == "admin" {
			t.Errorf("%+v", m)
		}
	}
}

// # What somebody has invited who is thrown out is void: it may be an address of his own.
func TestInvitationsEndWithWhoMadeThem(t *testing.T) {
	s := newRealm(t)
	ada, mole, again := s.user("ada"), s.user("mole"), s.user("again")
	acme := s.organization("acme", ada)
	s.member(acme.ID, mole, "", org.Admin)
	must(s.as(mole).Invite(t.Context(), "acme", api.NewInvitations{Items: []api.NewInvitation{{Email: "again@example.org", Role: "admin"}}}))(t)
	must(s.as(ada).RemoveMember(t.Context(), "acme", mole, api.MemberQuery{}))(t)
	_, err := s.accept(again, s.mailed("again@example.org")[0])
	s.refused(err, 409, "invitation_closed")
}

// Where an organization asks for a second factor, the token of a member who has none is
// taken no more, there alone, and again when there is one.
func TestATokenOfAMemberWithoutTheSecondFactor(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	s.organization("acme", ada)
	s.organization("labs", ada)
	ctx, yes := t.Context(), true
	there, elsewhere := s.by(s.token(ada, "acme", api.NewToken{}).Secret), s.by(s.token(ada, "labs", api.NewToken{}).Secret)
	must(there.Balance(ctx, "acme"))(t)
	must(s.as(ada).ChangeOrganizationSettings(ctx, "acme", api.OrganizationSettingsChange{RequireTwoFactor: &yes}))(t)
	_, err := there.Balance(ctx, "acme")
	s.refused(err, 403, "two_factor_required")
	must(elsewhere.Balance(ctx, "labs"))(t)
	factor := func(confirmed int64) {
		s.update(func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO authenticators (user_id, secret, step, confirmed_at) VALUES ($1, 'x', 0, $2)
				ON CONFLICT (user_id) DO UPDATE SET confirmed_at = $2`, ada, confirmed)
			return err
		})
	}
	factor(0) // begun, and not confirmed
	_, err = there.Balance(ctx, "acme")
	s.refused(err, 403, "two_factor_required")
	factor(1)
	must(there.Balance(ctx, "acme"))(t)
}
