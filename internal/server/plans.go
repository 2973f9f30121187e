package server

import (
	"cmp"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/wallet"
)

// PlanPath names a plan.
type PlanPath struct {
	Plan string `path:"plan" maxLength:"50"`
}

func (s *Server) planCalls() {
	query(s, call{
		id: "list-plans", method: "GET", path: "/v1/plans", tag: tagPlans, action: org.Enter, summary: "List the plans",
	}, listPlans)
	command(s, call{
		id: "put-plan", method: "PUT", path: "/v1/plans/{plan}", tag: tagPlans, action: org.Operate, summary: "Make or change a plan",
		description: "What is missing stays as it is. Whoever is on it has its prices and features at once, also what runs; its credits from the next month on.",
	}, putPlan)
	query(s, call{
		id: "get-plan", method: "GET", path: "/v1/organizations/{organization}/plan", tag: tagPlans, action: org.Account,
		summary: "Get the plan of an organization",
	}, func(r *reading, _ *OrganizationPath) (out api.CurrentPlan, err error) {
		err = r.view(func(tx *db.Tx) error {
			s, err := r.plans.Of(tx, r.id.Organization)
			out = standingOnWire(s)
			return err
		})
		return out, err
	})
	review := call{
		id: "review-plan", method: "POST", path: "/v1/organizations/{organization}/plan/review", tag: tagPlans, action: org.Pay, repeatable: true,
		summary: "Review a change of plan", description: "What it would do, with the token that does it. It changes nothing.",
	}
	task(s, review, func(r *reading, _ *OrganizationPath, b *api.PlanChoice) (out api.PlanReview, err error) {
		err = r.view(func(tx *db.Tx) error {
			review, err := r.plans.Review(tx, r.id.Organization, b.Plan, b.When == atPeriodEnd)
			out = reviewOnWire(review)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "change-plan", method: "POST", path: "/v1/organizations/{organization}/plan", tag: tagPlans, action: org.Pay,
		summary: "Change the plan", description: "As a review has shown it: refused if that is not what would happen any more.",
	}, func(u *unit, _ *OrganizationPath, b *api.PlanChange) (api.CurrentPlan, error) {
		return u.changedPlan(func() (plan.Standing, error) {
			return u.plans.Change(u.tx, u.id.Organization, b.Plan, b.When == atPeriodEnd, b.Token)
		})
	})
	command(s, call{
		id: "cancel-plan-change", method: "POST", path: "/v1/organizations/{organization}/plan/cancel", tag: tagPlans, action: org.Pay, optional: true,
		summary: "Call a scheduled change of plan off",
	}, func(u *unit, _ *OrganizationPath, _ *none) (api.CurrentPlan, error) {
		return u.changedPlan(func() (plan.Standing, error) { return u.plans.Cancel(u.tx, u.id.Organization) })
	})
}

const atPeriodEnd = "period_end"

// changedPlan notes for the audit log on which plan the organization was.
func (u *unit) changedPlan(change func() (plan.Standing, error)) (api.CurrentPlan, error) {
	before, err := u.plans.Of(u.tx, u.id.Organization)
	if err != nil {
		return api.CurrentPlan{}, err
	}
	u.before = standingOnWire(before)
	after, err := change()
	return standingOnWire(after), err
}

func listPlans(r *reading, _ *none) (list api.List[api.Plan], err error) {
	list.Items = []api.Plan{}
	err = r.view(func(tx *db.Tx) error {
		found, err := r.plans.Plans(tx)
		for _, p := range found {
			list.Items = append(list.Items, planOnWire(p))
		}
		return err
	})
	return list, err
}

func putPlan(u *unit, p *PlanPath, b *api.NewPlan) (api.Plan, error) {
	n, err := u.plans.Plan(u.tx, p.Plan)
	switch {
	case err == nil:
		u.before = planOnWire(n)
	case fault.Is(err, fault.NotFound):
		n = plan.Plan{Name: p.Plan}
	default:
		return api.Plan{}, err
	}
	if err := changePlanTo(&n, b); err != nil {
		return api.Plan{}, err
	}
	made, err := u.plans.Set(u.tx, n)
	return planOnWire(made), err
}

// changePlanTo puts what a request names into a plan, and leaves the rest as it is.
func changePlanTo(n *plan.Plan, b *api.NewPlan) error {
	var f fields
	n.Title, n.Base, n.CreditsKind = cmp.Or(b.Title, n.Title), cmp.Or(b.Card, n.Base), cmp.Or(wallet.LotKind(b.CreditsKind), n.CreditsKind)
	n.Description = orElse(b.Description, n.Description)
	n.Discount, n.CreditsDays = orElse(b.DiscountPercent, n.Discount), orElse(b.CreditsExpireDays, n.CreditsDays)
	n.ByContract, n.Closed = orElse(b.ByContract, n.ByContract), orElse(b.Closed, n.Closed)
	if b.Credits != "" {
		n.Credits = f.natural("/credits", b.Credits)
	}
	if b.Overdraft != "" {
		n.Overdraft = f.natural("/overdraft", b.Overdraft)
	}
	if b.Features != nil {
		n.Features = nil
		for _, feature := range b.Features {
			n.Features = append(n.Features, plan.Feature(feature))
		}
	}
	return f.Err()
}

// orElse is what was given, or else what there is.
func orElse[T any](given *T, present T) T {
	if given == nil {
		return present
	}
	return *given
}

func planOnWire(p plan.Plan) api.Plan {
	return api.Plan{
		Name: p.Name, Version: p.Version, Title: p.Title, Description: p.Description, Card: p.Base, DiscountPercent: p.Discount, RateCard: p.Card(),
		Credits: amount(p.Credits), CreditsKind: string(p.CreditsKind), CreditsExpireDays: p.CreditsDays, Overdraft: amount(p.Overdraft),
		Features: featuresOnWire(p.Features), ByContract: p.ByContract, Closed: p.Closed,
	}
}

func featuresOnWire(features []plan.Feature) []string {
	out := []string{}
	for _, f := range features {
		out = append(out, string(f))
	}
	return out
}

func standingOnWire(s plan.Standing) api.CurrentPlan {
	out := api.CurrentPlan{Plan: planOnWire(s.Plan), Since: api.AtOrNull(s.Since), Next: s.Next, NextAt: api.AtOrNull(s.NextAt)}
	if s.Contract != nil {
		out.Contract, out.Since = s.Contract.ID, api.AtOrNull(s.Contract.From)
	}
	return out
}

func reviewOnWire(r plan.Review) api.PlanReview {
	out := api.PlanReview{
		Token: r.Token, From: planOnWire(r.From), To: planOnWire(r.To), When: "now", EffectiveAt: api.At(r.EffectiveAt), Prices: []api.PriceCompared{},
		Amount: amount(r.Amount), NewAmount: amount(r.NewAmount), Gained: featuresOnWire(r.Gained), Lost: featuresOnWire(r.Lost),
		NextCreditsAt: api.AtOrNull(r.NextCreditsAt), Overdraft: amount(r.Overdraft), NewOverdraft: amount(r.NewOverdraft),
	}
	if r.AtEnd {
		out.When = atPeriodEnd
	}
	for _, l := range r.Lines {
		out.Prices = append(out.Prices, api.PriceCompared{
			SKU: l.SKU, Tier: l.Tier, Unit: string(l.Unit), Quantity: quantity(l.Quantity), Price: amountOrNull(l.Price), NewPrice: amountOrNull(l.NewPrice),
			Amount: amount(l.Amount), NewAmount: amount(l.NewAmount),
		})
	}
	return out
}

func amountOrNull(a *credit.Amount) *api.Amount {
	if a == nil {
		return nil
	}
	text := amount(*a)
	return &text
}
