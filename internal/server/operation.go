package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

// actionExtension is where the description says which action a call is.
const actionExtension = "x-purser-action"

// auditedExtension is where it says that a call leaves an entry in the audit log.
const auditedExtension = "x-purser-audited"

// maxKey bounds an Idempotency-Key.
const maxKey = 255

// call declares an operation: everything but what it does. Every call names the
// action that [org.Can] decides about; the empty action is for those that need
// no credential.
type call struct {
	id, method, path string
	tag              string
	summary          string
	description      string
	action           org.Action
	status           int    // of success; 200 if 0
	media            string // of the body, if not only application/json
	limit            int64  // of the body in bytes; maxBody if 0
	optional         bool   // the body may be missing
	middlewares      huma.Middlewares
	repeatable       bool // doing it again does no harm: its answer is not kept under its key
}

func (c call) success() int {
	if c.status == 0 {
		return http.StatusOK
	}
	return c.status
}

func (c call) operation() huma.Operation {
	op := huma.Operation{
		OperationID: c.id, Method: c.method, Path: c.path, Summary: c.summary, Description: c.description,
		Tags: []string{c.tag}, DefaultStatus: c.success(),
		Extensions:                   map[string]any{},
		RejectUnknownQueryParameters: true,
	}
	if c.action != "" {
		op.Extensions[actionExtension] = string(c.action)
		op.Security = []map[string][]string{{"bearer": {}}}
	}
	switch {
	case c.method == http.MethodGet:
	case c.repeatable:
		op.Parameters = append(op.Parameters, freeKeyParameter)
		op.Description = strings.TrimSpace(op.Description + " " + repeatableNote)
	default:
		op.Parameters = append(op.Parameters, keyParameter)
	}
	return op
}

var keyParameter = &huma.Param{
	Name: "Idempotency-Key", In: "header",
	Description: "Any text of the caller's. The same key with the same body gives the first answer again.",
	Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: intPointer(maxKey)},
}

// repeatableNote is said of every call whose answer is not kept.
const repeatableNote = "An Idempotency-Key is taken and not remembered: every request is carried out, " +
	"the same again as well as one with another body, and none is an idempotency_mismatch."

var freeKeyParameter = &huma.Param{
	Name: "Idempotency-Key", In: "header", Description: "Taken and not remembered.",
	Schema: &huma.Schema{Type: huma.TypeString, MaxLength: intPointer(maxKey)},
}

func intPointer(n int) *int { return &n }

// query registers a call that only reads. P are its parameters.
func query[P, O any](s *Server, c call, read func(*reading, *P) (O, error)) {
	type output struct{ Body O }
	op := c.operation()
	op.Middlewares = huma.Middlewares{s.admit(c)}
	huma.Register(s.api, op, func(ctx context.Context, p *P) (*output, error) {
		r, err := s.enter(ctx, c, p)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		answer, err := read(r, p)
		if err != nil {
			return nil, s.failed(ctx, aboutParameters(err))
		}
		return &output{answer}, nil
	})
}

// reading is what a read works with.
type reading struct {
	*Server
	ctx   context.Context
	actor org.Actor
	id    ledger.ID // of the workspace that the path names
}

// view runs fn on a consistent snapshot.
func (r *reading) view(fn func(*db.Tx) error) error { return r.db.View(r.ctx, fn) }

// unit is what a command works with, inside its unit of work.
type unit struct {
	*Server
	tx    *db.Tx
	actor org.Actor
	id    ledger.ID // of the workspace that the path names

	before any // what the audit log is told of what was there before
}

// none is the body of calls that take none.
type none struct{}

// command registers a call that changes something. It runs in one unit of work,
// once for each Idempotency-Key: P are its parameters, B is its body.
func command[P, B, O any](s *Server, c call, do func(*unit, *P, *B) (O, error)) {
	commandThen(s, c, do, nil)
}

// commandThen registers a command that is not over with its unit of work: then
// does the rest, and does it again if the request is repeated. What it returns is the
// answer.
func commandThen[P, B, O any](s *Server, c call, do func(*unit, *P, *B) (O, error), then func(context.Context, O) (O, error)) {
	register(s, c, func(ctx context.Context, p *P, body *B, raw []byte) (*written, error) {
		answer, err := s.update(ctx, c, p, once(ctx, c, p, raw), func(u *unit) (any, error) { return do(u, p, body) })
		if err != nil {
			return nil, err
		}
		if then != nil {
			var value O
			if err := json.Unmarshal(answer.Body, &value); err != nil {
				return nil, fmt.Errorf("read the answer of %s: %w", c.id, err)
			}
			if value, err = then(ctx, value); err != nil {
				return nil, err
			}
			if answer.Body, err = json.Marshal(value); err != nil {
				return nil, fmt.Errorf("encode the answer of %s: %w", c.id, err)
			}
		}
		return writtenOf(answer), nil
	}, schemaOf[O](s))
	s.describeAudit(c)
}

