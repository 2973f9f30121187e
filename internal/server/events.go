package server

import (
	"slices"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

func (s *Server) eventCalls() {
	query(s, call{
		id: "list-events", method: "GET", path: "/v1/workspaces/{workspace}/events", tag: tagBudgets, action: org.See,
		summary: "List events, the oldest first", description: "What happened to the wallet, numbered without gaps.",
	}, listEvents)
}

func listEvents(r *reading, p *struct {
	WorkspacePath
	api.EventQuery
}) (list api.List[api.Event], err error) {
	filter := ledger.EventFilter{Kind: p.Kind, Subject: p.Subject, After: p.After}
	wanted := ledger.Page{Limit: p.Limit, Cursor: p.Cursor}
	fromEnd := p.Last > 0 && p.Cursor == ""
	if fromEnd {
		wanted.Limit, wanted.Newest = p.Last, true
	}
	err = r.view(func(tx *db.Tx) error {
		events, next, err := r.ledger.Events(tx, r.id, filter, wanted)
		if err != nil {
			return err
		}
		if fromEnd {
			slices.Reverse(events)
			next = ""
		}
		list, err = listed(events, next, func(e wallet.Event) (api.Event, error) { return eventOnWire(r.id, e), nil })
		return err
	})
	return list, err
}

func eventOnWire(id ledger.ID, e wallet.Event) api.Event {
	data := e.Data
	if data == nil {
		data = map[string]string{}
	}
	return api.Event{ID: numbered("evt_", id, e.No), No: e.No, At: api.At(e.At), Kind: e.Kind, Subject: e.Subject, Data: data}
}
