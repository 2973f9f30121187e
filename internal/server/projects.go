package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/project"
)

// ProjectPath names a project.
type ProjectPath struct {
	WorkspacePath
	Project string `path:"project" maxLength:"63" doc:"An id or a slug."`
}

func (s *Server) projectCalls() {
	command(s, call{
		id: "create-project", method: "POST", path: "/v1/workspaces/{workspace}/projects", tag: tagProjects, action: org.Manage,
		status: 201, summary: "Create a project",
		description: "A slice of the workspace's spending. What its policy forbids is refused with 403 policy_forbids.",
	}, createProject)
	query(s, call{
		id: "list-projects", method: "GET", path: "/v1/workspaces/{workspace}/projects", tag: tagProjects, action: org.See,
		summary: "List projects, by their slugs",
	}, listProjects)
	query(s, call{
		id: "get-project", method: "GET", path: "/v1/workspaces/{workspace}/projects/{project}", tag: tagProjects, action: org.See,
		summary: "Get a project with its policy",
	}, func(r *reading, p *ProjectPath) (out api.Project, err error) {
		err = r.view(func(tx *db.Tx) error {
			found, err := r.projects.Find(tx, r.id, p.Project)
			if err == nil {
				out = projectOnWire(found)
			}
			return err
		})
		return out, err
	})
	command(s, call{
		id: "change-project", method: "PATCH", path: "/v1/workspaces/{workspace}/projects/{project}", tag: tagProjects,
		action: org.Manage, summary: "Change what is named of a project",
	}, func(u *unit, p *ProjectPath, b *api.ProjectChange) (api.Project, error) {
		return u.changeProject(p, func(is *project.Project) error {
			if b.Name != nil {
				is.Name = *b.Name
			}
			return nil
		})
	})
	command(s, call{
		id: "change-project-policy", method: "PATCH", path: "/v1/workspaces/{workspace}/projects/{project}/policy", tag: tagProjects,
		action: org.Govern, summary: "Change what is named of a project's policy",
		description: "From then on it decides about starts, changes and resumes. What runs goes on as it was let in.",
	}, func(u *unit, p *ProjectPath, b *api.ProjectPolicyChange) (api.Project, error) {
		return u.changeProject(p, func(is *project.Project) error { return changeProjectPolicy(&is.Policy, b) })
	})
	s.archiveCalls()
	query(s, call{
		id: "get-project-rules", method: "GET", path: "/v1/workspaces/{workspace}/project-rules", tag: tagProjects, action: org.See,
		summary: "See what holds for all projects of a workspace",
	}, func(r *reading, _ *WorkspacePath) (out api.ProjectRules, err error) {
		err = r.view(func(tx *db.Tx) error {
			rules, err := r.projects.Rules(tx, r.id)
			if err == nil {
				out.StrictProjects = rules.IsStrict
			}
			return err
		})
		return out, err
	})
	command(s, call{
		id: "set-project-rules", method: "PUT", path: "/v1/workspaces/{workspace}/project-rules", tag: tagProjects, action: org.Manage,
		summary: "Set what holds for all projects of a workspace",
	}, func(u *unit, _ *WorkspacePath, b *api.ProjectRules) (api.ProjectRules, error) {
		before, err := u.projects.Rules(u.tx, u.id)
		if err != nil {
			return *b, err
		}
		u.before = api.ProjectRules{StrictProjects: before.IsStrict}
		return *b, u.projects.SetStrict(u.tx, u.id, b.StrictProjects)
	})
}

func (s *Server) archiveCalls() {
	for _, c := range []struct {
		call
		isArchived bool
	}{
		{call{id: "archive-project", path: "/v1/workspaces/{workspace}/projects/{project}/archive", summary: "Let nothing new start in a project",
			description: "What runs in it goes on, and its history stays."}, true},
		{call{id: "restore-project", path: "/v1/workspaces/{workspace}/projects/{project}/restore", summary: "Open an archived project again"}, false},
	} {
		c.method, c.tag, c.action, c.optional = "POST", tagProjects, org.Manage, true
		command(s, c.call, func(u *unit, p *ProjectPath, _ *none) (api.Project, error) {
			changed, err := u.projects.Archive(u.tx, u.id, p.Project, c.isArchived)
			if err != nil {
				return api.Project{}, err
			}
			return projectOnWire(changed), nil
		})
	}
}

func createProject(u *unit, _ *WorkspacePath, b *api.NewProject) (api.Project, error) {
	n := project.Project{Slug: b.Slug, Name: b.Name}
	if err := changeProjectPolicy(&n.Policy, &b.Policy); err != nil {
		return api.Project{}, err
	}
	made, err := u.projects.Create(u.tx, u.id, n)
	if err != nil {
		return api.Project{}, err
	}
	return projectOnWire(made), nil
}

func listProjects(r *reading, p *struct {
	WorkspacePath
	api.Page
}) (list api.List[api.Project], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, after string) (list api.List[api.Project], err error) {
		found, err := r.projects.List(tx, r.id, after, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(p *project.Project) string { return p.Slug },
			func(p *project.Project) (api.Project, error) { return projectOnWire(p), nil })
	})
}

func (u *unit) changeProject(p *ProjectPath, edit func(*project.Project) error) (api.Project, error) {
	changed, err := u.projects.Change(u.tx, u.id, p.Project, func(is *project.Project) error {
		u.before = projectOnWire(is)
		return edit(is)
	})
	if err != nil {
		return api.Project{}, err
	}
	return projectOnWire(changed), nil
}

// changeProjectPolicy puts what is named into a policy.
func changeProjectPolicy(to *project.Policy, b *api.ProjectPolicyChange) error {
	var f fields
	if b.Tiers != nil {
		to.Tiers = *b.Tiers
	}
	if b.SKUs != nil {
		to.SKUs = *b.SKUs
	}
	if b.RequiredTier != nil {
		to.RequiredTier = *b.RequiredTier
	}
	if b.DefaultTier != nil {
		to.DefaultTier = *b.DefaultTier
	}
	if b.MaxGPUs != nil {
		to.MaxGPUs = *b.MaxGPUs
	}
	if b.GPUHoursPerMonth != nil {
		to.GPUHours = f.quantity("/gpu_hours_per_month", *b.GPUHoursPerMonth)
	}
	if b.MaxRuntimeSeconds != nil {
		to.MaxRuntime = *b.MaxRuntimeSeconds * db.Second
	}
	return f.Err()
}

func projectOnWire(p *project.Project) api.Project {
	out := api.Project{
		ID: p.ID, Slug: p.Slug, Name: p.Name, CreatedAt: api.At(p.CreatedAt), ArchivedAt: api.AtOrNull(p.ArchivedAt),
		Policy: api.ProjectPolicy{
			Tiers: p.Policy.Tiers, SKUs: p.Policy.SKUs, RequiredTier: p.Policy.RequiredTier, DefaultTier: p.Policy.DefaultTier,
			MaxGPUs: p.Policy.MaxGPUs, MaxRuntimeSeconds: p.Policy.MaxRuntime / db.Second,
		},
	}
	if p.Policy.GPUHours > 0 {
		out.Policy.GPUHoursPerMonth = quantity(p.Policy.GPUHours)
	}
	return out
}
