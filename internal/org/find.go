package org

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

const (
	organizationColumns = `SELECT o.id, o.slug, o.name, o.type, o.created_at FROM organizations o`
	workspaceColumns    = `SELECT w.organization, w.id, w.slug, w.name, w.created_at, o.slug
		FROM workspaces w JOIN organizations o ON o.id = w.organization`
)

func scanOrganization(r db.Scanner) (o Organization, err error) {
	err = r.Scan(&o.ID, &o.Slug, &o.Name, &o.Type, &o.CreatedAt)
	return o, err
}

func scanWorkspace(r db.Scanner) (w Workspace, err error) {
	var owner Organization
	err = r.Scan(&w.Organization, &w.ID, &w.Slug, &w.Name, &w.CreatedAt, &owner.Slug)
	w.Address = owner.address(w.Slug)
	return w, err
}

// Organization finds an organization by its id or slug.
func (o *Orgs) Organization(tx *db.Tx, name string) (Organization, error) {
	query := organizationColumns + ` WHERE o.slug = $1`
	if strings.HasPrefix(name, "org_") {
		query = organizationColumns + ` WHERE o.id = $1`
	}
	found, err := scanOrganization(tx.QueryRow(query, name))
	if errors.Is(err, sql.ErrNoRows) {
		return Organization{}, fault.New(fault.NotFound, "there is no organization %.80q", name)
	}
	if err != nil {
		return Organization{}, fmt.Errorf("find organization %s: %w", name, err)
	}
	return found, nil
}

// Workspace finds a workspace by its id or its address: org for the default
// workspace of org, org.workspace for another.
func (o *Orgs) Workspace(tx *db.Tx, name string) (Workspace, error) {
	var row db.Row
	if strings.HasPrefix(name, "ws_") {
		row = tx.QueryRow(workspaceColumns+` WHERE w.id = $1`, name)
	} else {
		owner, slug, further := strings.Cut(name, ".")
		if !further {
			slug = owner
		}
		row = tx.QueryRow(workspaceColumns+` WHERE o.slug = $1 AND w.slug = $2`, owner, slug)
	}
	found, err := scanWorkspace(row)
	if errors.Is(err, sql.ErrNoRows) {
		return Workspace{}, o.missing(tx, name)
	}
	if err != nil {
		return Workspace{}, fmt.Errorf("find workspace %s: %w", name, err)
	}
	return found, nil
}

// Owner finds the workspace of a wallet.
func (o *Orgs) Owner(tx *db.Tx, id ledger.ID) (Workspace, error) {
	found, err := scanWorkspace(tx.QueryRow(workspaceColumns+` WHERE w.organization = $1 AND w.id = $2`, id.Organization, id.Workspace))
	if errors.Is(err, sql.ErrNoRows) {
		return Workspace{}, fault.New(fault.NotFound, "there is no workspace %s", id)
	}
	if err != nil {
		return Workspace{}, fmt.Errorf("find workspace %s: %w", id, err)
	}
	return found, nil
}

// missing says what there is not of an address: the organization, whose name alone
// stands for its default workspace, or a workspace of it.
func (o *Orgs) missing(tx *db.Tx, name string) error {
	if owner, _, _ := strings.Cut(name, "."); !strings.HasPrefix(name, "ws_") {
		if _, err := o.Organization(tx, owner); err != nil {
			return err
		}
	}
	return fault.New(fault.NotFound, "there is no workspace %.80q", name)
}

// Resolve finds the wallet of a workspace, named as for [Orgs.Workspace].
func (o *Orgs) Resolve(tx *db.Tx, name string) (ledger.ID, error) {
	w, err := o.Workspace(tx, name)
	return w.Wallet(), err
}

// Organizations returns the next organizations by slug after the given one.
func (o *Orgs) Organizations(tx *db.Tx, after string, limit int) ([]Organization, error) {
	return list(tx, scanOrganization, organizationColumns+` WHERE o.slug > $1 ORDER BY o.slug LIMIT $2`, after, limit)
}

// Workspaces returns the next workspaces of an organization, by slug after the
// given one. The organization is named by its id or slug.
func (o *Orgs) Workspaces(tx *db.Tx, organization, after string, limit int) ([]Workspace, error) {
	owner, err := o.Organization(tx, organization)
	if err != nil {
		return nil, err
	}
	return list(tx, scanWorkspace, workspaceColumns+` WHERE w.organization = $1 AND w.slug > $2 ORDER BY w.slug LIMIT $3`,
		owner.ID, after, limit)
}

// DefaultWorkspace is the workspace that has the organization's slug.
func (o *Orgs) DefaultWorkspace(tx *db.Tx, organization Organization) (Workspace, error) {
	return o.Workspace(tx, organization.Slug)
}

func list[T any](tx *db.Tx, scan func(db.Scanner) (T, error), query string, args ...any) ([]T, error) {
	found, err := db.All(tx, scan, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return found, nil
}
