package sim

import (
	"context"
	"fmt"

	"github.com/purserhq/purser/api"
)

// found opens the workspaces in which clients work: two organizations, one with
// several workspaces between which credits are moved.
func (w *world) found(ctx context.Context) error {
	var list []api.Workspace
	for _, slug := range []string{"acme", "bolt"} {
		var o api.Organization
		if err := w.make(ctx, w.request("organization", "POST", "/v1/organizations", api.NewOrganization{Slug: slug}), &o); err != nil {
			return err
		}
		list = append(list, o.DefaultWorkspace)
	}
	for _, slug := range []string{"vision", "data"} {
		var s api.Workspace
		if err := w.make(ctx, w.request("workspace", "POST", "/v1/organizations/acme/workspaces", api.NewWorkspace{Slug: slug}), &s); err != nil {
			return err
		}
		list = append(list, s)
	}
	for _, s := range list {
		w.auditor.accounts = append(w.auditor.accounts, newAccount(w.auditor, s))
	}
	var card api.RateCard
	if err := w.get(ctx, "/v1/rate-cards/default", &card); err != nil {
		return err
	}
	return w.auditor.priced(card)
}

// make sends a request that must succeed.
func (w *world) make(ctx context.Context, r *request, out any) error {
	a, err := w.host.ask(ctx, r)
	if err != nil {
		return err
	}
	w.transcribe(r, a)
	if err := decode(a, out); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return nil
}

// priced takes in a version of the prices.
func (a *auditor) priced(card api.RateCard) error {
	if err := a.once(fmt.Sprintf("version %d of the prices", card.Version)); err != nil {
		return err
	}
	a.cards = append(a.cards, card)
	return nil
}

// prices are those of the latest version, changed.
func (a *auditor) prices(change func(nano int64) int64) []api.Price {
	last := a.cards[0]
	for _, card := range a.cards {
		if card.Version > last.Version {
			last = card
		}
	}
	list := make([]api.Price, len(last.SKUs))
	for i, sku := range last.SKUs {
		list[i] = sku
		list[i].Prices = map[string]api.Amount{}
		for _, tier := range []string{"on-demand", "spot"} {
			if p, ok := sku.Prices[tier]; ok {
				list[i].Prices[tier] = api.NanoCredits(change(nano(p)))
			}
		}
	}
	return list
}
