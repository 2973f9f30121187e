package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// The keeper's limits.
const (
	keepBatch  = 16          // wallets that one unit of work lets time pass in at most
	keepRows   = 500         // charges after which a unit leaves the rest to the next
	dueBatch   = 256         // wallets or leases that are looked up at a time
	closeFlows = 500         // flows that one Close charges
	retryAfter = time.Second // when something due could not be done
	courtesy   = 10 * time.Second

	// What is due goes by the clock, which may be set, and sleep does not, which
	// stands still while the machine is suspended: so it is never long.
	longestSleep = 10 * time.Second
)

// keeper knows when something is due next.
type keeper struct {
	next  atomic.Int64  // what the loop sleeps for; never is no sleep to wake from
	alarm chan struct{} // something is due sooner
	seal  sweep
	calm  atomic.Int64 // leases do not lapse before: their holders reconnect
}

const never = math.MaxInt64

func newKeeper() *keeper {
	k := &keeper{alarm: make(chan struct{}, 1)}
	k.next.Store(never)
	return k
}

// earlier is the earlier of two instants, where 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// ring wakes the loop if it would sleep too long.
func (k *keeper) ring(due int64) {
	if due == 0 || due >= k.next.Load() {
		return
	}
	select {
	case k.alarm <- struct{}{}:
	default:
	}
}

// Keep acts at every instant that the books have computed, until ctx ends: it
// lets time pass in wallets in which something is due, closes what lapsed leases
// left running, charges flows every hour, and seals the chains. It goes by the
// machine's clock; with a test clock call [Ledger.RunDue].
//
// After a start, and after the database was away, it leaves holders of leases a
// little time to come back: while nobody listened they could not renew.
func (l *Ledger) Keep(ctx context.Context) error {
	ctx = db.InLane(ctx, "keeper") // no flood keeps time from passing
	l.keeper.rest(l.db.Clock().Now())
	defer l.keeper.calm.Store(0)
	for {
		if err := l.keepOnce(ctx); ctx.Err() != nil {
			return nil
		} else if l.db.Err() != nil {
			return l.db.Err()
		} else if err != nil {
			if fault.Is(err, fault.Unavailable) {
				l.keeper.rest(l.db.Clock().Now())
			}
			l.log.Error("the keeper could not do what is due; it tries again", "error", err)
			l.keeper.sleep(ctx, retryAfter)
		}
	}
}

// rest leaves holders of leases time to come back.
func (k *keeper) rest(now int64) { k.calm.Store(now + int64(courtesy)) }

// keepOnce does what is due, and sleeps until something is.
func (l *Ledger) keepOnce(ctx context.Context) error {
	if err := l.RunDue(ctx); err != nil {
		return err
	}
	k := l.keeper
	k.next.Store(never) // from here on a commit rings
	next, err := l.NextAt(ctx)
	if err != nil {
		return err
	}
	if next == 0 {
		next = never
	}
	k.next.Store(next)
	k.sleep(ctx, min(longestSleep, time.Duration(max(0, next-l.db.Clock().Now()))))
	return nil
}

func (k *keeper) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.alarm:
	case <-ctx.Done():
	}
}

// NextAt is the instant at which something is due next; 0 if nothing is. It may
// lie in the past.
func (l *Ledger) NextAt(ctx context.Context) (next int64, err error) {
	err = l.db.View(ctx, func(tx *db.Tx) error {
		next = 0
		if err := l.keeper.seal.look(tx, l.db.IsShared()); err != nil {
			return err
		}
		wake, err := l.nextWake(tx)
		if err != nil {
			return err
		}
		lapse, _, err := one(tx, db.Value[int64], `SELECT lapse_at FROM leases ORDER BY lapse_at LIMIT 1`)
		if err != nil {
			return fault.While("look up which lease lapses next", err)
		}
		if lapse != 0 {
			lapse = max(lapse+l.patience(ID{}, -1), l.keeper.calm.Load())
		}
		seal := l.keeper.seal.due.Load()
		if seal != 0 {
			seal += l.patience(ID{}, -1)
		}
		next = earlier(earlier(wake, lapse), seal)
		return nil
	})
	return next, err
}

// Agenda is when the keeper has something to do, where no other server does it.
func (l *Ledger) Agenda() db.Agenda {
	queries := []string{
		`SELECT MIN(wake_at) FROM wallets WHERE wake_at > 0`,
		`SELECT MIN(lapse_at) FROM leases`,
	}
	hasLooked := l.keeper.seal.hasLooked(l.db.Clock().Now(), l.db.IsShared())
	if !hasLooked {
		queries = append(queries, notSealed)
	}
	return db.Agenda{
		Queries: queries,
		When: func(now int64, found []int64) (isDue bool, next int64) {
			if !hasLooked {
				hasLooked = true
				l.keeper.seal.see(now, found[2] != 0)
			}
			wake, lapse := found[0], found[1]
			if lapse != 0 {
				lapse = max(lapse, l.keeper.calm.Load())
			}
			next = earlier(earlier(wake, lapse), l.keeper.seal.due.Load())
			return next != 0 && next <= now, next
		},
	}
}

