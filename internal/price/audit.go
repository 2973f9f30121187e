package price

import (
	"encoding/json"
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// Audit returns what tells, for a charge, the price of its SKU and tier in the
// version of the rate card that it names; sold is false if that version has none.
// The cards are read anew: what a [Book] remembers would hide that somebody
// edited them. It is for one snapshot.
func Audit() func(tx *db.Tx, c *wallet.Charge) (price credit.Amount, sold bool, err error) {
	cards := map[string]map[int]*Card{}
	return func(tx *db.Tx, c *wallet.Charge) (price credit.Amount, sold bool, err error) {
		if cards[c.Card] == nil {
			if cards[c.Card], err = readable(tx, c.Card); err != nil {
				return 0, false, fmt.Errorf("read rate card %s: %w", c.Card, err)
			}
		}
		card := cards[c.Card][c.Version]
		if card == nil {
			return 0, false, nil
		}
		price, sold = card.price(c.SKU, c.Tier)
		return price, sold, nil
	}
}

// readable reads the versions of a card. One that cannot be understood names no
// price.
func readable(tx *db.Tx, name string) (map[int]*Card, error) {
	cards := map[int]*Card{}
	return cards, tx.Each(func(r db.Scanner) error {
		c, skus := &Card{Name: name}, ""
		err := r.Scan(&c.Version, &skus)
		if err == nil && json.Unmarshal([]byte(skus), &c.SKUs) == nil {
			cards[c.Version] = c.buildIndex()
		}
		return err
	}, `SELECT version, skus FROM rate_cards WHERE name = $1`, name)
}
