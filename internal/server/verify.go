package server

import (
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
)

func (s *Server) verifyCalls() {
	task(s, call{
		id: "verify", method: "POST", path: "/v1/verify", tag: tagServer, action: org.Operate, optional: true, repeatable: true,
		summary:     "Replay the books and compare everything with them",
		description: "Replays every command from the first on and compares lots, flows, holds, totals, postings, usage events, rate cards, workspaces and chains.",
	}, verify)
}

func verify(r *reading, _ *none, b *api.VerifyRequest) (api.VerifyReport, error) {
	options := ledger.Options{Count: true, Price: price.Audit()}
	if b.Workspace != "" {
		err := r.view(func(tx *db.Tx) (err error) {
			options.Only, err = r.orgs.Resolve(tx, b.Workspace)
			return err
		})
		if err != nil {
			return api.VerifyReport{}, err
		}
	}
	report, err := r.ledger.Verify(r.ctx, options)
	if err != nil {
		return api.VerifyReport{}, err
	}
	if !report.IsClean() {
		r.metrics.differences.Inc()
		r.log.Error("the books differ from their replay", "difference", report.First.String(), "in_all", report.Differences)
	}
	return VerifyReport(report), nil
}

// VerifyReport is a report as it crosses HTTP.
func VerifyReport(r ledger.Report) api.VerifyReport {
	out := api.VerifyReport{
		OK: r.IsClean(), At: api.At(r.At), Wallets: r.Wallets, Commands: r.Entries, Postings: r.Postings, Charges: r.Charges,
		Lots: r.Lots, Flows: r.Flows, Holds: r.Holds, Totals: r.Totals, Events: r.Events, Hashes: r.Postings + r.Entries,
		Seals: r.Seals, Milliseconds: r.Took.Milliseconds(), Differences: []api.Difference{}, Differing: r.Differences,
	}
	if d := r.First; d != nil {
		_, workspace, _ := strings.Cut(d.Book, "/")
		out.Differences = append(out.Differences, api.Difference{
			Workspace: workspace, Table: d.Table, ID: d.Row, Field: d.Column, Expected: d.Replayed, Found: d.Stored,
		})
	}
	return out
}
