package pay

import (
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/tax"
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
	Missing   credit.Amount // that the ceilings kept it from buying, in the end
}

// TryAutoTopUp runs settings against the usage of last month by the hourly totals, in a
// wallet that had as much at its beginning as the settings fill up to. Each hour's usage
// counts at its beginning, and what it would need is bought before: as it looks ahead.
func (s *Service) TryAutoTopUp(tx *db.Tx, a AutoTopUp) (run DryRun, err error) {
	a.IsOn = false // to be tried, no method is needed
	if err := s.checkAuto(tx, &a); err != nil {
		return run, err
	}
	now := time.Unix(0, tx.Now()).UTC()
	to := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	run.From, run.To = to.AddDate(0, -1, 0).UnixNano(), to.UnixNano()
	left, day, today := max(a.Target, a.Threshold+a.Amount), int64(0), credit.Amount(0)
	err = tx.Each(func(r db.Scanner) error {
		var hour int64
		var used credit.Amount
		if err := r.Scan(&hour, &used); err != nil {
			return err
		}
		if hour-hour%dayLength != day {
			day, today = hour-hour%dayLength, 0
		}
		run.Used, left = run.Used+used, left-used
		for left <= a.Threshold {
			amount := s.wanted(&a, left)
			if room := min(a.DayCeiling-today, a.MonthCeiling-run.Total); room < amount {
				if room -= room % tax.Cent; a.Target == 0 || room < s.settings.Least {
					break
				}
				amount = room
			}
			run.Purchases = append(run.Purchases, Purchase{hour, amount})
			left, today, run.Total = left+amount, today+amount, run.Total+amount
		}
		run.Missing = max(run.Missing, -left)
		return nil
	}, `SELECT hour, CAST(SUM(amount) AS BIGINT) FROM totals WHERE organization = $1 AND workspace = $2 AND hour >= $3 AND hour < $4 GROUP BY hour ORDER BY hour`,
		a.Organization, a.Workspace, run.From, run.To)
	if err != nil {
		return run, fmt.Errorf("read the hourly totals of %s: %w", a.ID, err)
	}
	return run, nil
}

const dayLength = int64(24 * time.Hour)
