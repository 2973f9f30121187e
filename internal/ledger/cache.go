package ledger

import (
	"container/list"
	"context"
	"sync"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// The limits of what is kept in memory; the least recently used goes first.
const (
	maxBooks = 20_000    // wallets
	maxRows  = 1_000_000 // lots, flows and holds in them
	maxViews = 50_000    // what readers see
)

// shelf holds the wallets that the writer works on. Only units of work touch it,
// and they run one after the other.
type shelf struct {
	books map[ID]*list.Element // of *book
	order *list.List           // the least recently used last
	rows  int
}

func newShelf() shelf { return shelf{map[ID]*list.Element{}, list.New(), 0} }

func (s *shelf) get(id ID) *book {
	e := s.books[id]
	if e == nil {
		return nil
	}
	s.order.MoveToFront(e)
	return e.Value.(*book)
}

func (s *shelf) put(b *book) {
	s.books[b.ID] = s.order.PushFront(b)
	s.rows += b.rows
}

// grew counts rows that a wallet got since it was read.
func (s *shelf) grew(b *book, rows int) {
	b.rows += rows
	s.rows += rows
}

func (s *shelf) drop(id ID) {
	if e := s.books[id]; e != nil {
		s.rows -= e.Value.(*book).rows
		s.order.Remove(e)
		delete(s.books, id)
	}
}

// trim makes room, between batches: every wallet equals its rows then.
func (s *shelf) trim() {
	for len(s.books) > 1 && (len(s.books) > maxBooks || s.rows > maxRows) {
		s.drop(s.order.Back().Value.(*book).ID)
	}
}

// Snapshot is a wallet as of a commit.
type Snapshot struct {
	View    *wallet.View
	Version int64
}

// shown is what readers see: for wallets in use, the state of the last commit.
type shown struct {
	mu        sync.RWMutex
	snapshots map[ID]Snapshot
	dropped   int64 // how many times one was dropped to make room
	watchers  map[ID]map[chan struct{}]struct{}
	told      map[ID]int64 // for which version the watchers were woken last
}

func newShown() *shown {
	return &shown{snapshots: map[ID]Snapshot{}, watchers: map[ID]map[chan struct{}]struct{}{}, told: map[ID]int64{}}
}

// publish shows a wallet's committed state and wakes who watches it.
func (s *shown) publish(id ID, snapshot Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(id, snapshot)
	s.wake(id, snapshot.Version)
}

// wake wakes who watches a wallet that has come to a version. The caller holds mu.
func (s *shown) wake(id ID, version int64) {
	if s.watchers[id] == nil {
		return
	}
	s.told[id] = version
	for changes := range s.watchers[id] {
		select {
		case changes <- struct{}{}:
		default: // it has not looked since the last change
		}
	}
}

func (s *shown) put(id ID, snapshot Snapshot) {
	if len(s.snapshots) >= maxViews {
		for other := range s.snapshots {
			delete(s.snapshots, other)
			s.dropped++
			break
		}
	}
	s.snapshots[id] = snapshot
}

func (s *shown) get(id ID) (snapshot Snapshot, found bool, dropped int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	snapshot, found = s.snapshots[id]
	return snapshot, found, s.dropped
}

// offer shows what a reader has read from rows, unless a commit was faster. If
// one was dropped meanwhile, it could have been the newer one: nothing is shown.
func (s *shown) offer(id ID, read Snapshot, dropped int64) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if newer, ok := s.snapshots[id]; ok && newer.Version >= read.Version {
		return newer
	}
	if s.dropped == dropped {
		s.put(id, read)
	}
	return read
}

// View is a wallet as of the last commit. It may be read by many at once, and
// answers for any instant from its own on.
func (l *Ledger) View(ctx context.Context, id ID) (*wallet.View, error) {
	snapshot, err := l.Snapshot(ctx, id)
	return snapshot.View, err
}

// Snapshot is a View with the version of the wallet.
func (l *Ledger) Snapshot(ctx context.Context, id ID) (Snapshot, error) {
	snapshot, found, dropped := l.shown.get(id)
	if found && l.db.IsShared() {
		version, err := l.versions.of(ctx, id)
		if err != nil {
			return Snapshot{}, err
		}
		found = version <= snapshot.Version // it may have moved on here meanwhile
	}
	if found {
		return snapshot, nil
	}
	err := l.db.View(ctx, func(tx *db.Tx) (err error) {
		snapshot, err = read(tx, id)
		return err
	})
	if err != nil {
		return Snapshot{}, err
	}
	return l.shown.offer(id, snapshot, dropped), nil
}

func read(tx *db.Tx, id ID) (Snapshot, error) {
	b, err := load(tx, id)
	if err != nil {
		return Snapshot{}, err
	}
	return Snapshot{b.wallet.View(), b.version()}, nil
}

// Watch gives a channel that holds a token whenever the wallet has changed since
// the last was taken, until cancel is called.
func (l *Ledger) Watch(id ID) (changes <-chan struct{}, cancel func()) {
	s, c := l.shown, make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers[id] == nil {
		s.watchers[id] = map[chan struct{}]struct{}{}
	}
	s.watchers[id][c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.watchers[id], c); len(s.watchers[id]) == 0 {
			delete(s.watchers, id)
			delete(s.told, id)
		}
	}
}
