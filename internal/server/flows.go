package server

import (
	"cmp"
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/wallet"
)

// FlowPath names a flow.
type FlowPath struct {
	WorkspacePath
	Flow string `path:"flow" maxLength:"60"`
}

func (s *Server) flowCalls() {
	command(s, call{
		id: "start-flow", method: "POST", path: "/v1/workspaces/{workspace}/flows", tag: tagFlows, action: org.Run, status: 201,
		summary: "Start the metering of running resources", description: "If the gate agrees: else 402 with the numbers.",
	}, startFlow)
	query(s, call{
		id: "list-flows", method: "GET", path: "/v1/workspaces/{workspace}/flows", tag: tagFlows, action: org.See,
		summary: "List flows, the newest first",
	}, listFlows)
	query(s, call{
		id: "get-flow", method: "GET", path: "/v1/workspaces/{workspace}/flows/{flow}", tag: tagFlows, action: org.See,
		summary: "Get a flow, exact at this instant",
	}, getFlow)
	command(s, call{
		id: "change-flow", method: "PATCH", path: "/v1/workspaces/{workspace}/flows/{flow}", tag: tagFlows, action: org.Run,
		summary: "Give a flow other items from now on", description: "The old items are settled to this instant.",
	}, changeFlow)
	command(s, call{
		id: "heartbeat-flow", method: "POST", path: "/v1/workspaces/{workspace}/flows/{flow}/heartbeat", tag: tagFlows,
		action: org.Run, optional: true, repeatable: true, summary: "Renew the lease of a flow",
		description: "The lease runs from this instant on. While the server's clock is off (503 clock_off to whoever starts something), " +
			"a longer lease than before is not given, and the flow keeps the one it has.",
	}, heartbeatFlow)
	command(s, call{
		id: "stop-flow", method: "POST", path: "/v1/workspaces/{workspace}/flows/{flow}/stop", tag: tagFlows, action: org.Run,
		optional: true, summary: "End a flow",
	}, stopFlow)
}

func startFlow(u *unit, _ *WorkspacePath, b *api.NewFlow) (api.Flow, error) {
	var f fields
	asks := f.asks(b.Items)
	project, user, err := u.countsAs(b.Project, b.User)
	if err != nil {
		return api.Flow{}, err
	}
	start := wallet.Start{
		Project: project, User: user, Job: b.Job, Key: u.actor.ID, Label: b.Label, Lease: b.LeaseSeconds * db.Second,
		At: f.past("/at", b.At, u.tx.Now()),
	}
	if b.MaxCost != "" {
		start.MaxCost = f.positive("/max_cost", b.MaxCost)
	}
	if err := f.Err(); err != nil {
		return api.Flow{}, err
	}
	if err := u.price(&start, asks); err != nil {
		return api.Flow{}, err
	}
	start.ID = u.tx.NewID("flow_")
	if start.Lease > 0 {
		start.Holder = start.ID // a flow of the API has a lease of its own
	}
	result, err := u.ledger.Apply(u.tx, u.id, start)
	if err != nil {
		return api.Flow{}, err
	}
	lease := int64(0)
	if start.Lease > 0 {
		lease = result.At + start.Lease
	}
	return u.flow(start.ID, result, lease)
}

// countsAs is the project and the user that what is started counts as.
func (u *unit) countsAs(project, user string) (string, string, error) {
	project = cmp.Or(project, u.actor.Project())
	user, err := org.ForUser(u.actor, user, org.Target{Organization: u.id.Organization, Workspace: u.id.Workspace, Project: project})
	return project, user, err
}

// price gives a start its items, as its project allows them, and its last instant if
// nothing there may run for ever.
func (u *unit) price(start *wallet.Start, asks []price.Ask) error {
	place, err := u.projects.Enter(u.tx, u.id, start.Project)
	if err != nil {
		return err
	}
	prices, err := u.prices.For(u.tx, u.id.Organization)
	if err != nil {
		return err
	}
	since := u.tx.Now()
	if start.At != 0 {
		since = start.At
	}
	if start.Items, err = prices.Start(inTiers(place, asks), since); err != nil {
		return err
	}
	isStorage := strings.HasPrefix(start.Items[0].SKU, "storage.")
	if longest := place.Runtime(); longest > 0 && !isStorage {
		start.Until = since + longest
	}
	return place.Admit(u.tx, project.Work{Items: start.Items, Since: start.At, IsEndless: isStorage})
}

// inTiers fills in the tiers that a project means where none is named.
func inTiers(place project.Place, asks []price.Ask) []price.Ask {
	for i := range asks {
		asks[i].Tier = place.Tier(asks[i].Tier, asks[i].SKU)
	}
	return asks
}

