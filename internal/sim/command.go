package sim

import (
	"fmt"
	"strconv"

	"github.com/purserhq/purser/api"
)

// kind is a kind of command, sent so often as its weight says. Its maker returns
// nil where there is nothing that it could be about.
type kind struct {
	weight int
	make   func(*world, *account) *request
}

var kinds = []kind{
	{14, (*world).grant},
	{14, (*world).startFlow},
	{5, (*world).changeFlow},
	{12, (*world).stopFlow},
	{6, (*world).heartbeat},
	{10, (*world).createHold},
	{7, (*world).captureHold},
	{3, (*world).releaseHold},
	{14, (*world).reportOne},
	{8, (*world).reportBatch},
	{5, (*world).refund},
	{3, (*world).transfer},
	{2, (*world).setBudgets},
	{2, (*world).changePolicy},
	{2, (*world).freeze},
	{2, (*world).unfreeze},
	{1, (*world).putCard},
	{3, (*world).createJob},
	{1, (*world).stopJob},
	{1, (*world).resumeJob},
}

// draw makes a random command of a random client.
func (w *world) draw() *request {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := w.random.IntN(sum)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			return k.make(w, pick(w, w.auditor.accounts))
		}
	}
	panic("sim: a weight is negative")
}

// request makes a request with a key of its own.
func (w *world) request(what, method, path string, body any) *request {
	w.keys++
	r := &request{what: what, method: method, path: path, key: "k" + strconv.Itoa(w.keys), learn: func(answer) error { return nil }}
	if body != nil {
		r.body = encoded(body)
	}
	return r
}

// learns makes a request whose answer tells something of type T.
func learns[T any](r *request, learn func(T) error) *request {
	r.learn = func(a answer) error {
		var value T
		if err := decode(a, &value); err != nil {
			return err
		}
		if err := learn(value); err != nil {
			return fmt.Errorf("%s, answered %s: %w", r, a.body, err)
		}
		return nil
	}
	return r
}

// amount is a random amount below so many credits, often an odd one.
func (w *world) amount(below int64) api.Amount {
	switch w.random.IntN(4) {
	case 0:
		return api.NanoCredits(1 + w.random.Int64N(1000))
	case 1:
		return api.NanoCredits((1 + w.random.Int64N(below)) * 1e9)
	}
	return api.NanoCredits(1 + w.random.Int64N(below*1e9))
}

var (
	projects = []string{"", "", "vision", "speech"}
	users    = []string{"", "ada", "grace"}
	tiers    = []string{"", "", "on-demand", "spot"}
)

func (w *world) grant(c *account) *request {
	n := api.NewGrant{Amount: w.amount(60), Kind: pick(w, []string{"purchased", "purchased", "promotional", "plan", "commitment", "adjustment", "financed"})}
	switch w.random.IntN(8) {
	case 0:
		n.ExpiresAt = api.At(w.clock + 1 + w.random.Int64N(20*3600e9))
	case 1:
		n.EffectiveAt = api.At(w.clock + w.random.Int64N(3600e9))
	case 2:
		n.Scope = &api.Scope{SKUs: []string{pick(w, []string{"gpu.*", "cpu.*", "network.*", "*"})}}
	case 3:
		n.Scope = &api.Scope{Projects: []string{"vision"}}
	case 4:
		n.Scope = &api.Scope{Tiers: []string{"spot"}, SKUs: []string{"gpu.h100", "gpu.a10"}}
	}
	return learns(w.request("grant", "POST", c.path("/grants"), n), func(l api.Lot) error { return c.grantedAs(n, l) })
}

// items are random resources, no two of the same SKU.
func (w *world) items() []api.NewItem {
	skus := []string{"gpu.h100", "gpu.a10", "cpu.vcpu", "memory.gib", "gpu.l40s"}
	if w.chance(12) {
		skus = []string{"storage.cluster", "storage.object"}
	}
	w.random.Shuffle(len(skus), func(i, k int) { skus[i], skus[k] = skus[k], skus[i] })
	items := make([]api.NewItem, 1+w.random.IntN(2))
	for i := range items {
		items[i] = api.NewItem{SKU: skus[i], Tier: pick(w, tiers), Quantity: api.MicroUnits(1 + w.random.Int64N(8e6))}
		if w.chance(2) {
			items[i].Quantity = api.MicroUnits((1 + w.random.Int64N(8)) * 1e6)
		}
		if skus[i][:3] == "sto" {
			items[i].Tier, items[i].Quantity = "", api.MicroUnits(w.random.Int64N(5e12))
		}
	}
	return items
}

