package server_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/org"
)

// servers are several towns on one database; on SQLite one, which is asked at once.
func servers(t *testing.T) [2]*realm {
	t.Helper()
	url := dbtest.URL(t)
	first := newRealmOn(t, url)
	if !dbtest.IsPostgres() {
		return [2]*realm{first, first}
	}
	return [2]*realm{first, newRealmOn(t, url)}
}

// both runs two calls at the same instant and returns their errors, sorted so that
// those without come first.
func both(one, other func() error) []error {
	var errs [2]error
	var wait sync.WaitGroup
	for i, call := range []func() error{one, other} {
		wait.Go(func() { errs[i] = call() })
	}
	wait.Wait()
	if errs[0] != nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	return errs[:]
}

func slugs(list api.List[api.Organization]) (out []string) {
	for _, o := range list.Items {
		out = append(out, o.Slug)
	}
	return out
}

// Whoever creates an organization owns it, and sees his own alone.
func TestWhoCreatesAnOrganizationOwnsIt(t *testing.T) {
	s := newRealm(t)
	ada, bob := s.user("ada"), s.user("bob")
	s.organization("acme", ada)
	s.organization("bobs", bob)
	for who, want := range map[*api.Client]string{s.as(ada): "[acme]", s.as(bob): "[bobs]", s.Client: "[acme bobs default]"} {
		if got := fmt.Sprint(slugs(must(who.Organizations(t.Context(), api.Page{}))(t))); got != want {
			t.Errorf("sees %s, not %s", got, want)
		}
	}
	members := must(s.as(ada).Members(t.Context(), "acme", api.Page{}))(t)
	if len(members.Items) != 1 || members.Items[0].Role != "owner" || members.Items[0].Email != "ada@example.org" {
		t.Errorf("members %+v", members.Items)
	}
	me := must(s.as(bob).Whoami(t.Context(), api.WhoamiQuery{}))(t)
	if me.User != bob || me.Role != "owner" || me.Organization != "bobs" || me.Workspace != "bobs" {
		t.Errorf("who pays: %+v", me)
	}
	_, err := s.as(bob).Whoami(t.Context(), api.WhoamiQuery{Workspace: "acme"})
	s.refused(err, 404, "not_found")

	// The key of one is not the key of another.
	key := api.WithKey(t.Context(), "same")
	one := must(s.as(ada).CreateOrganization(key, api.NewOrganization{Slug: "third"}))(t)
	_, err = s.as(bob).CreateOrganization(key, api.NewOrganization{Slug: "third"})
	s.refused(err, 409, "slug_taken")
	if again := must(s.as(ada).CreateOrganization(key, api.NewOrganization{Slug: "third"}))(t); again.ID != one.ID {
		t.Errorf("done twice: %+v", again)
	}
	secret := must(s.as(ada).CreateToken(t.Context(), "acme", api.NewToken{Name: "all", Scopes: []string{"own", "manage"}}))(t).Secret
	_, err = s.by(secret).CreateOrganization(t.Context(), api.NewOrganization{Slug: "fourth"})
	s.refused(err, 403, "forbidden")

	for i := range org.MaxOwned - 2 {
		must(s.as(ada).CreateOrganization(t.Context(), api.NewOrganization{Slug: fmt.Sprint("more-", i)}))(t)
	}
	_, err = s.as(ada).CreateOrganization(t.Context(), api.NewOrganization{Slug: "too-many"})
	s.refused(err, 429, "limited")
}

