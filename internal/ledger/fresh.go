package ledger

import (
	"context"
	"sync"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Where other servers write too, a wallet in memory is shown only if its version is
// still the one in its row. Readers that come while a question is under way ask
// together in the next one: a thousand readers cost two trips, not a thousand.

// askAtOnce is how many wallets one question is about.
const askAtOnce = 1000

// versions asks for the present versions of wallets.
type versions struct {
	db *db.DB

	mu      sync.Mutex
	waiting map[ID]*question
	asking  bool
}

// question is what readers of one wallet wait for together.
type question struct {
	version int64 // 0 if there is no such wallet
	err     error
	done    chan struct{}
}

// of is the version of a wallet at an instant after the call began.
func (v *versions) of(ctx context.Context, id ID) (int64, error) {
	v.mu.Lock()
	if v.waiting == nil {
		v.waiting = map[ID]*question{}
	}
	q := v.waiting[id]
	if q == nil {
		q = &question{done: make(chan struct{})}
		v.waiting[id] = q
	}
	if !v.asking {
		v.asking = true
		go v.ask()
	}
	v.mu.Unlock()
	select {
	case <-q.done:
		return q.version, q.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// ask asks until nobody waits.
func (v *versions) ask() {
	for {
		v.mu.Lock()
		questions := v.take()
		if v.asking = len(questions) > 0; !v.asking {
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
		err := v.answer(context.Background(), questions)
		for _, q := range questions {
			q.err = err
			close(q.done)
		}
	}
}

// take takes the questions that wait, at most askAtOnce. The caller holds mu.
func (v *versions) take() map[ID]*question {
	if len(v.waiting) <= askAtOnce {
		all := v.waiting
		v.waiting = map[ID]*question{}
		return all
	}
	some := make(map[ID]*question, askAtOnce)
	for id, q := range v.waiting {
		if some[id] = q; len(some) == askAtOnce {
			break
		}
	}
	for id := range some {
		delete(v.waiting, id)
	}
	return some
}

func (v *versions) answer(ctx context.Context, questions map[ID]*question) error {
	organizations, workspaces := make([]string, 0, len(questions)), make([]string, 0, len(questions))
	for id := range questions {
		organizations, workspaces = append(organizations, id.Organization), append(workspaces, id.Workspace)
	}
	return v.db.Glance(ctx, func(tx *db.Tx) error {
		err := tx.Each(func(r db.Scanner) error {
			var id ID
			var version int64
			err := r.Scan(&id.Organization, &id.Workspace, &version)
			if q := questions[id]; q != nil {
				q.version = version
			}
			return err
		}, `SELECT w.organization, w.workspace, w.version FROM unnest($1::text[], $2::text[]) AS asked (organization, workspace)
			JOIN wallets w ON w.organization = asked.organization AND w.workspace = asked.workspace`, organizations, workspaces)
		return fault.While("ask for the versions of wallets", err)
	})
}
