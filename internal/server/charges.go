package server

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// ChargePath names a charge.
type ChargePath struct {
	WorkspacePath
	Charge string `path:"charge" maxLength:"60"`
}

func (s *Server) chargeCalls() {
	query(s, call{
		id: "list-charges", method: "GET", path: "/v1/workspaces/{workspace}/charges", tag: tagBooks, action: org.Account,
		summary: "List charges, the newest first",
	}, listCharges)
	query(s, call{
		id: "get-charge", method: "GET", path: "/v1/workspaces/{workspace}/charges/{charge}", tag: tagBooks, action: org.Account,
		summary: "Get a charge with all that is needed to compute it again",
	}, func(r *reading, p *ChargePath) (out api.Charge, err error) {
		no, err := numberOf("chg_", "charge", r.id, p.Charge)
		if err != nil {
			return out, err
		}
		err = r.view(func(tx *db.Tx) error {
			c, err := r.ledger.Charge(tx, r.id, no)
			if err == nil {
				out = chargeOnWire(r.id, &c)
			}
			return err
		})
		return out, err
	})
	command(s, call{
		id: "refund-charge", method: "POST", path: "/v1/workspaces/{workspace}/charges/{charge}/refund", tag: tagBooks,
		action: org.Operate, optional: true, summary: "Give back a charge, or a part of it",
		description: "To the lots it came from, in reverse; what had expired meanwhile expires again at once.",
	}, refundCharge)
}

func listCharges(r *reading, p *struct {
	WorkspacePath
	api.ChargeQuery
}) (list api.List[api.Charge], err error) {
	var f fields
	filter := ledger.ChargeFilter{
		Flow: p.Flow, Job: p.Job, Project: p.Project, SKU: p.SKU, From: f.instant("from", p.From), To: f.instant("to", p.To),
	}
	if err := f.Err(); err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		charges, next, err := r.ledger.Charges(tx, r.id, filter, newest(p.Page))
		if err != nil {
			return err
		}
		list, err = listed(charges, next, func(c *wallet.Charge) (api.Charge, error) { return chargeOnWire(r.id, c), nil })
		return err
	})
	return list, err
}

func refundCharge(u *unit, p *ChargePath, b *api.NewRefund) (api.Refund, error) {
	no, err := numberOf("chg_", "charge", u.id, p.Charge)
	if err != nil {
		return api.Refund{}, err
	}
	charge, err := u.ledger.Charge(u.tx, u.id, no)
	if err != nil {
		return api.Refund{}, err
	}
	var f fields
	refund := wallet.Refund{Charge: charge, Reason: b.Reason}
	if b.Amount != "" {
		refund.Amount = f.positive("/amount", b.Amount)
	}
	if err := f.Err(); err != nil {
		return api.Refund{}, err
	}
	if b.NewLot {
		kind := wallet.Adjustment
		refund.To = &wallet.Lot{ID: u.tx.NewID("lot_"), Kind: kind, Priority: kind.DefaultPriority(), Source: p.Charge, Reason: b.Reason}
	}
	result, err := u.ledger.Apply(u.tx, u.id, refund)
	if err != nil {
		return api.Refund{}, err
	}
	return refundOnWire(p.Charge, &charge, result), nil
}

// refundOnWire tells a refund from the postings that it made.
func refundOnWire(id string, c *wallet.Charge, result ledger.Result) api.Refund {
	out := api.Refund{Charge: id, At: api.At(result.At), Slices: []api.Slice{}}
	back, expired := credit.Amount(0), credit.Amount(0)
	for _, p := range result.Effects.Postings {
		switch {
		case p.Kind == wallet.PostExpire:
			expired += p.Amount
		case p.Corrects == c.No:
			back += p.Amount
			out.Slices = append(out.Slices, api.Slice{Lot: lotOfRefund(p), Amount: amount(p.Amount)})
		}
	}
	out.Amount, out.Expired, out.Left = amount(back), amount(expired), amount(c.Amount-c.Refunded-back)
	return out
}

