package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/wallet"
)

func two(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Skip("SQLite has one server; this runs with " + dbtest.Variable)
	}
}

// holding locks all rows of a table until it is released.
func (h *house) holding(table string) (release func()) {
	h.t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, h.url)
	h.must(err)
	h.t.Cleanup(func() { c.Close(ctx) })
	do := func(statement string) {
		h.t.Helper()
		_, err := c.Exec(ctx, statement)
		h.must(err)
	}
	do("BEGIN")
	do("SELECT 1 FROM " + table + " FOR UPDATE")
	return func() { do("COMMIT") }
}

// lapseDue lets the one lease lapse that is due.
func (h *house) lapseDue() error {
	return h.update(func(tx *db.Tx) error {
		due, err := dueLeases(tx, tx.Now(), 10)
		if err != nil || len(due) != 1 {
			h.t.Error(due, err)
			return err
		}
		return h.lapse(tx, due[0])
	})
}

// a seals; b writes between a's SELECT of the heads and its UPDATE of sealed.
func TestASealBesideAWrite(t *testing.T) {
	two(t)
	a := open(t)
	b := a.beside()
	a.create(acme)
	a.apply(acme, a.grant(acme, "lot_1", "1"))
	b.apply(acme, b.grant(acme, "lot_2", "1"))
	release := a.holding("wallets")
	done := make(chan error, 2)
	go func() { _, err := b.try(acme, b.grant(acme, "lot_3", "1")); done <- err }()
	time.Sleep(300 * time.Millisecond) // waits for the row
	go func() { done <- a.seal(context.Background()) }()
	time.Sleep(300 * time.Millisecond) // has read the heads, waits behind b
	release()
	for range 2 {
		a.must(<-done)
	}
	a.verified()
}

// a lets a lease lapse of which nothing runs; b starts a flow of the same holder.
func TestALapseLeavesAFreshLease(t *testing.T) {
	two(t)
	a := open(t)
	b := a.beside()
	a.create(acme)
	a.apply(acme, a.grant(acme, "lot_1", "1000"))
	start := func(id string) wallet.Start {
		return wallet.Start{ID: id, Items: gpus(1), Lease: 60e9, Grace: 1e9, Holder: "h"}
	}
	a.apply(acme, start("flow_1"))
	a.apply(acme, wallet.Stop{Flow: "flow_1"})
	b.apply(acme, b.grant(acme, "lot_2", "1"))
	for _, h := range []*house{a, b} {
		h.must(h.clock.Set(context.Background(), noon+hour))
	}
	t.Log("leases before", a.count(`SELECT COUNT(*) FROM leases`))
	release := a.holding("leases")
	done := make(chan error, 2)
	go func() { _, err := b.try(acme, start("flow_2")); done <- err }()
	time.Sleep(300 * time.Millisecond)
	go func() { done <- a.lapseDue() }()
	time.Sleep(300 * time.Millisecond)
	release()
	for range 2 {
		a.must(<-done)
	}
	t.Log("running", a.count(`SELECT COUNT(*) FROM flows WHERE ended = 0`), "leases", a.count(`SELECT COUNT(*) FROM leases`))
	err := b.update(func(tx *db.Tx) error { _, err := b.Renew(tx, acme, "h", 60e9); return err })
	if err != nil {
		t.Error("renew of a lease given a moment ago: ", err)
	}
}

// a renews in time between b's look at the lease and its end
func TestALapseBesideARenewal(t *testing.T) {
	two(t)
	a := open(t)
	b := a.beside()
	a.create(acme)
	a.apply(acme, a.grant(acme, "lot_1", "1000"))
	a.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1), Lease: 60e9, Grace: 1e9, Holder: "h"})
	b.apply(acme, b.grant(acme, "lot_2", "1"))
	a.must(a.clock.Set(context.Background(), noon+60e9)) // in time by a's clock
	b.must(b.clock.Set(context.Background(), noon+64e9)) // b's keeper: lapse_at + patience
	release := a.holding("leases")
	done := make(chan error, 2)
	var until int64
	go func() {
		done <- a.update(func(tx *db.Tx) (err error) { until, err = a.Renew(tx, acme, "h", 60e9); return err })
	}()
	time.Sleep(300 * time.Millisecond)
	go func() { done <- b.lapseDue() }()
	time.Sleep(300 * time.Millisecond)
	release()
	for range 2 {
		a.must(<-done)
	}
	if n := a.count(`SELECT COUNT(*) FROM flows WHERE ended = 0`); n != 1 {
		t.Errorf("renewed until +%ds, and %d flows run", (until-noon)/1e9, n)
	}
}

// b keeps and writes nothing; a writes and does not keep (or has died).
func TestAKeeperSealsWhatOthersWrite(t *testing.T) {
	two(t)
	a := open(t)
	b := a.beside()
	_, err := b.NextAt(context.Background()) // the keeper's first look: nothing is there
	b.must(err)
	a.create(acme)
	a.apply(acme, a.grant(acme, "lot_1", "1"))
	b.must(b.clock.Set(context.Background(), noon+3*hour))
	b.must(b.RunDue(context.Background()))
	next, err := b.NextAt(context.Background())
	b.must(err)
	b.must(b.clock.Set(context.Background(), next))
	b.must(b.RunDue(context.Background()))
	if n := a.count(`SELECT COUNT(*) FROM seals`); n == 0 || next != noon+4*hour {
		t.Errorf("%d seals; the keeper slept until %d", n, next)
	}
}

// a heartbeat through a of a flow that b has started; a knows the wallet from before.
func TestAnAnswerIsOfTheWalletAsItIs(t *testing.T) {
	two(t)
	a := open(t)
	b := a.beside()
	a.create(acme)
	a.apply(acme, a.grant(acme, "lot_1", "2.39")) // an hour
	b.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1), Lease: 60e9, Grace: 1e9, Holder: "h"})
	stops := func(h *house) (at int64) {
		h.must(h.update(func(tx *db.Tx) error { // as heartbeatFlow does
			f, err := h.Flow(tx, acme, "flow_1")
			if err != nil {
				return err
			}
			r, err := h.Apply(tx, acme)
			if err != nil {
				return err
			}
			if _, err := h.Renew(tx, acme, "h", 60e9); err != nil {
				return err
			}
			at, _ = r.Wallet.View().StopAt(&f)
			return nil
		}))
		return at
	}
	if at := stops(a); at != stops(b) {
		t.Errorf("through a the flow stops at %d, through b at %d", at, stops(b))
	}
}
