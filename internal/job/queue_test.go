package job

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"pgregory.net/rapid"
)

func units(n int64) credit.Quantity { return credit.Quantity(n) * credit.Units }

func TestCapacityIsParsed(t *testing.T) {
	c, err := ParseCapacity("gpu.h100=8, cpu.vcpu=0.5")
	if err != nil || c.String() != "cpu.vcpu=0.5,gpu.h100=8" {
		t.Fatalf("got %v, %v", c, err)
	}
	for _, bad := range []string{"gpu.h100", "gpu.h100=x", "=3", "gpu.h100=-1", "gpu.h100=1,gpu.h100=2"} {
		if _, err := ParseCapacity(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestCapacityRefusesWhatWouldWaitForEver(t *testing.T) {
	c := Capacity{"gpu.h100": units(8)}
	for _, x := range []struct {
		need need
		ok   bool
	}{
		{need{"gpu.h100", units(8)}, true},
		{need{"gpu.h100", units(9)}, false},
		{need{"gpu.b300", units(1)}, false}, // a GPU that is not offered
		{need{"cpu.vcpu", units(1000)}, true},
	} {
		if err := c.admits(needs{x.need}); (err == nil) != x.ok {
			t.Errorf("%v: %v", x.need, err)
		}
	}
	if err := c.admits(needs{{"gpu.h200", units(1)}}); err == nil || !strings.Contains(err.Error(), "does not offer gpu.h200, only gpu.h100=8") {
		t.Errorf("what is not offered: %v", err)
	}
	if err := Capacity(nil).admits(needs{{"gpu.b300", units(1000)}}); err != nil {
		t.Errorf("without a capacity: %v", err)
	}
}

func TestLargeJobIsNotOvertakenOnItsSKU(t *testing.T) {
	c := Capacity{"gpu.h100": units(8), "gpu.a10": units(4)}
	used := map[string]credit.Quantity{"gpu.h100": units(4)}
	got := c.schedule(used, []waiting{
		{"large", needs{{"gpu.h100", units(8)}}},
		{"small", needs{{"gpu.h100", units(1)}}},
		{"other", needs{{"gpu.a10", units(4)}, {"cpu.vcpu", units(9)}}},
		{"last", needs{{"gpu.a10", units(1)}}},
	})
	want := []place{{"large", 1, "gpu.h100"}, {"small", 2, "gpu.h100"}, {"other", 0, ""}, {"last", 3, "gpu.a10"}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

// Whatever the queue, what starts fits, and no job starts before an earlier
// one that waits for a SKU it also wants.
func TestQueueFitsAndIsFair(t *testing.T) {
	skus := []string{"gpu.a10", "gpu.h100", "memory.gib"}
	rapid.Check(t, func(r *rapid.T) {
		c := Capacity{"gpu.a10": units(4), "gpu.h100": units(8)}
		used := map[string]credit.Quantity{"gpu.h100": units(rapid.Int64Range(0, 8).Draw(r, "used"))}
		var queue []waiting
		for i := range rapid.IntRange(0, 12).Draw(r, "jobs") {
			w := waiting{id: string(rune('a' + i))}
			for _, sku := range skus {
				if q := rapid.Int64Range(-4, 4).Draw(r, "need"); q > 0 {
					w.needs = append(w.needs, need{sku, units(q)})
				}
			}
			queue = append(queue, w)
		}
		blocked, sum := map[string]bool{}, map[string]credit.Quantity{"gpu.h100": used["gpu.h100"]}
		for i, p := range c.schedule(used, queue) {
			for _, n := range queue[i].needs {
				limit, limited := c.limit(n.sku)
				if p.position == 0 {
					sum[n.sku] += n.quantity
					if limited && (sum[n.sku] > limit || blocked[n.sku]) {
						r.Fatalf("%s overtakes or does not fit on %s", p.id, n.sku)
					}
				}
			}
			for _, n := range queue[i].needs {
				blocked[n.sku] = blocked[n.sku] || p.position > 0
			}
		}
	})
}