func (w *world) startFlow(c *account) *request {
	if len(c.running) >= maxFlows {
		return w.stopFlow(c)
	}
	n := api.NewFlow{Items: w.items(), Project: pick(w, projects), User: pick(w, users)}
	switch w.random.IntN(7) {
	case 0, 1:
		n.LeaseSeconds = 1 + w.random.Int64N(1800)
	case 2:
		n.MaxCost = w.amount(10)
	case 3:
		n.At = api.At(w.clock - w.random.Int64N(3*3600e9))
	}
	return learns(w.request("start", "POST", c.path("/flows"), n), func(f api.Flow) error { return c.started(n, f) })
}

// maxFlows is how many flows of a workspace run at the same time: what runs is
// charged at every hour of every leap.
const maxFlows = 5

func (w *world) changeFlow(c *account) *request {
	if len(c.running) == 0 {
		return nil
	}
	id := pick(w, c.running)
	n := api.FlowChange{Items: w.items()}
	return learns(w.request("change", "PATCH", c.path("/flows/"+id), n), func(f api.Flow) error { return c.changed(id, n, f) })
}

func (w *world) stopFlow(c *account) *request {
	if len(c.running) == 0 {
		return nil
	}
	id := pick(w, c.running)
	n := api.FlowStop{}
	if w.chance(3) {
		n.At = api.At(w.clock - w.random.Int64N(600e9))
	}
	return learns(w.request("stop", "POST", c.path("/flows/"+id+"/stop"), n), func(f api.Flow) error { return c.stopped(id, f) })
}

func (w *world) heartbeat(c *account) *request {
	if len(c.leased) == 0 {
		return nil
	}
	n := api.Heartbeat{}
	if w.chance(4) {
		n.LeaseSeconds = 1 + w.random.Int64N(1800)
	}
	r := w.request("heartbeat", "POST", c.path("/flows/"+pick(w, c.leased)+"/heartbeat"), n)
	r.forgotten = true
	return r
}

func (w *world) createHold(c *account) *request {
	n := api.NewHold{Amount: w.amount(5), TTLSeconds: 1 + w.random.Int64N(7200), Project: pick(w, projects)}
	if w.chance(3) {
		n.SKUs = []string{"network.egress"}
	}
	return learns(w.request("hold", "POST", c.path("/holds"), n), func(h api.Hold) error { return c.held(n, h) })
}

func (w *world) captureHold(c *account) *request {
	if len(c.holding) == 0 {
		return nil
	}
	id := pick(w, c.holding)
	n := api.Capture{Amount: w.amount(2)}
	if w.chance(2) {
		n = api.Capture{Usage: []api.Usage{{SKU: "network.egress", Quantity: api.MicroUnits(1 + w.random.Int64N(90e6))}}}
	}
	return learns(w.request("capture", "POST", c.path("/holds/"+id+"/capture"), n), func(d api.Captured) error { return c.captured(id, n, d) })
}

func (w *world) releaseHold(c *account) *request {
	if len(c.holding) == 0 {
		return nil
	}
	id := pick(w, c.holding)
	return learns(w.request("release", "POST", c.path("/holds/"+id+"/release"), nil), func(h api.Hold) error { return c.released(id, h) })
}

// source is where all events come from.
const source = "/sim"

// event is a random report of usage: late, early, or without an instant; new, or
// one that was sent before.
func (w *world) event(c *account) api.UsageEvent {
	if len(c.sent) > 0 && w.chance(6) {
		return pick(w, c.sent)
	}
	c.events++
	e := api.UsageEvent{SpecVersion: "1.0", ID: strconv.Itoa(c.events), Source: source, Type: "purser.usage", Data: api.UsageData{
		SKU: pick(w, []string{"network.egress", "storage.object.operations"}), Quantity: api.MicroUnits(1 + w.random.Int64N(30e6)),
		Project: pick(w, projects), User: pick(w, users),
	}}
	at := w.clock
	switch w.random.IntN(4) {
	case 0:
		at -= w.random.Int64N(36 * 86400e9)
	case 1:
		at -= w.random.Int64N(7200e9)
	case 2:
		at += w.random.Int64N(360e9)
	}
	e.Time = api.At(at)
	c.sent = append(c.sent, e)
	return e
}

func (w *world) reportOne(c *account) *request {
	return w.report1(c, []api.UsageEvent{w.event(c)})
}

func (w *world) report1(c *account, events []api.UsageEvent) *request {
	r := w.request("usage", "POST", c.path("/usage-events"), events)
	r.header = map[string]string{"Content-Type": "application/cloudevents-batch+json"}
	if len(events) == 1 && w.chance(2) {
		r.body = encoded(events[0])
		r.header["Content-Type"] = "application/cloudevents+json"
	}
	return learns(r, func(v api.Verdicts) error { return c.reported(events, v) })
}

