package pay

import (
	"context"
	"fmt"
	"sync"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/wallet"
)

// When auto top-up looks at a wallet is arithmetic: what is available at any later instant
// is known, and so is when it will be down to the threshold. That instant, less the time
// that a payment takes, stands in the row. It is computed again when the wallet has moved:
// the loop compares the versions of the wallets that have it on with those it has seen, so
// that a commit costs nothing, on whichever server it was, and none is missed.

const (
	horizon  = 7 * db.Day // how far it is looked ahead; then again
	firstLeg = db.Second  // of the steps in which a crossing is searched
)

// lookedAt is what has been seen of the wallets.
type lookedAt struct {
	mu sync.Mutex
	at map[ledger.ID]looked
}

// looked is of which wallet, with which settings, a due instant was computed.
type looked struct{ version, changedAt, dueAt int64 }

// look computes for each wallet with auto top-up that has moved when it is due.
func (s *Service) look(ctx context.Context) error {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	type row struct {
		AutoTopUp
		version int64
	}
	var all []row
	err := s.db.Glance(ctx, func(tx *db.Tx) (err error) {
		all, err = db.All(tx, func(r db.Scanner) (w row, err error) {
			err = r.Scan(&w.Organization, &w.Workspace, &w.Threshold, &w.StartedAt, &w.toldAt, &w.ChangedAt, &w.dueAt, &w.version)
			return w, err
		}, `SELECT a.organization, a.workspace, a.threshold, a.started_at, a.told_at, a.changed_at, a.due_at, w.version
			FROM auto_top_ups a JOIN wallets w ON w.organization = a.organization AND w.workspace = a.workspace
			WHERE a.is_on = 1 AND a.payment = ''`)
		return err
	})
	if err != nil {
		return fmt.Errorf("look up the wallets with auto top-up: %w", err)
	}
	seen := make(map[ledger.ID]looked, len(all))
	defer func() { s.seen.at = seen }()
	for _, a := range all {
		if is := (looked{a.version, a.ChangedAt, a.dueAt}); s.seen.at[a.ID] == is {
			seen[a.ID] = is
			continue
		}
		view, err := s.books.View(ctx, a.ID)
		if err != nil {
			return err
		}
		at := s.dueOf(view, &a.AutoTopUp, s.db.Clock().Now())
		if err := s.aim(ctx, &a.AutoTopUp, at); err != nil {
			return err
		}
		seen[a.ID] = looked{a.version, a.ChangedAt, at}
	}
	return nil
}

