package price

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// Book is all rate cards. It remembers what is committed: a version never
// changes, so what it remembers can only be too short, and every batch of units of
// work asks the database how far the card has come. From then to its end no other
// server can put a version, so that no flow starts at a price that has just been
// replaced.
type Book struct {
	books         *ledger.Ledger
	mu            sync.RWMutex
	cards         map[string]*History
	organizations map[string]*assigned // those that were asked about

	changing atomic.Int32 // batches that have put a version and have not ended
}

// NewBook returns the rate cards by which the flows in the books are priced.
func NewBook(books *ledger.Ledger) *Book {
	return &Book{books: books, cards: map[string]*History{}, organizations: map[string]*assigned{}}
}

// Open makes sure that there is something to sell: a fresh installation gets the
// card [Default] with the [Catalogue].
func (b *Book) Open(tx *db.Tx) error {
	h, err := b.read(tx, Default)
	if err != nil || len(h.versions) > 0 {
		return err
	}
	_, err = b.Put(tx, Default, Catalogue(), 0)
	return err
}

// History returns all versions of a card.
func (b *Book) History(tx *db.Tx, name string) (*History, error) {
	h, err := b.read(tx, name)
	if err != nil {
		return nil, err
	}
	if len(h.versions) == 0 {
		return nil, fault.New(fault.NotFound, "there is no rate card %s", quoted(name))
	}
	return h, nil
}

// Put makes the next version of a card, in force from effectiveAt on (0: now),
// and tells every running flow that the card prices. The cards that are made from it
// get their next versions too.
func (b *Book) Put(tx *db.Tx, name string, skus []SKU, effectiveAt int64) (*Card, error) {
	if effectiveAt == 0 {
		effectiveAt = tx.Now()
	}
	if isDerived(name) {
		return nil, fault.New(fault.Conflict, "names that begin with plan- and contract- are of cards that plans and contracts make: "+
			"set the plan, or the card that it is made from")
	}
	card, err := b.put(tx, name, skus, effectiveAt)
	if err != nil {
		return nil, err
	}
	return card, b.republish(tx, name, effectiveAt)
}

func (b *Book) put(tx *db.Tx, name string, skus []SKU, effectiveAt int64) (*Card, error) {
	if b.inBatch(tx).isAssumed { // and is shared by this very batch
		return nil, tx.Again()
	}
	if err := tx.Exclude(cardLock); err != nil {
		return nil, fmt.Errorf("wait for rate card %s: %w", name, err)
	}
	h, err := b.read(tx, name)
	if err != nil {
		return nil, err
	}
	if err := h.check(name, skus, effectiveAt, tx.Now()); err != nil {
		return nil, err
	}
	if err := roomForCard(tx, h); err != nil {
		return nil, err
	}
	skus = slices.SortedFunc(slices.Values(skus), func(a, b SKU) int { return strings.Compare(a.Name, b.Name) })
	for i := range skus {
		skus[i].Prices = maps.Clone(skus[i].Prices) // the card is kept; the caller's map may change
	}
	card := (&Card{
		Name: name, Version: len(h.versions) + 1, EffectiveAt: effectiveAt, CreatedAt: tx.Now(), SKUs: skus,
	}).buildIndex()
	if err := b.insert(tx, card); err != nil {
		return nil, err
	}
	batch := b.inBatch(tx)
	batch.cards[name] = h.with(card)
	b.change(batch)
	return card, b.tell(tx, name, h.reprice(card))
}

// change notes that a batch has changed what others may remember.
func (b *Book) change(batch *inBatch) {
	clear(batch.composed)
	if !batch.isChange {
		batch.isChange = true
		b.changing.Add(1)
	}
}

func roomForCard(tx *db.Tx, h *History) error {
	if len(h.versions) > 0 {
		return nil
	}
	var cards int
	if err := tx.QueryRow(`SELECT COUNT(*) FROM rate_cards WHERE version = 1`).Scan(&cards); err != nil {
		return fmt.Errorf("count rate cards: %w", err)
	}
	if cards >= maxCards {
		return fault.New(fault.Limited, "there are %d rate cards, and no more fit", cards)
	}
	return nil
}