func changeFlow(u *unit, p *FlowPath, b *api.FlowChange) (api.Flow, error) {
	var f fields
	asks := f.asks(b.Items)
	if err := f.Err(); err != nil {
		return api.Flow{}, err
	}
	running, err := u.running(p.Flow)
	if err != nil {
		return api.Flow{}, err
	}
	prices, err := u.prices.For(u.tx, u.id.Organization)
	if err != nil {
		return api.Flow{}, err
	}
	place, err := u.projects.At(u.tx, u.id, running.Project)
	if err != nil {
		return api.Flow{}, err
	}
	items, err := prices.Change(running.Items, inTiers(place, asks), u.tx.Now())
	if err != nil {
		return api.Flow{}, err
	}
	if err := place.Admit(u.tx, project.Work{Items: items, Running: running.Items}); err != nil {
		return api.Flow{}, err
	}
	result, err := u.ledger.Apply(u.tx, u.id, wallet.Change{Flow: p.Flow, Items: items})
	if err != nil {
		return api.Flow{}, err
	}
	return u.flowWithLease(running, result)
}

// heartbeatFlow is one row of its own, whatever the wallet's size. It is not
// remembered under its key: doing it again is what it is for.
func heartbeatFlow(u *unit, p *FlowPath, b *api.Heartbeat) (api.Flow, error) {
	f, err := u.running(p.Flow)
	if err != nil {
		return api.Flow{}, err
	}
	if f.Lease == 0 {
		return api.Flow{}, fault.New(fault.Conflict, "flow %s was started without a lease, and runs until it is stopped", f.ID).
			WithCode("no_lease")
	}
	lease := f.Lease
	var changes []wallet.Command
	if b.LeaseSeconds != 0 && b.LeaseSeconds*db.Second != f.Lease {
		lease = b.LeaseSeconds * db.Second
		changes = append(changes, wallet.Limit{Flow: f.ID, Lease: &lease})
	}
	result, err := u.ledger.Apply(u.tx, u.id, changes...)
	if len(changes) > 0 && fault.Is(err, fault.Unavailable) && u.db.Admits() != nil { // no longer lease, but the one it has
		lease = f.Lease
		result, err = u.ledger.Apply(u.tx, u.id)
	}
	if err != nil {
		return api.Flow{}, err
	}
	until, err := u.ledger.Renew(u.tx, u.id, f.Holder, lease)
	if err != nil {
		return api.Flow{}, err
	}
	return u.flow(f.ID, result, until)
}

func stopFlow(u *unit, p *FlowPath, b *api.FlowStop) (api.Flow, error) {
	var f fields
	at := f.past("/at", b.At, max(u.tx.Now(), u.tx.Happened()))
	at = min(at, u.tx.Now()) // a server that is behind cannot record a later end
	if err := f.Err(); err != nil {
		return api.Flow{}, err
	}
	flow, err := u.settled(p.Flow)
	switch {
	case err != nil:
		return api.Flow{}, err
	case flow.Status == wallet.Lost && at == 0:
		return u.stopLost(&flow, u.tx.Now())
	case flow.Status == wallet.Lost:
		return u.stopLost(&flow, at)
	case flow.Status.Ended():
		return api.Flow{}, flowEnded(&flow)
	}
	stop := wallet.Stop{Flow: p.Flow, At: at, Reason: b.Reason}
	if flow.Lease > 0 {
		if stop.Proof, err = u.ledger.Proof(u.tx, u.id, flow.Holder); err != nil {
			return api.Flow{}, err
		}
	}
	result, err := u.ledger.Apply(u.tx, u.id, stop)
	if err != nil {
		return api.Flow{}, err
	}
	return u.flow(p.Flow, result, 0)
}

// settled finds a flow as it is now: what time ends has ended.
func (u *unit) settled(id string) (wallet.Flow, error) {
	if _, err := u.ledger.Apply(u.tx, u.id); err != nil {
		return wallet.Flow{}, err
	}
	return u.ledger.Flow(u.tx, u.id, id)
}

// running finds a flow that has not ended.
func (u *unit) running(id string) (wallet.Flow, error) {
	f, err := u.settled(id)
	if err == nil && f.Status.Ended() {
		err = flowEnded(&f)
	}
	return f, err
}

func flowEnded(f *wallet.Flow) error {
	return fault.New(fault.Conflict, "flow %s has ended at %s (%s)", f.ID, api.At(f.EndedAt), f.Reason).WithCode("flow_ended")
}

// flow answers with a flow as the unit has left it.
func (u *unit) flow(id string, result ledger.Result, leaseUntil int64) (api.Flow, error) {
	f, err := u.ledger.Flow(u.tx, u.id, id)
	if err != nil {
		return api.Flow{}, err
	}
	return u.flowOnWire(u.tx, u.id, &f, moment{result.Wallet.View(), result.At}, leaseUntil)
}

