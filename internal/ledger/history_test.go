package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// history is a random life of a few wallets.
type history struct {
	*house
	*rand.Rand
	ids   []ID
	flows map[ID][]string
	holds map[ID][]string
	lots  map[ID][]string
	next  int
	done  map[string]int // accepted commands by type
}

func newHistory(t testing.TB, seed uint64, wallets int) *history {
	h := &history{house: open(t), Rand: rand.New(rand.NewPCG(seed, 1)), flows: map[ID][]string{}, holds: map[ID][]string{},
		lots: map[ID][]string{}, done: map[string]int{}}
	for i := range wallets {
		id := ID{fmt.Sprintf("org_%d", i/2), fmt.Sprintf("ws_%d", i)}
		h.ids = append(h.ids, id)
		policy := wallet.DefaultPolicy()
		policy.MinRunway, policy.RetentionDays, policy.Overdraft = 0, 1, credit.Amount(h.IntN(3))*credit.One
		h.must(h.update(func(tx *db.Tx) error { return h.Create(tx, id, policy) }))
	}
	return h
}

func (h *history) id(prefix string) string {
	h.next++
	return fmt.Sprintf("%s_%04d", prefix, h.next)
}

func (h *history) credits(most int64) credit.Amount {
	return credit.Amount(1 + h.Int64N(most*int64(credit.One)))
}

func (h *history) item(sku string) wallet.Item {
	price, quantity := credit.Amount(1+h.Int64N(5e9)), credit.Quantity(1+h.Int64N(8e6))
	rate, _ := credit.NewRate(price, quantity)
	return wallet.Item{SKU: sku, Tier: "on-demand", Unit: "hour", Quantity: quantity, Price: price, Card: "default", Version: 1, Rate: rate, Period: credit.Hour}
}

func pick[T any](h *history, from []T) (one T) {
	if len(from) == 0 {
		return one
	}
	return from[h.IntN(len(from))]
}

// command invents a command for a wallet; most are sensible.
func (h *history) command(id ID) wallet.Command {
	now := h.clock.Now()
	switch n := h.IntN(100); {
	case n < 15:
		return h.newLot(id, now)
	case n < 35:
		return h.newFlow(id, now)
	case n < 45:
		stop := wallet.Stop{Flow: pick(h, h.flows[id])}
		if h.IntN(2) == 0 {
			stop.At = now - h.Int64N(3*hour)
		}
		return stop
	case n < 50:
		return wallet.Change{Flow: pick(h, h.flows[id]), Items: []wallet.Item{h.item(pick(h, historySKUs)), h.item("memory.gib")}}
	case n < 60:
		hold := h.id("hold")
		h.holds[id] = append(h.holds[id], hold)
		return wallet.Reserve{ID: hold, Amount: h.credits(5), TTL: 1 + h.Int64N(2*hour), User: "ann"}
	case n < 68:
		if h.IntN(2) == 0 {
			return wallet.Capture{Hold: pick(h, h.holds[id]), Amount: h.credits(5)}
		}
		return wallet.Capture{Hold: pick(h, h.holds[id]), Lines: h.lines()}
	case n < 71:
		return wallet.Release{Hold: pick(h, h.holds[id])}
	case n < 80:
		return wallet.Use{Lines: h.lines()}
	case n < 85:
		return wallet.Refund{Charge: wallet.Charge{No: 1 + h.Int64N(20)}, Amount: credit.Amount(h.Int64N(2) * h.Int64N(1e9))}
	case n < 87:
		return wallet.Freeze{Lot: pick(h, h.lots[id])}
	case n < 88:
		return wallet.Unfreeze{Lot: pick(h, h.lots[id])}
	case n < 89:
		if h.IntN(4) == 0 {
			return wallet.Recover{Lot: pick(h, h.lots[id]), Loss: h.credits(1), Tax: h.credits(1), Reason: "history"}
		}
		return wallet.Withdraw{Lot: pick(h, h.lots[id]), Amount: h.credits(3), Tax: h.credits(1), Loss: h.credits(1), Reason: "history", Forced: h.IntN(2) == 0}
	case n < 91:
		p := wallet.DefaultPolicy()
		p.MinRunway, p.RetentionDays, p.Overdraft = 0, 1, h.credits(3)
		return wallet.SetPolicy{Policy: p}
	case n < 94:
		return wallet.SetBudgets{Budgets: h.budgets()}
	case n < 96:
		return wallet.Reprice{SKU: "gpu.h100", Tier: "on-demand", Step: wallet.Step{At: now + h.Int64N(hour), Price: h.credits(4), Card: "default", Version: 2}}
	case n < 98:
		until := now + h.Int64N(hour)
		return wallet.Limit{Flow: pick(h, h.flows[id]), Until: &until}
	}
	return wallet.Release{Hold: "hold_unknown"}
}

// truth tells the true end of a flow, if it has ended.
func (h *history) truth(id ID) (what string, err error) {
	err = h.update(func(tx *db.Tx) error {
		r, err := h.Apply(tx, id)
		if err != nil {
			return err
		}
		var f wallet.Flow
		for range 20 { // most have not ended, or were refused, or ended at once
			if f, err = h.Flow(tx, id, pick(h, h.flows[id])); err == nil && f.EndedAt > f.StartedAt {
				break
			}
		}
		if err != nil {
			return err
		}
		c := h.trueEnd(&f, r.At)
		what = fmt.Sprintf("%T", c)
		_, err = h.Apply(tx, id, c)
		return err
	})
	return what, err
}

