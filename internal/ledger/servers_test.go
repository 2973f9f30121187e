package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

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

// # A server that does not know yet what another one has done refuses nothing for it.
func TestARefusalIsOfTheWalletAsItIs(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	h := open(t)
	other := h.beside()
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1"))
	other.apply(acme, wallet.Reserve{ID: "hold_1", Amount: 1, TTL: hour}) // it knows the wallet now
	h.apply(acme, h.grant(acme, "lot_2", "10"))
	other.apply(acme, wallet.Reserve{ID: "hold_2", Amount: 9 * credit.One, TTL: hour})
	h.apply(acme, wallet.Capture{Hold: "hold_2", Amount: credit.One})
	h.apply(acme, wallet.Reserve{ID: "hold_3", Amount: credit.One, TTL: hour})
	other.apply(acme, wallet.Capture{Hold: "hold_3", Amount: 1})
	if _, err := h.try(acme, wallet.Reserve{ID: "hold_4", Amount: 1000 * credit.One, TTL: hour}); !fault.Is(err, fault.Insufficient) {
		t.Errorf("more than there is: %v", err)
	}
	other.verified()
}

// # What is due in a wallet is done once and in time by the server that knows it, and
// within seconds by another if that one is gone.
func TestKeepersShareTheWork(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("SQLite has one server; this runs with " + dbtest.Variable)
		return
	}
	url := dbtest.URL(t)
	first, second := keeperOf(t, url, "a"), keeperOf(t, url, "b")
	for waiting := time.Now().Add(10 * time.Second); !first.db.HasOther(RoleKeeper) || !second.db.HasOther(RoleKeeper); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(waiting) {
			t.Fatal("the servers do not know of each other")
		}
	}
	keep, stop := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	loops.Go(func() { second.Keep(keep) })
	loops.Go(func() { first.Keep(keep) })
	t.Logf("two keepers: all within %s", expireMany(t, first, second, "1").Round(time.Millisecond))
	stop()
	loops.Wait()

	// The first server does not keep any more, though it is alive and knows the wallets.
	keep, stop = context.WithCancel(t.Context())
	loops.Go(func() { second.Keep(keep) })
	took := expireMany(t, first, second, "2")
	t.Logf("one keeper of two servers: all within %s", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Error("the work was not taken over within seconds")
	}
	stop()
	loops.Wait()
	if report, err := second.Verify(t.Context(), Options{}); err != nil || report.First != nil {
		t.Errorf("%+v %v", report, err)
	}
}

// keeperOf is a server of that name on a database, on the system's clock.
func keeperOf(t *testing.T, url, name string) *Ledger {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{URL: url, Server: db.Server{ID: name, Roles: RoleKeeper}})
	if err == nil {
		err = d.Enroll(t.Context(), "")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return New(d, nil)
}

// expireMany gives twenty wallets, through one server, a lot that expires in a second,
// and says how long after that all have expired, each once, as the other sees it.
func expireMany(t *testing.T, through, seen *Ledger, round string) time.Duration {
	t.Helper()
	const wallets = 20
	at, lot := time.Now().Add(time.Second), "lot_"+round
	for n := range wallets {
		id := ID{"org_acme", fmt.Sprint("ws_", n)}
		err := through.db.Update(t.Context(), func(tx *db.Tx) error {
			if err := through.Create(tx, id, wallet.DefaultPolicy()); err != nil && !fault.Is(err, fault.Conflict) {
				return err
			}
			_, err := through.Apply(tx, id, wallet.Grant{Lot: wallet.Lot{ID: lot, Kind: wallet.Promotional, Amount: 1, ExpiresAt: at.UnixNano()}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n := 0
		err := seen.db.View(t.Context(), func(tx *db.Tx) error {
			return tx.QueryRow(`SELECT COUNT(*) FROM events WHERE kind = 'lot.expired' AND subject = $1`, lot).Scan(&n)
		})
		if err != nil || n > wallets || time.Now().After(end) {
			t.Fatalf("%d of %d have expired, %v", n, wallets, err)
		}
		if n == wallets {
			return time.Since(at)
		}
	}
}
