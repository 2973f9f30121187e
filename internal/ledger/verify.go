package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Options say what Verify does.
type Options struct {
	Count bool // go on behind the first difference and count them all
	Only  ID   // this wallet alone, without what concerns all of them: the sum of the accounts, what was declared, the seals

	// Price tells what the rate card that a charge names says about it; sold is
	// false if it says nothing. Prices are not compared if it is nil.
	Price func(tx *db.Tx, c *wallet.Charge) (price credit.Amount, sold bool, err error)
}

// Report is what Verify found: how many rows were replayed and compared, and
// what differs.
type Report struct {
	At       int64 // the instant of the snapshot
	Wallets  int64
	Entries  int64 // of the journal
	Postings int64
	Charges  int64
	Events   int64
	Totals   int64
	Lots     int64
	Flows    int64
	Holds    int64
	Seals    int64
	Took     time.Duration

	Accounts    map[string]credit.Amount // the house's, summed over all wallets
	First       *Difference              // nil: everything is as it must be
	Differences int64                    // 1 at most, unless all were to be counted
}

// IsClean reports whether no difference was found.
func (r Report) IsClean() bool { return r.First == nil }

// Difference is one place where the database does not hold what the replay of
// the journal gives.
type Difference struct {
	Table    string
	Book     string // organization/workspace; "" if it is about no single journal
	Row      string // its number or id; "" if it has none
	Column   string // "" if it is about the whole row
	Stored   string
	Replayed string
}

// String is for the reader.
func (d *Difference) String() string {
	place := d.Table + " " + strings.TrimSpace(d.Book+" "+d.Row)
	if d.Column != "" {
		place += ", " + d.Column
	}
	return fmt.Sprintf("%s: the database holds %s, the replay gives %s", place, d.Stored, d.Replayed)
}

// errStop ends a verification at the first difference.
var errStop = errors.New("a difference was found")

// verification is a run of Verify.
type verification struct {
	Options
	tx        *db.Tx
	sealer    sealer
	report    Report
	rows      map[string]int64 // how many rows of each table the replay accounts for
	sealed    map[ID]int64     // the last entry that a seal covers
	mispriced map[string]bool  // what of the rate cards was found to differ
}

// Verify replays the journal of every wallet from its first command through the
// engine and compares every row of the books and of the state with what comes
// out; it checks the hash chains and the seals, recomputes the arithmetic of
// every charge and compares its price with the rate card it names, sums all
// accounts to zero, sees that leases are there for what runs on them, and compares
// usage events with what was reported and declared rows with what was declared. It
// names the first difference, by organization, workspace and time.
//
// It works on one snapshot, beside a running server, and needs little memory:
// what one wallet's state takes, whatever the length of its history.
func (l *Ledger) Verify(ctx context.Context, o Options) (Report, error) {
	began := time.Now()
	v := &verification{Options: o, rows: map[string]int64{}, sealed: map[ID]int64{}, mispriced: map[string]bool{}}
	v.report.Accounts = map[string]credit.Amount{}
	err := l.db.View(ctx, func(tx *db.Tx) error {
		v.tx, v.report.At = tx, tx.Now()
		if o.Only != (ID{}) {
			return v.book(o.Only)
		}
		return v.run(ctx)
	})
	v.report.count(v.rows)
	v.report.Took = time.Since(began)
	if errors.Is(err, errStop) {
		err = nil
	}
	return v.report, err
}

func (v *verification) run(ctx context.Context) error {
	for after, more := (ID{}), true; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		id, found, err := v.nextBook(after, after == ID{} && more)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		if err := v.book(id); err != nil {
			return err
		}
		after, more = id, false
	}
	for _, check := range []func() error{v.unwritten, v.strangers, v.zeroSum, v.days, v.seals, v.sealMarks} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// nextBook finds the next organization and workspace that has a journal. Those
// without a workspace hold the answers to requests.
func (v *verification) nextBook(after ID, inclusive bool) (ID, bool, error) {
	compare := ">"
	if inclusive {
		compare = ">="
	}
	return one(v.tx, scanID,
		`SELECT organization, workspace FROM journal WHERE (organization, workspace) `+compare+` ($1, $2)
		ORDER BY organization, workspace LIMIT 1`, after.Organization, after.Workspace)
}

