package job

import (
	"sort"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// Capacity is what the executor offers, by SKU. Nil offers everything without
// end. A capacity that names a GPU offers only the GPUs it names; CPU and
// memory that it does not name are without end.
type Capacity map[string]credit.Quantity

// ParseCapacity reads "gpu.h100=8,cpu.vcpu=64". An empty text is no limit.
func ParseCapacity(text string) (Capacity, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	c := Capacity{}
	for _, part := range strings.Split(text, ",") {
		sku, amount, ok := strings.Cut(strings.TrimSpace(part), "=")
		quantity, err := credit.ParseQuantity(amount)
		if !ok || sku == "" || err != nil || quantity < 0 {
			return nil, fault.New(fault.Invalid, "capacity %q is not SKU=QUANTITY, such as gpu.h100=8", part)
		}
		if _, twice := c[sku]; twice {
			return nil, fault.New(fault.Invalid, "capacity names %s twice", sku)
		}
		c[sku] = quantity
	}
	return c, nil
}

// String formats the capacity as [ParseCapacity] reads it.
func (c Capacity) String() string {
	var parts []string
	for sku, quantity := range c {
		parts = append(parts, sku+"="+quantity.String())
	}
	sort.Strings(parts)
	return strings.Join(parts, ",")
}

// limit is how much of the SKU there is; limited is false if there is no end.
func (c Capacity) limit(sku string) (quantity credit.Quantity, limited bool) {
	if quantity, limited = c[sku]; limited {
		return quantity, true
	}
	if !strings.HasPrefix(sku, "gpu.") {
		return 0, false
	}
	for named := range c {
		if strings.HasPrefix(named, "gpu.") {
			return 0, true
		}
	}
	return 0, false
}

// admits refuses what would wait in the queue for ever.
func (c Capacity) admits(n needs) error {
	for _, need := range n {
		limit, limited := c.limit(need.sku)
		if limited && need.quantity > limit {
			if limit == 0 {
				return fault.At("/resources", "this executor does not offer %s, only %s", need.sku, c).WithCode("over_capacity")
			}
			return fault.At("/resources", "this executor offers %s of %s, %s is more than that",
				limit, need.sku, need.quantity).WithCode("over_capacity")
		}
	}
	return nil
}

// need is a quantity of one SKU.
type need struct {
	sku      string
	quantity credit.Quantity
}

type needs []need

// waiting is one job in the queue.
type waiting struct {
	id    string
	needs needs
}

// place says what the queue does with one job: go, or wait at a position,
// counted from 1 among the jobs that wait, because of a SKU.
type place struct {
	id       string
	position int // 0: it may start
	behind   string
}

// schedule walks the queue in its order. A job that does not fit waits, and
// the limited SKUs it wants are closed to everyone behind it: so the queue is
// first come, first served for each SKU and a large job is never overtaken for
// ever by small ones. used is what runs now.
func (c Capacity) schedule(used map[string]credit.Quantity, queue []waiting) []place {
	taken, closed := map[string]credit.Quantity{}, map[string]bool{}
	for sku, quantity := range used {
		taken[sku] = quantity
	}
	places, position := make([]place, 0, len(queue)), 0
	for _, job := range queue {
		short := ""
		for _, n := range job.needs {
			limit, limited := c.limit(n.sku)
			if limited && (closed[n.sku] || taken[n.sku]+n.quantity > limit) {
				short = n.sku
				break
			}
		}
		p := place{id: job.id, behind: short}
		if short != "" {
			position++
			p.position = position
		}
		for _, n := range job.needs {
			if short == "" {
				taken[n.sku] += n.quantity
			} else if _, limited := c.limit(n.sku); limited {
				closed[n.sku] = true
			}
		}
		places = append(places, p)
	}
	return places
}
