package ledger

import (
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// The rows of the books.
var (
	entryRows   = db.NewTable("journal", `organization workspace no at kind command route key digest status answer hash`)
	postingRows = db.NewTable("postings", `organization workspace no at kind debit credit amount charge corrects transfer hash prev_hash`)
	chargeRows  = db.NewTable("charges", `organization workspace no at flow item hold event sku tier region project user_id job
		key_id unit quantity from_at to_at price card card_version rate period rem amount waived slices refunded`)
	eventRows = db.NewTable("events", `organization workspace no at kind subject data`)
)

// set is everything that the units of one batch have done and not yet written.
// It is the ledger's [db.Member].
type set struct {
	ledger  *Ledger
	sealer  sealer
	used    []*book        // worked on: if the batch fails they may be ahead of their rows, or broken
	touched []*book        // have something to write
	keys    map[key]*Entry // idempotency keys used in this batch
	bare    map[ID]*book   // journals without a wallet
	leases  map[holder]lease
	assumed map[ID]bool // wallets of which it is asked with the writes whether they are as known
	seals   bool        // the batch ends with a seal
	isHeld  bool        // the rows of wallets that were contested are held
	lists   lists
	state   state
	news    news
}

// news is what to say once the batch is durable. It is gathered when all has been said
// to the database and the commit is under way: the wallets in memory go on meanwhile.
type news struct {
	at       int64 // when it was written
	wallets  []changed
	isMoved  bool  // a chain has grown
	isNotice bool  // people are to be told of an event
	overrun  int64 // booked as the operator's loss
	wake     int64 // when something is due
}

type changed struct {
	id  ID
	now Snapshot
}

// lists are those in which columns are gathered. What is written keeps its list until the
// batch has ended.
type lists struct{ free, used [][]any }

func (l *lists) take() []any {
	n := len(l.free)
	if n == 0 {
		return nil
	}
	list := l.free[n-1]
	l.free = l.free[:n-1]
	return list
}

func (l *lists) keep(list []any) []any {
	l.used = append(l.used, list)
	return list
}

func (l *lists) reset() {
	for _, list := range l.used {
		l.free = append(l.free, emptied(list))
	}
	l.used = l.used[:0]
}

// set returns the batch's set.
func (l *Ledger) set(tx *db.Tx) *set {
	return tx.Member(l, func() db.Member {
		select {
		case s := <-l.spare:
			return s
		default:
			return &set{ledger: l, keys: map[key]*Entry{}, bare: map[ID]*book{}, leases: map[holder]lease{}, assumed: map[ID]bool{}}
		}
	}).(*set)
}

// open returns the wallet in memory, read from its rows if need be.
func (s *set) open(tx *db.Tx, id ID) (*book, error) {
	seen, _, _ := s.ledger.shown.get(id)
	return s.openAt(tx, id, seen.Version)
}

// openAt is open for a wallet that has come to a version at least.
func (s *set) openAt(tx *db.Tx, id ID, version int64) (*book, error) {
	if b := s.ledger.shelf.get(id); b != nil && (b.isUsed || !tx.IsAgain() && b.stored >= version) {
		return b, nil
	} else if b != nil {
		s.ledger.shelf.drop(id) // another server has changed it, or may have
	}
	if err := s.hold(tx); err != nil {
		return nil, err
	}
	b, err := load(tx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if s.ledger.db.IsShared() && !tx.IsAgain() { // nothing keeps another server from writing between two of its rows
		version, _, asked := versionOf(tx, id)
		if asked != nil {
			return nil, asked
		}
		if b == nil || b.stored != version {
			return nil, tx.Again()
		}
	}
	if err != nil {
		return nil, err
	}
	s.ledger.shelf.put(b)
	return b, nil
}

// versionOf is the version of a wallet's row as it is committed now.
func versionOf(tx *db.Tx, id ID) (version int64, found bool, err error) {
	version, found, err = one(tx, db.Value[int64], `SELECT version FROM wallets`+inWallet, id.Organization, id.Workspace)
	return version, found, fault.While("ask for the version of a wallet", err)
}

// create opens the books of a new wallet.
func (s *set) create(tx *db.Tx, id ID, policy wallet.Policy) error {
	if _, err := s.open(tx, id); err == nil {
		return fault.New(fault.Conflict, "workspace %s has a wallet already", id.Workspace)
	} else if !fault.Is(err, fault.NotFound) {
		return err
	}
	b := newBook(id)
	b.nextEntry = 1
	policy.Rules = wallet.Rules
	b.wallet = wallet.New(id.Workspace, tx.Now(), policy)
	s.ledger.shelf.put(b)
	return s.journal(b, tx.Now(), create{policy})
}

// use says that the wallet is worked on.
func (s *set) use(b *book) {
	if !b.isUsed {
		b.isUsed = true
		s.used = append(s.used, b)
	}
}

// touch says that the wallet has something to write.
func (s *set) touch(b *book) {
	s.use(b)
	if !b.isTouched {
		b.isTouched = true
		s.touched = append(s.touched, b)
	}
}

// record puts a command and what it did into the books.
func (s *set) record(b *book, at int64, command wallet.Command, fx wallet.Effects) error {
	if err := s.journal(b, at, command); err != nil {
		return err
	}
	first := len(b.charges)
	b.charges = append(b.charges, fx.Charges...)
	for i := range fx.Postings {
		if err := s.post(b, &fx.Postings[i], b.charges[first:]); err != nil {
			return err
		}
	}
	for _, r := range fx.Refunds {
		if c := b.pendingCharge(r.Charge); c != nil {
			c.Refunded = r.Refunded
		} else {
			b.refunds = append(b.refunds, r)
		}
	}
	b.events = append(b.events, fx.Events...)
	for _, t := range fx.Totals {
		if err := b.total(t, isReport(command)); err != nil {
			return err
		}
	}
	return nil
}

// post finds the accounts of a posting and links it to the chain.
func (s *set) post(b *book, p *wallet.Posting, charges []wallet.Charge) error {
	posting, err := s.sealer.link(b.ID, b.head, p, charges)
	if err != nil {
		return err
	}
	b.head = posting.hash
	b.postings = append(b.postings, posting)
	return nil
}

// link makes the posting of the books out of the engine's: with its accounts,
// behind the link prev. charges are those of the same command.
func (s *sealer) link(id ID, prev digest, p *wallet.Posting, charges []wallet.Charge) (Posting, error) {
	from, to, err := accounts(*p)
	if err != nil {
		return Posting{}, err
	}
	posting := Posting{
		No: p.No, At: p.At, Kind: p.Kind, Debit: from, Credit: to, Amount: p.Amount,
		Charge: p.Charge, Corrects: p.Corrects, Transfer: p.Transfer, prev: prev,
	}
	var of digest
	if i := p.Charge - first(charges); p.Charge != 0 && i >= 0 && i < int64(len(charges)) {
		of = s.charge(&charges[i])
	}
	posting.hash = s.posting(prev, id, &posting, of)
	return posting, nil
}

// first is the number of the first charge; they are numbered without a gap.
func first(charges []wallet.Charge) int64 {
	if len(charges) == 0 {
		return 0
	}
	return charges[0].No
}

// Flush writes everything, in as few statements as there are tables and sizes.
func (s *set) Flush(tx *db.Tx) error {
	for _, write := range []func(*db.Tx) error{
		s.catchUp, s.sealEntries, s.gatherStates, s.writeRoots, s.writeHeads, s.writeEntries, s.writePostings, s.writeCharges, s.writeRefunds, s.writeTotals, s.writeEvents, s.writeNotices, s.writeActs, s.writeLeases,
		s.writeStates, s.writeSeal,
	} {
		if err := write(tx); err != nil {
			return err
		}
	}
	s.leave(tx.Now())
	return nil
}

// leave lets the wallets go on: what they had to write is with the database now, and the
// next batch may begin.
func (s *set) leave(now int64) {
	s.news.at, s.news.wake = now, s.lapses()
	for _, b := range s.used {
		if b.isTouched {
			s.news.isMoved = true
			if b.wallet != nil {
				b.stored = b.version()
				s.news.wallets = append(s.news.wallets, changed{b.ID, Snapshot{b.wallet.View(), b.version()}})
				s.news.overrun += b.overrun()
				s.news.wake = earlier(s.news.wake, b.wakeAt)
			}
		}
		b.forget()
	}
	s.ledger.shelf.trim()
}

// catchUp brings the journals of the wallets that are written up to their instants. A
// command that was refused has let time pass in memory, and the rows will show it: so
// the journal must, or a replay would give the rows as they were before.
func (s *set) catchUp(tx *db.Tx) error {
	for _, b := range s.touched {
		if b.wallet == nil || b.wallet.Root().At <= b.at {
			continue
		}
		if err := s.bring(tx, b, b.wallet.Root().At, wallet.Tick{}); err != nil {
			return err
		}
	}
	return nil
}

// sealEntries links the entries to the chains, now that they have their answers.
func (s *set) sealEntries(*db.Tx) error {
	for _, b := range s.touched {
		for i, e := range b.entries {
			b.entryHead = s.sealer.entry(b.entryHead, b.ID, e, i == 0)
			e.Hash = b.entryHead.String()
		}
	}
	return nil
}

func (s *set) writeEntries(tx *db.Tx) error {
	args := s.lists.take()
	for _, b := range s.touched {
		for _, e := range b.entries {
			args = b.addEntry(args, e)
		}
	}
	return entryRows.Write(tx, s.lists.keep(args))
}

func (b *book) addEntry(args []any, e *Entry) []any {
	var route, key any
	if e.Key != "" {
		route, key = e.Route, e.Key
	}
	return append(args, b.organization, b.workspace, e.No, e.At, e.Kind, e.Command, route, key, e.Digest, int64(e.Status),
		e.Answer, e.Hash)
}

func (s *set) writePostings(tx *db.Tx) error {
	args := s.lists.take()
	for _, b := range s.touched {
		for i := range b.postings {
			args = b.addPosting(args, &b.postings[i])
		}
	}
	return postingRows.Write(tx, s.lists.keep(args))
}

func (b *book) addPosting(args []any, p *Posting) []any {
	return append(args, b.organization, b.workspace, p.No, p.At, string(p.Kind), p.Debit, p.Credit, int64(p.Amount),
		p.Charge, p.Corrects, p.Transfer, p.hash.String(), p.prev.String())
}

func (s *set) writeCharges(tx *db.Tx) (err error) {
	args := s.lists.take()
	for _, b := range s.touched {
		for i := range b.charges {
			if args, err = b.addCharge(args, &b.charges[i]); err != nil {
				return err
			}
		}
	}
	return chargeRows.Write(tx, s.lists.keep(args))
}

func (b *book) addCharge(args []any, c *wallet.Charge) ([]any, error) {
	slices, err := encodeList(c.Slices)
	if err != nil {
		return nil, err
	}
	rem := "0"
	if !c.Rem.IsZero() {
		rem = c.Rem.String()
	}
	return append(args, b.organization, b.workspace, c.No, c.At, c.Flow, int64(c.Item), c.Hold, c.Event, c.SKU, c.Tier,
		c.Region, c.Project, c.User, c.Job, c.Key, c.Unit, int64(c.Quantity), c.From, c.To, int64(c.Price), c.Card,
		int64(c.Version), int64(c.Rate), int64(c.Period), rem, int64(c.Amount), int64(c.Waived), slices, int64(c.Refunded)), nil
}

func (s *set) writeRefunds(tx *db.Tx) error {
	for _, b := range s.touched {
		for _, r := range b.refunds {
			n, err := tx.Exec(`UPDATE charges SET refunded = $4 WHERE organization = $1 AND workspace = $2 AND no = $3`,
				b.Organization, b.Workspace, r.Charge, int64(r.Refunded))
			if err == nil && n != 1 {
				err = fmt.Errorf("%d rows", n)
			}
			if err != nil {
				return fmt.Errorf("note the refund of charge %d in %s: %w", r.Charge, b.ID, err)
			}
		}
	}
	return nil
}

func (s *set) writeEvents(tx *db.Tx) (err error) {
	args := s.lists.take()
	for _, b := range s.touched {
		for i := range b.events {
			if args, err = b.addEvent(args, &b.events[i]); err != nil {
				return err
			}
		}
	}
	return eventRows.Write(tx, s.lists.keep(args))
}

func (b *book) addEvent(args []any, e *wallet.Event) ([]any, error) {
	data := ""
	if len(e.Data) > 0 {
		var err error
		if data, err = encode(e.Data); err != nil {
			return nil, err
		}
	}
	return append(args, b.organization, b.workspace, e.No, e.At, e.Kind, e.Subject, data), nil
}

// Done publishes what was committed, or forgets the wallets that may be ahead of
// their rows.
func (s *set) Done(committed bool) {
	l := s.ledger
	if committed {
		for _, c := range s.news.wallets {
			l.shown.publish(c.id, c.now)
		}
		if s.news.isMoved {
			l.keeper.seal.moved(s.news.at)
		}
		if s.news.isNotice {
			l.notice()
		}
		l.overrun.Add(s.news.overrun)
		l.keeper.ring(earlier(s.news.wake, l.keeper.seal.due.Load()))
	} else {
		l.contested = l.contested[:0]
		for _, b := range s.used {
			l.shelf.drop(b.ID)
			l.contested = append(l.contested, b.ID)
		}
	}
	s.reset()
}

// reset makes the set ready for another batch. Its lists of columns keep their
// memory: it is needed again at once, and bounded by the size of a batch.
func (s *set) reset() {
	clear(s.keys)
	clear(s.bare)
	clear(s.leases)
	clear(s.assumed)
	s.used, s.touched = emptied(s.used), emptied(s.touched)
	s.seals, s.isHeld = false, false
	s.lists.reset()
	s.news = news{wallets: emptied(s.news.wallets)}
	select {
	case s.ledger.spare <- s:
	default:
	}
}
