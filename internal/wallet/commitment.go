package wallet

import (
	"slices"

	"github.com/purserhq/purser/internal/fault"
)

// TierReserved is the tier that needs a commitment (docs/concepts.md, the gate).
const TierReserved = "reserved"

// committed refuses the start of reserved work without a commitment for it: a lot
// of this kind that can be used now, or that the work's own hold has pinned, and
// whose scope admits it. It is asked at the start only: work goes on if the
// commitment is used up while it runs. place names the tier of an item in the
// request.
func (w *Wallet) committed(items []Item, project string, own *Hold, place func(i int) string) error {
	for i, it := range items {
		admits := func(l *Lot) bool {
			return l.Kind == Commitment && (w.usable(l) || own != nil && own.pins(l.ID)) && l.Scope.Admits(it.SKU, it.Tier, it.Region, project)
		}
		if it.Tier == TierReserved && !slices.ContainsFunc(w.lots, admits) {
			what := it.SKU
			if what == "" {
				what = "every SKU"
			}
			return fault.At(place(i), "reserved needs a commitment, and no commitment lot with credits left admits %s: use on-demand or spot", what).
				WithCode("commitment_required")
		}
	}
	return nil
}

// tierOfItem is the place of an item's tier in the request for a flow.
func tierOfItem(i int) string { return pointer("/items", i, "tier") }

// soleTier is the place of the tier where all items have the same.
func soleTier(int) string { return "/tier" }

// grown leaves of the items those that a flow does not run already, as much of
// them at least: what it runs was admitted before.
func grown(items, running []Item) (more []Item) {
	for _, it := range items {
		runs := func(r Item) bool {
			return r.SKU == it.SKU && r.Tier == it.Tier && r.Region == it.Region && r.Quantity >= it.Quantity
		}
		if slices.ContainsFunc(running, runs) {
			it.Tier = "" // asks for nothing, and keeps its place
		}
		more = append(more, it)
	}
	return more
}
