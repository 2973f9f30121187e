package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/purserhq/purser/internal/ledger"
)

const (
	captured  = "captures in the process"
	rawRows   = "raw inserts of the rows of captures"
	verifying = "verify, for each million postings"
	hotRatio  = "1,000 wallets"
	usual     = 512 // callers, where one number is asked for
)

// captures measures them in the process: against the raw rows on many wallets, then
// with other numbers of callers, then on one wallet.
func (b *bench) captures() error {
	many, err := b.againstRaw()
	if err != nil {
		return err
	}
	hot, err := b.callers(1)
	if err != nil {
		return err
	}
	var all []float64
	for i := range hot {
		all = append(all, hot[i].rate()/many[min(i, len(many)-1)].rate())
	}
	f := b.find(captured, usual, 1)
	f.Ratio, f.BestOf, f.To = median(all), slices.Max(all), hotRatio
	return nil
}

// againstRaw runs captures of 512 callers and the raw inserts of their rows in turn,
// then the other numbers of callers on the same wallets, and verifies the books.
func (b *bench) againstRaw() ([]sample, error) {
	ours, err := b.house(b.Form.Wallets)
	if err != nil {
		return nil, err
	}
	twin, url, err := b.twin()
	if err != nil {
		return nil, err
	}
	n := b.Form.Calls
	if err := errors.Join(ours.reserve(0, n*b.Form.Rounds), twin.reserve(0, n*b.Form.Rounds)); err != nil {
		return nil, err
	}
	raw, err := b.newRaw(twin, url)
	if err != nil {
		return nil, err
	}
	var did, limit []sample
	for r := range b.Form.Rounds {
		from := ours.db.Clock().Now()
		s, err := measure(usual, n, func(_, i int) error { return ours.capture(r*n + i) })
		if err != nil {
			return nil, err
		}
		did = append(did, s)
		rows, err := ours.rowsSince(from, r*n, n)
		if err != nil {
			return nil, err
		}
		if s, err = raw.write(rows, r*n, n); err != nil {
			return nil, fmt.Errorf("raw rows: %w", err)
		}
		limit = append(limit, s)
	}
	b.rounds(rawRows, raw.connections(), b.Form.Wallets, limit, "", nil)
	b.rounds(captured, usual, b.Form.Wallets, did, rawRows, limit)
	if err := errors.Join(raw.close(), twin.db.Close()); err != nil {
		return nil, err
	}
	if err := b.others(ours, n*b.Form.Rounds); err != nil {
		return nil, err
	}
	if err := b.verify(ours); err != nil {
		return nil, err
	}
	return did, ours.db.Close()
}

// house is new books with so many wallets.
func (b *bench) house(wallets int) (*house, error) {
	url, err := b.place.url()
	if err != nil {
		return nil, err
	}
	return open(b.ctx, url, wallets)
}

// twin is books in the same state, of which the rows are written raw.
func (b *bench) twin() (*house, string, error) {
	url, err := b.place.url()
	if err != nil {
		return nil, "", err
	}
	h, err := open(b.ctx, url, b.Form.Wallets)
	return h, url, err
}

// others measures all other numbers of callers; holds are numbered from next on.
func (b *bench) others(h *house, next int) error {
	for _, callers := range b.Form.Many {
		if callers == usual && len(h.ids) > 1 {
			continue
		}
		if _, err := b.withCallers(h, callers, &next); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) withCallers(h *house, callers int, next *int) (rounds []sample, err error) {
	n := b.Form.Calls
	if callers == 1 {
		n = b.Form.Alone
	}
	first := *next
	*next += n * b.Form.Rounds
	if err := h.reserve(first, *next); err != nil {
		return nil, err
	}
	for r := range b.Form.Rounds {
		s, err := measure(callers, n, func(_, i int) error { return h.capture(first + r*n + i) })
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, s)
	}
	b.rounds(captured, callers, len(h.ids), rounds, "", nil)
	return rounds, nil
}

// callers measures all numbers of callers on new wallets, and returns the rounds of
// the usual one.
func (b *bench) callers(wallets int) (usually []sample, err error) {
	h, err := b.house(wallets)
	if err != nil {
		return nil, err
	}
	next := 0
	for _, callers := range b.Form.Many {
		rounds, err := b.withCallers(h, callers, &next)
		if err != nil {
			return nil, err
		}
		if callers == usual {
			usually = rounds
		}
	}
	return usually, h.db.Close()
}

// verify proves the books that the captures have made, and measures it.
func (b *bench) verify(h *house) error {
	report, err := h.books.Verify(b.ctx, ledger.Options{})
	if err != nil {
		return err
	}
	if !report.IsClean() {
		return fmt.Errorf("the books do not verify: %s", report.First)
	}
	fmt.Fprintf(os.Stderr, "  %d postings verified in %s\n", report.Postings, report.Took)
	b.note(figure{Work: verifying, Wallets: len(h.ids), Value: report.Took.Seconds() * 1e6 / float64(max(report.Postings, 1)), Unit: " s"})
	return nil
}

// find is a figure of this database.
func (b *bench) find(work string, callers, wallets int) *figure {
	return b.report.find(b.place.name, work, callers, wallets)
}

func (r *report) find(database, work string, callers, wallets int) *figure {
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Database == database && f.Work == work && (callers < 0 || f.Callers == callers) && (wallets < 0 || f.Wallets == wallets) {
			return f
		}
	}
	return &figure{}
}