// book verifies one journal, and the wallet that it belongs to.
func (v *verification) book(id ID) error {
	r := newReplay(v, id)
	if err := r.run(); err != nil {
		return err
	}
	audit := r.audit
	if id.Workspace == "" {
		audit = r.auditBare
	}
	if (r.book.wallet != nil || id.Workspace == "") && !r.isBroken {
		if err := audit(); err != nil {
			return err
		}
	}
	for table, n := range r.made {
		v.rows[table] += n
	}
	return nil
}

func (r *Report) count(rows map[string]int64) {
	r.Wallets, r.Entries, r.Postings, r.Charges = rows["wallets"], rows["journal"], rows["postings"], rows["charges"]
	r.Events, r.Totals, r.Lots, r.Flows, r.Holds = rows["events"], rows["totals"], rows["lots"], rows["flows"], rows["holds"]
}

// differ notes a difference; the error it returns ends the run, unless all are
// to be counted.
func (v *verification) differ(d Difference) error {
	v.report.Differences++
	if v.report.First == nil {
		v.report.First = &d
	}
	if v.Count {
		return nil
	}
	return errStop
}

// tables are those of which every row belongs to a journal.
var tables = []string{"journal", "wallets", "postings", "charges", "events", "lots", "flows", "holds", "budgets", "marks", "totals", "usage_events", "heads", "audit"}

// strangers looks for rows that no journal accounts for.
func (v *verification) strangers() error {
	if v.report.First != nil {
		return nil // the counts are off anyway
	}
	for _, table := range tables {
		if err := v.strangersIn(table, "organization", "workspace"); err != nil {
			return err
		}
	}
	for _, t := range declaredTables {
		owner := t.owner
		if owner == "" {
			owner = "''"
		}
		if err := v.strangersIn(t.name, owner, "''"); err != nil {
			return err
		}
	}
	return nil
}

// strangersIn looks for rows that no journal accounts for; the columns name the
// journal.
func (v *verification) strangersIn(table, organization, workspace string) error {
	var n int64
	if err := v.tx.QueryRow(`SELECT COUNT(*) FROM ` + table).Scan(&n); err != nil {
		return fault.While("count "+table, err)
	}
	if n == v.rows[table] {
		return nil
	}
	whose, _, err := one(v.tx, scanID,
		`SELECT t.organization, t.workspace FROM (SELECT `+organization+` AS organization, `+workspace+` AS workspace FROM `+table+`) t
		WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.organization = t.organization AND j.workspace = t.workspace) LIMIT 1`)
	if err != nil {
		return fault.While("look for strangers in "+table, err)
	}
	return v.differ(Difference{Table: table, Book: whose.String(), Stored: plural(n) + " in all", Replayed: plural(v.rows[table])})
}

// unwritten looks for workspaces, declared by their organizations, whose wallets have
// no journal: that begins with the workspace.
func (v *verification) unwritten() error {
	ids, err := db.All(v.tx, scanID,
		`SELECT organization, id FROM workspaces s WHERE NOT EXISTS (SELECT 1 FROM journal j
			WHERE j.organization = s.organization AND j.workspace = s.id) AND EXISTS (SELECT 1 FROM journal o
			WHERE o.organization = s.organization AND o.workspace = '') ORDER BY organization, id`)
	if err != nil {
		return fault.While("look for workspaces without a journal", err)
	}
	for _, id := range ids {
		if err := v.differ(Difference{Table: "journal", Book: id.String(), Row: "1", Stored: "no row", Replayed: "the entry with which a wallet begins"}); err != nil {
			return err
		}
	}
	return nil
}

func plural(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}

// zeroSum sees that nothing was made or lost: with the sums of the wallets, the
// house's accounts come to zero. Each wallet's were compared with its lots.
func (v *verification) zeroSum() error {
	var sum credit.Amount
	for _, amount := range v.report.Accounts {
		sum += amount
	}
	if sum == 0 {
		return nil
	}
	return v.differ(Difference{Table: "postings", Row: "(all)", Column: "amount", Stored: "a sum of " + sum.String(), Replayed: "0"})
}

