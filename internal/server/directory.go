package server

import (
	"context"
	"sync"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

// WorkspacePath is the part of a path that names a workspace. Like the other
// parts of parameters it is exported because huma reads it by reflection.
type WorkspacePath struct {
	Workspace string `path:"workspace" maxLength:"200" doc:"An id, or a slug: org for the default workspace of org, org.workspace for another."`
}

func (p WorkspacePath) inWorkspace() string { return p.Workspace }

// OrganizationPath is the part of a path that names an organization.
type OrganizationPath struct {
	Organization string `path:"organization" maxLength:"200" doc:"An id or a slug."`
}

func (p OrganizationPath) inOrganization() string { return p.Organization }

// address is what a path names: a workspace, or an organization by itself.
type address struct {
	kind, name string
}

func addressOf(p any) address {
	switch p := p.(type) {
	case interface{ inWorkspace() string }:
		return address{"workspace", p.inWorkspace()}
	case interface{ inOrganization() string }:
		return address{"organization", p.inOrganization()}
	}
	return address{}
}

// resolve finds the wallet, or only the organization, that is named.
func (s *Server) resolve(tx *db.Tx, a address) (ledger.ID, error) {
	if a.kind == "workspace" {
		return s.orgs.Resolve(tx, a.name)
	}
	o, err := s.orgs.Organization(tx, a.name)
	return ledger.ID{Organization: o.ID}, err
}

// enter resolves what a call is about and lets it in if the actor may. What is not
// remembered is looked up beside the units of work, so that none waits for it.
// Whoever does not belong to it learns nothing by trying names: what is not there is
// answered as what is another's.
func (s *Server) enter(ctx context.Context, c call, p any) (*reading, error) {
	if r, ok := ctx.Value(readingKey{}).(*reading); ok {
		return r, nil
	}
	r := &reading{Server: s, ctx: ctx, actor: actorOf(ctx)}
	a := addressOf(p)
	known := a.kind == ""
	if !known {
		r.id, known = s.names.find(a)
	}
	if !known {
		err := s.db.View(ctx, func(tx *db.Tx) (err error) {
			r.id, err = s.resolve(tx, a)
			return err
		})
		if fault.Is(err, fault.NotFound) && !r.actor.Operator {
			return nil, org.Stranger()
		}
		if err != nil {
			return nil, err
		}
		s.names.keep(a, r.id)
	}
	if err := r.can(c, p); err != nil {
		s.noteRefusal(ctx, visitorOf(ctx).origin, c, r, err)
		return r, err
	}
	return r, nil
}

// readingKey is where a request keeps that it was let in.
type readingKey struct{}

// can asks whether the actor may make the call there. Calls without an action
// are open to everybody. Whose role is in a project only may do what is in that
// project.
func (r *reading) can(c call, p any) error {
	if c.action == "" {
		return nil
	}
	target := org.Target{Organization: r.id.Organization, Workspace: r.id.Workspace}
	err := org.Can(r.actor, c.action, target)
	if err == nil || !r.actor.MayInProject(c.action, target) {
		return err
	}
	project, missing := r.projectOf(p)
	if missing != nil {
		return missing
	}
	return org.CanInProject(r.actor, c.action, target, project)
}

// maxNames bounds the directory.
const maxNames = 100_000

// directory remembers what a name stands for, so that a balance is read, and a unit
// of work begins, without asking the database. A name never comes to stand for
// another thing; only what is committed is remembered.
type directory struct {
	mu  sync.RWMutex
	ids map[address]ledger.ID
}

func (d *directory) find(name address) (ledger.ID, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id, ok := d.ids[name]
	return id, ok
}

func (d *directory) keep(name address, id ledger.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil || len(d.ids) >= maxNames {
		d.ids = map[address]ledger.ID{}
	}
	d.ids[name] = id
}
