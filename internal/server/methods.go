package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
)

// MethodPath names a payment method.
type MethodPath struct {
	OrganizationPath
	Method string `path:"method" maxLength:"60" doc:"The id of a payment method."`
}

func (s *Server) methodCalls() {
	const path = "/v1/organizations/{organization}/payment-methods"
	query(s, call{
		id: "list-payment-methods", method: "GET", path: path, tag: tagPayments, action: org.Pay,
		summary: "List the payment methods of an organization", description: "The default first, then its backups in order. Cards are kept by the provider alone.",
	}, func(r *reading, _ *OrganizationPath) (list api.PaymentMethods, err error) {
		err = r.view(func(tx *db.Tx) error {
			list, err = methodsOnWire(r.pays.Methods(tx, r.id.Organization))
			return err
		})
		return list, err
	})
	task(s, call{
		id: "add-payment-method", method: "POST", path: path, tag: tagPayments, action: org.Pay, status: 201, optional: true, repeatable: true,
		summary: "Begin the adding of a payment method", description: "Answers with the page of the provider on which it is added.",
	}, func(r *reading, _ *OrganizationPath, _ *none) (api.MethodPage, error) {
		page, err := r.pays.Add(r.ctx, r.id.Organization)
		return api.MethodPage{URL: page.URL, ExpiresAt: api.At(page.ExpiresAt)}, err
	})
	command(s, call{
		id: "order-payment-methods", method: "PUT", path: path, tag: tagPayments, action: org.Pay,
		summary: "Put the payment methods in another order", description: "The first is the default; the others are its backups.",
	}, func(u *unit, _ *OrganizationPath, b *api.PaymentMethodOrder) (api.PaymentMethods, error) {
		return methodsOnWire(u.pays.Order(u.tx, u.id.Organization, b.Methods))
	})
	command(s, call{
		id: "remove-payment-method", method: "DELETE", path: path + "/{method}", tag: tagPayments, action: org.Pay, optional: true,
		summary: "Remove a payment method", description: "Answers with those that are left.",
	}, func(u *unit, p *MethodPath, _ *none) (api.PaymentMethods, error) {
		if _, err := u.pays.Remove(u.tx, u.id.Organization, p.Method); err != nil {
			return api.PaymentMethods{}, err
		}
		return methodsOnWire(u.pays.Methods(u.tx, u.id.Organization))
	})
}

func methodsOnWire(found []pay.Saved, err error) (api.PaymentMethods, error) {
	list := api.PaymentMethods{Items: make([]api.PaymentMethod, 0, len(found))}
	for i, m := range found {
		list.Items = append(list.Items, api.PaymentMethod{
			ID: m.No, Provider: m.Provider, Kind: m.Kind, Brand: m.Brand, Last4: m.Last4, ExpMonth: m.Month, ExpYear: m.Year, Default: i == 0,
			CreatedAt: api.At(m.CreatedAt),
		})
	}
	return list, err
}

func (s *Server) autoTopUpCalls() {
	const path = "/v1/workspaces/{workspace}/auto-top-up"
	query(s, call{
		id: "get-auto-top-up", method: "GET", path: path, tag: tagPayments, action: org.Pay, summary: "Get the auto top-up of a workspace",
	}, func(r *reading, _ *WorkspacePath) (out api.AutoTopUp, err error) {
		err = r.view(func(tx *db.Tx) error {
			a, err := r.pays.AutoTopUp(tx, r.id)
			out = autoOnWire(&a)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "set-auto-top-up", method: "PUT", path: path, tag: tagPayments, action: org.Pay, summary: "Switch auto top-up on or off, and say how it buys",
		description: "On, it buys in time for running work to go on, with one payment at a time, five minutes apart, and never over its ceilings. " +
			"Three times in a row without a method that pays, and it is off. Off means off: nothing is charged that the provider has not heard of by then.",
	}, func(u *unit, _ *WorkspacePath, b *api.AutoTopUpChange) (api.AutoTopUp, error) {
		set, err := u.autoTopUp(b)
		if err != nil {
			return api.AutoTopUp{}, err
		}
		before, err := u.pays.AutoTopUp(u.tx, u.id)
		if err != nil {
			return api.AutoTopUp{}, err
		}
		u.before = autoOnWire(&before)
		a, err := u.pays.SetAutoTopUp(u.tx, set)
		return autoOnWire(&a), err
	})
	task(s, call{
		id: "dry-run-auto-top-up", method: "POST", path: path + "/dry-run", tag: tagPayments, action: org.Pay, repeatable: true,
		summary: "Say what auto top-up would have bought last month", description: "From the hourly totals of the last whole UTC month. Nothing is charged.",
	}, func(r *reading, _ *WorkspacePath, b *api.AutoTopUpChange) (out api.DryRun, err error) {
		err = r.view(func(tx *db.Tx) error {
			set, err := (&unit{Server: r.Server, actor: r.actor, id: r.id}).autoTopUp(b)
			if err != nil {
				return err
			}
			run, err := r.pays.TryAutoTopUp(tx, set)
			out = dryRunOnWire(&run)
			return err
		})
		return out, err
	})
}

// autoTopUp reads settings of auto top-up.
func (u *unit) autoTopUp(b *api.AutoTopUpChange) (pay.AutoTopUp, error) {
	var f fields
	a := pay.AutoTopUp{
		ID: u.id, IsOn: b.Enabled, Threshold: pay.DefaultThreshold, DayCeiling: pay.DefaultDayCeiling, MonthCeiling: pay.DefaultMonthCeiling,
		Target: f.natural("/target", b.Target), Amount: f.natural("/amount", b.Amount), ChangedBy: u.actor.ID,
	}
	if b.Threshold != "" {
		a.Threshold = f.natural("/threshold", b.Threshold)
	}
	if b.DayCeiling != "" {
		a.DayCeiling = f.positive("/day_ceiling", b.DayCeiling)
	}
	if b.MonthCeiling != "" {
		a.MonthCeiling = f.positive("/month_ceiling", b.MonthCeiling)
	}
	return a, f.Err()
}

func autoOnWire(a *pay.AutoTopUp) api.AutoTopUp {
	return api.AutoTopUp{
		Enabled: a.IsOn, Threshold: amount(a.Threshold), Target: amountOrNone(a.Target), Amount: amountOrNone(a.Amount), DayCeiling: amount(a.DayCeiling),
		MonthCeiling: amount(a.MonthCeiling), Failures: a.Failures, Payment: a.Payment, LastAt: api.AtOrNull(a.StartedAt), OffReason: a.OffReason, WaitsFor: a.WaitsFor,
		ChangedAt: api.AtOrNull(a.ChangedAt), ChangedBy: a.ChangedBy,
	}
}

func dryRunOnWire(run *pay.DryRun) api.DryRun {
	out := api.DryRun{
		From: api.At(run.From), To: api.At(run.To), Used: amount(run.Used), Total: amount(run.Total), Missing: amount(run.Missing),
		Items:    make([]api.DryPurchase, 0, len(run.Purchases)),
		Assuming: "the wallet had as much at the beginning as auto top-up fills up to, nothing else came in, every payment succeeded at once, and what was used in an hour was used evenly",
	}
	for _, p := range run.Purchases {
		out.Items = append(out.Items, api.DryPurchase{At: api.At(p.At), Amount: amount(p.Amount)})
	}
	return out
}
