package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// replay runs one journal through the engine again, in step with the rows that
// its commands wrote.
type replay struct {
	*verification
	id       ID
	next     int64  // behind the last entry of the stored journal, by its head
	head     string // the link of that entry, by its head; "" if it has no head
	book     *book  // what the replay gives: the columns are made from it as they were
	isBroken bool   // the journal cannot be replayed to its end
	isSilent bool   // compare nothing

	entries                   *stream
	postings, charges, events *stream
	acts                      *stream

	made     map[string]int64         // rows that came into being, by table
	ids      map[string]bool          // of flows and holds, by table; only if wanted
	versions versionsOf               // that wrote the rows of the state
	suspects map[string]Difference    // rows of what has ended that differ as yet
	refunded map[int64]credit.Amount  // of charges, in all
	accounts map[string]credit.Amount // sums of the postings
	totals   *totals
	reports  *reports

	declarations map[rowName]declaration
}

func newReplay(v *verification, id ID) *replay {
	r := &replay{
		verification: v, id: id, book: newBook(id), made: map[string]int64{}, versions: newVersionsOf(),
		suspects: map[string]Difference{}, refunded: map[int64]credit.Amount{}, accounts: map[string]credit.Amount{},
		totals: newTotals(), reports: newReports(maphash.MakeSeed(), nil), declarations: map[rowName]declaration{},
	}
	r.book.nextEntry = 1
	r.entries, r.postings = newStream(r, entryRows), newStream(r, postingRows)
	r.charges, r.events = newStream(r, chargeRows), newStream(r, eventRows)
	r.acts = newStream(r, actRows)
	return r
}

// mismatch notes a difference in a row of this wallet.
func (r *replay) mismatch(table, key, column, stored, replayed string) error {
	return r.differ(Difference{table, r.id.String(), key, column, stored, replayed})
}

// run replays the whole journal.
func (r *replay) run() error {
	if err := r.findHead(); err != nil {
		return err
	}
	for !r.isBroken {
		row, err := r.entries.next()
		if err != nil {
			return err
		}
		if row == nil {
			break
		}
		e, err := entryOf(row)
		if err != nil {
			r.isBroken = true
			return r.mismatch("journal", "behind "+number(r.book.version()), "", "what cannot be read: "+err.Error(), "an entry")
		}
		if err := r.entry(&e); err != nil {
			return err
		}
	}
	if r.isBroken || r.isSilent {
		return nil
	}
	r.closeBatch(r.book.version())
	if err := r.missing(); err != nil {
		return err
	}
	return r.leftovers()
}

// findHead reads where the journal ends by its head.
func (r *replay) findHead() error {
	heads := "wallets"
	if r.id.Workspace == "" {
		heads = "heads"
	}
	r.next = 1
	err := r.tx.QueryRow(`SELECT next_journal, journal_head FROM `+heads+inWallet, r.id.Organization, r.id.Workspace).Scan(&r.next, &r.head)
	if isNoRow(err) {
		return nil
	}
	return fault.While("read where the journal ends", err)
}

// missing sees that no entries are missing at the end: then the head is that of
// another entry, behind the last that there is.
func (r *replay) missing() error {
	if b := r.book; r.next > b.nextEntry && r.head != b.entryHead.String() {
		return r.mismatch("journal", number(b.nextEntry), "", "no row", "an entry: the journal goes up to "+number(r.lastEntry()))
	}
	return nil
}

// entry replays one entry of the journal.
func (r *replay) entry(e *Entry) error {
	b, key := r.book, number(e.No)
	if !r.isSilent {
		if err := r.link(e); err != nil {
			return err
		}
	}
	b.nextEntry = e.No + 1
	switch e.Kind {
	case request:
		return nil
	case declaring:
		return r.declared(e)
	case acting:
		return r.acted(e)
	}
	command, fx, err := r.command(e)
	if err != nil {
		r.isBroken = true
		return r.mismatch("journal", key, "command", e.Kind+" "+e.Command, "an error: "+err.Error())
	}
	b.at = e.At
	r.count(command)
	for _, t := range fx.Totals {
		r.totals.add(totalOf(t), amounts{t.Quantity, int64(t.Amount), int64(t.Overrun)})
	}
	r.addReports(command, fx.Charges)
	for _, f := range fx.Refunds {
		r.refunded[f.Charge] = f.Refunded
	}
	if r.isSilent {
		b.wallet.Changes()
		return nil
	}
	return r.compare(e, fx)
}

