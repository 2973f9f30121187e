package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

func (s *Server) whoamiCalls() {
	query(s, call{
		id: "whoami", method: "GET", path: "/v1/whoami", tag: tagServer, action: org.Enter,
		summary: "See as whom, and on whose account, a request is made",
	}, whoami)
	query(s, call{
		id: "version", method: "GET", path: "/v1/version", tag: tagServer,
		summary: "See what the server is", description: "Needs no token.",
	}, func(r *reading, _ *none) (api.Version, error) { return r.version, nil })
}

func whoami(r *reading, p *api.WhoamiQuery) (out api.Whoami, err error) {
	name := p.Workspace
	if name == "" {
		name = org.Default
	}
	out = api.Whoami{
		Server: r.version.Version, User: r.actor.ID, Role: r.actor.ID, Project: p.Project,
		Now: api.At(r.db.Clock().Now()), Clock: r.clockKind(),
	}
	err = r.view(func(tx *db.Tx) error {
		if !r.actor.Operator {
			if err := r.whoIs(tx, &out); err != nil {
				return err
			}
		}
		w, err := r.orgs.Workspace(tx, name)
		if r.isHidden(w, err) {
			if p.Workspace == "" || p.Workspace == org.Default {
				return nil // nobody pays yet
			}
			return fault.New(fault.NotFound, "there is no workspace %.80q, or you do not belong to its organization", name)
		}
		if err != nil {
			return err
		}
		o, err := r.orgs.Organization(tx, w.Organization)
		out.Organization, out.Workspace, out.WorkspaceID = o.Slug, w.Address, w.ID
		if !r.actor.Operator {
			out.Role = r.roleIn(w.Organization)
		}
		return err
	})
	return out, err
}

// whoIs adds who the person is. A token for programs may be of nobody.
func (r *reading) whoIs(tx *db.Tx, out *api.Whoami) error {
	out.Role = ""
	u, err := r.accounts.User(tx, r.actor.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	out.Email, out.Name = u.Email, u.Name
	return err
}

// isHidden reports whether a workspace is none that the actor may know of: one that is
// not there looks the same.
func (r *reading) isHidden(w org.Workspace, err error) bool {
	return !r.actor.Operator && (fault.Is(err, fault.NotFound) || err == nil && r.roleIn(w.Organization) == "")
}

// roleIn is the role of the actor in an organization, of all of it if there is one; ""
// for none.
func (r *reading) roleIn(organization string) (role string) {
	for _, m := range r.actor.Members {
		if m.Organization == organization && (role == "" || m.Project == "") {
			role = string(m.Role)
		}
	}
	return role
}
