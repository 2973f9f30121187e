// Package project keeps the projects of workspaces, and what may run in them.
//
// What it keeps true: a policy is asked in the unit of work that starts, changes or
// resumes something, beside the gate of the wallet and on the same state of it, so that
// of many at once no more get in than may; what the policy counts stands in the wallet.
// Refusals are in no journal, so a replay needs no policies; that they are as they were
// set is verified, because every change of one is declared.
package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// Project is a slice of a workspace's spending, with a policy.
type Project struct {
	Wallet     ledger.ID
	ID         string
	Slug       string // what flows, holds, jobs and events name it by
	Name       string
	Policy     Policy
	CreatedAt  int64
	ArchivedAt int64 // 0 while one may start something in it
}

// The limits of what a workspace may have, and of names.
const (
	MaxProjects = 1_000
	maxSlug     = 63
	maxName     = 200
)

var slugs = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func (p *Project) checkNames() error {
	if len(p.Slug) > maxSlug || !slugs.MatchString(p.Slug) {
		return fault.At("/slug", "%.80q cannot be a slug: lower-case letters, digits and inner hyphens, at most %d", p.Slug, maxSlug)
	}
	if !utf8.ValidString(p.Name) || utf8.RuneCountInString(p.Name) > maxName || strings.ContainsFunc(p.Name, unicode.IsControl) ||
		strings.TrimSpace(p.Name) == "" {
		return fault.At("/name", "a name is one line of text, at most %d characters", maxName)
	}
	return nil
}

const columns = `SELECT slug, id, name, policy, created_at, archived_at FROM projects WHERE organization = $1 AND workspace = $2`

func scan(id ledger.ID) func(db.Scanner) (*Project, error) {
	return func(r db.Scanner) (*Project, error) {
		p, policy := &Project{Wallet: id}, ""
		if err := r.Scan(&p.Slug, &p.ID, &p.Name, &policy, &p.CreatedAt, &p.ArchivedAt); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(policy), &p.Policy); err != nil {
			return nil, fmt.Errorf("read the policy of project %s: %w", p.Slug, err)
		}
		return p, nil
	}
}

// row is the project's row, in the order in which it is declared.
func (p *Project) row() ([]any, error) {
	policy, err := json.Marshal(p.Policy)
	if err != nil {
		return nil, fmt.Errorf("write the policy of project %s: %w", p.Slug, err)
	}
	return []any{p.Wallet.Organization, p.Wallet.Workspace, p.Slug, p.ID, p.Name, string(policy), p.CreatedAt, p.ArchivedAt}, nil
}

// Create makes a project of the slug, name (the slug if missing) and policy.
func (b *Book) Create(tx *db.Tx, id ledger.ID, n Project) (*Project, error) {
	n.Wallet, n.ID, n.CreatedAt, n.ArchivedAt = id, tx.NewID("prj_"), tx.Now(), 0
	if n.Name == "" {
		n.Name = n.Slug
	}
	if err := n.checkNames(); err != nil {
		return nil, err
	}
	if err := fault.Under("/policy", n.Policy.check()); err != nil {
		return nil, err
	}
	return &n, b.change(tx, id, func(r *Rules) error {
		if r.projects[n.Slug] != nil {
			f := fault.New(fault.Conflict, "there is a project %s already: choose another slug", n.Slug).WithCode("slug_taken")
			f.Fields = []fault.Field{{Pointer: "/slug", Message: "is taken"}}
			return f
		}
		if len(r.projects) >= MaxProjects {
			return fault.New(fault.Limited, "the workspace has %d projects, and no more fit", len(r.projects))
		}
		r.projects[n.Slug] = &n
		row, err := n.row()
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO projects (organization, workspace, slug, id, name, policy, created_at, archived_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, row...)
		if err != nil {
			return fmt.Errorf("make project %s: %w", n.Slug, err)
		}
		return b.books.Declare(tx, ledger.Projects, row...)
	})
}

// Change gives a project, named by its id or slug, other contents: what edit makes of
// them. What runs in it goes on under the policy by which it was let in.
func (b *Book) Change(tx *db.Tx, id ledger.ID, name string, edit func(*Project) error) (changed *Project, err error) {
	err = b.change(tx, id, func(r *Rules) error {
		was := r.named(name)
		if was == nil {
			return missing(name)
		}
		is := *was
		if err := edit(&is); err != nil {
			return err
		}
		if err := errors.Join(is.checkNames(), is.Policy.check()); err != nil {
			return err
		}
		row, err := is.row()
		if err != nil {
			return err
		}
		_, err = tx.Exec(`UPDATE projects SET id = $4, name = $5, policy = $6, created_at = $7, archived_at = $8
			WHERE organization = $1 AND workspace = $2 AND slug = $3`, row...)
		if err != nil {
			return fmt.Errorf("change project %s: %w", is.Slug, err)
		}
		r.projects[is.Slug], changed = &is, &is
		return b.books.Declare(tx, ledger.Projects, row...)
	})
	return changed, err
}

// Archive closes a project for whatever may not start in it any more, or opens it again.
func (b *Book) Archive(tx *db.Tx, id ledger.ID, name string, isArchived bool) (*Project, error) {
	return b.Change(tx, id, name, func(p *Project) error {
		switch {
		case !isArchived:
			p.ArchivedAt = 0
		case p.ArchivedAt == 0:
			p.ArchivedAt = tx.Now()
		}
		return nil
	})
}

func missing(name string) error {
	return fault.New(fault.NotFound, "there is no project %.80q in this workspace", name)
}

// Find reads a project by its id or slug.
func (b *Book) Find(tx *db.Tx, id ledger.ID, name string) (*Project, error) {
	found, err := db.All(tx, scan(id), columns+` AND (slug = $3 OR id = $3)`, id.Organization, id.Workspace, name)
	if err != nil {
		return nil, fmt.Errorf("find project %s: %w", name, err)
	}
	if len(found) == 0 {
		return nil, missing(name)
	}
	return found[0], nil
}

// List returns the next projects of a workspace by slug after the given one.
func (b *Book) List(tx *db.Tx, id ledger.ID, after string, limit int) ([]*Project, error) {
	found, err := db.All(tx, scan(id), columns+` AND slug > $3 ORDER BY slug LIMIT $4`, id.Organization, id.Workspace, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	return found, nil
}