// trueEnd is another end of a flow than the one in the books.
func (h *history) trueEnd(f *wallet.Flow, now int64) wallet.Command {
	later := f.EndedAt + h.Int64N(hour)
	switch n := h.IntN(4); {
	case n == 0 && f.Status != wallet.Lost:
		return wallet.Overrun{Flow: *f, Until: later}
	case n < 2:
		return wallet.Early{Flow: *f, Until: f.StartedAt + h.Int64N(max(1, f.EndedAt-f.StartedAt))}
	case h.IntN(2) == 0:
		return wallet.Late{Flow: *f, Until: min(later, now), Most: h.credits(2)}
	}
	return wallet.Late{Flow: *f, Until: min(later, now)}
}

var historySKUs = []string{"gpu.h100", "cpu.vcpu", "llm.tiny.input"}

func (h *history) newLot(id ID, now int64) wallet.Command {
	lot := wallet.Lot{ID: h.id("lot"), Kind: pick(h, []wallet.LotKind{wallet.Purchased, wallet.Promotional, wallet.Financed, wallet.Commitment}),
		Amount: h.credits(40), Priority: h.IntN(60)}
	if h.IntN(3) == 0 {
		lot.ExpiresAt = now + 1 + h.Int64N(10*hour)
	}
	if h.IntN(4) == 0 {
		lot.Scope.SKUs = []string{"gpu.*"}
	}
	h.lots[id] = append(h.lots[id], lot.ID)
	return wallet.Grant{Lot: lot}
}

func (h *history) newFlow(id ID, now int64) wallet.Command {
	start := wallet.Start{ID: h.id("flow"), Project: pick(h, []string{"", "p", "q"}), User: pick(h, []string{"ann", "bob"}),
		Items: []wallet.Item{h.item(pick(h, historySKUs))}, Grace: h.Int64N(2 * minute)}
	switch h.IntN(5) {
	case 0:
		start.MaxCost = h.credits(5)
	case 1:
		start.Lease, start.Holder = second+h.Int64N(hour), pick(h, []string{"", "slurm"})
	case 2:
		start.At = now - h.Int64N(3*hour)
	case 3:
		start.Items = []wallet.Item{h.item("storage.cluster")}
	}
	h.flows[id] = append(h.flows[id], start.ID)
	return start
}

func (h *history) lines() (lines []wallet.Line) {
	for range 1 + h.IntN(3) {
		price, quantity := h.credits(2), credit.Quantity(1+h.Int64N(3e6))
		cost, _ := credit.Cost(price, quantity, 1)
		lines = append(lines, wallet.Line{SKU: "llm.tiny.output", Project: "p", User: "bob", Event: h.id("ev"), Unit: "each",
			Quantity: quantity, Price: price, Card: "default", Version: 1, Amount: cost, At: h.clock.Now() + 5*minute - h.Int64N(5*hour)})
	}
	return lines
}

func (h *history) budgets() (budgets []wallet.Budget) {
	all := []wallet.Budget{
		{ID: "b_all", Key: wallet.ByWorkspace, Amount: h.credits(60), Window: wallet.Daily},
		{ID: "b_ann", Key: wallet.ByUser, Value: "ann", Amount: h.credits(20), Window: wallet.Rolling, Hours: 3, Hard: true},
		{ID: "b_p", Key: wallet.ByProject, Value: "p", Amount: h.credits(20), Window: wallet.Hourly, Hard: h.IntN(2) == 0},
	}
	for _, b := range all {
		if h.IntN(3) > 0 {
			budgets = append(budgets, b)
		}
	}
	return budgets
}

// transfer moves credits from one wallet to another, in one unit.
func (h *history) transfer(from, to ID) error {
	name := h.id("transfer")
	return h.update(func(tx *db.Tx) error {
		out, err := h.Apply(tx, from, wallet.TransferOut{Amount: credit.One, ID: name})
		if err != nil {
			return err
		}
		for i := range out.Effects.Moved {
			out.Effects.Moved[i].ID = tx.NewID("lot_")
		}
		_, err = h.Apply(tx, to, wallet.TransferIn{Lots: out.Effects.Moved, ID: name})
		return err
	})
}

// step is one thing that happens.
func (h *history) step() {
	h.t.Helper()
	id := pick(h, h.ids)
	switch n := h.IntN(100); {
	case n < 25:
		h.advance(h.Int64N([]int64{second, minute, hour, 3 * hour}[h.IntN(4)]))
	case n < 26:
		h.reopen()
	case n < 29:
		h.excused("transfer", h.transfer(id, pick(h, h.ids)))
	case n < 34:
		h.excused("renew", h.update(func(tx *db.Tx) error {
			_, err := h.Renew(tx, id, pick(h, append(h.flows[id], "slurm")), h.Int64N(hour))
			return err
		}))
	case n < 40:
		what, err := h.truth(id)
		h.excused(what, err)
	default:
		c := h.command(id)
		_, err := h.try(id, c)
		h.excused(fmt.Sprintf("%T", c), err)
	}
}

// excused counts what was accepted, and fails on what is not a refusal.
func (h *history) excused(what string, err error) {
	h.t.Helper()
	switch {
	case err == nil:
		h.done[what]++
	case fault.Of(err) == nil:
		h.t.Fatalf("%s: %v", what, err)
	}
}

// testSeed is the seed of a random test: PURSER_SEED, or any.
func testSeed(t testing.TB) uint64 {
	seed := rand.Uint64()
	if s := os.Getenv("PURSER_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PURSER_SEED=%d", seed)
	return seed
}

// # Whatever happens, the books verify.
func TestRandomHistories(t *testing.T) {
	seed := testSeed(t)
	for run := range uint64(form(4, 200)) {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			h := newHistory(t, seed+run, 3)
			for range form(200, 400) {
				h.step()
			}
			h.must(h.seal(context.Background()))
			h.chargedNet()
			report := h.verified()
			t.Logf("%+v\n%v", report, h.done)
		})
	}
}