func (b *Book) insert(tx *db.Tx, c *Card) error {
	skus, err := json.Marshal(c.SKUs)
	if err != nil {
		return fmt.Errorf("write rate card %s: %w", c.Name, err)
	}
	_, err = tx.Exec(`INSERT INTO rate_cards (name, version, effective_at, created_at, skus) VALUES ($1, $2, $3, $4, $5)`,
		c.Name, c.Version, c.EffectiveAt, c.CreatedAt, string(skus))
	if err != nil {
		return fmt.Errorf("write rate card %s: %w", c.Name, err)
	}
	return b.books.Declare(tx, ledger.RateCards, c.Name, c.Version, c.EffectiveAt, c.CreatedAt, string(skus))
}

// cardLock is what those who read a card to price by it share.
const cardLock = "rate cards"

// read returns a card's history, without versions if there is none. What is
// remembered is extended by what has come since.
func (b *Book) read(tx *db.Tx, name string) (h *History, err error) {
	if !tx.IsUpdate() {
		if h, err = b.lookUp(tx, name); err == nil {
			b.remember(h)
		}
		return h, err
	}
	batch := b.inBatch(tx)
	if h = batch.cards[name]; h != nil {
		return h, nil
	}
	if h = b.remembered(name); h != nil && b.changing.Load() == 0 && tx.Assume(cardLock, int64(len(h.versions)), latestVersion, name) {
		batch.cards[name] = h
		batch.isAssumed = tx.IsShared()
		return h, nil
	}
	if err := tx.Share(cardLock); err != nil {
		return nil, fmt.Errorf("wait for rate card %s: %w", name, err)
	}
	if h, err = b.lookUp(tx, name); err == nil {
		batch.cards[name] = h
	}
	return h, err
}

const latestVersion = `SELECT COALESCE(MAX(version), 0) FROM rate_cards WHERE name = $1`

// remembered is the history of a card as it was when somebody last asked, or nil.
func (b *Book) remembered(name string) *History {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.cards[name]
}

func (b *Book) lookUp(tx *db.Tx, name string) (*History, error) {
	h := b.remembered(name)
	if h == nil {
		h = &History{Name: name}
	}
	var latest int
	err := tx.QueryRow(latestVersion, name).Scan(&latest)
	if err == nil && latest != len(h.versions) {
		h, err = extend(tx, h)
	}
	if err != nil {
		return nil, fmt.Errorf("read rate card %s: %w", name, err)
	}
	return h, nil
}

// inBatch is what the batch knows of the cards: remembered once it is durable, for what
// an Update reads may still be undone, and another version may get the same number.
func (b *Book) inBatch(tx *db.Tx) *inBatch {
	return tx.Member(b, func() db.Member {
		return &inBatch{book: b, cards: map[string]*History{}, assigned: map[string]*assigned{}, composed: map[string]*History{}}
	}).(*inBatch)
}

type inBatch struct {
	book      *Book
	cards     map[string]*History
	assigned  map[string]*assigned
	composed  map[string]*History // by organization: of cards, as the batch knows them
	isAssumed bool                // a card is taken to be as it is remembered
	isChange  bool                // a version was put
}

// Flush has nothing to write: versions are written as they are put.
func (*inBatch) Flush(*db.Tx) error { return nil }

// Done remembers what was committed.
func (in *inBatch) Done(committed bool) {
	if committed {
		for _, h := range in.cards {
			in.book.remember(h)
		}
		for organization, a := range in.assigned {
			in.book.rememberAssigned(organization, a)
		}
	}
	if in.isChange { // before it was remembered, others had to look
		in.book.changing.Add(-1)
	}
}

func extend(tx *db.Tx, h *History) (*History, error) {
	err := tx.Each(func(r db.Scanner) error {
		c, skus := &Card{Name: h.Name}, ""
		if err := r.Scan(&c.Version, &c.EffectiveAt, &c.CreatedAt, &skus); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(skus), &c.SKUs); err != nil {
			return fmt.Errorf("version %d: %w", c.Version, err)
		}
		h = h.with(c.buildIndex())
		return nil
	}, `SELECT version, effective_at, created_at, skus FROM rate_cards WHERE name = $1 AND version > $2 ORDER BY version`,
		h.Name, len(h.versions))
	return h, err
}

func (b *Book) remember(h *History) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.cards[h.Name]; known == nil || len(known.versions) < len(h.versions) {
		b.cards[h.Name] = h
	}
}
