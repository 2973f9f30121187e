package server

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

func (s *Server) activityCalls() {
	query(s, call{
		id: "list-activities", method: "GET", path: "/v1/workspaces/{workspace}/activities", tag: tagUsage, action: org.Account,
		summary:     "List the lines of the account statement, the newest first",
		description: "Additions, deductions (one line per job, or per day for what has no job), expiries, transfers and refunds.",
	}, listActivities)
}

func listActivities(r *reading, p *struct {
	WorkspacePath
	api.ActivityQuery
}) (list api.List[api.Activity], err error) {
	var f fields
	from, to := f.instant("from", p.From), f.instant("to", p.To)
	if err := f.fault(); err != nil {
		return list, err
	}
	after, err := cursorText(p.Cursor)
	if err != nil {
		return list, err
	}
	var lines []ledger.Line
	err = r.view(func(tx *db.Tx) error {
		lines, err = r.ledger.Statement(tx, r.id, from)
		return err
	})
	if err != nil {
		return list, err
	}
	wanted := lines[:0]
	for _, l := range lines {
		if (p.Kind == "" || p.Kind == string(l.Kind)) && (to == 0 || l.At < to) && l.At >= from {
			wanted = append(wanted, l)
		}
	}
	return page(linesAfter(wanted, after), p.Limit, lineKey, func(l ledger.Line) (api.Activity, error) {
		return activityOnWire(r.id, &l), nil
	})
}

// lineKey is the place of a line in the statement, as text that sorts like it.
// What is still growing moves to the front, so a page may show it once more.
func lineKey(l ledger.Line) string { return fmt.Sprintf("%020d %s %s", l.At, l.Kind, l.Source) }

// linesAfter is the rest of the lines behind the place where the last page ended.
func linesAfter(lines []ledger.Line, last string) []ledger.Line {
	if last == "" {
		return lines
	}
	at, _, _ := strings.Cut(last, " ")
	for i, l := range lines {
		key := lineKey(l)
		if key == last {
			return lines[i+1:]
		}
		if before, _, _ := strings.Cut(key, " "); before < at {
			return lines[i:]
		}
	}
	return nil
}

func activityOnWire(id ledger.ID, l *ledger.Line) api.Activity {
	out := api.Activity{
		At: api.At(l.At), Kind: string(l.Kind), Source: l.Source, Project: l.Project, Amount: amount(l.Amount),
		BalanceAfter: amount(l.After), Open: l.IsOpen,
	}
	switch l.Kind {
	case ledger.Addition:
		out.Description = "Credits granted"
	case ledger.Deduction:
		out.Description = deduction(l.Source)
	case ledger.Expiry:
		out.Description = "Credits expired"
	case ledger.Transfer:
		out.Description = "Credits received from another workspace"
		if l.Amount < 0 {
			out.Description = "Credits sent to another workspace"
		}
	case ledger.RefundOf:
		out.Source = "chg_" + strings.TrimPrefix(id.Workspace, "ws_") + "_" + l.Source
		out.Description = "Charge refunded"
	case ledger.Overrun:
		out.Source = "chg_" + strings.TrimPrefix(id.Workspace, "ws_") + "_" + l.Source
		out.Description = l.Lost.String() + " beyond the credits: the operator's loss"
	}
	out.ID = fmt.Sprintf("act_%s_%s", l.Kind, out.Source)
	return out
}

func deduction(source string) string {
	switch {
	case strings.HasPrefix(source, "lot_"):
		return "Storage paid that was owed"
	case len(source) == len("2026-11-22"):
		return "Usage of " + source
	}
	return "Job " + source
}
