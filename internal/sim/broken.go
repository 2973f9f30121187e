package sim

import (
	"bytes"

	"github.com/purserhq/purser/api"
)

// flaw makes something wrong with a request.
type flaw func(*world, *request)

var flaws = []flaw{
	func(_ *world, r *request) { r.body = r.body[:len(r.body)/2] },
	func(_ *world, r *request) { r.body = append([]byte(`{"unheard_of":1,`), r.body[1:]...) },
	func(_ *world, r *request) { r.body = append(r.body, r.body...) },
	func(_ *world, r *request) { r.body = bytes.Replace(r.body, []byte(`":"`), []byte(`":"x`), 1) },
	func(_ *world, r *request) { r.body = []byte(`[]`) },
	func(_ *world, r *request) { r.body = []byte(`null`) },
	func(_ *world, r *request) { r.body = nil },
	func(_ *world, r *request) { r.body = append([]byte{0xff, 0xfe}, r.body...) },
	func(_ *world, r *request) { r.header = map[string]string{"Authorization": "Bearer somebody-else"} },
	func(_ *world, r *request) { r.header = map[string]string{"Content-Type": "text/plain"} },
	func(_ *world, r *request) { r.key = "a\tkey" },
	func(_ *world, r *request) { r.key = string(bytes.Repeat([]byte("k"), 256)) },
	func(_ *world, r *request) { r.method = "DELETE" },
	func(_ *world, r *request) { r.path += "s" },
	func(_ *world, r *request) { r.path += "?twice=1&twice=2" },
}

// broken makes a request that must be refused: a sound one with a flaw, or one that
// asks for something that cannot be.
func (w *world) broken(c *account) *request {
	grant := func(n api.NewGrant) *request { return w.request("broken", "POST", c.path("/grants"), n) }
	switch w.random.IntN(3) {
	case 0:
		return grant(api.NewGrant{Kind: "purchased", Amount: pick(w, []api.Amount{
			"-1", "0", "1e9", "0.0000000001", "9223372036.854775808", "99999999999999999999", "1,5", "NaN", " 1",
		})})
	case 1:
		return pick(w, []func() *request{
			func() *request {
				return w.request("broken", "POST", c.path("/flows"), api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "-1"}}})
			},
			func() *request {
				return w.request("broken", "POST", c.path("/flows"), api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "9223372036854"}, {SKU: "no.such", Quantity: "1"}}})
			},
			func() *request {
				return w.request("broken", "POST", c.path("/holds"), api.NewHold{Amount: "1", TTLSeconds: 86401})
			},
			func() *request {
				return w.request("broken", "POST", c.path("/transfers"), api.NewTransfer{ToWorkspace: "bolt.nowhere", Amount: "1"})
			},
			func() *request {
				return w.request("broken", "POST", c.path("/flows/flow_none/stop"), api.FlowStop{})
			},
			func() *request {
				return w.request("broken", "POST", "/v1/test-clock/advance", api.Advance{To: "2026-01-01T00:00:00Z"})
			},
			func() *request {
				return w.request("broken", "PUT", c.path("/budgets"), api.Budgets{Items: []api.Budget{{Key: "workspace", Amount: "1", Window: "day"}, {ID: "bdg_none", Key: "workspace", Amount: "1", Window: "day"}}})
			},
		})()
	}
	r := grant(api.NewGrant{Amount: "1000", Kind: "purchased"})
	pick(w, flaws)(w, r)
	return r
}
