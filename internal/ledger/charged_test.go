package ledger

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// charged is what a flow was charged as the rows have it.
func (h *house) charged(id ID, flow string) (sum credit.Amount) {
	h.t.Helper()
	h.must(h.db.View(h.t.Context(), func(tx *db.Tx) error {
		f, err := h.Flow(tx, id, flow)
		if err == nil {
			sum, err = h.Charged(tx, id, &f)
		}
		return err
	}))
	return sum
}

// net adds up what was not given back of a flow's charges; the operator's losses
// come back first.
func (h *house) net(id ID, flow string) (sum credit.Amount) {
	h.t.Helper()
	h.must(h.db.View(h.t.Context(), func(tx *db.Tx) error {
		charges, err := db.All(tx, scanCharge, `SELECT `+chargeColumns+` FROM charges`+inWallet+` AND flow = $3`, id.Organization, id.Workspace, flow)
		for _, c := range charges {
			var lost credit.Amount
			for _, s := range c.Slices {
				if s.Lot == wallet.OverrunLot {
					lost += s.Amount
				}
			}
			sum += c.Amount - lost - max(0, c.Refunded-lost)
		}
		return err
	}))
	return sum
}

// chargedNet checks what every flow was charged.
func (h *history) chargedNet() {
	h.t.Helper()
	for id, flows := range h.flows {
		for _, flow := range flows {
			if h.count(`SELECT COUNT(*) FROM flows WHERE id = '`+flow+`'`) == 0 {
				continue // its start was refused
			}
			if got, want := h.charged(id, flow), h.net(id, flow); got != want {
				h.t.Errorf("flow %s was charged %s, its charges say %s", flow, got, want)
			}
		}
	}
}

// # What a flow was charged is net of refunds: while it runs, when it has ended,
// and within the unit of work that gives something back.
func TestChargedIsNet(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1)}, wallet.Start{ID: "flow_2", Items: gpus(1)})
	h.advance(2 * hour)
	refund := func(of credit.Amount) wallet.Refund { return wallet.Refund{Charge: wallet.Charge{No: 1}, Amount: of} }
	whole := h.charged(acme, "flow_1")
	check := func(back credit.Amount) {
		t.Helper()
		if got := h.charged(acme, "flow_1"); got != whole-back || got != h.net(acme, "flow_1") {
			t.Errorf("charged %s of %s after a refund of %s", got, whole, back)
		}
	}
	h.apply(acme, refund(3))
	check(3)
	h.must(h.update(func(tx *db.Tx) error {
		_, err := h.Apply(tx, acme, wallet.Stop{Flow: "flow_1"}, refund(4))
		h.must(err)
		f, err := h.Flow(tx, acme, "flow_1")
		h.must(err)
		whole += f.Charged - (whole - 3)
		if got, err := h.Charged(tx, acme, &f); err != nil || got != whole-7 {
			t.Errorf("charged %s of %s within the unit: %v", got, whole, err)
		}
		return nil
	}))
	check(7)
	h.apply(acme, refund(5))
	check(12)
	if h.charged(acme, "flow_2") != h.net(acme, "flow_2") {
		t.Error("the refunds of another flow count")
	}
	h.verified()
}

// # Refunds of a flow are found by their index, in any number of charges.
func TestRefundsAreIndexed(t *testing.T) {
	if dbtest.IsPostgres() {
		t.Log("the plan of PostgreSQL depends on what it knows of the table")
		return
	}
	h := open(t)
	var plan []string
	h.must(h.db.View(t.Context(), func(tx *db.Tx) (err error) {
		plan, err = db.All(tx, func(r db.Scanner) (detail string, err error) {
			var n int
			err = r.Scan(&n, &n, &n, &detail)
			return detail, err
		}, `EXPLAIN QUERY PLAN SELECT no FROM charges`+inWallet+` AND flow = $3 AND refunded <> 0 LIMIT 1`, "org", "ws", "flow")
		return err
	}))
	if len(plan) != 1 || !strings.Contains(plan[0], "charges_refunded (organization=? AND workspace=? AND flow=?)") {
		t.Errorf("the plan is %q", plan)
	}
}

// # The true end of a flow that time has ended is taken once; the books, and what
// was charged and used, say the same.
func TestTrueEndBefore(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	began := h.clock.Now()
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1), Until: began + 150*minute, Job: "job_1"})
	h.advance(4 * hour)
	early := func(at int64) error {
		return h.update(func(tx *db.Tx) error {
			f, err := h.Flow(tx, acme, "flow_1")
			h.must(err)
			_, err = h.Apply(tx, acme, wallet.Early{Flow: f, Until: at})
			return err
		})
	}
	h.must(early(began + 30*minute))
	if err := early(began + 30*minute); !fault.Is(err, fault.Invalid) {
		t.Errorf("told again: %v", err)
	}
	if err := early(began + 40*minute); !fault.Is(err, fault.Invalid) {
		t.Errorf("told later: %v", err)
	}
	price := gpus(1)[0].Price
	if got := h.charged(acme, "flow_1"); got != price/2 || got != h.net(acme, "flow_1") {
		t.Errorf("charged %s for half an hour at %s", got, price)
	}
	if n := h.count(`SELECT CAST(SUM(quantity) AS BIGINT) FROM totals WHERE job = 'job_1'`); n != int64(credit.Units)*1800 {
		t.Errorf("the totals have %d micro-unit-seconds", n)
	}
	if n := h.count(`SELECT ended_at FROM flows WHERE id = 'flow_1'`); n != began+30*minute {
		t.Errorf("the flow ended at %d", n)
	}
	h.verified()
}