// task registers a POST that has no unit of work of its own, and no record of its key:
// it changes nothing, or opens its units itself. What it changes is audited after it.
func task[P, B, O any](s *Server, c call, do func(*reading, *P, *B) (O, error)) {
	register(s, c, func(ctx context.Context, p *P, body *B, raw []byte) (*written, error) {
		r, err := s.enter(ctx, c, p)
		if err != nil {
			return nil, err
		}
		value, err := do(r, p, body)
		if err == nil {
			err = s.recordTask(r, c, p, raw, value)
		}
		if err != nil {
			s.noteRefusal(ctx, visitorOf(ctx).origin, c, r, err)
			return nil, err
		}
		answer, err := json.Marshal(value)
		return &written{Status: c.success(), Body: answer}, err
	}, schemaOf[O](s))
	s.describeAudit(c)
}

// written is the answer to a call that has a body.
type written struct {
	Replayed string `header:"Idempotent-Replayed"`
	Status   int
	Body     json.RawMessage
}

func writtenOf(a ledger.Answer) *written {
	out := &written{Status: a.Status, Body: a.Body}
	if a.Replayed {
		out.Replayed = "true"
	}
	return out
}

// register registers a call with a JSON body.
func register[P, B any](s *Server, c call, do func(context.Context, *P, *B, []byte) (*written, error), answer *huma.Schema) {
	body := schemaOf[B](s)
	registerRaw(s, c, answer, func(ctx context.Context, p *P, raw []byte) (*written, error) {
		r, err := s.enter(withProject[B](ctx, raw), c, p) // first of all: who may not, is not told what is wrong
		if err != nil {
			return nil, err
		}
		ctx = context.WithValue(ctx, readingKey{}, r)
		var b B
		if err := decode(s.schemas(), body, raw, &b); err != nil {
			return nil, err
		}
		return do(ctx, p, &b, raw)
	})
	if reflect.TypeFor[B]() != reflect.TypeFor[none]() {
		s.describeBody(c, body)
	}
}

func registerRaw[P any](s *Server, c call, answer *huma.Schema, do func(context.Context, *P, []byte) (*written, error)) {
	registerBehind(s, c, s.readBody(c), answer, func(ctx context.Context, p *P) (*written, error) { return do(ctx, p, bodyOf(ctx)) })
}

// registerBehind registers a call behind the middleware that takes its body in.
func registerBehind[P any](s *Server, c call, body func(huma.Context, func(huma.Context)), answer *huma.Schema,
	do func(context.Context, *P) (*written, error)) {
	op := c.operation()
	op.Middlewares = append(c.middlewares, s.admit(c), body)
	op.Responses = map[string]*huma.Response{fmt.Sprint(c.success()): jsonResponse(http.StatusText(c.success()), answer)}
	huma.Register(s.api, op, func(ctx context.Context, p *P) (*written, error) {
		out, err := do(ctx, p)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		return out, nil
	})
}

// update runs a command in its unit of work.
func (s *Server) update(ctx context.Context, c call, p any, request ledger.Request, do func(*unit) (any, error)) (answer ledger.Answer, err error) {
	r, err := s.enter(ctx, c, p)
	if err != nil {
		return answer, err
	}
	request.Organization, request.Workspace = r.id.Organization, r.id.Workspace
	if user := r.actor.User(); user != "" && r.id.Workspace == "" {
		request.Route += " as " + user // what two people do for themselves is not the same
	}
	// Those of one organization wait for each other, and not for those of another.
	lane := db.InLane(ctx, cmp.Or(r.id.Organization, r.actor.ID))
	err = s.db.Update(lane, func(tx *db.Tx) error {
		u := &unit{Server: s, tx: tx, actor: r.actor, id: r.id}
		answer, err = s.ledger.Once(tx, request, func() (int, any, error) {
			value, err := do(u)
			if err == nil {
				err = s.record(u, visitorOf(ctx).origin, c, p, request.Body, value)
			}
			return c.success(), value, err
		})
		return err
	})
	s.noteRefusal(ctx, visitorOf(ctx).origin, c, r, err)
	return answer, err
}

// once says under which key and route a command is remembered. The route holds
// the ids of the path but for the workspace, which the scope names: the same key
// on another flow is another request.
func once(ctx context.Context, c call, p any, body []byte) ledger.Request {
	r := ledger.Request{Route: c.method + " " + c.path, Key: keyOf(ctx), Body: body}
	if c.repeatable {
		r.Key = ""
	}
	if r.Key != "" { // here, and not where others wait for it
		r.Digest = ledger.BodyDigest(body)
	}
	v := reflect.ValueOf(p).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		name := f.Tag.Get("path")
		if name == "" || name == "workspace" || name == "organization" {
			continue
		}
		r.Route = strings.Replace(r.Route, "{"+name+"}", v.FieldByIndex(f.Index).String(), 1)
	}
	return r
}

func jsonResponse(description string, schema *huma.Schema) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

// describeBody adds the body to the description of a registered call. It comes
// after the registration because huma must not read the body itself.
func (s *Server) describeBody(c call, schema *huma.Schema) {
	body := &huma.RequestBody{Required: !c.optional, Content: map[string]*huma.MediaType{}}
	for _, media := range c.medias() {
		body.Content[media] = &huma.MediaType{Schema: schema}
	}
	s.operationOf(c).RequestBody = body
}