// count counts the flows and holds that a command makes.
func (r *replay) count(command any) {
	switch c := command.(type) {
	case wallet.Start:
		r.make("flows", c.ID)
		if c.MaxCost > 0 {
			r.make("holds", wallet.HoldOf(c.ID))
		}
	case wallet.Reserve:
		r.make("holds", c.ID)
	}
}

func (r *replay) make(table, id string) {
	r.made[table]++
	if r.ids != nil {
		r.ids[table+" "+id] = true
	}
}

// link checks an entry's place in the chain of the journal.
func (r *replay) link(e *Entry) error {
	b, key := r.book, number(e.No)
	r.made["journal"]++
	if e.No != b.nextEntry {
		if err := r.mismatch("journal", number(b.nextEntry), "", "no row", "an entry: they are numbered without a gap"); err != nil {
			return err
		}
	}
	first, further := r.sealer.entry(b.entryHead, b.ID, e, true), r.sealer.entry(b.entryHead, b.ID, e, false)
	stored, err := parseDigest(e.Hash)
	b.entryHead = stored
	switch {
	case err == nil && stored == first:
		r.openBatch(e.No)
		return nil
	case err == nil && stored == further:
		return nil
	}
	return r.mismatch("journal", key, "hash", e.Hash, further.String()+": the row is not what was written")
}