// seals checks the chain of seals, and that every head which a seal names is
// still where it was.
func (v *verification) seals() error {
	prev, last := digest{}, int64(0)
	for {
		s, found, err := one(v.tx, scanSeal, `SELECT no, at, wallets, heads, prev_hash, hash FROM seals WHERE no > $1 ORDER BY no LIMIT 1`, last)
		if err != nil || !found {
			return fault.While("read a seal", err)
		}
		v.report.Seals++
		if err := v.seal(s, prev, last+1); err != nil {
			return err
		}
		last = s.no
		prev, _ = parseDigest(s.hash) // one that cannot be read was a difference
	}
}

type sealRow struct {
	no, at, wallets   int64
	heads, prev, hash string
}

func scanSeal(r db.Scanner) (s sealRow, err error) {
	err = r.Scan(&s.no, &s.at, &s.wallets, &s.heads, &s.prev, &s.hash)
	return s, err
}

func (v *verification) seal(s sealRow, prev digest, no int64) error {
	key := number(s.no)
	if s.no != no {
		return v.differ(Difference{Table: "seals", Row: number(no), Stored: "no row", Replayed: "one"})
	}
	if s.prev != prev.String() {
		if err := v.differ(Difference{"seals", "", key, "prev_hash", s.prev, prev.String()}); err != nil {
			return err
		}
	}
	if hash := v.sealer.seal(prev, s.no, s.at, s.wallets, s.heads).String(); hash != s.hash {
		if err := v.differ(Difference{"seals", "", key, "hash", s.hash, hash}); err != nil {
			return err
		}
	}
	return v.sealedHeads(s, key)
}

// sealedHeads compares the heads in a seal with the links they name.
func (v *verification) sealedHeads(s sealRow, key string) error {
	for _, line := range lines(s.heads) {
		h, err := parseHead(line)
		if err != nil {
			if err := v.differ(Difference{"seals", "", key, "heads", strconv.Quote(line), "the head of a chain"}); err != nil {
				return err
			}
			continue
		}
		v.sealed[h.ID] = h.entry
		if err := errors.Join(
			v.sealedHead(h.ID, key, "journal", `SELECT hash FROM journal`+inWallet+` AND no = $3`, h.entry, h.journal),
			v.sealedHead(h.ID, key, "postings", `SELECT hash FROM postings`+inWallet+` AND no = $3`, h.posting, h.postings),
		); err != nil {
			return err
		}
	}
	return nil
}

func (v *verification) sealedHead(id ID, seal, table, query string, no int64, hash string) error {
	if no == 0 {
		return nil
	}
	stored, _, err := one(v.tx, db.Value[string], query,
		id.Organization, id.Workspace, no)
	if err != nil {
		return fault.While("read a sealed link", err)
	}
	if stored != hash {
		return v.differ(Difference{table, id.String(), number(no), "hash", stored, hash + ", by seal " + seal})
	}
	return nil
}

// sealMark is how far a journal says that it is sealed.
type sealMark struct {
	table string
	ID
	sealed, entries int64
}

// sealMarks sees that the journals know how far they are sealed. One that says it is
// sealed further than any seal tells of a seal that is missing behind the last.
func (v *verification) sealMarks() error {
	marks, err := db.All(v.tx, func(r db.Scanner) (m sealMark, err error) {
		err = r.Scan(&m.table, &m.Organization, &m.Workspace, &m.sealed, &m.entries)
		return m, err
	}, `SELECT 'wallets', organization, workspace, sealed, next_journal - 1 FROM wallets
		UNION ALL SELECT 'heads', organization, workspace, sealed, next_journal - 1 FROM heads ORDER BY organization, workspace`)
	if err != nil {
		return fault.While("read how far the journals are sealed", err)
	}
	for _, m := range marks {
		last := v.sealed[m.ID]
		if m.sealed == last {
			continue
		}
		d := Difference{m.table, m.ID.String(), "", "sealed", number(m.sealed), number(last)}
		if m.sealed > last && m.sealed <= m.entries {
			d = Difference{"seals", "", number(v.report.Seals + 1), "", "no row", "one: " + m.ID.String() + " is sealed up to entry " + number(m.sealed)}
		}
		if err := v.differ(d); err != nil {
			return err
		}
	}
	return nil
}
