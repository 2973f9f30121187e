package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// InvitationPath names an invitation.
type InvitationPath struct {
	OrganizationPath
	Invitation string `path:"invitation" maxLength:"60"`
}

func (s *Server) invitationCalls() {
	command(s, call{
		id: "create-invitations", method: "POST", path: "/v1/organizations/{organization}/invitations", tag: tagPeople,
		action: org.Manage, status: 201, summary: "Ask people to join an organization",
		description: "Each gets a mail with a link that is good for seven days. Only owners invite owners.",
	}, invite)
	query(s, call{
		id: "list-invitations", method: "GET", path: "/v1/organizations/{organization}/invitations", tag: tagPeople,
		action: org.Manage, summary: "List invitations, the oldest first",
	}, listInvitations)
	command(s, call{
		id: "resend-invitation", method: "POST", path: "/v1/organizations/{organization}/invitations/{invitation}/resend", tag: tagPeople,
		action: org.Manage, optional: true, summary: "Mail an invitation again",
		description: "With another link, good for seven days; the one before is good no more.",
	}, func(u *unit, p *InvitationPath, _ *none) (api.Invitation, error) {
		i, err := u.orgs.Waiting(u.tx, u.id.Organization, p.Invitation)
		if err == nil {
			err = u.limitInvitations(i.Email)
		}
		if err == nil {
			i, err = u.orgs.Resend(u.tx, u.actor, u.id.Organization, p.Invitation)
		}
		if err != nil {
			return api.Invitation{}, err
		}
		return u.mailed(i)
	})
	command(s, call{
		id: "revoke-invitation", method: "DELETE", path: "/v1/organizations/{organization}/invitations/{invitation}", tag: tagPeople,
		action: org.Manage, optional: true, summary: "Take an invitation back",
	}, func(u *unit, p *InvitationPath, _ *none) (api.Invitation, error) {
		i, err := u.orgs.RevokeInvitation(u.tx, u.id.Organization, p.Invitation)
		return invitationOnWire(i, u.tx.Now()), err
	})
	command(s, call{
		id: "accept-invitation", method: "POST", path: "/v1/invitations/accept", tag: tagPeople, action: org.Enter, repeatable: true,
		summary: "Join an organization by an invitation", description: "For whoever is signed in with the address that was invited, verified.",
	}, func(u *unit, _ *none, b *api.Acceptance) (api.Invitation, error) {
		user, err := u.actor.Person("accept an invitation")
		if err != nil {
			return api.Invitation{}, err
		}
		i, err := u.orgs.Accept(u.tx, user, b.Secret)
		u.id.Organization = i.Organization // in whose log it stands
		return invitationOnWire(i, u.tx.Now()), err
	})
}

func invite(u *unit, _ *OrganizationPath, b *api.NewInvitations) (out api.Invitations, err error) {
	out.Items = []api.Invitation{}
	emails := make([]string, len(b.Items))
	for i, n := range b.Items {
		emails[i] = n.Email
	}
	if err := u.limitInvitations(emails...); err != nil {
		return out, err
	}
	for i, n := range b.Items {
		in, err := u.place(n.Workspace, n.Project)
		if err != nil {
			return out, fault.Under(at("/items", i), err)
		}
		in.Role = org.Role(n.Role)
		made, err := u.orgs.Invite(u.tx, u.actor, org.Invitation{Membership: in, Email: n.Email})
		if err != nil {
			return out, fault.Under(at("/items", i), err)
		}
		sent, err := u.mailed(made)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, sent)
	}
	return out, nil
}

// limitInvitations refuses if an address is asked too often, or the organization asks too
// many. The operator may.
func (u *unit) limitInvitations(emails ...string) error {
	if u.actor.Operator {
		return nil
	}
	return u.accounts.LimitInvitations(u.tx, u.id.Organization, emails)
}

// mailed sends the secret of an invitation to whom it is for. It stands behind the #
// of the link, which browsers send to nobody, and in no answer.
func (u *unit) mailed(i org.Invitation) (api.Invitation, error) {
	o, err := u.orgs.Organization(u.tx, i.Organization)
	if err != nil {
		return api.Invitation{}, err
	}
	err = u.mails.Put(u.tx, mail.Message{
		Organization: o.ID, To: i.Email, Template: "invitation",
		Data: map[string]string{
			"organization": o.Name, "role": string(i.Role), "project": i.Project, "link": u.url + "/invitation#" + i.Secret,
			"expires_at": string(api.At(i.ExpiresAt)),
		},
	})
	return invitationOnWire(i, u.tx.Now()), err
}

func listInvitations(r *reading, p *struct {
	OrganizationPath
	api.Page
}) (list api.List[api.Invitation], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, after string) (list api.List[api.Invitation], err error) {
		found, err := r.orgs.Invitations(tx, r.id.Organization, after, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(i org.Invitation) string { return i.ID },
			func(i org.Invitation) (api.Invitation, error) { return invitationOnWire(i, r.now()), nil })
	})
}

func invitationOnWire(i org.Invitation, now int64) api.Invitation {
	return api.Invitation{
		ID: i.ID, Organization: i.Organization, Email: i.Email, Role: string(i.Role), Workspace: i.Workspace, Project: i.Project, Status: i.Status(now),
		InvitedBy: i.InvitedBy, CreatedAt: api.At(i.CreatedAt), ExpiresAt: api.At(i.ExpiresAt), AcceptedAt: api.AtOrNull(i.AcceptedAt),
	}
}
