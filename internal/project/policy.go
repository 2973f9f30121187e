package project

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// Policy is what may run in a project. What is zero or empty forbids nothing.
type Policy struct {
	Tiers        []string        `json:",omitempty"` // that may be used, of what comes in tiers
	SKUs         []string        `json:",omitempty"` // patterns, in which * stands for anything
	RequiredTier string          `json:",omitempty"` // the one that must be used
	DefaultTier  string          `json:",omitempty"` // meant where none is named
	MaxGPUs      int64           `json:",omitempty"` // at once
	GPUHours     credit.Quantity `json:",omitempty"` // in a month of UTC
	MaxRuntime   int64           `json:",omitempty"` // of a flow, or of all runs of a job; nanoseconds
}

// The bounds of a policy.
const (
	maxPatterns = 50
	maxPattern  = 100
	maxGPUs     = 1_000_000
	maxGPUHours = 1_000_000_000 * credit.Units
	maxRuntime  = 365 * db.Day
)

// check refuses what is out of bounds, and what contradicts itself.
func (p *Policy) check() error {
	var wrong fault.Fields
	for i, tier := range p.Tiers {
		if !slices.Contains(price.Tiers, tier) {
			wrong.Add(fmt.Sprintf("/tiers/%d", i), "is no tier: "+strings.Join(price.Tiers, ", "))
		}
	}
	for _, named := range []struct{ pointer, tier string }{{"/required_tier", p.RequiredTier}, {"/default_tier", p.DefaultTier}} {
		switch {
		case named.tier == "":
		case !slices.Contains(price.Tiers, named.tier):
			wrong.Add(named.pointer, "is no tier: "+strings.Join(price.Tiers, ", "))
		case len(p.Tiers) > 0 && !slices.Contains(p.Tiers, named.tier):
			wrong.Add(named.pointer, "is not among the tiers that the policy allows")
		}
	}
	if p.RequiredTier != "" && p.DefaultTier != "" && p.RequiredTier != p.DefaultTier {
		wrong.Add("/default_tier", "is not the required tier")
	}
	if len(p.SKUs) > maxPatterns {
		wrong.Add("/skus", fmt.Sprintf("has %d patterns; at most %d", len(p.SKUs), maxPatterns))
	}
	for i, sku := range p.SKUs {
		if sku == "" || len(sku) > maxPattern || strings.Count(sku, "*") > 3 {
			wrong.Add(fmt.Sprintf("/skus/%d", i), "must be 1 to 100 characters with at most three *")
		}
	}
	if p.MaxGPUs < 0 || p.MaxGPUs > maxGPUs {
		wrong.Add("/max_gpus", "must be between 0 (no limit) and 1000000")
	}
	if p.GPUHours < 0 || p.GPUHours > maxGPUHours {
		wrong.Add("/gpu_hours_per_month", "must be between 0 (no limit) and 1000000000")
	}
	if p.MaxRuntime < 0 || p.MaxRuntime > maxRuntime {
		wrong.Add("/max_runtime_seconds", "must be between 0 (no limit) and a year")
	}
	return wrong.Err()
}

// comesInTiers reports whether an SKU is a resource of compute: rules about tiers are
// about these. Storage, traffic and tokens have one price.
func comesInTiers(sku string) bool {
	return wallet.IsGPU(sku) || strings.HasPrefix(sku, "cpu.") || strings.HasPrefix(sku, "memory.")
}

// tier is the tier that is meant where none is named.
func (p *Policy) tier(sku string) string {
	switch {
	case !comesInTiers(sku):
		return ""
	case p.DefaultTier != "":
		return p.DefaultTier
	}
	return p.RequiredTier
}

// tiers are those that may be used; none means all.
func (p *Policy) tiers() []string {
	if p.RequiredTier != "" {
		return []string{p.RequiredTier}
	}
	return p.Tiers
}

// breach is a rule of a policy that is broken: by its name on the wire, what it allows,
// and the sentence that says so.
type breach struct {
	rule    string
	allowed any
	text    string
}

// tierBreach says whether a tier is not allowed for an SKU ("" for any).
func (p *Policy) tierBreach(sku, tier string) *breach {
	allowed := p.tiers()
	if tier == "" {
		tier = price.OnDemand
	}
	if len(allowed) == 0 || sku != "" && !comesInTiers(sku) || slices.Contains(allowed, tier) {
		return nil
	}
	what := tier
	if sku != "" {
		what += " for " + sku
	}
	if p.RequiredTier != "" {
		return &breach{"required_tier", allowed, fmt.Sprintf("requires the tier %s, and this asks for %s", p.RequiredTier, what)}
	}
	return &breach{"tiers", allowed, fmt.Sprintf("allows only the tier %s, and this asks for %s", strings.Join(allowed, " or "), what)}
}

// skuBreach says whether an SKU, or a pattern of some, is not allowed.
func (p *Policy) skuBreach(sku string) *breach {
	if len(p.SKUs) == 0 || (wallet.Scope{SKUs: p.SKUs}).Admits(sku, "", "", "") {
		return nil
	}
	return &breach{"skus", p.SKUs, fmt.Sprintf("allows only %s, and this asks for %s", strings.Join(p.SKUs, ", "), sku)}
}
