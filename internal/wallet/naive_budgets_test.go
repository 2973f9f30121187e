package wallet_test

import (
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// covers reports whether the budget counts the flow.
func (b *naiveBudget) covers(f *naiveFlow) bool {
	return b.counts(f.Project, f.User, f.Job, f.Key)
}

func (b *naiveBudget) counts(project, user, job, key string) bool {
	switch b.Key {
	case wallet.ByProject:
		return b.Value == project
	case wallet.ByUser:
		return b.Value == user
	case wallet.ByJob:
		return b.Value == job
	case wallet.ByKey:
		return b.Value == key
	}
	return true
}

func (n *naive) overBudget(f *wallet.Flow, t int64) bool {
	for _, b := range n.budgets {
		if b.Hard && b.counts(f.Project, f.User, f.Job, f.Key) && n.spent(b, t) >= b.Amount {
			return true
		}
	}
	return false
}

// spent is what the window in which t lies has seen so far.
func (n *naive) spent(b *naiveBudget, t int64) credit.Amount {
	end := windowEnd(b, t)
	if end == 0 {
		end = 1 << 62
	}
	return n.spentIn(b, windowStart(b, t), end)
}

// spentIn is what the budget has seen from one instant to another.
func (n *naive) spentIn(b *naiveBudget, from, to int64) (sum credit.Amount) {
	for _, all := range [][]*piece{n.pieces, n.given} {
		for _, p := range all {
			if p.flow != nil && b.covers(p.flow) && !p.lost && p.lot != wallet.OverrunLot {
				sum += p.in(from, to)
			}
			if l := p.line; l != nil && l.At >= from && l.At < to && b.counts(l.Project, l.User, l.Job, l.Key) {
				sum += p.amount
			}
		}
	}
	return sum
}

// windowStart is the start of the window that t lies in. The instant at which a
// window begins belongs to it; what ran up to that instant does not.
func windowStart(b *naiveBudget, t int64) int64 {
	u := time.Unix(0, t).UTC()
	midnight := time.Date(u.Year(), u.Month(), u.Day(), 0, 0, 0, 0, time.UTC)
	switch b.Window {
	case wallet.Hourly:
		return t - t%hour
	case wallet.Daily:
		return midnight.UnixNano()
	case wallet.Weekly:
		return midnight.AddDate(0, 0, -(int(u.Weekday())+6)%7).UnixNano()
	case wallet.Monthly:
		return midnight.AddDate(0, 0, 1-u.Day()).UnixNano()
	case wallet.Rolling:
		return t - t%hour - int64(b.Hours-1)*hour
	}
	return 0
}

// windowEnd is when the budget's window moves on.
func windowEnd(b *naiveBudget, t int64) int64 {
	start := windowStart(b, t)
	u := time.Unix(0, start).UTC()
	switch b.Window {
	case wallet.Daily:
		return start + day
	case wallet.Weekly:
		return start + 7*day
	case wallet.Monthly:
		return u.AddDate(0, 1, 0).UnixNano()
	case wallet.Hourly, wallet.Rolling:
		return t - t%hour + hour
	}
	return 0
}
