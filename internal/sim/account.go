package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/purserhq/purser/api"
)

// auditor knows what clients were told, and nothing else. What it is told twice that
// can be true once only, it reports at once; the rest it holds against what the
// server says of itself (audit.go).
type auditor struct {
	now      int64
	accounts []*account
	cards    []api.RateCard // all versions, in their order
	known    map[string]bool
}

func newAuditor(now int64) *auditor { return &auditor{now: now, known: map[string]bool{}} }

// once notes that something was acknowledged that comes once only.
func (a *auditor) once(id string) error {
	if a.known[id] {
		return fmt.Errorf("%s was acknowledged before", id)
	}
	a.known[id] = true
	return nil
}

// account is a workspace as its clients know it.
type account struct {
	*auditor
	name, id string
	floor    int64 // the lowest balance that it may have had

	granted  map[string]int64     // by lot
	received map[string]int64     // by the lot of a transfer
	newLots  map[string][]int64   // by charge: what was given back as new lots
	flows    map[string]*flow     // by id
	holds    map[string]*hold     // by id
	usage    map[string]*reported // by the id of the event
	captures map[string]int64     // by charge: what was captured
	refunds  map[string]int64     // by charge: what was given back
	sentOut  int64                // by transfers

	// What random commands are about.
	lots, running, leased, holding, refundable, jobs []string
	sent                                             []api.UsageEvent
	events                                           int
	knownJobs                                        map[string]bool
}

func newAccount(a *auditor, w api.Workspace) *account {
	return &account{
		auditor: a, name: w.Slug, id: w.ID,
		granted: map[string]int64{}, received: map[string]int64{}, newLots: map[string][]int64{}, flows: map[string]*flow{},
		holds: map[string]*hold{}, usage: map[string]*reported{}, captures: map[string]int64{}, refunds: map[string]int64{},
		knownJobs: map[string]bool{},
	}
}

func (c *account) path(under string) string { return "/v1/workspaces/" + c.name + under }

// flow is a flow as its client knows it.
type flow struct {
	started int64
	parts   []part // what runs from when on
	ended   int64  // 0 unless a stop was acknowledged
}

type part struct {
	from  int64
	items []api.NewItem
}

type hold struct {
	amount int64
	status string // as it was acknowledged last
}

type reported struct {
	event  api.UsageEvent
	charge string // "" if only duplicates were heard of
	amount int64
}

// nano reads an amount of an answer.
func nano(text api.Amount) int64 {
	n, err := text.Nano()
	if err != nil {
		panic(fmt.Sprintf("sim: the server answers %q for an amount: %v", text, err))
	}
	return n
}

// instant reads an instant of an answer.
func instant(text api.Instant) int64 {
	n, err := text.UnixNano()
	if err != nil {
		panic(fmt.Sprintf("sim: the server answers %q for an instant: %v", text, err))
	}
	return n
}

func (c *account) addLot(id string, amount int64) error {
	c.granted[id] = amount
	c.lots = append(c.lots, id)
	return c.once(id)
}

// same checks that an answer says what was asked for.
func same[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v and should be %v", what, got, want)
	}
	return nil
}

func (c *account) grantedAs(n api.NewGrant, l api.Lot) error {
	return errors.Join(same("amount", nano(l.Amount), nano(n.Amount)), same("kind", l.Kind, n.Kind), c.addLot(l.ID, nano(n.Amount)))
}

func (c *account) started(n api.NewFlow, f api.Flow) error {
	at := instant(f.StartedAt)
	if n.At != "" {
		if err := same("started_at", at, instant(n.At)); err != nil {
			return err
		}
	}
	c.flows[f.ID] = &flow{started: at, parts: []part{{at, n.Items}}}
	c.running = append(c.running, f.ID)
	if n.LeaseSeconds > 0 {
		c.leased = append(c.leased, f.ID)
	}
	return c.once(f.ID)
}

func (c *account) changed(id string, n api.FlowChange, f api.Flow) error {
	c.flows[id].parts = append(c.flows[id].parts, part{instant(f.AsOf), n.Items})
	return same("id", f.ID, id)
}

func (c *account) stopped(id string, f api.Flow) error {
	drop(&c.running, id)
	drop(&c.leased, id)
	if f.EndedAt == nil {
		return errors.New("it is stopped and has no end")
	}
	c.flows[id].ended = instant(*f.EndedAt)
	return same("id", f.ID, id)
}

