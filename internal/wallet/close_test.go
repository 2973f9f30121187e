package wallet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
)

// Flows that nobody has a lease on are listed with the first close of each day,
// and only then.
func TestUnleasedFlowsAreListedDaily(t *testing.T) {
	at := 20_000*day + 22*hour
	w := New("ws_daily", at, DefaultPolicy())
	apply := func(c Command) Effects {
		t.Helper()
		fx, err := w.Apply(at, c)
		if err != nil {
			t.Fatal(err)
		}
		return fx
	}
	apply(Grant{Lot: Lot{ID: "lot_1", Kind: Purchased, Amount: 10_000 * credit.One, Priority: 50}})
	for i := range maxListed + 5 {
		apply(Start{ID: fmt.Sprintf("flow_%02d", i), Items: []Item{quote("gpu.a10", "1", "0.76")}})
	}
	apply(Start{ID: "flow_leased", Holder: "h", Lease: hour, Items: []Item{quote("gpu.a10", "1", "0.76")}})
	var days []int64
	for range 50 {
		at += hour
		for _, e := range apply(Close{Hour: at}).Events {
			if e.Kind != EventUnleased {
				continue
			}
			days = append(days, e.At)
			if n := len(strings.Fields(e.Data["flows"])); e.Data["count"] != "25" || n != maxListed || strings.Contains(e.Data["flows"], "leased") {
				t.Errorf("the event says %v", e.Data)
			}
		}
	}
	if len(days) != 3 || days[0] != 20_001*day || days[2] != 20_003*day {
		t.Errorf("listed at %v, want at the three midnights", days)
	}
}
