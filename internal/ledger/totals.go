package ledger

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// totals compares the hourly totals of a wallet without holding them: every
// total has a random weight, and the sum of weight × quantity over all rows must
// be that over all parts that were added to them, whatever the order. Rows that
// differ give the same sums with a probability of 2^-61. The rows are dealt into
// buckets, so that a difference can then be named by looking at one of them.
type totals struct {
	seed    maphash.Seed
	buckets []sums
	picked  []bool                   // the buckets whose rows are to be held
	rows    map[wallet.Total]amounts // of picked buckets
}

type sums struct{ quantity, amount, overrun uint64 }

const (
	totalBuckets = 256
	prime        = 1<<61 - 1
)

func newTotals() *totals {
	return &totals{seed: maphash.MakeSeed(), buckets: make([]sums, totalBuckets)}
}

// add adds to a row of the totals, which is given without its amounts.
func (t *totals) add(row wallet.Total, by amounts) {
	h := maphash.Comparable(t.seed, row)
	b := &t.buckets[h%totalBuckets]
	weight := h / totalBuckets * 0x9e3779b97f4a7c15 % prime // the seed makes it random; zero only by chance
	b.quantity = (b.quantity + times(weight, by.quantity)) % prime
	b.amount = (b.amount + times(weight, by.amount)) % prime
	b.overrun = (b.overrun + times(weight, by.overrun)) % prime
	if t.picked != nil && t.picked[h%totalBuckets] {
		sum := t.rows[row]
		t.rows[row] = amounts{sum.quantity + by.quantity, sum.amount + by.amount, sum.overrun + by.overrun}
	}
}

// times is weight × n modulo the prime.
func times(weight uint64, n int64) uint64 {
	m := n % prime
	if m < 0 {
		m += prime
	}
	hi, lo := bits.Mul64(weight, uint64(m))
	_, rest := bits.Div64(hi, lo, prime)
	return rest
}

const totalColumns = `hour, project, user_id, job, sku, tier, provider, unit, quantity, amount, overrun`

// scanTotal reads a row; where the engine has a region, it has the provider.
func scanTotal(r db.Scanner) (row wallet.Total, sum amounts, err error) {
	err = r.Scan(&row.Hour, &row.Project, &row.User, &row.Job, &row.SKU, &row.Tier, &row.Region, &row.Unit,
		&sum.quantity, &sum.amount, &sum.overrun)
	return row, sum, err
}

// compareTotals holds the stored totals against the replayed ones.
func (r *replay) compareTotals() error {
	stored, err := r.storedTotals(r.totals.seed, nil)
	if err != nil {
		return err
	}
	picked := make([]bool, totalBuckets)
	for i := range picked {
		picked[i] = stored.buckets[i] != r.totals.buckets[i]
	}
	if !slices.Contains(picked, true) {
		return nil
	}
	return r.nameTotals(picked)
}

// storedTotals sums the rows up, and holds those of the picked buckets.
func (r *replay) storedTotals(seed maphash.Seed, picked []bool) (*totals, error) {
	t := newTotals()
	t.seed, t.picked, t.rows = seed, picked, map[wallet.Total]amounts{}
	err := r.tx.Each(func(s db.Scanner) error {
		row, sum, err := scanTotal(s)
		t.add(row, sum)
		if picked == nil {
			r.made["totals"]++
		}
		return err
	}, `SELECT `+totalColumns+` FROM totals`+inWallet, r.id.Organization, r.id.Workspace)
	return t, fault.While("read the totals of "+r.id.String(), err)
}

// nameTotals replays the journal once more, to see which totals of the picked
// buckets differ.
func (r *replay) nameTotals(picked []bool) error {
	again := newReplay(r.verification, r.id)
	again.isSilent = true
	again.totals.seed, again.totals.picked, again.totals.rows = r.totals.seed, picked, map[wallet.Total]amounts{}
	if err := again.run(); err != nil {
		return err
	}
	stored, err := r.storedTotals(r.totals.seed, picked)
	if err != nil {
		return err
	}
	var keys []wallet.Total
	for key := range again.totals.rows {
		keys = append(keys, key)
	}
	for key := range stored.rows {
		if _, both := again.totals.rows[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b wallet.Total) int { return strings.Compare(totalKey(a), totalKey(b)) })
	for _, key := range keys {
		if err := r.total(key, stored.rows[key], again.totals.rows[key]); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) total(key wallet.Total, stored, replayed amounts) error {
	if stored.quantity != replayed.quantity {
		if err := r.mismatch("totals", totalKey(key), "quantity", number(stored.quantity), number(replayed.quantity)); err != nil {
			return err
		}
	}
	for _, sum := range []struct {
		column           string
		stored, replayed int64
	}{{"amount", stored.amount, replayed.amount}, {"overrun", stored.overrun, replayed.overrun}} {
		if sum.stored != sum.replayed {
			err := r.mismatch("totals", totalKey(key), sum.column, credit.Amount(sum.stored).String(), credit.Amount(sum.replayed).String())
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func totalKey(t wallet.Total) string {
	return fmt.Sprintf("hour %d project %q user %q job %q sku %q tier %q provider %q unit %q", t.Hour, t.Project, t.User, t.Job, t.SKU, t.Tier, t.Region, t.Unit)
}
