package account

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// rule says how attempts are slowed: so many are free, then each waits twice as
// long as the one before, up to a limit.
type rule struct {
	free    int64
	longest int64 // nanoseconds
}

// The rules; docs/decisions/023 says why. What was tried is forgotten after a day
// without an attempt.
var (
	perPair    = rule{5, 15 * db.Minute}   // one account from one address
	perAccount = rule{20, db.Minute}       // one account from all addresses it was never used from
	perAddress = rule{20, 15 * db.Minute}  // one address, all accounts
	perMail    = rule{5, 15 * db.Minute}   // mails to one address that somebody asked for
	perAsker   = rule{20, db.Minute}       // what one address asks for without failing at it
	perGuesser = rule{5, 15 * db.Minute}   // what one person guesses
	perHouse   = rule{20, 15 * db.Minute}  // what all of one organization guess
	perInviter = rule{500, 15 * db.Minute} // invitations that one organization sends
	forgetting = db.Day
)

// delay is for how long nothing is tried after so many failures.
func (r rule) delay(failures int64) int64 {
	over := failures - r.free
	if over < 0 {
		return 0
	}
	return min(db.Second<<min(over, 20), r.longest)
}

// counter is one thing that attempts are counted by.
type counter struct {
	subject string
	rule    rule
}

// attempt counts what is tried, as failed until it has succeeded: what is tried at
// the same time counts too. In a view it counts nothing, and only refuses. It refuses while one of the counters is to wait; a
// refused attempt is not counted, so who hammers waits no longer for it.
func attempt(tx *db.Tx, counters ...counter) error {
	times := map[string]int64{} // a counter that stands there several times counts as often
	for _, c := range counters {
		times[c.subject]++
	}
	slices.SortFunc(counters, func(a, b counter) int { return cmp.Compare(a.subject, b.subject) }) // rows are locked in one order
	counters = slices.Compact(counters)
	counts, wait := make([]int64, len(counters)), int64(0)
	for i, c := range counters {
		var failures, triedAt, retryAt int64
		err := tx.QueryRow(`SELECT failures, tried_at, retry_at FROM attempts WHERE subject = $1`+tx.ForUpdate(), c.subject).
			Scan(&failures, &triedAt, &retryAt)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("count attempts: %w", err)
		}
		if triedAt < tx.Now()-forgetting {
			failures = 0
		}
		counts[i], wait = failures+times[c.subject], max(wait, retryAt-tx.Now())
	}
	if wait > 0 {
		return tooOften(wait)
	}
	if !tx.IsUpdate() {
		return nil
	}
	for i, c := range counters {
		_, err := tx.Exec(`INSERT INTO attempts (subject, failures, tried_at, retry_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (subject) DO UPDATE SET failures = $2, tried_at = $3, retry_at = $4`,
			c.subject, counts[i], tx.Now(), tx.Now()+c.rule.delay(counts[i]))
		if err != nil {
			return fmt.Errorf("count an attempt: %w", err)
		}
	}
	return forget(tx)
}

// forget deletes what was not tried for long, a little each time.
func forget(tx *db.Tx) error {
	_, err := tx.Exec(`DELETE FROM attempts WHERE subject IN (SELECT subject FROM attempts WHERE tried_at < $1 ORDER BY tried_at LIMIT 10)`,
		tx.Now()-forgetting)
	if err != nil {
		return fmt.Errorf("forget attempts: %w", err)
	}
	return nil
}

func tooOften(wait int64) error {
	seconds := (wait + db.Second - 1) / db.Second
	return fault.New(fault.Limited, "tried too often: try again in %d seconds", seconds).
		WithCode("too_many_attempts").With(db.RetryAfter, seconds)
}

// succeeded takes back that an attempt was counted as failed. What others failed at
// stays.
func succeeded(tx *db.Tx, counters ...counter) error {
	for _, c := range counters {
		if _, err := tx.Exec(`UPDATE attempts SET failures = failures - 1, retry_at = $2 WHERE subject = $1 AND failures > 0`, c.subject, tx.Now()); err != nil {
			return fmt.Errorf("take back an attempt: %w", err)
		}
	}
	return nil
}

// acquit forgets what was tried.
func acquit(tx *db.Tx, c counter) error {
	if _, err := tx.Exec(`DELETE FROM attempts WHERE subject = $1`, c.subject); err != nil {
		return fmt.Errorf("forget attempts: %w", err)
	}
	return nil
}

func pairOf(email, address string) counter {
	return counter{"pair " + digest(email+" "+address), perPair}
}

func accountOf(email string) counter { return counter{"account " + digest(email), perAccount} }

func askerOf(kind, who string) counter { return counter{kind + " " + who, perAsker} }

// Limit slows what anybody may ask for: of a kind, by somebody.
func (a *Accounts) Limit(tx *db.Tx, kind, who string) error { return attempt(tx, askerOf(kind, who)) }

// Unlimit takes back what [Accounts.Limit] has counted, of somebody who did what it was for:
// a hundred people behind one address, each of whom comes once, are no attack.
func (a *Accounts) Unlimit(tx *db.Tx, kind, who string) error {
	return succeeded(tx, askerOf(kind, who))
}

// LimitMail slows what sends mails of a kind to an address, whether or not it has an
// account. Each kind is counted by itself: who had a verification sent too often can still
// have a password reset.
func (a *Accounts) LimitMail(tx *db.Tx, kind, email, address string) error {
	return attempt(tx, counter{"mail " + kind + " " + digest(email), perMail}, askerOf("mail "+kind, address))
}

// LimitInvitations slows the invitations that an organization sends, and those that one
// address is sent by whichever organizations.
func (a *Accounts) LimitInvitations(tx *db.Tx, organization string, emails []string) error {
	var counters []counter
	for _, email := range emails {
		counters = append(counters, counter{"inviter " + organization, perInviter},
			counter{"invited " + digest(strings.ToLower(strings.TrimSpace(email))), perMail})
	}
	return attempt(tx, counters...)
}

// Guess is that somebody tries a secret that is not his own: a code to be redeemed.
type Guess struct{ Kind, User, Organization, Address string }

func (g Guess) counters() []counter {
	return []counter{
		{g.Kind + " user " + g.User, perGuesser}, {g.Kind + " organization " + g.Organization, perHouse}, {g.Kind + " address " + g.Address, perAddress},
	}
}

// Guess counts a guess, as wrong until it was right.
func (a *Accounts) Guess(tx *db.Tx, g Guess) error { return attempt(tx, g.counters()...) }

// Guessed takes back that a guess was counted: it was right, or none.
func (a *Accounts) Guessed(tx *db.Tx, g Guess) error { return succeeded(tx, g.counters()...) }
