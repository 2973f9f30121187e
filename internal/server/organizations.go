package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

func (s *Server) organizationCalls() {
	command(s, call{
		id: "create-organization", method: "POST", path: "/v1/organizations", tag: tagTenants, action: org.Enter, status: 201,
		summary: "Create an organization",
		description: "With its default workspace, which has the same slug. Whoever is signed in becomes its owner, of at most 20; " +
			"one that the operator creates has nobody yet.",
	}, createOrganization)
	query(s, call{
		id: "list-organizations", method: "GET", path: "/v1/organizations", tag: tagTenants, action: org.Enter,
		summary: "List one's organizations", description: "The operator sees all.",
	}, listOrganizations)
	query(s, call{
		id: "get-organization", method: "GET", path: "/v1/organizations/{organization}", tag: tagTenants, action: org.See,
		summary: "Get an organization",
	}, getOrganization)
	command(s, call{
		id: "create-workspace", method: "POST", path: "/v1/organizations/{organization}/workspaces", tag: tagTenants,
		action: org.Manage, status: 201, summary: "Create a further workspace",
	}, func(u *unit, p *OrganizationPath, b *api.NewWorkspace) (api.Workspace, error) {
		w, err := u.orgs.CreateWorkspace(u.tx, u.id.Organization, org.Workspace{Slug: b.Slug, Name: b.Name})
		return workspaceOnWire(w, wallet.DefaultPolicy()), err
	})
	query(s, call{
		id: "list-workspaces", method: "GET", path: "/v1/organizations/{organization}/workspaces", tag: tagTenants,
		action: org.See, summary: "List the workspaces of an organization",
	}, listWorkspaces)
}

func createOrganization(u *unit, _ *none, b *api.NewOrganization) (api.Organization, error) {
	n := org.Organization{Slug: b.Slug, Name: b.Name, Type: org.Type(b.Type)}
	create := u.orgs.Create
	if !u.actor.Operator {
		user, err := u.actor.Person("create an organization")
		if err != nil {
			return api.Organization{}, err
		}
		create = func(tx *db.Tx, n org.Organization) (org.Organization, org.Workspace, error) {
			return u.orgs.CreateOwned(tx, user, n)
		}
	}
	o, w, err := create(u.tx, n)
	return organizationOnWire(o, w, wallet.DefaultPolicy()), err
}

// ListPage is the part of parameters that asks for a page.
type ListPage struct{ api.Page }

func listOrganizations(r *reading, p *ListPage) (list api.List[api.Organization], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, after string) (list api.List[api.Organization], err error) {
		found, err := r.organizations(tx, after, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(o org.Organization) string { return o.Slug },
			func(o org.Organization) (api.Organization, error) { return r.organization(tx, o) })
	})
}

// organizations are the next that the actor sees: his own, or that of his token.
func (r *reading) organizations(tx *db.Tx, after string, limit int) ([]org.Organization, error) {
	switch {
	case r.actor.Operator:
		return r.orgs.Organizations(tx, after, limit)
	case r.actor.Token == nil:
		return r.orgs.OrganizationsOf(tx, r.actor.User(), after, limit)
	case len(r.actor.Members) == 0:
		return nil, nil
	}
	o, err := r.orgs.Organization(tx, r.actor.Token.Organization)
	if o.Slug <= after {
		return nil, err
	}
	return []org.Organization{o}, err
}

func getOrganization(r *reading, p *OrganizationPath) (out api.Organization, err error) {
	err = r.view(func(tx *db.Tx) error {
		o, err := r.orgs.Organization(tx, p.Organization)
		if err != nil {
			return err
		}
		out, err = r.organization(tx, o)
		return err
	})
	return out, err
}

func (r *reading) organization(tx *db.Tx, o org.Organization) (api.Organization, error) {
	w, err := r.orgs.DefaultWorkspace(tx, o)
	if err != nil {
		return api.Organization{}, err
	}
	v, err := r.ledger.View(r.ctx, w.Wallet())
	if err != nil {
		return api.Organization{}, err
	}
	return organizationOnWire(o, w, v.Policy()), nil
}

