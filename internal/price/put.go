package price

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// The limits of rate cards.
const (
	MaxSKUs        = 10_000 // of a version
	maxScheduled   = 100    // versions that are not in force yet
	maxCards       = 1_000  // of an installation
	maxName        = 100    // bytes of the name of an SKU
	maxDescription = 500
)

var (
	skuName  = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)+$`)
	cardName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// problems gathers what is wrong with the body of a PUT, field by field.
type problems struct{ fault.Fields }

func (p *problems) add(pointer, format string, args ...any) {
	p.Add(pointer, fmt.Sprintf(format, args...))
}

// check refuses a next version that is not sound. The history is that of the
// card so far, or an empty one.
func (h *History) check(name string, skus []SKU, effectiveAt, now int64) error {
	if !cardName.MatchString(name) {
		return fault.New(fault.Invalid, "%s cannot be the name of a rate card: lower-case letters, digits and inner hyphens, at most 63", quoted(name))
	}
	var p problems
	if effectiveAt < now {
		p.add("/effective_at", "is in the past (it is %s): history keeps its prices; leave it out for now", instant(now))
	} else if len(h.turns) > 0 && effectiveAt > now && len(h.Scheduled(now)) >= maxScheduled {
		p.add("/effective_at", "%d versions are scheduled already, and no more fit", maxScheduled)
	}
	switch {
	case len(skus) == 0:
		p.add("/skus", "a rate card names what is sold: at least one SKU")
	case len(skus) > MaxSKUs:
		p.add("/skus", "has %d SKUs; at most %d fit on a card", len(skus), MaxSKUs)
	default:
		h.checkSKUs(&p, skus)
	}
	return p.Err()
}

func (h *History) checkSKUs(p *problems, skus []SKU) {
	seen := make(map[string]int, len(skus))
	for i, s := range skus {
		at := fmt.Sprintf("/skus/%d", i)
		if len(s.Name) > maxName || !skuName.MatchString(s.Name) {
			p.add(at+"/sku", "%s is not the name of an SKU: dotted lower-case names such as gpu.h100, at most %d characters", quoted(s.Name), maxName)
			continue
		}
		if first, twice := seen[s.Name]; twice {
			p.add(at+"/sku", "%s stands there twice, first at /skus/%d", s.Name, first)
		}
		seen[s.Name] = i
		h.checkUnit(p, at, s)
		checkPrices(p, at, s)
		if len(s.Description) > maxDescription {
			p.add(at+"/description", "is longer than %d characters", maxDescription)
		}
	}
}

// checkUnit keeps an SKU's unit for ever: totals, reports and running flows
// count in it.
func (h *History) checkUnit(p *problems, at string, s SKU) {
	if !s.Unit.isKnown() {
		units := slices.Sorted(maps.Keys(measures))
		p.add(at+"/unit", "%s is not a unit: one of %s", quoted(string(s.Unit)), joined(units))
		return
	}
	for i := len(h.versions) - 1; i >= 0; i-- {
		if before := h.versions[i].Find(s.Name); before != nil {
			if before.Unit != s.Unit {
				p.add(at+"/unit", "%s is sold by the %s since version %d, and a unit stays: choose a new name for what is sold by the %s",
					s.Name, before.Unit, h.versions[i].Version, s.Unit)
			}
			return
		}
	}
}

func joined(units []Unit) string {
	texts := make([]string, len(units))
	for i, u := range units {
		texts[i] = string(u)
	}
	return strings.Join(texts, ", ")
}

func checkPrices(p *problems, at string, s SKU) {
	if len(s.Prices) == 0 {
		p.add(at+"/prices", "%s has no price", s.Name)
	}
	for _, tier := range slices.Sorted(maps.Keys(s.Prices)) {
		pointer := at + "/prices/" + fault.Escape(tier)
		price := s.Prices[tier]
		switch {
		case !slices.Contains(Tiers, tier):
			p.add(pointer, "%s is not a tier: one of %s", quoted(tier), strings.Join(Tiers, ", "))
		case price < 0:
			p.add(pointer, "a price cannot be negative, and is %s", price)
		case s.Unit.Period() > 0 && !fitsRate(price):
			p.add(pointer, "%s is too much for what is sold by time: at most 9223.372036854 for each %s", price, s.Unit)
		}
	}
}

// fitsRate reports whether at least one unit fits an item of a flow.
func fitsRate(price credit.Amount) bool {
	_, err := credit.NewRate(price, credit.Units)
	return err == nil
}
