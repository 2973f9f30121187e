package pay

import (
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
)

// Purchase is one that auto top-up would have made.
type Purchase struct {
	At     int64
	Amount credit.Amount
}

// DryRun is what auto top-up would have bought in the last whole UTC month.
type DryRun struct {
	From, To  int64
	Used      credit.Amount
	Purchases []Purchase
	Total     credit.Amount
	Missing   credit.Amount // of what was used: it would have had no cover, so that work would have ended
}

// TryAutoTopUp runs settings against the usage of last month by the hourly totals, in a
// wallet that had as much at its beginning as the settings fill up to. Within an hour the
// usage counts as even, and every payment succeeds at once: with work that begins and ends
// at full hours it buys what auto top-up buys, to the cent and within a millisecond. What is used at one
// instant is bought in other parts, which add up to the same but for what is left in the
// wallet at the end.
func (s *Service) TryAutoTopUp(tx *db.Tx, a AutoTopUp) (run DryRun, err error) {
	a.IsOn = false // to be tried, no method is needed
	if err := s.checkAuto(tx, &a); err != nil {
		return run, err
	}
	run.To, _ = db.MonthOf(tx.Now())
	run.From, _ = db.MonthOf(run.To - 1)
	used := map[int64]credit.Amount{}
	err = tx.Each(func(r db.Scanner) error {
		var hour int64
		var amount credit.Amount
		err := r.Scan(&hour, &amount)
		used[hour] = amount
		return err
	}, `SELECT hour, CAST(SUM(amount) AS BIGINT) FROM totals WHERE organization = $1 AND workspace = $2 AND hour >= $3 AND hour < $4 GROUP BY hour`,
		a.Organization, a.Workspace, run.From, run.To)
	if err != nil {
		return run, fmt.Errorf("read the hourly totals of %s: %w", a.ID, err)
	}
	t := trial{service: s, set: &a, run: &run, left: max(a.Target, a.Threshold+a.Amount), notBefore: run.From}
	for hour := run.From; hour < run.To; hour += db.Hour {
		if err := t.pass(hour, used[hour]); err != nil {
			return run, err
		}
	}
	return run, nil
}

// trial is a wallet in which auto top-up is tried.
type trial struct {
	service   *Service
	set       *AutoTopUp
	run       *DryRun
	left      credit.Amount // what there would be at the beginning of the hour, with what was bought in it
	today     credit.Amount // bought in the day of day
	day       int64
	notBefore int64 // no payment begins: it cools down, or there is no room under a ceiling
}

// pass has an hour pass in which so much is used.
func (t *trial) pass(hour int64, used credit.Amount) error {
	t.run.Used += used
	rate, err := credit.NewRate(used, credit.Units)
	if err != nil {
		return fmt.Errorf("the usage of the hour at %d: %w", hour, err)
	}
	ahead := int64(t.service.settings.Ahead)
	foreseen := func(at int64) credit.Amount { // what will be left within the time that a payment takes
		gone, _, overflow := credit.Accrue(rate, at-hour+ahead, credit.Wide{}, credit.Hour)
		if overflow != nil {
			err = fmt.Errorf("the usage of the hour at %d: %w", hour, overflow)
		}
		return t.left - gone
	}
	isDown := func(at int64) bool { return foreseen(at) <= t.set.Threshold }
	for at := max(hour, t.notBefore); at < hour+db.Hour && err == nil; at = max(at, t.notBefore) {
		if !isDown(at) {
			if !isDown(hour + db.Hour - 1) {
				break
			}
			at = bisect(at, hour+db.Hour-1, isDown)
		}
		t.uncovered(hour, at, rate)
		t.buy(at, max(foreseen(at), 0))
	}
	t.uncovered(hour, hour+db.Hour, rate)
	t.left -= used
	return err
}

// uncovered notes what was used up to an instant of the hour and was not there: the wallet
// stands at zero, and work that needs it ends.
func (t *trial) uncovered(hour, at int64, rate credit.Rate) {
	gone, _, err := credit.Accrue(rate, at-hour, credit.Wide{}, credit.Hour)
	if err == nil && gone > t.left {
		t.run.Missing += gone - t.left
		t.left = gone
	}
}

// buy begins a payment as the ceilings let it, when so much is foreseen.
func (t *trial) buy(at int64, foreseen credit.Amount) {
	if at-at%db.Day != t.day {
		t.day, t.today = at-at%db.Day, 0
	}
	amount, until := t.service.wanted(t.set, foreseen), int64(0)
	fits := amount
	if room := t.set.DayCeiling - t.today; room < fits {
		fits, until = room.WholeCents(), t.day+db.Day
	}
	if room := t.set.MonthCeiling - t.run.Total; room < fits {
		fits, until = room.WholeCents(), t.run.To
	}
	if fits < t.service.settings.Least || t.set.Target == 0 && fits < amount {
		t.notBefore = until
		return
	}
	t.run.Purchases = append(t.run.Purchases, Purchase{at, fits})
	t.left, t.today, t.run.Total = t.left+fits, t.today+fits, t.run.Total+fits
	t.notBefore = at + coolDown
}
