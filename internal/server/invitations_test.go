package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/org"
)

func (s *realm) invite(by, organization string, items ...api.NewInvitation) []api.Invitation {
	s.Helper()
	return must(s.as(by).Invite(s.Context(), organization, api.NewInvitations{Items: items}))(s).Items
}

func (s *realm) accept(user, secret string) (api.Invitation, error) {
	return s.as(user).AcceptInvitation(s.Context(), api.Acceptance{Secret: secret})
}

// Several are invited at once, each with a role; the secret is in the mail alone, and
// only whose address it is can use it, once.
func TestInvitations(t *testing.T) {
	s := newRealm(t)
	ada, bob, eve := s.user("ada"), s.user("bob"), s.user("eve")
	s.organization("acme", ada)
	sent := s.invite(ada, "acme", api.NewInvitation{Email: "Bob@Example.org", Role: "developer"},
		api.NewInvitation{Email: "eve@example.org", Role: "viewer", Project: "vision"})
	if len(sent) != 2 || sent[0].Email != "bob@example.org" || sent[0].Status != "pending" || sent[1].Project != "vision" {
		t.Errorf("%+v", sent)
	}
	secret := s.mailed("bob@example.org")[0]
	var stored []string
	s.update(func(tx *db.Tx) (err error) {
		for _, query := range []string{`SELECT secret FROM invitations`, `SELECT COALESCE(command, '') || COALESCE(answer, '') FROM journal`} {
			all, err := db.All(tx, db.Value[string], query)
			if err != nil {
				return err
			}
			stored = append(stored, all...)
		}
		return nil
	})
	if !strings.HasPrefix(secret, org.InvitationPrefix) || len(stored) < 3 || strings.Contains(fmt.Sprint(stored), secret) {
		t.Errorf("the secret %q is kept", secret)
	}
	_, err := s.accept(eve, secret)
	s.refused(err, 404, "not_found")
	_, err = s.accept(bob, secret+"x")
	s.refused(err, 404, "not_found")
	if got := must(s.accept(bob, secret))(t); got.Status != "accepted" || got.AcceptedAt == nil {
		t.Errorf("%+v", got)
	}
	_, err = s.accept(bob, secret)
	s.refused(err, 409, "invitation_closed")
	must(s.as(bob).Flows(t.Context(), "acme", api.FlowQuery{}))(t)
	_, err = s.as(ada).Invite(t.Context(), "acme", api.NewInvitations{Items: []api.NewInvitation{{Email: "bob@example.org", Role: "viewer"}}})
	s.refused(err, 422, "invalid")

	// All or none: one wrong address sends no mail.
	_, err = s.as(ada).Invite(t.Context(), "acme", api.NewInvitations{Items: []api.NewInvitation{
		{Email: "dan@example.org", Role: "viewer"}, {Email: "x y@example.org", Role: "viewer"},
	}})
	if p := s.refused(err, 422, "invalid"); p.Errors[0].Pointer != "/items/1/email" || len(s.mailed("dan@example.org")) != 0 {
		t.Errorf("%+v, %v", p.Errors, s.mailed("dan@example.org"))
	}
	unverified := s.user("dan")
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE users SET verified_at = 0 WHERE id = $1`, unverified)
		return err
	})
	s.invite(ada, "acme", api.NewInvitation{Email: "dan@example.org", Role: "viewer"})
	_, err = s.accept(unverified, s.mailed("dan@example.org")[0])
	s.refused(err, 404, "not_found")
}

// An invitation ends: revoked, sent again, replaced, or after seven days.
func TestInvitationsEnd(t *testing.T) {
	s := newRealm(t)
	ada, bob, adm := s.user("ada"), s.user("bob"), s.user("adm")
	o := s.organization("acme", ada)
	s.member(o.ID, adm, "", org.Admin)
	ctx, bobs := t.Context(), "bob@example.org"
	_, err := s.as(adm).Invite(ctx, "acme", api.NewInvitations{Items: []api.NewInvitation{{Email: bobs, Role: "owner"}}})
	s.refused(err, 403, "forbidden")
	asked := s.invite(ada, "acme", api.NewInvitation{Email: bobs, Role: "owner"})[0]
	_, err = s.as(adm).ResendInvitation(ctx, "acme", asked.ID)
	s.refused(err, 403, "forbidden")
	must(s.as(ada).ResendInvitation(ctx, "acme", asked.ID))(t)
	secrets := s.mailed(bobs)
	_, err = s.accept(bob, secrets[0])
	s.refused(err, 404, "not_found")
	must(s.as(adm).RevokeInvitation(ctx, "acme", asked.ID))(t)
	_, err = s.accept(bob, secrets[1])
	s.refused(err, 409, "invitation_closed")
	_, err = s.as(ada).ResendInvitation(ctx, "acme", asked.ID)
	s.refused(err, 409, "invitation_closed")

	asked = s.invite(ada, "acme", api.NewInvitation{Email: bobs, Role: "viewer"})[0]
	s.pass(org.InvitationLife)
	_, err = s.accept(bob, s.mailed(bobs)[2])
	s.refused(err, 409, "invitation_closed")
	list := must(s.as(ada).Invitations(ctx, "acme", api.Page{}))(t).Items
	if len(list) != 2 || list[0].Status != "revoked" || list[1].Status != "expired" {
		t.Errorf("%+v", list)
	}
	must(s.as(ada).ResendInvitation(ctx, "acme", asked.ID))(t)
	must(s.accept(bob, s.mailed(bobs)[3]))(t)
}

// At sign-up all that wait for the address are accepted, and nobody loses a role.
func TestInvitationsAreAcceptedAtSignUp(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	s.organization("acme", ada)
	s.organization("labs", ada)
	s.invite(ada, "acme", api.NewInvitation{Email: "new@example.org", Role: "platform"}, api.NewInvitation{Email: "new@example.org", Role: "viewer", Project: "vision"})
	s.invite(ada, "labs", api.NewInvitation{Email: "new@example.org", Role: "viewer"})
	user := s.user("new")
	s.update(func(tx *db.Tx) error {
		for _, want := range []int{3, 0} {
			got, err := s.orgs.AcceptFor(tx, "New@example.org", user)
			if err != nil || len(got) != want {
				t.Errorf("accepted %d, not %d: %v", len(got), want, err)
			}
		}
		members, err := s.orgs.MembershipsOf(tx, user)
		if len(members) != 3 {
			t.Errorf("%+v", members)
		}
		return err
	})
	s.update(func(tx *db.Tx) error { // asked before he owned it
		made, err := s.orgs.Invite(tx, org.Operator, org.Invitation{Membership: org.Membership{Organization: must(s.Organization(t.Context(), "acme"))(t).ID, Role: org.Viewer}, Email: "late@example.org"})
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE invitations SET email = 'ada@example.org' WHERE id = $1`, made.ID)
		return err
	})
	s.update(func(tx *db.Tx) error { _, err := s.orgs.AcceptFor(tx, "ada@example.org", ada); return err })
	if me := must(s.as(ada).Whoami(t.Context(), api.WhoamiQuery{Workspace: "acme"}))(t); me.Role != "owner" {
		t.Errorf("the owner became %s", me.Role)
	}
}