func (u *unit) flowWithLease(f wallet.Flow, result ledger.Result) (api.Flow, error) {
	until, err := u.leaseUntil(u.tx, u.id, &f)
	if err != nil {
		return api.Flow{}, err
	}
	return u.flow(f.ID, result, until)
}

func (s *Server) leaseUntil(tx *db.Tx, id ledger.ID, f *wallet.Flow) (int64, error) {
	if f.Lease == 0 || f.Status.Ended() {
		return 0, nil
	}
	return s.ledger.LeaseUntil(tx, id, f.Holder)
}

// maxCost is what a flow may cost at most, or 0.
func (s *Server) maxCost(tx *db.Tx, id ledger.ID, f *wallet.Flow) (credit.Amount, error) {
	if f.Hold == "" {
		return 0, nil
	}
	h, err := s.ledger.Hold(tx, id, f.Hold)
	return h.Original, err
}

func getFlow(r *reading, p *FlowPath) (out api.Flow, err error) {
	view, err := r.ledger.View(r.ctx, r.id)
	if err != nil {
		return out, err
	}
	err = r.view(func(tx *db.Tx) error {
		f, err := r.ledger.Flow(tx, r.id, p.Flow)
		if err == nil {
			out, err = r.flow(tx, &f, view)
		}
		return err
	})
	return out, err
}

func (r *reading) flow(tx *db.Tx, f *wallet.Flow, view *wallet.View) (api.Flow, error) {
	until, err := r.leaseUntil(tx, r.id, f)
	if err == nil {
		view, err = r.ledger.Matching(tx, r.id, view, f)
	}
	if err != nil {
		return api.Flow{}, err
	}
	return r.flowOnWire(tx, r.id, f, moment{view, r.instant(view)}, until)
}

func listFlows(r *reading, p *struct {
	WorkspacePath
	api.FlowQuery
}) (list api.List[api.Flow], err error) {
	filter := ledger.FlowFilter{Status: p.Status, Project: p.Project, Job: p.Job}
	if p.Status == "active" {
		filter.Status, filter.IsRunning = "", true
	}
	view, err := r.ledger.View(r.ctx, r.id)
	if err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		flows, next, err := r.ledger.Flows(tx, r.id, filter, newest(p.Page))
		if err != nil {
			return err
		}
		list, err = listed(flows, next, func(f *wallet.Flow) (api.Flow, error) { return r.flow(tx, f, view) })
		return err
	})
	return list, err
}

// asks reads what is to be metered.
func (f *fields) asks(items []api.NewItem) []price.Ask {
	asks := make([]price.Ask, len(items))
	for i, item := range items {
		asks[i] = price.Ask{SKU: item.SKU, Tier: item.Tier, Region: item.Region, Quantity: f.quantity(at("/items", i)+"/quantity", item.Quantity)}
	}
	return asks
}

// moment is a wallet at an instant.
type moment struct {
	*wallet.View
	at int64
}

func (s *Server) flowOnWire(tx *db.Tx, id ledger.ID, f *wallet.Flow, now moment, leaseUntil int64) (out api.Flow, err error) {
	maxCost, err := s.maxCost(tx, id, f)
	if err != nil {
		return out, err
	}
	charged, err := s.ledger.Charged(tx, id, f)
	if err != nil {
		return out, err
	}
	out = api.Flow{
		ID: f.ID, Status: string(f.Status), Reason: f.Reason, Project: f.Project, User: f.User, Job: f.Job, Label: f.Label,
		StartedAt: api.At(f.StartedAt), EndedAt: api.AtOrNull(f.EndedAt), MaxCost: amountOrNone(maxCost),
		LeaseUntil: api.AtOrNull(leaseUntil), RetainedAt: api.AtOrNull(f.RetainedAt), Owed: amountOrNone(f.Owed), AsOf: api.At(now.at),
		Items: make([]api.Item, 0, len(f.Items)), Classes: []api.Class{},
	}
	var accrued, rate credit.Amount
	for i := range f.Items {
		out.Items = append(out.Items, itemOnWire(&f.Items[i]))
		rate += credit.PerHour(f.Items[i].Rate, f.Items[i].Period)
	}
	if !f.Status.Ended() {
		stop, reason := now.StopAt(f)
		out.StopAt, out.StopReason = api.AtOrNull(stop), reason
		out.Classes = flowClasses(f)
		accrued = now.Accrued(f, now.at)
	}
	out.Rate, out.Accrued, out.Charged = amount(rate), amount(accrued), amount(charged+accrued)
	return out, nil
}

func itemOnWire(i *wallet.Item) api.Item {
	return api.Item{
		SKU: i.SKU, Tier: i.Tier, Region: i.Region, Quantity: quantity(i.Quantity), Unit: i.Unit, Price: amount(i.Price),
		Card: i.Card, Version: i.Version, Rate: amount(credit.PerHour(i.Rate, i.Period)),
	}
}
