package price

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// reprice returns what running flows must be told when next becomes the newest
// version: one command for each SKU and tier whose price changes, at once or
// when next takes force. A SKU that next does not name keeps the price it has
// by then, also if a version that next overtakes would have changed it.
func (h *History) reprice(next *Card) []wallet.Reprice {
	var commands []wallet.Reprice
	for _, sold := range h.everSold() {
		was := h.last(sold.sku, sold.tier, next.EffectiveAt-1)
		step, known := stepOf(was, sold.sku, sold.tier)
		overtaken := len(h.steps(sold.sku, sold.tier, step.Price, next.EffectiveAt-1)) > 0
		price, named := next.price(sold.sku, sold.tier)
		if named && (!known || price != step.Price || overtaken) {
			step = wallet.Step{Price: price, Card: next.Name, Version: next.Version}
		} else if !overtaken || !known {
			continue
		}
		step.At = next.EffectiveAt
		commands = append(commands, wallet.Reprice{SKU: sold.sku, Tier: sold.tier, Step: step})
	}
	return commands
}

func stepOf(c *Card, sku, tier string) (wallet.Step, bool) {
	if c == nil {
		return wallet.Step{}, false
	}
	price, sold := c.price(sku, tier)
	return wallet.Step{Price: price, Card: c.Name, Version: c.Version}, sold
}

type offer struct{ sku, tier string }

// everSold lists what flows may be running, in a stable order.
func (h *History) everSold() []offer {
	seen := map[offer]bool{}
	var all []offer
	for _, c := range h.versions {
		for i := range c.SKUs {
			s := &c.SKUs[i]
			for _, tier := range s.tiers() {
				o := offer{s.Name, tier}
				if s.Unit.Period() > 0 && !seen[o] {
					seen[o] = true
					all = append(all, o)
				}
			}
		}
	}
	return all
}

// tell reprices the running flows of all wallets. It goes through every running
// flow, and into every wallet that has one whose price changes. Organizations that are
// assigned to cards are told by what is theirs.
func (b *Book) tell(tx *db.Tx, card string, commands []wallet.Reprice) error {
	if len(commands) == 0 {
		return nil
	}
	own, err := pricedBy(tx, card)
	if err != nil {
		return err
	}
	skus := make([]string, len(commands))
	for i, c := range commands {
		skus[i] = c.SKU
	}
	ids, err := b.books.Running(tx, card, skus)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if a, err := b.assigned(tx, id.Organization); err != nil {
			return err
		} else if len(a.spans) > 0 {
			own = append(own, id.Organization)
			continue
		}
		present, err := b.books.Apply(tx, id)
		if err != nil {
			return fmt.Errorf("reprice what runs in %s: %w", id, err)
		}
		if _, err := b.books.Apply(tx, id, concerning(present.Wallet.Flows(), commands)...); err != nil {
			return fmt.Errorf("reprice what runs in %s: %w", id, err)
		}
	}
	slices.Sort(own)
	for _, organization := range slices.Compact(own) {
		if err := b.retell(tx, organization); err != nil {
			return err
		}
	}
	return nil
}

// concerning picks the commands that change something for the flows.
func concerning(flows []*wallet.Flow, commands []wallet.Reprice) []wallet.Command {
	runs := map[offer]bool{}
	for _, f := range flows {
		for _, item := range f.Items {
			runs[offer{item.SKU, item.Tier}] = true
		}
	}
	var some []wallet.Command
	for _, c := range commands {
		if runs[offer{c.SKU, c.Tier}] {
			some = append(some, c)
		}
	}
	return some
}
