package invoice

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/purserhq/purser/internal/db"
)

// Numbers are allotted in the unit of work that writes the document, but at the very end
// of its batch: all documents of the batch take theirs with one statement for each series,
// right before the commit. So the row of a series is locked for the moment of that commit
// alone, nobody who issues nothing waits for it, and of a batch that is undone, or that a
// crash cut off, neither the documents nor the numbers are there.

// draft is a document that waits for its number.
type draft struct {
	doc    *Document
	source string
	prefix string
	mailed []string // to whom it goes
}

// drafts gather what the units of a batch issue. It is a [db.Member].
type drafts struct {
	desk *Desk
	all  []*draft
}

// last is the member that comes behind all others, so that they write what they have
// before the numbers are locked.
type last struct{ *drafts }

func (d *Desk) drafts(tx *db.Tx) *drafts {
	return tx.Member(d, func() db.Member { return &drafts{desk: d} }).(*drafts)
}

// find is the draft of this kind about this source.
func (d *drafts) find(organization string, kind Kind, source string) *Document {
	for _, draft := range d.all {
		if draft.doc.Buyer.ID == organization && draft.doc.Kind == kind && draft.source == source {
			return draft.doc
		}
	}
	return nil
}

// Flush leaves the work to a member that joins now, and so is the last.
func (d *drafts) Flush(tx *db.Tx) error {
	tx.Member(last{d}, func() db.Member { return last{d} })
	return nil
}

// Done forgets.
func (d *drafts) Done(bool) {}

// Flush gives every document its number and writes it.
func (l last) Flush(tx *db.Tx) error {
	wanted := map[string]int64{}
	for _, draft := range l.all {
		wanted[draft.series()]++
	}
	next := map[string]int64{}
	for _, name := range slices.Sorted(maps.Keys(wanted)) { // in one order, so that servers do not wait for each other in a circle
		end, err := allot(tx, name, wanted[name])
		if err != nil {
			return err
		}
		next[name] = end - wanted[name]
	}
	for _, draft := range l.all {
		name := draft.series()
		next[name]++
		if draft.doc.Number = fmt.Sprintf("%s-%06d", name, next[name]); draft.doc.Corrects != nil {
			if err := l.complete(tx, draft.doc); err != nil {
				return err
			}
		}
		if err := l.desk.write(tx, draft); err != nil {
			return err
		}
	}
	return nil
}

// complete names what a document corrects by its number, which it may have got just now.
func (l last) complete(tx *db.Tx, note *Document) error {
	for _, other := range l.all {
		if other.doc.ID == note.Corrects.ID {
			note.Corrects.Number = other.doc.Number
			return nil
		}
	}
	if note.Corrects.Number == "" {
		return errors.New("a document without the number of what it corrects")
	}
	return nil
}

// series is the name of the row that counts: the prefix and the year.
func (d *draft) series() string {
	return fmt.Sprintf("%s-%04d", d.prefix, d.doc.IssuedAt.time().Year())
}

// allot takes the next n numbers of a series, and returns the last of them.
func allot(tx *db.Tx, name string, n int64) (end int64, err error) {
	err = tx.QueryRow(`INSERT INTO series (name, last) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET last = series.last + excluded.last RETURNING last`, name, n).Scan(&end)
	if err != nil {
		return 0, fmt.Errorf("allot numbers of %s: %w", name, err)
	}
	return end, nil
}

// write makes a document final, and writes it with the mails that carry it.
func (d *Desk) write(tx *db.Tx, draft *draft) error {
	doc := draft.doc
	content, digest, err := doc.canonical()
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO invoices (organization, id, kind, number, source, at, content, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		doc.Buyer.ID, doc.ID, string(doc.Kind), doc.Number, draft.source, int64(doc.IssuedAt), content, digest)
	if err != nil {
		return fmt.Errorf("write document %s: %w", doc.Number, err)
	}
	return d.post(tx, draft)
}
