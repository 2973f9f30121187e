package plan

import (
	"context"
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/wallet"
)

// remindDays are how many days before the day on which credits expire people are told of
// it, at the first instant of the day, UTC.
var remindDays = []int64{30, 7, 1}

const (
	maxNamed  = 50          // lots that a mail names
	keepNotes = 40 * db.Day // how long it is known that a lot was told of: longer than 31 days
)

// expiring are some organizations that have lots of which it is still to be told that
// they expire. A lot that came after the instant of a reminder has none.
const expiring = `SELECT DISTINCT organization FROM (
		SELECT l.organization, l.workspace, l.id, l.created_at, l.expires_at - l.expires_at % $1 AS on_day,
			CASE WHEN l.expires_at < $2 THEN 1 WHEN l.expires_at < $3 THEN 7 ELSE 30 END AS days
		FROM lots l WHERE l.expired = 0 AND l.expires_at > 0 AND l.expires_at > $4 AND l.expires_at < $5 AND l.remaining > 0) soon
	WHERE created_at < on_day - days * $1 AND organization > $6
	AND NOT EXISTS (SELECT 1 FROM lot_reminders r WHERE r.organization = soon.organization AND r.workspace = soon.workspace
		AND r.lot = soon.id AND r.days <= soon.days)
	ORDER BY organization LIMIT $7`

// remind tells people and programs of credits that expire in 30 days, in 7 and tomorrow,
// once a day; where nobody was there at the instant, the latest reminder that was missed
// is made up for.
func (b *Book) remind(ctx context.Context) error {
	now := b.DB.Clock().Now()
	today := now - now%db.Day
	if b.reminded.Load() == today {
		return nil
	}
	hasFailed := false
	err := b.forEach(ctx, expiring, func(tx *db.Tx) []any {
		today := tx.Now() - tx.Now()%db.Day
		return []any{db.Day, today + 2*db.Day, today + 8*db.Day, tx.Now(), today + 31*db.Day}
	}, func(tx *db.Tx, organization string) error {
		err := b.remindOf(tx, organization)
		hasFailed = hasFailed || err != nil
		return err
	})
	if err == nil && !hasFailed {
		b.reminded.Store(today)
	}
	return err
}

// remindOf tells of the lots of an organization whose reminders are due.
func (b *Book) remindOf(tx *db.Tx, organization string) error {
	today := tx.Now() - tx.Now()%db.Day
	if _, err := tx.Exec(`DELETE FROM lot_reminders WHERE organization = $1 AND told_at < $2`, organization, today-keepNotes); err != nil {
		return fmt.Errorf("forget reminders of %s: %w", organization, err)
	}
	lines, err := b.expiringLots(tx, organization, today)
	if err != nil || len(lines) == 0 {
		return err
	}
	return b.tell(tx, organization, "credits expire soon", "These credits expire if they are not used before:\n\n"+joinLines(lines))
}

func (b *Book) expiringLots(tx *db.Tx, organization string, today int64) (lines []string, err error) {
	workspaces, err := db.All(tx, db.Value[string], `SELECT DISTINCT workspace FROM lots WHERE organization = $1 AND expired = 0 AND expires_at >= $2 AND expires_at < $3 ORDER BY workspace LIMIT $4`,
		organization, today, today+(slices.Max(remindDays)+1)*db.Day, maxWorkspaces)
	if err != nil {
		return nil, fmt.Errorf("look for credits of %s that expire: %w", organization, err)
	}
	for _, w := range workspaces {
		id := ledger.ID{Organization: organization, Workspace: w}
		present, err := b.Books.Apply(tx, id)
		if err != nil {
			return nil, err
		}
		place, err := b.Orgs.Workspace(tx, w)
		if err != nil {
			return nil, err
		}
		told, err := b.toldOf(tx, id)
		if err != nil {
			return nil, err
		}
		view := present.Wallet.View()
		held := view.HeldByLot(present.At)
		for _, l := range view.Lots(present.At) {
			left := l.Left + held[l.ID]
			in := (l.ExpiresAt - l.ExpiresAt%db.Day - today) / db.Day
			days := reminder(&l, today)
			if least, isTold := told[l.ID]; l.Expired || days == 0 || isTold && least <= days {
				continue
			}
			if err := b.note(tx, id, &l, left, days); err != nil {
				return nil, err
			}
			if left > 0 && len(lines) < maxNamed {
				lines = append(lines, expiryLine(place.Address, &l, left, in))
			}
		}
	}
	return lines, nil
}

// reminder is how many days before it expires a lot was to be told of last, as of a day;
// 0 for never yet.
func reminder(l *wallet.Lot, today int64) (days int64) {
	on := l.ExpiresAt - l.ExpiresAt%db.Day
	for _, n := range remindDays {
		if at := on - n*db.Day; l.ExpiresAt > 0 && at <= today && l.CreatedAt < at {
			days = n
		}
	}
	return days
}

// toldOf is of which lots of a wallet it was told, and the fewest days before.
func (b *Book) toldOf(tx *db.Tx, id ledger.ID) (map[string]int64, error) {
	told := map[string]int64{}
	err := tx.Each(func(r db.Scanner) error {
		var lot string
		var days int64
		err := r.Scan(&lot, &days)
		told[lot] = days
		return err
	}, `SELECT lot, MIN(days) FROM lot_reminders WHERE organization = $1 AND workspace = $2 GROUP BY lot`, id.Organization, id.Workspace)
	if err != nil {
		return nil, fmt.Errorf("read the reminders of %s: %w", id.Organization, err)
	}
	return told, nil
}

// note keeps in mind that it is told of a lot, and tells programs if something is left.
func (b *Book) note(tx *db.Tx, id ledger.ID, l *wallet.Lot, left credit.Amount, days int64) error {
	_, err := tx.Exec(`INSERT INTO lot_reminders (organization, workspace, lot, days, told_at) VALUES ($1, $2, $3, $4, $5)`,
		id.Organization, id.Workspace, l.ID, days, tx.Now())
	if err != nil {
		return fmt.Errorf("note a reminder of %s: %w", id.Organization, err)
	}
	if left <= 0 || b.Raise == nil {
		return nil
	}
	return b.Raise(tx, id.Organization, id.Workspace, "lot.expiring", map[string]string{
		"lot": l.ID, "amount": left.String(), "expires_at": instant(l.ExpiresAt),
	})
}

func expiryLine(workspace string, l *wallet.Lot, left credit.Amount, in int64) string {
	when := fmt.Sprintf("in %d days", in)
	switch in {
	case 0:
		when = "today"
	case 1:
		when = "within two days"
	}
	return fmt.Sprintf("%s of %s credits (%s, lot %s of %s) expire %s, on %s", left, l.Amount, l.Kind, l.ID, workspace, when,
		mail.Instant(l.ExpiresAt))
}

// firstToExpire are queries of the first lot that expires on the day of which it is told so
// many days before, or later, for each of [remindDays]; the days are $2 and so on.
var firstToExpire = func() (queries []string) {
	for i := range remindDays {
		queries = append(queries, fmt.Sprintf(`SELECT MIN(expires_at) FROM lots WHERE expired = 0 AND expires_at > 0 AND expires_at >= $%d AND remaining > 0`, i+2))
	}
	return queries
}()

// nextReminder is the next day on which somebody is reminded of a lot that there is now.
func nextReminder(firstToExpire []int64) (next int64) {
	for i, n := range remindDays {
		first := firstToExpire[i]
		if at := first - first%db.Day - n*db.Day; first > 0 && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}
