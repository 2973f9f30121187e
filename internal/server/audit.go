package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// unaudited are the calls that are not GETs and still have no entry in the audit log,
// and why. Every other one is recorded, by [Server.record] or [Server.recordTask].
var unaudited = map[string]string{
	"start-flow":     "the journal of the wallet has it, with the project, user and job that it is for",
	"change-flow":    "the journal of the wallet has it",
	"heartbeat-flow": "it is a proof of life and changes no terms; there are very many",
	"stop-flow":      "the journal of the wallet has it",
	"create-hold":    "the journal of the wallet has it, and holds are the hot path",
	"capture-hold":   "the journal of the wallet has it, and captures are the hot path",
	"release-hold":   "the journal of the wallet has it, and holds are the hot path",
	"report-usage":   "the journal of the wallet has it, and events are the hot path",
	"create-job":     "the job's row has who it is for and what it runs, the journal its flow",
	"verify":         "it changes nothing",
	"review-plan":    "it changes nothing",
	"look-up-code":   "it changes nothing, and is no GET only because a code in an address would end up in logs",

	"dry-run-auto-top-up": "it changes nothing",
}

// describeAudit says in the description that a registered call is recorded.
func (s *Server) describeAudit(c call) {
	if unaudited[c.id] == "" {
		s.operationOf(c).Extensions[auditedExtension] = true
	}
}

// origin is from where, and with what program, a request came.
type origin struct{ address, agent string }

// record puts what a command did into the audit log, in its unit of work. Before is
// what the command says was there (unit.before).
func (s *Server) record(u *unit, from origin, c call, p any, body []byte, answer any) error {
	if unaudited[c.id] != "" {
		return nil
	}
	before, err := jsonOf(u.before)
	if err != nil {
		return err
	}
	target, err := targetOf(&reading{id: u.id}, p, answer)
	if err != nil {
		return err
	}
	return s.audit.Record(u.tx, audit.Entry{
		Organization: u.id.Organization, Actor: u.actor.ID, Action: c.id, Target: target,
		Before: before, After: string(body), Address: from.address, Agent: from.agent,
	})
}

// recordTask is record for a call that has no unit of work: the entry comes after what
// was done, and a crash in between leaves it out.
func (s *Server) recordTask(r *reading, c call, p any, body []byte, answer any) error {
	if unaudited[c.id] != "" {
		return nil
	}
	return s.db.Update(db.InLane(r.ctx, cmp.Or(r.id.Organization, r.actor.ID)), func(tx *db.Tx) error {
		return s.record(&unit{Server: s, tx: tx, actor: r.actor, id: r.id}, visitorOf(r.ctx).origin, c, p, body, answer)
	})
}

func jsonOf(value any) (string, error) {
	if value == nil {
		return "", nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encode for the audit log: %w", err)
	}
	return string(text), nil
}

// targetOf names what a call was about: the workspace, the other ids of the path, and
// the id of what was made.
func targetOf(r *reading, p, answer any) (string, error) {
	var ids []string
	add := func(id string) {
		if id != "" && (len(ids) == 0 || ids[len(ids)-1] != id) {
			ids = append(ids, id)
		}
	}
	add(r.id.Workspace)
	v := reflect.ValueOf(p).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name := f.Tag.Get("path"); name != "" && name != "workspace" && name != "organization" && !audit.IsSecret(name) {
			add(fmt.Sprint(v.FieldByIndex(f.Index).Interface()))
		}
	}
	text, err := jsonOf(answer)
	if err != nil {
		return "", err
	}
	var made struct{ ID string }
	if json.Unmarshal([]byte(text), &made) == nil { // else it is no object, and has no id
		add(made.ID)
	}
	return cmp.Or(strings.Join(ids, "/"), r.id.Organization), nil
}

// maxRefusals is how many refusals the log takes in a minute: whoever tries and tries
// must not fill it. How many came besides stands in the next one.
const maxRefusals = 10

// refusalPatience is how long a refusal waits for its entry: none is better than no answer.
const refusalPatience = 2 * time.Second

// refusals counts those of the present minute.
type refusals struct {
	mu            sync.Mutex
	minute        int64
	taken, missed int64
}

// take reports whether one more may be written, and how many were not since the last.
func (r *refusals) take(now int64) (missed int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := now / db.Minute; minute != r.minute {
		r.minute, r.taken = minute, 0
	}
	if r.taken >= maxRefusals {
		r.missed++
		return 0, false
	}
	r.taken++
	missed, r.missed = r.missed, 0
	return missed, true
}

// noteRefusal records that somebody was not known, or not allowed to do something. It
// is a note beside the answer: that it could not be written goes to the log of the
// server, and changes nothing for who was refused.
func (s *Server) noteRefusal(ctx context.Context, from origin, c call, r *reading, err error) {
	f := fault.Of(err)
	if f == nil || f.Kind != fault.Forbidden && f.Kind != fault.Unauthorized {
		return
	}
	missed, ok := s.refusals.take(s.now())
	if !ok {
		return
	}
	what := map[string]any{"call": c.id, "why": f.Code}
	if missed > 0 {
		what["besides"] = missed
	}
	after, err := jsonOf(what)
	if err == nil {
		lane, cancel := context.WithTimeout(db.InLane(context.WithoutCancel(ctx), r.id.Organization), refusalPatience) // who goes away is noted all the same
		defer cancel()
		err = s.db.Update(lane, func(tx *db.Tx) error {
			return s.audit.Record(tx, audit.Entry{
				Organization: r.id.Organization, Actor: r.actor.ID, Action: audit.Refused,
				Target: cmp.Or(r.id.Workspace, r.id.Organization, c.id), After: after, Address: from.address, Agent: from.agent,
			})
		})
	}
	if err != nil {
		s.log.WarnContext(ctx, "a refusal is not in the audit log", "request_id", requestID(ctx), "error", err)
	}
}
