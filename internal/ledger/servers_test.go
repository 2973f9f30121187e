package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// beside is another server on the same database.
func (h *house) beside() *house {
	h.t.Helper()
	other := &house{t: h.t, url: h.url, clock: db.NewTestClock(noon)}
	var err error
	other.db, err = db.Open(context.Background(), db.Config{URL: h.url, Clock: other.clock})
	h.must(err)
	h.t.Cleanup(func() { other.db.Close() })
	other.Ledger = New(other.db, nil)
	return other
}

// # Several servers spend from one wallet: what covers N admits exactly N, each key
// counts once wherever it arrives, and the books verify.
func TestServersOnOneDatabase(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	const covered, asked = 40, 160
	h := open(t)
	servers := []*house{h, h.beside(), h.beside()}
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "40"))
	var (
		wait     sync.WaitGroup
		mu       sync.Mutex
		admitted = map[string]int{}
		refused  int
	)
	for caller := range 16 {
		random := rand.New(rand.NewPCG(uint64(caller), 1))
		wait.Go(func() {
			for i := range asked / 16 {
				key := fmt.Sprintf("hold_%d_%d", caller, i)
				for range 1 + random.IntN(3) { // and once more, elsewhere
					s := servers[random.IntN(len(servers))]
					err := s.keyed(acme, "POST /holds", key, wallet.Reserve{ID: key, Amount: credit.One, TTL: hour})
					mu.Lock()
					switch {
					case err == nil:
						admitted[key]++
					case fault.Is(err, fault.Insufficient):
						refused++
					default:
						t.Error(err)
					}
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	if len(admitted) != covered || refused == 0 {
		t.Errorf("%d holds of 1 credit in a wallet of %d, %d refused", len(admitted), covered, refused)
	}
	if n := h.count(`SELECT COUNT(*) FROM holds`); n != covered {
		t.Errorf("%d rows", n)
	}
	for _, s := range servers {
		if b := s.balance(acme); b.Held != covered*credit.One || b.Available != 0 {
			t.Errorf("one server sees %+v", b)
		}
		s.verified()
	}
}