func listWorkspaces(r *reading, p *struct {
	OrganizationPath
	api.Page
}) (list api.List[api.Workspace], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, after string) (list api.List[api.Workspace], err error) {
		found, err := r.orgs.Workspaces(tx, r.id.Organization, after, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(w org.Workspace) string { return w.Slug }, r.workspace)
	})
}

func (s *Server) workspaceCalls() {
	query(s, call{
		id: "get-workspace", method: "GET", path: "/v1/workspaces/{workspace}", tag: tagTenants, action: org.See,
		summary: "Get a workspace with its policy",
	}, func(r *reading, p *WorkspacePath) (out api.Workspace, err error) {
		err = r.view(func(tx *db.Tx) error {
			w, err := r.orgs.Workspace(tx, p.Workspace)
			if err == nil {
				out, err = r.workspace(w)
			}
			return err
		})
		return out, err
	})
	command(s, call{
		id: "change-policy", method: "PATCH", path: "/v1/workspaces/{workspace}/policy", tag: tagTenants, action: org.Operate,
		summary: "Change what is named of a workspace's policy",
	}, changePolicy)
}

func (r *reading) workspace(w org.Workspace) (api.Workspace, error) {
	v, err := r.ledger.View(r.ctx, w.Wallet())
	if err != nil {
		return api.Workspace{}, err
	}
	return workspaceOnWire(w, v.Policy()), nil
}

func changePolicy(u *unit, _ *WorkspacePath, b *api.PolicyChange) (api.Policy, error) {
	var f fields
	patch := org.Patch{
		Overdraft: f.optional("/overdraft", b.Overdraft), BlockBelow: f.optional("/block_below", b.BlockBelow),
		MinRunwaySeconds: b.MinRunwaySeconds, GraceSeconds: b.GraceSeconds, RetentionDays: b.RetentionDays,
		AlertPercents: b.AlertPercents, AlertRunwaySeconds: b.AlertRunwaySeconds,
	}
	if b.AlertAmounts != nil {
		amounts := make([]credit.Amount, len(*b.AlertAmounts))
		for i, text := range *b.AlertAmounts {
			amounts[i] = f.amount(at("/alert_amounts", i), text)
		}
		patch.AlertAmounts = &amounts
	}
	if err := f.Err(); err != nil {
		return api.Policy{}, err
	}
	present, err := u.ledger.Apply(u.tx, u.id)
	if err != nil {
		return api.Policy{}, err
	}
	u.before = policyOnWire(present.Wallet.View().Policy())
	policy, err := u.orgs.SetPolicy(u.tx, u.id, patch)
	return policyOnWire(policy), err
}

func organizationOnWire(o org.Organization, w org.Workspace, p wallet.Policy) api.Organization {
	return api.Organization{
		ID: o.ID, Slug: o.Slug, Name: o.Name, Type: string(o.Type), CreatedAt: api.At(o.CreatedAt),
		DefaultWorkspace: workspaceOnWire(w, p),
	}
}

func workspaceOnWire(w org.Workspace, p wallet.Policy) api.Workspace {
	return api.Workspace{
		ID: w.ID, Organization: w.Organization, Slug: w.Address, Name: w.Name, CreatedAt: api.At(w.CreatedAt),
		Policy: policyOnWire(p),
	}
}

func policyOnWire(p wallet.Policy) api.Policy {
	out := api.Policy{
		Overdraft: amount(p.Overdraft), BlockBelow: amount(p.BlockBelow), MinRunwaySeconds: p.MinRunway / db.Second,
		GraceSeconds: p.Grace / db.Second, RetentionDays: int64(p.RetentionDays),
		AlertPercents: []int{}, AlertAmounts: []api.Amount{}, AlertRunwaySeconds: []int64{},
	}
	out.AlertPercents = append(out.AlertPercents, p.AlertPercents...)
	for _, a := range p.AlertAmounts {
		out.AlertAmounts = append(out.AlertAmounts, amount(a))
	}
	for _, ns := range p.AlertRunways {
		out.AlertRunwaySeconds = append(out.AlertRunwaySeconds, ns/db.Second)
	}
	return out
}
