package price

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Ask is what somebody wants to have priced. A missing tier means on-demand.
type Ask struct {
	SKU      string
	Tier     string
	Region   string
	Quantity credit.Quantity
}

// maxItems bounds the items of a flow.
const maxItems = 100

// maxRegion bounds the name of a region.
const maxRegion = 100

// Quote prices one item of a flow that begins at the instant, with the prices
// already scheduled for later. A flow is told of versions that are made while it
// runs, so it is quoted in the unit of work that starts it. The pointers of its
// faults are those of the ask's fields: /sku, /tier, /region, /quantity.
func (h *History) Quote(ask Ask, at int64) (wallet.Item, error) {
	card := h.At(at)
	sku, tier, err := h.find(card, ask, at)
	if err != nil {
		return wallet.Item{}, err
	}
	return h.item(card, sku, tier, ask, at)
}

// Start prices the items of a new flow.
func (h *History) Start(asks []Ask, at int64) ([]wallet.Item, error) {
	return h.Change(nil, asks, at)
}

// Change prices the items that a flow has from the instant on. What it already
// runs it may keep, more or less of it, at its last price, even if that is no
// longer sold. Pointers begin with /items/N.
func (h *History) Change(running []wallet.Item, asks []Ask, at int64) ([]wallet.Item, error) {
	if len(asks) == 0 || len(asks) > maxItems {
		return nil, fault.At("/items", "has %d items; a flow has 1 to %d", len(asks), maxItems)
	}
	items := make([]wallet.Item, 0, len(asks))
	for i, ask := range asks {
		item, err := h.keep(running, ask, at)
		if err == nil && slices.ContainsFunc(items, func(other wallet.Item) bool { return same(item, other) }) {
			err = fault.At("/sku", "%s stands there twice: add the quantities up", ask.SKU)
		}
		if err != nil {
			return nil, fault.Under(fmt.Sprintf("/items/%d", i), err)
		}
		items = append(items, item)
	}
	return items, oneFamily(items)
}

// keep quotes an ask; if what the flow runs is no longer sold, at its last
// price.
func (h *History) keep(running []wallet.Item, ask Ask, at int64) (wallet.Item, error) {
	tier := tierOf(ask)
	runs := slices.ContainsFunc(running, func(i wallet.Item) bool { return i.SKU == ask.SKU && i.Tier == tier })
	card := h.last(ask.SKU, tier, at)
	if !runs || card == nil {
		return h.Quote(ask, at)
	}
	return h.item(card, card.Find(ask.SKU), tier, ask, at)
}

func same(a, b wallet.Item) bool {
	return a.SKU == b.SKU && a.Tier == b.Tier && a.Region == b.Region
}

// oneFamily refuses a flow that is part storage and part something else: the
// two end differently (docs/concepts.md, storage and retention).
func oneFamily(items []wallet.Item) error {
	for i, item := range items {
		if isStorage(item.SKU) != isStorage(items[0].SKU) {
			return fault.At(fmt.Sprintf("/items/%d/sku", i),
				"a flow is all storage or none: start one flow for %s and one for %s", items[0].SKU, item.SKU)
		}
	}
	return nil
}

func isStorage(sku string) bool { return strings.HasPrefix(sku, "storage.") }