// aim writes when a wallet is looked at next, unless something else has happened to it.
func (s *Service) aim(ctx context.Context, a *AutoTopUp, at int64) error {
	if at == a.dueAt {
		return nil
	}
	return s.db.Update(db.InLane(ctx, a.Organization), func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE auto_top_ups SET due_at = $3 WHERE organization = $1 AND workspace = $2 AND is_on = 1 AND payment = '' AND due_at = $4 AND changed_at = $5`,
			a.Organization, a.Workspace, at, a.dueAt, a.ChangedAt)
		return err
	})
}

// dueOf is when a wallet has to be looked at.
func (s *Service) dueOf(v *wallet.View, a *AutoTopUp, now int64) int64 {
	ahead := int64(s.settings.Ahead)
	at := crossing(v, now+ahead, now+horizon, a.Threshold) - ahead
	if a.StartedAt != 0 {
		at = max(at, a.StartedAt+coolDown)
	}
	if a.toldAt > now { // there is no room under a ceiling before
		at = max(at, a.toldAt)
	}
	return max(at, now)
}

// crossing is the first instant from one to another at which no more than the threshold is
// available; the other if there is none. Between additions what is available only falls;
// each lot that begins later is an addition.
func crossing(v *wallet.View, from, to int64, threshold credit.Amount) int64 {
	isDown := func(t int64) bool { return v.Balance(t).Available <= threshold }
	if isDown(from) {
		return from
	}
	last := from
	for leg := firstLeg; last < to; leg *= 2 {
		next := min(last+leg, to)
		for _, l := range v.Lots(last) {
			if l.EffectiveAt > last && l.EffectiveAt <= next {
				next = max(last+1, l.EffectiveAt-1)
			}
		}
		if isDown(next) {
			return bisect(last, next, isDown)
		}
		last = next
	}
	return to
}

// bisect is the first instant after low, up to high, at which something is so.
func bisect(low, high int64, isSo func(int64) bool) int64 {
	for high-low > 1 {
		if middle := low + (high-low)/2; isSo(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// fire begins a round if every guard lets it, and says otherwise when to look again.
func (s *Service) fire(tx *db.Tx, id ledger.ID) (began bool, err error) {
	a, err := s.AutoTopUp(tx, id)
	if err != nil || !a.IsOn || a.Payment != "" || a.dueAt == 0 || a.dueAt > tx.Now() {
		return false, err
	}
	result, err := s.books.Apply(tx, id)
	if err != nil {
		return false, err
	}
	view, now := result.Wallet.View(), tx.Now()
	if at := s.dueOf(view, &a, now); at > now {
		a.dueAt = at
		return false, writeAuto(tx, &a)
	}
	methods, err := s.Methods(tx, id.Organization)
	if err != nil {
		return false, err
	}
	profile, err := s.orgs.Profile(tx, id.Organization)
	switch {
	case err != nil:
		return false, err
	case profile.ArchivedAt != 0:
		return true, s.switchOff(tx, &a, "the organization was deleted")
	case len(methods) == 0:
		return true, s.switchOff(tx, &a, "there is no saved payment method any more")
	}
	if lacks, err := s.lacksCountry(tx, id.Organization); err != nil {
		return false, err
	} else if lacks {
		return false, s.waitForCountry(tx, &a)
	}
	a.WaitsFor = ""
	amount := s.wanted(&a, view.Balance(now+int64(s.settings.Ahead)).Available)
	fits, until, err := s.within(tx, &a, amount)
	if err != nil {
		return false, err
	}
	if fits == 0 {
		return false, s.stopAtCeiling(tx, &a, until)
	}
	a.StartedAt = now
	return true, s.start(tx, &a, fits, methods[0].No)
}

// wanted is how much is to be bought: of what a target is away the whole cents, rounded
// down. At the nanosecond at which a threshold is crossed a little less may be there: that
// is no cent more to pay.
func (s *Service) wanted(a *AutoTopUp, available credit.Amount) credit.Amount {
	amount := a.Amount
	if a.Target != 0 {
		amount = max(0, a.Target-available).WholeCents()
	}
	return min(max(amount, s.settings.Least), s.settings.Most)
}

// within is how much of an amount the ceilings let through: all of it, or of one up to a
// target what is left under them; 0 if that is too little for a payment, with the instant
// from which there is room again.
func (s *Service) within(tx *db.Tx, a *AutoTopUp, amount credit.Amount) (fits credit.Amount, until int64, err error) {
	day := tx.Now() - tx.Now()%db.Day
	month, nextMonth := db.MonthOf(tx.Now())
	fits = amount
	for _, window := range []struct {
		from, to int64
		ceiling  credit.Amount
	}{{day, day + db.Day, a.DayCeiling}, {month, nextMonth, a.MonthCeiling}} {
		var spent credit.Amount
		// What was given up counts too: the money may still come.
		err := tx.QueryRow(`SELECT CAST(COALESCE(SUM(net), 0) AS BIGINT) FROM payments WHERE organization = $1 AND workspace = $2 AND kind = 'auto'
			AND status <> 'failed' AND code <> 'not_sent' AND created_at >= $3 AND created_at < $4`,
			a.Organization, a.Workspace, window.from, window.to).Scan(&spent)
		if err != nil {
			return 0, 0, fmt.Errorf("sum up what %s was topped up: %w", a.ID, err)
		}
		if room := window.ceiling - spent; room < fits {
			fits, until = room.WholeCents(), window.to
		}
	}
	if fits < s.settings.Least || a.Target == 0 && fits < amount {
		return 0, until, nil
	}
	return fits, 0, nil
}

// stopAtCeiling waits until there is room under a ceiling, and tells the owners once.
func (s *Service) stopAtCeiling(tx *db.Tx, a *AutoTopUp, until int64) error {
	isTold := a.toldAt >= until
	a.dueAt, a.toldAt = until, until
	if err := writeAuto(tx, a); err != nil || isTold {
		return err
	}
	return s.tellOwners(tx, a.ID, "auto top-up has reached a ceiling", fmt.Sprintf(
		"the next automatic top-up would go over the ceiling of %s a day or %s a month. Nothing is charged before %s; running work ends when the credits do.",
		Dollars(a.DayCeiling), Dollars(a.MonthCeiling), mail.Instant(until)))
}
