package server

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

const aboutAudit = "Who did what, when, from where, and what was asked for, the newest first; where it is known, also what was there before. " +
	"Passwords, tokens and the like are left out. What meters and charges is not in it: that stands in the journal of the wallet."

const aboutAuditExport = "The same entries as the list has, in the same order, all of them; before and after are JSON. " + aboutExport

func (s *Server) auditCalls() {
	query(s, call{
		id: "list-audit", method: "GET", path: "/v1/organizations/{organization}/audit", tag: tagTenants, action: org.Manage,
		summary: "List the audit log of an organization", description: aboutAudit,
	}, func(r *reading, p *auditOfOrganization) (api.List[api.AuditEntry], error) {
		return r.acts(p.AuditQuery)
	})
	query(s, call{
		id: "list-installation-audit", method: "GET", path: "/v1/audit", tag: tagServer, action: org.Operate,
		summary: "List the audit log of the installation", description: aboutAudit + " What was done in an organization is in the log of that.",
	}, func(r *reading, p *api.AuditQuery) (api.List[api.AuditEntry], error) { return r.acts(*p) })
	exported(s, call{
		id: "export-audit", method: "GET", path: "/v1/organizations/{organization}/audit/export", tag: tagTenants, action: org.Manage,
		summary: "Export the audit log of an organization", description: aboutAuditExport,
	}, func(r *reading, p *exportOfOrganization) (*export[api.AuditEntry], error) {
		return r.auditPages(&p.AuditExport)
	})
	exported(s, call{
		id: "export-installation-audit", method: "GET", path: "/v1/audit/export", tag: tagServer, action: org.Operate,
		summary: "Export the audit log of the installation", description: aboutAuditExport,
	}, (*reading).auditPages)
}

type auditOfOrganization struct {
	OrganizationPath
	api.AuditQuery
}

type exportOfOrganization struct {
	OrganizationPath
	api.AuditExport
}

// filterOf is what a request asks for.
func filterOf(p api.AuditFilter) (ledger.ActFilter, error) {
	var f fields
	out := ledger.ActFilter{Actor: p.Actor, Action: p.Action, Since: f.instant("since", p.Since), Until: f.instant("until", p.Until)}
	return out, f.Err()
}

// acts is a page of the log of the organization that the path names, or else of that of
// the installation.
func (r *reading) acts(p api.AuditQuery) (list api.List[api.AuditEntry], err error) {
	filter, err := filterOf(p.AuditFilter)
	if err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		found, next, err := r.audit.List(tx, r.id.Organization, filter, newest(p.Page))
		if err != nil {
			return err
		}
		list, err = listed(found, next, func(a ledger.Acted) (api.AuditEntry, error) { return actOnWire(a), nil })
		return err
	})
	return list, err
}

func actOnWire(a ledger.Acted) api.AuditEntry {
	return api.AuditEntry{
		No: a.No, At: api.At(a.At), Actor: a.Actor, Action: a.Action, Target: a.Target, Address: a.Address, Agent: a.Agent,
		Before: json.RawMessage(a.Before), After: json.RawMessage(a.After),
	}
}

// auditPages are all pages of a log.
func (r *reading) auditPages(p *api.AuditExport) (*export[api.AuditEntry], error) {
	q := api.AuditQuery{AuditFilter: p.AuditFilter, Page: api.Page{Limit: api.MaxPage}}
	return &export[api.AuditEntry]{format: p.Format, columns: auditColumns, cells: auditCells, next: func() ([]api.AuditEntry, bool, error) {
		list, err := r.acts(q)
		if list.NextCursor != nil {
			q.Cursor = *list.NextCursor
		}
		return list.Items, list.NextCursor != nil, err
	}}, nil
}

var auditColumns = strings.Fields(`no at actor action target address agent before after`)

func auditCells(e api.AuditEntry) []string {
	return []string{strconv.FormatInt(e.No, 10), string(e.At), e.Actor, e.Action, e.Target, e.Address, e.Agent, string(e.Before), string(e.After)}
}
