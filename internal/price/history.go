package price

import (
	"math"
	"sort"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// History is all versions of a card, or those of several that price an organization one
// after the other, as one unit of work sees them. It is not changed once it is made.
type History struct {
	Name     string  // "" of several cards
	versions []*Card // version n at n-1
	turns    []turn  // the versions that take or took force, by instant
}

// A turn is the instant at which a version takes force.
type turn struct {
	at   int64
	card *Card
}

// with is the history with one more version. A version decides the prices from
// its instant on: earlier versions that were scheduled for then or later never
// take force.
func (h *History) with(c *Card) *History {
	at := c.EffectiveAt
	if len(h.versions) == 0 {
		at = math.MinInt64
	}
	kept := sort.Search(len(h.turns), func(i int) bool { return h.turns[i].at >= at })
	return &History{
		Name:     h.Name,
		versions: append(h.versions[:len(h.versions):len(h.versions)], c),
		turns:    append(h.turns[:kept:kept], turn{at, c}),
	}
}

// Latest returns the version that was made last; it may not be in force yet.
func (h *History) Latest() *Card { return h.versions[len(h.versions)-1] }

// Version returns version n, or nil.
func (h *History) Version(n int) *Card {
	if n < 1 || n > len(h.versions) {
		return nil
	}
	return h.versions[n-1]
}

// At returns the version in force at the instant.
func (h *History) At(at int64) *Card { return h.turns[h.turnAt(at)].card }

// Scheduled returns the versions that take force after the instant, the soonest
// first; one that a later version overtook is not among them.
func (h *History) Scheduled(at int64) []*Card {
	var cards []*Card
	for _, t := range h.turns[h.turnAt(at)+1:] {
		cards = append(cards, t.card)
	}
	return cards
}

func (h *History) turnAt(at int64) int {
	return sort.Search(len(h.turns), func(i int) bool { return h.turns[i].at > at }) - 1
}

// last returns the card that decides what running work of the SKU and tier
// costs at the instant: the one in force, or if that no longer sells it the
// last one that did; nil if none ever did.
func (h *History) last(sku, tier string, at int64) *Card {
	for i := h.turnAt(at); i >= 0; i-- {
		if _, sold := h.turns[i].card.price(sku, tier); sold {
			return h.turns[i].card
		}
	}
	return nil
}

// steps are the prices that running work of the SKU and tier takes after the
// instant, at which it costs price. A version that leaves the price as it is
// makes no step, and one that no longer sells it lets it keep its price.
func (h *History) steps(sku, tier string, price credit.Amount, after int64) []wallet.Step {
	var steps []wallet.Step
	was := price // before the last step
	for _, t := range h.turns[h.turnAt(after)+1:] {
		next, sold := t.card.price(sku, tier)
		if !sold {
			continue
		}
		if n := len(steps); n > 0 && steps[n-1].At == t.at { // the last of an instant decides
			steps, price = steps[:n-1], was
		}
		if next != price {
			steps = append(steps, wallet.Step{At: t.at, Price: next, Card: t.card.Name, Version: t.card.Version})
			was, price = price, next
		}
	}
	return steps
}

func (c *Card) price(sku, tier string) (credit.Amount, bool) {
	s := c.Find(sku)
	if s == nil {
		return 0, false
	}
	p, sold := s.Prices[tier]
	return p, sold
}
