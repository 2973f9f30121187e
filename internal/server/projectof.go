package server

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"

	"github.com/purserhq/purser/internal/db"
)

// projectOf is the project that a call is about: that of the thing that its path
// names, the one that its query narrows it to, or the one that its body gives to what
// it starts. "" if it is about more than one project.
func (r *reading) projectOf(p any) (project string, err error) {
	err = r.view(func(tx *db.Tx) (err error) {
		switch p := p.(type) {
		case interface{ inFlow() string }:
			f, e := r.ledger.Flow(tx, r.id, p.inFlow())
			project, err = f.Project, e
		case interface{ inHold() string }:
			h, e := r.ledger.Hold(tx, r.id, p.inHold())
			project, err = h.Project, e
		case interface{ inCharge() string }:
			no, e := numberOf("chg_", "charge", r.id, p.inCharge())
			if e != nil {
				return e
			}
			c, e := r.ledger.Charge(tx, r.id, no)
			project, err = c.Project, e
		default:
			project = cmp.Or(queried(p), r.starts())
		}
		return err
	})
	if j, ok := p.(interface{ inJob() string }); ok && err == nil {
		shown, e := r.jobs.Show(r.ctx, r.id, j.inJob())
		project, err = shown.Request.Project, e
	}
	return project, err
}

func (p FlowPath) inFlow() string     { return p.Flow }
func (p HoldPath) inHold() string     { return p.Hold }
func (p ChargePath) inCharge() string { return p.Charge }
func (p JobPath) inJob() string       { return p.Job }

// queried is the project that a query is narrowed to.
func queried(p any) string {
	v := reflect.ValueOf(p)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return ""
	}
	for _, f := range reflect.VisibleFields(v.Elem().Type()) {
		if f.Tag.Get("query") == "project" {
			return v.Elem().FieldByIndex(f.Index).String()
		}
	}
	return ""
}

type projectKey struct{}

// starts is the project of what the body of the call starts: the one it names, or
// that of the actor's token. "" if the call starts nothing.
func (r *reading) starts() string {
	named, ok := r.ctx.Value(projectKey{}).(string)
	if !ok {
		return ""
	}
	return cmp.Or(named, r.actor.Project())
}

// withProject keeps, of a body of type B that belongs to a project, which it is.
// Whatever else is wrong with the body is found later.
func withProject[B any](ctx context.Context, raw []byte) context.Context {
	t := reflect.TypeFor[B]()
	if t.Kind() != reflect.Struct {
		return ctx
	}
	if f, ok := t.FieldByName("Project"); !ok || f.Type.Kind() != reflect.String {
		return ctx
	}
	var body map[string]json.RawMessage
	var project string
	if json.Unmarshal(raw, &body) == nil {
		_ = json.Unmarshal(body["project"], &project)
	}
	return context.WithValue(ctx, projectKey{}, project)
}