// reportBatch reports several events, of which some may be broken.
func (w *world) reportBatch(c *account) *request {
	events := make([]api.UsageEvent, 2+w.random.IntN(6))
	for i := range events {
		events[i] = w.event(c)
		if w.chance(12) {
			c.events++
			events[i].ID, events[i].Data.SKU = strconv.Itoa(c.events), "no.such.sku"
		}
	}
	return w.report1(c, events)
}

func (w *world) refund(c *account) *request {
	if len(c.refundable) == 0 {
		return nil
	}
	id := pick(w, c.refundable)
	n := api.NewRefund{NewLot: w.chance(4)}
	if w.chance(2) {
		n.Amount = w.amount(1)
	}
	return learns(w.request("refund", "POST", c.path("/charges/"+id+"/refund"), n), func(f api.Refund) error { return c.refunded(id, n, f) })
}

func (w *world) transfer(c *account) *request {
	to := pick(w, w.auditor.accounts)
	n := api.NewTransfer{ToWorkspace: to.name, Amount: w.amount(5)}
	return learns(w.request("transfer", "POST", c.path("/transfers"), n), func(t api.Transfer) error { return c.moved(to, n, t) })
}

func (w *world) setBudgets(c *account) *request {
	n := api.Budgets{Items: []api.Budget{}}
	for range w.random.IntN(3) {
		b := api.Budget{Key: "workspace", Amount: w.amount(200), Window: pick(w, []string{"hour", "day", "week", "month", "total"}), Hard: w.chance(3)}
		switch w.random.IntN(3) {
		case 0:
			b.Key, b.Value = "project", "vision"
		case 1:
			b.Window, b.WindowHours = "rolling", 1+w.random.IntN(72)
		}
		n.Items = append(n.Items, b)
	}
	r := learns(w.request("budgets", "PUT", c.path("/budgets"), n), func(b api.Budgets) error { return c.budgeted(n, b) })
	return r
}

func (w *world) changePolicy(c *account) *request {
	runway, grace := w.random.Int64N(1800), w.random.Int64N(300)
	n := api.PolicyChange{MinRunwaySeconds: &runway, GraceSeconds: &grace}
	if w.chance(3) {
		overdraft := w.amount(4)
		n.Overdraft = &overdraft
		c.mayOverdraw(overdraft)
	}
	return w.request("policy", "PATCH", c.path("/policy"), n)
}

func (w *world) freeze(c *account) *request {
	if len(c.lots) == 0 {
		return nil
	}
	return w.request("freeze", "POST", c.path("/lots/"+pick(w, c.lots)+"/freeze"), nil)
}

func (w *world) unfreeze(c *account) *request {
	if len(c.lots) == 0 {
		return nil
	}
	return w.request("unfreeze", "POST", c.path("/lots/"+pick(w, c.lots)+"/unfreeze"), nil)
}

// putCard makes a next version of the prices: each somewhat higher or lower.
func (w *world) putCard(*account) *request {
	n := api.NewRateCard{SKUs: w.auditor.prices(func(nano int64) int64 { return 1 + nano*(80+w.random.Int64N(45))/100 })}
	if w.chance(2) {
		n.EffectiveAt = api.At(w.clock + w.random.Int64N(7200e9))
	}
	return learns(w.request("prices", "PUT", "/v1/rate-cards/default", n), w.auditor.priced)
}

func (w *world) createJob(c *account) *request {
	if len(c.jobs) > 0 && w.chance(2) {
		return w.stopJob(c)
	}
	n := api.NewJob{
		Command: []string{"sleep", strconv.FormatInt(w.random.Int64N(7200), 10)}, Project: pick(w, projects),
		Resources: api.Resources{GPU: pick(w, []string{"", "a10", "h100"}), CPU: api.MicroUnits(1 + w.random.Int64N(4e6))},
	}
	switch w.random.IntN(4) {
	case 0:
		n.MaxCost = w.amount(5)
	case 1:
		n.MaxRuntimeSeconds = 1 + w.random.Int64N(3600)
	case 2:
		n.Env = map[string]string{"PURSER_SIM_CHECKPOINT": strconv.FormatInt(w.random.Int64N(100), 10)}
	}
	return learns(w.request("job", "POST", c.path("/jobs"), n), func(j api.Job) error { return c.asked(j) })
}

func (w *world) stopJob(c *account) *request {
	if len(c.jobs) == 0 {
		return nil
	}
	return w.request("stop job", "POST", c.path("/jobs/"+pick(w, c.jobs)+"/stop"), api.JobStop{Now: w.chance(2)})
}

func (w *world) resumeJob(c *account) *request {
	if len(c.jobs) == 0 {
		return nil
	}
	return w.request("resume job", "POST", c.path("/jobs/"+pick(w, c.jobs)+"/resume"), api.JobResume{})
}
