package server

import (
	"cmp"
	"net/http"

	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

// What is done on a page stands in the audit log as the call of the API does that does
// the same; what a person does about the own account, in the log of the installation.

// pageCalls are the calls that the forms of the pages are.
var pageCalls = map[string]string{
	"login": "login", "verify": "confirm-verification", "reset": "confirm-password-reset", "device": "confirm-device", "invitation": "accept-invitation",
}

// note records what a person has done on a page. It comes after what was done, and a crash
// in between leaves it out; that it could not be written goes to the log of the server.
func (s *Server) note(r *http.Request, v visitor, call, user string, what any) {
	after, err := jsonOf(what)
	if err == nil {
		err = s.db.Update(db.InLane(r.Context(), user), func(tx *db.Tx) error {
			return s.audit.Record(tx, audit.Entry{Actor: user, Action: call, Target: user, After: after, Address: v.origin.address, Agent: v.origin.agent})
		})
	}
	if err != nil {
		s.log.WarnContext(r.Context(), "what was done on a page is not in the audit log", "request_id", requestID(r.Context()), "error", err)
	}
}

// joined records, in the log of each organization, that a person became a member in this
// unit of work without a call of its own: by an address that is proved to be his.
func (s *Server) joined(tx *db.Tx, from origin, user string) error {
	began, err := s.orgs.MembershipsSince(tx, user, tx.Now())
	if err != nil {
		return err
	}
	for _, m := range began {
		after, err := jsonOf(map[string]string{"role": string(m.Role), "workspace": m.Workspace, "project": m.Project})
		if err == nil {
			err = s.audit.Record(tx, audit.Entry{
				Organization: m.Organization, Actor: user, Action: audit.Joined, Target: user, After: after, Address: from.address, Agent: from.agent,
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// is says as whom a call was made that made him known itself.
func (r *reading) is(user string) { r.actor = org.Actor{ID: cmp.Or(user, r.actor.ID)} }
