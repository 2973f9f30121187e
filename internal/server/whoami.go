package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
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
		w, err := r.orgs.Workspace(tx, name)
		if err != nil {
			return err
		}
		o, err := r.orgs.Organization(tx, w.Organization)
		out.Organization, out.Workspace, out.WorkspaceID = o.Slug, w.Address, w.ID
		return err
	})
	return out, err
}
