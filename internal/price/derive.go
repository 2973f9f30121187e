package price

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// MaxRates is how many prices a derivation may set.
const MaxRates = 1_000

// Rate is a price that a derived card has in place of its base's.
type Rate struct {
	SKU   string
	Tier  string
	Unit  Unit // the base's
	Price credit.Amount
}

// Derivation says how a card is made from another one: its prices less so many percent,
// rounded down to the nano-credit, and some set. From Until on, if that is not 0, neither
// counts: what was sold at a rate of a tier that the base does not have costs what it
// does on demand.
type Derivation struct {
	Name     string
	Base     string
	Discount int64 // percent, 0 to 100
	Rates    []Rate
	Until    int64
}

// isDerived reports whether a name is of a card that is made from another one.
func isDerived(name string) bool {
	return strings.HasPrefix(name, "plan-") || strings.HasPrefix(name, "contract-")
}

// Derive makes a card follow another one from now on: its next version now, one for each
// that is scheduled, and one for each that the base will ever get, until [Book.Detach].
func (b *Book) Derive(tx *db.Tx, d Derivation) error {
	if !isDerived(d.Name) || isDerived(d.Base) || d.Discount < 0 || d.Discount > 100 || len(d.Rates) > MaxRates {
		return fmt.Errorf("%s cannot be derived from %s", d.Name, d.Base)
	}
	rates, err := json.Marshal(kept{d.Rates, d.Until})
	if err != nil {
		return fmt.Errorf("write the rates of %s: %w", d.Name, err)
	}
	if _, err := tx.Exec(`INSERT INTO derived_cards (name, base, discount, rates) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET base = excluded.base, discount = excluded.discount, rates = excluded.rates`,
		d.Name, d.Base, d.Discount, string(rates)); err != nil {
		return fmt.Errorf("derive the rate card %s: %w", d.Name, err)
	}
	return b.publish(tx, d, tx.Now())
}

// Detach ends that a card follows its base. Its versions stay.
func (b *Book) Detach(tx *db.Tx, name string) error {
	if _, err := tx.Exec(`DELETE FROM derived_cards WHERE name = $1`, name); err != nil {
		return fmt.Errorf("detach the rate card %s: %w", name, err)
	}
	return nil
}

// Derivation is how a card is made; one that is not derived is not found.
func (b *Book) Derivation(tx *db.Tx, name string) (Derivation, error) {
	d, err := scanDerivation(tx.QueryRow(`SELECT name, base, discount, rates FROM derived_cards WHERE name = $1`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return d, fault.New(fault.NotFound, "there is no derived rate card %s", quoted(name))
	}
	return d, err
}

// kept is what of a derivation stands in one column.
type kept struct {
	Rates []Rate
	Until int64
}

func scanDerivation(r db.Scanner) (d Derivation, err error) {
	var text string
	if err := r.Scan(&d.Name, &d.Base, &d.Discount, &text); err != nil {
		return d, err
	}
	var k kept
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return d, fmt.Errorf("read the rates of %s: %w", d.Name, err)
	}
	d.Rates, d.Until = k.Rates, k.Until
	return d, nil
}

// republish makes the next versions of the cards that are made from one.
func (b *Book) republish(tx *db.Tx, base string, from int64) error {
	all, err := db.All(tx, scanDerivation, `SELECT name, base, discount, rates FROM derived_cards WHERE base = $1 ORDER BY name`, base)
	if err != nil {
		return fmt.Errorf("find what is made from the rate card %s: %w", base, err)
	}
	for _, d := range all {
		if err := b.publish(tx, d, from); err != nil {
			return err
		}
	}
	return nil
}

// publish makes a version for the one that the base has at the instant, for each that is
// scheduled after it, and for the end of the derivation.
func (b *Book) publish(tx *db.Tx, d Derivation, from int64) error {
	base, err := b.History(tx, d.Base)
	if err != nil {
		return err
	}
	instants := []int64{from}
	for _, c := range base.Scheduled(from) {
		instants = append(instants, c.EffectiveAt)
	}
	if d.Until > from {
		instants = append(instants, d.Until)
	}
	slices.Sort(instants)
	for _, at := range slices.Compact(instants) {
		if _, err := b.put(tx, d.Name, d.of(base.At(at), at), at); err != nil {
			return err
		}
	}
	return nil
}

// of are the SKUs of the derived card where the base has these.
func (d *Derivation) of(base *Card, at int64) []SKU {
	skus, index := make([]SKU, len(base.SKUs)), map[string]int{}
	hasEnded := d.Until != 0 && at >= d.Until
	for i, s := range base.SKUs {
		skus[i], index[s.Name] = s, i
		skus[i].Prices = maps.Clone(s.Prices)
		for tier, p := range s.Prices {
			if !hasEnded {
				skus[i].Prices[tier] = lower(p, d.Discount)
			}
		}
	}
	for _, r := range d.Rates {
		i, sold := index[r.SKU]
		if !sold {
			i, index[r.SKU] = len(skus), len(skus)
			skus = append(skus, SKU{Name: r.SKU, Unit: r.Unit, Prices: map[string]credit.Amount{}})
		}
		price := r.Price
		if _, hasTier := skus[i].Prices[r.Tier]; hasEnded && hasTier {
			continue
		}
		if onDemand, has := skus[i].Prices[OnDemand]; hasEnded && has {
			price = onDemand
		}
		skus[i].Prices[r.Tier] = price
	}
	return skus
}
