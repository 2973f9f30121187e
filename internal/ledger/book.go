package ledger

import (
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// book is a wallet in memory, with what has been done to it and not yet written.
type book struct {
	ID
	organization, workspace any // the same, as arguments
	wallet                  *wallet.Wallet
	nextEntry               int64
	stored                  int64 // the version of its row; -1 if there is none
	at                      int64 // of the last command in the journal: a refused one moves the wallet's instant, and leaves no trace
	head, entryHead         digest

	isUsed    bool // by this batch
	isTouched bool
	rows      int   // about how much memory it takes
	wakeAt    int64 // as written last
	entries   []*Entry
	postings  []Posting
	charges   []wallet.Charge
	refunds   []wallet.RefundOf
	events    []wallet.Event
	acts      []Acted
	totals    map[totalRow]amounts
	gpus      map[string]gpuTime // of projects for which it was asked, with what is in totals
	changes   wallet.Changes     // taken from the wallet before its time
}

type amounts struct {
	quantity, amount int64
	overrun          int64 // a part of the amount
}

// isQuiet reports whether nothing is due by an instant. While a wallet is as it
// was written last, the instant in its row says so at no cost.
func (b *book) isQuiet(at int64) bool {
	if !b.isTouched && (b.wakeAt == 0 || b.wakeAt > at) {
		return true
	}
	due := b.wallet.DueAt()
	return due == 0 || due > at
}

// version counts the entries of the wallet's journal.
func (b *book) version() int64 { return b.nextEntry - 1 }

func newBook(id ID) *book {
	return &book{ID: id, organization: id.Organization, workspace: id.Workspace, stored: -1}
}

// load reads a wallet from its rows.
func load(tx *db.Tx, id ID) (*book, error) {
	root, err := loadRoot(tx, id)
	if err != nil {
		return nil, err
	}
	state, err := loadState(tx, id, root.Root)
	if err != nil {
		return nil, err
	}
	b := newBook(id)
	b.nextEntry, b.head, b.entryHead = root.nextEntry, root.head, root.entryHead
	b.stored, b.at, b.wakeAt = root.version, root.At, root.wakeAt
	b.rows = len(state.Flows) + len(state.Lots) + len(state.Holds)
	if b.wallet, err = wallet.Load(state); err != nil {
		return nil, fmt.Errorf("load the wallet of %s: %w", id, err)
	}
	return b, nil
}

// pendingCharge is a charge of this batch, or nil.
func (b *book) pendingCharge(no int64) *wallet.Charge {
	if i := no - first(b.charges); len(b.charges) > 0 && i >= 0 && i < int64(len(b.charges)) {
		return &b.charges[i]
	}
	return nil
}

// maxKept is how long a list may have grown to be kept for the next batch.
const maxKept = 1 << 12

// emptied is an empty list for the next batch, in the same memory if that is
// little, and without what was in it.
func emptied[T any](list []T) []T {
	if cap(list) > maxKept {
		return nil
	}
	clear(list)
	return list[:0]
}

// forget empties the lists of what was to be written.
func (b *book) forget() {
	b.entries, b.postings, b.charges = emptied(b.entries), emptied(b.postings), emptied(b.charges)
	b.refunds, b.events = emptied(b.refunds), emptied(b.events)
	b.acts = emptied(b.acts)
	clear(b.totals)
	b.changes = wallet.Changes{}
	b.isUsed, b.isTouched = false, false
}
