package ledger

import (
	"errors"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// The rows of the state are compared when they are final: those of lots, budgets,
// marks, and of what still runs, at the end of the journal; those of flows and
// holds that end, when they do, because the engine forgets them. A row that
// differs then may be changed once more by a later entry (a capture of a hold
// that has expired), so it is only suspected until the end.

// changes notes which rows an entry changed, and compares those that have ended.
func (r *replay) changes(e *Entry, c wallet.Changes) error {
	for _, l := range c.Lots {
		r.versions.change("lots "+l.ID, e.No)
	}
	for _, g := range c.Budgets {
		r.versions.change("budgets "+g.ID, e.No)
	}
	for _, f := range c.Flows {
		r.versions.change("flows "+f.ID, e.No)
		if f.Status.Ended() {
			if err := r.ended(flowRows, f.ID)(r.book.addFlow(nil, f)); err != nil {
				return err
			}
		}
	}
	for _, h := range c.Holds {
		r.versions.change("holds "+h.ID, e.No)
		if h.Status != wallet.Held {
			if err := r.ended(holdRows, h.ID)(r.book.addHold(nil, h)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ended compares the row of something that has ended.
func (r *replay) ended(t *db.Table, id string) func(replayed []any, err error) error {
	return func(replayed []any, err error) error {
		if err != nil {
			return err
		}
		d, version, err := r.content(t, id, replayed)
		if err != nil {
			return err
		}
		r.suspect(t.Name+" "+id, d)
		if d == nil {
			r.endedBy(t, id, version)
		}
		return nil
	}
}

// suspect notes what differs in a row as yet, or that nothing does.
func (r *replay) suspect(name string, d *Difference) {
	if delete(r.suspects, name); d != nil {
		r.suspects[name] = *d
	}
}

// row compares the stored row of an id with the replayed one, at the end of the
// journal.
func (r *replay) row(t *db.Table, id any, replayed []any) (*Difference, error) {
	d, version, err := r.content(t, id, replayed)
	if err != nil || d != nil || t == markRows {
		return d, err
	}
	return r.versioned(t, id.(string), version), nil
}

// content compares the stored row of an id with the replayed one, but for the
// version that wrote it, which it returns.
func (r *replay) content(t *db.Table, id any, replayed []any) (d *Difference, version any, err error) {
	key := strings.Trim(show(id), `"`)
	stored, found, err := one(r.tx, rawRow(t), rowsOf(t)+` AND `+t.Columns[2]+` = $3`, r.id.Organization, r.id.Workspace, id)
	if err != nil {
		return nil, nil, fault.While("read a row of "+t.Name, err)
	}
	if !found {
		return &Difference{t.Name, r.id.String(), key, "", "no row", "one"}, nil, nil
	}
	if at := slices.Index(t.Columns, "version"); at >= 0 {
		version = stored[at]
	}
	return r.columns(t, key, stored, replayed), version, nil
}

// lastEntry is the number of the last entry of the stored journal.
func (r *replay) lastEntry() int64 { return r.next - 1 }

// audit compares the wallet as it is at the end of its journal.
func (r *replay) audit() error {
	s := r.book.wallet.State()
	r.made["wallets"]++
	r.made["lots"], r.made["budgets"], r.made["marks"] = int64(len(s.Lots)), int64(len(s.Budgets)), int64(len(s.Marks))
	for _, check := range []func(wallet.State) error{
		r.auditRoot, r.auditLots, r.auditRunning, r.auditRest, r.auditSuspects, r.auditRefunds, r.auditCounts, r.auditAccounts,
		r.auditLeases, r.auditReported,
	} {
		if err := check(s); err != nil {
			return err
		}
	}
	return r.compareTotals()
}

func (r *replay) auditRoot(s wallet.State) error {
	b := r.book
	b.wakeAt = b.wallet.WakeAt()
	replayed, err := b.addRoot(nil, s.Root)
	if err != nil {
		return err
	}
	stored, found, err := one(r.tx, rawRow(walletRows), rowsOf(walletRows), r.id.Organization, r.id.Workspace)
	if err != nil {
		return fault.While("read a row of wallets", err)
	}
	if !found {
		return r.mismatch("wallets", "", "", "no row", "one")
	}
	version := slices.Index(walletRows.Columns, "version")
	if stored[version] != replayed[version] {
		if err := r.mismatch("wallets", "", "version", show(stored[version]), show(replayed[version])); err != nil {
			return err
		}
	}
	return r.pass(r.columns(walletRows, "", stored, replayed))
}

// pass passes a difference on, if there is one.
func (r *replay) pass(d *Difference) error {
	if d == nil {
		return nil
	}
	return r.differ(*d)
}

// each compares rows one by one.
func each[T any](r *replay, t *db.Table, rows []T, id func(T) any, columns func([]any, T) ([]any, error)) error {
	for _, row := range rows {
		replayed, err := columns(nil, row)
		if err != nil {
			return err
		}
		d, err := r.row(t, id(row), replayed)
		if err := errors.Join(err, r.pass(d)); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) auditLots(s wallet.State) error {
	return each(r, lotRows, s.Lots, func(l *wallet.Lot) any { return l.ID }, r.book.addLot)
}

func (r *replay) auditRunning(s wallet.State) error {
	return each(r, flowRows, s.Flows, func(f *wallet.Flow) any { return f.ID }, r.book.addFlow)
}

func (r *replay) auditRest(s wallet.State) error {
	return errors.Join(
		each(r, holdRows, s.Holds, func(h *wallet.Hold) any { return h.ID }, r.book.addHold),
		each(r, budgetRows, s.Budgets, func(g *wallet.Budget) any { return g.ID }, r.book.addBudget),
		each(r, markRows, s.Marks, func(m wallet.Mark) any { return m.No }, r.book.addMark),
	)
}

// auditSuspects reports the rows that differed when their flow or hold ended, and
// were not changed again.
func (r *replay) auditSuspects(wallet.State) error {
	var names []string
	for name := range r.suspects {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := r.differ(r.suspects[name]); err != nil {
			return err
		}
	}
	return nil
}

// auditRefunds compares what charges say was given back of them.
func (r *replay) auditRefunds(wallet.State) error {
	type refund struct {
		no     int64
		amount credit.Amount
	}
	stored, err := db.All(r.tx, func(s db.Scanner) (f refund, err error) {
		err = s.Scan(&f.no, &f.amount)
		return f, err
	}, `SELECT no, refunded FROM charges`+inWallet+` AND refunded <> 0 ORDER BY no`, r.id.Organization, r.id.Workspace)
	if err != nil {
		return fault.While("read the refunds", err)
	}
	for _, f := range stored {
		if f.amount != r.refunded[f.no] {
			if err := r.mismatch("charges", number(f.no), "refunded", f.amount.String(), r.refunded[f.no].String()); err != nil {
				return err
			}
		}
		delete(r.refunded, f.no)
	}
	for no, amount := range r.refunded {
		if amount != 0 {
			if err := r.mismatch("charges", number(no), "refunded", "0", amount.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

// auditCounts finds rows of the state that the replay does not know: all that it
// knows were found, so their number tells.
func (r *replay) auditCounts(s wallet.State) error {
	for _, t := range []*db.Table{lotRows, flowRows, holdRows, budgetRows, markRows} {
		var n int64
		err := r.tx.QueryRow(`SELECT COUNT(*) FROM `+t.Name+inWallet, r.id.Organization, r.id.Workspace).Scan(&n)
		if err != nil {
			return fault.While("count "+t.Name, err)
		}
		if n == r.made[t.Name] {
			continue
		}
		if err := r.nameStranger(t, s); err != nil {
			return err
		}
	}
	return nil
}

// nameStranger names the rows of a table that the replay does not know.
func (r *replay) nameStranger(t *db.Table, s wallet.State) error {
	again := newReplay(r.verification, r.id)
	again.isSilent, again.ids = true, map[string]bool{}
	if err := again.run(); err != nil {
		return err
	}
	for _, l := range s.Lots {
		again.ids["lots "+l.ID] = true
	}
	for _, g := range s.Budgets {
		again.ids["budgets "+g.ID] = true
	}
	for _, m := range s.Marks {
		again.ids["marks "+number(m.No)] = true
	}
	rows, err := db.All(r.tx, db.Value[string],
		`SELECT CAST(`+t.Columns[2]+` AS TEXT) FROM `+t.Name+inWallet, r.id.Organization, r.id.Workspace)
	if err != nil {
		return fault.While("read the ids of "+t.Name, err)
	}
	for _, id := range rows {
		if !again.ids[t.Name+" "+id] {
			if err := r.mismatch(t.Name, id, "", "a row", "none"); err != nil {
				return err
			}
		}
	}
	return nil
}

// auditAccounts sums the postings: a lot's account must hold what the lot says,
// and the receivables what was lent. The house's accounts are summed up.
func (r *replay) auditAccounts(s wallet.State) error {
	for _, l := range s.Lots {
		name, want := credits+l.ID, l.Remaining
		switch l.ID {
		case wallet.OverdraftLot:
			name, want = overdraft, l.Remaining-l.Amount
		case wallet.OwedLot:
			name, want = owed, l.Remaining-credit.Max
		}
		if sum := r.accounts[name]; sum != want {
			if err := r.mismatch("lots", l.ID, "remaining", want.String(), sum.String()+" by the sum of "+name); err != nil {
				return err
			}
		}
	}
	for name, sum := range r.accounts {
		if !strings.HasPrefix(name, "house/") {
			name = strings.SplitAfter(name, "/")[0] + "*"
		}
		r.report.Accounts[name] += sum
	}
	return nil
}

// auditLeases sees that every flow that runs on a lease has one that will lapse.
func (r *replay) auditLeases(s wallet.State) error {
	type lease struct {
		holder              string
		until, grace, lapse int64
	}
	stored, err := db.All(r.tx, func(s db.Scanner) (l lease, err error) {
		err = s.Scan(&l.holder, &l.until, &l.grace, &l.lapse)
		return l, err
	}, `SELECT holder, until_at, grace, lapse_at FROM leases`+inWallet, r.id.Organization, r.id.Workspace)
	if err != nil {
		return fault.While("read the leases", err)
	}
	holders := map[string]bool{}
	for _, l := range stored {
		holders[l.holder] = true
		if l.lapse != l.until+l.grace {
			if err := r.mismatch("leases", l.holder, "lapse_at", number(l.lapse), number(l.until+l.grace)); err != nil {
				return err
			}
		}
	}
	for _, f := range s.Flows {
		if f.Lease > 0 && !holders[holderOf(f)] {
			if err := r.mismatch("leases", holderOf(f), "", "no row", "one: flow "+f.ID+" runs on it"); err != nil {
				return err
			}
		}
	}
	return nil
}
