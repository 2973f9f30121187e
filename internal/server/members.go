package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
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
		if was, err := u.orgs.Member(u.tx, u.id.Organization, p.User, b.Project); err == nil { // else it is a new role, or refused
			u.before = memberOnWire(was)
		}
		m, err := u.orgs.SetRole(u.tx, u.actor, u.id.Organization, p.User, b.Project, org.Role(b.Role))
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
		m, err := u.orgs.Remove(u.tx, u.actor, u.id.Organization, p.User, p.Project)
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

func listMembers(r *reading, p *struct {
	OrganizationPath
	api.Page
}) (list api.List[api.Member], err error) {
	after, err := cursorText(p.Cursor)
	if err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		found, err := r.orgs.Members(tx, r.id.Organization, after, p.Limit+1)
		if err != nil {
			return err
		}
		list, err = page(found, p.Limit, org.Member.Key, func(m org.Member) (api.Member, error) { return memberOnWire(m), nil })
		return err
	})
	return list, err
}

func memberOnWire(m org.Member) api.Member {
	return api.Member{User: m.User, Email: m.Email, Name: m.Name, Role: string(m.Role), Project: m.Project, CreatedAt: api.At(m.CreatedAt)}
}