// What an organization says of itself is changed by who may, and its name is declared.
func TestSettingsAndTheBillingProfile(t *testing.T) {
	s := newRealm(t)
	ada, fin := s.user("ada"), s.user("fin")
	o := s.organization("acme", ada)
	s.member(o.ID, fin, "", org.Finance)
	yes, role := true, "viewer"
	set := must(s.as(ada).ChangeOrganizationSettings(t.Context(), "acme", api.OrganizationSettingsChange{RequireTwoFactor: &yes, DefaultRole: &role}))(t)
	if !set.RequireTwoFactor || set.DefaultRole != "viewer" {
		t.Errorf("%+v", set)
	}
	mail, name, address := "bills@acme.example", "Acme Ltd", "1 Road\nTown"
	must(s.as(fin).ChangeBillingProfile(t.Context(), "acme", api.BillingProfileChange{BillingEmail: &mail, LegalName: &name}))(t)
	bad := "not an address"
	_, err := s.as(fin).ChangeBillingProfile(t.Context(), "acme", api.BillingProfileChange{BillingEmail: &bad})
	s.refused(err, 422, "invalid")
	if got := must(s.as(fin).BillingProfile(t.Context(), "acme"))(t); got != (api.BillingProfile{BillingEmail: mail, LegalName: name}) {
		t.Errorf("%+v", got)
	}
	if got := must(s.as(ada).OrganizationSettings(t.Context(), "acme"))(t); got != set {
		t.Errorf("the billing profile changed the settings: %+v", got)
	}
	_, err = s.as(fin).ChangeOrganizationSettings(t.Context(), "acme", api.OrganizationSettingsChange{})
	s.refused(err, 403, "forbidden")
	if got := must(s.as(ada).RenameOrganization(t.Context(), "acme", api.OrganizationChange{Name: "Acme AI"}))(t); got.Name != "Acme AI" || got.ID != o.ID {
		t.Errorf("%+v", got)
	}
	if report := must(s.Verify(t.Context(), api.VerifyRequest{}))(t); !report.OK {
		t.Errorf("after a new name: %+v", report.Differences)
	}
	if got := must(s.as(fin).ChangeBillingProfile(t.Context(), "acme", api.BillingProfileChange{Address: &address}))(t); got.Address != address {
		t.Errorf("%+v", got)
	}
	_, err = s.as(fin).ChangeBillingProfile(t.Context(), "acme", api.BillingProfileChange{LegalName: &address})
	s.refused(err, 422, "invalid") // everything else is of one line
}

// Roles are given and taken, owners by owners alone, and the last owner stays.
func TestMembers(t *testing.T) {
	s := newRealm(t)
	ada, eve, dev := s.user("ada"), s.user("eve"), s.user("dev")
	o := s.organization("acme", ada)
	s.member(o.ID, eve, "", org.Admin)
	s.member(o.ID, dev, "", org.Developer)
	ctx := t.Context()
	_, err := s.as(eve).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "owner"})
	s.refused(err, 403, "forbidden")
	_, err = s.as(eve).ChangeRole(ctx, "acme", ada, api.NewRole{Role: "viewer"})
	s.refused(err, 403, "forbidden")
	_, err = s.as(eve).RemoveMember(ctx, "acme", ada, api.MemberQuery{})
	s.refused(err, 403, "forbidden")
	_, err = s.as(ada).ChangeRole(ctx, "acme", ada, api.NewRole{Role: "admin"})
	s.refused(err, 409, "last_owner")
	_, err = s.as(ada).LeaveOrganization(ctx, "acme")
	s.refused(err, 409, "last_owner")
	_, err = s.as(eve).ChangeRole(ctx, "acme", "usr_nobody", api.NewRole{Role: "viewer"})
	s.refused(err, 404, "not_found")
	if m := must(s.as(eve).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "platform"}))(t); m.Role != "platform" || m.Email != "dev@example.org" {
		t.Errorf("%+v", m)
	}
	must(s.as(eve).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "developer", Project: "vision"}))(t)
	_, err = s.as(eve).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "owner", Project: "vision"})
	s.refused(err, 422, "invalid")

	if m := must(s.as(ada).HandOverOrganization(ctx, "acme", api.HandOver{User: eve}))(t); m.User != eve || m.Role != "owner" {
		t.Errorf("%+v", m)
	}
	_, err = s.as(ada).HandOverOrganization(ctx, "acme", api.HandOver{User: dev})
	s.refused(err, 403, "forbidden")
	must(s.as(ada).LeaveOrganization(ctx, "acme"))(t)
	_, err = s.as(ada).Organization(ctx, "acme")
	s.refused(err, 404, "not_found")

	secret := must(s.as(dev).CreateToken(ctx, "acme", api.NewToken{Name: "ci", Scopes: []string{"see"}}))(t).Secret
	must(s.by(secret).Balance(ctx, "acme"))(t)
	must(s.as(eve).RemoveMember(ctx, "acme", dev, api.MemberQuery{Project: "vision"}))(t)
	must(s.by(secret).Balance(ctx, "acme"))(t)
	must(s.as(eve).RemoveMember(ctx, "acme", dev, api.MemberQuery{}))(t)
	_, err = s.by(secret).Balance(ctx, "acme")
	s.refused(err, 401, "unauthorized")
	s.member(o.ID, dev, "", org.Developer) // who comes back has no old tokens
	_, err = s.by(secret).Balance(ctx, "acme")
	s.refused(err, 401, "unauthorized")
}

