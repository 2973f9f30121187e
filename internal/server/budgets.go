package server

import (
	"slices"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// maxWindowHours bounds a rolling window: 31 days.
const maxWindowHours = 744

func (s *Server) budgetCalls() {
	query(s, call{
		id: "get-budgets", method: "GET", path: "/v1/workspaces/{workspace}/budgets", tag: tagBudgets, action: org.See,
		summary: "Get all budgets of a workspace",
	}, func(r *reading, _ *WorkspacePath) (api.Budgets, error) {
		view, err := r.ledger.View(r.ctx, r.id)
		if err != nil {
			return api.Budgets{}, err
		}
		now := r.instant(view)
		return budgetsOnWire(view.Budgets(now), now), nil
	})
	command(s, call{
		id: "set-budgets", method: "PUT", path: "/v1/workspaces/{workspace}/budgets", tag: tagBudgets, action: org.Govern,
		summary: "Replace all budgets of a workspace", description: "One that names its id keeps what was spent of it.",
	}, setBudgets)
	command(s, call{
		id: "set-budget", method: "POST", path: "/v1/workspaces/{workspace}/budgets", tag: tagBudgets, action: org.Govern,
		summary: "Set one budget",
		description: "The budget of that id, or of that key, value and window, is changed and keeps what was spent of it; else one is added. " +
			"All others stay, whoever sets them at the same time.",
	}, setBudget)
	command(s, call{
		id: "remove-budget", method: "DELETE", path: "/v1/workspaces/{workspace}/budgets/{budget}", tag: tagBudgets, action: org.Govern,
		optional: true, summary: "Remove one budget",
	}, removeBudget)
}

// BudgetPath names a budget.
type BudgetPath struct {
	WorkspacePath
	Budget string `path:"budget" maxLength:"60"`
}

// maxBudgets bounds the budgets of a workspace.
const maxBudgets = 1_000

func setBudgets(u *unit, _ *WorkspacePath, b *api.Budgets) (api.Budgets, error) {
	known, present, err := u.budgets()
	if err != nil {
		return api.Budgets{}, err
	}
	u.before = budgetsOnWire(known, present.At)
	var f fields
	budgets := make([]wallet.Budget, len(b.Items))
	for i := range b.Items {
		budgets[i] = f.budget(at("/items", i), &b.Items[i], known, budgets[:i])
	}
	if err := f.Err(); err != nil {
		return api.Budgets{}, err
	}
	return u.putBudgets(present, budgets)
}

func setBudget(u *unit, _ *WorkspacePath, b *api.Budget) (out api.Budget, err error) {
	budgets, present, err := u.budgets()
	if err != nil {
		return out, err
	}
	var f fields
	set := f.budget("", b, budgets, nil)
	if err := f.Err(); err != nil {
		return out, err
	}
	i := slices.IndexFunc(budgets, func(g wallet.Budget) bool {
		return g.ID == set.ID || set.ID == "" && g.Key == set.Key && g.Value == set.Value && g.Window == set.Window && g.Hours == set.Hours
	})
	switch {
	case i >= 0:
		u.before = budgetsOnWire(budgets[i:i+1], present.At).Items[0]
		set.ID = budgets[i].ID
		budgets[i] = set
	case len(budgets) >= maxBudgets:
		return out, fault.New(fault.Limited, "the workspace has %d budgets, and no more fit", len(budgets))
	default:
		i, budgets = len(budgets), append(budgets, set)
	}
	all, err := u.putBudgets(present, budgets)
	if err != nil {
		return out, err
	}
	return all.Items[i], nil
}

func removeBudget(u *unit, p *BudgetPath, _ *none) (out api.Budget, err error) {
	budgets, present, err := u.budgets()
	if err != nil {
		return out, err
	}
	i := slices.IndexFunc(budgets, func(g wallet.Budget) bool { return g.ID == p.Budget })
	if i < 0 {
		return out, fault.New(fault.NotFound, "there is no budget %.80q in this workspace", p.Budget)
	}
	out = budgetsOnWire(budgets[i:i+1], present.At).Items[0]
	u.before = out
	_, err = u.putBudgets(present, slices.Delete(budgets, i, i+1))
	return out, err
}

// budgets are those of the workspace as they stand.
func (u *unit) budgets() ([]wallet.Budget, ledger.Result, error) {
	present, err := u.ledger.Apply(u.tx, u.id)
	if err != nil {
		return nil, present, err
	}
	return present.Wallet.View().Budgets(present.At), present, nil
}

// putBudgets replaces all budgets. A new one gets its id, and what its window has seen.
func (u *unit) putBudgets(present ledger.Result, budgets []wallet.Budget) (out api.Budgets, err error) {
	for i := range budgets {
		if g := &budgets[i]; g.ID == "" {
			g.ID = u.tx.NewID("bdg_")
			if g.Spent, g.Past, err = u.ledger.Spent(u.tx, u.id, present, *g); err != nil {
				return out, err
			}
		}
	}
	result, err := u.ledger.Apply(u.tx, u.id, wallet.SetBudgets{Budgets: budgets})
	if err != nil {
		return out, err
	}
	return budgetsOnWire(result.Wallet.View().Budgets(result.At), result.At), nil
}

// budget reads the terms of one budget; its pointers are under at.
func (f *fields) budget(at string, b *api.Budget, known, before []wallet.Budget) wallet.Budget {
	out := wallet.Budget{
		ID: b.ID, Key: wallet.BudgetKey(b.Key), Value: b.Value, Amount: f.positive(at+"/amount", b.Amount),
		Window: wallet.Window(b.Window), Hours: b.WindowHours, Hard: b.Hard,
	}
	same := func(g wallet.Budget) bool { return g.ID == b.ID }
	switch {
	case b.ID != "" && !slices.ContainsFunc(known, same):
		f.Add(at+"/id", "names no budget of this workspace: leave it out for a new one")
	case b.ID != "" && slices.ContainsFunc(before, same):
		f.Add(at+"/id", "stands there twice")
	}
	if (out.Key == wallet.ByWorkspace) != (out.Value == "") {
		f.Add(at+"/value", "must name which "+b.Key+", and be empty for the workspace")
	}
	switch {
	case out.Window == wallet.Rolling && (out.Hours < 1 || out.Hours > maxWindowHours):
		f.Add(at+"/window_hours", "must be between 1 and 744 for a rolling window")
	case out.Window != wallet.Rolling && out.Hours != 0:
		f.Add(at+"/window_hours", "is for rolling windows only")
	}
	return out
}

func budgetsOnWire(budgets []wallet.Budget, now int64) api.Budgets {
	out := api.Budgets{Items: make([]api.Budget, 0, len(budgets))}
	for _, b := range budgets {
		until := int64(0)
		if _, next := b.Bounds(now); b.Window != wallet.AllTime {
			until = next
		}
		out.Items = append(out.Items, api.Budget{
			ID: b.ID, Key: string(b.Key), Value: b.Value, Amount: amount(b.Amount), Window: string(b.Window), WindowHours: b.Hours,
			Hard: b.Hard, Spent: amount(b.Spent), Remaining: amount(max(b.Amount-b.Spent, credit.Amount(0))),
			WindowFrom: api.AtOrNull(b.From), WindowUntil: api.AtOrNull(until), AsOf: api.At(now),
		})
	}
	return out
}
