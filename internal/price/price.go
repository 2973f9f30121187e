// Package price keeps rate cards: what every SKU costs, by tier, since when.
//
// A card only ever gets further versions, each from an instant on that was not
// yet past when it was made. So what was priced once is priced the same for
// ever: a late event and a replay find the card that was in force then.
package price

import (
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// Default is the name of the card that applies to everybody.
const Default = "default"

// Unit is what one price buys.
type Unit string

// The units. A gib_month is one GiB for 30 days of 24 hours; a million is 10^6
// pieces.
const (
	Hour     Unit = "hour"
	GiBHour  Unit = "gib_hour"
	GiBMonth Unit = "gib_month"
	GiB      Unit = "gib"
	Million  Unit = "million"
	Each     Unit = "each"
)

// A measure says how a unit is counted: by time, with the period for which a
// price buys one, or by the piece, with the pieces that a price buys.
type measure struct {
	period credit.Period
	pieces int64
}

var measures = map[Unit]measure{
	Hour:     {period: credit.Hour, pieces: 1},
	GiBHour:  {period: credit.Hour, pieces: 1},
	GiBMonth: {period: credit.Month, pieces: 1},
	GiB:      {pieces: 1},
	Million:  {pieces: 1_000_000},
	Each:     {pieces: 1},
}

// isKnown reports whether there is such a unit.
func (u Unit) isKnown() bool { return measures[u].pieces > 0 }

// Period is the time for which a price buys one unit, or 0 for what is sold by
// the piece.
func (u Unit) Period() credit.Period { return measures[u].period }

// Pieces is how many pieces a price buys: 10^6 for a million, else 1.
func (u Unit) Pieces() int64 { return measures[u].pieces }

// The tiers.
const (
	OnDemand = "on-demand"
	Spot     = "spot"
	Reserved = wallet.TierReserved // what starts at it needs a commitment, which the wallet's gate sees to
)

// Tiers are all tiers, in the order in which they are shown.
var Tiers = []string{OnDemand, Spot, Reserved}

// SKU is one thing that is sold, with its price per unit by tier.
type SKU struct {
	Name        string
	Unit        Unit
	Prices      map[string]credit.Amount
	Description string
}

// Card is one version of a price list. It prices everything from EffectiveAt
// on, until a later version does; the first version everything before, too.
// Cards are shared by readers: nobody changes one.
type Card struct {
	Name        string
	Version     int
	EffectiveAt int64
	CreatedAt   int64
	SKUs        []SKU // by name

	index map[string]*SKU
}

// Find returns the SKU, or nil if the card does not sell it.
func (c *Card) Find(sku string) *SKU { return c.index[sku] }

func (c *Card) buildIndex() *Card {
	c.index = make(map[string]*SKU, len(c.SKUs))
	for i := range c.SKUs {
		c.index[c.SKUs[i].Name] = &c.SKUs[i]
	}
	return c
}

func instant(at int64) string {
	return time.Unix(0, at).UTC().Format(time.RFC3339Nano)
}