// Two owners who leave at the same instant do not leave it without one.
func TestTheLastOwnerStaysWhateverHappensAtOnce(t *testing.T) {
	s := servers(t)
	for i := range 8 {
		slug := fmt.Sprint("acme-", i)
		ada, eve := s[0].user(fmt.Sprint("ada", i)), s[0].user(fmt.Sprint("eve", i))
		o := s[0].organization(slug, ada)
		s[0].member(o.ID, eve, "", org.Owner)
		errs := both(
			func() error { _, err := s[0].as(ada).LeaveOrganization(t.Context(), slug); return err },
			func() error {
				_, err := s[1].as(eve).ChangeRole(t.Context(), slug, eve, api.NewRole{Role: "viewer"})
				return err
			})
		if errs[0] != nil {
			t.Fatalf("neither went: %v, %v", errs[0], errs[1])
		}
		s[0].refused(errs[1], 409, "last_owner")
	}
}

// A role in a project counts for what is in that project.
func TestARoleInAProject(t *testing.T) {
	s := newRealm(t)
	ada, dev := s.user("ada"), s.user("dev")
	o := s.organization("acme", ada)
	s.member(o.ID, dev, "vision", org.Developer)
	ctx, one := t.Context(), []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}
	own := must(s.as(dev).StartFlow(ctx, "acme", api.NewFlow{Project: "vision", Items: one}))(t)
	others := must(s.as(ada).StartFlow(ctx, "acme", api.NewFlow{Project: "speech", Items: one}))(t)
	if own.User != dev || others.User != ada {
		t.Errorf("the flows are of %q and %q", own.User, others.User)
	}
	for _, project := range []string{"", "speech"} {
		_, err := s.as(dev).StartFlow(ctx, "acme", api.NewFlow{Project: project, Items: one})
		s.refused(err, 403, "forbidden")
		_, err = s.as(dev).Flows(ctx, "acme", api.FlowQuery{Project: project})
		s.refused(err, 403, "forbidden")
	}
	_, err := s.as(dev).StopFlow(ctx, "acme", others.ID, api.FlowStop{})
	s.refused(err, 403, "forbidden")
	_, err = s.as(dev).Balance(ctx, "acme")
	s.refused(err, 403, "forbidden")
	if got := must(s.as(dev).Flows(ctx, "acme", api.FlowQuery{Project: "vision"}))(t); len(got.Items) != 1 || got.Items[0].ID != own.ID {
		t.Errorf("%+v", got.Items)
	}
	must(s.as(dev).StopFlow(ctx, "acme", own.ID, api.FlowStop{}))(t)
}