// drop removes an id from a list.
func drop(list *[]string, id string) {
	*list = slices.DeleteFunc(*list, func(other string) bool { return other == id })
}

func (c *account) held(n api.NewHold, h api.Hold) error {
	c.holds[h.ID] = &hold{nano(n.Amount), "held"}
	c.holding = append(c.holding, h.ID)
	return errors.Join(same("original", nano(h.Original), nano(n.Amount)), c.once(h.ID))
}

func (c *account) captured(id string, n api.Capture, d api.Captured) error {
	drop(&c.holding, id)
	sum := int64(0)
	for _, charge := range d.Charges {
		if err := c.once(charge.ID); err != nil {
			return err
		}
		c.captures[charge.ID] = nano(charge.Amount)
		c.refundable = append(c.refundable, charge.ID)
		sum += nano(charge.Amount)
	}
	if n.Amount != "" {
		if err := same("captured", sum, nano(n.Amount)); err != nil {
			return err
		}
	}
	c.holds[id].status = d.Hold.Status
	return same("amount", nano(d.Amount), sum)
}

func (c *account) released(id string, h api.Hold) error {
	drop(&c.holding, id)
	c.holds[id].status = "released"
	return errors.Join(same("status", h.Status, "released"), c.once("the release of "+id))
}

func (c *account) reported(events []api.UsageEvent, v api.Verdicts) error {
	if len(v.Items) != len(events) || v.Accepted+v.Duplicate+v.Rejected != len(events) {
		return fmt.Errorf("%d events have other verdicts: %d accepted, %d duplicate, %d rejected", len(events), v.Accepted, v.Duplicate, v.Rejected)
	}
	for i, verdict := range v.Items {
		if err := c.verdict(events[i], verdict); err != nil {
			return err
		}
	}
	return nil
}

func (c *account) verdict(e api.UsageEvent, v api.Verdict) error {
	known := c.usage[e.ID]
	switch v.Status {
	case "accepted":
		if known != nil && known.charge != "" {
			return fmt.Errorf("event %s counts twice: %s and %s", e.ID, known.charge, v.Charge)
		}
		c.usage[e.ID] = &reported{e, v.Charge, nano(v.Amount)}
		c.refundable = append(c.refundable, v.Charge)
		return c.once(v.Charge)
	case "duplicate":
		if known == nil {
			c.usage[e.ID] = &reported{event: e}
		}
	case "rejected":
		if known != nil && v.Code != "" && known.charge != "" && !slices.Contains(timely, v.Code) {
			return fmt.Errorf("event %s was accepted as %s and is rejected: %s", e.ID, known.charge, v.Reason)
		}
	default:
		return fmt.Errorf("%q is no verdict", v.Status)
	}
	return nil
}

// timely are the codes of events that came too late or too early: the same event
// may have come in time before.
var timely = []string{"event_too_late", "event_too_early"}

func (c *account) refunded(id string, n api.NewRefund, f api.Refund) error {
	back := nano(f.Amount)
	c.refunds[id] += back
	if n.NewLot {
		c.newLots[id] = append(c.newLots[id], back)
	}
	if n.Amount != "" {
		return same("amount", back, nano(n.Amount))
	}
	return same("left", nano(f.Left), 0)
}

func (c *account) moved(to *account, n api.NewTransfer, t api.Transfer) error {
	sum := int64(0)
	for _, l := range t.Lots {
		if err := c.once(l.ID); err != nil {
			return err
		}
		to.received[l.ID] = nano(l.Amount)
		to.lots = append(to.lots, l.ID)
		sum += nano(l.Amount)
	}
	c.sentOut += sum
	return errors.Join(same("amount", nano(t.Amount), nano(n.Amount)), same("its lots", sum, nano(n.Amount)), c.once(t.ID))
}

func (c *account) budgeted(n, b api.Budgets) error {
	return same("budgets", len(b.Items), len(n.Items))
}

func (c *account) asked(j api.Job) error {
	c.jobs = append(c.jobs, j.ID)
	c.knownJobs[j.ID] = true
	return c.once(j.ID)
}

// mayOverdraw notes that the balance may go so far below zero from now on: a lower
// overdraft does not bring back what was lent under a higher one.
func (c *account) mayOverdraw(overdraft api.Amount) { c.floor = min(c.floor, -nano(overdraft)) }
