package org

import (
	"slices"

	"github.com/purserhq/purser/internal/fault"
)

// Action is one kind of thing that somebody may or may not do.
type Action string

// The actions: every call of the API needs one of them.
const (
	Operate Action = "run the installation" // grants, prices, policies, freezes, verification, the test clock
	Own     Action = "delete the organization and make owners"
	Manage  Action = "manage members, invitations, projects, settings and the audit log"
	Pay     Action = "manage payment methods, top-ups, plan, billing details and auto top-up"
	Account Action = "see invoices, activities and everybody's usage, and export them"
	Govern  Action = "set tier policies, failover, budgets and reservations"
	Run     Action = "run, change and stop jobs, and see logs, own tokens and own usage"
	See     Action = "see projects and jobs"
	Enter   Action = "use this server" // prices, and who one is: everybody with a credential
)

// Role is what a person is in an organization, or in one project of it.
type Role string

// The roles.
const (
	Owner     Role = "owner"
	Admin     Role = "admin"
	Platform  Role = "platform"
	Developer Role = "developer"
	Finance   Role = "finance"
	Viewer    Role = "viewer"
)

// may is the one table of who may do what. The operator may do everything; what
// is not in the table only the operator may.
var may = map[Action][]Role{
	Own:     {Owner},
	Manage:  {Owner, Admin},
	Pay:     {Owner, Admin, Finance},
	Account: {Owner, Admin, Platform, Finance, Viewer},
	Govern:  {Owner, Admin, Platform},
	Run:     {Owner, Admin, Platform, Developer},
	See:     {Owner, Admin, Platform, Developer, Viewer},
}

// Actor is who asks.
type Actor struct {
	ID       string // of a user or token; operator for the operator
	Operator bool   // runs the installation
	Members  []Membership
}

// Membership is a role in an organization, or in one project of a workspace.
type Membership struct {
	Organization string
	Project      string // "" for all of the organization
	Role         Role
}

// Operator is the actor of the operator's token.
var Operator = Actor{ID: "operator", Operator: true}

// Target is whose things an action is about.
type Target struct {
	Organization string // its id; "" for the installation
	Project      string // "" for what belongs to no project
}

// Can returns nil if the actor may do it, or a fault. A role in a project counts
// for that project alone.
func Can(a Actor, action Action, target Target) error {
	if a.Operator || action == Enter && a.ID != "" {
		return nil
	}
	member := false
	for _, m := range a.Members {
		if m.Organization != target.Organization || target.Organization == "" {
			continue
		}
		member = true
		if (m.Project == "" || m.Project == target.Project) && slices.Contains(may[action], m.Role) {
			return nil
		}
	}
	if !member && target.Organization != "" {
		// Not forbidden: strangers are not told that it exists.
		return fault.New(fault.NotFound, "there is no such organization, or you do not belong to it")
	}
	return fault.New(fault.Forbidden, "this asks for the right to %s; %s", action, whoMay(action))
}

func whoMay(action Action) string {
	roles := may[action]
	if len(roles) == 0 {
		return "only the operator has it"
	}
	text := "the roles that have it are "
	for i, r := range roles {
		switch {
		case i > 0 && i == len(roles)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += string(r)
	}
	return text
}