// An organization is deleted when nothing runs, is held or is left, and says why not.
func TestDeletion(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	s.organization("acme", ada)
	ctx := t.Context()
	must(s.as(ada).CreateWorkspace(ctx, "acme", api.NewWorkspace{Slug: "lab"}))(t)
	flow := must(s.as(ada).StartFlow(ctx, "acme", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	hold := must(s.as(ada).CreateHold(ctx, "acme", api.NewHold{Amount: "2", TTLSeconds: 60}))(t)
	must(s.as(ada).Transfer(ctx, "acme", api.NewTransfer{ToWorkspace: "acme.lab", Amount: "5"}))(t)
	_, err := s.as(ada).DeleteOrganization(ctx, "acme")
	p := s.refused(err, 409, "organization_in_use")
	for _, why := range []string{"acme has 1 flows that run", "acme has 2 held", "acme has 993 credits left", "acme.lab has 5 credits left"} {
		if !strings.Contains(p.Detail, why) {
			t.Errorf("%q does not say %q", p.Detail, why)
		}
	}
	if reasons, ok := p.Values["reasons"].([]any); !ok || len(reasons) != 4 {
		t.Errorf("values %v", p.Values)
	}
	must(s.as(ada).StopFlow(ctx, "acme", flow.ID, api.FlowStop{}))(t)
	must(s.as(ada).ReleaseHold(ctx, "acme", hold.ID))(t)
	must(s.as(ada).CreateOrganization(ctx, api.NewOrganization{Slug: "empty"}))(t)
	secret := must(s.as(ada).CreateToken(ctx, "empty", api.NewToken{Name: "ci", Scopes: []string{"see"}}))(t).Secret
	overdraft := api.Amount("10")
	must(s.ChangePolicy(ctx, "empty", api.PolicyChange{Overdraft: &overdraft}))(t)
	must(s.as(ada).DeleteOrganization(ctx, "empty"))(t)
	_, err = s.as(ada).Organization(ctx, "empty")
	s.refused(err, 404, "not_found")
	_, err = s.by(secret).Organization(ctx, "empty")
	s.refused(err, 401, "unauthorized")
	if got := must(s.Postings(ctx, "empty", api.PostingQuery{}))(t); got.Items == nil {
		t.Error("the books are gone")
	}
	_, err = s.StartFlow(ctx, "empty", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}})
	s.refused(err, 402, "insufficient_credits")
	if report := must(s.Verify(ctx, api.VerifyRequest{}))(t); !report.OK {
		t.Errorf("%+v", report.Differences)
	}
}

// Credits move between workspaces of one organization, and not to another's, by who
// may manage it.
func TestTransfersStayInTheOrganization(t *testing.T) {
	s := newRealm(t)
	ada, fin, dev := s.user("ada"), s.user("fin"), s.user("dev")
	o := s.organization("acme", ada)
	s.organization("adas", ada) // his too, and yet another organization
	s.member(o.ID, fin, "", org.Finance)
	s.member(o.ID, dev, "", org.Developer)
	must(s.as(ada).CreateWorkspace(t.Context(), "acme", api.NewWorkspace{Slug: "lab"}))(t)
	move := func(who, to string) error {
		_, err := s.as(who).Transfer(t.Context(), "acme", api.NewTransfer{ToWorkspace: to, Amount: "5"})
		return err
	}
	if err := move(ada, "acme.lab"); err != nil {
		t.Error(err)
	}
	s.refused(move(fin, "acme.lab"), 403, "forbidden")
	s.refused(move(dev, "acme.lab"), 403, "forbidden")
	for _, n := range []api.NewGrant{
		{Amount: "7", Kind: "plan", Scope: &api.Scope{Projects: []string{"vision"}}}, {Amount: "11", Kind: "plan", Reason: "to be frozen"},
	} {
		lot := must(s.Grant(t.Context(), "acme", n))(t)
		if n.Reason != "" {
			must(s.FreezeLot(t.Context(), "acme", lot.ID))(t)
		}
	}
	must(s.as(ada).CreateHold(t.Context(), "acme", api.NewHold{Amount: "3", TTLSeconds: 60}))(t)
	moved := must(s.as(ada).Transfer(t.Context(), "acme", api.NewTransfer{ToWorkspace: "acme.lab", Amount: "992"}))(t)
	if want := (api.Stayed{Project: "7", Frozen: "11", Later: "0", Held: "3", Leased: "0"}); moved.Stayed != want || moved.Lots[0].Kind != "purchased" {
		t.Errorf("%+v", moved)
	}
	if plain := s.refused(move(ada, "adas"), 422, "invalid"); !strings.Contains(plain.Detail, "no workspace") {
		t.Error(plain)
	}
}