// Resume gives a flow's items as they were priced at an instant, with the prices
// that came after it, so that what ran on from there can be charged late. since
// is from when on the items have the prices they have.
func (h *History) Resume(items []wallet.Item, since, at int64) ([]wallet.Item, error) {
	items = slices.Clone(items)
	for i := range items {
		it := &items[i]
		if card := h.At(at); at < since {
			if price, sold := card.price(it.SKU, it.Tier); sold {
				it.Price, it.Card, it.Version = price, card.Name, card.Version
			}
		}
		if err := h.setRates(it, at); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// setRates gives an item the rate of its price, and the prices that come after the
// instant with theirs.
func (h *History) setRates(it *wallet.Item, at int64) (err error) {
	if it.Rate, err = rate(it.Price, it.Quantity); err != nil {
		return err
	}
	it.Next = h.steps(it.SKU, it.Tier, it.Price, at)
	for i := range it.Next {
		if it.Next[i].Rate, err = rate(it.Next[i].Price, it.Quantity); err != nil {
			return err
		}
	}
	return nil
}

func (h *History) item(card *Card, sku *SKU, tier string, ask Ask, at int64) (wallet.Item, error) {
	if sku.Unit.Period() == 0 {
		return wallet.Item{}, fault.At("/sku",
			"%s is sold by the %s, not by time: report it as usage events", sku.Name, sku.Unit)
	}
	if int64(ask.Quantity) > maxCount/3600 { // an hour of it, however little it costs, is a number that totals can count
		return wallet.Item{}, fault.At("/quantity", "%s is more than one item can carry: split it", ask.Quantity)
	}
	item := wallet.Item{
		SKU: sku.Name, Tier: tier, Region: ask.Region, Unit: string(sku.Unit), Quantity: ask.Quantity,
		Price: sku.Prices[tier], Card: card.Name, Version: card.Version, Period: sku.Unit.Period(),
	}
	if err := h.setRates(&item, at); err != nil {
		return wallet.Item{}, err
	}
	return item, nil
}

func rate(price credit.Amount, quantity credit.Quantity) (credit.Rate, error) {
	r, err := credit.NewRate(price, quantity)
	if err != nil {
		return 0, fault.At("/quantity", "%s at %s each is more than one item can carry (9,223 credits for each period): "+
			"split it into several flows", quantity, price)
	}
	return r, nil
}

// The bounds of one event, so that no sum of many can overflow: what it costs, and
// what it adds to the hourly totals.
const (
	maxAmount = 1_000_000 * credit.One
	maxCount  = int64(100_000_000_000_000_000) // micro-units, or micro-unit-seconds of what is sold by time
)

func (u Unit) exceeds(q credit.Quantity) bool {
	seconds := max(1, int64(u.Period())/1_000_000_000)
	return int64(q) > maxCount/seconds
}

// Rate prices one event by the card in force when it happened, rounded down
// once. For what is sold by time, the quantity is in unit-hours or GiB-months.
// Who and what it was for is the caller's to fill in.
func (h *History) Rate(ask Ask, at int64) (wallet.Line, error) {
	card := h.At(at)
	sku, tier, err := h.find(card, ask, at)
	if err != nil {
		return wallet.Line{}, err
	}
	price := sku.Prices[tier]
	amount, err := credit.Cost(price, ask.Quantity, sku.Unit.Pieces())
	if err != nil || amount > maxAmount || sku.Unit.exceeds(ask.Quantity) {
		return wallet.Line{}, fault.At("/quantity", "%s at %s is more than one event can say: split it", ask.Quantity, price)
	}
	return wallet.Line{
		SKU: sku.Name, Tier: tier, Region: ask.Region, Unit: string(sku.Unit), Quantity: ask.Quantity,
		Price: price, Card: card.Name, Version: card.Version, Amount: amount, At: at,
	}, nil
}

func tierOf(ask Ask) string {
	if ask.Tier == "" {
		return OnDemand
	}
	return ask.Tier
}

// find returns what the card sells under the ask's SKU and tier.
func (h *History) find(card *Card, ask Ask, at int64) (*SKU, string, error) {
	tier := tierOf(ask)
	if !slices.Contains(Tiers, tier) {
		return nil, "", fault.At("/tier", "%s is not a tier%s", quoted(tier), didYouMean(nearest(tier, Tiers))).
			WithCode("unknown_tier")
	}
	sku := card.Find(ask.SKU)
	if sku == nil {
		return nil, "", h.unsold(card, ask.SKU, at)
	}
	if _, sold := sku.Prices[tier]; !sold && tier == Reserved {
		return nil, "", fault.At("/tier", "%s has no reserved price on the rate card %s, and is sold as %s", sku.Name, card.Name,
			strings.Join(sku.tiers(), " or ")).WithCode("unknown_tier")
	}
	if _, sold := sku.Prices[tier]; !sold {
		return nil, "", fault.At("/tier", "%s is not sold as %s, only as %s", sku.Name, tier, strings.Join(sku.tiers(), " or ")).
			WithCode("unknown_tier")
	}
	if ask.Quantity <= 0 {
		return nil, "", fault.At("/quantity", "must be more than 0, and is %s", ask.Quantity)
	}
	if len(ask.Region) > maxRegion {
		return nil, "", fault.At("/region", "is longer than %d characters", maxRegion)
	}
	return sku, tier, nil
}

// tiers are those the SKU is sold in.
func (s *SKU) tiers() []string {
	return slices.DeleteFunc(slices.Clone(Tiers), func(t string) bool { _, sold := s.Prices[t]; return !sold })
}

// unsold says why the SKU cannot be had, and what can.
func (h *History) unsold(card *Card, name string, at int64) error {
	for i := h.turnAt(at); i > 0; i-- {
		if h.turns[i-1].card.Find(name) != nil {
			return fault.At("/sku", "%s is no longer sold since %s (rate card %s, version %d)",
				name, instant(h.turns[i].at), card.Name, h.turns[i].card.Version).WithCode("unknown_sku")
		}
	}
	names := make([]string, len(card.SKUs))
	for i := range card.SKUs {
		names[i] = card.SKUs[i].Name
	}
	near := nearest(name, names)
	f := fault.At("/sku", "%s is not sold%s", quoted(name), didYouMean(near)).WithCode("unknown_sku")
	if len(near) > 0 {
		f.With("nearest", near)
	}
	return f
}
