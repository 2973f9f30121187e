package pay_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
)

// fate is what comes later of a payment of 124, in whatever order it is told: what of its
// 100 credits can be used or is frozen in the end, and what the bank has left of the money.
type fate struct {
	what            string
	words           []pay.Notice
	free, frozen    credit.Amount
	money, addedTax credit.Amount
	shown           string
}

func fates() []fate {
	dispute := func(kind pay.NoticeKind, id string, amount credit.Amount) pay.Notice {
		return pay.Notice{Kind: kind, Dispute: id, Outcome: pay.Outcome{Amount: amount}}
	}
	back := func(id string, amount credit.Amount) pay.Notice {
		return pay.Notice{Kind: pay.RefundMoved, Outcome: pay.Outcome{State: pay.Succeeded, Theirs: id, Amount: amount}}
	}
	opened, won, lost := pay.DisputeOpened, pay.DisputeWon, pay.DisputeLost
	return []fate{
		{"plain", nil, 100 * one, 0, 124 * one, 24 * one, "succeeded"},
		{"open", []pay.Notice{dispute(opened, "d1", 62*one)}, 0, 100 * one, 124 * one, 24 * one, "disputed"},
		{"won", []pay.Notice{dispute(opened, "d1", 0), dispute(won, "d1", 0)}, 100 * one, 0, 124 * one, 24 * one, "succeeded"},
		{"lost", []pay.Notice{dispute(opened, "d1", 0), dispute(lost, "d1", 0)}, 0, 0, 0, 0, "charged_back"},
		{"a part lost", []pay.Notice{dispute(opened, "d1", 62*one), dispute(lost, "d1", 62*one)}, 50 * one, 0, 62 * one, 12 * one, "partly_charged_back"},
		{"a part lost, another won", []pay.Notice{dispute(opened, "d1", 31*one), dispute(lost, "d1", 31*one), dispute(opened, "d2", 62*one), dispute(won, "d2", 62*one)},
			75 * one, 0, 93 * one, 18 * one, "partly_charged_back"},
		{"a part lost, another open", []pay.Notice{dispute(lost, "d1", 31*one), dispute(opened, "d2", 62*one)}, 0, 75 * one, 93 * one, 18 * one, "disputed"},
		{"a part lost, a part given back", []pay.Notice{dispute(opened, "d1", 62*one), dispute(lost, "d1", 62*one), back("re", 31*one)},
			25 * one, 0, 31 * one, 6 * one, "partly_charged_back"},
	}
}

// storm is every word of every payment twice, under their id or ours, beside the word
// that it was made.
func storm(payments []pay.Payment, fates []fate) (all []pay.Notice) {
	for i, p := range payments {
		theirs := "pi_" + p.No
		for j := range 2 {
			all = append(all, pay.Notice{ID: fmt.Sprint(p.No, " made ", j), Kind: pay.PaymentMoved, Payment: p.No,
				Outcome: pay.Outcome{State: pay.Succeeded, Amount: p.Line.Gross(), Theirs: theirs}})
		}
		for j, n := range fates[i%len(fates)].words {
			n.ID, n.Theirs = fmt.Sprint(p.No, " later ", j), theirs
			n.Dispute = n.Dispute + p.No
			if n.Kind == pay.RefundMoved {
				n.Outcome.Theirs += p.No
			} else if i%2 == 0 {
				n.Payment = p.No
			}
			all = append(all, n, n)
		}
	}
	return all
}

// # Disputes over all and over parts, and refunds made at the provider, told twice, shuffled
// and often before the payment itself, by many at once, while credits are moved between three
// workspaces: every payment ends as its words say, wherever its credits are.
func TestStormOfDisputes(t *testing.T) {
	s := newTill(t)
	s.holds = true
	fates := fates()
	places := []ledger.ID{s.id, s.workspace("second"), s.workspace("third")}
	var payments []pay.Payment
	for range 5 * len(fates) {
		payments = append(payments, s.buy(pay.TopUp{Amount: 100 * one}))
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	words := storm(payments, fates)
	dice.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	var noted, notedTax credit.Amount
	note := func(tx *db.Tx, f *pay.Refund) error {
		net, added := f.Net, f.Tax
		tx.AfterCommit(func() { s.mu.Lock(); noted, notedTax = noted+net, notedTax+added; s.mu.Unlock() })
		return nil
	}
	moved := 0
	var wg sync.WaitGroup
	for sender := range 12 {
		mover := rand.New(rand.NewPCG(seed, uint64(sender)+1))
		wg.Go(func() {
			for i := sender; i < len(words); i += 12 {
				told := pay.New(pay.Config{DB: s.db, Books: s.books, Orgs: s.orgs, Provider: teller{s.sandbox, words[i]}, Credit: note})
				if err := told.Take(t.Context(), sandbox.Name, nil, nil); err != nil {
					t.Error(err)
				}
				from, by := mover.IntN(3), 1+mover.IntN(2)
				amount := credit.Amount(1+mover.IntN(150)) * one
				err := s.db.Update(t.Context(), func(tx *db.Tx) error { return s.moveIn(tx, places[from], places[(from+by)%3], amount) })
				switch {
				case err == nil:
					s.mu.Lock()
					moved++
					s.mu.Unlock()
				case !fault.Is(err, fault.Insufficient):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var want fate
	for i, p := range payments {
		f := fates[i%len(fates)]
		if got := s.shown(p); got != f.shown {
			t.Errorf("%s: %s is %s, not %s", f.what, p.No, got, f.shown)
		}
		want.free, want.frozen = want.free+f.free, want.frozen+f.frozen
		want.money, want.addedTax = want.money+f.money, want.addedTax+f.addedTax
	}
	if free, frozen := s.availableIn(places...), s.frozenIn(places...); free != want.free || frozen != want.frozen {
		t.Errorf("%s are available and %s frozen, not %s and %s", free, frozen, want.free, want.frozen)
	}
	if away := s.availableIn(places[1:]...) + s.frozenIn(places[1:]...); moved == 0 || away == 0 {
		t.Errorf("%d transfers, %s credits away from home: nothing was put to the test", moved, away)
	}
	s.holdsBooks("after the storm", want.money, want.addedTax, 0)
	all := credit.Amount(len(payments))
	if noted+notedTax != all*124*one-want.money || notedTax != all*24*one-want.addedTax {
		t.Errorf("credit notes over %s and %s of tax", noted, notedTax)
	}
}
