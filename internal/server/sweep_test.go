package server_test

import (
	"fmt"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

const days = int64(86_400_000_000_000)

func (s *realm) sweep() {
	s.Helper()
	if err := account.New(account.Config{}).Sweep(s.Context(), s.db); err != nil {
		s.Fatal(err)
	}
	if err := s.orgs.Sweep(s.Context(), s.db); err != nil {
		s.Fatal(err)
	}
}

// rows counts rows: "table WHERE condition".
func (s *realm) rows(of string) (n int64) {
	s.Helper()
	s.update(func(tx *db.Tx) error { return tx.QueryRow(`SELECT COUNT(*) FROM ` + of).Scan(&n) })
	return n
}

// Accounts that nobody has verified are forgotten with all that they have, after a week
// and unless a link for them waits; verified ones are not, nor what is still good.
func TestUnverifiedAccountsAreForgotten(t *testing.T) {
	s := newRealm(t)
	kept := s.user("verified")
	now := s.clock.Now()
	s.update(func(tx *db.Tx) error {
		for i := range 250 { // more than are forgotten at once
			if _, err := tx.Exec(`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ($1, $1, '', '', 0, $2)`, fmt.Sprintf("usr_%03d", i), now); err != nil {
				return err
			}
		}
		for _, statement := range []string{
			`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ('usr_waits', 'w', '', '', 0, $1)`,
			`INSERT INTO mailed_links (digest, user_id, purpose, email, password, expires_at) VALUES ('a', 'usr_waits', '', '', '', $1 + 777600000000000), ('b', 'usr_001', '', '', '', $1 + 1)`,
			`INSERT INTO sessions (id, digest, user_id, kind, agent, address, created_at, used_at, expires_at) VALUES
				('1', '1', 'usr_001', '', '', '', 1, 1, $1 + 777600000000000), ('2', '2', 'usr_verified', '', '', '', 1, 1, $1 + 777600000000000), ('3', '3', 'usr_verified', '', '', '', 1, 1, $1)`,
			`INSERT INTO familiar_addresses (user_id, address, seen_at) VALUES ('usr_001', '', $1), ('usr_verified', '', $1)`,
			`INSERT INTO authenticators (user_id, secret, step, confirmed_at) VALUES ('usr_001', '', 0, $1), ('usr_verified', '', 0, $1)`,
			`INSERT INTO recovery_codes (user_id, digest) VALUES ('usr_001', 'x')`,
			`INSERT INTO device_codes (digest, user_code, user_id, agent, address, expires_at) VALUES ('1', '1', 'usr_001', '', '', $1 + 777600000000000), ('2', '2', '', '', '', $1)`,
			`INSERT INTO attempts (subject, failures, tried_at, retry_at) VALUES ('a', 1, $1, 0), ('b', 1, $1 + 604800000000000, 0)`,
		} {
			args := []any{now}
			if statement[:27] == `INSERT INTO recovery_codes ` {
				args = nil
			}
			if _, err := tx.Exec(statement, args...); err != nil {
				return err
			}
		}
		return nil
	})
	s.pass(7 * days)
	s.sweep()
	if n := s.rows("users WHERE verified_at = 0"); n != 251 {
		t.Errorf("after a week to the nanosecond %d wait", n)
	}
	s.pass(1)
	s.sweep()
	for of, want := range map[string]int64{
		"users": 2, "users WHERE id = '" + kept + "'": 1, "users WHERE id = 'usr_waits'": 1, "mailed_links": 1, "sessions": 1, "familiar_addresses": 1,
		"authenticators": 1, "recovery_codes": 0, "device_codes": 0, "attempts": 1,
	} {
		if n := s.rows(of); n != want {
			t.Errorf("%d %s, not %d", n, of, want)
		}
	}
	s.pass(2 * days)
	s.sweep()
	if n := s.rows("users"); n != 1 {
		t.Errorf("%d users", n)
	}
}

// Invitations and tokens that have ended are forgotten, and with a token its budgets, but
// for one by which something runs.
func TestWhatHasEndedIsForgotten(t *testing.T) {
	s := newRealm(t)
	ada, bob := s.user("ada"), s.user("bob")
	s.organization("acme", ada)
	ctx := t.Context()
	s.invite(ada, "acme", api.NewInvitation{Email: "bob@example.org", Role: "viewer"}, api.NewInvitation{Email: "x@example.org", Role: "viewer"})
	must(s.accept(bob, s.mailed("bob@example.org")[0]))(t)
	budget := &api.TokenBudget{Amount: "500", Window: "total", Hard: true}
	revoked := s.token(ada, "acme", api.NewToken{Budget: budget})
	runs := s.token(ada, "acme", api.NewToken{Budget: budget})
	expires := s.token(ada, "acme", api.NewToken{Budget: budget, ExpiresAt: api.At(s.clock.Now() + days)})
	good := s.token(ada, "acme", api.NewToken{Budget: budget})
	rotated := must(s.as(ada).RotateToken(ctx, "acme", good.ID, api.Rotation{OverlapSeconds: 60}))(t)
	flow := must(s.by(runs.Secret).StartFlow(ctx, "acme", api.NewFlow{Items: []api.NewItem{{SKU: "cpu.vcpu", Quantity: "1"}}}))(t)
	must(s.as(ada).RevokeToken(ctx, "acme", revoked.ID))(t)
	must(s.as(ada).RevokeToken(ctx, "acme", runs.ID))(t)
	look := func(when string, invitations, tokens, hashes int64, budgets int) {
		t.Helper()
		s.sweep()
		listed := must(s.Budgets(ctx, "acme"))(t)
		if i, n, h := s.rows("invitations"), s.rows("tokens"), s.rows("token_hashes"); i != invitations || n != tokens || h != hashes || len(listed.Items) != budgets {
			t.Errorf("%s: %d invitations, %d tokens with %d digests, %d budgets", when, i, n, h, len(listed.Items))
		}
	}
	look("at once", 2, 4, 3, 4)
	s.pass(30*days + 1)
	look("after 30 days", 2, 3, 2, 3) // the revoked one has gone; one has expired 29 days ago, one runs
	if _, err := s.by(expires.Secret).Balance(ctx, "acme"); err == nil {
		t.Error("it has not expired")
	}
	s.pass(days)
	look("after 31 days", 2, 2, 1, 2)
	must(s.StopFlow(ctx, "acme", flow.ID, api.FlowStop{}))(t)
	s.pass(66*days + 1) // and the 7 in which an invitation is good
	look("after 97 days", 0, 1, 1, 1)
	must(s.by(rotated.Secret).Balance(ctx, "acme"))(t)
	if report := must(s.Verify(ctx, api.VerifyRequest{}))(t); !report.OK {
		t.Errorf("%+v", report.Differences)
	}
}

// What an organization leaves behind that is deleted ends, and is forgotten with the rest.
func TestAnArchivedOrganizationIsSwept(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	must(s.as(ada).CreateOrganization(t.Context(), api.NewOrganization{Slug: "acme"}))(t)
	s.token(ada, "acme", api.NewToken{})
	s.invite(ada, "acme", api.NewInvitation{Email: "x@example.org", Role: string(org.Viewer)})
	must(s.as(ada).DeleteOrganization(t.Context(), "acme"))(t)
	s.pass(30*days + 1)
	s.sweep()
	for _, table := range []string{"tokens", "token_hashes", "invitations", "memberships"} {
		if n := s.rows(table); n != 0 {
			t.Errorf("%d %s", n, table)
		}
	}
}
