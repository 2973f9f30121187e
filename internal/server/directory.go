package server

import (
	"context"
	"sync"

	"github.com/purserhq/purser/internal/db"
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

// resolve finds the wallet, or only the organization, that the path names.
func (s *Server) resolve(tx *db.Tx, p any) (ledger.ID, error) {
	switch p := p.(type) {
	case interface{ inWorkspace() string }:
		name := p.inWorkspace()
		if id, known := s.names.find(name); known {
			return id, nil
		}
		return s.orgs.Resolve(tx, name)
	case interface{ inOrganization() string }:
		o, err := s.orgs.Organization(tx, p.inOrganization())
		return ledger.ID{Organization: o.ID}, err
	}
	return ledger.ID{}, nil
}

// enter resolves what a read is about and lets it in if the actor may.
func (s *Server) enter(ctx context.Context, c call, p any) (*reading, error) {
	r := &reading{Server: s, ctx: ctx, actor: actorOf(ctx)}
	named, isNamed := p.(interface{ inWorkspace() string })
	known := false
	if isNamed {
		r.id, known = s.names.find(named.inWorkspace())
	}
	if !known {
		err := s.db.View(ctx, func(tx *db.Tx) (err error) {
			r.id, err = s.resolve(tx, p)
			return err
		})
		if err != nil {
			return nil, err
		}
		if isNamed {
			s.names.keep(named.inWorkspace(), r.id)
		}
	}
	return r, s.can(r.actor, c, r.id)
}

// can asks whether the actor may make the call there. Calls without an action
// are open to everybody.
func (s *Server) can(a org.Actor, c call, id ledger.ID) error {
	if c.action == "" {
		return nil
	}
	return org.Can(a, c.action, org.Target{Organization: id.Organization})
}

// maxNames bounds the directory.
const maxNames = 100_000

// directory remembers which wallet a name stands for, so that a balance is read
// without asking the database. A name never changes its workspace; only what is
// committed is remembered.
type directory struct {
	mu  sync.RWMutex
	ids map[string]ledger.ID
}

func (d *directory) find(name string) (ledger.ID, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	id, ok := d.ids[name]
	return id, ok
}

func (d *directory) keep(name string, id ledger.ID) {
	if _, known := d.find(name); known {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil || len(d.ids) >= maxNames {
		d.ids = map[string]ledger.ID{}
	}
	d.ids[name] = id
}
