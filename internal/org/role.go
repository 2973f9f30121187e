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

// names are the short names of the actions that a token can be for.
var names = map[Action]string{
	Own: "own", Manage: "manage", Pay: "pay", Account: "account", Govern: "govern", Run: "run", See: "see",
}

// Name is the short name of an action; "" for one that no token can be for.
func (a Action) Name() string { return names[a] }

// ActionNamed is the action of a short name; "" if there is none.
func ActionNamed(name string) Action {
	for a, n := range names {
		if n == name {
			return a
		}
	}
	return ""
}

// Actor is who asks.
type Actor struct {
	ID       string // of a user or token; operator for the operator
	Operator bool   // runs the installation
	Members  []Membership
	Token    *Token // by which the actor is known; nil for a person who is signed in
}

// User is the id of the person who asks, or whose token it is; "" for the operator.
func (a Actor) User() string {
	switch {
	case a.Operator:
		return ""
	case a.Token != nil:
		return a.Token.User
	}
	return a.ID
}

// Project is the project that the actor's work counts as if it names none.
func (a Actor) Project() string {
	if a.Token == nil {
		return ""
	}
	return a.Token.Project
}

// RoleIn is the role of the actor in an organization, or, if he has none in all of it,
// in the project of a workspace; "" if he does not belong to it, and "member" if only to
// other projects.
func (a Actor) RoleIn(organization, workspace, project string) (role string) {
	if a.Operator {
		return a.ID
	}
	for _, m := range a.Members {
		switch {
		case m.Organization != organization:
		case m.Project == "":
			return string(m.Role)
		case m.Workspace == workspace && m.Project == project:
			role = string(m.Role)
		case role == "":
			role = "member"
		}
	}
	return role
}

// MayInProject reports whether the actor may do it in some project at least.
func (a Actor) MayInProject(action Action, target Target) bool {
	return slices.ContainsFunc(a.Members, func(m Membership) bool {
		return m.Project != "" && CanInProject(a, action, target, m.Project) == nil
	})
}

// CanInProject is [Can] for what is in a project. What is in no workspace, as the tokens of
// a person, counts as in every workspace in which the actor has a role in a project of that name.
func CanInProject(a Actor, action Action, target Target, project string) error {
	target.Project = project
	for _, m := range a.Members {
		if target.Workspace == "" && m.Organization == target.Organization && m.Project == project {
			in := target
			in.Workspace = m.Workspace
			if Can(a, action, in) == nil {
				return nil
			}
		}
	}
	return Can(a, action, target)
}

// Membership is a role in an organization, or in one project of a workspace.
type Membership struct {
	Organization string
	Workspace    string // of the project, its id; "" for all of the organization
	Project      string // "" for all of the organization
	Role         Role
	NeedsSSO     bool // it is not good for a session that began in another way
}

// Operator is the actor of the operator's token.
var Operator = Actor{ID: "operator", Operator: true}

// Target is whose things an action is about.
type Target struct {
	Organization string // its id; "" for the installation
	Workspace    string // its id; "" for what belongs to none
	Project      string // of the workspace; "" for what belongs to no project
}

// Stranger is what somebody is told about an organization to which he does not
// belong, and about one that does not exist: the same, so that he cannot tell.
func Stranger() error {
	return fault.New(fault.NotFound, "there is no such organization or workspace, or you do not belong to it")
}

// Can returns nil if the actor may do it, or a fault. A role in a project counts
// for that project of its workspace alone.
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
		if m.NeedsSSO {
			return fault.New(fault.Forbidden, "this organization asks its members to sign in by its single sign-on: log in that way").
				WithCode("sso_required")
		}
		if (m.Project == "" || m.Project == target.Project && m.Workspace == target.Workspace) && slices.Contains(may[action], m.Role) {
			return a.Token.admits(action, target)
		}
	}
	if !member && target.Organization != "" {
		return Stranger()
	}
	return fault.New(fault.Forbidden, "this asks for the right to %s; %s", action, whoMay(action))
}

// admits refuses what a token is not for, though whoever made it may do it.
func (t *Token) admits(action Action, target Target) error {
	switch {
	case t == nil:
		return nil
	case !slices.Contains(t.Scopes, action):
		return fault.New(fault.Forbidden, "this token is not for that: it has no scope %q; make one that has", action.Name())
	case t.Workspace != "" && t.Workspace != target.Workspace:
		return fault.New(fault.Forbidden, "this token is for one workspace only, and this is not in it")
	}
	return nil
}

// ForUser is for whom the actor starts something: the user that is named, or himself.
// Budgets of users count what is said of them, so that only the operator and those who
// govern or manage, for whom others work, name anybody else.
func ForUser(a Actor, named string, target Target) (string, error) {
	if named == "" || named == a.User() {
		return a.User(), nil
	}
	if MayNameUsers(a, target) {
		return named, nil
	}
	f := fault.New(fault.Forbidden, "what you start or report counts as yours: leave the user out; to name another asks for the right to %s, or to %s",
		Govern, Manage).WithCode("other_user")
	f.Fields = []fault.Field{{Pointer: "/user", Message: "names another user"}}
	return "", f
}

// MayNameUsers reports whether what the actor starts or reports may count as another user's.
func MayNameUsers(a Actor, target Target) bool {
	return Can(a, Govern, target) == nil || Can(a, Manage, target) == nil
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
