package server

import (
	"cmp"

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
	out = api.Whoami{
		Server: r.version.Version, User: cmp.Or(r.actor.User(), r.actor.ID), Project: cmp.Or(p.Project, r.actor.Project()),
		Now: api.At(r.db.Clock().Now()), Clock: r.clockKind(),
	}
	if r.actor.Token != nil {
		out.Token = r.actor.ID
	}
	err = r.view(func(tx *db.Tx) error {
		if !r.actor.Operator {
			if err := r.whoIs(tx, &out); err != nil {
				return err
			}
		}
		name, err := r.payer(tx, p.Workspace)
		if name == "" || err != nil { // of somebody who belongs to nothing nobody pays
			return err
		}
		w, err := r.orgs.Workspace(tx, name)
		role := r.actor.RoleIn(w.Organization, w.ID, out.Project)
		if role == "" && (err == nil || fault.Is(err, fault.NotFound)) {
			return org.Stranger()
		}
		if err != nil {
			return err
		}
		o, err := r.orgs.Organization(tx, w.Organization)
		out.Organization, out.Workspace, out.WorkspaceID, out.Role = o.Slug, w.Address, w.ID, role
		return err
	})
	return out, err
}

// whoIs adds who the person is. A token may be of somebody who has no account here.
func (r *reading) whoIs(tx *db.Tx, out *api.Whoami) error {
	u, err := r.accounts.User(tx, out.User)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	out.Email, out.Name = u.Email, u.Name
	return err
}

// payer names the workspace on whose account somebody works who names none: that of
// the token, else the default one of the first organization, for the operator of
// [org.Default].
func (r *reading) payer(tx *db.Tx, named string) (string, error) {
	switch {
	case named != "":
		return named, nil
	case r.actor.Operator:
		return org.Default, nil
	case r.actor.Token != nil && r.actor.Token.Workspace != "" && len(r.actor.Members) > 0:
		return r.actor.Token.Workspace, nil
	}
	first, err := r.organizations(tx, "", 1)
	if err != nil || len(first) == 0 {
		return "", err
	}
	return first[0].Slug, nil
}
