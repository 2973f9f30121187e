package server

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/usage"
)

var eventsCall = call{
	id: "report-usage", method: "POST", path: "/v1/workspaces/{workspace}/usage-events", tag: tagUsage, action: org.Run,
	summary:     "Report usage events",
	description: "CloudEvents 1.0, one or a batch. Each counts once, by its source and id, and gets a verdict; a broken one spoils no other.",
	media:       "application/cloudevents-batch+json application/cloudevents+json application/json", limit: maxBatchBody,
}

func (s *Server) usageCalls() {
	report := eventsCall
	report.middlewares = huma.Middlewares{keepHeaders}
	commandRaw(s, report, schemaOf[[]api.UsageEvent](s), schemaOf[api.Verdicts](s), s.reportUsage)
	query(s, call{
		id: "get-usage", method: "GET", path: "/v1/workspaces/{workspace}/usage", tag: tagUsage, action: org.Account,
		summary: "Break spending down, up to this very instant",
	}, getUsage)
}

// reportUsage takes the events apart before the unit of work, and charges for
// them in it.
func (s *Server) reportUsage(ctx context.Context, p *WorkspacePath, raw []byte) (ledger.Answer, error) {
	readings, err := usage.Read(messageOf(ctx, raw))
	if err != nil {
		return ledger.Answer{}, err
	}
	return s.update(ctx, eventsCall, p, once(ctx, eventsCall, p, raw), func(u *unit) (any, error) {
		verdicts, err := u.usage.Record(u.tx, u.id, readings)
		return verdictsOnWire(u.id, verdicts), err
	})
}

// headersKey is where the headers of a request with a body of its own kind are.
type headersKey struct{}

// keepHeaders lets the handler see the headers: CloudEvents may come in them.
func keepHeaders(ctx huma.Context, next func(huma.Context)) {
	r, _ := humago.Unwrap(ctx)
	next(huma.WithValue(ctx, headersKey{}, r.Header.Get))
}

func messageOf(ctx context.Context, raw []byte) usage.Message {
	header, _ := ctx.Value(headersKey{}).(func(string) string)
	return usage.Message{ContentType: header("Content-Type"), Header: header, Body: raw}
}

func verdictsOnWire(id ledger.ID, verdicts []usage.Verdict) api.Verdicts {
	out := api.Verdicts{Items: make([]api.Verdict, 0, len(verdicts))}
	for _, v := range verdicts {
		item := api.Verdict{
			ID: v.ID, Source: v.Source, Status: string(v.Status), Charge: numberedOrNone("chg_", id, v.Charge),
		}
		switch v.Status {
		case usage.Accepted:
			out.Accepted++
			item.Amount = amount(v.Amount)
		case usage.Duplicate:
			out.Duplicate++
		case usage.Rejected:
			out.Rejected++
			item.Code, item.Reason = v.Fault.Code, v.Fault.Message
			if len(v.Fault.Fields) > 0 {
				item.Pointer = v.Fault.Fields[0].Pointer
			}
		}
		out.Items = append(out.Items, item)
	}
	return out
}

func getUsage(r *reading, p *struct {
	WorkspacePath
	api.UsageQuery
}) (out api.UsageReport, err error) {
	var f fields
	q := usage.Query{
		From: f.instant("from", p.From), To: f.instant("to", p.To), Bucket: usage.Bucket(p.Bucket),
		Project: p.Project, User: p.User, Job: p.Job, SKU: p.SKU, Limit: p.Limit, Cursor: p.Cursor,
	}
	if err := f.Err(); err != nil {
		return out, err
	}
	if p.GroupBy == "" {
		p.GroupBy = string(usage.BySKU)
	}
	for _, name := range strings.Split(p.GroupBy, ",") {
		q.GroupBy = append(q.GroupBy, usage.Dimension(strings.TrimSpace(name)))
	}
	err = r.view(func(tx *db.Tx) error {
		report, err := r.usage.Report(tx, r.id, q)
		out = usageOnWire(report, q)
		return err
	})
	return out, err
}

func usageOnWire(u usage.Report, q usage.Query) api.UsageReport {
	out := api.UsageReport{
		Items: make([]api.UsageRow, 0, len(u.Rows)), From: api.At(u.From), To: api.At(u.To), AsOf: api.At(u.AsOf), Total: amount(u.Total),
	}
	if u.Next != "" {
		out.NextCursor = &u.Next
	}
	for i := range u.Rows {
		row := &u.Rows[i]
		item := api.UsageRow{Quantity: quantity(row.Quantity()), Unit: string(row.Unit), Amount: amount(row.Amount)}
		if q.Bucket != usage.NoBucket {
			item.Bucket = api.AtOrNull(row.Bucket)
		}
		columns := map[usage.Dimension]struct {
			value *string
			to    **string
		}{
			usage.BySKU: {&row.SKU, &item.SKU}, usage.ByTier: {&row.Tier, &item.Tier}, usage.ByProject: {&row.Project, &item.Project},
			usage.ByUser: {&row.User, &item.User}, usage.ByJob: {&row.Job, &item.Job}, usage.ByProvider: {&row.Provider, &item.Provider},
		}
		for _, d := range q.GroupBy {
			if c, ok := columns[d]; ok {
				*c.to = c.value
			}
		}
		out.Items = append(out.Items, item)
	}
	return out
}
