package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

var errSpoils = errors.New("this unit spoils its batch")

// # Batches fail while the next have run already, and every request is done once.
//
// Keys come again whose use the ledger has forgotten, so that the unique index of the
// journal fails the commit; units fail after they have changed something; and the batches
// behind those have gone on from wallets that are not as they thought.
func TestBatchesFailInFlight(t *testing.T) {
	const callers, rounds, wallets = 48, 40, 5
	h := open(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ids := make([]ID, wallets)
	for i := range ids {
		ids[i] = ID{"org_1", fmt.Sprintf("ws_%d", i)}
		h.create(ids[i])
		h.apply(ids[i], h.grant(ids[i], fmt.Sprintf("lot_%d", i), "1000000"))
	}
	var (
		taken   [wallets]atomic.Int64
		answers sync.Map // the first answer to each key
		all     sync.WaitGroup
	)
	for c := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(c)))
			for i := range rounds {
				w, key := random.IntN(wallets), fmt.Sprintf("%d-%d", c, i)
				amount := credit.Amount(1 + random.Int64N(1000))
				err := h.spending(ids[w], key, amount, random.IntN(10) == 0)
				switch {
				case errors.Is(err, errSpoils):
					continue
				case err != nil:
					t.Error(err)
					return
				}
				taken[w].Add(int64(amount))
				answers.Store(key, [2]int64{int64(w), int64(amount)})
				if again := fmt.Sprintf("%d-%d", c, random.IntN(i+1)); random.IntN(4) == 0 {
					was, ok := answers.Load(again)
					if !ok {
						continue // that one was spoilt
					}
					if err := h.spending(ids[was.([2]int64)[0]], again, credit.Amount(was.([2]int64)[1]), false); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	for i, id := range ids {
		want := 1_000_000*credit.One - credit.Amount(taken[i].Load())
		h.hasBalance(id, want.String())
	}
	if s := h.db.Stats(); s.Poisoned == 0 || s.Stale == 0 {
		t.Errorf("%d units have spoilt a batch, and %d batches were stale", s.Poisoned, s.Stale)
	}
	h.verified()
}

// spending takes an amount under a key, which the ledger has always forgotten, and may
// spoil its batch when that is done.
func (h *house) spending(id ID, key string, amount credit.Amount, spoils bool) error {
	return h.update(func(tx *db.Tx) error {
		clear(h.recent.young)
		r := Request{Organization: id.Organization, Workspace: id.Workspace, Route: "POST /usage", Key: key, Body: fmt.Appendf(nil, "%d", amount)}
		answer, err := h.Once(tx, r, func() (int, any, error) {
			_, err := h.Apply(tx, id, wallet.Use{Lines: []wallet.Line{{SKU: "network.egress", Amount: amount, At: tx.Now()}}})
			return 200, amount.String(), err
		})
		if err == nil && string(answer.Body) != fmt.Sprintf("%q", amount.String()) {
			err = fault.New(fault.Conflict, "%s was answered %s", key, answer.Body)
		}
		if err == nil && spoils {
			return errSpoils
		}
		return err
	})
}