// One invitation that is accepted twice at the same instant is accepted once.
func TestAnInvitationIsAcceptedOnce(t *testing.T) {
	s := servers(t)
	ada := s[0].user("ada")
	for i := range 8 {
		slug, name := fmt.Sprint("acme-", i), fmt.Sprint("bob", i)
		s[0].organization(slug, ada)
		bob := s[0].user(name)
		s[0].invite(ada, slug, api.NewInvitation{Email: name + "@example.org", Role: "viewer"})
		secret := s[0].mailed(name + "@example.org")[0]
		errs := both(func() error { _, err := s[0].accept(bob, secret); return err }, func() error { _, err := s[1].accept(bob, secret); return err })
		if errs[0] != nil {
			t.Fatalf("not accepted: %v, %v", errs[0], errs[1])
		}
		s[0].refused(errs[1], 409, "invitation_closed")
	}
	if dbtest.IsPostgres() && s[0].db == s[1].db {
		t.Error("this was one server")
	}
}

// Nobody's mailbox is flooded: an address is invited a few times, whichever organizations
// ask, and then waits longer and longer; so does an organization that asks many. Nothing of
// what is refused is sent, and the answer says when again.
func TestInvitationsAreLimited(t *testing.T) {
	s := newRealm(t)
	ada, bob, bobs := s.user("ada"), s.user("bob"), "victim@example.org"
	s.organization("acme", ada)
	s.organization("labs", bob)
	ctx := t.Context()
	asked := s.invite(ada, "acme", api.NewInvitation{Email: bobs, Role: "viewer"})[0]
	var waits []int64
	for range 8 {
		_, err := s.as(ada).ResendInvitation(ctx, "acme", asked.ID)
		if err == nil {
			continue
		}
		wait := int64(s.refused(err, 429, "too_many_attempts").Values["retry_after_seconds"].(float64))
		waits = append(waits, wait)
		s.pass(wait * int64(time.Second))
	}
	if fmt.Sprint(waits) != "[1 2]" || len(s.mailed(bobs)) != 7 {
		t.Errorf("waits %v, %d mails", waits, len(s.mailed(bobs)))
	}
	again := func(by, organization, email string) error {
		_, err := s.as(by).Invite(ctx, organization, api.NewInvitations{Items: []api.NewInvitation{{Email: email, Role: "viewer"}}})
		return err
	}
	s.refused(again(bob, "labs", " Victim@example.org"), 429, "too_many_attempts")
	if err := again(bob, "labs", "else@example.org"); err != nil {
		t.Error(err)
	}
	must(s.Invite(ctx, "labs", api.NewInvitations{Items: []api.NewInvitation{{Email: bobs, Role: "viewer"}}}))(t) // the operator may

	for i := range 10 {
		var many api.NewInvitations
		for j := range 50 {
			many.Items = append(many.Items, api.NewInvitation{Email: fmt.Sprintf("p%d-%d@example.org", i, j), Role: "viewer"})
		}
		if _, err := s.as(bob).Invite(ctx, "labs", many); err != nil {
			t.Fatal(err)
		}
	}
	s.refused(again(bob, "labs", "one-more@example.org"), 429, "too_many_attempts")
	if err := again(ada, "acme", "one-more@example.org"); err != nil {
		t.Error(err)
	}
	s.pass(int64(15 * time.Minute))
	if err := again(bob, "labs", "one-more@example.org"); err != nil {
		t.Error(err)
	}
}
