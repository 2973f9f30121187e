package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

func (h *house) flow(id ID, flow string) (f wallet.Flow) {
	h.t.Helper()
	h.must(h.db.View(context.Background(), func(tx *db.Tx) (err error) {
		f, err = h.Flow(tx, id, flow)
		return err
	}))
	return f
}

func (h *house) renew(id ID, holder string, lease int64) (until int64, err error) {
	err = h.update(func(tx *db.Tx) (err error) {
		until, err = h.Renew(tx, id, holder, lease)
		return err
	})
	return until, err
}

// # A holder that goes quiet is billed to its last proof of life.
func TestLapse(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000"))
	for _, flow := range []string{"flow_1", "flow_2"} {
		h.apply(acme, wallet.Start{ID: flow, Items: gpus(1), Lease: minute, Holder: "supervisor", Grace: 10 * second})
	}
	h.apply(acme, wallet.Start{ID: "flow_3", Items: gpus(1), Lease: hour, Grace: 10 * second})
	version := h.version(acme)
	h.advance(50 * second)
	until, err := h.renew(acme, "supervisor", 2*hour)
	h.must(err)
	if until != h.clock.Now()+2*hour {
		t.Errorf("it may run until %d", until)
	}
	if h.version(acme) != version {
		t.Error("a renewal moved the wallet's version")
	}
	h.advance(2*hour + 10*second - 1)
	if f := h.flow(acme, "flow_1"); f.Status != wallet.Running {
		t.Fatalf("it was closed at %d, before its lease and grace were over: %+v", h.clock.Now()-noon, f)
	}
	h.advance(1)
	for _, flow := range []string{"flow_1", "flow_2"} {
		f := h.flow(acme, flow)
		if f.Status != wallet.Lost || f.EndedAt != noon+50*second || f.Charged != amount(t, "0.033194444") {
			t.Errorf("%s is %s since %d and was charged %s", flow, f.Status, f.EndedAt-noon, f.Charged)
		}
	}
	if f := h.flow(acme, "flow_3"); f.Status != wallet.Lost || f.EndedAt != noon || f.Charged != 0 {
		t.Errorf("flow_3, never heard of, is %+v", f)
	}
	if _, err := h.renew(acme, "supervisor", hour); !fault.Is(err, fault.NotFound) {
		t.Errorf("a lapsed lease was renewed: %v", err)
	}
	h.verified()
}

func (h *house) version(id ID) int64 {
	h.t.Helper()
	s, err := h.Snapshot(context.Background(), id)
	h.must(err)
	return s.Version
}

// # After a start the keeper lets holders come back before it gives them up.
func TestCourtesy(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000"))
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1), Lease: minute, Grace: second})
	h.must(h.clock.Advance(context.Background(), hour)) // nobody was there
	h.reopen()
	h.keeper.calm.Store(h.clock.Now() + int64(courtesy))
	h.must(h.RunDue(context.Background()))
	if f := h.flow(acme, "flow_1"); f.Status != wallet.Running {
		t.Fatalf("it was given up at once: %+v", f)
	}
	if next, err := h.NextAt(context.Background()); err != nil || next != h.clock.Now()+int64(courtesy) {
		t.Errorf("next is %d, %v", next-h.clock.Now(), err)
	}
	_, err := h.renew(acme, "flow_1", hour)
	h.must(err)
	h.advance(minute)
	if f := h.flow(acme, "flow_1"); f.Status != wallet.Running {
		t.Fatalf("it came back and was given up: %+v", f)
	}
	h.verified()
}

// # Flows are charged every hour, some at a time.
func TestClose(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100000"))
	const flows = 2*closeFlows + 3
	h.must(h.update(func(tx *db.Tx) error {
		for i := range flows {
			if _, err := h.Apply(tx, acme, wallet.Start{ID: fmt.Sprintf("flow_%05d", i), Items: gpus(1)}); err != nil {
				return err
			}
		}
		return nil
	}))
	h.advance(2 * hour)
	if n := h.count(`SELECT COUNT(*) FROM journal WHERE kind = 'close'`); n < 3 {
		t.Errorf("%d closes", n)
	}
	if n := h.count(`SELECT COUNT(*) FROM charges`); n != flows && n != 2*flows {
		t.Errorf("%d charges of %d flows", n, flows)
	}
	if n := h.count(`SELECT COUNT(*) FROM journal WHERE kind = 'tick'`); n > 4 {
		t.Errorf("%d ticks while nothing happened but closes", n)
	}
	h.verified()
}

// # The chains are sealed every hour in which they moved.
func TestSeals(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1"))
	h.advance(minute)
	if n := h.count(`SELECT COUNT(*) FROM seals`); n != 0 {
		t.Errorf("%d seals within the hour", n)
	}
	h.reopen()
	h.advance(5 * hour)
	if n := h.count(`SELECT COUNT(*) FROM seals`); n != 1 {
		t.Errorf("%d seals, and the chains moved in one hour", n)
	}
	h.apply(acme, h.grant(acme, "lot_2", "1"))
	h.advance(hour)
	if n := h.count(`SELECT COUNT(*) FROM seals`); n != 2 {
		t.Errorf("%d seals", n)
	}
	h.verified()
}

// # On the machine's clock the keeper wakes when a commit brings something sooner.
func TestKeep(t *testing.T) {
	database, err := db.Open(context.Background(), db.Config{URL: dbtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	h := &house{Ledger: New(database, nil), t: t, db: database}
	ctx, stop := context.WithCancel(context.Background())
	kept := make(chan error)
	go func() { kept <- h.Keep(ctx) }()
	h.create(acme)
	changes, cancel := h.Watch(acme)
	defer cancel()
	h.apply(acme, h.grant(acme, "lot_1", "0.1"))
	start := h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1000), Grace: 1}) // 0.1 credits last 150 ms
	for f := h.flow(acme, "flow_1"); !f.Status.Ended(); f = h.flow(acme, "flow_1") {
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing happened: %+v", f)
		}
	}
	f := h.flow(acme, "flow_1")
	if runs := f.EndedAt - start.At; f.Charged != credit.One/10 || runs < 150e6 || runs > 151e6 {
		t.Errorf("it ran %d ns and was charged %s", runs, f.Charged)
	}
	stop()
	if err := <-kept; err != nil {
		t.Error(err)
	}
	h.verified()
}

// # A wallet that cannot be kept does not keep the others from being kept.
func TestSickWallet(t *testing.T) {
	h := open(t)
	sick := ID{"org_a", "ws_sick"}
	for _, id := range []ID{sick, acme} {
		h.create(id)
		h.apply(id, h.grant(id, "lot_"+id.Workspace, "1"))
		h.apply(id, wallet.Start{ID: "flow_" + id.Workspace, Items: gpus(8)})
	}
	h.exec(t, `UPDATE flows SET items = '[{"SKU":' WHERE workspace = 'ws_sick'`)
	h.reopen()
	h.must(h.clock.Advance(context.Background(), hour))
	err := h.RunDue(context.Background())
	if err == nil || fault.Of(err) != nil {
		t.Errorf("nothing was said about the sick wallet: %v", err)
	}
	if f := h.flow(acme, "flow_ws_acme"); f.Status != wallet.Exhausted {
		t.Errorf("the healthy wallet's flow is %s", f.Status)
	}
}
