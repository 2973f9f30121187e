package ledger

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// HouseDays are the sums of the postings of all wallets by day, from a day on and
// before another: those that were rolled up, and what was written since.
func (l *Ledger) HouseDays(tx *db.Tx, from, to int64) (DaySums, error) {
	sums := daySums{}
	err := sums.addRows(tx, `SELECT day, kind, debit, credit, sku, whole, amount FROM house_days WHERE day >= $1 AND day < $2`, from, to)
	if err != nil {
		return nil, fault.While("read the sums by day", err)
	}
	recent, err := recentDays(tx)
	if err != nil {
		return nil, fault.While("sum up the postings by day", err)
	}
	for k, by := range recent {
		if k.Day >= from && k.Day < to {
			sums.add(k, by)
		}
	}
	return sums.amounts()
}

// HouseBefore is the balance of every account before a day: what was moved to it less
// what was moved from it. Lots are known by their kinds.
func (l *Ledger) HouseBefore(tx *db.Tx, day int64) (map[string]credit.Amount, error) {
	sums := daySums{}
	err := sums.addRows(tx, `SELECT 0, '', debit, credit, '', CAST(SUM(whole) AS BIGINT), CAST(SUM(amount) AS BIGINT)
		FROM house_days WHERE day < $1 GROUP BY debit, credit`, day)
	if err != nil {
		return nil, fault.While("sum up the accounts", err)
	}
	recent, err := recentDays(tx)
	if err != nil {
		return nil, fault.While("sum up the postings by day", err)
	}
	for k, by := range recent {
		if k.Day < day {
			sums.add(DayKey{Debit: k.Debit, Credit: k.Credit}, by)
		}
	}
	moved := map[string]sum{}
	for k, by := range sums {
		moved[k.Debit], moved[k.Credit] = moved[k.Debit].minus(by), moved[k.Credit].plus(by)
	}
	balances := map[string]credit.Amount{}
	for account, s := range moved {
		if balances[account], err = s.amount(); err != nil {
			return nil, err
		}
	}
	return balances, nil
}

// recentDays sums up what was not rolled up yet: the postings of the last minutes.
func recentDays(tx *db.Tx) (daySums, error) {
	sums := daySums{}
	for after := (ID{}); ; {
		some, err := uncoveredAfter(tx, after, rollWallets)
		if err != nil || len(some) == 0 {
			return sums, err
		}
		for _, w := range some {
			if err := sums.addPostings(tx, w.ID, w.no, w.last); err != nil {
				return nil, err
			}
			after = w.ID
		}
	}
}

// BalanceAt is what a wallet held by the books just before an instant: its lots, less
// what was used of the overdraft, without what was accruing. Lots that had been granted
// and not taken effect are in it.
func (l *Ledger) BalanceAt(tx *db.Tx, id ID, at int64) (credit.Amount, error) {
	first, err := firstNo(tx, "postings", id, at)
	if err != nil {
		return 0, fault.While("find the postings before an instant", err)
	}
	day := at - at%DayLength
	begin, err := firstNo(tx, "postings", id, day)
	if err != nil {
		return 0, fault.While("find the postings of a day", err)
	}
	cover, _, err := one(tx, db.Value[int64], `SELECT no FROM day_covers`+inWallet, id.Organization, id.Workspace)
	if err != nil {
		return 0, fault.While("read how far the sums by day go", err)
	}
	sums := daySums{}
	err = sums.addRows(tx, `SELECT 0, '', debit, credit, '', CAST(SUM(whole) AS BIGINT), CAST(SUM(amount) AS BIGINT) FROM day_sums`+inWallet+` AND day < $3 GROUP BY debit, credit`,
		id.Organization, id.Workspace, day)
	if err == nil { // no charge and no lot is looked up for it, as for a day's sums
		err = sums.addRows(tx, `SELECT 0, '', debit, credit, '', `+summed("amount")+` FROM postings`+inWallet+` AND no > $3 AND no <= $4 GROUP BY debit, credit`,
			id.Organization, id.Workspace, min(cover, begin-1), first-1)
	}
	if err != nil {
		return 0, fault.While("sum up the balance of a wallet", err)
	}
	var balance sum
	for k, by := range sums {
		sign := InBalance(k.Credit) - InBalance(k.Debit)
		balance = balance.plus(sum{sign * by.whole, sign * by.nano})
	}
	return balance.amount()
}