// RunDue does everything that is due now, in order. What cannot be done does not
// keep the rest from being done; its errors are returned together.
func (l *Ledger) RunDue(ctx context.Context) error {
	failed := map[ID]error{}
	for isDue := true; isDue; {
		due, err := l.due(ctx, failed)
		if err != nil {
			return err
		}
		if due.isEmpty() {
			break
		}
		if err := l.do(ctx, due, failed); err != nil {
			return err
		}
		if isDue, err = l.db.IsDue(ctx, l.Agenda()); err != nil { // by what was done, or left: mostly nothing is
			return err
		}
	}
	var errs []error
	for id, err := range failed {
		errs = append(errs, fmt.Errorf("%s: %w", id, err))
	}
	return errors.Join(errs...)
}

// due is what is to be done now.
type due struct {
	wallets []wake
	leases  []lapsed
	seal    bool
}

func (d due) isEmpty() bool { return len(d.wallets) == 0 && len(d.leases) == 0 && !d.seal }

// due looks up what is due, but for what has failed already.
func (l *Ledger) due(ctx context.Context, failed map[ID]error) (d due, err error) {
	err = l.db.Glance(ctx, func(tx *db.Tx) (err error) {
		d.wallets, err = l.dueWallets(tx, tx.Now(), failed)
		return fault.While("look up wallets that are due", err)
	})
	if err != nil {
		return d, err
	}
	err = l.db.Glance(ctx, func(tx *db.Tx) error {
		now := tx.Now()
		if l.db.Admits() != nil { // by a clock that is off, no lease has lapsed
			l.keeper.rest(now)
		}
		if now >= l.keeper.calm.Load() {
			leases, err := dueLeases(tx, now, dueBatch+len(failed))
			if err != nil {
				return fault.While("look up leases that lapsed", err)
			}
			for _, lease := range leases {
				if failed[lease.ID] == nil && lease.at+l.patience(lease.ID, -1) <= now {
					d.leases = append(d.leases, lease)
				}
			}
		}
		seal := l.keeper.seal.due.Load()
		d.seal = seal != 0 && seal+l.patience(ID{}, -1) <= now
		return nil
	})
	return d, err
}

// do does what is due. Wallets come first: what their own time ends, no lapsed
// lease needs to.
func (l *Ledger) do(ctx context.Context, d due, failed map[ID]error) error {
	for some := range slices.Chunk(d.wallets, keepBatch) {
		if err := l.pass(ctx, some, failed); err != nil {
			return err
		}
	}
	for _, lease := range d.leases {
		err := l.db.Update(ctx, func(tx *db.Tx) error { return l.lapse(tx, lease) })
		if err := l.excuse(ctx, lease.ID, err, failed); err != nil {
			return err
		}
	}
	if d.seal {
		return l.seal(ctx)
	}
	return nil
}

// pass lets time pass in some wallets: in one unit of work, or in one each if
// something goes wrong. Those that would make the unit long, so that others wait
// for it, are left: they are found due again.
func (l *Ledger) pass(ctx context.Context, due []wake, failed map[ID]error) error {
	err := l.db.Update(ctx, func(tx *db.Tx) error {
		for charges, rest := 0, due; len(rest) > 0 && charges < keepRows; rest = rest[1:] {
			n, err := l.keep(tx, rest[0])
			if err != nil {
				return err
			}
			charges += n
		}
		return nil
	})
	if err == nil || ctx.Err() != nil || l.db.Err() != nil {
		return err
	}
	for _, w := range due {
		err := l.db.Update(ctx, func(tx *db.Tx) error {
			_, err := l.keep(tx, w)
			return err
		})
		if err := l.excuse(ctx, w.ID, err, failed); err != nil {
			return err
		}
	}
	return nil
}

// excuse notes the error of one wallet, unless it is everybody's.
func (l *Ledger) excuse(ctx context.Context, id ID, err error, failed map[ID]error) error {
	if err != nil && (ctx.Err() != nil || l.db.Err() != nil) {
		return err
	}
	if err != nil {
		failed[id] = err
	}
	return nil
}

// keep lets time pass in a wallet, and charges some of its flows if the hourly
// close is due; what is left of it is due again at once. It returns how many
// charges that made.
func (l *Ledger) keep(tx *db.Tx, w wake) (charges int, err error) {
	s := l.set(tx)
	b, err := s.openAt(tx, w.ID, w.version)
	if err != nil {
		return 0, err
	}
	at, version, before := max(tx.Now(), b.wallet.Root().At), b.version(), len(b.charges)
	if err := s.settle(tx, b, at); err != nil {
		return 0, err
	}
	if hour := b.wallet.CloseDue(at); hour != 0 {
		if _, err := s.apply(tx, b, at, wallet.Close{Hour: hour, Limit: closeFlows}); err != nil {
			return 0, err
		}
	}
	if b.version() == version && !b.isTouched && b.wallet.WakeAt() <= at {
		return 0, fmt.Errorf("the wallet is due at %d, and nothing happens", b.wallet.WakeAt())
	}
	return len(b.charges) - before, nil
}
