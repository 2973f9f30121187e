package org_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// Who may do what, as a person would write it down.
const roles = `
| may | owner | admin | platform | developer | finance | viewer |
| delete the organization, make owners | yes | | | | | |
| members, invitations, projects, settings, audit log | yes | yes | | | | |
| payment methods, top-ups, plan, billing details, auto top-up | yes | yes | | | yes | |
| invoices, activities, usage of everybody, exports | yes | yes | yes | | yes | yes |
| tier policies, failover, budgets, reservations | yes | yes | yes | | | |
| run, change and stop jobs, logs, own tokens, own usage | yes | yes | yes | yes | | |
| see projects and jobs | yes | yes | yes | yes | | yes |`

var actions = []org.Action{org.Own, org.Manage, org.Pay, org.Account, org.Govern, org.Run, org.See}

func cells(line string) []string {
	parts := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func TestTheTableOfRoles(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(roles), "\n")
	if len(lines) != len(actions)+1 {
		t.Fatalf("%d lines for %d actions", len(lines), len(actions))
	}
	header := cells(lines[0])
	for i, line := range lines[1:] {
		row := cells(line)
		for j, role := range header[1:] {
			person := org.Actor{ID: "usr_1", Members: []org.Membership{{Organization: "org_1", Role: org.Role(role)}}}
			err := org.Can(person, actions[i], org.Target{Organization: "org_1"})
			if want := row[j+1] == "yes"; (err == nil) != want {
				t.Errorf("may %s %q: %v, want %v", role, row[0], err, want)
			}
			if err := org.Can(person, actions[i], org.Target{Organization: "org_2"}); !fault.Is(err, fault.NotFound) {
				t.Errorf("a stranger who is %s may %q: %v", role, row[0], err)
			}
			if err := org.Can(person, org.Operate, org.Target{Organization: "org_1"}); !fault.Is(err, fault.Forbidden) {
				t.Errorf("the %s may operate: %v", role, err)
			}
		}
	}
}

func TestTheOperatorMayEverything(t *testing.T) {
	for _, action := range append(actions, org.Operate) {
		for _, target := range []org.Target{{}, {Organization: "org_1"}, {Organization: "org_1", Project: "p"}} {
			if err := org.Can(org.Operator, action, target); err != nil {
				t.Errorf("%s: %v", action, err)
			}
			if err := org.Can(org.Actor{ID: "usr_1"}, action, target); err == nil {
				t.Errorf("nobody in particular may %s", action)
			}
		}
	}
}

func TestARoleInAProjectCountsThereOnly(t *testing.T) {
	a := org.Actor{ID: "usr_1", Members: []org.Membership{{Organization: "org_1", Workspace: "ws_1", Project: "vision", Role: org.Developer}}}
	if err := org.Can(a, org.Run, org.Target{Organization: "org_1", Workspace: "ws_1", Project: "vision"}); err != nil {
		t.Error(err)
	}
	for _, workspace := range []string{"", "ws_2"} {
		if err := org.Can(a, org.Run, org.Target{Organization: "org_1", Workspace: workspace, Project: "vision"}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("in the project of that name in workspace %q: %v", workspace, err)
		}
	}
	for _, project := range []string{"", "speech"} {
		err := org.Can(a, org.Run, org.Target{Organization: "org_1", Workspace: "ws_1", Project: project})
		if !fault.Is(err, fault.Forbidden) || !strings.HasSuffix(err.Error(), "owner, admin, platform and developer") {
			t.Errorf("in project %q: %v", project, err)
		}
	}
}
