package server

import (
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/usage"
)

var eventsCall = call{
	id: "report-usage", method: "POST", path: "/v1/workspaces/{workspace}/usage-events", tag: tagUsage, action: org.Run,
	summary: "Report usage events",
	description: "CloudEvents 1.0, one or a batch. Each counts once, by its source and id, and gets a verdict; a broken one spoils no other. " +
		"Of a call that failed, some may be recorded: the same again is always right.",
	media: "application/cloudevents-batch+json application/cloudevents+json application/json", limit: maxBatchBody,
}

func (s *Server) usageCalls() {
	registerBehind(s, eventsCall, s.keepBody(eventsCall), schemaOf[api.Verdicts](s), s.reportUsage)
	s.describeBody(eventsCall, schemaOf[[]api.UsageEvent](s))
	query(s, call{
		id: "get-usage", method: "GET", path: "/v1/workspaces/{workspace}/usage", tag: tagUsage, action: org.Account,
		summary: "Break spending down, up to this very instant",
	}, getUsage)
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
		Items: make([]api.UsageRow, 0, len(u.Rows)), From: api.At(u.From), To: api.At(u.To), AsOf: api.At(u.AsOf), Total: amount(u.Total), Overrun: amount(u.Overrun),
	}
	if u.Next != "" {
		out.NextCursor = &u.Next
	}
	for i := range u.Rows {
		row := &u.Rows[i]
		item := api.UsageRow{Quantity: quantity(row.Quantity()), Unit: string(row.Unit), Amount: amount(row.Amount), Overrun: amount(row.Overrun)}
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
