package project

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
)

// Book is the projects of all workspaces. It remembers what it has read of them, so that
// a start costs no trip to the database: on one that servers share, it is asked with the
// batch's writes whether what was remembered still holds.
type Book struct {
	books    *ledger.Ledger
	mu       sync.RWMutex
	rules    map[ledger.ID]*Rules
	changing atomic.Int64 // batches that change some, and are not over
}

// NewBook returns the projects of the workspaces whose wallets stand in the books.
func NewBook(books *ledger.Ledger) *Book {
	return &Book{books: books, rules: map[ledger.ID]*Rules{}}
}

// Rules is all projects of a workspace, as a unit of work sees them. It is not changed
// once others see it.
type Rules struct {
	version  int64
	IsStrict bool // what starts must name a project that there is
	projects map[string]*Project
}

// named is the project of an id or slug, or nil.
func (r *Rules) named(name string) *Project {
	if p := r.projects[name]; p != nil {
		return p
	}
	for _, p := range r.projects {
		if p.ID == name {
			return p
		}
	}
	return nil
}

// maxRemembered is of how many workspaces the rules are remembered.
const maxRemembered = 20_000

// inBatch is what a batch knows of the rules: it is remembered once it is durable.
type inBatch struct {
	book     *Book
	rules    map[ledger.ID]*Rules
	assumed  map[ledger.ID]bool // taken to be as they are remembered
	isChange bool
}

func (b *Book) inBatch(tx *db.Tx) *inBatch {
	return tx.Member(b, func() db.Member {
		return &inBatch{book: b, rules: map[ledger.ID]*Rules{}, assumed: map[ledger.ID]bool{}}
	}).(*inBatch)
}

// Flush has nothing to write: rows are written as they are changed.
func (*inBatch) Flush(*db.Tx) error { return nil }

// Done remembers what was committed.
func (in *inBatch) Done(committed bool) {
	if committed {
		for id, r := range in.rules {
			in.book.remember(id, r)
		}
	}
	if in.isChange { // before it was remembered, others had to look
		in.book.changing.Add(-1)
	}
}

func (b *Book) remembered(id ledger.ID) *Rules {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.rules[id]
}

func (b *Book) remember(id ledger.ID, r *Rules) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.rules[id]
	if known != nil && known.version >= r.version {
		return
	}
	if known == nil && len(b.rules) >= maxRemembered {
		clear(b.rules)
	}
	b.rules[id] = r
}

// Rules returns the rules of a workspace. Whoever refuses by them need not ask again: if
// what is remembered no longer holds, all units of the batch run once more.
func (b *Book) Rules(tx *db.Tx, id ledger.ID) (*Rules, error) {
	if !tx.IsUpdate() {
		return b.lookUp(tx, id)
	}
	batch := b.inBatch(tx)
	if r := batch.rules[id]; r != nil {
		return r, nil
	}
	if r := b.remembered(id); r != nil && b.changing.Load() == 0 && tx.Assume("", r.version, presentVersion, id.Organization, id.Workspace) {
		batch.rules[id], batch.assumed[id] = r, tx.IsShared()
		return r, nil
	}
	r, err := b.lookUp(tx, id)
	if err == nil {
		batch.rules[id] = r
	}
	return r, err
}

// presentVersion is 0 for a workspace that never had a project.
const presentVersion = `SELECT COALESCE((SELECT version FROM project_rules WHERE organization = $1 AND workspace = $2), 0)`

// lookUp reads the rules, as far as they are other than what is remembered.
func (b *Book) lookUp(tx *db.Tx, id ledger.ID) (*Rules, error) {
	r, strict := &Rules{projects: map[string]*Project{}}, int64(0)
	err := tx.QueryRow(`SELECT version, strict FROM project_rules WHERE organization = $1 AND workspace = $2`,
		id.Organization, id.Workspace).Scan(&r.version, &strict)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the rules of projects: %w", err)
	}
	r.IsStrict = strict != 0
	switch known := b.remembered(id); {
	case known != nil && known.version == r.version:
		return known, nil
	case r.version == 0:
		return r, nil
	}
	return r, b.readAll(tx, id, r)
}

func (b *Book) readAll(tx *db.Tx, id ledger.ID, r *Rules) error {
	found, err := db.All(tx, scan(id), columns, id.Organization, id.Workspace)
	if err != nil {
		return fmt.Errorf("read the projects: %w", err)
	}
	for _, p := range found {
		r.projects[p.Slug] = p
	}
	return nil
}

// change makes the next version of a workspace's rules. Its row is locked until the
// batch ends, so that two servers change them one after the other.
func (b *Book) change(tx *db.Tx, id ledger.ID, edit func(*Rules) error) error {
	batch := b.inBatch(tx)
	if batch.assumed[id] { // by this very batch, which would find that it has changed
		return tx.Again()
	}
	r, strict := &Rules{projects: map[string]*Project{}}, int64(0)
	err := tx.QueryRow(`INSERT INTO project_rules (organization, workspace, version, strict) VALUES ($1, $2, 1, 0)
		ON CONFLICT (organization, workspace) DO UPDATE SET version = project_rules.version + 1 RETURNING version, strict`,
		id.Organization, id.Workspace).Scan(&r.version, &strict)
	if err != nil {
		return fmt.Errorf("change the rules of projects: %w", err)
	}
	r.IsStrict = strict != 0
	if err := b.readAll(tx, id, r); err != nil {
		return err
	}
	if err := edit(r); err != nil {
		return err
	}
	if !batch.isChange {
		batch.isChange = true
		b.changing.Add(1)
	}
	batch.rules[id] = r
	return b.books.Declare(tx, ledger.ProjectRules, id.Organization, id.Workspace, r.version, db.Flag(r.IsStrict))
}

// SetStrict says whether what starts in a workspace must name a project that there is.
func (b *Book) SetStrict(tx *db.Tx, id ledger.ID, isStrict bool) error {
	return b.change(tx, id, func(r *Rules) error {
		r.IsStrict = isStrict
		_, err := tx.Exec(`UPDATE project_rules SET strict = $3 WHERE organization = $1 AND workspace = $2`,
			id.Organization, id.Workspace, db.Flag(isStrict))
		if err != nil {
			return fmt.Errorf("change the rules of projects: %w", err)
		}
		return nil
	})
}
