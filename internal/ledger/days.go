package ledger

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// The house's accounts keep no running balance: they are summed. So that a sum over
// years does not read the postings of years, those are rolled up by UTC day every ten
// minutes, and what was written since is read as it stands: at any instant the two together
// are the sum of all postings, exactly. The rolls hold nothing that the postings do not,
// and Verify makes them again.

// DayKey says what the postings of a sum have in common.
type DayKey struct {
	Day    int64 // when it begins
	Kind   wallet.PostingKind
	Debit  string // accounts, in which a lot is known by its kind: credits/purchased
	Credit string
	SKU    string // of the charge that was made or corrected; "" if none
}

func (k DayKey) compare(o DayKey) int {
	return cmp.Or(cmp.Compare(k.Day, o.Day), cmp.Compare(k.Kind, o.Kind), strings.Compare(k.Debit, o.Debit),
		strings.Compare(k.Credit, o.Credit), strings.Compare(k.SKU, o.SKU))
}

// DaySums are the sums of postings by day. All of them together are an amount.
type DaySums map[DayKey]credit.Amount

// Keys are the keys in order: by day, kind and accounts.
func (s DaySums) Keys() []DayKey { return sortedKeys(s) }

func sortedKeys[V any](sums map[DayKey]V) []DayKey {
	return slices.SortedFunc(maps.Keys(sums), DayKey.compare)
}

// DayLength is how long a day of the sums is.
const DayLength = 24 * int64(credit.Hour)

var (
	daySumRows   = db.NewSums("day_sums", `*organization *workspace *day *kind *debit *credit *sku +whole +amount`, 0)
	houseDayRows = db.NewSums("house_days", `*day *kind *debit *credit *sku +whole +amount`, 0)
	dayCoverRows = db.NewTableOn("day_covers", `organization workspace no`, ` ON CONFLICT (organization, workspace) DO UPDATE SET no = excluded.no`)
)

// The limits of one step of a roll.
const (
	rollWallets  = 256
	rollPostings = 50_000
)

// uncovered is a wallet with postings that its sums do not cover.
type uncovered struct {
	ID
	no   int64 // that the sums cover
	last int64 // that there is
}

// rolled is what a step adds to the sums of a wallet.
type rolled struct {
	uncovered
	upTo int64
	sums daySums
}

// rollEvery is how often the days are rolled up: it bounds what a reader has to sum.
const rollEvery = 10 * time.Minute

