package price

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Span says that a card prices an organization from an instant on, until the next one
// does.
type Span struct {
	Card string
	From int64
}

// assigned is by which cards an organization is priced, as one unit of work sees it. It
// is not changed once it is made.
type assigned struct {
	rows  int    // that were ever written
	spans []Span // those that take or took force, by instant; before the first it is [Default]
}

// with is what it comes to with one more row: earlier ones that begin then or later never
// take force.
func (a *assigned) with(s Span) *assigned {
	kept := sort.Search(len(a.spans), func(i int) bool { return a.spans[i].From >= s.From })
	return &assigned{a.rows + 1, append(a.spans[:kept:kept], s)}
}

// from are the spans from an instant on, the one in force then first; one that changes
// nothing is left out.
func (a *assigned) from(at int64) []Span {
	spans := []Span{{Default, at}}
	for _, s := range a.spans {
		switch {
		case s.From <= at:
			spans[0].Card = s.Card
		case s.Card != spans[len(spans)-1].Card:
			spans = append(spans, s)
		}
	}
	return spans
}

// For returns what prices an organization at any instant: the versions of the cards that
// it is assigned to, each in its span, and the card [Default] where there is none.
func (b *Book) For(tx *db.Tx, organization string) (*History, error) {
	a, err := b.assigned(tx, organization)
	if err != nil {
		return nil, err
	}
	if len(a.spans) == 0 {
		return b.History(tx, Default)
	}
	if !tx.IsUpdate() {
		return b.compose(tx, a)
	}
	batch := b.inBatch(tx)
	h := batch.composed[organization]
	if h == nil {
		if h, err = b.compose(tx, a); err == nil {
			batch.composed[organization] = h
		}
	}
	return h, err
}

// compose puts the histories of cards together. A version that takes force at the very
// end of a span stands before the next card's: it prices what that does not sell.
func (b *Book) compose(tx *db.Tx, a *assigned) (*History, error) {
	out := &History{}
	spans := append([]Span{{Default, math.MinInt64}}, a.spans...)
	for i, s := range spans {
		h, err := b.History(tx, s.Card)
		if err != nil {
			return nil, err
		}
		end := int64(math.MaxInt64)
		if i+1 < len(spans) {
			end = spans[i+1].From
		}
		out.turns = append(out.turns, turn{s.From, h.At(s.From)})
		for _, t := range h.turns[h.turnAt(s.From)+1:] {
			if t.at <= end {
				out.turns = append(out.turns, t)
			}
		}
	}
	return out, nil
}

// Assign says by which cards an organization is priced from now on, the first of them at
// once, and tells what runs there. What was scheduled before no longer counts; that
// nothing changes is no change.
func (b *Book) Assign(tx *db.Tx, organization string, spans []Span) error {
	if b.inBatch(tx).isAssumed {
		return tx.Again()
	}
	if err := tx.Exclude(cardLock); err != nil {
		return fmt.Errorf("wait for the rate cards of %s: %w", organization, err)
	}
	a, err := b.assigned(tx, organization)
	if err != nil {
		return err
	}
	next := &assigned{}
	for _, s := range spans {
		next = next.with(Span{s.Card, max(s.From, tx.Now())})
	}
	wanted := next.from(tx.Now())
	if slices.Equal(wanted, a.from(tx.Now())) {
		return nil
	}
	for _, s := range wanted {
		if _, err := b.History(tx, s.Card); err != nil {
			return err
		}
		a = a.with(s)
		if _, err := tx.Exec(`INSERT INTO priced_by (organization, no, card, from_at, created_at) VALUES ($1, $2, $3, $4, $5)`,
			organization, a.rows, s.Card, s.From, tx.Now()); err != nil {
			return fmt.Errorf("assign a rate card to %s: %w", organization, err)
		}
		if err := b.books.Declare(tx, ledger.PricedBy, organization, a.rows, s.Card, s.From, tx.Now()); err != nil {
			return err
		}
	}
	batch := b.inBatch(tx)
	batch.assigned[organization] = a
	b.change(batch)
	return b.retell(tx, organization)
}

const latestAssignment = `SELECT COALESCE(MAX(no), 0) FROM priced_by WHERE organization = $1`

