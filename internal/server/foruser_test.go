package server_test

import (
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/org"
)

// What somebody starts or reports counts as his own, so that the budget of a user holds
// and nobody spends a colleague's. Who governs or manages, and the operator, may say whose
// it is: an orchestrator and a metering system work for others.
func TestWhoMayNameAnotherUser(t *testing.T) {
	s := newRealm(t)
	ada, eve, dev := s.user("ada"), s.user("eve"), s.user("dev")
	o := s.organization("acme", ada)
	s.member(o.ID, eve, "", org.Platform)
	s.member(o.ID, dev, "", org.Developer)
	for name, c := range map[string]struct {
		client *api.Client
		own    string
		may    bool
	}{
		"the owner":                 {s.as(ada), ada, true},
		"platform":                  {s.as(eve), eve, true},
		"developer":                 {s.as(dev), dev, false},
		"the operator":              {s.Client, "", true},
		"a token of the owner":      {s.by(s.token(ada, "acme", api.NewToken{Scopes: []string{"run"}}).Secret), ada, false},
		"a token that may govern":   {s.by(s.token(eve, "acme", api.NewToken{Scopes: []string{"run", "govern"}}).Secret), eve, true},
		"a token that may manage":   {s.by(s.token(ada, "acme", api.NewToken{Scopes: []string{"run", "manage"}}).Secret), ada, true},
		"a token of the developer":  {s.by(s.token(dev, "acme", api.NewToken{Scopes: []string{"run"}}).Secret), dev, false},
		"a token for one workspace": {s.by(s.token(ada, "acme", api.NewToken{Scopes: []string{"run", "govern"}, Workspace: "acme"}).Secret), ada, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, named := range []string{"", c.own, "usr_colleague"} {
				want, isRefused := c.own, false
				if named == "usr_colleague" {
					want, isRefused = named, !c.may
				}
				s.counts(t, name, c.client, named, want, isRefused, c.may)
			}
		})
	}
}

// counts starts and reports something as a user, and looks whose it is.
func (s *realm) counts(t *testing.T, name string, c *api.Client, named, want string, isRefused, mayName bool) {
	t.Helper()
	ctx := t.Context()
	item := []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}
	flow, err := c.StartFlow(ctx, "acme", api.NewFlow{User: named, Items: item})
	s.isOf(t, flow.User, err, want, isRefused)
	hold, err := c.CreateHold(ctx, "acme", api.NewHold{User: named, Amount: "0.1", TTLSeconds: 60})
	s.isOf(t, hold.User, err, want, isRefused)
	job, err := c.CreateJob(ctx, "acme", api.NewJob{User: named, Command: []string{"true"}, Resources: api.Resources{CPU: "1"}})
	s.isOf(t, job.User, err, want, isRefused)

	verdicts := must(c.ReportUsage(ctx, "acme", []api.UsageEvent{{
		SpecVersion: "1.0", ID: name + " for " + named, Source: "test", Type: "usage", Data: api.UsageData{SKU: "network.egress", Quantity: "1", User: named},
	}}))(t)
	v := verdicts.Items[0]
	if isRefused {
		if v.Status != "rejected" || v.Code != "other_user" || v.Pointer != "/data/user" {
			t.Errorf("the event has the verdict %+v", v)
		}
		return
	}
	charge := must(s.Charge(ctx, "acme", v.Charge))(t)
	if named == "" && mayName {
		want = "" // of a metering system for all
	}
	if charge.User != want {
		t.Errorf("an event that names %q counts as %q", named, charge.User)
	}
}

func (s *realm) isOf(t *testing.T, user string, err error, want string, isRefused bool) {
	t.Helper()
	if isRefused {
		refused(t, err, 403, "other_user")
	} else if err != nil || user != want {
		t.Errorf("of %q (%v), not of %q", user, err, want)
	}
}
