package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

// MemberPath names a member.
type MemberPath struct {
	OrganizationPath
	User string `path:"user" maxLength:"60" doc:"The id of a person."`
}

func (s *Server) memberCalls() {
	query(s, call{
		id: "list-members", method: "GET", path: "/v1/organizations/{organization}/members", tag: tagPeople, action: org.Manage,
		summary: "List who belongs to an organization", description: "With a line for each role, in all of it or in a project.",
	}, listMembers)
	command(s, call{
		id: "change-role", method: "PATCH", path: "/v1/organizations/{organization}/members/{user}", tag: tagPeople,
		action: org.Manage, summary: "Give a member another role, or one in a project",
		description: "Only owners make and unmake owners; the last one stays.",
	}, func(u *unit, p *MemberPath, b *api.NewRole) (api.Member, error) {
		in, err := u.place(b.Workspace, b.Project)
		if err != nil {
			return api.Member{}, err
		}
		in.Role = org.Role(b.Role)
		if was, err := u.orgs.Member(u.tx, p.User, in); err == nil { // else it is a new role, or refused
			u.before = memberOnWire(was)
		}
		m, err := u.orgs.SetRole(u.tx, u.actor, p.User, in)
		return memberOnWire(m), err
	})
	command(s, call{
		id: "remove-member", method: "DELETE", path: "/v1/organizations/{organization}/members/{user}", tag: tagPeople,
		action: org.Manage, optional: true, summary: "Take a member out of an organization, or out of one project",
		description: "With the organization go the member's tokens. What runs goes on.",
	}, func(u *unit, p *struct {
		MemberPath
		api.MemberQuery
	}, _ *none) (api.Member, error) {
		in, err := u.place(p.Workspace, p.Project)
		if err != nil {
			return api.Member{}, err
		}
		m, err := u.orgs.Remove(u.tx, u.actor, p.User, in)
		u.before = memberOnWire(m)
		return memberOnWire(m), err
	})
	command(s, call{
		id: "leave-organization", method: "POST", path: "/v1/organizations/{organization}/leave", tag: tagPeople, action: org.Enter,
		optional: true, summary: "Leave an organization", description: "For whoever is signed in and belongs to it. The last owner cannot.",
	}, func(u *unit, _ *OrganizationPath, _ *none) (api.Member, error) {
		m, err := u.orgs.Leave(u.tx, u.actor, u.id.Organization)
		u.before = memberOnWire(m)
		return memberOnWire(m), err
	})
	command(s, call{
		id: "transfer-ownership", method: "POST", path: "/v1/organizations/{organization}/transfer-ownership", tag: tagPeople,
		action: org.Own, summary: "Make another member owner in one's own place", description: "Who hands over stays as admin.",
	}, func(u *unit, _ *OrganizationPath, b *api.HandOver) (api.Member, error) {
		m, err := u.orgs.HandOver(u.tx, u.actor, u.id.Organization, b.User)
		return memberOnWire(m), err
	})
}

// place is where a role is: in all of the organization, or in a project of a workspace, of
// the default one if none is named.
func (u *unit) place(workspace, project string) (org.Membership, error) {
	in := org.Membership{Organization: u.id.Organization, Project: project}
	if project == "" {
		if workspace != "" {
			return in, fault.At("/workspace", "holds the project of a role: name that too, or leave both out")
		}
		return in, nil
	}
	w, err := u.workspaceIn(workspace)
	in.Workspace = w.Workspace
	return in, err
}

// workspaceIn is a workspace of the organization, the default one for "".
func (u *unit) workspaceIn(name string) (ledger.ID, error) {
	if name == "" {
		o, err := u.orgs.Organization(u.tx, u.id.Organization)
		if err != nil {
			return ledger.ID{}, err
		}
		name = o.Slug
	}
	w, err := u.orgs.Workspace(u.tx, name)
	if fault.Is(err, fault.NotFound) || err == nil && w.Organization != u.id.Organization {
		return ledger.ID{}, fault.At("/workspace", "there is no workspace %.80q in this organization", name)
	}
	return w.Wallet(), err
}

func listMembers(r *reading, p *struct {
	OrganizationPath
	api.Page
}) (list api.List[api.Member], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, after string) (list api.List[api.Member], err error) {
		found, err := r.orgs.Members(tx, r.id.Organization, after, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, org.Member.Key, func(m org.Member) (api.Member, error) { return memberOnWire(m), nil })
	})
}

func memberOnWire(m org.Member) api.Member {
	return api.Member{User: m.User, Email: m.Email, Name: m.Name, Role: string(m.Role), Workspace: m.Workspace, Project: m.Project, CreatedAt: api.At(m.CreatedAt)}
}
