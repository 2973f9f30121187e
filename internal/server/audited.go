package server

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

const aboutAudit = "Who did what, when, from where, and what was asked for, the newest first; where it is known, also what was there before. " +
	"Passwords, tokens and the like are left out. What meters and charges is not in it: that stands in the journal of the wallet."

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
		summary: "Export the audit log of an organization", description: aboutExport,
	}, func(p *exportOfOrganization) *api.AuditExport { return &p.AuditExport })
	exported(s, call{
		id: "export-installation-audit", method: "GET", path: "/v1/audit/export", tag: tagServer, action: org.Operate,
		summary: "Export the audit log of the installation", description: aboutExport,
	}, func(p *api.AuditExport) *api.AuditExport { return p })
}

type auditOfOrganization struct {
	OrganizationPath
	api.AuditQuery
}

type exportOfOrganization struct {
	OrganizationPath
	api.AuditExport
}

// filter is what a request asks for.
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

const aboutExport = "The same entries as the list has, in the same order, all of them: as JSON lines, or as CSV with before and after as JSON. " +
	"A cell that a spreadsheet would take for a formula has an apostrophe in front. If the connection breaks, the export is not whole."

// exported registers a call that writes all pages of a log.
func exported[P any](s *Server, c call, of func(*P) *api.AuditExport) {
	op := c.operation()
	op.Middlewares = huma.Middlewares{s.admit(c)}
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The entries.", Content: map[string]*huma.MediaType{"application/jsonl": text, "text/csv": text},
	}}
	huma.Register(s.api, op, func(ctx context.Context, p *P) (*huma.StreamResponse, error) {
		r, err := s.enter(ctx, c, p)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		asked := of(p)
		q := api.AuditQuery{AuditFilter: asked.AuditFilter, Page: api.Page{Limit: api.MaxPage}}
		first, err := r.acts(q) // so that what is wrong with the request is told before anything is written
		if err == nil {
			err = s.takeStream()
		}
		if err != nil {
			return nil, s.failed(ctx, aboutParameters(err))
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			defer s.releaseStream()
			request, w := humago.Unwrap(hctx)
			allowed, cancel := s.whileAllowed(ctx, request, c, p)
			defer cancel()
			r.ctx = allowed
			if err := r.export(w, asked.Format, q, first); err != nil {
				s.log.WarnContext(ctx, "an export broke off", "request_id", requestID(ctx), "error", err)
				panic(http.ErrAbortHandler) // whoever reads it sees that it is not whole
			}
		}}, nil
	})
}

// export writes a page and all that follow.
func (r *reading) export(w http.ResponseWriter, format string, q api.AuditQuery, list api.List[api.AuditEntry]) error {
	media, write, flush := "application/jsonl", jsonLines(w), func() error { return nil }
	if format == "csv" {
		out := csv.NewWriter(w)
		media, write, flush = "text/csv; charset=utf-8", csvLines(out), func() error { out.Flush(); return out.Error() }
		if err := out.Write(auditColumns); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	noDeadline(w)
	w.WriteHeader(http.StatusOK)
	for {
		for _, e := range list.Items {
			if err := write(e); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || list.NextCursor == nil {
			return err
		}
		q.Cursor = *list.NextCursor
		var err error
		if list, err = r.acts(q); err != nil {
			return err
		}
	}
}

func jsonLines(w io.Writer) func(api.AuditEntry) error {
	out := json.NewEncoder(w)
	return func(e api.AuditEntry) error { return out.Encode(e) }
}

var auditColumns = strings.Fields(`no at actor action target address agent before after`)

func csvLines(w *csv.Writer) func(api.AuditEntry) error {
	return func(e api.AuditEntry) error {
		cells := []string{strconv.FormatInt(e.No, 10), string(e.At), e.Actor, e.Action, e.Target, e.Address, e.Agent, string(e.Before), string(e.After)}
		for i, cell := range cells {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				cells[i] = "'" + cell
			}
		}
		return w.Write(cells)
	}
}
