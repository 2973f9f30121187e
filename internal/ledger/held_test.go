package ledger

import (
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// release reads a hold and gives it back, as the server does. It returns the status
// that the last run of the unit saw.
func (h *house) release(hold string) (seen wallet.HoldStatus, err error) {
	err = h.update(func(tx *db.Tx) error {
		before, err := h.Hold(tx, acme, hold)
		if seen = before.Status; err != nil {
			return err
		}
		_, err = h.Apply(tx, acme, wallet.Release{Hold: hold})
		return err
	})
	return seen, err
}

// # A unit of work reads a hold from the wallet in memory, and from its row when
// another server has changed it.
func TestHoldInMemory(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "10"))
	for _, id := range []string{"hold_1", "hold_2"} {
		h.apply(acme, wallet.Reserve{ID: id, Amount: credit.One, TTL: hour})
	}
	if seen, err := h.release("hold_1"); err != nil || seen != wallet.Held {
		t.Fatalf("saw it %s: %v", seen, err)
	}
	if seen, err := h.release("hold_1"); fault.Of(err) == nil || seen == wallet.Held {
		t.Fatalf("saw it %s, and released it again: %v", seen, err)
	}
	if dbtest.IsPostgres() {
		other := h.beside()
		other.apply(acme, wallet.Capture{Hold: "hold_2", Amount: credit.One})
		if seen, err := h.release("hold_2"); fault.Of(err) == nil {
			t.Fatalf("saw it %s, and released what another server has captured", seen)
		}
		h.hasBalance(acme, "9")
	}
	h.verified()
}
