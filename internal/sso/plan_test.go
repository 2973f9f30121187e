package sso_test

import (
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/sso"
)

// # Who may not set up a provider changes nothing of the one that there is, not even by
// requiring it, signs in by it still, and can remove it.
func TestAProviderIsKeptFromChanges(t *testing.T) {
	d, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: db.NewTestClock(1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	mayNot := false
	signOn := sso.New(sso.Config{URL: "https://purser.example", Now: d.Clock().Now, May: func(*db.Tx, string) error {
		if mayNot {
			return fault.New(fault.Forbidden, "the plan has none")
		}
		return nil
	}})
	choice := sso.Choice{Issuer: "https://login.example.org", ClientID: "purser", Secret: "s", Role: org.Viewer, Domains: []string{"example.org"}}
	set := func() error {
		return d.Update(t.Context(), func(tx *db.Tx) error {
			_, err := signOn.Set(tx, "org_1", choice)
			return err
		})
	}
	if err := set(); err != nil {
		t.Fatal(err)
	}
	mayNot, choice.IsRequired = true, true
	if err := set(); !fault.Is(err, fault.Forbidden) {
		t.Errorf("required all the same: %v", err)
	}
	err = d.Update(t.Context(), func(tx *db.Tx) error {
		was, err := signOn.Remove(tx, "org_1")
		if was.IsRequired || was.Issuer != choice.Issuer || len(was.Domains) != 1 {
			t.Errorf("%+v", was)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
