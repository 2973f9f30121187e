package ledger

import (
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Notice is an event of a wallet of which people are to be told.
type Notice struct {
	ID
	Event wallet.Event
}

// noticed are the kinds of events that are noticed.
var noticed = map[string]bool{
	wallet.EventAlert: true, wallet.EventEmpty: true, wallet.EventBudget: true, wallet.EventLanding: true,
	wallet.EventGranted: true, wallet.EventLotExpired: true, wallet.EventFrozen: true, wallet.EventWithdrawn: true,
	wallet.EventRecovered: true, wallet.EventSent: true, wallet.EventReceived: true,
}

// isNotice reports whether an event is noticed; of the ends of flows, those that nobody
// asked for.
func isNotice(e *wallet.Event) bool {
	if e.Kind == wallet.EventEnded {
		status := wallet.Status(e.Data["status"])
		return status == wallet.Exhausted || status == wallet.Lost
	}
	return noticed[e.Kind]
}

var noticeRows = db.NewTable("notices", `organization workspace no`)

// writeNotices notes with the events of which of them people are to be told, so that none
// is forgotten, whatever happens after the commit.
func (s *set) writeNotices(tx *db.Tx) error {
	args := s.lists.take()
	for _, b := range s.touched {
		for i := range b.events {
			if isNotice(&b.events[i]) {
				args = append(args, b.organization, b.workspace, b.events[i].No)
			}
		}
	}
	s.news.isNotice = len(args) > 0
	return noticeRows.Write(tx, s.lists.keep(args))
}

// notice rings for [Ledger.Noticed].
func (l *Ledger) notice() {
	select {
	case l.noticed <- struct{}{}:
	default:
	}
}

// Noticed says that there are notices, of this server's commits.
func (l *Ledger) Noticed() <-chan struct{} { return l.noticed }

// NoticesDue asks for one if there are notices that are due at an instant, $1.
const NoticesDue = `SELECT 1 FROM notices WHERE due_at BETWEEN 0 AND $1 LIMIT 1`

// HasNotices reports whether there are notices that are due, of any server's commits.
func (l *Ledger) HasNotices(tx *db.Tx) (bool, error) {
	_, found, err := one(tx, db.Value[int64], NoticesDue, tx.Now())
	return found, fault.While("look for notices", err)
}

// DueNotices are notices that are due, without their events: of a wallet the oldest
// first, and those that were put off behind the others.
func (l *Ledger) DueNotices(tx *db.Tx, most int) ([]Notice, error) {
	due, err := db.All(tx, func(r db.Scanner) (n Notice, err error) {
		err = r.Scan(&n.Organization, &n.Workspace, &n.Event.No)
		return n, err
	}, `SELECT organization, workspace, no FROM notices WHERE due_at BETWEEN 0 AND $1 ORDER BY due_at, organization, workspace, no LIMIT $2`, tx.Now(), most)
	return due, fault.While("look for notices", err)
}

// TakeNotices takes notices that are due away, in the order of [Ledger.DueNotices]: whoever
// does has told of them when the unit of work is committed. Of servers that take at once,
// each gets others.
func (l *Ledger) TakeNotices(tx *db.Tx, most int) (taken []Notice, err error) {
	due, err := l.DueNotices(tx, most)
	for i := 0; i < len(due) && err == nil; i++ {
		var isOurs bool
		if isOurs, err = l.TakeNotice(tx, &due[i]); isOurs {
			taken = append(taken, due[i])
		}
	}
	return taken, err
}

// TakeNotice takes one notice away, as [Ledger.TakeNotices] does; false if somebody else
// has.
func (l *Ledger) TakeNotice(tx *db.Tx, n *Notice) (bool, error) {
	_, found, err := one(tx, db.Value[int64], `DELETE FROM notices`+inWallet+` AND no = $3 RETURNING no`, n.Organization, n.Workspace, n.Event.No)
	if err != nil || !found {
		return false, fault.While("take a notice", err)
	}
	return true, l.readNotice(tx, n)
}

func (l *Ledger) readNotice(tx *db.Tx, n *Notice) (err error) {
	n.Event, err = scanEvent(tx.QueryRow(`SELECT no, at, kind, subject, data FROM events`+inWallet+` AND no = $3`,
		n.Organization, n.Workspace, n.Event.No))
	if err != nil {
		return fmt.Errorf("read the event of a notice in %s: %w", n.ID, err)
	}
	return nil
}

// The pauses before a notice is tried again of which nobody could be told: each twice the
// one before.
const (
	firstPutOff = int64(5 * time.Second)
	longPutOff  = int64(time.Hour)
)

// PutOffNotice has a notice wait that could not be told of, so that it holds up no others.
// It is never given up: what is wrong may be mended with the next release.
func (l *Ledger) PutOffNotice(tx *db.Tx, n Notice) error {
	tries, found, err := one(tx, db.Value[int64], `SELECT attempts FROM notices`+inWallet+` AND no = $3`, n.Organization, n.Workspace, n.Event.No)
	if err != nil || !found {
		return fault.While("read a notice", err)
	}
	pause := min(firstPutOff<<min(tries, 20), longPutOff)
	_, err = tx.Exec(`UPDATE notices SET due_at = $4, attempts = $5`+inWallet+` AND no = $3`,
		n.Organization, n.Workspace, n.Event.No, tx.Now()+pause, tries+1)
	return fault.While("put a notice off", err)
}

// IsFirst reports whether no event of the same kind happened to the wallet at the same
// instant before, as when many flows are to land at once.
func (l *Ledger) IsFirst(tx *db.Tx, n Notice) (bool, error) {
	_, found, err := one(tx, db.Value[int64], `SELECT no FROM events`+inWallet+` AND no BETWEEN $3 AND $4 AND at = $5 AND kind = $6 LIMIT 1`,
		n.Organization, n.Workspace, n.Event.No-maxStopped, n.Event.No-1, n.Event.At, n.Event.Kind)
	return !found, fault.While("look for events of the same instant", err)
}

// maxStopped is how many flows are looked through for whose work an event has stopped.
const maxStopped = 200

// StoppedWith are the users whose flows ended for a reason at the instant of an event.
func (l *Ledger) StoppedWith(tx *db.Tx, id ID, e wallet.Event, reason string) ([]string, error) {
	ended, err := db.All(tx, scanEvent, `SELECT no, at, kind, subject, data FROM events`+inWallet+`
		AND no BETWEEN $3 AND $4 AND at = $5 AND kind = $6 ORDER BY no LIMIT $7`,
		id.Organization, id.Workspace, e.No-maxStopped, e.No+maxStopped, e.At, wallet.EventEnded, maxStopped)
	if err != nil {
		return nil, fault.While("look for what was stopped", err)
	}
	var users []string
	for _, end := range ended {
		if end.Data["reason"] != reason {
			continue
		}
		user, _, err := one(tx, db.Value[string], `SELECT user_id FROM flows`+inWallet+` AND id = $3`, id.Organization, id.Workspace, end.Subject)
		if err != nil {
			return nil, fault.While("look for whose work was stopped", err)
		}
		users = append(users, user)
	}
	return users, nil
}

// UsersOfJob are the users of the flows of a job that have not ended.
func (l *Ledger) UsersOfJob(tx *db.Tx, id ID, job string) ([]string, error) {
	users, err := db.All(tx, db.Value[string], `SELECT DISTINCT user_id FROM flows`+inWallet+` AND ended = 0 AND job = $3 LIMIT $4`, id.Organization, id.Workspace, job, maxStopped)
	return users, fault.While("look for the users of a job", err)
}
