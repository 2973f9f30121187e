package ledger

import (
	"context"
	"time"
)

// followEvery is how often the wallets that somebody watches are compared with their
// rows, which another server may have changed.
const followEvery = 250 * time.Millisecond

// Follow wakes those who watch a wallet when another server has changed it, until ctx
// ends. Where no other server can, it only waits.
func (l *Ledger) Follow(ctx context.Context) error {
	if l.db.Self() == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := l.followOnce(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("what other servers do cannot be followed; it is tried again", "error", err)
		}
	}
}

// followOnce asks for the versions of all wallets that are watched, and has those read
// again that have moved on.
func (l *Ledger) followOnce(ctx context.Context) error {
	watched := l.shown.watched()
	for len(watched) > 0 {
		some := watched[:min(len(watched), askAtOnce)]
		watched = watched[len(some):]
		questions := make(map[ID]*question, len(some))
		for _, id := range some {
			questions[id] = &question{}
		}
		if err := l.versions.answer(ctx, questions); err != nil {
			return err
		}
		for id, q := range questions {
			l.shown.moved(id, q.version)
		}
	}
	return nil
}

// watched are the wallets that somebody watches.
func (s *shown) watched() (ids []ID) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id := range s.watchers {
		ids = append(ids, id)
	}
	return ids
}

// moved wakes who watches a wallet if it has come to a version that nobody was woken
// for.
func (s *shown) moved(id ID, version int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[id] < version {
		s.wake(id, version)
	}
}
