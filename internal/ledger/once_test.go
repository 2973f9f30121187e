package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// granting is a request that grants a credit under a key.
func (h *house) granting(key, body string) (answer Answer, err error) {
	err = h.update(func(tx *db.Tx) (err error) {
		r := Request{Organization: acme.Organization, Workspace: acme.Workspace, Route: "POST /grants", Key: key, Body: []byte(body)}
		answer, err = h.Once(tx, r, func() (int, any, error) {
			g := h.grant(acme, tx.NewID("lot_"), "1")
			_, err := h.Apply(tx, acme, g)
			return 201, map[string]string{"id": g.Lot.ID}, err
		})
		return err
	})
	return answer, err
}

// # The same key gives the first answer again, and does nothing.
func TestOnce(t *testing.T) {
	h := open(t)
	h.create(acme)
	first, err := h.granting("k1", `{"amount": "1", "kind": "purchased"}`)
	h.must(err)
	if first.Replayed || first.Status != 201 {
		t.Fatalf("the first answer is %+v", first)
	}
	for _, body := range []string{`{"amount": "1", "kind": "purchased"}`, `{"kind":"purchased","amount":"1"}`} {
		again, err := h.granting("k1", body)
		h.must(err)
		if !again.Replayed || again.Status != 201 || string(again.Body) != string(first.Body) {
			t.Errorf("the second answer is %+v", again)
		}
	}
	if _, err := h.granting("k1", `{"amount": "2"}`); fault.Of(err) == nil || fault.Of(err).Code != "idempotency_mismatch" {
		t.Errorf("another body was taken: %v", err)
	}
	h.reopen()
	if again, err := h.granting("k1", `{"amount": "1", "kind": "purchased"}`); err != nil || !again.Replayed {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
	h.hasBalance(acme, "1")
	h.verified()
}

// # A refusal keeps no key.
func TestOnceRefused(t *testing.T) {
	h := open(t)
	h.create(acme)
	reserve := func() (answer Answer, err error) {
		err = h.update(func(tx *db.Tx) (err error) {
			answer, err = h.Once(tx, Request{Organization: acme.Organization, Workspace: acme.Workspace, Route: "POST /holds", Key: "k1"}, func() (int, any, error) {
				_, err := h.Apply(tx, acme, wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: hour})
				return 201, "held", err
			})
			return err
		})
		return answer, err
	}
	if _, err := reserve(); !fault.Is(err, fault.Insufficient) {
		t.Fatal(err)
	}
	h.apply(acme, h.grant(acme, "lot_1", "1"))
	if answer, err := reserve(); err != nil || answer.Replayed {
		t.Fatalf("%+v, %v", answer, err)
	}
	if answer, err := reserve(); err != nil || !answer.Replayed {
		t.Fatalf("%+v, %v", answer, err)
	}
	h.verified()
}

