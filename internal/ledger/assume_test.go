package ledger

import (
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/wallet"
)

// A hold that is in memory is taken from there without a question, but not if another
// server has ended it since.
func TestWhatIsRememberedIsTakenOnCondition(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	h := open(t)
	id := ID{"org_a", "ws_a"}
	h.create(id)
	h.apply(id, h.grant(id, "lot_1", "100"))
	h.apply(id, wallet.Reserve{ID: "hold_1", Amount: 1000, TTL: hour})
	status := func() (runs int, status wallet.HoldStatus, trips int64) {
		before := h.db.Stats().Trips
		h.must(h.update(func(tx *db.Tx) error {
			runs++
			hold, err := h.Hold(tx, id, "hold_1")
			status = hold.Status
			return err
		}))
		return runs, status, h.db.Stats().Trips - before
	}
	status() // prepares the statement
	if runs, s, trips := status(); runs != 1 || s != wallet.Held || trips != 1 {
		t.Errorf("as remembered: %s after %d runs and %d trips", s, runs, trips)
	}
	h.beside().apply(id, wallet.Release{Hold: "hold_1"})
	if runs, s, _ := status(); runs != 2 || s != wallet.Released {
		t.Errorf("after another server released it: %s after %d runs", s, runs)
	}
}
