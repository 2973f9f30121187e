package ledger

import (
	"hash/maphash"

	"github.com/purserhq/purser/internal/db"
)

// Of several servers, the one that has a due wallet in memory as it stands now acts
// first: at once, and without reading it. The others leave it a little time, each a
// different one, and act if it is still due then: so they take over from a server that
// has died. That two act at once costs a second run of a batch, for versions decide.

// patience is how much later than its instant this server does what another may do;
// up to twice as much, by wallet and server.
const patience = int64(1e9)

// RoleKeeper is the role of the servers that keep.
const RoleKeeper = "keeper"

// wake is a wallet with the instant at which it is due.
type wake struct {
	ID
	version, at int64
}

// patience is how long a wallet of which the row has a version may be due before this
// server acts; of a version below 0, whatever the version.
func (l *Ledger) patience(id ID, version int64) int64 {
	if !l.db.HasOther(RoleKeeper) {
		return 0
	}
	if s, found, _ := l.shown.get(id); found && s.Version == version {
		return 0
	}
	return patience + int64(maphash.Comparable(l.seed, id)%uint64(patience))
}

// dueWallets are the wallets in which this server is to let time pass now, the first
// due first, but for those that have failed already.
func (l *Ledger) dueWallets(tx *db.Tx, now int64, failed map[ID]error) (due []wake, err error) {
	err = eachWake(tx, now, func(w wake) bool {
		if failed[w.ID] == nil && w.at+l.patience(w.ID, w.version) <= now {
			due = append(due, w)
		}
		return len(due) < dueBatch
	})
	return due, err
}

// nextWake is when this server is to let time pass in a wallet next; 0 if never.
func (l *Ledger) nextWake(tx *db.Tx) (next int64, err error) {
	err = eachWake(tx, never, func(w wake) bool {
		next = earlier(next, w.at+l.patience(w.ID, w.version))
		return w.at < next // those behind it are not due before
	})
	return next, err
}

// eachWake visits the wallets that are due by an instant, the first due first, until
// visit is false.
func eachWake(tx *db.Tx, by int64, visit func(wake) bool) error {
	for last := (wake{}); ; {
		page, err := db.All(tx, func(r db.Scanner) (w wake, err error) {
			err = r.Scan(&w.Organization, &w.Workspace, &w.version, &w.at)
			return w, err
		}, `SELECT organization, workspace, version, wake_at FROM wallets
			WHERE wake_at > 0 AND wake_at <= $1 AND wake_at >= $2 AND (wake_at, organization, workspace) > ($2, $3, $4)
			ORDER BY wake_at, organization, workspace LIMIT $5`, by, last.at, last.Organization, last.Workspace, wakePage)
		if err != nil {
			return err
		}
		for _, w := range page {
			if !visit(w) {
				return nil
			}
		}
		if len(page) < wakePage {
			return nil
		}
		last = page[len(page)-1]
	}
}

// wakePage is how many due wallets are looked up at a time.
const wakePage = 64
