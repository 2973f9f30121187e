package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// gpuTime is what a project has used since an instant, asked in a unit of work after some
// commands.
func (h *house) gpuTime(project string, from int64, commands ...wallet.Command) (sum int64) {
	h.t.Helper()
	h.must(h.update(func(tx *db.Tx) error {
		r, err := h.Apply(tx, acme, commands...)
		if err == nil {
			sum, err = h.GPUTime(tx, acme, r, project, from)
		}
		return err
	}))
	return sum
}

// byRows is the same, asked of books that know nothing yet.
func (h *house) byRows(project string, from int64) int64 {
	h.t.Helper()
	cold := &house{Ledger: New(h.db, nil), t: h.t, db: h.db, clock: h.clock}
	return cold.gpuTime(project, from)
}

// # The GPU-hours of a project are what its rows come to, however often they are asked for.
func TestGPUTimeIsThatOfTheRows(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000000"))
	r := rand.New(rand.NewPCG(1, 2))
	from, errSpoilt := noon, errors.New("spoilt")
	var flows []string
	for i := range form(60, 600) {
		project := fmt.Sprint("p", r.IntN(2))
		switch flow := fmt.Sprint("flow_", i); r.IntN(5) {
		case 0, 1:
			h.gpuTime(project, from, wallet.Start{ID: flow, Project: project, Items: gpus(1 + r.IntN(8))})
			flows = append(flows, flow)
		case 2:
			if len(flows) > 0 {
				h.gpuTime(project, from, wallet.Stop{Flow: flows[0]})
				flows = flows[1:]
			}
		case 3:
			err := h.update(func(tx *db.Tx) error {
				result, err := h.Apply(tx, acme, wallet.Start{ID: flow, Project: project, Items: gpus(8), At: max(from, h.clock.Now()-hour)})
				h.must(err)
				_, err = h.GPUTime(tx, acme, result, project, from)
				h.must(err)
				return errSpoilt
			})
			if !errors.Is(err, errSpoilt) {
				t.Fatal(err)
			}
		}
		h.advance(r.Int64N(3 * hour))
		if i%20 == 19 {
			from = h.clock.Now() - h.clock.Now()%hour
		}
		if got, want := h.gpuTime(project, from), h.byRows(project, from); got != want {
			t.Fatalf("step %d: %s has used %d, by the rows %d", i, project, got, want)
		}
	}
	h.verified()
}

// # They are summed once: what is asked again does not read the rows of the month.
func TestGPUTimeIsSummedOnce(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000"), wallet.Start{ID: "flow_1", Project: "p", Items: gpus(2)})
	h.advance(2 * hour)
	want := int64(2 * 2 * 3600 * 1_000_000)
	if got := h.gpuTime("p", noon); got != want {
		t.Fatalf("%d, want %d", got, want)
	}
	h.must(h.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE totals SET quantity = quantity + 1`) // who reads them now sees it
		return err
	}))
	h.advance(2 * hour)
	if got := h.gpuTime("p", noon); got != 2*want {
		t.Errorf("asked again: %d, want %d", got, 2*want)
	}
	if got := h.byRows("p", noon); got <= 2*want {
		t.Errorf("by the rows: %d, want more than %d", got, 2*want)
	}
}

// vast is a line of GPU-hours of which three are more than can be counted.
func vast(at int64) wallet.Line {
	return wallet.Line{SKU: "gpu.h100", Tier: "on-demand", Unit: "hour", Project: "p", Quantity: 1_000_000_000 * credit.Units,
		Price: 1, Amount: credit.One, At: at}
}

// # However much was reported, the GPU-hours of a project never become fewer by it: in memory
// as by the rows they are as many as any limit, and more.
func TestGPUTimeDoesNotWrapAround(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000000"), wallet.Start{ID: "flow_1", Project: "p", Items: gpus(8)})
	if got := h.gpuTime("p", noon); got != 0 {
		t.Fatalf("%d at the start", got)
	}
	for range 4 {
		h.advance(2 * hour)
		h.apply(acme, wallet.Use{Lines: []wallet.Line{vast(h.clock.Now() - minute)}})
		var got int64
		err := h.update(func(tx *db.Tx) error {
			r, err := h.Apply(tx, acme)
			if err == nil {
				got, err = h.GPUTime(tx, acme, r, "p", noon)
			}
			return err
		})
		if rows := h.byRows("p", noon); err != nil || got < 1<<60 || got != rows {
			t.Errorf("%d in memory, %d by the rows, %v", got, rows, err)
		}
	}
}
