package org_test

import (
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

// # Bills go to the billing contact; without one to the owners, those who have been there
// longest first, as far as their addresses are verified.
func TestPayers(t *testing.T) {
	s := open(t)
	o, _ := s.create("acme")
	people := []struct {
		user, role      string
		verified, since int64
	}{{"usr_a", "owner", 1, 30}, {"usr_b", "owner", 1, 20}, {"usr_c", "owner", 0, 10}, {"usr_d", "finance", 1, 5}}
	s.update(func(tx *db.Tx) error {
		for _, p := range people {
			if _, err := tx.Exec(`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ($1, $2, '', '', $3, 1)`,
				p.user, p.user+"@acme.example", p.verified); err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT INTO memberships (organization, user_id, workspace, project, role, created_at) VALUES ($1, $2, '', '', $3, $4)`,
				o.ID, p.user, p.role, p.since); err != nil {
				return err
			}
		}
		return nil
	})
	payers := func(want ...string) {
		t.Helper()
		s.update(func(tx *db.Tx) error {
			got, err := s.orgs.Payers(tx, o.ID)
			if !slices.Equal(got, want) {
				t.Errorf("%v and not %v", got, want)
			}
			return err
		})
	}
	payers("usr_b@acme.example", "usr_a@acme.example")
	s.update(func(tx *db.Tx) error {
		_, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{BillingEmail: pointer("bills@acme.example")})
		return err
	})
	payers("bills@acme.example")
}