func lotOfRefund(p wallet.Posting) string {
	switch p.Kind {
	case wallet.PostUnOverdraw:
		return wallet.OverdraftLot
	case wallet.PostUnOwe:
		return wallet.OwedLot
	case wallet.PostUnOverrun:
		return wallet.OverrunLot
	}
	return p.Lot
}

// numbered is the id of a numbered thing of a wallet: prefix, workspace, number.
func numbered(prefix string, id ledger.ID, no int64) string {
	return fmt.Sprintf("%s%s_%d", prefix, strings.TrimPrefix(id.Workspace, "ws_"), no)
}

func numberedOrNone(prefix string, id ledger.ID, no int64) string {
	if no == 0 {
		return ""
	}
	return numbered(prefix, id, no)
}

// numberOf reads such an id; it must be of this workspace.
func numberOf(prefix, what string, id ledger.ID, text string) (int64, error) {
	rest, ok := strings.CutPrefix(text, strings.TrimSuffix(numbered(prefix, id, 0), "0"))
	no, err := strconv.ParseInt(rest, 10, 64)
	if !ok || err != nil || no < 1 {
		return 0, fault.New(fault.NotFound, "there is no %s %q in this workspace", what, text)
	}
	return no, nil
}

func chargeOnWire(id ledger.ID, c *wallet.Charge) api.Charge {
	out := api.Charge{
		ID: numbered("chg_", id, c.No), At: api.At(c.At), SKU: c.SKU, Tier: c.Tier, Region: c.Region, Project: c.Project,
		User: c.User, Job: c.Job, Token: c.Key, Flow: c.Flow, Hold: c.Hold, Event: c.Event, Quantity: quantity(c.Quantity),
		Unit: c.Unit, Price: amount(c.Price), Card: c.Card, Version: c.Version, From: api.At(c.From), To: api.At(c.To),
		Amount: amount(c.Amount), Overrun: amount(overrunOf(c)), Waived: amount(c.Waived), Refunded: amount(c.Refunded), Slices: slicesOnWire(c.Slices),
	}
	if c.Period > 0 {
		out.Rate = amount(credit.PerHour(c.Rate, c.Period))
		out.Computation = computed(c.Rate, c.To-c.From, c.Rem.Big(), c.Period.Divisor().Big())
		return out
	}
	out.Computation = computedEvent(c)
	return out
}

// computed shows the arithmetic of an interval in integers.
func computed(rate credit.Rate, elapsed int64, before, divisor *big.Int) api.Computation {
	n := new(big.Int).Mul(big.NewInt(int64(rate)), big.NewInt(elapsed))
	_, after := new(big.Int).QuoRem(n.Add(n, before), divisor, new(big.Int))
	return api.Computation{
		Rate: strconv.FormatInt(int64(rate), 10), Elapsed: elapsed, RemainderBefore: before.String(),
		Divisor: divisor.String(), RemainderAfter: after.String(),
	}
}

// computedEvent shows that of an event: price × quantity, by the pieces that a
// price buys. An amount that was captured as it was has no price.
func computedEvent(c *wallet.Charge) api.Computation {
	rate := credit.MulWide(uint64(c.Price), uint64(c.Quantity)).Big()
	pieces := max(price.Unit(c.Unit).Pieces(), 1)
	divisor := new(big.Int).Mul(big.NewInt(pieces), big.NewInt(int64(credit.Units)))
	if c.Price == 0 && c.Quantity == 0 {
		rate = new(big.Int).Mul(big.NewInt(int64(c.Amount)), divisor)
	}
	_, after := new(big.Int).QuoRem(rate, divisor, new(big.Int))
	return api.Computation{Rate: rate.String(), Elapsed: 1, RemainderBefore: "0", Divisor: divisor.String(), RemainderAfter: after.String()}
}