// KeepDays rolls the days up until ctx ends. It is no part of [Ledger.Keep]: after an
// upgrade there are the postings of years to sum up, and nothing due may wait for that.
func (l *Ledger) KeepDays(ctx context.Context) error {
	ctx = db.InLane(ctx, "days")
	ticker := time.NewTicker(rollEvery)
	defer ticker.Stop()
	for {
		if err := l.Roll(ctx); ctx.Err() != nil {
			return nil
		} else if l.db.Err() != nil {
			return l.db.Err()
		} else if err != nil {
			l.log.Error("the postings could not be summed up by day; it tries again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Roll adds the postings that the sums by day do not cover to them. It reads them in
// a snapshot, where nobody waits for it, and then writes what they come to.
func (l *Ledger) Roll(ctx context.Context) error {
	for after := (ID{}); ; {
		var some []rolled
		err := l.db.View(ctx, func(tx *db.Tx) (err error) {
			some, err = toRoll(tx, after)
			return err
		})
		if err != nil || len(some) == 0 {
			return fault.While("sum up the postings by day", err)
		}
		if err := l.db.Update(ctx, func(tx *db.Tx) error { return writeRolled(tx, some) }); err != nil {
			return fault.While("write the sums by day", err)
		}
		if last := some[len(some)-1]; last.upTo == last.last {
			after = last.ID // else it has more, and comes again
		}
	}
}

// toRoll sums up some wallets behind one, as far as the limits of a step go.
func toRoll(tx *db.Tx, after ID) (some []rolled, err error) {
	wallets, err := uncoveredAfter(tx, after, rollWallets)
	if err != nil {
		return nil, err
	}
	for n := int64(0); len(wallets) > 0 && n < rollPostings; wallets = wallets[1:] {
		w := wallets[0]
		r := rolled{w, min(w.last, w.no+rollPostings-n), daySums{}}
		if err := r.sums.addPostings(tx, w.ID, r.uncovered.no, r.upTo); err != nil {
			return nil, err
		}
		n += r.upTo - w.no
		some = append(some, r)
	}
	return some, nil
}

// uncoveredAfter are the wallets behind one of which the sums do not cover everything.
func uncoveredAfter(tx *db.Tx, after ID, limit int) ([]uncovered, error) {
	return db.All(tx, func(r db.Scanner) (u uncovered, err error) {
		err = r.Scan(&u.Organization, &u.Workspace, &u.no, &u.last)
		return u, err
	}, `SELECT organization, workspace, covered, last FROM (SELECT w.organization, w.workspace, w.next_posting - 1 AS last,
			COALESCE((SELECT d.no FROM day_covers d WHERE d.organization = w.organization AND d.workspace = w.workspace), 0) AS covered
			FROM wallets w WHERE (w.organization, w.workspace) > ($1, $2)) AS behind
		WHERE last > covered ORDER BY organization, workspace LIMIT $3`, after.Organization, after.Workspace, int64(limit))
}

// classOf is an account in which a lot is known by its kind.
func classOf(side string) string {
	return `CASE WHEN p.` + side + ` LIKE 'credits/%' THEN 'credits/' || COALESCE(l.kind, '') ELSE p.` + side + ` END`
}

// daySumsOf sums up postings of a wallet behind one number, up to another.
var daySumsOf = `SELECT p.at - p.at % 86400000000000, p.kind, ` + classOf("debit") + `, ` + classOf("credit") + `, COALESCE(c.sku, ''), ` + summed("p.amount") + `
	FROM postings p LEFT JOIN charges c ON c.organization = p.organization AND c.workspace = p.workspace AND c.no = p.charge + p.corrects
	LEFT JOIN lots l ON l.organization = p.organization AND l.workspace = p.workspace
		AND l.id = SUBSTR(CASE WHEN p.debit LIKE 'credits/%' THEN p.debit ELSE p.credit END, 9)
	WHERE p.organization = $1 AND p.workspace = $2 AND p.no > $3 AND p.no <= $4 GROUP BY 1, 2, 3, 4, 5`

// writeRolled adds to the sums, but for the wallets that another server has rolled
// meanwhile.
func writeRolled(tx *db.Tx, some []rolled) error {
	if err := tx.Exclude("days"); err != nil { // of several servers, one after the other
		return err
	}
	var sums, covers, house []any
	all := daySums{}
	for _, r := range some {
		no, _, err := one(tx, db.Value[int64], `SELECT no FROM day_covers`+inWallet, r.Organization, r.Workspace)
		if err != nil {
			return err
		}
		if no != r.no {
			continue
		}
		for _, k := range sortedKeys(r.sums) {
			sums = append(sums, r.Organization, r.Workspace, k.Day, string(k.Kind), k.Debit, k.Credit, k.SKU, r.sums[k].whole, r.sums[k].nano)
			all.add(k, r.sums[k])
		}
		covers = append(covers, r.Organization, r.Workspace, r.upTo)
	}
	for _, k := range sortedKeys(all) {
		house = append(house, k.Day, string(k.Kind), k.Debit, k.Credit, k.SKU, all[k].whole, all[k].nano)
	}
	for _, write := range []func() error{
		func() error { return daySumRows.Write(tx, sums) },
		func() error { return houseDayRows.Write(tx, house) },
		func() error { return dayCoverRows.Write(tx, covers) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}
