package ledger

import (
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// A row of the state has the version that wrote it: the number of the last entry of
// the batch in which it last changed. The chain of the journal tells where batches
// begin. Entries that an earlier release wrote do not: a row that changed last among
// them has any version from that change on to the next batch that is known.

// versionsOf is what the versions of rows must be, as far as a replay has come.
type versionsOf struct {
	isKnown bool            // the entries since the last batch began are one batch
	spans   map[string]span // by table and id
	open    []string        // rows that changed in the present batch, if it is one
	ended   []endedRow      // what ended in the present batch, if it is one
}

// span is from which version to which; to is 0 while the batch is not over.
type span struct{ from, to int64 }

// endedRow is the row of something that has ended, with the version in it.
type endedRow struct {
	table   *db.Table
	id      string
	version any
}

func newVersionsOf() versionsOf { return versionsOf{spans: map[string]span{}} }

// change notes that an entry has changed a row.
func (v *versionsOf) change(row string, entry int64) {
	if s, found := v.spans[row]; v.isKnown && (!found || s.to != 0) {
		v.open = append(v.open, row)
	}
	v.spans[row] = span{from: entry}
}

// openBatch begins a batch with an entry.
func (r *replay) openBatch(entry int64) {
	r.closeBatch(entry - 1)
	r.versions.isKnown = true
}

// closeBatch ends the batch whose last entry this is.
func (r *replay) closeBatch(last int64) {
	v := &r.versions
	v.close(last)
	for _, e := range v.ended {
		if d := r.versioned(e.table, e.id, e.version); d != nil {
			r.suspect(e.table.Name+" "+e.id, d)
		}
		delete(v.spans, e.table.Name+" "+e.id)
	}
	v.open, v.ended = v.open[:0], v.ended[:0]
}

// close says which version wrote the rows that have changed. Before the first batch
// that is known, those are all rows.
func (v *versionsOf) close(last int64) {
	if !v.isKnown {
		for row, s := range v.spans {
			v.spans[row] = span{s.from, last}
		}
	}
	for _, row := range v.open {
		v.spans[row] = span{last, last}
	}
}

// endedBy checks the version of what has ended, at the end of the batch. Where no
// batch is known to have begun it is checked at once, so that nothing piles up.
func (r *replay) endedBy(t *db.Table, id string, version any) {
	if r.versions.isKnown {
		r.versions.ended = append(r.versions.ended, endedRow{t, id, version})
		return
	}
	name := t.Name + " " + id
	r.suspect(name, r.versioned(t, id, version))
	delete(r.versions.spans, name)
}

// versioned checks the version in a row. One whose batch has no end yet goes up to
// the last entry of all.
func (r *replay) versioned(t *db.Table, id string, version any) *Difference {
	s := r.versions.spans[t.Name+" "+id]
	if s.to == 0 {
		s.to = r.lastEntry()
	}
	if n, _ := version.(int64); n >= s.from && n <= s.to {
		return nil
	}
	want := number(s.to)
	if s.from != s.to {
		want = fmt.Sprintf("%d to %d", s.from, s.to)
	}
	return &Difference{t.Name, r.id.String(), id, "version", show(version), want}
}
