package plan

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// remindDays are how many days before the day on which credits expire people are told of
// it, at the first instant of the day, UTC.
var remindDays = []int64{30, 7, 1}

const (
	maxNamed  = 50       // lots that a mail names
	keepNotes = 40 * day // how long it is known that a day's mail was written
)

// expiring are some organizations that have lots which expire on one of three days, and
// were not looked through today.
const expiring = `SELECT DISTINCT l.organization FROM lots l
	LEFT JOIN expiry_reminders r ON r.organization = l.organization AND r.day = $1
	WHERE l.expired = 0 AND l.expires_at > 0 AND l.remaining > 0 AND r.organization IS NULL
	AND (l.expires_at >= $2 AND l.expires_at < $3 OR l.expires_at >= $4 AND l.expires_at < $5 OR l.expires_at >= $6 AND l.expires_at < $7)
	AND l.organization > $8 ORDER BY l.organization LIMIT $9`

// remind tells people of credits that expire in 30 days, in 7 and tomorrow. A day on which
// nobody was there is not made up for.
func (b *Book) remind(ctx context.Context) error {
	return b.forEach(ctx, expiring, func(tx *db.Tx) []any {
		today := tx.Now() - tx.Now()%day
		args := []any{today}
		for _, n := range remindDays {
			args = append(args, today+n*day, today+(n+1)*day)
		}
		return args
	}, b.remindOf)
}

// remindOf looks an organization through, once a day.
func (b *Book) remindOf(tx *db.Tx, organization string) error {
	today := tx.Now() - tx.Now()%day
	made, err := tx.Exec(`INSERT INTO expiry_reminders (organization, day) VALUES ($1, $2) ON CONFLICT (organization, day) DO NOTHING`, organization, today)
	if err != nil {
		return fmt.Errorf("note a reminder of %s: %w", organization, err)
	}
	if made == 0 {
		return nil
	}
	if _, err := tx.Exec(`DELETE FROM expiry_reminders WHERE organization = $1 AND day < $2`, organization, today-keepNotes); err != nil {
		return fmt.Errorf("forget reminders of %s: %w", organization, err)
	}
	lines, err := b.expiringLots(tx, organization, today)
	if err != nil || len(lines) == 0 {
		return err
	}
	return b.tell(tx, organization, "credits expire soon", "These credits expire if they are not used before:\n\n"+joinLines(lines))
}

func (b *Book) expiringLots(tx *db.Tx, organization string, today int64) (lines []string, err error) {
	workspaces, err := db.All(tx, func(r db.Scanner) (w string, err error) {
		err = r.Scan(&w)
		return w, err
	}, `SELECT DISTINCT workspace FROM lots WHERE organization = $1 AND expired = 0 AND expires_at >= $2 AND expires_at < $3 ORDER BY workspace LIMIT $4`,
		organization, today, today+(slices.Max(remindDays)+1)*day, maxWorkspaces)
	if err != nil {
		return nil, fmt.Errorf("look for credits of %s that expire: %w", organization, err)
	}
	for _, w := range workspaces {
		present, err := b.Books.Apply(tx, ledger.ID{Organization: organization, Workspace: w})
		if err != nil {
			return nil, err
		}
		place, err := b.Orgs.Workspace(tx, w)
		if err != nil {
			return nil, err
		}
		view := present.Wallet.View()
		held := view.HeldByLot(present.At)
		for _, l := range view.Lots(present.At) {
			left := l.Left + held[l.ID]
			in := (l.ExpiresAt - l.ExpiresAt%day - today) / day
			if !l.Expired && left > 0 && slices.Contains(remindDays, in) && len(lines) < maxNamed {
				lines = append(lines, expiryLine(place.Address, &l, left, in))
			}
		}
	}
	return lines, nil
}

func expiryLine(workspace string, l *wallet.Lot, left credit.Amount, in int64) string {
	when := fmt.Sprintf("in %d days", in)
	if in == 1 {
		when = "within two days"
	}
	return fmt.Sprintf("%s of %s credits (%s, lot %s of %s) expire %s, on %s", left, l.Amount, l.Kind, l.ID, workspace, when,
		time.Unix(0, l.ExpiresAt).UTC().Format("2006-01-02 15:04:05 UTC"))
}

// nextReminder is the next day on which somebody is reminded of a lot that there is now.
func (b *Book) nextReminder(tx *db.Tx) (next int64, err error) {
	today := tx.Now() - tx.Now()%day
	for _, n := range remindDays {
		var first int64
		err := tx.QueryRow(`SELECT COALESCE(MIN(expires_at), 0) FROM lots WHERE expired = 0 AND expires_at > 0 AND expires_at >= $1 AND remaining > 0`,
			today+(n+1)*day).Scan(&first)
		if err != nil {
			return 0, fmt.Errorf("look for the next reminder: %w", err)
		}
		if at := first - first%day - n*day; first > 0 && (next == 0 || at < next) {
			next = at
		}
	}
	return next, nil
}
