package ledger

import (
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// arithmetic recomputes a charge from what it says of itself, without the
// engine, and says what is wrong.
func arithmetic(c *wallet.Charge) string {
	var slices credit.Amount
	for _, s := range c.Slices {
		slices += s.Amount
	}
	if slices != c.Amount {
		return "slices of " + slices.String() + " in all"
	}
	if c.Refunded < 0 || c.Refunded > c.Amount {
		return "a refund of " + c.Refunded.String()
	}
	if c.Flow == "" {
		return usageArithmetic(c)
	}
	rate, err := credit.NewRate(c.Price, c.Quantity)
	if err != nil || rate != c.Rate {
		return fmt.Sprintf("a rate of %d for %s at %s", c.Rate, c.Quantity, c.Price)
	}
	whole, _, err := credit.Accrue(c.Rate, c.To-c.From, c.Rem, c.Period)
	if err != nil || whole != c.Amount+c.Waived {
		return whole.String() + " by rate and time"
	}
	return ""
}

// usageArithmetic recomputes the charge of an event. What was captured as an
// amount has no price.
func usageArithmetic(c *wallet.Charge) string {
	if c.Card == "" {
		return ""
	}
	per := int64(1)
	if c.Unit == "million" {
		per = 1_000_000
	}
	if cost, err := credit.Cost(c.Price, c.Quantity, per); err != nil || cost != c.Amount+c.Waived {
		return cost.String() + " by price and quantity"
	}
	return ""
}

// priced compares the price of a charge with the rate card that it names: history
// keeps its prices. What a card says wrong is told once.
func (r *replay) priced(c *wallet.Charge) error {
	if r.Price == nil || c.Card == "" {
		return nil
	}
	price, sold, err := r.Price(r.tx, c)
	if err != nil || sold && price == c.Price {
		return err
	}
	row, what := c.Card+" "+number(int64(c.Version)), c.SKU+" "+c.Tier
	if r.mispriced[row+" "+what] {
		return nil
	}
	r.mispriced[row+" "+what] = true
	stored := "nothing"
	if sold {
		stored = price.String()
	}
	return r.differ(Difference{"rate_cards", "", row, "skus", what + " at " + stored,
		what + " at " + c.Price.String() + ", by charge " + number(c.No) + " of " + r.id.String()})
}
