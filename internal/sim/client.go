package sim

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// request is one command of a client, in the form in which it can be sent again.
type request struct {
	what         string
	method, path string
	key          string
	header       map[string]string
	body         []byte
	forgotten    bool // its key is not remembered: sent again, it is done again
	inTurn       bool // the server lets no two of these in at the same time

	// learn tells the auditor what the first success said.
	learn func(answer) error
	heard *answer // the first success that the client heard
}

// patience is how long a request may take to be queued or answered, in real time.
const patience = 5 * time.Minute

// untilQueued waits for a request to wait in the server's queue, or to have its
// answer without that.
func untilQueued(r *request, ended <-chan struct{}, isQueued func() bool) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !isQueued() {
		select {
		case <-ended:
			return nil
		case <-limit.C:
			return fmt.Errorf("%s is neither queued nor answered in %s", r, patience)
		default:
			runtime.Gosched()
		}
	}
	return nil
}

// hear takes in an answer that reached the client.
func (w *world) hear(r *request, a answer) error {
	switch {
	case a.status >= 500:
		return fmt.Errorf("%s is answered %d: %s", r, a.status, a.body)
	case r.heard != nil && !r.forgotten:
		return r.repeated(a)
	case !a.ok():
		w.report.Refused++
		return r.refused(a)
	}
	w.report.Acknowledged++
	if r.heard == nil && !r.forgotten {
		w.keep(r)
	}
	r.heard = &a
	return r.learn(a)
}

// repeated checks that a request that was acknowledged is answered as it was.
func (r *request) repeated(a answer) error {
	if a.status != r.heard.status || !a.replayed || !bytes.Equal(a.body, r.heard.body) {
		return fmt.Errorf("%s was answered %d %s, and with the same key now %d (replayed: %t) %s",
			r, r.heard.status, r.heard.body, a.status, a.replayed, a.body)
	}
	return nil
}

// refused checks that a sound request is refused for a reason that may be.
func (r *request) refused(a answer) error {
	switch a.status {
	case 402, 404, 409, 422:
		return nil
	}
	return fmt.Errorf("%s is refused with %d: %s", r, a.status, a.body)
}

func (r *request) String() string {
	return fmt.Sprintf("%s (%s %s, key %q, %s)", r.what, r.method, r.path, r.key, r.body)
}

// The bounds of what clients remember.
const (
	maxKept  = 200 // requests that may be sent again after their success
	maxDoubt = 40  // requests without an answer
	maxLate  = 40  // requests on their way
)

// keep remembers a request, to send it again some time.
func (w *world) keep(r *request) {
	if len(w.kept) < maxKept {
		w.kept = append(w.kept, r)
		return
	}
	w.kept[w.random.IntN(maxKept)] = r
}

// send puts a request on its way: at once, or late.
func (w *world) send(ctx context.Context, r *request) error {
	if len(w.late) < maxLate && w.chance(delayed) {
		w.late = append(w.late, r)
		return nil
	}
	return w.post(ctx, r)
}

// post puts a request into the present group, and sends the group when it is full.
// Of those that the server lets in one after the other, a group has one: a second
// would wait at the door for a commit that waits for the group.
func (w *world) post(ctx context.Context, r *request) error {
	if r.inTurn && slices.ContainsFunc(w.group, func(o *request) bool { return o.inTurn }) {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.group = append(w.group, r)
	if len(w.group) < w.groupSize {
		return nil
	}
	return w.flush(ctx)
}

// flush sends the present group. Answers get lost on their way back.
func (w *world) flush(ctx context.Context) error {
	group := w.group
	w.group, w.groupSize = nil, 1+w.random.IntN(maxGroup)
	if len(group) == 0 {
		return nil
	}
	w.report.Requests += len(group)
	answers, err := w.host.exchange(ctx, group)
	if err != nil {
		return err
	}
	for i, r := range group {
		w.transcribe(r, answers[i])
		if len(w.doubt) < maxDoubt && w.chance(lost) && r.heard == nil {
			w.lose(r)
			continue
		}
		if err := w.hear(r, answers[i]); err != nil {
			return err
		}
	}
	return nil
}

// lose puts a request among those of which nobody knows what came of them.
func (w *world) lose(r *request) {
	w.report.Lost++
	if !r.forgotten {
		w.doubt = append(w.doubt, r)
	}
}

// drain sends everything that is late or in doubt, until all of it has its answer.
func (w *world) drain(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	rest := append(w.late, w.doubt...)
	w.late, w.doubt = nil, nil
	for len(rest) > 0 {
		n := min(len(rest), maxGroup)
		answers, err := w.host.exchange(ctx, rest[:n])
		if err != nil {
			return err
		}
		w.report.Requests += n
		for i, r := range rest[:n] {
			w.transcribe(r, answers[i])
			if err := w.hear(r, answers[i]); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	return nil
}

// takeOut removes a random one of a list.
func takeOut(w *world, list *[]*request) *request {
	i := w.random.IntN(len(*list))
	r := (*list)[i]
	*list = append((*list)[:i:i], (*list)[i+1:]...)
	return r
}
