package server

import (
	"strconv"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
)

// CardPath names a rate card.
type CardPath struct {
	Name string `path:"name" maxLength:"63"`
}

func (s *Server) priceCalls() {
	query(s, call{
		id: "list-prices", method: "GET", path: "/v1/prices", tag: tagPrices, action: org.Enter,
		summary: "See what everything costs",
	}, func(r *reading, p *api.PriceQuery) (out api.Prices, err error) {
		name := p.Card
		if name == "" {
			name = price.Default
		}
		card, now, err := r.card(name, "at", p.At, 0)
		if err != nil {
			return out, err
		}
		return api.Prices{
			Card: card.Name, Version: card.Version, EffectiveAt: api.At(card.EffectiveAt), AsOf: api.At(now), Items: pricesOnWire(card),
		}, nil
	})
	query(s, call{
		id: "get-rate-card", method: "GET", path: "/v1/rate-cards/{name}", tag: tagPrices, action: org.Enter,
		summary: "Get a version of a rate card",
	}, func(r *reading, p *struct {
		CardPath
		api.RateCardQuery
	}) (out api.RateCard, err error) {
		card, _, err := r.card(p.Name, "at", p.At, p.Version)
		if err != nil {
			return out, err
		}
		return cardOnWire(card), nil
	})
	query(s, call{
		id: "list-rate-card-versions", method: "GET", path: "/v1/rate-cards/{name}/versions", tag: tagPrices, action: org.Enter,
		summary: "List the versions of a rate card, the newest first",
	}, listVersions)
	command(s, call{
		id: "put-rate-card", method: "PUT", path: "/v1/rate-cards/{name}", tag: tagPrices, action: org.Operate, limit: maxCardBody,
		summary:     "Make the next version of a rate card",
		description: "SKUs that it does not name are no longer sold; what runs keeps its last price of them.",
	}, putCard)
}

// maxCardBody bounds a rate card, in bytes.
const maxCardBody = 8 << 20

// card finds a version of a rate card: by its number, or the one in force.
func (r *reading) card(name, pointer string, when api.Instant, version int) (card *price.Card, at int64, err error) {
	var f fields
	at = f.instant(pointer, when)
	if when != "" && version != 0 {
		f.Add(pointer, "asks for another version than version does: send one of them")
	}
	if err := f.Err(); err != nil {
		return nil, 0, err
	}
	err = r.view(func(tx *db.Tx) error {
		if when == "" {
			at = tx.Now()
		}
		history, err := r.prices.History(tx, name)
		if err != nil {
			return err
		}
		card = history.At(at)
		if version != 0 {
			card = history.Version(version)
		}
		if card == nil {
			return fault.New(fault.NotFound, "rate card %s has no version %d", name, version)
		}
		return nil
	})
	return card, at, err
}

func listVersions(r *reading, p *struct {
	CardPath
	api.Page
}) (list api.List[api.RateCard], err error) {
	below, err := cursorNumber(p.Cursor)
	if err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		history, err := r.prices.History(tx, p.Name)
		if err != nil {
			return err
		}
		var found []*price.Card
		for n := history.Latest().Version; n > 0 && len(found) <= p.Limit; n-- {
			if below == 0 || int64(n) < below {
				found = append(found, history.Version(n))
			}
		}
		list, err = page(found, p.Limit, func(c *price.Card) string { return strconv.Itoa(c.Version) },
			func(c *price.Card) (api.RateCard, error) { return cardOnWire(c), nil })
		return err
	})
	return list, err
}

// putCard makes a version; the running flows that it prices are told in the same
// unit of work.
func putCard(u *unit, p *CardPath, b *api.NewRateCard) (api.RateCard, error) {
	var f fields
	effective := f.instant("/effective_at", b.EffectiveAt)
	skus := make([]price.SKU, len(b.SKUs))
	for i, sku := range b.SKUs {
		skus[i] = price.SKU{Name: sku.SKU, Unit: price.Unit(sku.Unit), Description: sku.Description, Prices: map[string]credit.Amount{}}
		for tier, text := range sku.Prices {
			skus[i].Prices[tier] = f.amount(at("/skus", i)+"/prices/"+fault.Escape(tier), text)
		}
	}
	if err := f.Err(); err != nil {
		return api.RateCard{}, err
	}
	if h, err := u.prices.History(u.tx, p.Name); err == nil { // else it is a new card
		u.before = cardOnWire(h.Latest())
	}
	card, err := u.prices.Put(u.tx, p.Name, skus, effective)
	if err != nil {
		return api.RateCard{}, err
	}
	return cardOnWire(card), nil
}

func cardOnWire(c *price.Card) api.RateCard {
	return api.RateCard{
		Name: c.Name, Version: c.Version, EffectiveAt: api.At(c.EffectiveAt), CreatedAt: api.At(c.CreatedAt), SKUs: pricesOnWire(c),
	}
}

func pricesOnWire(c *price.Card) []api.Price {
	out := make([]api.Price, 0, len(c.SKUs))
	for _, sku := range c.SKUs {
		p := api.Price{SKU: sku.Name, Unit: string(sku.Unit), Description: sku.Description, Prices: map[string]api.Amount{}}
		for tier, a := range sku.Prices {
			p.Prices[tier] = amount(a)
		}
		out = append(out, p)
	}
	return out
}