// A personal organization is named after the address, whatever is taken.
func TestAPersonalOrganization(t *testing.T) {
	s := newRealm(t)
	var made []string
	for _, name := range []string{"ada", "ada.l", "ADA-L", "ada_l"} {
		user := s.user(name)
		s.update(func(tx *db.Tx) error {
			o, err := s.orgs.CreatePersonal(tx, user)
			made = append(made, o.Slug)
			if o.Type != org.Personal {
				t.Errorf("%+v", o)
			}
			return err
		})
		if got := slugs(must(s.as(user).Organizations(t.Context(), api.Page{}))(t)); !slices.Equal(got, made[len(made)-1:]) {
			t.Errorf("%s has %v", name, got)
		}
	}
	if made[0] != "ada" || made[1] != "ada-l" || !strings.HasPrefix(made[2], "ada-l-") || made[2] == made[3] {
		t.Errorf("named %v", made)
	}
}

// A role in a project counts in the workspace it was given in, and not for a project of
// the same name elsewhere; nor does a token for a project.
func TestARoleInAProjectOfOneWorkspace(t *testing.T) {
	s := newRealm(t)
	ada, dev, lead := s.user("ada"), s.user("dev"), s.user("lead")
	o := s.organization("acme", ada)
	ctx, one := t.Context(), []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}
	lab := must(s.as(ada).CreateWorkspace(ctx, "acme", api.NewWorkspace{Slug: "lab"}))(t)
	must(s.Grant(ctx, "acme.lab", api.NewGrant{Amount: "100", Kind: "purchased"}))(t)
	s.member(o.ID, dev, "", org.Viewer)
	s.member(o.ID, lead, "", org.Viewer)
	start := func(who, workspace string) error {
		_, err := s.as(who).StartFlow(ctx, workspace, api.NewFlow{Project: "vision", Items: one})
		return err
	}
	if m := must(s.as(ada).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "developer", Project: "vision", Workspace: "acme.lab"}))(t); m.Workspace != lab.ID {
		t.Errorf("%+v", m)
	}
	if err := start(dev, "acme.lab"); err != nil {
		t.Error(err)
	}
	s.refused(start(dev, "acme"), 403, "forbidden")
	must(s.as(ada).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "viewer", Project: "vision"}))(t) // in the default workspace: another role
	if got := must(s.as(ada).Members(ctx, "acme", api.Page{Limit: 2}))(t); len(got.Items) != 2 || got.NextCursor == nil {
		t.Errorf("%+v", got)
	}

	// Whoever manages a project manages that of his workspace alone.
	must(s.as(ada).ChangeRole(ctx, "acme", lead, api.NewRole{Role: "admin", Project: "vision", Workspace: lab.ID}))(t)
	must(s.as(lead).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "platform", Project: "vision", Workspace: "acme.lab"}))(t)
	_, err := s.as(lead).ChangeRole(ctx, "acme", dev, api.NewRole{Role: "platform", Project: "vision"})
	s.refused(err, 403, "forbidden")
	_, err = s.as(lead).RemoveMember(ctx, "acme", dev, api.MemberQuery{Project: "vision"})
	s.refused(err, 403, "forbidden")

	for _, wrong := range []api.NewRole{{Role: "viewer", Workspace: "acme.lab"}, {Role: "viewer", Project: "vision", Workspace: "default"}} {
		_, err = s.as(ada).ChangeRole(ctx, "acme", dev, wrong)
		s.refused(err, 422, "invalid")
	}
	secret := must(s.as(dev).CreateToken(ctx, "acme", api.NewToken{Name: "ci", Scopes: []string{"run"}, Project: "vision", Workspace: "acme.lab"}))(t).Secret
	must(s.by(secret).StartFlow(ctx, "acme.lab", api.NewFlow{Items: one}))(t)
	_, err = s.by(secret).StartFlow(ctx, "acme", api.NewFlow{Items: one})
	s.refused(err, 403, "forbidden")
	adas := s.token(ada, "acme", api.NewToken{Scopes: []string{"run"}, Project: "vision"})
	must(s.by(adas.Secret).StartFlow(ctx, "acme", api.NewFlow{Items: one}))(t)
	_, err = s.by(adas.Secret).StartFlow(ctx, "acme.lab", api.NewFlow{Items: one})
	s.refused(err, 403, "forbidden")

	// So does an invitation.
	s.invite(ada, "acme", api.NewInvitation{Email: "bob@example.org", Role: "developer", Project: "vision", Workspace: "acme.lab"})
	bob := s.user("bob")
	must(s.accept(bob, s.mailed("bob@example.org")[0]))(t)
	if err := start(bob, "acme.lab"); err != nil {
		t.Error(err)
	}
	s.refused(start(bob, "acme"), 403, "forbidden")
	must(s.as(lead).RemoveMember(ctx, "acme", bob, api.MemberQuery{Project: "vision", Workspace: "acme.lab"}))(t)
	s.refused(start(bob, "acme.lab"), 404, "not_found")
}

