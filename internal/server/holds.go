package server

import (
	"cmp"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// HoldPath names a hold.
type HoldPath struct {
	WorkspacePath
	Hold string `path:"hold" maxLength:"60"`
}

func (s *Server) holdCalls() {
	command(s, call{
		id: "create-hold", method: "POST", path: "/v1/workspaces/{workspace}/holds", tag: tagHolds, action: org.Run, status: 201,
		summary: "Set credits aside", description: "Until they are captured, released, or the time is over.",
	}, createHold)
	query(s, call{
		id: "list-holds", method: "GET", path: "/v1/workspaces/{workspace}/holds", tag: tagHolds, action: org.See,
		summary: "List holds, the newest first",
	}, listHolds)
	query(s, call{
		id: "get-hold", method: "GET", path: "/v1/workspaces/{workspace}/holds/{hold}", tag: tagHolds, action: org.See,
		summary: "Get a hold",
	}, func(r *reading, p *HoldPath) (out api.Hold, err error) {
		err = r.view(func(tx *db.Tx) error {
			h, err := r.ledger.Hold(tx, r.id, p.Hold)
			out = holdOnWire(&h)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "capture-hold", method: "POST", path: "/v1/workspaces/{workspace}/holds/{hold}/capture", tag: tagHolds, action: org.Run,
		summary: "Take from a hold and give the rest back", description: "An amount, or what usage costs: usage is always recorded.",
	}, captureHold)
	command(s, call{
		id: "release-hold", method: "POST", path: "/v1/workspaces/{workspace}/holds/{hold}/release", tag: tagHolds, action: org.Run,
		optional: true, summary: "Give a hold back",
	}, func(u *unit, p *HoldPath, _ *none) (api.Hold, error) {
		if _, err := u.ledger.Hold(u.tx, u.id, p.Hold); err != nil {
			return api.Hold{}, err
		}
		if _, err := u.ledger.Apply(u.tx, u.id, wallet.Release{Hold: p.Hold}); err != nil {
			return api.Hold{}, err
		}
		return u.hold(p.Hold)
	})
}

func createHold(u *unit, _ *WorkspacePath, b *api.NewHold) (api.Hold, error) {
	var f fields
	project, user, err := u.countsAs(b.Project, b.User)
	if err != nil {
		return api.Hold{}, err
	}
	reserve := wallet.Reserve{
		ID: u.tx.NewID("hold_"), Amount: f.positive("/amount", b.Amount), TTL: b.TTLSeconds * db.Second, SKUs: b.SKUs, Tier: b.Tier,
		Project: project, User: user, Key: u.actor.ID,
	}
	f.patterns("/skus", b.SKUs)
	if err := f.Err(); err != nil {
		return api.Hold{}, err
	}
	place, err := u.projects.Enter(u.tx, u.id, reserve.Project)
	if err != nil {
		return api.Hold{}, err
	}
	if len(reserve.SKUs) > 0 {
		reserve.Tier = cmp.Or(place.Tier(reserve.Tier, reserve.SKUs[0]), price.OnDemand)
	}
	if err := place.AdmitHold(reserve.SKUs, reserve.Tier); err != nil {
		return api.Hold{}, err
	}
	if _, err := u.ledger.Apply(u.tx, u.id, reserve); err != nil {
		return api.Hold{}, err
	}
	return u.hold(reserve.ID)
}

func captureHold(u *unit, p *HoldPath, b *api.Capture) (api.Captured, error) {
	h, err := u.ledger.Hold(u.tx, u.id, p.Hold)
	if err != nil {
		return api.Captured{}, err
	}
	capture := wallet.Capture{Hold: p.Hold}
	if capture.Amount, capture.Lines, err = u.captured(&h, b); err != nil {
		return api.Captured{}, err
	}
	result, err := u.ledger.Apply(u.tx, u.id, capture)
	if err != nil {
		return api.Captured{}, err
	}
	out := api.Captured{Charges: []api.Charge{}}
	var total, overrun credit.Amount
	for i := range result.Effects.Charges {
		c := &result.Effects.Charges[i]
		if c.Hold != p.Hold || c.Flow != "" {
			continue // of a flow that ended because the capture took the last credits
		}
		out.Charges = append(out.Charges, chargeOnWire(u.id, c))
		total += c.Amount
		overrun += overrunOf(c)
	}
	out.Amount, out.Overrun = amount(total), amount(overrun)
	out.Hold, err = u.hold(p.Hold)
	return out, err
}

// captured reads what is to be taken: an amount, or priced usage.
func (u *unit) captured(h *wallet.Hold, b *api.Capture) (credit.Amount, []wallet.Line, error) {
	if (b.Amount == "") == (len(b.Usage) == 0) {
		return 0, nil, fault.At("/amount", "say either an amount or usage")
	}
	var f fields
	if b.Amount != "" {
		a := f.positive("/amount", b.Amount)
		return a, nil, f.Err()
	}
	prices, err := u.prices.For(u.tx, u.id.Organization)
	if err != nil {
		return 0, nil, err
	}
	var lines []wallet.Line
	for i, used := range b.Usage {
		ask := price.Ask{SKU: used.SKU, Tier: h.Tier, Region: h.Region, Quantity: f.quantity(at("/usage", i)+"/quantity", used.Quantity)}
		if err := f.Err(); err != nil {
			return 0, nil, err
		}
		line, err := prices.Rate(ask, u.tx.Now())
		if err != nil {
			return 0, nil, fault.Under(at("/usage", i), err)
		}
		line.Project, line.User, line.Key = h.Project, h.User, h.Key
		lines = append(lines, line)
	}
	return 0, lines, nil
}

// overrunOf is what of a charge no credits covered.
func overrunOf(c *wallet.Charge) (sum credit.Amount) {
	for _, s := range c.Slices {
		if s.Lot == wallet.OverrunLot {
			sum += s.Amount
		}
	}
	return sum
}

// hold answers with a hold as the unit has left it.
func (u *unit) hold(id string) (api.Hold, error) {
	h, err := u.ledger.Hold(u.tx, u.id, id)
	return holdOnWire(&h), err
}

func listHolds(r *reading, p *struct {
	WorkspacePath
	api.HoldQuery
}) (list api.List[api.Hold], err error) {
	view, err := r.ledger.View(r.ctx, r.id)
	if err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		holds, next, err := r.ledger.Holds(tx, r.id, wallet.HoldStatus(p.Status), newest(p.Page))
		if err != nil {
			return err
		}
		list, err = listed(holds, next, func(h *wallet.Hold) (api.Hold, error) {
			err := r.shrink(tx, h, view)
			return holdOnWire(h), err
		})
		return err
	})
	return list, err
}

// shrink takes off a hold what the flow that it pays for has used up to now and
// not been charged for, the first slices first.
func (r *reading) shrink(tx *db.Tx, h *wallet.Hold, view *wallet.View) error {
	if h.Flow == "" || h.Status != wallet.Held {
		return nil
	}
	f, err := r.ledger.Flow(tx, r.id, h.Flow)
	if err != nil {
		return err
	}
	if view, err = r.ledger.Matching(tx, r.id, view, &f); err != nil {
		return err
	}
	used := min(view.Accrued(&f, r.instant(view)), h.Amount)
	for h.Amount -= used; used > 0 && len(h.Slices) > 0; {
		part := min(used, h.Slices[0].Amount)
		used -= part
		if h.Slices[0].Amount -= part; h.Slices[0].Amount == 0 {
			h.Slices = h.Slices[1:]
		}
	}
	return nil
}

func holdOnWire(h *wallet.Hold) api.Hold {
	return api.Hold{
		ID: h.ID, Status: string(h.Status), Amount: amount(h.Amount), Original: amount(h.Original), Captured: amount(h.Captured),
		SKUs: h.SKUs, Tier: h.Tier, Project: h.Project, User: h.User, Flow: h.Flow, Slices: slicesOnWire(h.Slices),
		CreatedAt: api.At(h.CreatedAt), ExpiresAt: api.AtOrNull(h.ExpiresAt),
	}
}

func slicesOnWire(slices []wallet.Slice) []api.Slice {
	out := make([]api.Slice, 0, len(slices))
	for _, s := range slices {
		out = append(out, api.Slice{Lot: s.Lot, Amount: amount(s.Amount)})
	}
	return out
}
