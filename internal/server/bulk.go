package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/usage"
)

// maxPart is how many events one unit of work records: a large batch is recorded in
// parts, so that others need not wait for the whole of it.
const maxPart = 500

// incomingKey is where a body is that has not been read.
type incomingKey struct{}

// incoming is a request whose body is read by the call itself, while it arrives.
type incoming struct {
	header http.Header
	body   io.Reader
	done   func() // the body was read to its end
}

// keepBody leaves the body to the call.
func (s *Server) keepBody(c call) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		body, err := c.incoming(w, r)
		if err == nil {
			err = c.checkMedia(r.Header.Get("Content-Type"))
		}
		if err != nil {
			s.writeFault(w, r, err)
			return
		}
		next(huma.WithValue(ctx, incomingKey{}, &incoming{r.Header, body, func() { noDeadline(w) }}))
	}
}

// reportUsage takes the events apart as they arrive, and then charges for them, in one
// unit of work or in several.
func (s *Server) reportUsage(ctx context.Context, p *WorkspacePath) (*written, error) {
	r, err := s.enter(ctx, eventsCall, p)
	if err != nil {
		return nil, err
	}
	ctx = context.WithValue(ctx, readingKey{}, r)
	in, _ := ctx.Value(incomingKey{}).(*incoming)
	request := once(ctx, eventsCall, p, nil)
	message := usage.Message{ContentType: in.header.Get("Content-Type"), Header: in.header.Get, Body: in.body, Check: checkPart}
	if request.Key != "" {
		message.Digest = ledger.NewDigest()
	}
	readings, err := usage.Read(message)
	switch {
	case err != nil && fault.Of(err) == nil:
		return nil, eventsCall.cutShort(err)
	case err != nil:
		return nil, err
	case request.Key != "":
		request.Digest = message.Digest.String()
	}
	in.done()
	return s.recordParts(ctx, p, request, readings)
}

// recordParts records the events in parts, each in a unit of work of its own. With a
// key each part is once by itself, under the digest of the whole body: the first under
// the route of the call, so that a small batch is as any other command, and the others
// under routes of their own. What a repeated call finds done it is answered as before,
// and what it finds undone it does.
func (s *Server) recordParts(ctx context.Context, p *WorkspacePath, request ledger.Request, readings []usage.Reading) (*written, error) {
	whole, route, isReplay := verdicts{}, request.Route, true
	for done := 0; done == 0 || done < len(readings); {
		part := readings[done:min(done+maxPart, len(readings))]
		if done > 0 {
			request.Route = fmt.Sprintf("%s from %d", route, done)
		}
		v, wasReplay, err := s.recordPart(ctx, p, request, part)
		if err != nil {
			return nil, partly(err, done, len(readings))
		}
		whole.join(&v)
		if done += v.count(); done == 0 {
			break // there are none
		}
		isReplay = isReplay && wasReplay
	}
	return writtenOf(ledger.Answer{Status: eventsCall.success(), Body: whole.body(), Replayed: isReplay}), nil
}

// recordPart records some of the events, or finds what they were answered before: an
// earlier release may have recorded more of them at once.
func (s *Server) recordPart(ctx context.Context, p *WorkspacePath, request ledger.Request, part []usage.Reading) (v verdicts, isReplay bool, err error) {
	r, err := s.enter(ctx, eventsCall, p)
	if err != nil {
		return v, false, err
	}
	r.sign(part)
	seen, err := usage.LookUp(ctx, s.db, r.id, part)
	if err != nil {
		return v, false, err
	}
	answer, err := s.update(ctx, eventsCall, p, request, func(u *unit) (any, error) {
		v = verdicts{}
		found, err := u.usage.Record(u.tx, u.id, part, seen)
		for i := range found {
			v.add(u.id, &found[i])
		}
		return json.RawMessage(v.body()), err
	})
	if err != nil || !answer.Replayed {
		return v, false, err
	}
	v, err = readVerdicts(answer.Body)
	return v, true, err
}

// sign notes who reports the events. Who may not name others reports what he used
// himself: an event that names nobody is his, and one that names another is refused.
func (r *reading) sign(part []usage.Reading) {
	target := org.Target{Organization: r.id.Organization, Workspace: r.id.Workspace}
	if r.actor.Operator {
		return
	}
	isOwn := !org.MayNameUsers(r.actor, target)
	for i := range part {
		e := &part[i]
		e.Key = r.actor.ID
		if !isOwn {
			continue
		}
		e.User = r.actor.User()
		if _, err := org.ForUser(r.actor, e.Event.User, target); err != nil && e.Fault == nil {
			e.Fault = fault.Of(err)
			e.Fault.Fields[0].Pointer = "/data/user"
		}
	}
}

// partly says of a failure how much was recorded before it. To send the same again is
// right whatever that is: no event counts twice.
func partly(err error, done, all int) error {
	f := fault.Of(err)
	if f == nil || done == 0 {
		return err
	}
	told := *f
	told.Values = maps.Clone(f.Values)
	told.Message = fmt.Sprintf("%d of %d events are recorded, then: %s. Send the same again: no event counts twice", done, all, f.Message)
	return told.With("recorded", done)
}