// The values of a job's environment are for who may run in its project; others who see
// the job see the names.
func TestTheEnvironmentOfAJob(t *testing.T) {
	s := newRealm(t)
	ada, eve, dev := s.user("ada"), s.user("eve"), s.user("dev")
	o := s.organization("acme", ada)
	s.member(o.ID, eve, "", org.Viewer)
	s.member(o.ID, dev, "", org.Viewer)
	s.member(o.ID, dev, "vision", org.Developer)
	ctx := t.Context()
	env := map[string]string{"API_KEY": "hunter2"}
	run := func(project string) string {
		return must(s.as(ada).CreateJob(ctx, "acme", api.NewJob{Command: []string{"true"}, Env: env, Project: project, Resources: api.Resources{CPU: "1"}}))(t).ID
	}
	jobs := map[string]string{"vision": run("vision"), "speech": run("speech")}
	see := s.by(s.token(ada, "acme", api.NewToken{Scopes: []string{"see"}}).Secret)
	for name, c := range map[string]struct {
		client *api.Client
		sees   string // the projects whose values
	}{
		"owner": {s.as(ada), "vision speech"}, "viewer": {s.as(eve), ""}, "developer in vision": {s.as(dev), "vision"},
		"operator": {s.Client, "vision speech"}, "a token to see": {see, ""},
	} {
		listed := must(c.client.Jobs(ctx, "acme", api.JobQuery{}))(t)
		for project, id := range jobs {
			want := "map[API_KEY:[redacted]]"
			if strings.Contains(c.sees, project) {
				want = "map[API_KEY:hunter2]"
			}
			i := slices.IndexFunc(listed.Items, func(j api.Job) bool { return j.ID == id })
			for _, got := range []map[string]string{must(c.client.Job(ctx, "acme", id))(t).Env, listed.Items[i].Env} {
				if fmt.Sprint(got) != want {
					t.Errorf("%s sees %v in %s, not %s", name, got, project, want)
				}
			}
		}
	}
}