// assigned reads by which cards an organization is priced, as [Book.read] reads a card.
func (b *Book) assigned(tx *db.Tx, organization string) (a *assigned, err error) {
	if !tx.IsUpdate() {
		if a, err = b.lookUpAssigned(tx, organization); err == nil {
			b.rememberAssigned(organization, a)
		}
		return a, err
	}
	batch := b.inBatch(tx)
	if a = batch.assigned[organization]; a != nil {
		return a, nil
	}
	a = b.rememberedAssigned(organization)
	if a != nil && b.changing.Load() == 0 && tx.Assume(cardLock, int64(a.rows), latestAssignment, organization) {
		batch.assigned[organization] = a
		batch.isAssumed = tx.IsShared()
		return a, nil
	}
	if err := tx.Share(cardLock); err != nil {
		return nil, fmt.Errorf("wait for the rate cards of %s: %w", organization, err)
	}
	if a, err = b.lookUpAssigned(tx, organization); err == nil {
		batch.assigned[organization] = a
	}
	return a, err
}

func (b *Book) lookUpAssigned(tx *db.Tx, organization string) (*assigned, error) {
	a := &assigned{}
	err := tx.Each(func(r db.Scanner) error {
		var s Span
		err := r.Scan(&s.Card, &s.From)
		a = a.with(s)
		return err
	}, `SELECT card, from_at FROM priced_by WHERE organization = $1 ORDER BY no`, organization)
	if err != nil {
		return nil, fmt.Errorf("read the rate cards of %s: %w", organization, err)
	}
	return a, nil
}

func (b *Book) rememberedAssigned(organization string) *assigned {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.organizations[organization]
}

func (b *Book) rememberAssigned(organization string, a *assigned) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.organizations[organization]; known == nil || known.rows < a.rows {
		b.organizations[organization] = a
	}
}

// pricedBy are the organizations that were ever assigned to a card.
func pricedBy(tx *db.Tx, card string) ([]string, error) {
	names, err := db.All(tx, db.Value[string], `SELECT DISTINCT organization FROM priced_by WHERE card = $1 ORDER BY organization`, card)
	if err != nil {
		return nil, fmt.Errorf("find whom the rate card %s prices: %w", card, err)
	}
	return names, nil
}

// retell gives what runs in an organization the prices that are its own from now on,
// those of later included. What has them already is not told.
func (b *Book) retell(tx *db.Tx, organization string) error {
	h, err := b.For(tx, organization)
	if err != nil {
		return err
	}
	ids, err := b.books.RunningOf(tx, organization)
	if err != nil {
		return err
	}
	for _, id := range ids {
		present, err := b.books.Apply(tx, id)
		if err == nil {
			_, err = b.books.Apply(tx, id, h.corrections(present.Wallet.Flows(), present.At)...)
		}
		if err != nil {
			return fmt.Errorf("reprice what runs in %s: %w", id, err)
		}
	}
	return nil
}

// corrections are what gives running flows the prices of the history from the instant on.
func (h *History) corrections(flows []*wallet.Flow, at int64) (commands []wallet.Command) {
	told := map[offer]bool{}
	for _, f := range flows {
		for i := range f.Items {
			it := &f.Items[i]
			o := offer{it.SKU, it.Tier}
			card := h.last(it.SKU, it.Tier, at)
			if told[o] || card == nil {
				continue
			}
			price, _ := card.price(it.SKU, it.Tier)
			steps := h.steps(it.SKU, it.Tier, price, at)
			if it.Price == price && slices.EqualFunc(it.Next, steps, sameStep) {
				continue
			}
			told[o] = true
			for _, s := range append([]wallet.Step{{At: at, Price: price, Card: card.Name, Version: card.Version}}, steps...) {
				commands = append(commands, wallet.Reprice{SKU: it.SKU, Tier: it.Tier, Step: s})
			}
		}
	}
	return commands
}

// sameStep compares what a step was told to be: its rate is the item's.
func sameStep(a, b wallet.Step) bool {
	return a.At == b.At && a.Price == b.Price && a.Card == b.Card && a.Version == b.Version
}

// lower takes a percentage off a price, rounded down once.
func lower(price credit.Amount, percent int64) credit.Amount {
	keep := credit.Amount(100 - percent)
	return price/100*keep + price%100*keep/100
}
