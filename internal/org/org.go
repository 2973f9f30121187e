// Package org keeps who there is: organizations and their workspaces, and who
// may do what.
//
// What it keeps true: every workspace has exactly one wallet, made in the same
// unit of work; every organization has a default workspace of its own slug; a
// slug never changes its owner.
package org

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Default is the slug of the organization that a fresh installation has.
const Default = "default"

// Type is what kind of customer an organization is.
type Type string

// The types of organizations.
const (
	Company  Type = "company"
	Research Type = "research"
	Personal Type = "personal"
)

// Organization is a customer.
type Organization struct {
	ID        string
	Slug      string
	Name      string
	Type      Type
	CreatedAt int64
}

// Workspace is the owner of one wallet.
type Workspace struct {
	Organization string // its id
	ID           string
	Slug         string // within the organization
	Address      string // org for the default workspace of org, else org.workspace
	Name         string
	CreatedAt    int64
}

// Wallet names the workspace's wallet.
func (w Workspace) Wallet() ledger.ID {
	return ledger.ID{Organization: w.Organization, Workspace: w.ID}
}

func (o Organization) address(workspace string) string {
	if workspace == o.Slug {
		return o.Slug
	}
	return o.Slug + "." + workspace
}

// Orgs is all organizations, with the books in which their wallets stand.
type Orgs struct{ books *ledger.Ledger }

// New returns the organizations whose wallets stand in the books.
func New(books *ledger.Ledger) *Orgs { return &Orgs{books} }

// Open makes sure that there is somebody: a fresh installation gets the
// organization [Default].
func (o *Orgs) Open(tx *db.Tx) error {
	var some int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM (SELECT 1 FROM organizations LIMIT 1) AS one`).Scan(&some); err != nil {
		return fmt.Errorf("look for organizations: %w", err)
	}
	if some > 0 {
		return nil
	}
	_, _, err := o.Create(tx, Organization{Slug: Default, Name: "Default"})
	return err
}

// Create makes an organization of the slug, name (the slug if missing) and type
// (company if missing), with its default workspace and that one's wallet.
func (o *Orgs) Create(tx *db.Tx, n Organization) (Organization, Workspace, error) {
	if n.Type == "" {
		n.Type = Company
	}
	if n.Name == "" {
		n.Name = n.Slug
	}
	if err := check(n.Slug, n.Name); err != nil {
		return Organization{}, Workspace{}, err
	}
	if n.Type != Company && n.Type != Research && n.Type != Personal {
		return Organization{}, Workspace{}, fault.At("/type", "%q is not a type of organization: company, research or personal", n.Type)
	}
	n.ID, n.CreatedAt = tx.NewID("org_"), tx.Now()
	made, err := tx.Exec(`INSERT INTO organizations (id, slug, name, type, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (slug) DO NOTHING`, n.ID, n.Slug, n.Name, string(n.Type), n.CreatedAt)
	if err != nil {
		return Organization{}, Workspace{}, fmt.Errorf("make organization %s: %w", n.Slug, err)
	}
	if made == 0 {
		return Organization{}, Workspace{}, taken("an organization", n.Slug)
	}
	if err := o.books.Declare(tx, ledger.Organizations, n.ID, n.Slug, n.Name, string(n.Type), n.CreatedAt); err != nil {
		return Organization{}, Workspace{}, err
	}
	w, err := o.addWorkspace(tx, n, Workspace{Slug: n.Slug, Name: n.Name})
	return n, w, err
}

// CreateWorkspace makes a further workspace of an organization, with its wallet.
// The organization is named by its id or slug.
func (o *Orgs) CreateWorkspace(tx *db.Tx, organization string, n Workspace) (Workspace, error) {
	owner, err := o.Organization(tx, organization)
	if err != nil {
		return Workspace{}, err
	}
	if n.Name == "" {
		n.Name = n.Slug
	}
	if err := check(n.Slug, n.Name); err != nil {
		return Workspace{}, err
	}
	var count int
	err = tx.QueryRow(`SELECT COUNT(*) FROM workspaces WHERE organization = $1`, owner.ID).Scan(&count)
	if err != nil {
		return Workspace{}, fmt.Errorf("count workspaces: %w", err)
	}
	if count >= MaxWorkspaces {
		return Workspace{}, fault.New(fault.Limited, "%s has %d workspaces, and no more fit", owner.Slug, count)
	}
	return o.addWorkspace(tx, owner, n)
}

func (o *Orgs) addWorkspace(tx *db.Tx, owner Organization, n Workspace) (Workspace, error) {
	n.Organization, n.ID, n.CreatedAt, n.Address = owner.ID, tx.NewID("ws_"), tx.Now(), owner.address(n.Slug)
	made, err := tx.Exec(`INSERT INTO workspaces (organization, id, slug, name, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (organization, slug) DO NOTHING`, n.Organization, n.ID, n.Slug, n.Name, n.CreatedAt)
	if err != nil {
		return Workspace{}, fmt.Errorf("make workspace %s: %w", n.Address, err)
	}
	if made == 0 {
		return Workspace{}, taken("a workspace", n.Address)
	}
	if err := o.books.Declare(tx, ledger.Workspaces, n.Organization, n.ID, n.Slug, n.Name, n.CreatedAt); err != nil {
		return Workspace{}, err
	}
	return n, o.books.Create(tx, n.Wallet(), wallet.DefaultPolicy())
}

// The limits of names and of what an organization may have.
const (
	MaxWorkspaces = 1_000
	maxSlug       = 63
	maxName       = 200
)

var slugs = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func check(slug, name string) error {
	if len(slug) > maxSlug || !slugs.MatchString(slug) {
		return fault.At("/slug", "%.80q cannot be a slug: lower-case letters, digits and inner hyphens, at most %d", slug, maxSlug)
	}
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) ||
		strings.TrimSpace(name) == "" {
		return fault.At("/name", "a name is one line of text, at most %d characters", maxName)
	}
	return nil
}

func taken(what, slug string) error {
	f := fault.New(fault.Conflict, "there is %s %s already: choose another slug", what, slug).WithCode("slug_taken")
	f.Fields = []fault.Field{{Pointer: "/slug", Message: "is taken"}}
	return f
}
