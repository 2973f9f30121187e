package ledger

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Spent is what a new budget starts its count with: what its present window has
// seen so far, by the hourly totals and by what flows use and were not charged
// for yet. For a rolling window past is the part of each hour before the running
// one; for all, what was reported ahead of windows to come. There are no totals by token: such a budget starts at 0.
func (l *Ledger) Spent(tx *db.Tx, id ID, r Result, b wallet.Budget) (sum credit.Amount, past map[int64]credit.Amount, err error) {
	value := b.Value
	column, counts := spentBy(b)
	if column == "" {
		return 0, nil, nil
	}
	now := r.At // the wallet may stand at an earlier instant, if nothing was due since
	running, _ := b.Bounds(now)
	from := running
	if b.Window == wallet.Rolling {
		from -= int64(b.Hours-1) * int64(credit.Hour)
	}
	byHour, err := spentByHour(tx, id, column, value, from)
	if err != nil {
		return 0, nil, err
	}
	if b := l.pending(tx, id); b != nil {
		b.addSpent(byHour, column, value, from)
	}
	view := r.Wallet.View()
	for _, f := range r.Wallet.Flows() {
		for s := max(from, f.SettledAt); counts(f) && s < now; {
			t := min(now, s-s%int64(credit.Hour)+int64(credit.Hour))
			for i := range f.Items {
				byHour[s-s%int64(credit.Hour)] += view.AccruedItem(f, i, s, t)
			}
			s = t
		}
	}
	past = map[int64]credit.Amount{}
	for hour, spent := range byHour {
		begins, _ := b.Bounds(hour)
		if begins > running {
			past[begins] += spent
			continue
		}
		sum += spent
		if b.Window == wallet.Rolling && hour < running && spent != 0 {
			past[hour] = spent
		}
	}
	return sum, past, nil
}

func spentByHour(tx *db.Tx, id ID, column, value string, from int64) (map[int64]credit.Amount, error) {
	query, args := `SELECT hour, CAST(SUM(amount - overrun) AS BIGINT) FROM totals`+inWallet+` AND hour >= $3`, []any{id.Organization, id.Workspace, from}
	if column != "workspace" {
		query, args = query+` AND `+column+` = $4`, append(args, value)
	}
	byHour := map[int64]credit.Amount{}
	err := tx.Each(func(r db.Scanner) error {
		var hour int64
		var spent credit.Amount
		err := r.Scan(&hour, &spent)
		byHour[hour] = spent
		return err
	}, query+` GROUP BY hour`, args...)
	return byHour, fault.While("sum what was spent", err)
}

// addSpent adds the totals that the batch has still to write.
func (b *book) addSpent(byHour map[int64]credit.Amount, column, value string, from int64) {
	for t, sum := range b.totals {
		of := map[string]string{"project": t.Project, "user_id": t.User, "job": t.Job}[column]
		if t.Hour >= from && (column == "workspace" || of == value) {
			byHour[t.Hour] += credit.Amount(sum.amount - sum.overrun)
		}
	}
}

// spentBy is the column of the totals that a budget counts by, and whether it
// counts a flow.
func spentBy(b wallet.Budget) (column string, counts func(*wallet.Flow) bool) {
	switch b.Key {
	case wallet.ByWorkspace:
		return "workspace", func(*wallet.Flow) bool { return true }
	case wallet.ByProject:
		return "project", func(f *wallet.Flow) bool { return f.Project == b.Value }
	case wallet.ByUser:
		return "user_id", func(f *wallet.Flow) bool { return f.User == b.Value }
	case wallet.ByJob:
		return "job", func(f *wallet.Flow) bool { return f.Job == b.Value }
	}
	return "", nil
}