// # Twins at the same time: one does it, all get its answer.
func TestTwins(t *testing.T) {
	h := open(t)
	h.create(acme)
	var (
		wg    sync.WaitGroup
		fresh atomic.Int64
		ids   sync.Map
	)
	for i := range 200 {
		wg.Go(func() {
			answer, err := h.granting(fmt.Sprintf("k%d", i%10), `{}`)
			if err != nil {
				t.Error(err)
			}
			if !answer.Replayed {
				fresh.Add(1)
			}
			if other, loaded := ids.LoadOrStore(i%10, string(answer.Body)); loaded && other != string(answer.Body) {
				t.Errorf("one key has the answers %s and %s", other, answer.Body)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 10 {
		t.Errorf("%d of 10 were done", fresh.Load())
	}
	h.hasBalance(acme, "10")
	h.verified()
}

// # Requests without a wallet have a journal of their own.
func TestOnceWithoutWallet(t *testing.T) {
	h := open(t)
	ask := func(r Request) (answer Answer) {
		h.must(h.update(func(tx *db.Tx) (err error) {
			answer, err = h.Once(tx, r, func() (int, any, error) { return 200, tx.NewID("any_"), nil })
			return err
		}))
		return answer
	}
	for _, organization := range []string{"", "org_a", "org_b"} {
		for _, key := range []string{"k1", "k2"} {
			r := Request{Organization: organization, Route: "POST /things", Key: key, Body: []byte(`{}`)}
			first := ask(r)
			h.reopen()
			if again := ask(r); first.Replayed || !again.Replayed || string(first.Body) != string(again.Body) {
				t.Errorf("%+v: %s, then %s", r, first.Body, again.Body)
			}
		}
	}
	if n := h.count(`SELECT COUNT(*) FROM journal WHERE kind = 'request'`); n != 6 {
		t.Errorf("%d entries", n)
	}
	h.verified()
}

// # A unit that failed left nothing, and its neighbours are unharmed.
func TestSpoilt(t *testing.T) {
	h := open(t)
	h.create(acme)
	broken := errors.New("no")
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			err := h.update(func(tx *db.Tx) error {
				if _, err := h.Apply(tx, acme, h.grant(acme, fmt.Sprintf("lot_%d", i), "1")); err != nil {
					return err
				}
				if i%10 == 3 {
					return broken
				}
				return nil
			})
			if (i%10 == 3) != errors.Is(err, broken) {
				t.Errorf("unit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	h.hasBalance(acme, "45")
	h.verified()
}

// # A hundred at once want what is enough for ten: ten get it.
func TestHundredHolds(t *testing.T) {
	for range form(3, 50) {
		h := open(t)
		h.create(acme)
		h.apply(acme, h.grant(acme, "lot_1", "10"))
		var (
			wg       sync.WaitGroup
			admitted atomic.Int64
		)
		for i := range 100 {
			wg.Go(func() {
				_, err := h.try(acme, wallet.Reserve{ID: fmt.Sprintf("hold_%d", i), Amount: credit.One, TTL: hour})
				switch {
				case err == nil:
					admitted.Add(1)
				case !fault.Is(err, fault.Insufficient):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if b := h.balance(acme); admitted.Load() != 10 || b.Available != 0 {
			t.Errorf("%d were admitted, %s is available", admitted.Load(), b.Available)
		}
		h.verified()
	}
}

// # What a unit did can be read in it, before it is written.
func TestReadInUnit(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.must(h.update(func(tx *db.Tx) error {
		_, err := h.Apply(tx, acme, wallet.Start{ID: "flow_1", Items: gpus(1)}, wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: hour},
			wallet.Use{Lines: []wallet.Line{{SKU: "each", Amount: credit.One, At: tx.Now()}}}, wallet.Refund{Charge: wallet.Charge{No: 1}, Amount: 5})
		if err != nil {
			return err
		}
		f, err := h.Flow(tx, acme, "flow_1")
		if err != nil || f.Status != wallet.Running {
			t.Errorf("flow: %+v, %v", f, err)
		}
		if _, err := h.Apply(tx, acme, wallet.Stop{Flow: "flow_1"}, wallet.Release{Hold: "hold_1"}); err != nil {
			return err
		}
		f, err = h.Flow(tx, acme, "flow_1")
		if err != nil || f.Status != wallet.Stopped {
			t.Errorf("stopped flow: %+v, %v", f, err)
		}
		hold, err := h.Hold(tx, acme, "hold_1")
		if err != nil || hold.Status != wallet.Released {
			t.Errorf("hold: %+v, %v", hold, err)
		}
		c, err := h.Charge(tx, acme, 1)
		if err != nil || c.Refunded != 5 {
			t.Errorf("charge: %+v, %v", c, err)
		}
		return nil
	}))
	h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
		c, err := h.Charge(tx, acme, 1)
		if err != nil || c.Refunded != 5 {
			t.Errorf("charge: %+v, %v", c, err)
		}
		if _, err := h.Charge(tx, acme, 2); !fault.Is(err, fault.NotFound) {
			t.Errorf("a charge that is not: %v", err)
		}
		return nil
	}))
	h.verified()
}

// # A unit that breaks in the middle of a command leaves the wallet as it was.
func TestBroken(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(8)})
	h.must(h.clock.Advance(context.Background(), hour))
	if _, err := h.try(acme, nil); err == nil {
		t.Fatal("no command at all was carried out")
	}
	h.hasBalance(acme, "80.88")
	h.apply(acme, wallet.Stop{Flow: "flow_1"})
	h.verified()
}

// # A refusal changes nothing, not even the instant of the wallet that the others of
// its batch have moved.
func TestRefusedInABatch(t *testing.T) {
	database, err := db.Open(context.Background(), db.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "purser.db")})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Ledger: New(database, nil), t: t, db: database}
	defer database.Close()
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1"))
	var callers sync.WaitGroup
	var refused atomic.Int64
	for i := range 64 {
		callers.Go(func() {
			_, err := h.try(acme, wallet.Reserve{ID: fmt.Sprint("hold_", i), Amount: credit.One / 10, TTL: hour})
			if fault.Is(err, fault.Insufficient) {
				refused.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if refused.Load() != 54 {
		t.Errorf("%d were refused", refused.Load())
	}
	h.verified()
}
