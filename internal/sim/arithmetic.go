package sim

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/purserhq/purser/api"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// periods are the nanoseconds of units that are sold by time.
var periods = map[string]int64{"hour": 3600e9, "gib_hour": 3600e9, "gib_month": 30 * 86400e9}

// pieces is how many pieces a price of another unit buys.
var pieces = map[string]int64{"gib": 1, "each": 1, "million": 1e6}

// checkCharges computes every charge again, from its quantity and the price that
// its version of the prices has.
func (b *books) checkCharges() error {
	for i := range b.charges {
		c := &b.charges[i]
		if err := b.checkCharge(c); err != nil {
			return fmt.Errorf("charge %s (%s): %w", c.ID, encoded(c), err)
		}
	}
	return nil
}

func (b *books) checkCharge(c *api.Charge) error {
	sum := int64(0)
	for _, s := range c.Slices {
		sum += nano(s.Amount)
	}
	switch amount := nano(c.Amount); {
	case sum != amount:
		return fmt.Errorf("its slices add up to %s", api.NanoCredits(sum))
	case b.charged[c.ID] != amount:
		return fmt.Errorf("its postings add up to %s", api.NanoCredits(b.charged[c.ID]))
	case b.returned[c.ID] != nano(c.Refunded):
		return fmt.Errorf("postings gave %s of it back", api.NanoCredits(b.returned[c.ID]))
	case nano(c.Refunded) > amount:
		return fmt.Errorf("more of it was given back than was taken")
	}
	if c.Quantity == "0" && c.Price == "0" {
		return nil // a captured amount
	}
	if err := b.checkPrice(c); err != nil {
		return err
	}
	before, after := integer(c.Computation.RemainderBefore), integer(c.Computation.RemainderAfter)
	n, divisor := measure(c)
	n.Add(n, before)
	took := new(big.Int).Mul(big.NewInt(nano(c.Amount)+nano(c.Waived)), divisor)
	if n.Sub(n, took).Cmp(after) != 0 || after.Sign() < 0 || after.Cmp(divisor) >= 0 {
		return fmt.Errorf("price × quantity leaves %s and not %s", n, after)
	}
	return nil
}

// measure is what a charge is for, in the smallest pieces, and how many of those
// are a nano-credit.
func measure(c *api.Charge) (n, divisor *big.Int) {
	quantity, err := c.Quantity.Micro()
	if err != nil {
		panic(fmt.Sprintf("sim: quantity %q: %v", c.Quantity, err))
	}
	n = new(big.Int).Mul(big.NewInt(nano(c.Price)), big.NewInt(quantity))
	per, isTime := periods[c.Unit]
	if isTime {
		n.Mul(n, big.NewInt(instant(c.To)-instant(c.From)))
	} else {
		per = pieces[c.Unit]
	}
	return n, new(big.Int).Mul(big.NewInt(per), big.NewInt(1e6))
}

func integer(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		panic("sim: " + strconv.Quote(text) + " is no integer")
	}
	return n
}

// checkPrice checks that a charge has the price of its version, and that this
// version was in force: no later one had taken over before with another price.
func (b *books) checkPrice(c *api.Charge) error {
	from := instant(c.From)
	own := slices.IndexFunc(b.cards, func(card api.RateCard) bool { return card.Version == c.Version })
	if own < 0 {
		return fmt.Errorf("version %d of the prices was never acknowledged", c.Version)
	}
	if price, unit := priceOf(&b.cards[own], c.SKU, c.Tier); price != c.Price || unit != c.Unit {
		return fmt.Errorf("version %d has the price %s per %s", c.Version, price, unit)
	}
	if instant(b.cards[own].EffectiveAt) > from && c.Version != 1 {
		return fmt.Errorf("version %d was not in force yet", c.Version)
	}
	if from > instant(c.At) {
		return nil // it was foreseen, and the prices may have changed since
	}
	// What took force at this very instant may have come after the charge.
	last := b.inForce(from - 1)
	if price, _ := priceOf(last, c.SKU, c.Tier); last.Version > c.Version && price != c.Price && !isTooMuch(price, c.Quantity) {
		return fmt.Errorf("version %d was in force from %s on", last.Version, last.EffectiveAt)
	}
	return nil
}

// isTooMuch is true of a price that a running item cannot take, since times its quantity
// it is no rate: the item keeps the one that it has.
func isTooMuch(price api.Amount, quantity api.Quantity) bool {
	micro, err := quantity.Micro()
	return err == nil && !new(big.Int).Mul(big.NewInt(nano(price)), big.NewInt(micro)).IsInt64()
}

// priceOf is what a version asks for an SKU.
func priceOf(card *api.RateCard, sku, tier string) (price api.Amount, unit string) {
	for _, s := range card.SKUs {
		if s.SKU == sku {
			return s.Prices[cmp.Or(tier, "on-demand")], s.Unit
		}
	}
	return "", ""
}

// checkFacts checks that what was reported, captured and given back is in the
// charges, once each, and nothing else is.
func (b *books) checkFacts() error {
	events, captures := map[string]string{}, map[string]bool{}
	for _, c := range b.charges {
		switch {
		case c.Event != "":
			told := b.account.usage[eventID(c.Event)]
			if told == nil {
				return fmt.Errorf("charge %s is for event %s, which was never acknowledged", c.ID, c.Event)
			}
			if other, twice := events[told.event.ID]; twice {
				return fmt.Errorf("event %s is charged twice, by %s and %s", c.Event, other, c.ID)
			}
			events[told.event.ID] = c.ID
			if err := told.matches(&c); err != nil {
				return err
			}
		case c.Flow == "":
			if amount, ok := b.captures[c.ID]; !ok || amount != nano(c.Amount) {
				return fmt.Errorf("charge %s of %s for hold %s was never acknowledged so", c.ID, c.Amount, c.Hold)
			}
			captures[c.ID] = true
		default:
			continue
		}
		if nano(c.Refunded) != b.refunds[c.ID] {
			return fmt.Errorf("of charge %s %s was given back, and %s acknowledged", c.ID, c.Refunded, api.NanoCredits(b.refunds[c.ID]))
		}
	}
	for _, id := range sorted(b.account.usage) {
		if events[id] == "" {
			return fmt.Errorf("event %s was acknowledged and has no charge", id)
		}
	}
	for _, id := range sorted(b.captures) {
		if !captures[id] {
			return fmt.Errorf("the capture %s was acknowledged and is not there", id)
		}
	}
	return nil
}

// matches checks that a charge is for the event that was sent.
func (r *reported) matches(c *api.Charge) error {
	if r.charge != "" && (r.charge != c.ID || r.amount != nano(c.Amount)) {
		return fmt.Errorf("event %s was acknowledged as %s of %s and is %s of %s", r.event.ID, r.charge, api.NanoCredits(r.amount), c.ID, c.Amount)
	}
	d := r.event.Data
	if c.SKU != d.SKU || c.Quantity != d.Quantity || c.Project != d.Project || c.User != d.User || c.From != r.event.Time || c.To != c.From {
		return fmt.Errorf("charge %s is not what event %s says: %s", c.ID, r.event.ID, encoded(c))
	}
	return nil
}

// eventID is the id that its source gave an event.
func eventID(event string) string { return strings.TrimPrefix(event, source+" ") }
