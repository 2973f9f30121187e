package wallet

import (
	"strings"

	"github.com/purserhq/purser/internal/credit"
)

// IsGPU reports whether an SKU is counted in GPUs.
func IsGPU(sku string) bool { return strings.HasPrefix(sku, "gpu.") }

// GPUsOf is how many GPUs the items are, × 10^6.
func GPUsOf(items []Item) (sum credit.Quantity) {
	for i := range items {
		if IsGPU(items[i].SKU) {
			sum += items[i].Quantity
		}
	}
	return sum
}

// GPUs is how many GPUs a project has at the wallet's instant: those of its running
// flows, and those that wait for a start, in the holds that were made for it.
func (w *Wallet) GPUs(project string) (sum credit.Quantity) {
	for _, c := range w.classes {
		if c.project != project || !c.hasGPUs() {
			continue
		}
		for _, m := range c.flows {
			sum += GPUsOf(w.flows[m.id].Items)
		}
	}
	for _, h := range w.holds {
		if h.Project == project {
			sum += h.GPUs
		}
	}
	return sum
}

func (c *class) hasGPUs() bool {
	for i := range c.items {
		if IsGPU(c.items[i].SKU) {
			return true
		}
	}
	return false
}
