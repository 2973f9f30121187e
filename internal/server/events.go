package server

import (
	"slices"
	"strconv"
	"strings"

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

// lastWalks is how many pages the last events are looked for in: a kind or subject that is
// rarer than one among the last 100,000 is found from the beginning on, page by page.
const lastWalks = 10

func listEvents(r *reading, p *struct {
	WorkspacePath
	api.EventQuery
}) (list api.List[api.Event], err error) {
	subject, err := subjectInBooks(r.id, p.Subject)
	if err != nil {
		return list, err
	}
	filter := ledger.EventFilter{Kind: p.Kind, Subject: subject, After: p.After}
	wanted := ledger.Page{Limit: p.Limit, Cursor: p.Cursor}
	fromEnd := p.Last > 0 && p.Cursor == ""
	if fromEnd {
		wanted.Limit, wanted.Newest = p.Last, true
	}
	err = r.view(func(tx *db.Tx) error {
		events, next, err := r.ledger.Events(tx, r.id, filter, wanted)
		for walks := 1; err == nil && fromEnd && next != "" && len(events) < p.Last && walks < lastWalks; walks++ {
			var more []wallet.Event
			wanted.Cursor, wanted.Limit = next, p.Last-len(events)
			more, next, err = r.ledger.Events(tx, r.id, filter, wanted)
			events = append(events, more...)
		}
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
	data := map[string]string{}
	for name, value := range e.Data {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && strings.HasSuffix(name, "_at") {
			value = string(api.At(n))
		}
		data[name] = value
	}
	subject := e.Subject
	if no, err := strconv.ParseInt(subject, 10, 64); err == nil && e.Kind == wallet.EventRefunded {
		subject = numbered("chg_", id, no)
	}
	return api.Event{ID: numbered("evt_", id, e.No), No: e.No, At: api.At(e.At), Kind: e.Kind, Subject: subject, Data: data}
}

// subjectInBooks is the subject as the books have it: a charge's is its number.
func subjectInBooks(id ledger.ID, subject string) (string, error) {
	if !strings.HasPrefix(subject, "chg_") {
		return subject, nil
	}
	no, err := numberOf("chg_", "charge", id, subject)
	return strconv.FormatInt(no, 10), err
}