// command carries an entry's command out again.
func (r *replay) command(e *Entry) (command any, fx wallet.Effects, err error) {
	defer func() { // the engine trusts its own journal; this one may have been edited
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if command, err = decodeCommand(e.Kind, e.Command); err != nil {
		return nil, fx, err
	}
	b := r.book
	if begin, ok := command.(create); ok {
		if b.wallet != nil {
			return command, fx, errors.New("the wallet exists")
		}
		b.wallet = wallet.New(b.Workspace, e.At, begin.Policy)
		return command, fx, nil
	}
	if b.wallet == nil {
		return command, fx, errors.New("there is no wallet yet")
	}
	if at := b.wallet.Root().At; e.At < at {
		return command, fx, fmt.Errorf("at %d, before the wallet's instant %d", e.At, at)
	}
	if command, err = b.withCharges(command.(wallet.Command), r.chargesAfter); err != nil {
		return command, fx, err
	}
	fx, err = b.wallet.Apply(e.At, command.(wallet.Command))
	return command, fx, err
}

// chargesAfter gives a command the charges that it was given: the rows, which have
// been compared up to here, and what the replay has refunded of them.
func (r *replay) chargesAfter(flow string, at int64) ([]wallet.Charge, error) {
	rows, err := db.All(r.tx, scanCharge, `SELECT `+chargeColumns+` FROM charges`+inWallet+` AND flow <> '' AND flow = $3 AND to_at > $4 AND no < $5
		ORDER BY no DESC`, r.id.Organization, r.id.Workspace, flow, at, r.book.wallet.Root().NextNo.Charge)
	var charges []wallet.Charge
	for _, c := range rows {
		c.Refunded = r.refunded[c.No]
		charges = append(charges, *c)
	}
	return charges, err
}

// compare holds what a command did against the rows.
func (r *replay) compare(e *Entry, fx wallet.Effects) error {
	b := r.book
	for i := range fx.Charges {
		row, err := b.addCharge(nil, &fx.Charges[i])
		if err := errors.Join(err, r.same(r.charges, row)); err != nil {
			return err
		}
		if err := r.priced(&fx.Charges[i]); err != nil {
			return err
		}
		if wrong := arithmetic(&fx.Charges[i]); wrong != "" {
			if err := r.mismatch("charges", number(fx.Charges[i].No), "amount", fx.Charges[i].Amount.String(), wrong); err != nil {
				return err
			}
		}
	}
	for i := range fx.Postings {
		p, err := r.sealer.link(b.ID, b.head, &fx.Postings[i], fx.Charges)
		if err != nil {
			return err
		}
		b.head = p.hash
		r.accounts[p.Debit] -= p.Amount
		r.accounts[p.Credit] += p.Amount
		if err := r.same(r.postings, b.addPosting(nil, &p)); err != nil {
			return err
		}
	}
	for i := range fx.Events {
		row, err := b.addEvent(nil, &fx.Events[i])
		if err := errors.Join(err, r.same(r.events, row)); err != nil {
			return err
		}
	}
	return r.changes(e, b.wallet.Changes())
}

// same compares a replayed row with the next of its table.
func (r *replay) same(s *stream, replayed []any) error {
	key := replayed[2].(int64)
	stored, err := s.take(key)
	if err != nil {
		return err
	}
	r.made[s.table.Name]++
	if stored == nil {
		return r.mismatch(s.table.Name, number(key), "", "no row", "one")
	}
	if d := r.columns(s.table, number(key), stored, replayed); d != nil {
		return r.differ(*d)
	}
	return nil
}

// leftovers finds rows behind the last that the replay gave.
func (r *replay) leftovers() error {
	for _, s := range []*stream{r.charges, r.postings, r.events, r.acts} {
		row, err := s.next()
		if err != nil {
			return err
		}
		if row != nil {
			if err := r.mismatch(s.table.Name, fmt.Sprint(row[2]), "", "a row", "none"); err != nil {
				return err
			}
		}
	}
	return nil
}

// later are columns that are not compared with their row: version says which
// entry wrote it, refunded is known at the end of the journal.
var later = map[string]bool{"version": true, "refunded": true}

// columns names the first column in which two rows differ.
func (r *replay) columns(t *db.Table, key string, stored, replayed []any) *Difference {
	for i, column := range t.Columns {
		if stored[i] != replayed[i] && !later[column] {
			return &Difference{t.Name, r.id.String(), key, column, showIn(column, stored[i]), showIn(column, replayed[i])}
		}
	}
	return nil
}

// money are the columns that hold nano-credits.
var money = map[string]bool{
	"amount": true, "remaining": true, "free": true, "cost_basis": true, "charged": true, "owed": true, "original": true,
	"captured": true, "spent": true, "price": true, "waived": true, "refunded": true,
}

// showIn shows a value of a column: money in credits.
func showIn(column string, value any) string {
	if n, ok := value.(int64); ok && money[column] {
		return credit.Amount(n).String()
	}
	return show(value)
}

func show(value any) string {
	if s, ok := value.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(value)
}

// entryOf reads an entry from its row.
func entryOf(row []any) (e Entry, err error) {
	var route, key sql.NullString
	for i, to := range []any{&e.No, &e.At, &e.Kind, &e.Command, &route, &key, &e.Digest, &e.Status, &e.Answer, &e.Hash} {
		err = errors.Join(err, assign(to, row[2+i]))
	}
	e.Route, e.Key = route.String, key.String
	if hasKey := e.Key != ""; err == nil && (key.Valid != hasKey || route.Valid != hasKey) {
		err = errors.New("a route or an empty key, where there was no key")
	}
	return e, err
}

func assign(to, value any) error {
	switch to := to.(type) {
	case *string:
		s, ok := value.(string)
		*to = s
		if ok {
			return nil
		}
	case *int64:
		n, ok := value.(int64)
		*to = n
		if ok {
			return nil
		}
	case *int:
		n, ok := value.(int64)
		*to = int(n)
		if ok {
			return nil
		}
	case *sql.NullString:
		return to.Scan(value)
	}
	return fmt.Errorf("%v is a %T", value, value)
}

func lines(text string) []string {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
