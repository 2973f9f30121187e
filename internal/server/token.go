package server

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

// door finds out who sent a request by one kind of credential; false if it has none
// of that kind.
type door func(r *http.Request) (org.Actor, bool, error)

// tokenDoor knows API tokens.
func (s *Server) tokenDoor(r *http.Request) (org.Actor, bool, error) {
	return s.byToken(context.WithValue(r.Context(), remoteKey{}, s.proxies.from(r)), bearer(r))
}

// remoteKey is where a request keeps the address that it comes from.
type remoteKey struct{}

// byToken finds the actor of an API token. Nothing of it is remembered: each request
// reads the token and the roles of whose it is anew, in one statement.
func (s *Server) byToken(ctx context.Context, bearer string) (org.Actor, bool, error) {
	if !strings.HasPrefix(bearer, org.TokenPrefix) {
		return org.Actor{}, false, nil
	}
	var actor *org.Actor
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		actor, err = s.orgs.ActorOf(tx, bearer)
		return err
	})
	if err != nil {
		return org.Actor{}, true, err
	}
	if actor == nil {
		return org.Actor{}, false, nil // the operator's may begin alike
	}
	from, _ := ctx.Value(remoteKey{}).(netip.Addr)
	if err := actor.Token.Check(s.now(), from); err != nil {
		return org.Actor{}, true, err
	}
	s.noteUse(ctx, actor.Token)
	return *actor, true, nil
}

// noteUse writes down that a token was used, at most once a minute. A request does
// not fail because that cannot be written.
func (s *Server) noteUse(ctx context.Context, t *org.Token) {
	if !t.IsStale(s.now()) {
		return
	}
	err := s.db.Update(db.InLane(ctx, t.Organization), func(tx *db.Tx) error { return s.orgs.Used(tx, t) })
	if err != nil {
		s.log.DebugContext(ctx, "the use of a token was not noted", "token", t.ID, "error", err)
	}
}
