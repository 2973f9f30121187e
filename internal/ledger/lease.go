package ledger

import (
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// A lease lets its holder run flows on its own until an instant. It is one row
// for all flows of the holder, and outside the wallet's state: a renewal moves
// no version and writes nothing else. The holder stops by itself at until; by
// lapse, grace later, nothing of it runs any more, and the keeper closes its
// flows at the last proof of life.

// lease is a row of leases that this batch writes.
type lease struct {
	book         *book
	holder       string
	until, grace int64
	proof        int64
}

var leaseRows = db.NewTableOn("leases", `organization workspace holder until_at grace lapse_at proof`,
	` ON CONFLICT (organization, workspace, holder) DO UPDATE SET
		until_at = CASE WHEN excluded.until_at > leases.until_at THEN excluded.until_at ELSE leases.until_at END,
		grace = CASE WHEN excluded.grace > leases.grace THEN excluded.grace ELSE leases.grace END,
		lapse_at = CASE WHEN excluded.until_at > leases.until_at THEN excluded.until_at ELSE leases.until_at END
			+ CASE WHEN excluded.grace > leases.grace THEN excluded.grace ELSE leases.grace END,
		proof = CASE WHEN excluded.proof > leases.proof THEN excluded.proof ELSE leases.proof END`)

// holderOf is who renews a flow's lease: its holder, or whoever does it by the
// flow's own name.
func holderOf(f *wallet.Flow) string {
	if f.Holder == "" {
		return f.ID
	}
	return f.Holder
}

// A lease is by the clock of the database as far as it can be: a server whose own is
// surely off takes heartbeats all the same, for running work would end without them, and
// the keepers of other servers look at what it writes. Else a holder that died would be
// billed to an instant that has not come, or one that lives be closed as lost.

// begin gives the holder of a flow a lease from now on.
func (s *set) begin(b *book, flow string, at int64) {
	at -= s.ledger.db.Ahead()
	f := b.wallet.Flow(flow)
	if f == nil || f.Lease == 0 {
		return // without a lease, or it has ended in the same instant
	}
	grace := f.Grace
	if grace == 0 {
		grace = b.wallet.Root().Policy.Grace
	}
	name := holder{b.ID, holderOf(f)}
	l := s.leases[name]
	s.leases[name] = lease{b, name.name, max(l.until, at+f.Lease), max(l.grace, grace), at}
}

type holder struct {
	ID
	name string
}

func (s *set) writeLeases(tx *db.Tx) error {
	args := s.lists.take()
	for _, l := range s.leases {
		args = append(args, l.book.organization, l.book.workspace, l.holder, l.until, l.grace, l.until+l.grace, l.proof)
	}
	return leaseRows.Write(tx, s.lists.keep(args))
}

// lapses is when the first of the batch's leases may lapse.
func (s *set) lapses() int64 {
	var first int64
	for _, l := range s.leases {
		first = earlier(first, l.until+l.grace)
	}
	return first
}

// Renew is the holder's proof of life. It lets the holder run on for lease
// nanoseconds from now, or longer if it was told so before, and returns until
// when, by the unit's clock. A holder that has no lease, or had one that lapsed, gets NotFound: its
// flows have been closed, and it must report when they truly ended.
func (l *Ledger) Renew(tx *db.Tx, id ID, name string, lease int64) (until int64, err error) {
	s, ahead := l.set(tx), l.db.Ahead()
	now := tx.Now() - ahead
	if held, ok := s.leases[holder{id, name}]; ok { // it began in this batch
		held.until, held.proof = max(held.until, now+lease), now
		s.leases[holder{id, name}] = held
		tx.Touch()
		return held.until + ahead, nil
	}
	err = tx.QueryRow(`UPDATE leases SET proof = $4,
			until_at = CASE WHEN $5 > until_at THEN $5 ELSE until_at END,
			lapse_at = CASE WHEN $5 > until_at THEN $5 ELSE until_at END + grace
		WHERE organization = $1 AND workspace = $2 AND holder = $3 RETURNING until_at`,
		id.Organization, id.Workspace, name, now, now+lease).Scan(&until)
	if isNoRow(err) {
		return 0, fault.New(fault.NotFound, "there is no lease of %s: it has lapsed, and its flows were closed", name).WithCode("lease_lapsed")
	}
	return until + ahead, fault.While("renew a lease", err)
}

// LeaseUntil is until when the holder may run on, by the unit's clock; 0 if it has no lease.
func (l *Ledger) LeaseUntil(tx *db.Tx, id ID, name string) (until int64, err error) {
	held, err := l.leaseOf(tx, id, name)
	if held.until != 0 {
		held.until += l.db.Ahead()
	}
	return held.until, err
}

// Proof is the holder's last proof of life; 0 if it has no lease.
func (l *Ledger) Proof(tx *db.Tx, id ID, name string) (proof int64, err error) {
	held, err := l.leaseOf(tx, id, name)
	return held.proof, err
}

// leaseOf reads a holder's lease as the unit of work has left it.
func (l *Ledger) leaseOf(tx *db.Tx, id ID, name string) (lease, error) {
	held, _, err := one(tx, func(r db.Scanner) (held lease, err error) {
		err = r.Scan(&held.until, &held.proof)
		return held, err
	},
		`SELECT until_at, proof FROM leases`+inWallet+` AND holder = $3`, id.Organization, id.Workspace, name)
	if tx.IsUpdate() { // what the batch has still to write
		begun := l.set(tx).leases[holder{id, name}]
		held.until, held.proof = max(held.until, begun.until), max(held.proof, begun.proof)
	}
	return held, fault.While("read a lease", err)
}

// lapsed is a lease whose end has come.
type lapsed struct {
	ID
	holder string
	at     int64
}

// dueLeases are the leases that have lapsed, in the order in which they did.
func dueLeases(tx *db.Tx, now int64, limit int) ([]lapsed, error) {
	return db.All(tx, func(r db.Scanner) (d lapsed, err error) {
		err = r.Scan(&d.Organization, &d.Workspace, &d.holder, &d.at)
		return d, err
	}, `SELECT organization, workspace, holder, lapse_at FROM leases WHERE lapse_at <= $1
		ORDER BY lapse_at, organization, workspace, holder LIMIT $2`, now, limit)
}

// lapse closes what a holder left running, at its last proof of life, unless it
// has renewed meanwhile.
func (l *Ledger) lapse(tx *db.Tx, d lapsed) error {
	if _, renewed := l.set(tx).leases[holder{d.ID, d.holder}]; renewed {
		return nil
	}
	proof, found, err := one(tx, db.Value[int64],
		`SELECT proof FROM leases`+inWallet+` AND holder = $3 AND lapse_at <= $4`+tx.ForUpdate(), d.Organization, d.Workspace, d.holder, tx.Now())
	if err != nil || !found {
		return fault.While("read a lapsed lease", err)
	}
	flows, err := db.All(tx, db.Value[string],
		`SELECT id FROM flows`+inWallet+` AND ended = 0 AND lease > 0
			AND (holder = $3 OR holder = '' AND id = $3) ORDER BY id`, d.Organization, d.Workspace, d.holder)
	if err != nil {
		return fault.While("read the flows of a lapsed lease", err)
	}
	for _, flow := range flows {
		if err := l.lose(tx, d.ID, flow, proof); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`DELETE FROM leases WHERE organization = $1 AND workspace = $2 AND holder = $3`,
		d.Organization, d.Workspace, d.holder)
	return fault.While("drop a lapsed lease", err)
}

// lose closes a flow at the last proof of life of its holder, or at its start if
// that came later.
func (l *Ledger) lose(tx *db.Tx, id ID, flow string, proof int64) error {
	s := l.set(tx)
	b, err := s.open(tx, id)
	if err != nil {
		return err
	}
	if err := s.settle(tx, b, max(tx.Now(), b.wallet.Root().At)); err != nil {
		return err
	}
	f := b.wallet.Flow(flow)
	if f == nil {
		return nil // it has ended meanwhile
	}
	proof = max(proof, f.StartedAt)
	_, err = l.Apply(tx, id, wallet.Stop{Flow: flow, At: proof, Proof: proof, Status: wallet.Lost, Reason: "lease"})
	return fault.While(fmt.Sprintf("close flow %s, whose lease lapsed", flow), err)
}
